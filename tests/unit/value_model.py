"""Reads what `_encode` writes, and compares it with the objects it was made of.

A tagged array becomes a tuple ``(Tag, element, …)``, an array a list, a map ``Pairs``:
nothing here knows kolo_c's reader, which has tests of its own.
"""

from __future__ import annotations

import datetime
import decimal
import math
import struct
import sys
import uuid
from pathlib import PurePath
from typing import Any

import msgpack

from kolo_c.wire import TAG_EXTENSION, Tag
from tests.unit.build_encode import load
from tests.unit.reference_encoder import PythonEncoder

encoder: Any = PythonEncoder([])
if sys.implementation.name == "cpython":
    encoder = load()
DICT_OF_CUT_ITEMS = 20
"""In CUT_ITEMS the tag of a dict."""


class Pairs(list[tuple[Any, Any]]):
    """A map, in its order; keys may be anything."""


def _read_list(items: list[Any]) -> Any:
    if items and isinstance(items[0], Tag):
        return tuple(items)
    return items


def _read_extension(code: int, data: bytes) -> Tag:
    assert code == TAG_EXTENSION and len(data) == 1
    return Tag(data[0])


def decode(data: bytes) -> list[Any]:
    """All values in ``data``."""
    unpacker = msgpack.Unpacker(
        ext_hook=_read_extension,
        list_hook=_read_list,
        object_pairs_hook=Pairs,
        strict_map_key=False,
        unicode_errors="surrogatepass",
    )
    unpacker.feed(data)
    values = list(unpacker)
    assert unpacker.tell() == len(data)
    return values


def encode(*objects: Any, **how: Any) -> list[Any]:
    """The values of one record that holds ``objects``."""
    data = encoder.encode(objects, **how)
    assert isinstance(data, bytes), data
    values = decode(data)
    assert len(values) == len(objects)
    return values


def encode_one(value: Any, **how: Any) -> Any:
    """What ``value`` is read back as."""
    return encode(value, **how)[0]


def type_number(cls: type) -> int:
    """The definition number that the fake gave ``cls``."""
    encoder.encode((cls,))  # now it has one
    return next(i for i, known in enumerate(encoder.types, 1) if known is cls)


def _same_float(value: float, got: Any) -> bool:
    return isinstance(got, float) and struct.pack("d", value) == struct.pack("d", got)


def _same_items(items: list[Any], got: list[Any]) -> bool:
    return len(items) == len(got) and all(map(same, items, got))


def _same_cut(value: Any, got: Any) -> bool:
    """Whether ``got`` is an honest part of ``value``."""
    if got[0] is Tag.CUT:
        text = str(value) if isinstance(value, decimal.Decimal) else value
        sized = hasattr(text, "__len__") and not isinstance(text, range)
        length = len(text) if sized else None
        return encoder.types[got[1] - 1] is type(value) and got[2] in (length, None)
    if got[0] is Tag.CUT_STR:
        start, length = got[1:]
        return length == len(value) > len(start) and value.startswith(start)
    if got[0] is Tag.CUT_BYTES:
        return got[2] == len(value) and bytes(value).startswith(got[1])
    if got[0] is Tag.BIGINT:
        return bool(value.bit_length() == got[1])
    assert got[0] is Tag.CUT_ITEMS
    kind, length, *items = got[1:]
    if length != len(value):
        return False
    if isinstance(value, dict):
        flat = [part for pair in value.items() for part in pair]
        return kind == DICT_OF_CUT_ITEMS and _same_items(flat[: len(items)], items)
    tags = {list: 0, tuple: Tag.TUPLE, set: Tag.SET, frozenset: Tag.FROZENSET}
    return kind == tags[type(value)] and _same_items(list(value)[: len(items)], items)


CUT_TAGS = {Tag.CUT, Tag.CUT_STR, Tag.CUT_BYTES, Tag.CUT_ITEMS}


def same(value: Any, got: Any) -> bool:
    """Whether ``got`` stands for ``value``, whole or marked as cut."""
    cls = type(value)
    if isinstance(got, tuple) and (
        got[0] in CUT_TAGS or (got[0] is Tag.BIGINT and isinstance(got[1], int))
    ):
        return _same_cut(value, got)
    if value is None or cls in (bool, str, bytes):
        return type(got) is cls and bool(got == value)
    if cls is float:
        return _same_float(value, got)
    if cls is int:
        if -(2**63) <= value < 2**64:
            return type(got) is int and got == value
        return bool(got[0] is Tag.BIGINT) and (
            int.from_bytes(got[1], "little", signed=True) == value
        )
    if cls is list:
        return type(got) is list and _same_items(value, got)
    if cls is dict:
        return type(got) is Pairs and _same_items(
            [part for pair in value.items() for part in pair],
            [part for pair in got for part in pair],
        )
    return _same_tagged(value, got)


def _same_tagged(value: Any, got: Any) -> bool:
    tag, *rest = got
    cls = type(value)
    if cls in (tuple, set, frozenset):
        tags = {tuple: Tag.TUPLE, set: Tag.SET, frozenset: Tag.FROZENSET}
        return tag is tags[cls] and _same_items(list(value), rest)
    if cls is complex:
        return tag is Tag.COMPLEX and all(
            map(_same_float, (value.real, value.imag), rest)
        )
    if cls is range:
        parts = [value.start, value.stop, value.step]
        return tag is Tag.RANGE and _same_items(parts, rest)
    return (tag, *rest) == plain(value)


def plain(value: Any) -> tuple[Any, ...]:
    """What a value of a library type without a type number is written as."""
    if isinstance(value, bytearray):
        return Tag.BYTEARRAY, bytes(value)
    if isinstance(value, datetime.datetime):
        offset = value.utcoffset() if type(value.tzinfo) is datetime.timezone else None
        seconds = None if offset is None else math.floor(offset.total_seconds())
        date = (Tag.DATETIME, value.year, value.month, value.day)
        return (*date, *_time_fields(value), seconds)
    if isinstance(value, datetime.date):
        return Tag.DATE, value.year, value.month, value.day
    if isinstance(value, datetime.time):
        return (Tag.TIME, *_time_fields(value))
    if isinstance(value, datetime.timedelta):
        return Tag.TIMEDELTA, value.days, value.seconds, value.microseconds
    if isinstance(value, decimal.Decimal):
        return Tag.DECIMAL, str(value)
    if isinstance(value, uuid.UUID):
        return Tag.UUID, value.bytes
    assert isinstance(value, PurePath), value
    return Tag.PATH, type_number(type(value)), str(value)


def _time_fields(value: Any) -> tuple[int, ...]:
    return value.hour, value.minute, value.second, value.microsecond, value.fold
