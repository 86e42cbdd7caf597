"""What lies in the store-room, and who has a claim on it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from orders import Line


class OutOfStock(Exception):
    """Not enough of a product is left."""

    def __init__(self, product_number: str, wanted: int, left: int) -> None:
        super().__init__(product_number, wanted, left)
        self.product_number = product_number
        self.wanted = wanted
        self.left = left

    def __str__(self) -> str:
        return f"{self.wanted} of {self.product_number} wanted, {self.left} left"


class Stock:
    """Pieces by product number."""

    def __init__(self, numbers: Iterable[str], chance: random.Random) -> None:
        self._pieces = {number: chance.randrange(4, 40) for number in numbers}

    def left(self, product_number: str) -> int:
        """How many there are."""
        return self._pieces.get(product_number, 0)

    def take(self, line: Line) -> None:
        """Take a line's pieces off the shelf, or OutOfStock."""
        left = self.left(line.product_number)
        if left < line.count:
            raise OutOfStock(line.product_number, line.count, left)
        self._pieces[line.product_number] = left - line.count

    def put_back(self, line: Line) -> None:
        """The opposite of take()."""
        self._pieces[line.product_number] += line.count

    @contextmanager
    def reserved(self, lines: list[Line]) -> Iterator[int]:
        """Hold ``lines`` for the block; put all back where it fails."""
        taken: list[Line] = []
        try:
            for line in lines:
                self.take(line)
                taken.append(line)
            yield sum(line.count for line in taken)
        except BaseException:
            for line in reversed(taken):
                self.put_back(line)
            raise
