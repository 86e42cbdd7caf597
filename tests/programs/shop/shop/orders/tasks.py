"""What is done later, by a worker."""

import logging

from celery import shared_task
from django.core.mail import send_mail

from shop.orders.models import AuditEntry, Order

logger = logging.getLogger(__name__)


def text_of(order):
    """What the mail says."""
    lines = [f"{line.quantity} x {line.product.name}" for line in order.lines.all()]
    return "\n".join([f"Dear {order.customer.full_name},", "", *lines])


@shared_task
def send_receipt(order_id):
    """A mail to who paid."""
    order = Order.objects.with_customer().get(pk=order_id)
    send_mail(
        f"Your order {order.number()}", text_of(order), None, [order.customer.email]
    )
    AuditEntry.objects.create(order=order, text=f"receipt for {order.number()}")
    logger.info("receipt for order %s", order.number())
    return order.number()


@shared_task(bind=True, max_retries=2)
def book_shipment(self, order_id):
    """Fails for what is not paid, after another try."""
    order = Order.objects.get(pk=order_id)
    if order.status != Order.Status.PAID:
        raise self.retry(exc=ValueError(f"{order.number()} is not paid"), countdown=0)
    order.status = Order.Status.SENT
    order.save(update_fields=["status"])
    return order.number()
