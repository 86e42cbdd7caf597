from django.urls import path

from shop.catalogue import views

urlpatterns = [
    path("stock/", views.stock, name="stock"),
    path("rates/", views.rates, name="rates"),
    path("prices.csv", views.prices, name="prices"),
    path("<str:sku>/", views.product_page, name="product"),
]
