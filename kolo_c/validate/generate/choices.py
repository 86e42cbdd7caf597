"""Choices that are the same for the same seed on every Python.

Of ``random.Random`` only seeding by a text and ``random()`` are used: those two are
promised never to change, ``choice`` and ``sample`` are not.

Threads: one at a time. Owns: nothing. Fails: IndexError for a pick from nothing.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")


class Choices:
    """A sequence of choices; ``child`` begins another beside it."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self._random = random.Random(seed).random

    def child(self, name: str) -> Choices:
        """Choices of their own for a part: what it takes does not move the others."""
        return Choices(f"{self.seed}/{name}")

    def below(self, bound: int) -> int:
        """0 to ``bound`` - 1."""
        return int(self._random() * bound)

    def between(self, least: int, most: int) -> int:
        """``least`` to ``most``, both included."""
        return least + self.below(most - least + 1)

    def chance(self, percent: int) -> bool:
        """True in ``percent`` of 100."""
        return self.below(100) < percent

    def pick(self, items: Sequence[_T]) -> _T:
        """One of them."""
        return items[self.below(len(items))]

    def weighted(self, items: Sequence[tuple[int, _T]]) -> _T:
        """One of them, as often as its weight says."""
        at = self.below(sum(weight for weight, _ in items))
        for weight, item in items:
            at -= weight
            if at < 0:
                return item
        raise IndexError("nothing to choose from")

    def some(self, items: Sequence[_T], count: int) -> list[_T]:
        """``count`` different ones of them, or all, in an order of their own."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]
