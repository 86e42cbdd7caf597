"""How an order comes to be, and how it is paid."""

from decimal import Decimal

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from shop.catalogue.models import Product
from shop.orders.models import Coupon, Order, OrderLine, Payment
from shop.orders.signals import order_paid


class CannotOrder(Exception):
    """What was asked for cannot be had."""


def take_from_stock(product, quantity):
    """Fewer of it in stock, if there are enough."""
    taken = Product.objects.filter(pk=product.pk, stock__gte=quantity).update(
        stock=F("stock") - quantity
    )
    if not taken:
        raise CannotOrder(f"only {product.stock} of {product.sku} left")


def use_coupon(code):
    """One use of it less."""
    used = Coupon.objects.filter(code=code, uses_left__gt=0).update(
        uses_left=F("uses_left") - 1
    )
    if not used:
        raise CannotOrder(f"no coupon {code}")
    return Coupon.objects.get(code=code)


def price_of(order):
    """Its lines less its coupon."""
    amount = order.sum_of_lines()
    if order.coupon is not None:
        amount -= order.coupon.discount(amount)
    return amount.quantize(Decimal("0.01"))


@transaction.atomic
def place_order(customer, wanted, coupon_code=""):
    """A new order of ``wanted``: pairs of SKU and quantity. All of it, or nothing."""
    coupon = use_coupon(coupon_code) if coupon_code else None
    order = Order.objects.create(
        customer=customer, coupon=coupon, placed=timezone.now()
    )
    for sku, quantity in wanted:
        product = Product.objects.for_sale().filter(sku=sku).first()
        if product is None:
            raise CannotOrder(f"no product {sku}")
        take_from_stock(product, quantity)
        OrderLine.objects.create(
            order=order, product=product, quantity=quantity, price=product.price
        )
    order.total = price_of(order)
    order.save(update_fields=["total"])
    return order


@transaction.atomic
def pay(order, card_number):
    """Note the payment, and tell who wants to know."""
    payment = Payment.objects.create(
        order=order, amount=order.total, card_number=card_number, made=timezone.now()
    )
    order.status = Order.Status.PAID
    order.save(update_fields=["status"])
    order_paid.send(sender=Order, order=order)
    return payment
