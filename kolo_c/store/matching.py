"""What a search looks for, in one text or in many at once.

Many texts come as one, a newline behind each. Where nothing in the pattern can match a
newline or look past one, the whole is searched at once; else text by text. Both give
the same answer.

Threads: any. Owns: nothing. Fails: KoloError for what is no regular expression.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from kolo_c.errors import KoloError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

try:
    from re import _constants as _c  # type: ignore[attr-defined]
    from re import _parser  # type: ignore[attr-defined]
except ImportError:  # 3.10
    import sre_constants as _c
    import sre_parse as _parser

# Whatever stands in the text of a number, a date, a range, a UUID: 1e-05, inf, nan,
# 2j, range(0, 3), 1 day, 0:00:01, …
_NUMBER_CHARS = frozenset("0123456789+-.:,() abcdefginjrsyE")
_NEWLINE = 10
_WITH_NEWLINE = frozenset(
    {_c.CATEGORY_SPACE, _c.CATEGORY_NOT_DIGIT, _c.CATEGORY_NOT_WORD}
)
_SAFE_PLACES = frozenset({_c.AT_BEGINNING, _c.AT_END, _c.AT_BOUNDARY})
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})


class Matcher:
    """A pattern: a regular expression, or with ``fixed`` a text as it is.

    ``^`` and ``$`` stand for the beginning and the end of each line of a text.
    """

    __slots__ = ("_at_once", "_literal", "_lower", "_regex", "numbers", "pattern")

    def __init__(
        self, pattern: str, *, fixed: bool = False, ignore_case: bool = False
    ) -> None:
        self.pattern = pattern
        source = re.escape(pattern) if fixed else pattern
        flags = re.MULTILINE | (re.IGNORECASE if ignore_case else 0)
        try:
            self._regex = re.compile(source, flags)
            parsed: Any = _parser.parse(source, flags)
        except (re.error, OverflowError, RecursionError) as error:
            raise KoloError(
                f"'{pattern}' is not a regular expression: {error}",
                "To search for it as it stands: -F. The syntax is that of Python's re.",
                slug="usage",
            ) from error
        case = bool(parsed.state.flags & re.IGNORECASE)
        odd = parsed.state.flags & (re.DOTALL | re.LOCALE)
        literal = _literal_of(parsed)
        self._at_once = not odd and _stays_in_line(parsed)
        self._literal = literal if literal and self._at_once and not case else ""
        # Beyond ASCII a character may have several others for company.
        fold = case and self._at_once and literal and literal.isascii()
        self._lower = literal.lower() if fold else ""
        self.numbers = _fits(parsed, case)
        """Whether it can be found in the text of a number or a date."""

    def matches(self, text: str) -> bool:
        """Whether it is found in ``text``."""
        return self._regex.search(text) is not None

    def span(self, text: str) -> tuple[int, int] | None:
        """Where it is found first in ``text``."""
        found = self._regex.search(text)
        return found.span() if found is not None else None

    def any_of(self, texts: Iterable[str]) -> bool:
        """Whether it is found in one of ``texts``."""
        return any(map(self._regex.search, texts))

    def which(self, text: str, starts: Sequence[int]) -> list[int]:
        """Of the texts that ``text`` is made of, those in which it is found.

        ``starts`` has the place of each, and the end of all.
        """
        if len(starts) < 2:
            return []
        if not self._at_once:
            search = self._regex.search
            return [
                index
                for index in range(len(starts) - 1)
                if search(text[starts[index] : starts[index + 1] - 1])
            ]
        if self._literal:
            return _find(text, starts, self._literal)
        if self._lower and text.isascii():
            return _find(text.lower(), starts, self._lower)
        return self._search(text, starts)

    def _search(self, text: str, starts: Sequence[int]) -> list[int]:
        found: list[int] = []
        search = self._regex.search
        end = starts[-1]
        at = 0
        while at < end and (match := search(text, at)) is not None:
            index = bisect_right(starts, match.start()) - 1
            if index >= len(starts) - 1:  # an empty match behind the last newline
                break
            found.append(index)
            at = starts[index + 1]
        return found


def _find(text: str, starts: Sequence[int], literal: str) -> list[int]:
    found: list[int] = []
    find = text.find
    at = find(literal)
    while at >= 0:
        index = bisect_right(starts, at) - 1
        found.append(index)
        at = find(literal, starts[index + 1])
    return found


def _literal_of(parsed: Any) -> str:
    """The text that is all the pattern matches; empty where there is more to it."""
    if all(op is _c.LITERAL for op, _ in parsed):
        return "".join(chr(value) for _, value in parsed)
    return ""


def _stays_in_line(parsed: Any) -> bool:
    """Whether nothing in it can match a newline, or tell one from an end."""
    return all(_item_stays_in_line(op, value) for op, value in parsed)


def _item_stays_in_line(op: Any, value: Any) -> bool:
    name = str(op)
    if op is _c.LITERAL:
        return bool(value != _NEWLINE)
    if op is _c.ANY or name in ("GROUPREF", "FAILURE"):
        return True
    if op is _c.AT:
        return value in _SAFE_PLACES
    if op is _c.IN:
        return not _set_has_newline(value)
    if op is _c.BRANCH:
        return all(_stays_in_line(branch) for branch in value[1])
    if op is _c.SUBPATTERN:
        return not value[1] and not value[2] and _stays_in_line(value[3])
    if name in _REPEATS:
        return _stays_in_line(value[2])
    if name == "ATOMIC_GROUP":
        return _stays_in_line(value)
    if op in (_c.ASSERT, _c.ASSERT_NOT):
        return _stays_in_line(value[1])
    return False  # NOT_LITERAL, \A, \Z, \B, conditions, and what is not known


def _set_has_newline(items: Any) -> bool:
    if items and items[0][0] is _c.NEGATE:
        return not any(_item_is_newline(*item) for item in items[1:])
    return any(
        _item_is_newline(*item) or (item[0] is _c.CATEGORY and item[1] in _WITH_NEWLINE)
        for item in items
    )


def _item_is_newline(op: Any, value: Any) -> bool:
    if op is _c.LITERAL:
        return bool(value == _NEWLINE)
    if op is _c.RANGE:
        return bool(value[0] <= _NEWLINE <= value[1])
    return False


def _fits(parsed: Any, ignore_case: bool) -> bool:
    """Whether it might be found in a text of ``_NUMBER_CHARS``; True if in doubt."""
    for op, value in parsed:
        if op is _c.LITERAL and not _char_fits(value, ignore_case):
            return False
        if op is _c.SUBPATTERN and not value[1] and not _fits(value[3], ignore_case):
            return False
        if op is _c.BRANCH and not any(_fits(one, ignore_case) for one in value[1]):
            return False
        if str(op) in _REPEATS and value[0] > 0 and not _fits(value[2], ignore_case):
            return False
    return True


def _char_fits(value: int, ignore_case: bool) -> bool:
    char = chr(value)
    if not ignore_case:
        return char in _NUMBER_CHARS
    # Beyond ASCII a character may stand for one of ASCII: ſ for s.
    return not char.isascii() or bool({char.lower(), char.upper()} & _NUMBER_CHARS)
