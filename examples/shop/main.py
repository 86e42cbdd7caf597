"""One day of the shop. To have it recorded: kolo-c run examples/shop/main.py."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import catalogue
import reports
from customers import Accounts, Address, LoginFailed
from inventory import Stock
from invoices import InvoiceWriter
from orders import Line, Order
from payments import Gateway
from pipeline import Pipeline
from pricing import PriceList

OPENING = datetime(2026, 3, 21, 8, 0, tzinfo=timezone.utc)
PEOPLE = ("Ada", "Barbara", "Edsger", "Frances", "Grace", "Ken", "Margaret", "Tony")
CITIES = ("Bremen", "Leipzig", "Ulm")
LOST_PARCEL = "999-9"  # a product that was never sold: order 23 asks for it


def register_everybody(accounts: Accounts) -> None:
    """The shop's customers."""
    for number, name in enumerate(PEOPLE):
        accounts.register(
            name,
            password=f"correct horse {name}",
            address=Address(f"Main Street {number + 1}", CITIES[number % len(CITIES)]),
            card_token=f"card-of-{name.lower()}-{number + 7:02d}",
        )


def place_orders(
    accounts: Accounts, numbers: list[str], chance: random.Random, count: int
) -> Iterator[Order]:
    """Customers log in (some mistype their password first) and fill their baskets."""
    placed = OPENING
    for order_number in range(1, count + 1):
        placed += timedelta(seconds=chance.randrange(60, 900))
        name = chance.choice(accounts.names())
        password = f"correct horse {name}"
        try:
            typed = password.upper() if chance.random() < 0.1 else password
            customer = accounts.log_in(name, typed)
        except LoginFailed:
            customer = accounts.log_in(name, password)
        lines = [
            Line(chance.choice(numbers), chance.randint(1, 5))
            for _ in range(chance.randint(1, 4))
        ]
        if order_number == 23:
            lines.append(Line(LOST_PARCEL, 1))
        coupon = chance.choice((None, None, "SPRING", "SORRY"))
        yield Order(order_number, customer, placed, lines, coupon=coupon)


def trade(order_count: int, seed: int) -> Iterator[str]:
    """The whole day, as lines of a report."""
    chance = random.Random(seed)
    goods = catalogue.build(chance)
    stock = Stock(goods.numbers(), chance)
    accounts = Accounts()
    register_everybody(accounts)
    orders = list(place_orders(accounts, goods.numbers(), chance, order_count))

    gateway = Gateway(api_key="live-0123456789-not-a-real-one", chance=chance)
    pipeline = Pipeline(PriceList(goods), stock, gateway)
    counts = asyncio.run(pipeline.run(orders))
    invoices = InvoiceWriter(goods).write_all(orders)

    left = {number: stock.left(number) for number in goods.numbers()}
    yield from reports.report(OPENING.date(), orders, goods, left)
    ends = sorted((status.value, number) for status, number in counts.items())
    yield "  " + ", ".join(f"{number} {status}" for status, number in ends)
    yield (
        f"  {len(invoices)} invoices, {gateway.timeout_count} timeouts of the gateway, "
        f"{accounts.failed_count} failed logins"
    )
    for failure in pipeline.failures:
        yield f"  order {failure.order_number} broke: {failure.error}"
        yield f"    in {' > '.join(failure.where)}"
    cheapest = goods.search("steel")[0]
    yield f"  cheapest of steel: {cheapest.name} at {cheapest.price} EUR"


def main() -> None:
    """Print the day's report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=60, help="how many (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="of all chance (default 1)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    for line in trade(options.orders, options.seed):
        print(line)


if __name__ == "__main__":
    main()
