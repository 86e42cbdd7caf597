"""The records of one thread in one trace, one by one into blocks. Twin of stream.c.

A record is written behind a private cursor and published by one store of ``committed``;
whoever reads the block, in this process or another, sees whole records only. The stream
also keeps what a block's header says: first node, depth, closes, opens
(docs/reference/wire-format.md, "Block").

    cursor = stream.begin(now_ns, Kind.CALL, 5)
    cursor.uint(code)
    …
    if cursor.status is Status.OK:
        opened = stream.commit_push(cursor, now_ns)

The cursor has bytes of its own, which ``commit`` copies into the block. Where its
status is FULL the record did not fit: hand the block over with ``take_block``, give the
stream a new one with ``give_block``, and write it again.

Threads: its own thread, or any that holds the GIL (or `lock`, without one).
Owns: the block it fills, between give and take.
Fails: ``begin`` gives a cursor whose status is FULL.
"""

from __future__ import annotations

from kolo_c.reference import clock
from kolo_c.reference.block import (
    BLOCK_DATA_BYTES,
    BLOCK_FILLING,
    BLOCK_MAGIC,
    CLOSE,
    CLOSE_BYTES,
    COMMITTED,
    LAST_NS,
    OPEN,
    OPEN_BYTES,
    RECORD_COUNT,
    RECORD_MAX_BYTES,
)
from kolo_c.reference.status import Status
from kolo_c.reference.wire import Cursor
from kolo_c.wire import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kolo_c.reference.block import Block


class Open:
    """A call on the written stack. The caller keeps these, in its own stack."""

    __slots__ = ("node", "sequence")

    def __init__(self, node: int, sequence: int) -> None:
        """``sequence`` is of the block in which it was pushed, last time."""
        self.node = node
        self.sequence = sequence


