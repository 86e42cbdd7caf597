from django.urls import path

from shop.orders import views

urlpatterns = [
    path("customers/", views.customers_report, name="customers-report"),
    path("status/", views.status_report, name="status-report"),
]
