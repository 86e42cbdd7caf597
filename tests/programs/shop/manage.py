#!/usr/bin/env python
"""Commands of the shop: ``python manage.py seed``, ``import_orders``, Django's own."""

import os
import sys


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
