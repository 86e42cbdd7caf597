"""What a benchmark says: rows with their limit and their proof, and the statistics.

A row is void, and says why, where what was recorded is not what the program did: then
its number says nothing.

Threads: any. Owns: nothing. Fails: ValueError on an empty series.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Proof:
    """What was recorded, read back from the store, against what the program did."""

    made: dict[str, int]
    """Records by kind that the program must have left."""
    read: dict[str, int]
    lost: int
    waited_ns: int

    def objection(self) -> str:
        """Why the row is void; empty where it is not."""
        if self.lost:
            return f"{self.lost} records were lost"
        if self.made != self.read:
            kinds = sorted(set(self.made) | set(self.read))
            differing = [
                f"{kind} {self.read.get(kind, 0)} of {self.made.get(kind, 0)}"
                for kind in kinds
                if self.read.get(kind, 0) != self.made.get(kind, 0)
            ]
            return f"read back: {', '.join(differing)}"
        return ""


@dataclass
class Row:
    """One line of a figure."""

    name: str
    unit: str
    value: float | None
    """The median where there are several rounds; what ``most`` and ``least`` judge."""
    p99: float | None = None
    rounds: int = 1
    most: float | None = None
    least: float | None = None
    proof: Proof | None = None
    void: str = ""
    values: dict[str, float] = field(default_factory=dict)
    """What stands beside: times with their unit in the name, and reference rows."""

    def __post_init__(self) -> None:
        if self.proof is not None and not self.void:
            self.void = self.proof.objection()

    @property
    def verdict(self) -> str:
        """``void``, ``pass``, ``fail``, or ``-`` where nothing is required."""
        if self.void:
            return "void"
        if self.value is None or (self.most is None and self.least is None):
            return "-"
        over = self.most is not None and self.value > self.most
        under = self.least is not None and self.value < self.least
        return "fail" if over or under else "pass"

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the results' file."""
        return {**asdict(self), "verdict": self.verdict}


@dataclass
class Figure:
    """One benchmark's result."""

    name: str
    title: str
    method: str
    rows: list[Row]


def median(series: Iterable[float]) -> float:
    """The middle, or the mean of the two in the middle."""
    ordered = _ordered(series)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) / 2


def percentile(series: Iterable[float], part: float) -> float:
    """The nearest rank: the smallest value that ``part`` of all are not above."""
    ordered = _ordered(series)
    return ordered[max(math.ceil(part * len(ordered)) - 1, 0)]


def geometric_mean(series: Iterable[float]) -> float:
    """The mean that is right for ratios."""
    ordered = _ordered(series)
    return math.exp(sum(math.log(value) for value in ordered) / len(ordered))


def ratios_over(
    traced: Sequence[float], floor: Sequence[float], untraced: Sequence[float]
) -> list[float]:
    """(traced - untraced) / (floor - untraced), round by round.

    A round that something else disturbed so much that the floor came out below the
    untraced program has no ratio: it counts as infinite, not as absent.
    """
    return [
        (one - none) / (noop - none) if noop > none else math.inf
        for one, noop, none in zip(traced, floor, untraced, strict=True)
    ]


def times(expected: Mapping[str, int], count: int) -> dict[str, int]:
    """``expected`` of one turn, for ``count`` turns."""
    return {kind: number * count for kind, number in expected.items()}


def add(one: Mapping[str, int], two: Mapping[str, int]) -> dict[str, int]:
    """The sums by kind."""
    return {kind: one.get(kind, 0) + two.get(kind, 0) for kind in {**one, **two}}


def _ordered(series: Iterable[float]) -> list[float]:
    ordered = sorted(series)
    if not ordered:
        raise ValueError("a series without values has no middle")
    return ordered
