"""Tests as pytest's users write them; Django's runner finds none here."""

from decimal import Decimal

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from shop.orders.models import Coupon
from shop.seeding import seed
from shop.templatetags.shop_texts import money, sign


@pytest.fixture
def filled(db):
    seed(orders=5, customers=10)


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0.00 €"), (1234.5, "1,234.50 €"), (Decimal(7), "7.00 €")]
)
def test_money(amount, text):
    assert money(amount) == text


@pytest.mark.parametrize("status", ["new", "paid", "sent", "cancelled"])
def test_every_status_has_a_sign(status):
    assert sign(status) != "?"


@pytest.mark.django_db
def test_a_discount_is_rounded():
    coupon = Coupon.objects.create(code="THIRD", percent=33)
    assert coupon.discount(Decimal("9.99")) == Decimal("3.30")


def test_the_list_is_empty_before_anything_is_ordered(db, client):
    assert b"<tr>" not in client.get("/orders/").content


def test_seeding_is_the_same_every_time(filled):
    from shop.orders.models import Order

    first = Order.objects.order_by("placed").first()
    assert (first.number()[:7], first.lines.count()) == ("O-2026-", 3)


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
async def test_stock_of_an_empty_shop(async_client):
    answer = await async_client.get("/catalogue/stock/")
    assert answer.json() == {"scarce": [], "best": [], "count": 0}
    # That of the thread in which asynchronous views ask: nobody else closes it.
    await sync_to_async(connections.close_all)()
