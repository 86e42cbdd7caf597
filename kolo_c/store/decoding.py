"""Bytes become values: msgpack's arrays, maps and extensions as the classes of values.

Threads: any. Owns: nothing. Fails: never on hostile bytes: what has the wrong shape
becomes Broken.
"""

from __future__ import annotations

import msgpack

from kolo_c.store import values as v
from kolo_c.store.values import Value
from kolo_c.wire import TAG_EXTENSION, Tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime
    import decimal
    import uuid
    from collections.abc import Callable, Sequence
    from typing import Any


def unpacker_for(data: bytes) -> Any:
    """A msgpack reader of our values over ``data``, bounded by its length."""
    unpacker = msgpack.Unpacker(
        None,
        max_buffer_size=max(len(data), 1),
        strict_map_key=False,
        unicode_errors="surrogatepass",
        ext_hook=read_extension,
        list_hook=read_list,
        object_pairs_hook=read_pairs,
    )
    unpacker.feed(data)
    return unpacker


# Everything that hostile bytes make msgpack or a reader of fields raise.
DAMAGE = (
    msgpack.exceptions.UnpackException,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


def read_extension(code: int, data: bytes) -> Any:
    """For msgpack: the mark of a tagged array."""
    if code == TAG_EXTENSION and len(data) == 1:
        return v.Mark(data[0])
    return v.Broken(-1, (code, data))


def read_pairs(pairs: Any) -> v.Dict:
    """For msgpack: a map."""
    return v.Dict(tuple(pairs))


def read_list(items: list[Value]) -> Value:
    """For msgpack: a list, or what a tagged array stands for."""
    if not items or items[0].__class__ is not v.Mark:
        return items
    tag: int = items[0].tag
    rest = items[1:]
    read = _READERS.get(tag)
    if read is not None:
        try:
            return read(*rest)
        except (TypeError, ValueError, ArithmeticError):
            pass  # the shape is wrong, or the date is: Broken keeps what was there
    return v.Broken(tag, tuple(rest))


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


def _by_two(items: Sequence[Value]) -> v.Pairs:
    if len(items) % 2:
        raise ValueError
    return tuple(zip(items[::2], items[1::2], strict=True))


def _fields(items: Sequence[Value]) -> v.Fields:
    return tuple((_str(name), value) for name, value in _by_two(items))


def _big_int(value: Value) -> int | v.CutInt:
    if value.__class__ is int:
        return v.CutInt(value)
    return int.from_bytes(_bytes(value), "little", signed=True)


def _datetime(*fields: Value) -> datetime.datetime:
    import datetime  # noqa: PLC0415 - few values need it

    year, month, day, hour, minute, second, microsecond, fold, offset = fields
    zone = None
    if offset is not None:
        zone = datetime.timezone(datetime.timedelta(seconds=offset))
    return datetime.datetime(
        year, month, day, hour, minute, second, microsecond, zone, fold=fold
    )


def _date(year: int, month: int, day: int) -> datetime.date:
    import datetime  # noqa: PLC0415

    return datetime.date(year, month, day)


def _time(hour: int, minute: int, second: int, micro: int, fold: int) -> datetime.time:
    import datetime  # noqa: PLC0415

    return datetime.time(hour, minute, second, micro, fold=fold)


def _timedelta(days: int, seconds: int, micro: int) -> datetime.timedelta:
    import datetime  # noqa: PLC0415

    return datetime.timedelta(days, seconds, micro)


def _decimal(text: Value) -> decimal.Decimal:
    import decimal  # noqa: PLC0415

    return decimal.Decimal(_str(text))


def _uuid(data: Value) -> uuid.UUID:
    import uuid  # noqa: PLC0415

    return uuid.UUID(bytes=_bytes(data))


def _array(type: Value, shape: Value, dtype: Value) -> v.Array:
    return v.Array(_int(type), tuple(_int(size) for size in shape), _str(dtype))


_READERS: dict[int, Callable[..., Value]] = {
    Tag.TUPLE: lambda *items: v.Items(Tag.TUPLE, items),
    Tag.SET: lambda *items: v.Items(Tag.SET, items),
    Tag.FROZENSET: lambda *items: v.Items(Tag.FROZENSET, items),
    Tag.CUT_STR: lambda text, length: v.CutText(_str(text), _int(length)),
    Tag.CUT_BYTES: lambda data, length: v.CutBytes(_bytes(data), _int(length)),
    Tag.CUT_ITEMS: lambda tag, length, *items: v.CutItems(
        _int(tag), _int(length), items
    ),
    Tag.CUT: lambda type, length: v.Cut(_optional(type), _optional(length)),
    Tag.BIGINT: _big_int,
    Tag.COMPLEX: lambda real, imaginary: complex(real, imaginary),
    Tag.RANGE: lambda start, stop, step: range(start, stop, step),
    Tag.DATETIME: _datetime,
    Tag.DATE: _date,
    Tag.TIME: _time,
    Tag.TIMEDELTA: _timedelta,
    Tag.DECIMAL: _decimal,
    Tag.UUID: _uuid,
    Tag.PATH: lambda type, path: v.File(_int(type), _str(path)),
    Tag.ENUM: lambda type, name, value: v.Member(_int(type), _str(name), value),
    Tag.BYTEARRAY: lambda data: bytearray(_bytes(data)),
    Tag.DICT: lambda type, address, length, *items: v.DictObject(
        _int(type), _int(address), _int(length), _by_two(items)
    ),
    Tag.OBJECT: lambda type, address, *items: v.Object(
        _int(type), _int(address), _fields(items)
    ),
    Tag.REF: lambda type, address: v.Ref(_int(type), _int(address)),
    Tag.NAMEDTUPLE: lambda type, *items: v.NamedTuple(_int(type), _fields(items)),
    Tag.EXCEPTION: lambda type, address, args: v.Raised(
        _int(type), _int(address), args
    ),
    Tag.FUNCTION: lambda name: v.Function(_str(name)),
    Tag.CLASS: lambda type: v.Class(_int(type)),
    Tag.MODULE: lambda name: v.Module(_str(name)),
    Tag.NDARRAY: _array,
    Tag.CYCLE: lambda levels: v.Cycle(_int(levels)),
    Tag.MASKED: lambda length: v.Masked(_optional(length)),
    Tag.UNBOUND: lambda: v.Unbound(),
    Tag.SUBCLASS: lambda type, address, value: v.Subclass(
        _int(type), _int(address), value
    ),
    Tag.REPR: lambda type, address, text: v.Repr(_int(type), _int(address), _str(text)),
    Tag.VIEW: lambda type, length: v.View(_int(type), _int(length)),
    Tag.ERROR: lambda reason: v.Failed(_str(reason)),
}
