"""The definitions of one process: what the numbers in records and values stand for.

The log comes in pieces, from SQLite and from the mapping. A piece is decoded when a
number in it is asked for; numbers that nothing defines get a stand-in, never an error.

Threads: one at a time. Owns: what it decoded. Fails: StoreError where a piece cannot be
fetched.
"""

from __future__ import annotations

from bisect import bisect_right

from kolo_c.store.slotted import Slotted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from kolo_c.store.lines import LineTable
    from kolo_c.store.path_map import PathMap


class Code(Slotted):
    """A code object."""

    __slots__ = (
        "number",
        "file",
        "qualname",
        "module",
        "first_line",
        "flags",
        "arguments",
        "locals",
        "line_table",
        "self_kind",
        "name",
    )

    def __init__(
        self,
        number: int,
        file: int,
        qualname: str,
        module: str | None,
        first_line: int,
        flags: int,
        arguments: tuple[str, ...],
        locals: tuple[str, ...],
        line_table: bytes,
        self_kind: int,
        name: str,
    ) -> None:
        self.number = number
        self.file = file
        self.qualname = qualname
        self.module = module
        self.first_line = first_line
        self.flags = flags
        self.arguments = arguments
        self.locals = locals
        self.line_table = line_table
        self.self_kind = self_kind
        """1: the first argument is self; 2: it is cls; 0: neither."""
        self.name = name

    @property
    def raise_names(self) -> tuple[str, ...]:
        """What the values in a RAISE belong to: self first, then the locals."""
        return (*self.arguments[: self.self_kind == 1], *self.locals)


class TypeName(Slotted):
    """A class."""

    __slots__ = ("module", "qualname")

    def __init__(self, module: str | None, qualname: str) -> None:
        self.module = module
        self.qualname = qualname

    @property
    def full(self) -> str:
        """The name with its module, without it for builtins."""
        if self.module in (None, "builtins"):
            return self.qualname
        return f"{self.module}.{self.qualname}"


class SourceFile(Slotted):
    """A file of code; ``text`` only where the code was in no file."""

    __slots__ = ("path", "size", "mtime_ns", "text")

    def __init__(
        self, path: str, size: int | None, mtime_ns: int | None, text: str | None
    ) -> None:
        self.path = path
        self.size = size
        self.mtime_ns = mtime_ns
        self.text = text


class Thread(Slotted):
    """A thread of the process."""

    __slots__ = ("number", "name", "ident", "native_id")

    def __init__(
        self, number: int, name: str | None, ident: int | None, native_id: int | None
    ) -> None:
        self.number = number
        self.name = name
        self.ident = ident
        self.native_id = native_id


class Task(Slotted):
    """An asyncio task or greenlet."""

    __slots__ = ("name", "coroutine")

    def __init__(self, name: str, coroutine: str | None) -> None:
        self.name = name
        self.coroutine = coroutine


class TraceBegin(Slotted):
    """A trace begins."""

    __slots__ = (
        "trace",
        "id",
        "kind",
        "name",
        "parent",
        "start_ns",
        "start_utc_ns",
        "attributes",
    )

    def __init__(
        self,
        trace: int,
        id: str,
        kind: str,
        name: str,
        parent: str | None,
        start_ns: int,
        start_utc_ns: int,
        attributes: str,
    ) -> None:
        self.trace = trace
        self.id = id
        self.kind = kind
        self.name = name
        self.parent = parent
        self.start_ns = start_ns
        self.start_utc_ns = start_utc_ns
        self.attributes = attributes


class TraceSet(Slotted):
    """What the program said of a trace while it ran."""

    __slots__ = ("trace", "name", "attributes")

    def __init__(self, trace: int, name: str | None, attributes: str | None) -> None:
        self.trace = trace
        self.name = name
        self.attributes = attributes


class TraceDrop(Slotted):
    """A trace is not to be stored."""

    __slots__ = ("trace",)

    def __init__(self, trace: int) -> None:
        self.trace = trace


