"""What a search looks for, in one text or in many at once.

Many texts come as one, a newline behind each. Where nothing in the pattern can match a
newline or look past one, the whole is searched at once; else text by text. Both give
the same answer.

Threads: any. Owns: nothing. Fails: KoloError for what is no regular expression.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import compress

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
_MANY = 64
_WITH_NEWLINE = frozenset(
    {_c.CATEGORY_SPACE, _c.CATEGORY_NOT_DIGIT, _c.CATEGORY_NOT_WORD}
)
_SAFE_PLACES = frozenset({_c.AT_BEGINNING, _c.AT_END, _c.AT_BOUNDARY})
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})


class Matcher:
    """A pattern: a regular expression, or with ``fixed`` a text as it is.

    ``^`` and ``$`` stand for the beginning and the end of each line of a text.
    """

    __slots__ = ("_at_once", "_exact", "_fold", "_needles", "_regex", "numbers", "text")

    def __init__(
        self, pattern: str, *, fixed: bool = False, ignore_case: bool = False
    ) -> None:
        self.text = pattern
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
        given = parsed.state.flags
        self._fold = bool(given & re.IGNORECASE)
        self._at_once = not given & re.DOTALL and _stays_in_line(parsed)
        needles = _needles(parsed)
        literal = all(op is _c.LITERAL and value != _NEWLINE for op, value in parsed)
        self._exact = bool(needles) and literal
        if self._fold and not all(needle.isascii() for needle in needles):
            # Beyond ASCII a letter has company: K and the sign of kelvin.
            needles = ()
        if self._at_once and not self._exact and min(map(len, needles), default=0) < 2:
            needles = ()  # a single character is everywhere
        self._needles = [one.lower() if self._fold else one for one in needles]
        self.numbers = _fits(parsed, self._fold)
        """Whether it can be found in the text of a number or a date."""

    def span(self, text: str) -> tuple[int, int] | None:
        """Where it is found first in ``text``."""
        found = self._regex.search(text)
        return found.span() if found is not None else None

    def any_of(self, texts: Iterable[str]) -> bool:
        """Whether it is found in one of ``texts``."""
        return any(map(self._regex.search, texts))

    def which(self, text: str, packed: bytes) -> list[int]:
        """Of the texts that ``text`` is made of, those in which it is found.

        ``packed`` has the place of each, and the end of all, as 32 bits each.
        """
        if self._needles and not (self._fold and not text.isascii()):
            hay = text.lower() if self._fold else text
            if not any(needle in hay for needle in self._needles):
                return []
            starts = memoryview(packed).cast("I").tolist()
            found = self._find(hay, starts)
            return found if self._exact else self._check(text, starts, found)
        if self._at_once and self._regex.search(text) is None:
            return []
        starts = memoryview(packed).cast("I").tolist()
        if self._at_once:
            return self._search(text, starts)
        return self._check(text, starts, range(len(starts) - 1))

    def _find(self, text: str, starts: Sequence[int]) -> list[int]:
        """The texts with one of the needles in them."""
        found: list[int] = []
        find = text.find
        for needle in self._needles:
            at = find(needle)
            while at >= 0:
                index = bisect_right(starts, at) - 1
                found.append(index)
                at = find(needle, starts[index + 1])
        return found if len(self._needles) == 1 else sorted(set(found))

    def _check(
        self, text: str, starts: Sequence[int], indexes: Iterable[int]
    ) -> list[int]:
        """Those of the texts at ``indexes`` in which it is found."""
        search = self._regex.search
        return [
            index
            for index in indexes
            if search(text[starts[index] : starts[index + 1] - 1])
        ]

    def _search(self, text: str, starts: Sequence[int]) -> list[int]:
        found: list[int] = []
        search = self._regex.search
        count = len(starts) - 1
        end = starts[-1]
        at = 0
        while at < end and (match := search(text, at)) is not None:
            index = bisect_right(starts, match.start()) - 1
            if index >= count:  # an empty match behind the last newline
                break
            found.append(index)
            at = starts[index + 1]
            if len(found) == _MANY and index < _MANY * 4:
                return found + self._search_each(text, starts, index + 1)
        return found

    def _search_each(self, text: str, starts: Sequence[int], begin: int) -> list[int]:
        """Where most texts match, to step from one to the next takes least."""
        count = len(starts) - 1
        lines = text[starts[begin] : -1].split("\n")
        if len(lines) != count - begin:  # some are of several lines
            return self._check(text, starts, range(begin, count))
        return list(compress(range(begin, count), map(self._regex.search, lines)))


def _needles(parsed: Any) -> tuple[str, ...]:
    """Texts of which every match has at least one in it; none where there are none."""
    found: list[tuple[str, ...]] = []
    run = ""
    for op, value in [*parsed, (None, None)]:
        if op is _c.LITERAL and value != _NEWLINE:
            run += chr(value)
            continue
        if run:
            found.append((run,))
            run = ""
        if op is _c.SUBPATTERN and not value[1] and not value[2]:
            found.append(_needles(value[3]))
        elif op is _c.BRANCH:
            branches = [_needles(branch) for branch in value[1]]
            if all(branches):
                found.append(tuple(one for needles in branches for one in needles))
        elif str(op) in _REPEATS and value[0] > 0:
            found.append(_needles(value[2]))
    # The longest is the rarest, and one is found sooner than several.
    return max(
        filter(None, found),
        key=lambda needles: (min(map(len, needles)), -len(needles)),
        default=(),
    )


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
