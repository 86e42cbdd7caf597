"""The bytes of one block become records.

Threads: any. Owns: nothing. Fails: never on hostile bytes: decoding stops at the first
record that cannot be one, and says where.
"""

from __future__ import annotations

from kolo_c.store.decoding import DAMAGE, unpacker_for
from kolo_c.store.records import (
    Call,
    Caught,
    Entered,
    Handled,
    Log,
    MarkRecord,
    Note,
    Plugin,
    PluginEnd,
    Raise,
    Record,
    Region,
    RegionEnd,
    Resume,
    Return,
    TaskSwitch,
    Throw,
    Yield,
)
from kolo_c.store.slotted import Slotted
from kolo_c.store.values import Dict, Value
from kolo_c.wire import NODE_KINDS, Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Fields = list[Value]
    _Reader = Callable[[int, int, list[Value]], Record]


class Decoded(Slotted):
    """The records of a block, and what was wrong with its bytes, if anything."""

    __slots__ = ("records", "damage")

    def __init__(self, damage: str = "") -> None:
        self.records: list[Record] = []
        self.damage = damage


def decode_records(data: bytes, base_ns: int, first_node: int) -> Decoded:
    """Decode a block's bytes."""
    try:
        records = _decode(data, base_ns, first_node)
    except DAMAGE:
        return _decode_until_damage(data, base_ns, first_node)
    decoded = Decoded()
    decoded.records = records
    return decoded


def _decode(data: bytes, base_ns: int, first_node: int) -> list[Record]:
    """Decode all; raises where something is wrong, and does not know where."""
    records: list[Record] = []
    append = records.append
    ns = base_ns
    node = first_node
    unpacker = unpacker_for(data)
    # Slices keep the lists that records are: read_list sees no mark in them.
    for fields in unpacker:
        kind = fields[0]
        passed = fields[1]
        if passed.__class__ is not int or passed < 0:
            raise ValueError("a number was expected")
        ns += passed
        # Nine of ten records are these two: no call of ours is made for them.
        if kind == 0:
            code = fields[2]
            site = fields[3]
            if code.__class__ is not int or code < 0:
                raise ValueError("a number was expected")
            if site is not None and (site.__class__ is not int or site < 0):
                raise ValueError("an offset was expected")
            append(Call(ns, node, code, site, fields[4:]))
            node += 1
        elif kind == 1:
            append(Return(ns, 0, fields[2], fields[3:]))
        elif kind in NODE_KINDS:
            append(_READERS[kind](ns, node, fields))
            node += 1
        else:
            append(_READERS[kind](ns, 0, fields))
    # Of a record that is cut between two of its elements msgpack says nothing. What
    # comes next is part of it then.
    unpacker.feed(b"\xc0")
    if unpacker.unpack() is not None:
        raise ValueError("a record is cut")
    return records


def skim_records(
    data: bytes, base_ns: int, first_node: int
) -> Iterator[tuple[int, int, Fields]]:
    """(time, number of the node or 0, fields) of each record, up to the first damage.

    A fifth of the work of ``decode_records``, for whoever looks for one record:
    ``make_record`` makes it.
    """
    ns = base_ns
    node = first_node
    try:
        for fields in unpacker_for(data):
            passed = fields[1]
            if passed.__class__ is not int or passed < 0:
                return
            ns += passed
            kind = fields[0]
            if kind != 1 and kind in NODE_KINDS:
                yield ns, node, fields
                node += 1
            else:
                yield ns, 0, fields
    except DAMAGE:
        return


def make_record(ns: int, node: int, fields: Fields) -> Record | None:
    """The record that these fields are; None where they are none."""
    try:
        return _READERS[fields[0]](ns, node, fields)
    except DAMAGE:
        return None


def _decode_until_damage(data: bytes, base_ns: int, first_node: int) -> Decoded:
    """Decode what comes before the damage, and say where that is."""
    decoded = Decoded()
    ns = base_ns
    node = first_node
    at = 0
    try:
        unpacker = unpacker_for(data)
        while at < len(data):
            fields = unpacker.unpack()
            kind = fields[0]
            ns += _int(fields[1])
            is_node = kind in NODE_KINDS
            decoded.records.append(_READERS[kind](ns, node if is_node else 0, fields))
            node += is_node
            at = unpacker.tell()
    except DAMAGE as error:
        what = str(error) or type(error).__name__
        decoded.damage = f"no record at byte {at} of {len(data)} ({what})"
    return decoded


def _int(value: Value) -> int:
    if value.__class__ is not int or value < 0:
        raise ValueError("a number was expected")
    return value


def _offset(value: Value) -> int | None:
    return None if value is None else _int(value)


def _str(value: Value) -> str:
    if value.__class__ is not str:
        raise ValueError("a text was expected")
    return value


def _values(value: Value) -> Value:
    return Dict(()) if value is None else value


_READERS: dict[int, _Reader] = {
    Kind.CALL: lambda ns, node, f: Call(ns, node, _int(f[2]), _offset(f[3]), f[4:]),
    Kind.RETURN: lambda ns, node, f: Return(ns, node, f[2], f[3:]),
    Kind.RAISE: lambda ns, node, f: Raise(ns, node, f[2], _offset(f[3]), f[4:]),
    Kind.YIELD: lambda ns, node, f: Yield(ns, node, f[2], _offset(f[3])),
    Kind.RESUME: lambda ns, node, f: Resume(
        ns, node, _offset(f[2]), _int(f[3]), _int(f[4]), _offset(f[5])
    ),
    Kind.THROW: lambda ns, node, f: Throw(
        ns, node, _offset(f[2]), _int(f[3]), _int(f[4]), _offset(f[5]), f[6]
    ),
    Kind.ENTERED: lambda ns, node, f: Entered(ns, node, _int(f[2]), _offset(f[3])),
    Kind.HANDLED: lambda ns, node, f: Handled(
        ns, node, _offset(f[2]), _int(f[3]), f[4]
    ),
    Kind.CAUGHT: lambda ns, node, f: Caught(
        ns, node, _offset(f[2]), _int(f[3]), _offset(f[4]), _offset(f[5]), f[6]
    ),
    Kind.TASK: lambda ns, node, f: TaskSwitch(ns, node, _int(f[2])),
    Kind.REGION: lambda ns, node, f: Region(ns, node, _str(f[2]), _values(f[3])),
    Kind.REGION_END: lambda ns, node, f: RegionEnd(ns, node, f[2]),
    Kind.NOTE: lambda ns, node, f: Note(ns, node, _str(f[2]), _values(f[3])),
    Kind.LOG: lambda ns, node, f: Log(
        ns, node, f[2], f[3], _str(f[4]), _offset(f[5]) if len(f) > 5 else None
    ),
    Kind.PLUGIN: lambda ns, node, f: Plugin(
        ns, node, _int(f[2]), _values(f[3]), _offset(f[4])
    ),
    Kind.PLUGIN_END: lambda ns, node, f: PluginEnd(ns, node, _values(f[2]), f[3]),
    Kind.MARK: lambda ns, node, f: MarkRecord(
        ns, node, _int(f[2]), f[3], _offset(f[4])
    ),
}
