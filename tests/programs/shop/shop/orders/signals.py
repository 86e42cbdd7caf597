"""What happens here that others may want to know."""

from django.dispatch import Signal

order_paid = Signal()
