"""The day in figures: generators that feed each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from datetime import date
from decimal import Decimal
from itertools import groupby

from catalogue import Catalogue, Category
from orders import Order, Status


def sent(orders: Iterable[Order]) -> Iterator[Order]:
    """Only those that brought money."""
    for order in orders:
        if order.status is Status.SENT:
            yield order


def running_total() -> Generator[Decimal, Decimal, Decimal]:
    """Send amounts in, get sums out; ends at a negative amount."""
    total = Decimal(0)
    while True:
        amount = yield total
        if amount < 0:
            return total
        total += amount


def takings(orders: Iterable[Order]) -> Decimal:
    """All that was paid."""
    total = running_total()
    next(total)
    for order in sent(orders):
        total.send(order.total)
    try:
        total.send(Decimal(-1))
    except StopIteration as end:
        return Decimal(end.value)
    raise AssertionError("a negative amount ends the sum")


def by_hour(orders: Iterable[Order]) -> Iterator[tuple[int, int, Decimal]]:
    """Hour, number of orders, money."""
    ordered = sorted(sent(orders), key=placed_hour)
    for hour, group in groupby(ordered, key=placed_hour):
        amounts = [order.total for order in group]
        yield hour, len(amounts), sum(amounts, Decimal(0))


def placed_hour(order: Order) -> int:
    """For sorting and grouping."""
    return order.placed.hour


def best_sellers(
    orders: Iterable[Order], catalogue: Catalogue, limit: int = 3
) -> list[tuple[str, int]]:
    """Names and pieces, most first."""
    pieces: Counter[str] = Counter()
    for order in sent(orders):
        for line in order.lines:
            pieces[line.product_number] += line.count
    ranked = sorted(pieces.items(), key=lambda item: (-item[1], item[0]))
    return [(catalogue.find(number).name, count) for number, count in ranked[:limit]]


def value_of(category: Category, left: dict[str, int]) -> Decimal:
    """What lies on a shelf and on all shelves below it."""
    own = sum(
        (product.price * left.get(product.number, 0) for product in category.products),
        Decimal(0),
    )
    return own + sum((value_of(child, left) for child in category.children), Decimal(0))


def report(
    day: date, orders: list[Order], catalogue: Catalogue, left: dict[str, int]
) -> Iterator[str]:
    """The lines that the shop's owner reads in the evening."""
    yield f"{day:%A, %d %B %Y}: {len(orders)} orders, {takings(orders)} EUR"
    for hour, count, amount in by_hour(orders):
        yield f"  {hour:02d}:00  {count:3d} orders  {amount:>10} EUR"
    for name, count in best_sellers(orders, catalogue):
        yield f"  sold most: {name} ({count})"
    for shelf in catalogue.root.children:
        yield f"  left in {shelf.path}: {value_of(shelf, left)} EUR"
