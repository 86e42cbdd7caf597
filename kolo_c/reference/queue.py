"""Bounded hand-off of full blocks from traced threads to the writer. Twin of queue.c.

Many producers, one consumer, first in first out. The queue also knows the block that
the definitions log fills at the moment: a batch and the log's next block are taken
under one lock, so that no record is saved before the definitions it needs.

Where C signals a condition that the writer's thread waits for, here the writer is
called: it works in the thread of the program that fills the queue (see writer.py). The
lock may be taken again by its thread: a signal's handler may be traced while it is
held.

Threads: any. Owns: a block between a successful push and its removal.
Fails: FULL, CLOSED, TIMEOUT.
"""

from __future__ import annotations

from collections import deque
from threading import RLock

from kolo_c.reference.block import BLOCK_DEFINITIONS, BLOCK_FULL, BLOCK_RECORDS
from kolo_c.reference.status import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kolo_c.reference.block import Block

QUEUE_BLOCKS = 128
"""8 MiB."""
QUEUE_GATHER_BLOCKS = 16
"""So many are handed over together where there are none left."""


class Queue:
    """See the module."""

    def __init__(self, capacity: int = QUEUE_BLOCKS) -> None:
        self.lock = RLock()  # guards everything below
        self.ring: deque[Block] = deque()
        self.capacity = capacity
        self.definitions: Block | None = None  # being filled; borrowed
        self.closed = False
        self.pushed_count = 0
        self.popped_count = 0
        self.batch_count = 0
        self.filled: Callable[[], None] | None = None
        """Called after a push, without the lock; the writer sets these."""
        self.save: Callable[[int], bool] | None = None
        """Saves a batch until a time (ns); False where nothing came of it."""

    @property
    def count(self) -> int:
        """How many blocks wait."""
        return len(self.ring)

    def _append(self, block: Block) -> None:
        block.state = BLOCK_FULL
        self.ring.append(block)
        self.pushed_count += 1

    def push(self, block: Block) -> Status:
        """Hand ``block`` over (its state becomes FULL).

        On OK the queue owns it; otherwise the caller still does: FULL, CLOSED.
        """
        with self.lock:
            if self.closed:
                return Status.CLOSED
            if len(self.ring) >= self.capacity:
                return Status.FULL
            self._append(block)
        if self.filled is not None:
            self.filled()
        return Status.OK

    def wait_room(self, deadline_ns: int) -> Status:
        """Try to make room until ``deadline_ns``: OK, TIMEOUT, CLOSED."""
        while not self.closed and len(self.ring) >= self.capacity:
            if self.save is None or not self.save(deadline_ns):
                break
        if self.closed:
            return Status.CLOSED
        return Status.OK if len(self.ring) < self.capacity else Status.TIMEOUT

    def set_definitions(self, block: Block | None, full: Block | None) -> Status:
        """The definitions log fills ``block`` from now on.

        The block before it, if any, must be pushed in the same call (``full``),
        whatever the capacity: the log is never dropped, and the queue has one place
        more for it. FULL where even that is taken, CLOSED when nothing can be pushed;
        then nothing has changed.
        """
        with self.lock:
            if full is not None:
                if self.closed:
                    return Status.CLOSED
                if len(self.ring) > self.capacity:
                    return Status.FULL
                self._append(full)
            self.definitions = block
        if full is not None and self.filled is not None:
            self.filled()
        return Status.OK

    def _next_definitions(self, behind: list[Block]) -> Block | None:
        """The log's oldest block that was not taken, ``behind`` those that were.

        A record's definitions were in the log before its block was pushed. So they are
        in a log block that was pushed before it, or in the one that was being filled
        then: that one is the first log block behind it here, or still being filled.
        """
        for block in behind:
            if block.kind == BLOCK_DEFINITIONS:
                return block
        return self.definitions

    def next_batch(self, most: int) -> tuple[list[Block], Block | None]:
        """The first ``most`` blocks, and the log's next block, borrowed.

        That is the oldest definitions block that is not among them, be it in the queue
        or being filled. What the taken blocks need is in earlier log blocks, among
        them, or in that one. Only the consumer gives definitions blocks back, so the
        borrowed one stays.

        C's kc_queue_pop() in two steps, ``remove`` is the second: an exception between
        two lines must not lose a block.
        """
        with self.lock:
            self.batch_count += 1
            waiting = list(self.ring)
            return waiting[:most], self._next_definitions(waiting[most:])

    def remove(self, blocks: list[Block]) -> None:
        """They are the consumer's now; done twice it does no harm."""
        with self.lock:
            for block in blocks:
                if self.ring and self.ring[0] is block:
                    self.popped_count += 1
                    self.ring.popleft()

    def discard(self, trace: int) -> None:
        """Of trace number ``trace`` nothing is to be saved any more.

        Its blocks that wait are empty from now on. What the consumer has taken already
        is its own.
        """
        with self.lock:
            for block in self.ring:
                if block.kind == BLOCK_RECORDS and block.trace_number == trace:
                    block.committed = 0

    def flush(self, deadline_ns: int) -> Status:
        """Save all that was pushed so far, and the definitions, until ``deadline_ns``.

        OK, TIMEOUT, CLOSED.
        """
        target, before = self.pushed_count, self.batch_count
        while not self.closed:
            if self.save is None or not self.save(deadline_ns):
                return Status.TIMEOUT
            if self.popped_count >= target and self.batch_count > before:
                return Status.OK
        return Status.CLOSED

    def close(self) -> None:
        """No more pushes; the writer ends when it has saved what is there."""
        self.closed = True

    def reopen(self) -> None:
        """Take blocks again."""
        self.closed = False
