"""How a part is registered.

Threads: importing only. Owns: the list of parts. Fails: never.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.validate.generate.draft import Draft

    Writer = Callable[[Draft, int], list[str]]


class Part(NamedTuple):
    """Writes the body of a function, which may cost so many records."""

    name: str
    write: Writer
    since: tuple[int, int]
    prompt: bool
    """What it lets go of has to end at once."""


PARTS: list[Part] = []


def part(
    since: tuple[int, int] = (3, 10), prompt: bool = False
) -> Callable[[Writer], Writer]:
    """The function below writes the part of its name."""

    def register(write: Writer) -> Writer:
        PARTS.append(Part(write.__name__, write, since, prompt))
        return write

    return register
