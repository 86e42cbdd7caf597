"""What is done when something has happened."""

from django.core.cache import cache
from django.db.models.signals import post_save
from django.dispatch import receiver

from shop.orders.models import AuditEntry, Order
from shop.orders.signals import order_paid


@receiver(order_paid)
def write_it_down(sender, order, **_):
    """For the books."""
    AuditEntry.objects.create(order=order, text=f"paid {order.number()}")


@receiver(order_paid)
def count_it(sender, order, **_):
    """For the front page."""
    cache.add("orders:paid", 0)
    cache.incr("orders:paid")


@receiver(post_save, sender=Order)
def forget_figures(sender, instance, created, **_):
    """The numbers of the front page are old."""
    if created:
        cache.delete("home:figures")
