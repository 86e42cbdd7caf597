"""Instances with their fields, and what is left when they cannot be read: type and
address; twin of ``src/trace/value_object.c``.

Threads, Owns, Fails: as value.py.
"""

from __future__ import annotations

import _thread

from kolo_c.reference import instance, value_text
from kolo_c.reference.value_state import (
    CUT_BYTES,
    NAME_MAX_BYTES,
    TYPED_HEAD_BYTES,
    ValueKind,
)
from kolo_c.reference.value_types import write_library
from kolo_c.wire import Tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from kolo_c.reference.value import Values
    from kolo_c.reference.value_state import Record, Shape
    from kolo_c.reference.wire import Cursor

_REF_BYTES = 18
"""Array, ext, type, address."""
_EXCEPTION_BYTES = 18
"""The same, and the args."""
_REPR_MARK = "…".encode()
_MEMBER_BYTES = NAME_MAX_BYTES // 4
"""What the name of a struct sequence's member may take."""
_PLAIN = frozenset(map(id, (int, bool, float, str, bytes)))
"""By address: a class may have an __eq__ of its own."""
_FAILED = b"__repr__ raised an exception"

_args_of = BaseException.__dict__["args"].__get__


def _at_limit(record: Record) -> bool:
    return len(record.open) >= record.depth_limit


def write_ref(values: Values, cursor: Cursor, value: Any) -> None:
    """REF: type and address."""
    if values.room(cursor) < _REF_BYTES:
        values.cut(cursor, value, None)
        return
    cursor.tag(Tag.REF, 2)
    values.type(cursor, type(value))
    values.address(cursor, value)


# ---- fields ----


class _Plan:
    """How many of the fields are written; `names_bytes` are set aside beside the
    values."""

    __slots__ = ("total", "count", "names_bytes")

    def __init__(self, record: Record, names: Iterable[str], room: int) -> None:
        self.total = 0
        self.count = 0
        self.names_bytes = 0
        for name in names:
            need = self.names_bytes + value_text.name_bytes(name)
            if (
                self.count == self.total
                and self.count < record.item_limit
                and need + (self.count + 1) * CUT_BYTES <= room
            ):
                self.names_bytes = need
                self.count += 1
            self.total += 1

    def fits(self, record: Record, room: int) -> bool:
        """Whether anything of it may be written."""
        if room == 0:
            return False
        return self.total == 0 or (not _at_limit(record) and self.count > 0)


def _open(
    values: Values,
    cursor: Cursor,
    tag: Tag,
    head: int,
    total: int,
    count: int,
    names_bytes: int,
) -> None:
    """Open an array of fields, ``head`` elements before them."""
    elements = head + count * 2
    if count < total:
        cursor.tag(Tag.CUT_ITEMS, elements + 2)
        cursor.uint(tag)
        cursor.uint(total)
        values.count_truncated(cursor)
    else:
        cursor.tag(tag, elements)
    values.record(cursor).reserved_bytes += names_bytes + count * CUT_BYTES


def _write_field(values: Values, cursor: Cursor, name: str, value: Any) -> None:
    values.record(cursor).reserved_bytes -= value_text.name_bytes(name)
    value_text.write_name(cursor, name, NAME_MAX_BYTES)
    values.named_element(cursor, name, value)


def _room_for_fields(values: Values, cursor: Cursor) -> int:
    """Room for fields here, behind their head; 0 for none."""
    return max(values.room(cursor) - TYPED_HEAD_BYTES, 0)


def _fields(value: Any, shape: Shape) -> Iterator[tuple[str, Any]]:
    """Those that are written."""
    chosen = shape.chosen
    for name, field in instance.fields(value, shape.slots):
        if chosen is None or name in chosen:
            yield name, field


def write_object(values: Values, cursor: Cursor, value: Any, shape: Shape) -> None:
    """OBJECT: type, address and the fields."""
    record = values.record(cursor)
    room = _room_for_fields(values, cursor)
    if values.cycle(cursor, value):
        return
    fields: Any = list(_fields(value, shape))
    plan = _Plan(record, (name for name, _ in fields), room)
    if not plan.fits(record, room):
        values.count_truncated(cursor)
        write_ref(values, cursor, value)
        return
    values.push(cursor, value)
    names_left = plan.names_bytes
    _open(values, cursor, Tag.OBJECT, 2, plan.total, plan.count, names_left)
    values.type(cursor, type(value))
    values.address(cursor, value)
    if record.user_repr:  # a __repr__ below may change them
        fields = _fields(value, shape)
    written = 0
    if plan.count > 0:
        for name, field in fields:
            names_left -= value_text.name_bytes(name)
            _write_field(values, cursor, name, field)
            written += 1
            if written == plan.count:
                break
    record.reserved_bytes -= names_left
    for _ in range(written, plan.count):  # a user's __repr__ deleted some
        cursor.str(b"")
        values.fill(cursor, 1)
    values.pop(cursor)


# ---- namedtuples and struct sequences ----


