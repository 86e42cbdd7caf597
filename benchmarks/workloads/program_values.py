"""A script whose calls carry values of many kinds, most of them new in each turn.

Of a turn's ten calls, each has a text, a number or a container that changes: what a
search has to look at. Markers that benchmarks look for stand in known turns.
"""

from __future__ import annotations

import datetime
import sys

CALLS = 10
RARE_EVERY = 100_000
FAILS_EVERY = 1_000
STATES = ("new", "paid", "packed", "shipped", "returned")
DAY = datetime.datetime(2026, 1, 1, 12)


class Cart:
    def __init__(self, number: int) -> None:
        self.number = number

    def total(self, rate: float) -> float:
        return self.number * rate


def price(sku: str, quantity: int) -> float:
    return quantity * 19.99


def describe(state: str, urgent: bool) -> str | None:
    return f"{state}, urgent" if urgent else None


def find_user(number: int) -> dict[str, object]:
    return {"id": number, "name": f"user {number % 5000}", "active": number % 2 == 0}


def read_line(line: str) -> list[str]:
    return line.split(" ")


def measure(seconds: float) -> float:
    return seconds * 1000.0


def due(when: datetime.datetime, days: int) -> str:
    return f"in {days} days"


def check(number: int, *, limit: int = 50) -> bool:
    if number % FAILS_EVERY == 0:
        raise ValueError(f"order {number} is over the limit")
    return number > limit


def note_of(number: int) -> str:
    return "xylophone" if number % RARE_EVERY == 0 else "usual"


def turn(number: int, cart: Cart) -> None:
    price(f"SKU-{number:07d}", number % 9 + 1)
    describe(STATES[number % 5], number % 3 == 0)
    find_user(number)
    read_line(f"2026-01-01 12:00:00 worker[{number}]: request {number * 7} handled")
    measure(number / 997.0)
    due(DAY + datetime.timedelta(hours=number % 5000), number % 30)
    cart.total(0.01 * (number % 100))
    note_of(number)
    try:
        check(number)
    except ValueError:
        pass


def main(turns: int) -> None:
    cart = Cart(7)
    for number in range(1, turns + 1):
        turn(number, cart)


if __name__ == "__main__":
    main(int(sys.argv[1]))
