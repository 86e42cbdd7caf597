"""How many columns of a terminal a text takes, and texts cut to columns.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

_FIRST_WIDE = "\u0300"
"""Every character before it takes one column (controls were escaped before)."""
_ONE_COLUMN = str.maketrans("", "", "→…✗✓–↻▸≥")
"""Ours, beyond ``_FIRST_WIDE``, which need no look at the tables of Unicode."""


def cells(text: str) -> int:
    """The columns that it takes: 2 for a wide character, 0 for a combining one."""
    if text.isascii() or max(text) < _FIRST_WIDE:
        return len(text)
    rest = text.translate(_ONE_COLUMN)
    count = len(text) - len(rest)
    if not rest or max(rest) < _FIRST_WIDE:
        return count + len(rest)
    return count + sum(map(_columns, rest))


def fit(text: str, width: int, mark: str = "…") -> str:
    """``text`` in at most ``width`` columns, its end given up for ``mark``."""
    if cells(text) <= width:
        return text
    room = max(width - cells(mark), 0)
    return _head(text, room) + (mark if width >= cells(mark) else "")


def fit_end(text: str, width: int, mark: str = "…") -> str:
    """``text`` in at most ``width`` columns, its beginning given up for ``mark``."""
    if cells(text) <= width:
        return text
    if width <= cells(mark):
        return _head(mark, width)
    room = width - cells(mark)
    used = 0
    at = len(text)
    while at > 0 and used + _columns(text[at - 1]) <= room:
        at -= 1
        used += _columns(text[at])
    # What combines with a character that is gone would combine with the mark.
    while at < len(text) and _columns(text[at]) == 0:
        at += 1
    return mark + text[at:]


def _head(text: str, room: int) -> str:
    if text.isascii():
        return text[:room]
    used = 0
    for at, char in enumerate(text):
        used += _columns(char)
        if used > room:
            return text[:at]
    return text


def _columns(char: str) -> int:
    if char < _FIRST_WIDE:
        return 1
    import unicodedata  # noqa: PLC0415 - texts of the West do without

    if unicodedata.east_asian_width(char) in "WF":
        return 2
    return 0 if unicodedata.category(char) in ("Mn", "Me", "Cf") else 1
