"""The sides of a comparison: which core and which hook record the program.

Threads: any. Owns: nothing. Fails: KoloError for a side that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass

from kolo_c.core import choose_core
from kolo_c.errors import KoloError
from kolo_c.hook import NAMES, choose_hook


@dataclass(frozen=True)
class Side:
    """A core and a hook."""

    core: str
    hook: str

    def __str__(self) -> str:
        return f"{self.core}/{self.hook}"

    @property
    def file_name(self) -> str:
        """The same, as a part of a file's name."""
        return f"{self.core}-{self.hook}"


def available_sides() -> list[Side]:
    """Every side that can record here, the one to compare with first."""
    return [Side(core, hook) for core in _cores() for hook in hooks_of(core)]


def _cores() -> list[str]:
    return [core for core in ("c", "python") if choose_core(core).name == core]


def hooks_of(core: str) -> list[str]:
    """The hooks of a core on this Python."""
    return [hook for hook in NAMES if choose_hook(hook, core).name == hook]


def parse_sides(text: str) -> list[Side]:
    """``c/setprofile,python/setprofile``: two sides or more, all of them there; ``c/*``
    is every hook of a core."""
    sides: list[Side] = []
    for word in filter(None, map(str.strip, text.split(","))):
        core = word.removesuffix("/*")
        every = core != word and core in _cores()
        found = [Side(core, hook) for hook in hooks_of(core)] if every else []
        sides += found or [_parse_side(word)]
    if len(sides) < 2:
        raise KoloError(
            f"--sides {text}: two sides make a comparison",
            "Write --sides c/setprofile,python/setprofile; the same one twice shows "
            "whether a program does the same each time.",
            slug="usage",
        )
    return sides


def _parse_side(word: str) -> Side:
    core, slash, hook = word.partition("/")
    side = Side(core, hook)
    found = available_sides()
    if slash and side in found:
        return side
    choice = choose_core(core)
    if slash and core in ("c", "python") and choice.name != core:
        raise KoloError(
            f"the side {word} is not there: {choice.reason}",
            f"There are {_list(found)}.",
        )
    if slash and hook in NAMES:
        raise KoloError(
            f"the side {word} is not there: {choose_hook(hook, core).reason}",
            f"There are {_list(found)}.",
        )
    raise KoloError(
        f"there is no side {word!r} on this Python",
        f"Write core/hook; there are {_list(found)}.",
        slug="usage",
    )


def _list(sides: list[Side]) -> str:
    return ", ".join(map(str, sides)) or "none"
