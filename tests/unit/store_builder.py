"""A writer of segments and mappings in plain Python, for the reader's tests.

It follows docs/reference/wire-format.md and shares no code with the reader but the
numbers in kolo_c/wire.py. A test says what happens in a program; blocks are closed
where the test says so.

    process = ProcessBuilder()
    file = process.file("/app/shop.py")
    main = process.code(file, "main", ("n",))
    trace = process.trace("shop.py")
    stream = trace.stream(process.thread("MainThread"))
    stream.call(main, 3)
    stream.ret(None)
    trace.end()
    store = process.write(tmp_path)
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack

from kolo_c import wire
from kolo_c.wire import Definition, Kind, Tag

SCHEMA = Path(wire.__file__).parent / "store" / "schema.sql"
START_NS = 1_000_000
START_UTC_NS = 1_790_000_000_000_000_000
PROCESS_ID = "01J9ZD0000000000000000PROC"
_COUNTER = iter(range(1, 1 << 30))


def ulid(ending: str = "") -> str:
    """An identifier that no other of this run has."""
    body = f"01J9ZD{next(_COUNTER):020d}"
    return body[: 26 - len(ending)] + ending


def pack(value: Any) -> bytes:
    """msgpack, with lone surrogates as they come."""
    packed: bytes = msgpack.packb(value, unicode_errors="surrogatepass")
    return packed


def tagged(tag: Tag | int, *items: Any) -> list[Any]:
    """A tagged array."""
    return [msgpack.ExtType(1, bytes([tag])), *items]


_ROOM_BYTES = 60_000  # of a block's 64 KiB


@dataclass
class BuiltBlock:
    """A block as it would lie in the mapping."""

    trace: int
    thread: int
    sequence: int
    base_ns: int
    first_node: int
    start_depth: int
    least_depth: int
    data: bytearray = field(default_factory=bytearray)
    closes: list[tuple[int, int, int]] = field(default_factory=list)
    opens: list[int] = field(default_factory=list)
    last_ns: int = 0
    nodes: int = 0
    records: int = 0
    definition: int = 0
    kind: int = 1
    state: int = 2
    saved: int = 0

    def row(self, key: int) -> tuple[Any, ...]:
        """For the table ``block``."""
        closes = b"".join(struct.pack("<QQQ", *close) for close in self.closes)
        opens = b"".join(struct.pack("<Q", node) for node in self.opens)
        return (
            key, self.trace, self.thread, self.sequence, self.base_ns, self.last_ns,
            self.first_node, self.nodes, self.records, self.start_depth,
            self.least_depth, self.definition, len(self.data), closes, opens,
        )  # fmt: skip

    def raw(self) -> bytes:
        """64 KiB for the mapping."""
        committed = len(self.closes) << 32 | len(self.data)
        opens = self.opens if self.state == 2 else []
        header = struct.pack(
            "<IIIIIIQQQQQQIIIIII",
            self.state, self.kind, 1, self.trace, self.thread, self.start_depth,
            self.sequence, self.base_ns, self.first_node, self.definition, committed,
            self.last_ns, self.nodes, self.records, self.least_depth, len(opens),
            self.saved, wire.BLOCK_MAGIC,
        )  # fmt: skip
        tail = b"".join(struct.pack("<Q", node) for node in reversed(opens))
        tail += b"".join(struct.pack("<QQQ", *close) for close in reversed(self.closes))
        room = wire.BLOCK_BYTES - len(header) - len(self.data) - len(tail)
        return header + bytes(self.data) + bytes(room) + tail


class StreamBuilder:
    """The records of one thread in one trace, with its stack."""

    def __init__(self, trace: TraceBuilder, thread: int) -> None:
        self.trace = trace
        self.thread = thread
        self.blocks: list[BuiltBlock] = []
        self.block: BuiltBlock | None = None
        self.stack: list[tuple[int, int]] = []  # node, block it was pushed in
        self.began: dict[int, int] = {}
        self.next_node = 1

    def cut(self) -> None:
        """Hand the block over; the next record opens another."""
        block = self.block
        if block is not None:
            sequence = block.sequence
            block.opens = [node for node, pushed in self.stack if pushed == sequence]
            block.definition = self.trace.process.last_number
        self.block = None

    def record(self, kind: Kind, *fields: Any, after: int = 1000) -> None:
        """A record that neither pushes nor pops; in another block where this is full."""
        clock = self.trace.process
        if self.block is not None and len(self.block.data) > _ROOM_BYTES:
            self.cut()
        clock.now_ns += after
        if self.block is None:
            depth = len(self.stack)
            self.block = BuiltBlock(
                self.trace.number, self.thread, len(self.blocks), clock.now_ns,
                self.next_node, depth, depth, last_ns=clock.now_ns,
            )  # fmt: skip
            self.blocks.append(self.block)
        block = self.block
        block.data += pack([int(kind), clock.now_ns - block.last_ns, *fields])
        block.last_ns = clock.now_ns
        block.records += 1

    def node(self, kind: Kind, *fields: Any, after: int = 1000) -> int:
        """A record that is a node; pushed if its kind is."""
        self.record(kind, *fields, after=after)
        assert self.block is not None
        number = self.next_node
        self.next_node += 1
        self.block.nodes += 1
        if kind in wire.PUSH_KINDS:
            self.began[number] = self.block.sequence
            self.stack.append((number, self.block.sequence))
        return number

    def pop(self, kind: Kind, *fields: Any, after: int = 1000) -> None:
        """A record that takes the top off."""
        self.record(kind, *fields, after=after)
        block = self.block
        assert block is not None
        node, pushed = self.stack.pop()
        if pushed != block.sequence:
            block.least_depth = min(block.least_depth, len(self.stack))
        if self.began.get(node) != block.sequence and kind != Kind.YIELD:
            block.closes.append((node, self.trace.process.now_ns, int(kind)))

    def call(
        self, code: int, *arguments: Any, site: Any = None, after: int = 1000
    ) -> int:
        return self.node(Kind.CALL, code, site, *arguments, after=after)

    def ret(self, value: Any = None, *locals: Any, after: int = 1000) -> None:
        self.pop(Kind.RETURN, value, *locals, after=after)

    def raises(self, exception: Any, offset: int = 0, *locals: Any) -> None:
        self.pop(Kind.RAISE, exception, offset, *locals)

    def yields(self, value: Any = None, offset: int = 0) -> None:
        self.pop(Kind.YIELD, value, offset)

    def resume(
        self, node: int, code: int, thread: Any = None, after: int = 1000,
        site: Any = None,
    ) -> None:  # fmt: skip
        self.record(Kind.RESUME, thread, node, code, site, after=after)
        assert self.block is not None
        self.stack.append((node, self.block.sequence))

    def plugin(
        self, kind: int, fields: Any = None, site: Any = None, after: int = 1000
    ) -> int:
        return self.node(Kind.PLUGIN, kind, fields, site, after=after)

    def plugin_end(
        self, fields: Any = None, exception: Any = None, after: int = 1000
    ) -> None:
        self.pop(Kind.PLUGIN_END, fields, exception, after=after)

    def saw(
        self, kind: int, fields: Any, ended: Any = None, *, site: Any = None,
        took: int = 1000, exception: Any = None,
    ) -> int:  # fmt: skip
        """What a plugin saw begin and end, with nothing recorded within."""
        node = self.plugin(kind, fields, site)
        self.plugin_end(ended, exception, after=took)
        return node

    def log(self, level: int, logger: str, text: str, *site: Any) -> int:
        """Without a site, as it was once written, where none is given."""
        return self.node(Kind.LOG, level, logger, text, *site)

    def mark(self, mark: int, value: Any, depth: Any = None) -> None:
        self.record(Kind.MARK, mark, value, depth)
        if depth is not None:
            assert self.block is not None
            del self.stack[depth:]
            self.block.least_depth = min(self.block.least_depth, depth)


class TraceBuilder:
    """One trace."""

    def __init__(
        self, process: ProcessBuilder, number: int, id: str, name: str
    ) -> None:
        self.process = process
        self.number = number
        self.id = id
        self.name = name
        self.streams: list[StreamBuilder] = []
        self.counters: dict[str, Any] = {}
        self.started_ns = process.now_ns
        self.ended_ns: int | None = None
        self.status = "running"
        self.kind = "process"
        self.cause: str | None = None
        self.parent: str | None = None
        self.attributes: dict[str, Any] = {}

    def stream(self, thread: int) -> StreamBuilder:
        stream = StreamBuilder(self, thread)
        self.streams.append(stream)
        return stream

    def end(self, status: str = "complete", cause: str | None = "exit") -> None:
        for stream in self.streams:
            stream.cut()
        self.ended_ns = self.process.now_ns
        self.status = status
        self.cause = cause

    def row(self) -> tuple[Any, ...]:
        utc = START_UTC_NS + self.started_ns - START_NS
        return (
            self.number, self.id, self.kind, self.name, self.parent,
            self.started_ns, utc, self.ended_ns, self.status, self.cause,
            json.dumps(self.attributes), json.dumps(self.counters),
        )  # fmt: skip


class ProcessBuilder:
    """One process: its definitions, threads and traces."""

    def __init__(self, id: str = "", python: str = "3.11.7", **info: Any) -> None:
        self.id = id or ulid()
        self.info = {"python": python, "config": {"root": "/app"}, **info}
        self.now_ns = START_NS
        self.last_number = 0
        self.pieces: list[tuple[int, bytearray]] = [(1, bytearray())]
        self.threads: list[tuple[int, str, int, int]] = []
        self.traces: list[TraceBuilder] = []
        self.ended = True
        self.pid = 2**22 + 5  # beyond pid_max: nobody has it

    def define(self, kind: Definition, *fields: Any) -> int:
        self.last_number += 1
        self.pieces[-1][1].extend(pack([int(kind), self.last_number, *fields]))
        return self.last_number

    def new_piece(self) -> None:
        """What follows is another row of the log."""
        self.pieces.append((self.last_number + 1, bytearray()))

    def file(self, path: str) -> int:
        return self.define(Definition.FILE, path, 100, 1, None)

    def code(
        self,
        file: int,
        qualname: str,
        arguments: tuple[str, ...] = (),
        *,
        line: int = 1,
        locals: tuple[str, ...] = (),
        table: bytes = b"",
        self_kind: int = 0,
        module: str | None = None,
    ) -> int:
        name = qualname.rpartition(".")[2]
        if module is None:
            module = "__main__" if name == "<module>" else "shop"
        return self.define(
            Definition.CODE, file, qualname, module, line, 3, list(arguments),
            list(locals), table, self_kind, name,
        )  # fmt: skip

    def kind(
        self, name: str, label: str = "", colour: str = "blue", summary: str = ""
    ) -> int:
        """A kind of a plugin's records."""
        label = label or name.upper()
        return self.define(Definition.PLUGIN_KIND, name, label, colour, summary)

    def type(self, qualname: str, module: str = "builtins") -> int:
        return self.define(Definition.TYPE, module, qualname)

    def thread(self, name: str) -> int:
        number = len(self.threads) + 1
        self.threads.append((number, name, 7000 + number, 70 + number))
        self.define(Definition.THREAD, *self.threads[-1])
        return number

    def trace(self, name: str, id: str = "") -> TraceBuilder:
        trace = TraceBuilder(self, len(self.traces) + 1, id or f"trc_{ulid()}", name)
        self.traces.append(trace)
        utc = START_UTC_NS + self.now_ns - START_NS
        self.define(
            Definition.TRACE, trace.number, trace.id, "process", name, None,
            self.now_ns, utc, "{}",
        )  # fmt: skip
        return trace

    def blocks(self) -> list[BuiltBlock]:
        return [b for t in self.traces for s in t.streams for b in s.blocks]

    def write(
        self,
        directory: Path,
        *,
        blocks: list[BuiltBlock] | None = None,
        segment: int = 0,
        compress: Any = None,
    ) -> Path:
        """Write a segment with ``blocks`` (default: all); the store's path."""
        store = directory / ".kolo_c"
        (store / "segments").mkdir(parents=True, exist_ok=True)
        path = self.segment_path(store, segment)
        db = sqlite3.connect(path)
        db.execute("PRAGMA journal_mode = WAL").fetchall()  # PyPy ends it only so
        db.executescript(SCHEMA.read_text())
        db.execute(f"PRAGMA user_version = {wire.SCHEMA_VERSION}")
        ended = (self.now_ns, "exit") if self.ended else (None, None)
        db.execute(
            "INSERT INTO process VALUES (?,?,?,?,?,NULL,NULL,?,?,?)",
            (self.id, segment, self.pid, START_NS, START_UTC_NS, *ended,
             json.dumps(self.info)),
        )  # fmt: skip
        for trace in self.traces:
            db.execute(f"INSERT INTO trace VALUES ({_marks(12)})", trace.row())
        db.executemany("INSERT INTO thread VALUES (?,?,?,?)", self.threads)
        self._write_definitions(db)
        for key, block in enumerate(self.blocks() if blocks is None else blocks, 1):
            db.execute(f"INSERT INTO block VALUES ({_marks(15)})", block.row(key))
            data = bytes(block.data)
            encoding, data = (0, data) if compress is None else (1, compress(data))
            db.execute("INSERT INTO block_data VALUES (?,?,?)", (key, encoding, data))
        db.commit()
        db.close()
        return store

    def _write_definitions(self, db: sqlite3.Connection) -> None:
        for sequence, (first, data) in enumerate(self.pieces):
            following = self.pieces[sequence + 1 : sequence + 2]
            last = following[0][0] - 1 if following else self.last_number
            db.execute(
                "INSERT INTO definition VALUES (?,0,?,?,?)",
                (sequence, first, last, bytes(data)),
            )

    def segment_path(self, store: Path, segment: int = 0) -> Path:
        return store / "segments" / f"{self.id}-{segment}.db"

    def write_mapping(
        self, directory: Path, blocks: list[BuiltBlock], *, definitions: bool = True
    ) -> Path:
        """Write a mapping with ``blocks`` (and the whole definitions log)."""
        store = directory / ".kolo_c"
        (store / "segments").mkdir(parents=True, exist_ok=True)
        all_blocks = list(blocks)
        for sequence, (first, data) in enumerate(self.pieces if definitions else []):
            all_blocks.append(
                BuiltBlock(
                    0, 0, sequence, 0, 0, 0, 0, data=data, definition=first, kind=2
                )
            )
        header = struct.pack(
            "<8sIIII32sQQQQQQII", wire.MAPPING_MAGIC, 1, wire.BLOCK_BYTES,
            len(all_blocks) + 1, self.pid, self.id.encode(), START_NS, START_UTC_NS,
            self.now_ns, START_UTC_NS, 0, 0, 1, 0,
        )  # fmt: skip
        free = bytes(wire.BLOCK_BYTES)
        path = store / "segments" / f"{self.id}.map"
        pages = header.ljust(wire.MAPPING_HEADER_BYTES, b"\0")
        path.write_bytes(pages + b"".join(b.raw() for b in all_blocks) + free)
        return path


class Owner:
    """Holds a mapping's lock, as its living process does."""

    def __init__(self, mapping: Path) -> None:
        self.fd = os.open(mapping, os.O_RDWR)
        fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __enter__(self) -> Owner:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self.fd)


def _marks(count: int) -> str:
    return ",".join("?" * count)
