"""Values as the tracer wrote them, back as typed Python objects.

What has an exact Python counterpart becomes it (int, datetime, Decimal, …); the rest is
a small frozen class that says what was seen. Types stand in it by definition number:
text.py and jsonable.py look the names up when they are shown.

Threads: any. Owns: nothing. Fails: never on hostile bytes: what has the wrong shape
becomes Broken.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from kolo_c.wire import TAG_EXTENSION, Tag

Value: TypeAlias = Any
"""None, bool, int, float, complex, str, bytes, bytearray, range, list, the classes of
``datetime``, Decimal, UUID, or one of the classes below."""

Pairs: TypeAlias = tuple[tuple[Value, Value], ...]
Fields: TypeAlias = tuple[tuple[str, Value], ...]
DICT = 20


@dataclass(frozen=True, slots=True)
class Dict:
    """A dict, in its order; keys may be any value."""

    pairs: Pairs


@dataclass(frozen=True, slots=True)
class Items:
    """A tuple, set or frozenset."""

    tag: Tag
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class CutText:
    """The beginning of a str of ``length`` characters."""

    text: str
    length: int


@dataclass(frozen=True, slots=True)
class CutBytes:
    """The beginning of ``length`` bytes."""

    data: bytes
    length: int


@dataclass(frozen=True, slots=True)
class CutItems:
    """The first items of a container; ``tag`` 0: a list, 20: a dict (key, value, …)."""

    tag: int
    length: int
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """A value that the budget left out, or (no type) that was not asked for."""

    type: int | None
    length: int | None


@dataclass(frozen=True, slots=True)
class CutInt:
    """An int too big to be kept: its size in bits."""

    bits: int


@dataclass(frozen=True, slots=True)
class File:
    """A path object."""

    type: int
    path: str


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an Enum."""

    type: int
    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class DictObject:
    """An instance of a subclass of dict."""

    type: int
    address: int
    length: int
    pairs: Pairs


@dataclass(frozen=True, slots=True)
class Object:
    """An instance with its plain fields."""

    type: int
    address: int
    fields: Fields


@dataclass(frozen=True, slots=True)
class Ref:
    """An object without its fields."""

    type: int
    address: int


@dataclass(frozen=True, slots=True)
class NamedTuple:
    """A namedtuple."""

    type: int
    fields: Fields


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception: its type, its address while it lived, its ``args``."""

    type: int
    address: int
    args: Value


@dataclass(frozen=True, slots=True)
class Function:
    """A function, by module and qualname."""

    name: str


@dataclass(frozen=True, slots=True)
class Class:
    """A class."""

    type: int


@dataclass(frozen=True, slots=True)
class Module:
    """A module."""

    name: str


@dataclass(frozen=True, slots=True)
class Array:
    """A NumPy array, without its elements."""

    type: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Cycle:
    """The container that stands ``levels`` further up."""

    levels: int


@dataclass(frozen=True, slots=True)
class Masked:
    """A secret that was not written."""

    length: int | None


@dataclass(frozen=True, slots=True)
class Unbound:
    """A local or an argument without a value."""


@dataclass(frozen=True, slots=True)
class Subclass:
    """An instance of a subclass of int, str, …, as its base."""

    type: int
    address: int
    value: Value


@dataclass(frozen=True, slots=True)
class Repr:
    """What the class's own ``__repr__`` said."""

    type: int
    address: int
    text: str


@dataclass(frozen=True, slots=True)
class View:
    """A memoryview and the like, contents not read."""

    type: int
    length: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A value that could not be written, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Broken:
    """Bytes that no version of the writer that we know writes."""

    tag: int
    items: tuple[Value, ...]


class _Mark:
    """The extension that opens a tagged array."""

    __slots__ = ("tag",)

    def __init__(self, tag: int) -> None:
        self.tag = tag


def read_extension(code: int, data: bytes) -> Any:
    """For msgpack: the mark of a tagged array."""
    if code == TAG_EXTENSION and len(data) == 1:
        return _Mark(data[0])
    return Broken(-1, (code, data))


def read_pairs(pairs: Any) -> Dict:
    """For msgpack: a map."""
    return Dict(tuple(pairs))


def read_list(items: list[Value]) -> Value:
    """For msgpack: a list, or what a tagged array stands for."""
    if not items or items[0].__class__ is not _Mark:
        return items
    tag: int = items[0].tag
    rest = items[1:]
    read = _READERS.get(tag)
    if read is not None:
        try:
            return read(*rest)
        except (TypeError, ValueError, ArithmeticError):
            pass  # the shape is wrong, or the date is: Broken keeps what was there
    return Broken(tag, tuple(rest))


