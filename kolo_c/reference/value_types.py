"""Types of the library, read from their fields; twin of ``src/trace/value_types.c``.

Made in C: through the descriptors of their own types, called on the instance whatever
its subclass calls by the same names. Made in Python (UUID, Path, Enum): through their
own slots. A memoryview that was released has forgotten its length for Python, not for
C.

Threads, Owns, Fails: as value.py.
"""

from __future__ import annotations

from types import MethodDescriptorType

from kolo_c.reference import (
    instance,
    value_name,
    value_number,
    value_numpy,
    value_path,
    value_text,
)
from kolo_c.reference.instance import type_dict, type_mro
from kolo_c.reference.value_shape import DATETIME, TIMEZONE, type_name
from kolo_c.reference.value_state import CUT_BYTES, ValueKind
from kolo_c.wire import Tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kolo_c.reference.value import Values
    from kolo_c.reference.value_state import Shape
    from kolo_c.reference.wire import Cursor

_FIXED_BYTES = 64
"""More than any value without text or items takes."""
_SUBCLASS_BYTES = 18
"""Array, ext, type, address."""

# ---- datetime ----

_CLASSES = {kind: cls for cls, kind in DATETIME.items()}
_DELTA = _CLASSES[ValueKind.TIMEDELTA]


def _readers(kind: ValueKind, names: str) -> list[Callable[[Any], Any]]:
    """Read the fields ``names`` of a type of `datetime`."""
    bases = type_mro(_CLASSES[kind])
    readers = []
    for name in names.split():
        # PyPy's are made in Python: `year` is a property, which asks for `_year`.
        slots = [base for base in bases if f"_{name}" in type_dict(base)]
        name = f"_{name}" if slots else name
        owner = next(base for base in bases if name in type_dict(base))
        readers.append(type_dict(owner)[name].__get__)
    return readers


_FIXED_FIELDS = {
    ValueKind.DATETIME: (
        Tag.DATETIME,
        _readers(
            ValueKind.DATETIME, "year month day hour minute second microsecond fold"
        ),
    ),
    ValueKind.DATE: (Tag.DATE, _readers(ValueKind.DATE, "year month day")),
    ValueKind.TIME: (
        Tag.TIME,
        _readers(ValueKind.TIME, "hour minute second microsecond fold"),
    ),
    ValueKind.TIMEDELTA: (
        Tag.TIMEDELTA,
        _readers(ValueKind.TIMEDELTA, "days seconds microseconds"),
    ),
}
_zone_of = _readers(ValueKind.DATETIME, "tzinfo")[0]
_days_of, _seconds_of, _ = _FIXED_FIELDS[ValueKind.TIMEDELTA][1]


def _utcoffset_of(cls: type) -> Callable[..., Any] | None:
    """The method of zoneinfo.ZoneInfo where that is made in C: one that is its own
    type's no ``class`` statement made."""
    if type_name(cls) != "zoneinfo.ZoneInfo":
        return None
    method = type_dict(cls).get("utcoffset")
    own = type(method) is MethodDescriptorType and method.__objclass__ is cls
    return method if own else None


def _offset(moment: Any, zone: Any) -> Any:
    """The offset of ``zone`` at ``moment``, or None where there is none, or code of the
    program's would have to be called. ZoneInfo's looks at no attribute of a datetime
    that is no subclass's."""
    if type(zone) is TIMEZONE:
        return TIMEZONE.utcoffset(zone, None)
    if zone is None or type(moment) is not _CLASSES[ValueKind.DATETIME]:
        return None
    method = _utcoffset_of(type(zone))
    try:
        return method(zone, moment) if method is not None else None
    except Exception:  # of its own
        return None


def _write_offset(cursor: Cursor, moment: Any) -> None:
    offset = _offset(moment, _zone_of(moment))
    if type(offset) is not _DELTA:
        cursor.nil()
        return
    cursor.int(_days_of(offset) * 86400 + _seconds_of(offset))


def _write_fields(cursor: Cursor, value: Any, kind: ValueKind) -> None:
    tag, readers = _FIXED_FIELDS[kind]
    has_zone = kind is ValueKind.DATETIME
    cursor.tag(tag, len(readers) + has_zone)
    for reader in readers:
        cursor.int(reader(value))
    if has_zone:
        _write_offset(cursor, value)


# ---- builtins without a budget of their own ----

_real_of = complex.__dict__["real"].__get__
_imag_of = complex.__dict__["imag"].__get__


def _write_range(values: Values, cursor: Cursor, value: range) -> None:
    values.record(cursor).reserved_bytes += 3 * CUT_BYTES
    cursor.tag(Tag.RANGE, 3)
    values.element(cursor, value.start)
    values.element(cursor, value.stop)
    values.element(cursor, value.step)


