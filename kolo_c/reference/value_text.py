"""Strings and bytes: cut at a character, secrets in them replaced; twin of
``src/trace/value_text.c``.

Strings of subclasses are read by `str`'s own methods. C cannot read a string that was
made by an API older than Python 3.12 and not used since; Python can.

Threads, Owns, Fails: as value.py.
"""

from __future__ import annotations

from kolo_c.reference import mask, value_secret, wire
from kolo_c.reference.known import tells
from kolo_c.reference.value_state import NAME_MAX_BYTES, TEXT_BEYOND
from kolo_c.wire import Tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.reference.mask_shapes import Span
    from kolo_c.reference.value import Values
    from kolo_c.reference.wire import Cursor

_CUT_TEXT_BYTES = 18
"""What CUT_STR adds: array, ext, str head, length."""
_CUT_TEXT_LEAST = 16
"""A beginning shorter than this is not worth it."""
_SPANS_MAX = 8
"""After so many secrets the rest of a text is masked."""
_STARS = b"***"
_BEYOND_LEAST = TEXT_BEYOND - 3
"""So much behind a cut there is where a text goes on: the last character may not
fit."""


def start_of(text: str, count: int) -> str:
    """At most ``count`` characters, as an exact str."""
    return str.__getitem__(text, slice(count))


def transcode(text: str, size: int) -> tuple[bytes, bool]:
    """As many characters as fit ``size`` bytes of UTF-8, lone surrogates as their three
    bytes; and whether all did."""
    some = start_of(text, size).encode("utf-8", "surrogatepass")
    if len(some) <= size:
        return some, str.__len__(text) <= size
    while some[size] & 0xC0 == 0x80:
        size -= 1
    return some[:size], False


def copy_text(text: str, size: int) -> bytes:
    """The beginning of ``text`` in at most ``size`` bytes."""
    return transcode(text, size)[0]


def write_name(cursor: Cursor, text: str, most: int) -> None:
    """Write ``text``, cut at ``most`` bytes with no mark. For names and paths."""
    if type(text) is str and len(text) <= most and text.isascii():
        cursor.str(text.encode("ascii"))
    else:
        cursor.str(copy_text(text, most))


def name_bytes(name: str) -> int:
    """The most bytes that write_name() of ``name`` takes."""
    count = len(name) if name.isascii() else len(name) * 4
    return 2 + min(count, NAME_MAX_BYTES)


def _find_one(
    values: Values, data: bytes, start: int, more: bool
) -> tuple[Span, Span | None] | None:
    """The first secret at or after ``start``: with a known shape, known from elsewhere,
    behind its name; of those that overlap, all. And the one behind its name."""
    named = values.mask.find_pair(data, start)
    found = [
        span
        for span in (
            named,
            mask.find(data, start),
            values.known.find(data, start, more),
        )
        if span is not None
    ]
    if not found:
        return None
    first, end, shape = min(found, key=lambda span: span[0])
    for other in found:
        if other[0] <= end:
            end = max(end, other[1])
    return (first, end, shape), named


