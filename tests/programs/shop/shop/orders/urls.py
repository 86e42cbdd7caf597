from django.urls import path

from shop.orders import views

urlpatterns = [
    path("", views.OrderList.as_view(), name="orders"),
    path("new/", views.new_order, name="new-order"),
    path("export.csv", views.export, name="export"),
    path("invoices/", views.upload_invoice, name="upload-invoice"),
    path("<int:pk>/", views.order_page, name="order"),
    path("<int:pk>/pay/", views.pay_order, name="pay"),
    path("<int:pk>/shipping/", views.shipping_page, name="shipping"),
]
