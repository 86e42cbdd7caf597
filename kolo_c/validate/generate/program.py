"""A generated program, and the Python that it is made for.

Threads: any. Owns: nothing. Fails: ValueError for a version that is not supported.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

LEAST_RECORDS = 50
"""A program that makes fewer proves little: a run that meets one has failed."""


@dataclass(frozen=True)
class Target:
    """The Python that will run the program: its syntax, and what it promises."""

    version: tuple[int, int]
    prompt: bool = True
    """Whether what is let go of ends at once. It does not on PyPy, nor on 3.10 under a
    profile function in Python."""

    def __post_init__(self) -> None:
        if not (3, 10) <= self.version <= (3, 99):
            raise ValueError(f"Python {self.version} is not supported")

    @classmethod
    def here(cls, *, profiled: bool = False) -> Target:
        """The one that runs now; ``profiled`` by a function in Python, or not."""
        version = sys.version_info[:2]
        keeps = profiled and version == (3, 10)
        return cls(version, sys.implementation.name == "cpython" and not keeps)


@dataclass(frozen=True)
class Program:
    """One module with a ``main()``, which it calls when it is run as a script."""

    seed: int
    target: Target
    source: str
    features: frozenset[str] = field(default_factory=frozenset)
    """What it was made of; names of ``FEATURES``."""

    def __str__(self) -> str:
        return self.source
