from django.db import connection

from shop.orders.models import Order
from shop.tests.base import ShopTestCase


class PageTests(ShopTestCase):
    def test_the_front_page_counts(self):
        answer = self.client.get("/")
        self.assertContains(answer, "60 products, 60 orders")

    def test_the_front_page_counts_once_a_minute(self):
        with self.assertNumQueries(3):
            self.client.get("/")
        with self.assertNumQueries(1):
            self.client.get("/")

    def test_health_asks_no_database(self):
        with self.assertNumQueries(0):
            self.assertEqual(self.client.get("/health/").content, b"well")

    def test_the_list_has_fifty_rows_in_one_query(self):
        with self.assertNumQueries(1):
            answer = self.client.get("/orders/")
        self.assertContains(answer, "<tr>", count=50)
        self.assertContains(answer, self.order.number())

    def test_an_order_has_its_lines(self):
        with self.assertNumQueries(3):
            answer = self.client.get(f"/orders/{self.order.pk}/")
        self.assertContains(answer, "<tr>", count=self.order.lines.count())

    def test_an_order_that_is_not_there(self):
        self.assertEqual(self.client.get("/orders/999999/").status_code, 404)

    def test_the_customers_report_asks_again_for_each(self):
        with self.assertNumQueries(1 + 12 + 12):
            answer = self.client.get("/reports/customers/")
        self.assertContains(answer, self.customer.full_name)

    def test_the_status_report_adds_up(self):
        answer = self.client.get("/reports/status/")
        self.assertEqual(sum(answer.json().values()), Order.objects.count())

    def test_a_product_with_what_people_say(self):
        answer = self.client.get(f"/catalogue/{self.product.sku}/")
        self.assertContains(answer, "3 reviews")
        self.assertContains(answer, "in stock")

    def test_no_such_product(self):
        self.assertEqual(self.client.get("/catalogue/NO-1/").status_code, 404)

    def test_the_export_streams_every_order(self):
        answer = self.client.get("/orders/export.csv")
        self.assertTrue(answer.streaming)
        lines = b"".join(answer.streaming_content).splitlines()
        self.assertEqual(len(lines), 60 + 1)
        self.assertEqual(lines[-1], b"end")

    def test_a_page_that_fails(self):
        with self.assertRaises(ZeroDivisionError):
            self.client.get("/broken/")
        self.client.raise_request_exception = False
        with self.assertLogs("django.request", "ERROR"):
            self.assertEqual(self.client.get("/broken/").status_code, 500)

    def test_a_page_that_says_it_is_not_there(self):
        self.assertEqual(self.client.get("/missing/?wanted=7").status_code, 404)


class MarkerTests(ShopTestCase):
    def sent_for(self, path):
        """The answer, and the statements as the database gets them."""
        sent = []

        def note(execute, sql, *rest):
            sent.append(sql)
            return execute(sql, *rest)

        with connection.execute_wrapper(note):
            return self.client.get(path), sent

    def test_the_number_is_in_every_statement(self):
        answer, sent = self.sent_for(f"/orders/{self.order.pk}/?r=17")
        self.assertEqual(answer["X-Shop-Marker"], "17")
        self.assertEqual(answer["X-Shop-Queries"], "3")
        self.assertEqual(len(sent), 3)
        for sql in sent:
            self.assertTrue(sql.endswith(" /* r=17 */"), sql)

    def test_without_a_number_statements_are_as_they_are(self):
        answer, sent = self.sent_for("/orders/")
        self.assertNotIn("X-Shop-Marker", answer)
        self.assertNotIn("/*", sent[0])

    def test_a_streamed_body_ends_with_the_count(self):
        answer = self.client.get("/orders/export.csv?r=18")
        body = b"".join(answer.streaming_content)
        self.assertTrue(body.endswith(b"queries=1\n"), body[-20:])
