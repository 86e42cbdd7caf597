"""Orders, and all that hangs on them."""

from decimal import Decimal

from django.db import models
from django.db.models import F, Sum

from shop.accounts.models import Address, Customer
from shop.catalogue.models import Product


class Coupon(models.Model):
    code = models.CharField(max_length=20, unique=True)
    percent = models.PositiveSmallIntegerField()
    uses_left = models.IntegerField(default=1)

    def __str__(self):
        return self.code

    def discount(self, amount):
        return (amount * self.percent / 100).quantize(Decimal("0.01"))


class OrderQuerySet(models.QuerySet):
    def with_customer(self):
        return self.select_related("customer")

    def recent(self):
        return self.order_by("-placed", "-pk")

    def open(self):
        return self.filter(status__in=[Order.Status.NEW, Order.Status.PAID])


class Order(models.Model):
    class Status(models.TextChoices):
        NEW = "new", "New"
        PAID = "paid", "Paid"
        SENT = "sent", "Sent"
        CANCELLED = "cancelled", "Cancelled"

    customer = models.ForeignKey(Customer, models.PROTECT, related_name="orders")
    address = models.ForeignKey(Address, models.PROTECT, null=True, blank=True)
    coupon = models.ForeignKey(Coupon, models.SET_NULL, null=True, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.NEW)
    placed = models.DateTimeField(db_index=True)
    total = models.DecimalField(max_digits=11, decimal_places=2, default=0)
    note = models.TextField(blank=True)

    objects = OrderQuerySet.as_manager()

    def __str__(self):
        return self.number()

    def number(self):
        return f"O-{self.placed.year}-{self.pk:05d}"

    def sum_of_lines(self):
        amount = F("price") * F("quantity")
        return self.lines.aggregate(sum=Sum(amount))["sum"] or Decimal(0)


class OrderLine(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, models.PROTECT, related_name="lines")
    quantity = models.PositiveIntegerField()
    price = models.DecimalField(max_digits=9, decimal_places=2)

    def __str__(self):
        return f"{self.quantity} of {self.product_id}"

    @property
    def amount(self):
        return self.price * self.quantity


class Payment(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="payments")
    amount = models.DecimalField(max_digits=11, decimal_places=2)
    card_number = models.CharField(max_length=19)
    made = models.DateTimeField()

    def __str__(self):
        return f"{self.amount} with a card ending in {self.card_number[-4:]}"


class Shipment(models.Model):
    order = models.OneToOneField(Order, models.CASCADE, related_name="shipment")
    carrier = models.CharField(max_length=40)
    tracking = models.CharField(max_length=40, blank=True)
    cost = models.DecimalField(max_digits=7, decimal_places=2)

    def __str__(self):
        return f"{self.carrier} {self.tracking}"


class Invoice(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="invoices")
    file = models.FileField(upload_to="invoices/")
    size = models.PositiveIntegerField()
    checksum = models.CharField(max_length=64)

    def __str__(self):
        return self.file.name


class AuditEntry(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="audit")
    text = models.CharField(max_length=200)
    written = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "audit entries"

    def __str__(self):
        return self.text
