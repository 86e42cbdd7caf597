"""What a plugin recorded, in one line, for the views: also of kinds nobody knows.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.errors import harmless
from kolo_c.plugins.summary import fill
from kolo_c.store.text import shorten, value_text
from kolo_c.store.values import CutText

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kolo_c.store.definitions import Definitions, PluginKind
    from kolo_c.store.values import Value

WIDTH = 160
"""Characters of a field."""
_LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
_STYLES = frozenset(
    "red orange yellow green cyan blue purple pink grey".split()
)  # fmt: skip


def summary_text(
    kind: PluginKind,
    fields: Mapping[str, Value],
    definitions: Definitions,
    width: int = WIDTH,
) -> str:
    """The line that the kind's template makes of the fields; all of them where it has
    none."""

    def text(name: str) -> str | None:
        return field_text(fields.get(name), definitions, width)

    if kind.summary:
        return harmless(fill(kind.summary, text)).strip()
    shown = [f"{harmless(name)}={text(name)}" for name in fields]
    return shorten(", ".join(shown), 2 * width)


def field_text(
    value: Value, definitions: Definitions, width: int = WIDTH
) -> str | None:
    """A field on one line, a text without quotes; None where it is None."""
    if value is None:
        return None
    if isinstance(value, CutText):
        return shorten(one_line(value.text, width) + "…", width)
    if isinstance(value, str):
        return one_line(value, width)
    return value_text(value, definitions, width)


def one_line(text: str, width: int = WIDTH) -> str:
    """``text`` with single blanks between its words."""
    found = " ".join(text[: 4 * width].split())
    if len(text) > 4 * width:
        found += "…"
    return harmless(shorten(found, width))


def style_of(kind: PluginKind) -> str:
    """The colour of its label, as a screen knows it."""
    return kind.colour if kind.colour in _STYLES else "cyan"


def level_name(level: object) -> str:
    """``WARNING`` for 30; a level between two is called as the one below it."""
    if level.__class__ is not int:
        return str(level) if level is not None else "?"
    assert isinstance(level, int)
    below = [number for number in _LEVELS if number <= level]
    return _LEVELS[below[-1]] if below else str(level)
