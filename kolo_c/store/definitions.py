"""The definitions of one process: what the numbers in records and values stand for.

The log comes in pieces, from SQLite and from the mapping. A piece is decoded when a
number in it is asked for; numbers that nothing defines get a stand-in, never an error.

Threads: one at a time. Owns: what it decoded. Fails: StoreError where a piece cannot be
fetched.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kolo_c.store.lines import LineTable, read_line_table
from kolo_c.store.records import DAMAGE, unpacker_for
from kolo_c.store.values import Value
from kolo_c.wire import Definition


@dataclass(frozen=True, slots=True)
class Code:
    """A code object."""

    number: int
    file: int
    qualname: str
    module: str | None
    first_line: int
    flags: int
    arguments: tuple[str, ...]
    locals: tuple[str, ...]
    line_table: bytes
    self_kind: int
    """1: the first argument is self; 2: it is cls; 0: neither."""
    name: str

    @property
    def raise_names(self) -> tuple[str, ...]:
        """What the values in a RAISE belong to: self first, then the locals."""
        return (*self.arguments[: self.self_kind == 1], *self.locals)


@dataclass(frozen=True, slots=True)
class TypeName:
    """A class."""

    module: str | None
    qualname: str

    @property
    def full(self) -> str:
        """The name with its module, without it for builtins."""
        if self.module in (None, "builtins"):
            return self.qualname
        return f"{self.module}.{self.qualname}"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of code; ``text`` only where the code was in no file."""

    path: str
    size: int | None
    mtime_ns: int | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread of the process."""

    number: int
    name: str | None
    ident: int | None
    native_id: int | None


@dataclass(frozen=True, slots=True)
class Task:
    """An asyncio task or greenlet."""

    name: str
    coroutine: str | None


@dataclass(frozen=True, slots=True)
class TraceBegin:
    """A trace begins."""

    trace: int
    id: str
    kind: str
    name: str
    parent: str | None
    start_ns: int
    start_utc_ns: int
    attributes: str


@dataclass(frozen=True, slots=True)
class TraceFinish:
    """A trace has ended."""

    trace: int
    end_ns: int
    cause: str | None
    counters: str
    name: str | None
    attributes: str | None


@dataclass(frozen=True, slots=True)
class PluginKind:
    """How the records of a plugin are shown."""

    name: str
    label: str
    colour: str
    summary: str


@dataclass(slots=True)
class Piece:
    """A run of definitions; ``fetch`` gets its bytes."""

    first: int
    fetch: Callable[[], bytes]
    read: bool = False


@dataclass(slots=True)
class Definitions:
    """Everything that one process defined."""

    python: str = ""
    pieces: list[Piece] = field(default_factory=list)
    decoded_pieces: int = 0
    damage: list[str] = field(default_factory=list)
    _found: dict[int, Any] = field(default_factory=dict)
    _lines: dict[int, LineTable] = field(default_factory=dict)

    def add(self, first: int, fetch: Callable[[], bytes]) -> None:
        """Another piece, whose lowest number is ``first``."""
        self.pieces.append(Piece(first, fetch))
        self.pieces.sort(key=lambda piece: piece.first)

    def get(self, number: int) -> Any:
        """What ``number`` stands for; None where nothing defines it."""
        if number not in self._found:
            self._search(number)
        return self._found.get(number)

    def code(self, number: int) -> Code:
        """The code object ``number``, or a stand-in for it."""
        found = self.get(number)
        if isinstance(found, Code):
            return found
        return Code(number, 0, f"<code {number}>", None, 0, 0, (), (), b"", 0, "?")

    def type_name(self, number: int) -> TypeName:
        """The class ``number``, or a stand-in for it."""
        found = self.get(number)
        return (
            found if isinstance(found, TypeName) else TypeName(None, f"<type {number}>")
        )

    def path(self, number: int) -> str:
        """The path of the file ``number``; empty where that is not known."""
        found = self.get(number)
        return found.path if isinstance(found, SourceFile) else ""

    def task(self, number: int) -> Task | None:
        """The task ``number``; None for none."""
        found = self.get(number) if number else None
        return found if isinstance(found, Task) else None

    def plugin(self, number: int) -> PluginKind:
        """The plugin's kind ``number``, or a stand-in for it."""
        found = self.get(number)
        if isinstance(found, PluginKind):
            return found
        return PluginKind(f"<plugin {number}>", f"<plugin {number}>", "", "")

    def line(self, code: int, offset: int | None) -> int | None:
        """The line of the instruction at ``offset`` of a code object."""
        if offset is None:
            return None
        table = self._lines.get(code)
        if table is None:
            row = self.code(code)
            table = read_line_table(row.line_table, row.first_line, self.python)
            self._lines[code] = table
        return table.line(offset)

    def _search(self, number: int) -> None:
        # A piece has the numbers from its first up to the next piece's. Two pieces may
        # overlap (mapping and SQLite), so the search goes on downwards; a number that
        # is nowhere costs one decoding of all, once.
        at = bisect_right(self.pieces, number, key=lambda piece: piece.first)
        for piece in reversed(self.pieces[:at]):
            if not piece.read:
                self._read(piece)
                if number in self._found:
                    return

    def _read(self, piece: Piece) -> None:
        piece.read = True
        self.decoded_pieces += 1
        for number, definition in self._decode(piece):
            self._found[number] = definition

    def _decode(self, piece: Piece) -> Iterator[tuple[int, Any]]:
        items, damage = decode_definitions(piece.fetch())
        if damage:
            self.damage.append(f"definitions from number {piece.first}: {damage}")
        return iter(items)


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
    table = f[9]
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
    Definition.PLUGIN_KIND: lambda f: PluginKind(
        _str(f[2]), _str(f[3]), _maybe_str(f[4]) or "", _maybe_str(f[5]) or ""
    ),
}
