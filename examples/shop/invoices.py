"""Invoices, written by a pool of threads."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal

from catalogue import Catalogue
from orders import Order, Status

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()


def in_words(number: int) -> str:
    """A whole number below a million, as on a cheque."""
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        return TENS[tens] + (f"-{in_words(rest)}" if rest else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{in_words(hundreds)} hundred" + (f" {in_words(rest)}" if rest else "")
    thousands, rest = divmod(number, 1000)
    return f"{in_words(thousands)} thousand" + (f" {in_words(rest)}" if rest else "")


@dataclass(frozen=True)
class Invoice:
    """A piece of paper."""

    order_number: int
    total: Decimal
    text: str


class InvoiceWriter:
    """Turns orders into invoices; may be used from several threads."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._lock = threading.Lock()
        self.written = 0  # guarded by _lock

    def write(self, order: Order) -> Invoice:
        """One invoice."""
        rows = [self.row(line.product_number, line.count) for line in order.lines]
        euros, cents = divmod(int(order.total * 100), 100)
        text = "\n".join(
            [
                f"Invoice {order.number:05d}  {order.placed:%d %B %Y}",
                *self.heading(order),
                *rows,
                f"{'Total':40}{order.total:>10}",
                f"in words: {in_words(euros)} euros, {in_words(cents)} cents",
            ]
        )
        with self._lock:
            self.written += 1
        return Invoice(order.number, order.total, text)

    def heading(self, order: Order) -> list[str]:
        """To whom it goes."""
        address = order.customer.address
        return [
            order.customer.name,
            address.street,
            f"{address.country} {address.city}",
        ]

    def row(self, product_number: str, count: int) -> str:
        """A line of the invoice."""
        product = self.catalogue.find(product_number)
        return f"{count:>3} x {product.name:34}{product.price * count:>10}"

    def write_all(self, orders: Iterable[Order], *, threads: int = 3) -> list[Invoice]:
        """Invoices of everything that was sent, in the order of ``orders``."""
        sent = [order for order in orders if order.status is Status.SENT]
        with ThreadPoolExecutor(threads, thread_name_prefix="invoices") as pool:
            return list(pool.map(self.write, sent))
