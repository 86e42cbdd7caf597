"""Where everything is."""

from django.urls import include, path

from shop import views

urlpatterns = [
    path("", views.home, name="home"),
    path("health/", views.health, name="health"),
    path("broken/", views.broken, name="broken"),
    path("missing/", views.missing, name="missing"),
    path("accounts/", include("shop.accounts.urls")),
    path("catalogue/", include("shop.catalogue.urls")),
    path("api/", include("shop.catalogue.api_urls")),
    path("orders/", include("shop.orders.urls")),
    path("reports/", include("shop.orders.report_urls")),
]