def _write_structseq(values: Values, cursor: Cursor, value: Any, shape: Shape) -> None:
    record = values.record(cursor)
    room = _room_for_fields(values, cursor)
    total = tuple.__len__(value)
    count = min(room // (_MEMBER_BYTES + CUT_BYTES), total, record.item_limit)
    if room == 0 or (total > 0 and (_at_limit(record) or count == 0)):
        values.cut(cursor, value, total)
        return
    values.push(cursor, value)
    _open(values, cursor, Tag.NAMEDTUPLE, 1, total, count, count * _MEMBER_BYTES)
    values.type(cursor, type(value))
    for at in range(count):
        name = shape.names[at] if at < len(shape.names) else ""
        record.reserved_bytes -= _MEMBER_BYTES
        cursor.str(name.encode()[:40])
        values.element(cursor, tuple.__getitem__(value, at))
    values.pop(cursor)


def _write_namedtuple(values: Values, cursor: Cursor, value: Any, shape: Shape) -> None:
    record = values.record(cursor)
    room = _room_for_fields(values, cursor)
    if values.cycle(cursor, value):
        return
    plan = _Plan(record, shape.names, room)
    if not plan.fits(record, room):
        values.cut(cursor, value, plan.total)
        return
    values.push(cursor, value)
    total, count = plan.total, plan.count
    _open(values, cursor, Tag.NAMEDTUPLE, 1, total, count, plan.names_bytes)
    values.type(cursor, type(value))
    for at in range(count):
        _write_field(values, cursor, shape.names[at], tuple.__getitem__(value, at))
    values.pop(cursor)


# ---- enums and exceptions ----


def _write_enum(values: Values, cursor: Cursor, value: Any, shape: Shape) -> None:
    stored = list(instance.fields(value, shape.slots))
    names = [field for name, field in stored if name == "_name_"]
    members = [field for name, field in stored if name == "_value_"]
    # A combination of flags may have no name.
    name = names[0] if names and type(names[0]) is str else None
    need = _REF_BYTES + CUT_BYTES
    need += 1 if name is None else value_text.name_bytes(name)
    if not members or values.room(cursor) < need:
        write_ref(values, cursor, value)
        return
    if values.cycle(cursor, value):
        return
    values.push(cursor, value)
    values.record(cursor).reserved_bytes += CUT_BYTES
    cursor.tag(Tag.ENUM, 3)
    values.type(cursor, type(value))
    value_text.write_name(cursor, name or "", NAME_MAX_BYTES)
    values.element(cursor, members[0])
    values.pop(cursor)


def write_exception(values: Values, cursor: Cursor, value: Any) -> None:
    """EXCEPTION: type, address, args."""
    if values.cycle(cursor, value):
        return
    if values.room(cursor) < _EXCEPTION_BYTES + CUT_BYTES:
        write_ref(values, cursor, value)
        return
    values.push(cursor, value)
    values.record(cursor).reserved_bytes += CUT_BYTES
    cursor.tag(Tag.EXCEPTION, 3)
    values.type(cursor, type(value))
    values.address(cursor, value)
    # The args are no level that anyone sees: a group's members have their messages.
    # Once: what is below them is at the limit, or beyond it.
    record = values.record(cursor)
    limit = record.depth_limit
    record.depth_limit = limit + (len(record.open) == limit)
    values.element(cursor, _args_of(value))
    record.depth_limit = limit
    values.pop(cursor)


# ---- the program's own __repr__, asked for ----


def _call_repr(values: Values, cursor: Cursor, value: Any) -> str | None:
    """repr(value), or None; the exception it raised is gone, but a signal's is raised
    again where the program goes on."""
    try:
        return repr(value)
    except KeyboardInterrupt:
        _thread.interrupt_main()
    except BaseException:  # whatever it is, it is the record's alone
        pass
    values.count_error(cursor)
    return None


def write_repr(values: Values, cursor: Cursor, value: Any) -> None:
    """REPR: type, address, what its own __repr__ says."""
    cls = type(value)
    room = values.room(cursor)
    if room < _REF_BYTES + len(_FAILED) + 1 + CUT_BYTES:
        write_ref(values, cursor, value)
        return
    text = _call_repr(values, cursor, value)
    if text is None:
        cursor.tag(Tag.ERROR, 1)
        cursor.str(_FAILED)
        return
    limit = min(room - _REF_BYTES - 8, values.record(cursor).text_limit)
    data, whole = value_text.transcode(text, limit)
    if not whole:
        data += _REPR_MARK
        values.count_truncated(cursor)
    cursor.tag(Tag.REPR, 3)
    values.type(cursor, cls)
    values.address(cursor, value)
    value_text.write_whole_utf8(values, cursor, data)


# ---- dispatch ----


def write_by_shape(values: Values, cursor: Cursor, value: Any) -> None:
    """What is none of the commonest builtins."""
    shape = values.shape(type(value))
    kind = shape.kind
    if kind is ValueKind.ENUM:
        _write_enum(values, cursor, value, shape)
    elif kind is ValueKind.EXCEPTION:
        write_exception(values, cursor, value)
    elif kind is ValueKind.NAMEDTUPLE:
        if len(shape.names) == tuple.__len__(value):
            _write_namedtuple(values, cursor, value, shape)
        else:
            values.tuple(cursor, value)
    elif kind is ValueKind.STRUCTSEQ:
        _write_structseq(values, cursor, value, shape)
    elif kind is ValueKind.REF_ONLY:
        write_ref(values, cursor, value)
    elif not write_library(values, cursor, value, shape):
        slots = shape.slots
        is_bare = not slots.list and not slots.has_dict
        if values.record(cursor).user_repr:
            write_repr(values, cursor, value)
        elif (is_bare and kind is not ValueKind.OBJECT) or (
            slots.only_c and not any(instance.fields(value, slots))
        ):
            write_ref(values, cursor, value)
        else:
            write_object(values, cursor, value, shape)


def is_plain(value: Any) -> bool:
    """Values that are plain however they are asked for."""
    cls = type(value)
    return value is None or id(cls) in _PLAIN or issubclass(cls, type)
