"""``manage.py import_orders FILE``: orders from a CSV file, e-mail;SKU;quantity."""

import csv
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from shop.accounts.models import Customer
from shop.orders.ordering import CannotOrder, place_order


class Command(BaseCommand):
    help = "Import orders from a CSV file with lines of e-mail;SKU;quantity."

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path)
        parser.add_argument("--skip-bad", action="store_true")

    def handle(self, *, file, skip_bad, **options):
        try:
            with file.open(newline="") as lines:
                rows = list(csv.reader(lines, delimiter=";"))
        except OSError as error:
            raise CommandError(f"cannot read {file}: {error.strerror}") from error
        imported = 0
        with transaction.atomic():
            for number, row in enumerate(rows, 1):
                imported += self.import_row(number, row, skip_bad)
        self.stdout.write(f"{imported} of {len(rows)} orders imported")

    def import_row(self, number, row, skip_bad):
        try:
            email, sku, quantity = row
            customer = Customer.objects.get(email=email)
            place_order(customer, [(sku, int(quantity))])
        except (ValueError, Customer.DoesNotExist, CannotOrder) as error:
            if not skip_bad:
                raise CommandError(f"line {number}: {error}") from error
            self.stderr.write(f"line {number}: {error}")
            return 0
        return 1
