"""Records as typed objects, decoded from the bytes of one block.

Threads: any. Owns: nothing. Fails: never on hostile bytes: decoding stops at the first
record that cannot be one, and says where.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgpack

from kolo_c.store.values import Dict, Value, read_extension, read_list, read_pairs
from kolo_c.wire import NODE_KINDS, Kind


@dataclass(slots=True)
class Record:
    """What every record has: its kind, its time, and its number if it is a node."""

    ns: int
    node: int

    kind = Kind.MARK


@dataclass(slots=True)
class Call(Record):
    """A function begins. ``site`` is an offset in the nearest kept caller's code."""

    code: int
    site: int | None
    arguments: list[Value]

    kind = Kind.CALL


@dataclass(slots=True)
class Return(Record):
    """The call on top ends with a value."""

    value: Value
    locals: list[Value]

    kind = Kind.RETURN


@dataclass(slots=True)
class Raise(Record):
    """An exception leaves the call on top; None: its type is not known."""

    exception: Value
    offset: int | None
    locals: list[Value]

    kind = Kind.RAISE


@dataclass(slots=True)
class Yield(Record):
    """The call on top is suspended."""

    value: Value
    offset: int | None

    kind = Kind.YIELD


@dataclass(slots=True)
class Resume(Record):
    """A suspended call goes on; ``thread`` None: it is of this stream."""

    thread: int | None
    resumed: int
    code: int
    site: int | None

    kind = Kind.RESUME


@dataclass(slots=True)
class Throw(Record):
    """A suspended call goes on with an exception."""

    thread: int | None
    resumed: int
    code: int
    site: int | None
    exception: Value

    kind = Kind.THROW


@dataclass(slots=True)
class Entered(Record):
    """A call that was running when tracing began."""

    code: int
    offset: int | None

    kind = Kind.ENTERED


@dataclass(slots=True)
class Handled(Record):
    """What an earlier RAISE of unknown type had raised."""

    thread: int | None
    raised: int
    exception: Value

    kind = Kind.HANDLED


@dataclass(slots=True)
class TaskSwitch(Record):
    """From here on the thread runs this task; 0 is none."""

    task: int

    kind = Kind.TASK


@dataclass(slots=True)
class Region(Record):
    """A named part of the program begins."""

    name: str
    values: Value

    kind = Kind.REGION


@dataclass(slots=True)
class RegionEnd(Record):
    """The region on top ends."""

    exception: Value

    kind = Kind.REGION_END


@dataclass(slots=True)
class Note(Record):
    """Something the program wanted to have noted."""

    text: str
    values: Value

    kind = Kind.NOTE


@dataclass(slots=True)
class Log(Record):
    """A line of the program's log."""

    level: Value
    logger: Value
    text: str

    kind = Kind.LOG


@dataclass(slots=True)
class Plugin(Record):
    """What a plugin saw begin."""

    plugin: int
    values: Value

    kind = Kind.PLUGIN


@dataclass(slots=True)
class PluginEnd(Record):
    """What a plugin saw end."""

    values: Value
    exception: Value

    kind = Kind.PLUGIN_END


@dataclass(slots=True)
class MarkRecord(Record):
    """Something about the recording itself."""

    mark: int
    value: Value
    depth: int | None

    kind = Kind.MARK


@dataclass(slots=True)
class Decoded:
    """The records of a block, and what was wrong with its bytes, if anything."""

    records: list[Record] = field(default_factory=list)
    damage: str = ""


def decode_records(data: bytes, base_ns: int, first_node: int) -> Decoded:
    """Decode a block's bytes."""
    decoded = Decoded()
    records = decoded.records
    ns = base_ns
    node = first_node
    at = 0
    try:
        unpacker = unpacker_for(data)
        while at < len(data):
            # Slices keep the lists that records are: read_list sees no mark in them.
            fields = unpacker.unpack()
            kind = fields[0]
            ns += _int(fields[1])
            if kind in NODE_KINDS:
                records.append(_READERS[kind](ns, node, fields))
                node += 1
            else:
                records.append(_READERS[kind](ns, 0, fields))
            at = unpacker.tell()
    except DAMAGE as error:
        what = str(error) or type(error).__name__
        decoded.damage = f"no record at byte {at} of {len(data)} ({what})"
    return decoded


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


_Reader = Callable[[int, int, list[Value]], Record]
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
    Kind.TASK: lambda ns, node, f: TaskSwitch(ns, node, _int(f[2])),
    Kind.REGION: lambda ns, node, f: Region(ns, node, _str(f[2]), _values(f[3])),
    Kind.REGION_END: lambda ns, node, f: RegionEnd(ns, node, f[2]),
    Kind.NOTE: lambda ns, node, f: Note(ns, node, _str(f[2]), _values(f[3])),
    Kind.LOG: lambda ns, node, f: Log(ns, node, f[2], f[3], _str(f[4])),
    Kind.PLUGIN: lambda ns, node, f: Plugin(ns, node, _int(f[2]), _values(f[3])),
    Kind.PLUGIN_END: lambda ns, node, f: PluginEnd(ns, node, _values(f[2]), f[3]),
    Kind.MARK: lambda ns, node, f: MarkRecord(
        ns, node, _int(f[2]), f[3], _offset(f[4])
    ),
}
