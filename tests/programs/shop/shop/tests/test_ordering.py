from decimal import Decimal
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from celery.exceptions import Retry
from django.core import mail
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command

from shop.catalogue.models import Product
from shop.orders.models import AuditEntry, Coupon, Invoice, Order
from shop.orders.ordering import CannotOrder, place_order
from shop.orders.tasks import book_shipment
from shop.tests.base import ShopTestCase


class OrderingTests(ShopTestCase):
    def test_an_order_takes_from_the_stock(self):
        order = place_order(self.customer, [("LAM-1", 2), ("MUG-1", 1)])
        self.product.refresh_from_db()
        self.assertEqual(self.product.stock, 9_998)
        self.assertEqual(order.total, order.sum_of_lines())

    def test_a_coupon_makes_it_cheaper(self):
        order = place_order(self.customer, [("LAM-1", 1)], "SPRING")
        cheaper = (self.product.price * Decimal("0.9")).quantize(Decimal("0.01"))
        self.assertAlmostEqual(order.total, cheaper, delta=Decimal("0.01"))
        self.assertEqual(Coupon.objects.get(code="SPRING").uses_left, 999_999)

    def test_what_cannot_be_had_leaves_no_order(self):
        before = Order.objects.count()
        with self.assertRaisesMessage(CannotOrder, "only 3 of LAM-0 left"):
            place_order(self.customer, [("LAM-1", 1), ("LAM-0", 4)])
        self.assertEqual(Order.objects.count(), before)
        self.assertEqual(Product.objects.get(sku="LAM-1").stock, 10_000)

    def test_an_old_coupon(self):
        with self.assertRaisesMessage(CannotOrder, "no coupon GONE"):
            place_order(self.customer, [("LAM-1", 1)], "GONE")

    def test_the_form_orders(self):
        data = {"email": self.customer.email, "sku": "LAM-1", "quantity": 2}
        answer = self.client.post("/orders/new/", data)
        order = Order.objects.recent().first()
        self.assertRedirects(answer, f"/orders/{order.pk}/")

    def test_the_form_says_what_is_wrong(self):
        data = {"email": self.customer.email, "sku": "LAM-0", "quantity": 9}
        answer = self.client.post("/orders/new/", data)
        self.assertContains(answer, "only 3 of LAM-0 left", status_code=400)


class PayingTests(ShopTestCase):
    def test_paying_sends_a_receipt(self):
        with self.captureOnCommitCallbacks(execute=True):
            answer = self.client.post(
                f"/orders/{self.order.pk}/pay/", {"card_number": "4000000000000001"}
            )
        self.assertEqual(answer.json()["paid"], str(self.order.total))
        self.assertEqual(len(mail.outbox), 1)
        self.assertIn(self.order.number(), mail.outbox[0].subject)
        self.assertEqual(cache.get("orders:paid"), 1)
        self.assertEqual(AuditEntry.objects.filter(order=self.order).count(), 2)

    def test_a_card_that_is_none(self):
        answer = self.client.post(
            f"/orders/{self.order.pk}/pay/", {"card_number": "gold"}
        )
        self.assertEqual(answer.status_code, 400)
        self.assertEqual(mail.outbox, [])

    def test_a_shipment_of_what_is_not_paid(self):
        Order.objects.filter(pk=self.order.pk).update(status=Order.Status.NEW)
        with self.assertRaisesMessage(Retry, "is not paid"):  # and try again
            book_shipment.delay(self.order.pk)

    def test_a_shipment_of_what_is_paid(self):
        Order.objects.filter(pk=self.order.pk).update(status=Order.Status.PAID)
        self.assertEqual(book_shipment.delay(self.order.pk).get(), self.order.number())


class UploadTests(ShopTestCase):
    def test_an_invoice_is_kept(self):
        file = SimpleUploadedFile("invoice.txt", b"pay me" * 1000)
        answer = self.client.post(
            "/orders/invoices/", {"order": self.order.pk, "file": file}
        )
        self.assertEqual(answer.json()["size"], 6000)
        with Invoice.objects.get(order=self.order).file.open() as kept:
            self.assertEqual(kept.read(), b"pay me" * 1000)

    def test_a_large_one_comes_by_a_temporary_file(self):
        file = SimpleUploadedFile("large.bin", bytes(3 * 1024 * 1024))
        answer = self.client.post(
            "/orders/invoices/", {"order": self.order.pk, "file": file}
        )
        self.assertEqual(answer.json()["size"], 3 * 1024 * 1024)

    def test_no_file(self):
        answer = self.client.post("/orders/invoices/", {"order": self.order.pk})
        self.assertEqual(answer.status_code, 400)


class ImportTests(ShopTestCase):
    def run_import(self, text, *options):
        said = StringIO()
        with TemporaryDirectory() as folder:
            file = Path(folder, "orders.csv")
            file.write_text(text)
            call_command("import_orders", file, *options, stdout=said, stderr=said)
        return said.getvalue()

    def test_orders_are_imported(self):
        said = self.run_import(
            "customer0@example.org;LAM-1;1\ncustomer1@example.org;MUG-2;3\n"
        )
        self.assertEqual(said, "2 of 2 orders imported\n")
        self.assertEqual(Order.objects.count(), 62)

    def test_a_bad_line_stops_all(self):
        with self.assertRaisesMessage(CommandError, "line 2: no product NO-1"):
            self.run_import(
                "customer0@example.org;LAM-1;1\ncustomer1@example.org;NO-1;3\n"
            )
        self.assertEqual(Order.objects.count(), 60)

    def test_bad_lines_can_be_skipped(self):
        said = self.run_import(
            "customer0@example.org;LAM-1;x\ncustomer1@example.org;MUG-2;3\n",
            "--skip-bad",
        )
        self.assertIn("line 1: ", said)
        self.assertIn("1 of 2 orders imported", said)
