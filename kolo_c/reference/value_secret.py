"""Which names are secret, and which strings were under one; twin of
``src/trace/value_secret.c``.

Both by hash, so that no secret and no object of the program is kept; `str` and `bytes`
themselves are asked for it, so that no `__hash__` of a subclass runs. Where a Python
gives equal str and bytes different hashes, a secret is known as what it was.

Threads, Owns, Fails: as value.py.
"""

from __future__ import annotations

import re
import sys
from itertools import islice

from kolo_c.reference import value_text
from kolo_c.reference.known import tells
from kolo_c.reference.value_state import TEXT_MAX
from kolo_c.wire import Tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from kolo_c.reference.value import Values
    from kolo_c.reference.wire import Cursor

_NAME_LEN_MAX = 128
"""A longer key is no name."""
_SECRET_LEN_LEAST = 6
"""Shorter ones would mask half of the program's words."""
_SECRET_ITEMS_MAX = 32
_PART_ENDS = re.compile(rb"[ ,;=&\"']")
_ATTEMPTS = 5
_SECRET_WIDE_MAX = 1024
"""Bytes of one that is not ASCII."""
_NAMES_MAX = 2048
_SETS = 4096
_WAYS = 4
_HASH_MASK = sys.maxsize * 2 + 1


class Secrets:
    """The strings that were masked: length and hash, the newest of a set first."""

    __slots__ = ("sets", "lengths")

    def __init__(self) -> None:
        self.sets: dict[int, list[tuple[int, int]]] = {}
        self.lengths: set[int] = set()
        """Whether any secret has that length: without it there is no need for a
        hash."""

    def has(self, length: int, hash_: int) -> bool:
        """Whether a string like that was masked."""
        return (length, hash_) in self.sets.get((hash_ & _HASH_MASK) % _SETS, ())

    def add(self, length: int, hash_: int) -> None:
        """Of too many in a set the oldest is forgotten."""
        entries = self.sets.setdefault((hash_ & _HASH_MASK) % _SETS, [])
        entries.insert(0, (length, hash_))
        del entries[_WAYS:]
        self.lengths.add(length)


def _measure(text: Any) -> tuple[int, int] | None:
    """Length and hash of a str or bytes; None for anything else."""
    cls = type(text)
    if issubclass(cls, str):
        return str.__len__(text), str.__hash__(text)
    if issubclass(cls, bytes):
        return bytes.__len__(text), bytes.__hash__(text)
    return None


def is_name(values: Values, name: Any) -> bool:
    """Whether ``name`` (any object) is a str or bytes that is a secret name."""
    cls = type(name)
    if cls is str:
        length = len(name)
    elif issubclass(cls, (str, bytes)):
        length = (str if issubclass(cls, str) else bytes).__len__(name)
    else:
        return False
    if length == 0 or length > _NAME_LEN_MAX:
        return False
    measure = _measure(name)
    assert measure is not None
    known = values.names.get(measure)
    if known is None:
        if len(values.names) >= _NAMES_MAX:
            values.names.clear()
        known = values.names[measure] = _decide_name(values, name)
    return known


def _decide_name(values: Values, name: Any) -> bool:
    if issubclass(type(name), bytes):
        return values.mask.name(bytes.__getitem__(name, slice(None)))[0]
    return values.mask.name(value_text.copy_text(name, _NAME_LEN_MAX * 4))[0]


def is_known(values: Values, text: Any, length: int) -> bool:
    """Whether ``text``, str or bytes of ``length`` characters, was masked before."""
    if length not in values.secrets.lengths:
        return False
    measure = _measure(text)
    return measure is not None and values.secrets.has(*measure)


def remember(values: Values, text: Any) -> None:
    """Mask ``text`` from now on, if it is a string that is long enough; and of `sid=x;
    theme=y` and `Bearer x` the parts that tell."""
    if not _remember(values, text):
        return
    is_bytes = issubclass(type(text), bytes)
    data = _utf8(text) if is_bytes or str.isascii(text) else b""
    if len(data) > TEXT_MAX:
        return
    parts = [part for part in _PART_ENDS.split(data) if tells(part) and part != data]
    for part in parts[:_SECRET_ITEMS_MAX]:
        _remember(values, part if is_bytes else part.decode("ascii"))


def _remember(values: Values, text: Any) -> bool:
    """Whether it was new."""
    measure = _measure(text)
    if measure is None or measure[0] < _SECRET_LEN_LEAST:
        return False
    if measure[0] <= TEXT_MAX:
        values.known.add(_utf8(text))
    if values.secrets.has(*measure):
        return False
    values.secrets.add(*measure)
    return True


def _utf8(text: Any) -> bytes:
    """Its bytes; none where they are too many, as C has no room for them then."""
    if issubclass(type(text), bytes):
        return bytes.__getitem__(text, slice(None))
    if str.isascii(text):
        return str.encode(text, "ascii")
    some, whole = value_text.transcode(text, _SECRET_WIDE_MAX)
    return some if whole else b""


def is_option(values: Values, option: str) -> bool:
    """Whether ``option``, ASCII, has a secret name and its value in the next word."""
    return "=" not in option and is_name(values, option)


def masked(values: Values, cursor: Cursor, length: int | None) -> None:
    """Write MASKED."""
    cursor.tag(Tag.MASKED, 1)
    if length is not None and length < 1 << 32:
        cursor.uint(length)
    else:
        cursor.nil()
    values.count_masked(cursor, 1)


def _first(items_of: Callable[[Any], Iterable[Any]], value: Any) -> list[Any]:
    """The first of what ``value`` holds; another thread may change it on the way."""
    for _ in range(_ATTEMPTS):
        try:
            return list(islice(items_of(value), _SECRET_ITEMS_MAX))
        except RuntimeError:
            continue
    return []


def _remember_items(values: Values, value: Any) -> None:
    """The strings in a container that stands under a secret name."""
    cls = type(value)
    items: Any = ()
    if issubclass(cls, dict):
        items = _first(dict.values, value)
    elif issubclass(cls, list):
        items = list.__getitem__(value, slice(_SECRET_ITEMS_MAX))
    elif issubclass(cls, tuple):
        items = tuple.__getitem__(value, slice(_SECRET_ITEMS_MAX))
    elif issubclass(cls, set):
        items = _first(set.__iter__, value)
    elif issubclass(cls, frozenset):
        items = _first(frozenset.__iter__, value)
    for item in items:
        remember(values, item)


def is_harmless(value: Any) -> bool:
    """Whether ``value`` says nothing: None, bools, the empty string."""
    cls = type(value)
    if issubclass(cls, str):
        return str.__len__(value) == 0
    if issubclass(cls, bytes):
        return bytes.__len__(value) == 0
    return value is None or cls is bool


def learn(values: Values, value: Any) -> None:
    """What ``write`` of ``value`` would remember: for what is written before it and may
    quote it."""
    if _measure(value) is not None:
        remember(values, value)
    else:
        _remember_items(values, value)


def write(values: Values, cursor: Cursor, value: Any) -> None:
    """Write ``value``, which stands under a secret name."""
    learn(values, value)
    measure = _measure(value)
    masked(values, cursor, None if measure is None else measure[0])


def hide(values: Values, name: Any, value: Any) -> bool:
    """Whether ``value``, under ``name``, is a secret."""
    hidden = False
    if is_name(values, name):
        hidden = not is_harmless(value)
        remember(values, value)
    elif issubclass(type(value), str):
        hidden = is_known(values, value, str.__len__(value))
    values.counters.masked_count += hidden
    return hidden
