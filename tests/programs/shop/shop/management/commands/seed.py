"""``manage.py seed``: fill an empty database, the same every time."""

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from shop.catalogue.models import Product
from shop.seeding import seed


class Command(BaseCommand):
    help = "Fill an empty database: products, customers, orders."

    def add_arguments(self, parser):
        parser.add_argument("--orders", type=int, default=400)
        parser.add_argument("--migrate", action="store_true", help="with its tables")

    def handle(self, *, orders, migrate, **options):
        if migrate:
            call_command("migrate", verbosity=0)
        if Product.objects.exists():
            raise CommandError("there is something in it already")
        seed(orders=orders)
        self.stdout.write(f"{orders} orders")
