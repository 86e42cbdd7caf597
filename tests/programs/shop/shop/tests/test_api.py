from shop.catalogue.models import Product
from shop.tests.base import ShopTestCase

NEW = {
    "sku": "NEW-1",
    "name": "a new lamp",
    "category": "Lamp",
    "supplier": "Adler & Co.",
    "tags": ["red", "blue"],
    "price": "12.50",
    "stock": 3,
}


class ApiTests(ShopTestCase):
    def post(self, path, data):
        return self.client.post(path, data, content_type="application/json")

    def test_a_page_of_products_takes_three_queries(self):
        with self.assertNumQueries(3):
            answer = self.client.get("/api/products/").json()
        self.assertEqual((answer["count"], len(answer["results"])), (60, 20))

    def test_one_product(self):
        answer = self.client.get(f"/api/products/{self.product.pk}/").json()
        self.assertEqual((answer["sku"], answer["available"]), ("LAM-1", True))

    def test_a_new_one(self):
        answer = self.post("/api/products/", NEW)
        self.assertEqual(answer.status_code, 201, answer.content)
        tags = Product.objects.get(sku="NEW-1").tags.values_list("name", flat=True)
        self.assertEqual(sorted(tags), ["blue", "red"])

    def test_what_is_wrong_is_said(self):
        answer = self.post(
            "/api/products/", {**NEW, "price": "-1", "category": "Ship", "sku": "LAM-1"}
        )
        self.assertEqual(answer.status_code, 400)
        self.assertEqual(sorted(answer.json()), ["category", "price", "sku"])

    def test_a_body_that_is_no_json(self):
        answer = self.client.post(
            "/api/products/", "{nonsense", content_type="application/json"
        )
        self.assertEqual(answer.status_code, 400)

    def test_more_in_stock(self):
        path = f"/api/products/{self.product.pk}/restock/"
        self.assertEqual(self.post(path, {"quantity": 4}).json(), {"stock": 10_004})

    def test_no_longer_there(self):
        self.assertEqual(self.client.get("/api/products/99999/").status_code, 404)