class Stream:
    """See the module."""

    __slots__ = (
        "at",
        "block",
        "close_count",
        "depth",
        "end",
        "last_ns",
        "next_node",
        "next_sequence",
        "thread_number",
        "trace_number",
    )

    def __init__(self, trace_number: int, thread_number: int) -> None:
        self.block: Block | None = None
        self.at = 0  # in the block's data, where the next record goes
        self.end = 0  # it stays below: behind it are closes, and opens to come
        self.last_ns = 0
        self.next_node = 1
        self.close_count = 0
        self.depth = 0  # of the written stack
        self.trace_number = trace_number
        self.thread_number = thread_number
        self.next_sequence = 0  # of the next block

    # ---- blocks ----

    def give_block(self, block: Block, kind: int, now_ns: int) -> None:
        """The stream fills ``block`` from now on (it must have none).

        Resets the block's header; the next record's time counts from ``now_ns``.
        """
        # Nothing of the block is to be trusted before the header is whole.
        block.committed = 0
        block.saved = 0
        self.last_ns = max(self.last_ns, now_ns)
        block.kind = kind
        block.trace_number = self.trace_number
        block.thread_number = self.thread_number
        block.start_depth = self.depth
        block.sequence = self.next_sequence
        self.next_sequence += 1
        block.base_ns = self.last_ns
        block.first_node = self.next_node
        block.definition = 0
        block.last_ns = self.last_ns
        block.node_count = 0
        block.record_count = 0
        block.least_depth = self.depth
        block.open_count = 0
        block.magic = BLOCK_MAGIC
        block.state = BLOCK_FILLING
        self.block = block
        self.at = 0
        # Room for one more open or close always stays: 24 bytes.
        self.end = BLOCK_DATA_BYTES - CLOSE_BYTES
        self.close_count = 0

    def take_block(self, opens: Sequence[Open] | None, definition: int) -> Block | None:
        """Take the block away, full or not; None where there is none.

        ``opens`` are the calls on the stream's written stack, outermost first
        (``depth`` of them): those pushed within this block are written into it.
        """
        block = self.block
        if block is None:
            return None
        # What this block pushed lies above all that earlier ones pushed.
        stack = opens if opens is not None else ()
        first = len(stack)
        while first > 0 and stack[first - 1].sequence == block.sequence:
            first -= 1
        at = BLOCK_DATA_BYTES - block.close_count() * CLOSE_BYTES
        for opened in stack[first:]:
            at -= OPEN_BYTES
            OPEN.pack_into(block.data, at, opened.node)
        block.open_count = len(stack) - first
        block.definition = definition
        self.block = None
        self.at = 0
        self.end = 0
        return block

    # ---- records ----

    def begin_plain(self) -> Cursor:
        """A cursor at the end of the stream's records.

        The definitions log has neither kind nor dt. FULL where there is no block, or no
        room in it.
        """
        room = self.end - self.at
        if room <= 0:
            return Cursor(0, Status.FULL)
        return Cursor(min(room, RECORD_MAX_BYTES))

    def begin(self, now_ns: int, kind: int, fields: int) -> Cursor:
        """Open a record of ``fields`` fields after kind and dt."""
        cursor = self.begin_plain()
        if cursor.status is not Status.OK:
            return cursor
        cursor.open_record(kind, fields + 2)
        cursor.uint(clock.after(self.last_ns, now_ns) - self.last_ns)
        return cursor

    def commit(self, cursor: Cursor, now_ns: int) -> None:
        """Publish the record; nothing of it was visible before."""
        block = self.block
        assert block is not None
        self.last_ns = clock.after(self.last_ns, now_ns)
        longs = block.longs
        longs[LAST_NS] = self.last_ns
        block.words[RECORD_COUNT] += 1
        at = self.at + len(cursor.data)
        block.data[self.at : at] = cursor.data
        self.at = at
        longs[COMMITTED] = self.close_count << 32 | at

    def commit_node(self, cursor: Cursor, now_ns: int) -> int:
        """Publish a node without a duration (NOTE, LOG); its number."""
        assert self.block is not None
        self.block.node_count += 1
        self.commit(cursor, now_ns)
        node = self.next_node
        self.next_node += 1
        return node

    def commit_push(self, cursor: Cursor, now_ns: int) -> Open:
        """Publish a record that pushes a new node (CALL, ENTERED, REGION, PLUGIN)."""
        return self.pushed(self.commit_node(cursor, now_ns))

    def commit_push_again(self, cursor: Cursor, node: int, now_ns: int) -> Open:
        """Publish a record that pushes a node again (RESUME, THROW)."""
        self.commit(cursor, now_ns)
        return self.pushed(node)

    def commit_pop(
        self, cursor: Cursor, opened: Open, began: int, kind: int, now_ns: int
    ) -> None:
        """Publish a record that takes ``opened``, the top of the stack, off.

        YIELD suspends it; all others end it and, if an earlier block began it, it goes
        to the closes. ``began`` is the sequence of the block that has its first record.
        """
        block = self.block
        assert block is not None
        self.popped(opened)
        if began != block.sequence and kind != Kind.YIELD:
            self.close_count += 1
            self.end -= CLOSE_BYTES
            at = BLOCK_DATA_BYTES - self.close_count * CLOSE_BYTES
            end_ns = clock.after(self.last_ns, now_ns)
            CLOSE.pack_into(block.data, at, opened.node, end_ns, kind)
        self.commit(cursor, now_ns)

    # ---- the stack ----

    def pushed(self, node: int) -> Open:
        """The stack is one deeper; the block keeps room for one more open."""
        assert self.block is not None
        self.depth += 1
        self.end -= OPEN_BYTES
        return Open(node, self.block.sequence)

    def popped(self, opened: Open) -> None:
        """``opened``, the top of the stack, is gone."""
        block = self.block
        assert block is not None
        self.depth -= 1
        if opened.sequence == block.sequence:
            self.end += OPEN_BYTES  # it will not stay open
        elif self.depth < block.least_depth:
            block.least_depth = self.depth

    def drop(self, opened: Open) -> None:
        """The top of the stack is gone without a record of its own.

        A MARK with the new depth follows.
        """
        if self.block is None:
            self.depth -= 1
        else:
            self.popped(opened)
