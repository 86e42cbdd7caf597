"""What the tracer knows of one traced thread. Twin of src/session/thread.c.

Its profile function has it at hand. That function's end (it is held by nobody but the
interpreter) tells that the thread has ended, or that another profiler took its place;
see attach.py.

Threads: a ``Thread`` is used by its own thread, or by any that has the session's lock
while ``guard`` is free.
Owns: the streams with the blocks they fill, the stack.
Fails: as each function says.
"""

from __future__ import annotations

from _thread import get_ident, get_native_id

from kolo_c.reference import clock
from kolo_c.reference.block import BLOCK_RECORDS
from kolo_c.reference.held import drop_blocks
from kolo_c.reference.scope import announce
from kolo_c.reference.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any

    from kolo_c.reference.block import Block
    from kolo_c.reference.session import Session
    from kolo_c.reference.tracer import Tracer
    from kolo_c.reference.traces import Trace

GUARD_FREE = 0
GUARD_RECORD = 1  # the thread itself is in one of our functions
GUARD_COLLECTOR = 2
GUARD_FLUSH = 3  # any thread hands over its blocks, perhaps without the lock
GUARD_STOPPED = 4  # what an error of ours left could not be mended: see interrupt.py

DEPTH_MAX = 0xFFFFFFFF
UNKNOWN_MOST = 64


class ThreadStream:
    """A stream, and what the tracer knows of it beside what the wire needs."""

    __slots__ = (
        "lost_pending",
        "lost_told",
        "other_nodes",
        "stream",
        "task",
        "trace",
    )

    def __init__(self, trace: Trace, thread_number: int) -> None:
        self.stream = Stream(trace.number, thread_number)
        self.trace = trace
        self.task = 0  # the last TASK record's
        self.lost_pending = 0  # records lost since the last LOST mark
        self.other_nodes = 0  # in the block that is being filled: nodes but no calls
        self.lost_told = 0  # by the LOST marks in the block that is being filled


class Unknown:
    """A call left by an exception whose type CPython did not tell (3.10, 3.11)."""

    __slots__ = ("code", "frame", "node", "stream")

    def __init__(
        self, frame: int, code: CodeType, stream: ThreadStream, node: int
    ) -> None:
        self.frame = frame  # its id, compared only
        self.code = code
        self.stream = stream
        self.node = node


