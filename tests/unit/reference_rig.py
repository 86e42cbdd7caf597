"""A small process in a test: the plain half of the Python core put together.

The twin of tests/c/rig.c. Records are NOTEs that carry a number, 1, 2, 3 …; each needs
the definition with the number record // RECORDS_A_DEFINITION + 1, which the rig writes to
the log first, as a tracer would. Reading back counts what a segment has of them.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import msgpack

from kolo_c.reference import clock
from kolo_c.reference.block import BLOCK_DEFINITIONS, BLOCK_RECORDS, Block
from kolo_c.reference.mapping import MAPPING_BLOCKS, Mapping
from kolo_c.reference.queue import Queue
from kolo_c.reference.status import Status
from kolo_c.reference.stream import Stream
from kolo_c.reference.wire import Cursor
from kolo_c.reference.writer import Writer
from kolo_c.store.compression import expand
from kolo_c.wire import SCHEMA_VERSION, Definition, Kind
from tests.unit.store_builder import SCHEMA as SCHEMA_PATH

RECORDS_A_DEFINITION = 50
PROCESS = "01J0000000000000000000TEST"
SCHEMA = SCHEMA_PATH.read_text(encoding="utf-8")
WAIT_NS = 20_000_000_000


def _string(cursor: Cursor) -> None:
    cursor.text("a definition that is as long as a qualname with its module")


class Rig:
    """Mapping, queue, writer, a definitions log and a stream."""

    def __init__(
        self, folder: Path, blocks: int = MAPPING_BLOCKS, **options: object
    ) -> None:
        self.folder = folder
        self.map_path = folder / f"{PROCESS}.map"
        self.mapping = Mapping()
        status, self.reason = self.mapping.create(str(self.map_path), blocks, PROCESS)
        assert status is Status.OK
        self.queue = Queue()
        self.log = Stream(0, 0)
        self.stream = Stream(1, 1)
        self.definition = 0
        self.record = 0
        self.payload = 30
        self.writer = Writer(
            self.mapping,
            self.queue,
            directory=str(folder),
            process_id=PROCESS,
            schema=SCHEMA,
            schema_version=SCHEMA_VERSION,
            info='{"argv": []}',
            **options,  # type: ignore[arg-type]
        )

    def start(self) -> Rig:
        """The segment, the log's first definitions, and the writer."""
        status = self.writer.open(clock.ns(), clock.utc_ns())
        assert status is Status.OK, self.writer.error_text
        self.define_thread("MainThread")
        self.define_trace(1, "trc_01J00000000000000000000001")
        assert self.writer.start() is Status.OK
        return self

    def take(self) -> Block:
        block = self.mapping.take_wait(time.monotonic_ns() + WAIT_NS)
        assert block is not None
        return block

    def define(
        self, kind: int, number: int, fields: Callable[[Cursor], None], count: int
    ) -> None:
        """Append a definition; the log goes to its next block where this is full."""
        while True:
            cursor = self.log.begin_plain()
            cursor.array(count + 2)
            cursor.uint(kind)
            cursor.uint(number)
            fields(cursor)
            if cursor.status is Status.OK:
                self.log.commit(cursor, clock.ns())
                break
            full = self.log.take_block(None, 0)
            following = self.take()
            self.log.give_block(following, BLOCK_DEFINITIONS, clock.ns())
            while self.queue.set_definitions(following, full) is Status.FULL:
                assert self.queue.wait_room(time.monotonic_ns() + WAIT_NS) is Status.OK
        self.definition = max(self.definition, number)

    def define_thread(self, name: str) -> None:
        def fields(cursor: Cursor) -> None:
            cursor.uint(1)
            cursor.text(name)
            cursor.uint(140000)
            cursor.uint(4711)

        self.define(Definition.THREAD, self.definition + 1, fields, 4)

    def define_trace(self, trace: int, name: str) -> None:
        def fields(cursor: Cursor) -> None:
            cursor.uint(trace)
            cursor.text(name)
            cursor.text("process")
            cursor.text("script.py")
            cursor.text(None)
            cursor.uint(clock.ns())
            cursor.uint(clock.utc_ns())
            cursor.text('{"a": 1}')

        self.define(Definition.TRACE, self.definition + 1, fields, 8)

    def end_trace(self, trace: int) -> None:
        def fields(cursor: Cursor) -> None:
            cursor.uint(trace)
            cursor.uint(clock.ns())
            cursor.text("exit")
            cursor.text('{"records": 3}')
            cursor.text("the script")
            cursor.text('{"b": 2}')

        self.define(Definition.TRACE_END, self.definition + 1, fields, 6)

    def hand_over(self) -> None:
        """Hand the record block over as it is."""
        block = self.stream.take_block([], self.definition)
        if block is None:
            return
        while (status := self.queue.push(block)) is Status.FULL:
            assert self.queue.wait_room(time.monotonic_ns() + WAIT_NS) is Status.OK
        assert status is Status.OK

    def define_needed(self, record: int) -> None:
        """The definition that this record needs, and all before it."""
        while self.definition < record // RECORDS_A_DEFINITION + 1:
            self.define(Definition.STRING, self.definition + 1, _string, 1)

    def write(self, count: int = 1) -> None:
        """Records, waiting for room where there is none."""
        for _ in range(count):
            self.record += 1
            self.define_needed(self.record)
            while True:
                now_ns = clock.ns()
                cursor = self.stream.begin(now_ns, Kind.NOTE, 2)
                cursor.uint(self.record)
                cursor.bin(bytes(self.payload))
                if cursor.status is Status.OK:
                    self.stream.commit_node(cursor, now_ns)
                    break
                self.hand_over()
                self.stream.give_block(self.take(), BLOCK_RECORDS, now_ns)

    def finish(self, unlink: bool = True) -> Status:
        """Hand over, stop, close, destroy: the normal end."""
        self.hand_over()
        self.end_trace(1)
        status = self.writer.stop(time.monotonic_ns() + WAIT_NS)
        closed = self.writer.close(clock.ns(), "exit")
        self.mapping.destroy(unlink and status is Status.OK)
        return status if status is not Status.OK else closed