def is_marked_tail(value: Value) -> bool:
    """Whether ``value`` is a mark outside a tagged array, which is damage."""
    return value.__class__ is _Mark


def _int(value: Value) -> int:
    if value.__class__ is not int:
        raise TypeError
    return value


def _str(value: Value) -> str:
    if value.__class__ is not str:
        raise TypeError
    return value


def _bytes(value: Value) -> bytes:
    if value.__class__ is not bytes:
        raise TypeError
    return value


def _optional(value: Value) -> int | None:
    return None if value is None else _int(value)


def _by_two(items: Sequence[Value]) -> Pairs:
    if len(items) % 2:
        raise ValueError
    return tuple(zip(items[::2], items[1::2], strict=True))


def _fields(items: Sequence[Value]) -> Fields:
    return tuple((_str(name), value) for name, value in _by_two(items))


def _big_int(value: Value) -> int | CutInt:
    if value.__class__ is int:
        return CutInt(value)
    return int.from_bytes(_bytes(value), "little", signed=True)


def _datetime(*fields: Value) -> datetime.datetime:
    year, month, day, hour, minute, second, microsecond, fold, offset = fields
    zone = None
    if offset is not None:
        zone = datetime.timezone(datetime.timedelta(seconds=offset))
    return datetime.datetime(
        year, month, day, hour, minute, second, microsecond, zone, fold=fold
    )


def _time(hour: int, minute: int, second: int, micro: int, fold: int) -> datetime.time:
    return datetime.time(hour, minute, second, micro, fold=fold)


def _timedelta(days: int, seconds: int, micro: int) -> datetime.timedelta:
    return datetime.timedelta(days, seconds, micro)


def _array(type: Value, shape: Value, dtype: Value) -> Array:
    return Array(_int(type), tuple(_int(size) for size in shape), _str(dtype))


_READERS: dict[int, Callable[..., Value]] = {
    Tag.TUPLE: lambda *items: Items(Tag.TUPLE, items),
    Tag.SET: lambda *items: Items(Tag.SET, items),
    Tag.FROZENSET: lambda *items: Items(Tag.FROZENSET, items),
    Tag.CUT_STR: lambda text, length: CutText(_str(text), _int(length)),
    Tag.CUT_BYTES: lambda data, length: CutBytes(_bytes(data), _int(length)),
    Tag.CUT_ITEMS: lambda tag, length, *items: CutItems(_int(tag), _int(length), items),
    Tag.CUT: lambda type, length: Cut(_optional(type), _optional(length)),
    Tag.BIGINT: _big_int,
    Tag.COMPLEX: lambda real, imaginary: complex(real, imaginary),
    Tag.RANGE: lambda start, stop, step: range(start, stop, step),
    Tag.DATETIME: _datetime,
    Tag.DATE: lambda year, month, day: datetime.date(year, month, day),
    Tag.TIME: _time,
    Tag.TIMEDELTA: _timedelta,
    Tag.DECIMAL: lambda text: decimal.Decimal(_str(text)),
    Tag.UUID: lambda data: uuid.UUID(bytes=_bytes(data)),
    Tag.PATH: lambda type, path: File(_int(type), _str(path)),
    Tag.ENUM: lambda type, name, value: Member(_int(type), _str(name), value),
    Tag.BYTEARRAY: lambda data: bytearray(_bytes(data)),
    Tag.DICT: lambda type, address, length, *items: DictObject(
        _int(type), _int(address), _int(length), _by_two(items)
    ),
    Tag.OBJECT: lambda type, address, *items: Object(
        _int(type), _int(address), _fields(items)
    ),
    Tag.REF: lambda type, address: Ref(_int(type), _int(address)),
    Tag.NAMEDTUPLE: lambda type, *items: NamedTuple(_int(type), _fields(items)),
    Tag.EXCEPTION: lambda type, address, args: Raised(_int(type), _int(address), args),
    Tag.FUNCTION: lambda name: Function(_str(name)),
    Tag.CLASS: lambda type: Class(_int(type)),
    Tag.MODULE: lambda name: Module(_str(name)),
    Tag.NDARRAY: _array,
    Tag.CYCLE: lambda levels: Cycle(_int(levels)),
    Tag.MASKED: lambda length: Masked(_optional(length)),
    Tag.UNBOUND: lambda: Unbound(),
    Tag.SUBCLASS: lambda type, address, value: Subclass(
        _int(type), _int(address), value
    ),
    Tag.REPR: lambda type, address, text: Repr(_int(type), _int(address), _str(text)),
    Tag.VIEW: lambda type, length: View(_int(type), _int(length)),
    Tag.ERROR: lambda reason: Failed(_str(reason)),
}