class TraceFinish(Slotted):
    """A trace has ended."""

    __slots__ = ("trace", "end_ns", "cause", "counters", "name", "attributes")

    def __init__(
        self,
        trace: int,
        end_ns: int,
        cause: str | None,
        counters: str,
        name: str | None,
        attributes: str | None,
    ) -> None:
        self.trace = trace
        self.end_ns = end_ns
        self.cause = cause
        self.counters = counters
        self.name = name
        self.attributes = attributes


class PluginKind(Slotted):
    """How the records of a plugin are shown."""

    __slots__ = ("name", "label", "colour", "summary")

    def __init__(self, name: str, label: str, colour: str, summary: str) -> None:
        self.name = name
        self.label = label
        self.colour = colour
        self.summary = summary


class Piece(Slotted):
    """A run of definitions; ``fetch`` gets its bytes."""

    __slots__ = ("first", "fetch", "read")

    def __init__(self, first: int, fetch: Callable[[], bytes]) -> None:
        self.first = first
        self.fetch = fetch
        self.read = False


class Definitions(Slotted):
    """Everything that one process defined."""

    __slots__ = (
        "python",
        "pieces",
        "decoded_pieces",
        "damage",
        "path_map",
        "_found",
        "_lines",
    )

    def __init__(
        self,
        python: str = "",
        found: dict[int, Any] | None = None,
        lines: dict[int, LineTable] | None = None,
    ) -> None:
        """``found`` and ``lines``: what an earlier one of the same process has read."""
        self.python = python
        self.pieces: list[Piece] = []
        self.decoded_pieces = 0
        self.damage: list[str] = []
        self.path_map: PathMap | None = None
        self._found: dict[int, Any] = {} if found is None else found
        self._lines: dict[int, LineTable] = {} if lines is None else lines

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

    def is_code(self, number: int) -> bool:
        """Whether it may be a code object: it is not known to be something else."""
        found = self.get(number)
        return found is None or isinstance(found, Code)

    def type_name(self, number: int) -> TypeName:
        """The class ``number``, or a stand-in for it."""
        found = self.get(number)
        return (
            found if isinstance(found, TypeName) else TypeName(None, f"<type {number}>")
        )

    def path(self, number: int) -> str:
        """Where the file ``number`` is on this machine; empty where it is not known."""
        return self.local_path(self.recorded_path(number))

    def local_path(self, path: str) -> str:
        """Where a file is on this machine."""
        return path if self.path_map is None else self.path_map.local(path)

    def recorded_path(self, number: int) -> str:
        """The path of the file ``number`` as it was recorded; empty: not known."""
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

    def all(self, kind: type[Any]) -> list[tuple[int, Any]]:
        """Every definition of one class, by number; each piece is decoded for it."""
        for piece in self.pieces:
            if not piece.read:
                self._read(piece)
        found = self._found.items()
        return sorted((n, item) for n, item in found if item.__class__ is kind)

    def line(self, code: int, offset: int | None) -> int | None:
        """The line of the instruction at ``offset`` of a code object."""
        if offset is None:
            return None
        table = self._lines.get(code)
        if table is None:
            from kolo_c.store.lines import read_line_table  # noqa: PLC0415 - as below

            row = self.code(code)
            table = read_line_table(row.line_table, row.first_line, self.python)
            self._lines[code] = table
        return table.line(offset)

    def handler_line(self, code: int, offset: int | None) -> int | None:
        """The line of an ``except``, ``finally`` or ``with`` that begins at ``offset``.

        The instruction that takes the exception up has no line: the next one has.
        """
        found = self.line(code, offset)
        return self.line(code, offset + 1) if found is None and offset else found

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
        # The log is decoded only where something is shown: a list does without msgpack.
        from kolo_c.store.definition_log import decode_definitions  # noqa: PLC0415

        items, damage = decode_definitions(piece.fetch())
        if damage:
            self.damage.append(f"definitions from number {piece.first}: {damage}")
        return iter(items)
