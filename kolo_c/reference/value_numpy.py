"""NumPy's arrays and scalars, without importing NumPy; twin of
``src/trace/value_numpy.c``.

C reads the structs of NumPy's binary interface; here the types' own descriptors are
asked, all of them made in C.

Threads, Owns, Fails: as value.py.
"""

from __future__ import annotations

from kolo_c.reference import wire
from kolo_c.reference.instance import type_dict, type_mro
from kolo_c.wire import Tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.reference.value import Values
    from kolo_c.reference.value_state import Shape
    from kolo_c.reference.wire import Cursor

_DTYPE_NAMES = (
    "bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 int64 uint64 float32"
    " float64 longdouble complex64 complex128 clongdouble object bytes str void"
    " datetime64 timedelta64 float16"
).split()
"""By type number."""
_LONG = 7
_ULONG = 8


def _entry(cls: type, name: str) -> Any:
    """What ``cls`` or one of its bases calls ``name``."""
    for base in type_mro(cls):
        entry = type_dict(base).get(name)
        if entry is not None:
            return entry
    return None


def _dtype(descr: Any) -> str:
    number: int = _entry(type(descr), "num").__get__(descr)
    if number in (_LONG, _ULONG):
        size = _entry(type(descr), "itemsize").__get__(descr)
        number += 2 if size == 8 else -2
    if not 0 <= number < len(_DTYPE_NAMES):
        return "user-defined"
    return _DTYPE_NAMES[number]


def write_array(values: Values, cursor: Cursor, value: Any, shape: Shape) -> bool:
    """Shape and dtype."""
    array = type_mro(type(value))[shape.base]
    dimensions = type_dict(array)["shape"].__get__(value)
    if values.room(cursor) < 32 + len(dimensions) * 9:
        values.cut(cursor, value, dimensions[0] if dimensions else None)
        return True
    cursor.tag(Tag.NDARRAY, 3)
    values.type(cursor, type(value))
    cursor.array(len(dimensions))
    for count in dimensions:
        cursor.int(count)
    cursor.text(_dtype(type_dict(array)["dtype"].__get__(value)))
    return True


def write_scalar(cursor: Cursor, value: Any, shape: Shape) -> None:
    """The number that a scalar is."""
    number = _entry(type_mro(type(value))[shape.base], "item")(value)
    if type(number) is bool:
        cursor.bool(number)
    elif type(number) is float:
        cursor.append(wire.pack_double(number))
    else:
        cursor.int(number)