def ask(folder: Path, sql: str, segment: int = 0) -> list[tuple]:
    """Rows of a segment."""
    with sqlite3.connect(folder / f"{PROCESS}-{segment}.db") as db:
        rows = db.execute(sql).fetchall()
    db.close()
    return rows


def dump(folder: Path, segment: int = 0) -> dict[str, list[tuple]]:
    """All that a segment has, as far as it does not depend on when it was saved."""
    log: dict[int, bytes] = {}
    for sequence, data in ask(
        folder,
        "SELECT sequence, data FROM definition ORDER BY sequence, start",
        segment,
    ):
        log[sequence] = log.get(sequence, b"") + data
    return {
        "process": ask(
            folder, "SELECT id, segment, started_ns, ended_ns, cause, info FROM process",
            segment,
        ),
        "trace": ask(
            folder,
            "SELECT number, id, kind, name, parent, started_ns, ended_ns, status, cause, "
            "attributes, counters FROM trace",
            segment,
        ),
        "thread": ask(folder, "SELECT * FROM thread", segment),
        "file": ask(folder, "SELECT * FROM file", segment),
        "source": [
            (*row, expand(encoding, data, size))
            for *row, encoding, data, size in ask(
                folder, "SELECT hash, bytes, masked, encoding, data, bytes FROM source",
                segment,
            )
        ],
        "definition": sorted(log.items()),
        "block": [
            (*row, expand(encoding, data, size))
            for *row, encoding, data, size in ask(
                folder,
                "SELECT trace, thread, sequence, base_ns, last_ns, first_node, nodes, "
                "records, start_depth, least_depth, definition, closes, opens, encoding, "
                "data, bytes FROM block JOIN block_data USING (id) "
                "ORDER BY trace, thread, sequence",
                segment,
            )
        ],
    }  # fmt: skip


def check_records(folder: Path, last_segment: int = 0) -> int:
    """How many records the segments have, 1 to n, each once and in order."""
    expected = 0
    for segment in range(last_segment + 1):
        log = ask(
            folder, "SELECT data FROM definition ORDER BY sequence, start", segment
        )
        unpacker = msgpack.Unpacker(strict_map_key=False)
        for (data,) in log:
            unpacker.feed(data)
        numbers = {fields[1] for fields in unpacker}
        for encoding, data, size, definition in ask(
            folder,
            "SELECT encoding, data, bytes, definition FROM block JOIN block_data "
            "USING (id) ORDER BY trace, thread, sequence",
            segment,
        ):
            unpacker = msgpack.Unpacker()
            unpacker.feed(expand(encoding, data, size))
            for record in unpacker:
                expected += 1
                assert record[2] == expected
                needed = expected // RECORDS_A_DEFINITION + 1
                assert needed in numbers
                assert needed <= definition
    return expected
