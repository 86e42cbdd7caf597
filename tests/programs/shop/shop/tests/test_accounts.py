from django.contrib.auth import get_user_model

from shop.accounts.models import Customer
from shop.seeding import password_of_user
from shop.tests.base import ShopTestCase

NEW = {
    "username": "newcomer",
    "email": "newcomer@example.org",
    "first_name": "New",
    "last_name": "Comer",
    "password": "a-long-secret-8e2f",
    "password_again": "a-long-secret-8e2f",
}


class AccountTests(ShopTestCase):
    def test_log_in(self):
        answer = self.client.post(
            "/accounts/login/", {"username": "user3", "password": password_of_user(3)}
        )
        self.assertRedirects(answer, "/accounts/profile/")
        self.assertContains(self.client.get("/accounts/profile/"), "user3")

    def test_a_wrong_password_is_no_way_in(self):
        answer = self.client.post(
            "/accounts/login/", {"username": "user3", "password": "guessed"}
        )
        self.assertEqual(answer.status_code, 200)
        self.assertNotIn("sessionid", self.client.cookies)

    def test_the_profile_is_for_who_is_logged_in(self):
        answer = self.client.get("/accounts/profile/")
        self.assertRedirects(answer, "/accounts/login/?next=/accounts/profile/")

    def test_log_out(self):
        self.client.force_login(get_user_model().objects.get(username="user1"))
        self.client.post("/accounts/logout/")
        self.assertEqual(self.client.get("/accounts/profile/").status_code, 302)

    def test_sign_up_makes_a_customer_who_is_logged_in(self):
        answer = self.client.post("/accounts/sign-up/", NEW)
        self.assertRedirects(answer, "/accounts/profile/")
        self.assertEqual(
            Customer.objects.get(user__username="newcomer").first_name, "New"
        )

    def test_passwords_that_differ(self):
        answer = self.client.post("/accounts/sign-up/", {**NEW, "password_again": "x"})
        self.assertContains(answer, "The passwords differ.", status_code=400)

    def test_a_short_password(self):
        data = {**NEW, "password": "short", "password_again": "short"}
        answer = self.client.post("/accounts/sign-up/", data)
        self.assertContains(answer, "eight characters", status_code=400)

    def test_a_name_that_is_taken(self):
        answer = self.client.post("/accounts/sign-up/", {**NEW, "username": "user1"})
        self.assertContains(answer, "has this name already", status_code=400)

    def test_customers_of_a_country(self):
        everywhere = sum(
            Customer.objects.in_country(code).count() for code in ("DE", "FR", "DK")
        )
        self.assertEqual(everywhere, 12)
