"""The definitions log: bytes become what its numbers stand for.

Threads: any. Owns: nothing. Fails: never on hostile bytes: reading stops at the first
definition that cannot be one, and says where.
"""

from __future__ import annotations

from kolo_c.store.decoding import DAMAGE, unpacker_for
from kolo_c.store.definitions import (
    Code,
    PluginKind,
    SourceFile,
    Task,
    Thread,
    TraceBegin,
    TraceDrop,
    TraceFinish,
    TraceSet,
    TypeName,
)
from kolo_c.wire import Definition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kolo_c.store.values import Value


def decode_definitions(data: bytes) -> tuple[list[tuple[int, Any]], str]:
    """The (number, definition) in a piece of the log, and what was wrong with it."""
    found: list[tuple[int, Any]] = []
    at = 0
    try:
        unpacker = unpacker_for(data)
        while at < len(data):
            fields = unpacker.unpack()
            found.append((_int(fields[1]), _definition(fields)))
            at = unpacker.tell()
    except DAMAGE as error:
        return found, f"no definition at byte {at} of {len(data)} ({error})"
    return found, ""


def _definition(fields: list[Value]) -> Any:
    read = _READERS.get(fields[0])
    return None if read is None else read(fields)


def _int(value: Value) -> int:
    if value.__class__ is not int:
        raise ValueError("a number was expected")
    return value


def _maybe_int(value: Value) -> int | None:
    return None if value is None else _int(value)


def _str(value: Value) -> str:
    if value.__class__ is not str:
        raise ValueError("a text was expected")
    return value


def _maybe_str(value: Value) -> str | None:
    return None if value is None else _str(value)


def _names(value: Value) -> tuple[str, ...]:
    if value.__class__ is not list:
        raise ValueError("a list of names was expected")
    return tuple(_str(name) for name in value)


def _code(f: list[Value]) -> Code:
    table = b"" if f[9] is None else f[9]  # it was too long for the log
    if table.__class__ is not bytes:
        raise ValueError("a line table was expected")
    return Code(
        number=_int(f[1]),
        file=_int(f[2]),
        qualname=_str(f[3]),
        module=_maybe_str(f[4]),
        first_line=_int(f[5]),
        flags=_int(f[6]),
        arguments=_names(f[7]),
        locals=_names(f[8]),
        line_table=table,
        self_kind=_int(f[10]),
        name=_str(f[11]),
    )


def _trace_begin(f: list[Value]) -> TraceBegin:
    return TraceBegin(
        trace=_int(f[2]),
        id=_str(f[3]),
        kind=_str(f[4]),
        name=_str(f[5]),
        parent=_maybe_str(f[6]),
        start_ns=_int(f[7]),
        start_utc_ns=_int(f[8]),
        attributes=_str(f[9]) if f[9] is not None else "{}",
    )


def _trace_finish(f: list[Value]) -> TraceFinish:
    return TraceFinish(
        trace=_int(f[2]),
        end_ns=_int(f[3]),
        cause=_maybe_str(f[4]),
        counters=_maybe_str(f[5]) or "{}",
        name=_maybe_str(f[6]),
        attributes=_maybe_str(f[7]),
    )


_READERS: dict[int, Callable[[list[Value]], Any]] = {
    Definition.STRING: lambda f: _str(f[2]),
    Definition.CODE: _code,
    Definition.TYPE: lambda f: TypeName(_maybe_str(f[2]), _str(f[3])),
    Definition.FILE: lambda f: SourceFile(
        _str(f[2]), _maybe_int(f[3]), _maybe_int(f[4]), _maybe_str(f[5])
    ),
    Definition.THREAD: lambda f: Thread(
        _int(f[2]), _maybe_str(f[3]), _maybe_int(f[4]), _maybe_int(f[5])
    ),
    Definition.TASK: lambda f: Task(_str(f[2]), _maybe_str(f[3])),
    Definition.TRACE: _trace_begin,
    Definition.TRACE_END: _trace_finish,
    Definition.TRACE_SET: lambda f: TraceSet(
        _int(f[2]), _maybe_str(f[3]), _maybe_str(f[4])
    ),
    Definition.TRACE_DROP: lambda f: TraceDrop(_int(f[2])),
    Definition.PLUGIN_KIND: lambda f: PluginKind(
        _str(f[2]), _str(f[3]), _maybe_str(f[4]) or "", _maybe_str(f[5]) or ""
    ),
}
