"""A fixed run of encoded records, the unit handed between threads. Twin of block.h.

A block belongs to exactly one party at a time: the stream filling it, the queue, or the
writer. It lives in the shared mapping; its layout is part of the wire format
(docs/reference/wire-format.md). Records grow from the front of ``data``, closes and
opens from the end.

A field is stored as the machine stores a word, in one piece on CPython, so that whoever
reads the mapping in another process finds the old number or the new one. Python has no
word for the order in which a processor shows its stores to others: a reader beside a
running process on a processor that changes it (ARM) may find a block damaged, and reads
it again; after the process's death all of it is there.

Threads: its owner only. Owns: views of the mapping's memory, until ``release``.
Fails: ValueError after ``release``.
"""

from __future__ import annotations

from struct import Struct

from kolo_c.wire import BLOCK_BYTES as BLOCK_BYTES
from kolo_c.wire import BLOCK_HEADER_BYTES as BLOCK_HEADER_BYTES
from kolo_c.wire import BLOCK_MAGIC as BLOCK_MAGIC
from kolo_c.wire import RECORD_MAX_BYTES as RECORD_MAX_BYTES

BLOCK_DATA_BYTES = BLOCK_BYTES - BLOCK_HEADER_BYTES
CLOSE_BYTES = 24
OPEN_BYTES = 8

BLOCK_FREE, BLOCK_FILLING, BLOCK_FULL = 0, 1, 2
BLOCK_RECORDS, BLOCK_DEFINITIONS = 1, 2

CLOSE = Struct("=QQQ")
"""{node, end_ns, kind of the ending record}."""
OPEN = Struct("=Q")
"""{node}."""


def _word(index: int, says: str) -> property:
    """The 4 bytes at ``index`` words from the block's start."""

    def read(block: Block) -> int:
        return block.words[index]

    def write(block: Block, value: int) -> None:
        block.words[index] = value

    return property(read, write, None, says)


def _long(index: int, says: str) -> property:
    """The 8 bytes at ``index`` pairs of words from the block's start."""

    def read(block: Block) -> int:
        return block.longs[index]

    def write(block: Block, value: int) -> None:
        block.longs[index] = value

    return property(read, write, None, says)


# Where in ``longs`` and ``words``; for who writes them with each record.
COMMITTED, LAST_NS = 7, 8
NODE_COUNT, RECORD_COUNT = 18, 19


class Block:
    """64 KiB of a mapping, header first."""

    __slots__ = ("data", "index", "longs", "memory", "words")

    state = _word(0, "Free, filling or full; a recovery reads it.")
    kind = _word(1, "Records, or definitions.")
    generation = _word(2, "Grows each time the block is taken from the pool.")
    trace_number = _word(3, "")
    thread_number = _word(4, "")
    start_depth = _word(5, "Of the stack.")
    sequence = _long(3, "Within its stream, from 0.")
    base_ns = _long(4, "What the first record's time counts from.")
    first_node = _long(5, "")
    definition = _long(6, "The highest one needed; set when handed over.")
    committed = _long(COMMITTED, "Low 32 bits: bytes; high 32 bits: closes.")
    last_ns = _long(LAST_NS, "Of the last record.")
    node_count = _word(NODE_COUNT, "")
    record_count = _word(RECORD_COUNT, "")
    least_depth = _word(20, "Of the stack, within the block.")
    open_count = _word(21, "0 until the block is handed over.")
    saved = _word(22, "Definitions: bytes that SQLite has.")
    magic = _word(23, "")

    def __init__(self, memory: memoryview, index: int = 0) -> None:
        """A block over ``memory``, which has BLOCK_BYTES bytes."""
        self.memory = memory
        self.index = index
        header = memory[:BLOCK_HEADER_BYTES]
        self.words = header.cast("I")
        self.longs = header.cast("Q")
        self.data = memory[BLOCK_HEADER_BYTES:]

    def bytes(self) -> int:
        """How many bytes of whole records there are."""
        return self.longs[COMMITTED] & 0xFFFFFFFF

    def close_count(self) -> int:
        """How many closes there are."""
        return self.longs[COMMITTED] >> 32

    def release(self) -> None:
        """Let go of the memory: the block must not be used any more."""
        for view in (self.data, self.longs, self.words, self.memory):
            view.release()