def _remember(
    values: Values, data: bytes, named: Span, more: bool, binary: bool
) -> None:
    """What stood behind a secret name in a text is masked from now on."""
    secret = data[named[0] : named[1]]
    if not tells(secret) or (named[1] == len(data) and more):
        return
    if binary:
        value_secret.remember(values, secret)
        return
    try:
        value_secret.remember(values, secret.decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:
        pass


def _find(
    values: Values, data: bytes, keep: int, more: bool, binary: bool
) -> list[Span]:
    """The secrets that begin before the cut, none longer than up to it."""
    spans: list[Span] = []
    at = 0
    while at < keep:
        found = _find_one(values, data, at, more)
        if found is None or found[0][0] >= keep:
            return spans
        (start, at, shape), named = found
        if named is not None and named[0] < at:
            _remember(values, data, named, more, binary)
        if len(spans) == _SPANS_MAX - 1 or at >= keep:
            at = keep
        spans.append((start, at, shape))
    return spans


def _without(data: bytes, spans: list[Span]) -> bytes:
    """With stars in place of the secrets."""
    pieces = []
    at = 0
    for start, end, _ in spans:
        pieces += [data[at:start], _STARS]
        at = end
    return b"".join((*pieces, data[at:]))


def masked(values: Values, text: str) -> str:
    """``text`` without its secrets."""
    if value_secret.is_known(values, text, str.__len__(text)):
        return _STARS.decode()
    data = str.encode(text, "utf-8", "surrogatepass")
    spans = _find(values, data, len(data), False, False)
    values.counters.masked_count += len(spans)
    return _without(data, spans).decode("utf-8", "surrogatepass")


def _write(
    values: Values,
    cursor: Cursor,
    data: bytes,
    have: int,
    keep: int,
    *,
    total: int,
    whole: bool,
    binary: bool = False,
) -> None:
    """``total`` is the length of the whole in its own units; ``whole`` says that
    nothing is missing."""
    window = have if have - keep < TEXT_BEYOND else keep + TEXT_BEYOND
    more = window - keep >= _BEYOND_LEAST
    spans = _find(values, data[:window], keep, more, binary)
    kept = _without(data[:keep], spans)
    if spans:
        values.count_masked(cursor, len(spans))
    if not whole:
        cursor.tag(Tag.CUT_BYTES if binary else Tag.CUT_STR, 2)
        values.count_truncated(cursor)
    cursor.append(wire.pack_bin(len(kept)) if binary else wire.pack_str(len(kept)))
    cursor.append(kept)
    if not whole:
        cursor.uint(total)


def _keep(values: Values, cursor: Cursor, length: int) -> int:
    """How much of ``length`` bytes may be written: all of them, the beginning, or 0 for
    none."""
    room = values.room(cursor)
    limit = values.record(cursor).text_limit
    if length <= limit and length + 5 <= room:
        return length
    if room < _CUT_TEXT_BYTES + _CUT_TEXT_LEAST:
        return 0
    return min(limit, room - _CUT_TEXT_BYTES, length)


def _back_to_character(data: bytes, keep: int) -> int:
    while keep > 0 and data[keep] & 0xC0 == 0x80:
        keep -= 1
    return keep


def _write_wide(values: Values, cursor: Cursor, text: str) -> None:
    """A str that is not ASCII."""
    length = str.__len__(text)
    limit = values.record(cursor).text_limit
    data, all_of_it = transcode(text, limit + TEXT_BEYOND)
    have = len(data)
    keep = _keep(values, cursor, have if all_of_it else limit)
    if keep < have:
        keep = _back_to_character(data, keep)
    if keep == 0:
        values.cut(cursor, text, length)
        return
    whole = all_of_it and keep == have
    _write(values, cursor, data, have, keep, total=length, whole=whole)


def write_str(values: Values, cursor: Cursor, text: str) -> None:
    """A str (or the str in an instance of a subclass) as str, CUT_STR, MASKED or
    CUT."""
    length = str.__len__(text)
    if value_secret.is_known(values, text, length):
        value_secret.masked(values, cursor, length)
    elif str.isascii(text):
        most = values.record(cursor).text_limit + TEXT_BEYOND
        data = start_of(text, most).encode("ascii")
        write_utf8(values, cursor, text, data, length, length)
    else:
        _write_wide(values, cursor, text)


def write_utf8(
    values: Values,
    cursor: Cursor,
    owner: Any,
    data: bytes,
    length: int,
    characters: int,
) -> None:
    """UTF-8 of ``length`` bytes, ``characters`` long as a whole; ``data`` has as much
    of it as may be written, and what is looked at behind it."""
    keep = _keep(values, cursor, length)
    if keep < length:
        keep = _back_to_character(data, keep)
    if keep == 0 and length > 0:
        values.cut(cursor, owner, characters)
        return
    whole = keep == length
    _write(values, cursor, data, length, keep, total=characters, whole=whole)


def write_whole_utf8(values: Values, cursor: Cursor, data: bytes) -> None:
    """The same for what was cut to fit before."""
    count = len(data)
    _write(values, cursor, data, count, count, total=count, whole=True)


def write_binary(
    values: Values, cursor: Cursor, value: bytes | bytearray, mutable: bool
) -> None:
    """A bytes or bytearray."""
    owner: type[Any] = bytearray if mutable else bytes
    length = owner.__len__(value)
    if not mutable and value_secret.is_known(values, value, length):
        value_secret.masked(values, cursor, length)
        return
    keep = _keep(values, cursor, length)
    if mutable and keep == length and length + 9 > values.room(cursor):
        keep = 0
    if keep == 0 and length > 0:
        values.cut(cursor, value, length)
        return
    whole = keep == length
    if mutable and whole:  # what is cut is CUT_BYTES for both
        cursor.tag(Tag.BYTEARRAY, 1)
    data = bytes(owner.__getitem__(value, slice(keep + TEXT_BEYOND)))
    _write(values, cursor, data, length, keep, total=length, whole=whole, binary=True)