def _write_view(values: Values, cursor: Cursor, value: Any, shape: Shape) -> bool:
    """A memoryview; or an array.array or mmap, whose buffer slot is C, but a subclass
    may have a __buffer__ of its own, and a closed mmap has none."""
    if not shape.exact:
        return False
    try:
        if type(value) is memoryview:
            count = value.nbytes
        else:
            with memoryview(value) as view:
                count = view.nbytes
    except ValueError:  # released, closed
        return False
    cursor.tag(Tag.VIEW, 2)
    values.type(cursor, type(value))
    cursor.uint(count)
    return True


# ---- UUID ----


def _write_uuid(cursor: Cursor, value: Any, shape: Shape) -> bool:
    data = value_number.as_bytes(instance.borrow(value, shape.slots, "int"), 16)
    if data is None:
        return False
    cursor.tag(Tag.UUID, 1)
    cursor.bin(data)
    return True


# ---- dispatch ----


def _write_fixed(values: Values, cursor: Cursor, value: Any, shape: Shape) -> bool:
    """Values that take _FIXED_BYTES at most; the caller made sure of them."""
    kind = shape.kind
    if kind is ValueKind.FLOAT:
        cursor.double(value)
    elif kind is ValueKind.COMPLEX:
        cursor.tag(Tag.COMPLEX, 2)
        cursor.double(_real_of(value))
        cursor.double(_imag_of(value))
    elif kind is ValueKind.RANGE:
        _write_range(values, cursor, value)
    elif kind in _FIXED_FIELDS:
        _write_fields(cursor, value, kind)
    elif kind is ValueKind.UUID:
        return _write_uuid(cursor, value, shape)
    elif kind in (ValueKind.VIEW, ValueKind.BUFFER):
        return _write_view(values, cursor, value, shape)
    elif kind is ValueKind.NUMPY_SCALAR:
        value_numpy.write_scalar(cursor, value, shape)
    else:
        return False
    return True


def _write_builtin(values: Values, cursor: Cursor, value: Any, shape: Shape) -> bool:
    """Values of the builtins' own layouts, subclasses included."""
    kind = shape.kind
    if kind is ValueKind.INT:
        value_number.write_int(values, cursor, value)
    elif kind is ValueKind.STR:
        value_text.write_str(values, cursor, value)
    elif kind in (ValueKind.BYTES, ValueKind.BYTEARRAY):
        value_text.write_binary(values, cursor, value, kind is ValueKind.BYTEARRAY)
    elif kind is ValueKind.LIST:
        values.list(cursor, value)
    elif kind is ValueKind.TUPLE:
        values.tuple(cursor, value)
    elif kind in (ValueKind.SET, ValueKind.FROZENSET):
        values.set(cursor, value, kind is ValueKind.FROZENSET)
    elif kind is ValueKind.DECIMAL:
        base = type_mro(type(value))[shape.base]
        value_number.write_decimal(values, cursor, value, base)
    else:
        return False
    return True


_FUNCTIONS = frozenset(
    {ValueKind.FUNCTION, ValueKind.CFUNCTION, ValueKind.METHOD, ValueKind.DESCRIPTOR}
)


def _write_named(values: Values, cursor: Cursor, value: Any, shape: Shape) -> bool:
    kind = shape.kind
    if kind is ValueKind.DICT:
        values.dict(cursor, value, shape.exact)
    elif kind is ValueKind.PATH:
        return value_path.write_path(values, cursor, value, shape)
    elif kind in _FUNCTIONS:
        return value_name.write_function(values, cursor, value)
    elif kind is ValueKind.MODULE:
        value_name.write_module(values, cursor, value)
    elif kind is ValueKind.CLASS:
        cursor.tag(Tag.CLASS, 1)
        values.type(cursor, value)
    elif kind is ValueKind.NDARRAY:
        return value_numpy.write_array(values, cursor, value, shape)
    else:
        return False
    return True


_NOT_OF_THE_LIBRARY = frozenset(
    {ValueKind.OBJECT, ValueKind.OPAQUE, ValueKind.REF_ONLY, ValueKind.METHOD}
)


def write_library(values: Values, cursor: Cursor, value: Any, shape: Shape) -> bool:
    """One of the library's kinds; False where the object cannot be read as such."""
    kind = shape.kind
    if _write_named(values, cursor, value, shape):
        return True
    if kind in _NOT_OF_THE_LIBRARY:
        return False
    is_fixed = kind is ValueKind.FLOAT or kind >= ValueKind.COMPLEX
    need = _FIXED_BYTES if is_fixed else 0
    is_derived = not shape.exact or kind is ValueKind.NUMPY_SCALAR
    if is_derived:
        need += _SUBCLASS_BYTES + CUT_BYTES
    if need > values.room(cursor):
        values.cut(cursor, value, None)
        return True
    before = cursor.at
    if is_derived:
        cursor.tag(Tag.SUBCLASS, 3)
        values.type(cursor, type(value))
        values.address(cursor, value)
    if _write_fixed(values, cursor, value, shape) or _write_builtin(
        values, cursor, value, shape
    ):
        return True
    cursor.rewind(before)  # it cannot be read as what its class claims to be
    return False