class Thread:
    """See the module."""

    def __init__(self, session: Session) -> None:
        """The state of the running thread."""
        self.session = session
        self.tracer: Tracer = session.tracer
        self.ident = get_ident()
        self.native_id = get_native_id()  # an ident is soon another thread's
        self.number = session.next_thread_number()
        self.guard = GUARD_FREE
        self.keep_bits = 0  # the filter set of the current trace, 0 outside
        self.sees_watched = False  # what plugins watch is shown to them: no pause
        self.attached = False
        self.displaced = False  # another profiler has the place of ours
        self.ending = False  # it is being cleared; what that destroys is recorded
        self.ended = False  # the thread is gone: this is dropped from the list
        self.waiting = False  # for another thread that hands over our blocks
        self.writing = False  # a record is being written: its block must stay
        self.handling = False  # a plugin's handler runs: it may leave records
        self.announced = False  # its definition is written
        self.detached_ns = 0

        self.scope_generation = -1  # of the session, when scope was last looked up
        self.scope_number = 0  # the scope variable's value, then
        self.scope_task: Callable[[], Any] | None = None  # gives the task that ran
        self.stream: ThreadStream | None = None  # of the current trace; None outside
        self.paused = False  # outside, because the program said so
        self.task = 0
        self.greenlet = 0  # that the stack's calls are of; 0: the thread's first

        self.stack: list[Any] = []  # of stack.Entry
        self.depth_limit = DEPTH_MAX  # calls are not recorded at this depth of it
        self.streams: list[ThreadStream] = []

        self.pending = 0  # an exit or entry that waits for its exception
        self.pending_ns = 0
        self.pending_offset = 0
        self.pending_frame: FrameType | None = None
        self.pending_code: Any = None

        # profile_event.py's: who was thrown at, who is to be, who was left and how.
        self.thrown_at: tuple[int, int] | None = None
        self.thrown: tuple[int, ...] = ()
        self.callee: tuple[int, bool] | None = None
        self.left_raising = False

        self.unknown: list[Unknown] = []

        self.function: Any = None  # weak reference to its profile function
        self.previous: Any = None  # the profile function before us, to be put back
        self.changing = False  # it is we who set the profile function
        self.in_c = False  # the last event was a call of a function in C
        self.is_looking = False  # a trace function of ours waits (attach.py)
        self.raising: BaseException | None = None  # leaves our function just now
        self.given_back: BaseException | None = None  # to leave it at its end
        self.broken = False  # something struck in the middle of a step: to be mended
        self.missed = 0  # events lost that way, which no mark tells yet
        self.in_flight: Block | None = None  # on its way from a stream to the queue
        self.sample = 0  # of events, for the estimate of our own cost
        self.cold_ns = 0  # spent in this event on what is measured each time

    # ---- life ----

    def clear(self) -> None:
        """Let go of everything that the thread owns."""
        self.stream = None
        self.keep_bits = 0
        self.sees_watched = False
        self.unknown.clear()
        self.streams.clear()
        self.stack.clear()
        self.clear_pending()
        self.previous = None

    def is_own(self) -> bool:
        """Whether it is the running thread's."""
        return self.ident == get_ident() and not self.ended

    def is_busy(self) -> bool:
        """Whether something may hold its streams and its stack.

        That is: other than the running thread, while its guard is up.
        """
        return (
            self.writing
            or self.guard == GUARD_FLUSH
            or (self.guard == GUARD_RECORD and not self.is_own())
        )

    def with_guard(self, step: Callable[..., Any], *arguments: Any) -> None:
        """Run ``step``, which hands over blocks of this thread, with the guard up."""
        guard, self.guard = self.guard, GUARD_FLUSH
        try:
            step(*arguments)
        finally:
            self.guard = guard

    def guard_for_flush(self) -> int:
        """The guard for handing over its blocks, or writing in its stead."""
        return GUARD_RECORD if self.is_own() else GUARD_FLUSH

    def clear_pending(self) -> None:
        """Nothing waits for its exception any more."""
        self.pending = 0
        self.pending_frame = None
        self.pending_code = None

    # ---- streams and their blocks ----

    def stream_of(self, trace: Trace) -> ThreadStream:
        """The stream of ``trace`` on this thread, made if need be."""
        for stream in self.streams:
            if stream.stream.trace_number == trace.number:
                return stream
        stream = ThreadStream(trace, self.number)
        self.streams.insert(0, stream)
        return stream

    def _take_block(self, stream: ThreadStream) -> Block | None:
        """Take the block away, with the calls of its stack that stay open."""
        depth = stream.stream.depth
        opens = [
            entry.open
            for entry in self.stack
            if entry.stream is stream and not entry.unwritten
        ]
        depth = stream.stream.depth  # without the call whose record is being written
        return stream.stream.take_block(
            opens[:depth] if len(opens) >= depth else None,  # or it cannot be said
            self.session.definitions.last,
        )

    def _lose_block(self, stream: ThreadStream, sequence: int, records: int) -> None:
        """A whole block was dropped: what began in it is unknown to any reader."""
        for entry in self.stack:
            if (
                entry.stream is stream
                and not entry.unwritten
                and entry.open.sequence == sequence
            ):
                entry.unwritten = True
                stream.stream.drop(entry.open)
        # What its LOST marks told is to be told again; the marks are no loss of their
        # own.
        stream.lost_pending += records + stream.lost_told
        stream.trace.lost_count += records
        self.session.lost_count += records

    def flush_stream(self, stream: ThreadStream) -> None:
        """Hand over the stream's block, full or not; ``guard`` must be up."""
        block = self.in_flight = self._take_block(stream)
        if block is None:
            return
        session = self.session
        if block.bytes() == 0 or stream.trace.dropped:
            session.mapping.give(block)
            self.in_flight = None
            return
        segment = session.mapping.header.segment
        records = block.record_count
        calls = block.node_count - stream.other_nodes
        size = block.bytes()
        sequence = block.sequence
        handed_over = session.hand_over(block)
        self.in_flight = None
        if not handed_over:
            self._lose_block(stream, sequence, records)
            return
        trace = stream.trace  # it may have ended meanwhile
        if trace.dropped:
            drop_blocks(session, stream.stream.trace_number, segment)
            return
        if not trace.handed_over:
            trace.handed_over = True
            trace.handed_over_segment = segment
        trace.record_count += records
        trace.call_count += calls
        trace.byte_count += size

    def next_block(self, stream: ThreadStream, now_ns: int) -> bool:
        """Hand over the stream's block, if it has one, and give it another.

        False where none is to be had (the overflow policy waited as long as it may):
        the record is lost. ``now_ns`` is the time of the record that it is for: waiting
        does not make it later. Lets go of the lock while it waits.
        """
        session = self.session
        began_ns = clock.ns()
        self.flush_stream(stream)
        session.check_limit(stream.trace)
        block = session.take_block() if announce(self, stream.trace) else None
        if block is not None:
            stream.stream.give_block(block, BLOCK_RECORDS, now_ns)
            stream.lost_told = 0
            stream.other_nodes = 0
            stream.task = 0  # each block decodes alone: it says its task again
            session.adopt_threads()
        cost_ns = clock.ns() - began_ns
        self.cold_ns += cost_ns
        self.count_own(cost_ns)
        return block is not None

    def count_own(self, cost_ns: int) -> None:
        """So much of our own time has passed on this thread."""
        self.session.own_ns += cost_ns
        if self.stream is not None:
            self.stream.trace.own_ns += cost_ns

    def flush(self) -> None:
        """Hand over the blocks of all streams; ``guard`` must be up."""
        for stream in list(self.streams):
            self.flush_stream(stream)

    def lose(self, stream: ThreadStream) -> None:
        """Count a lost record of ``stream``."""
        stream.lost_pending += 1
        stream.trace.lost_count += 1
        self.session.lost_count += 1
        self.session.mapping.header.lost_records += 1

    def is_cleared(self) -> bool:
        """Whether the running thread is this one, in its last moments."""
        return self.ending and self.is_own() and self.native_id == get_native_id()

    def let_go(self) -> None:
        """The thread ends: its records go out now.

        Where the hook is told of what is destroyed with it, its state stays until it is
        known to be gone.
        """
        session = self.session
        if session.dead or not session.open:
            return
        self.attached = False
        self.detached_ns = clock.ns()
        if self.guard == GUARD_FREE:
            self.with_guard(self.flush)
            if not self.ending and self.is_own() and not session.hook.PER_THREAD:
                self.ending = True
                return
            self.clear()
            self.ended = True
            if self in session.threads:
                session.threads.remove(self)
