"""Pages that ask another service, which is a real one, here."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from django.test import override_settings

from shop.tests.base import ShopTestCase


class Rates(BaseHTTPRequestHandler):
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        status = (
            200 if "kind=parcel" in self.path or "kind=letter" in self.path else 500
        )
        body = b'{"rate": "4.90"}'
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class ServiceTests(ShopTestCase):
    def setUp(self):
        super().setUp()
        Rates.asked.clear()
        server = self.enterContext_(ThreadingHTTPServer(("127.0.0.1", 0), Rates))
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}/"
        self.enterContext_(override_settings(SHIPPING_URL=url))

    def test_a_rate_is_asked_for_once_a_minute(self):
        path = f"/orders/{self.order.pk}/shipping/"
        for _ in range(3):
            self.assertEqual(self.client.get(path).json()["rate"], "4.90")
        self.assertEqual(len(Rates.asked), 1)

    def test_a_service_that_fails(self):
        with self.assertLogs("shop.orders.views", "WARNING"):
            answer = self.client.get(f"/orders/{self.order.pk}/shipping/?kind=ship")
        self.assertEqual(answer.status_code, 502)
        self.assertIn("HTTPError", answer.json()["error"])

    def test_two_rates_at_once(self):
        answer = self.client.get("/catalogue/rates/?r=5")
        self.assertEqual(answer.json()["rates"], [{"rate": "4.90"}] * 2)
        self.assertTrue(all("r=5" in path for path in Rates.asked))


class AsyncTests(ShopTestCase):
    async def test_stock_from_an_asynchronous_client(self):
        answer = await self.async_client.get("/catalogue/stock/?r=9")
        self.assertEqual(answer.json()["count"], 60)
        self.assertEqual(len(answer.json()["scarce"]), 10)
        self.assertEqual(answer["X-Shop-Queries"], "3")

    async def test_prices_are_streamed(self):
        answer = await self.async_client.get("/catalogue/prices.csv")
        lines = [line async for line in answer.streaming_content]
        self.assertEqual(len(lines), 60 + 1)

    def test_stock_from_a_client_that_waits(self):
        self.assertEqual(self.client.get("/catalogue/stock/").json()["count"], 60)
