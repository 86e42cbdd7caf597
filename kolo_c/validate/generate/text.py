"""Source text with places to fill.

Threads: any. Owns: nothing. Fails: KeyError for a place that nothing was given for.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

_PLACE = re.compile(r"\$(\w+)")

Part = str | int | Sequence[str]


def fill(template: str, **parts: Part) -> list[str]:
    """The lines of ``template`` with ``$name`` filled in.

    A place that stands alone in its line may be filled with lines: each gets the
    place's indentation; no lines at all are ``pass``.
    """
    lines: list[str] = []
    for line in textwrap.dedent(template).strip("\n").splitlines():
        bare = line.strip()
        match = _PLACE.fullmatch(bare)
        part = parts[match[1]] if match else ""
        if match and not isinstance(part, (str, int)):
            lines += indent(part or ["pass"], len(line) - len(line.lstrip()))
        else:
            lines.append(_PLACE.sub(lambda found: str(parts[found[1]]), line))
    return lines


def indent(lines: Iterable[str], spaces: int = 4) -> list[str]:
    """``lines`` further in."""
    return [" " * spaces + line if line else line for line in lines]


def block(lines: Sequence[str]) -> list[str]:
    """``lines`` as the body of something: ``pass`` where there is none."""
    return indent(lines or ["pass"])
