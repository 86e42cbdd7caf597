"""What the tests have in common."""

import tempfile

from django.core.cache import cache
from django.test import TestCase, override_settings

from shop.accounts.models import Customer
from shop.catalogue.models import Product
from shop.orders.models import Order
from shop.seeding import seed


class ShopTestCase(TestCase):
    """A small shop with something in it; files go where they are forgotten."""

    @classmethod
    def setUpTestData(cls):
        seed(orders=60, customers=12)
        cls.customer = Customer.objects.get(email="customer0@example.org")
        cls.product = Product.objects.get(sku="LAM-1")
        cls.order = Order.objects.recent().first()

    def setUp(self):
        cache.clear()
        folder = self.enterContext_(tempfile.TemporaryDirectory())
        self.enterContext_(override_settings(MEDIA_ROOT=folder))

    def enterContext_(self, manager):  # unittest has it since 3.11
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value
