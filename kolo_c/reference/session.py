"""The live act of tracing: one a process. Twin of src/session/session.c.

Holds what the tracer shares: mapping and pool, queue, writer, definitions, threads,
traces. What C does with the GIL held is done here with ``lock`` held; it may be taken
again by its thread, because a signal's handler may strike anywhere in Python code.

Threads: any, with ``lock``.
Owns: all of it, from ``open_store`` to ``close``.
Fails: ``open_store`` and ``close`` with OSError, ``begin_trace`` with RuntimeError.
"""

from __future__ import annotations

from _thread import RLock, _local, get_ident
from time import sleep

from kolo_c.reference import attach, clock, system, traces
from kolo_c.reference.definitions import Definitions
from kolo_c.reference.held import keep_held
from kolo_c.reference.mapping import MAPPING_BLOCKS, Mapping
from kolo_c.reference.queue import QUEUE_BLOCKS, QUEUE_GATHER_BLOCKS, Queue
from kolo_c.reference.stack import WaitingTable
from kolo_c.reference.status import Status
from kolo_c.reference.store import make_directory
from kolo_c.reference.thread import GUARD_COLLECTOR, GUARD_FLUSH, GUARD_RECORD, Thread
from kolo_c.reference.traces import Trace
from kolo_c.reference.writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar
    from typing import Any

    from kolo_c.reference.block import Block
    from kolo_c.reference.stack import Entry
    from kolo_c.reference.thread import ThreadStream

OPEN_PAUSE_NS = 1_000_000_000
WAIT_SLICE_NS = 50_000_000
FORK_PAUSE_NS = 100_000_000  # Python warns of threads after its handlers
PATIENCE_LEAST_NS = 2_000_000_000
"""With a disk that does nothing, at the end."""
_QUIESCE_NS = 5_000_000_000
_LAST_STEP_NS = 20_000_000
"""For a worker to leave what its request waited for."""
_ERROR_CHARACTERS = 255


class SessionOptions:
    """What kolo_c/session.py decides."""

    def __init__(
        self,
        directory: str,
        process_id: str,
        schema: str,
        info: str,
        schema_version: int,
        compress: int,
        segment_max_bytes: int,
        free_disk_min_bytes: int,
        max_trace_bytes: int,
        wait_max_ns: int,
        drop: bool,
        later: bool = False,
    ) -> None:
        self.directory = directory  # of the segments
        self.process_id = process_id
        self.schema = schema
        self.info = info  # JSON of the process row
        self.schema_version = schema_version
        self.compress = compress
        self.segment_max_bytes = segment_max_bytes
        self.free_disk_min_bytes = free_disk_min_bytes
        self.max_trace_bytes = max_trace_bytes
        self.wait_max_ns = wait_max_ns
        self.drop = drop  # overflow = "drop"
        self.later = later  # make no file before something is kept


class Session:
    """See the module."""

    definitions: Definitions
    tracer: Any
    scope_variable: ContextVar[Any]
    """Number of the trace that a context belongs to."""
    hook: Any
    """How the interpreter reaches us: the module hook_setprofile or hook_monitoring."""

    def __init__(self, options: SessionOptions) -> None:
        self.options = options
        self.lock = RLock()
        self.mapping = Mapping()
        self.queue = Queue(QUEUE_BLOCKS)
        self.writer = Writer(
            self.mapping,
            self.queue,
            directory=options.directory,
            process_id=options.process_id,
            schema=options.schema,
            schema_version=options.schema_version,
            info=options.info,
            compress=options.compress,
            segment_max_bytes=options.segment_max_bytes,
            free_disk_min_bytes=options.free_disk_min_bytes,
            patience_ns=max(options.wait_max_ns, PATIENCE_LEAST_NS),
        )
        self.mapping_ready = False
        self.writer_ready = False
        self.writer_started = False
        self.open = False
        self.opened = False  # its process row is in the store
        self.refused = False  # it was to be put there, and could not …
        self.retry_ns = 0  # … so it is not tried again before
        self.saved = False  # all there was has been saved: nothing is to be recovered
        self.attaching = False  # threads without a profile function get ours
        self.new_threads = True  # those that begin later are recorded too
        self.first_idents: frozenset[int] = frozenset()  # of the others, to be attached
        self.dead = False  # in the child of a fork: nothing of it may be touched
        self.forking = False  # until the fork is over no writer is started
        self.forked_ns = 0  # when it last forked
        self.drop = options.drop
        self.started_ns = 0
        self.started_utc_ns = 0
        self.max_trace_bytes = options.max_trace_bytes
        self.pid = system.getpid()
        self.wait_max_ns = options.wait_max_ns
        self.wait_left_ns = options.wait_max_ns  # budget of overflow = "wait"
        self.waited_ns = 0
        self.own_ns = 0  # estimate of our time in the program's threads
        self.lost_count = 0
        self.error_count = 0
        self.blind_count = 0
        self.mapping_reason = 0  # errno: why the mapping is not a shared file
        self.error_text = ""

        self.threads: list[Thread] = []
        self.by_ident: dict[int, Thread] = {}
        self.ends: Any = _local()  # where the hook has no function for each thread
        self.unattached: frozenset[int] = frozenset()  # idents that adoption met
        self.thread_count = 0  # numbers given so far
        self.traces: list[Trace] = []  # the open ones
        self.trace_count = 0  # numbers given so far
        self.ended = Trace(0, "", "", "", None, "{}")
        """Of streams that could not be let go with their trace."""
        self.dropped = Trace(0, "", "", "", None, "{}")
        """The same, where the trace is not to be stored."""
        self.dropped.dropped = True
        self.held: Block | None = None
        """Names of the held traces; None where none has one."""
        self.process_trace: Trace | None = None
        """Scope of everything that has no other."""
        self.default_trace: Trace | None = None
        """Instead of it, for a time: a test's."""
        self.scope_generation = 0
        self.current_task: Any = None  # asyncio.current_task, once asyncio is loaded
        self.running_loop: Any = None  # asyncio._get_running_loop
        self.when_forked: Callable[[], None] | None = None
        """In the child of a fork, once it is noticed."""
        self.current_greenlet: Any = None  # once greenlet is loaded
        self.greenlet_type: Any = None
        self.greenlet_parent: Any = None  # the descriptor: a thread's first has none
        self.greenlet_count = 0  # defined so far
        self.tasks: dict[int, tuple[Any, int]] = {}  # id of a task -> (weakref, number)
        self.waiting = WaitingTable()
        self.aside: list[tuple[int, Any]] = []
        """What stood on a stack and has ended unseen: a trace that is to be ended, and
        what a handler gave."""
        self.end_boundary: Callable[[int], None] | None = None
        self.find_late: Callable[[int], int] | None = None
        """The trace for what comes after the end of a trace; 0: the process's."""
        self.leave_greenlet: Callable[[Thread], None] = _nothing
        """Another greenlet is about to run: the calls on the stack wait …"""
        self.enter_greenlet: Callable[[Thread], None] = _nothing
        """… and does: its own go on."""
        self.tracer = None

    # ---- the beginning ----

    def open_store(self) -> None:
        """Make mapping, queue and the first segment; OSError where one cannot be."""
        self.started_ns = clock.ns()
        self.started_utc_ns = clock.utc_ns()
        self._open_mapping()
        if not self.options.later:
            self._open_writer()
        self.definitions = Definitions(self.mapping, self.queue)
        self.open = True

    def _open_mapping(self) -> None:
        options = self.options
        path = f"{options.directory}/{options.process_id}.map"
        if options.later:
            status = self.mapping.create_later(
                path, MAPPING_BLOCKS, options.process_id, self._prepare
            )
        else:
            status, self.mapping_reason = self.mapping.create(
                path, MAPPING_BLOCKS, options.process_id
            )
        if status is not Status.OK:
            raise MemoryError("no memory for the recorder's blocks")
        self.mapping_ready = True
        self.mapping.header.started_ns = self.started_ns
        self.mapping.header.started_utc_ns = self.started_utc_ns

    def _prepare(self) -> bool:
        """Something is kept for the first time: make what a session makes at its start
        otherwise."""
        with self.lock:
            if self.mapping.prepare is None:
                return True  # another thread was faster
            now_ns = clock.system_ns()
            if not self.open or (self.refused and now_ns < self.retry_ns):
                return False
            try:
                make_directory(self.options.directory)
                if not self.mapping.shared:
                    self.mapping_reason = self.mapping.share(self.options.process_id)
                self._open_writer()
            except OSError as error:
                # Nothing waits for a block, until the disk is better.
                self.refused = self.writer.failing = True
                self.retry_ns = now_ns + OPEN_PAUSE_NS
                self.error(f"nothing could be recorded: {error}")
                return False
            self.mapping.prepare = None
            self.refused = self.writer.failing = False
        return True

    def _open_writer(self) -> None:
        options = self.options
        if self.writer.open(self.started_ns, self.started_utc_ns) is not Status.OK:
            path = f"{options.directory}/{options.process_id}-0.db"
            raise OSError(f"{path}: {self.writer.error_text}")
        self.writer_ready = True
        self.opened = True

    def next_thread_number(self) -> int:
        """For a new thread."""
        self.thread_count += 1
        return self.thread_count

    def running_thread(self) -> Thread | None:
        """The state of the running thread, if it has one."""
        return self.by_ident.get(get_ident())

    def own_thread(self) -> Thread | None:
        """The same for a hook that has no function of ours in each thread: a thread
        gets its state with its first event. None where it is not recorded."""
        ident = get_ident()
        thread = self.by_ident.get(ident)
        if thread is not None and (not thread.ending or thread.is_cleared()):
            return thread
        wanted = self.new_threads or ident in self.first_idents
        if not wanted or not self.attaching or self.dead:
            return None
        with self.lock:
            return attach.attach_new(self)

    def is_displaced(self) -> bool:
        """Whether another profiler has the place of ours in some thread."""
        return any(thread.displaced for thread in self.threads)

    def error(self, text: str) -> None:
        """Note what went wrong inside, once per session."""
        self.error_count += 1
        if not self.error_text:
            self.error_text = text[:_ERROR_CHARACTERS]

    # ---- blocks on their way to the writer ----

    def _start_writer(self) -> bool:
        """False where there is no writer and can be none.

        While the program forks there may be one later.
        """
        if not self.opened:
            return False  # nothing has been kept yet, or nothing can be
        if not self.writer_started and not self.forking:
            if self.writer.start() is not Status.OK:
                self.error("the writer could not be started")
                return False
            self.writer_started = True
        return True

    def _start_writer_soon(self) -> bool:
        """Have a writer, unless the program has just forked: its handlers run then, and
        it is warned where they leave it with a thread.

        The queue takes blocks meanwhile.
        """
        if (
            self.forked_ns
            and not self.writer_started
            and clock.system_ns() - self.forked_ns < FORK_PAUSE_NS
        ):
            return self.opened
        return self._start_writer()

    def _wait(self, step: Callable[[int], Any]) -> Any:
        """Call ``step`` in slices until it gives something that is true.

        Or until the budget of overflow = "wait" is used up. Counts the time.
        """
        if self.drop or self.writer.failing:
            return None
        done = None
        began_ns = clock.system_ns()
        left_ns = self.wait_left_ns
        while not done and left_ns > 0 and self._start_writer():
            slice_ns = min(left_ns, WAIT_SLICE_NS)
            done = step(clock.system_ns() + slice_ns)
            left_ns -= slice_ns
        self.count_wait(clock.system_ns() - began_ns)
        return done

    def count_wait(self, ns: int) -> None:
        """The program was held for ``ns``: it counts against the budget."""
        self.waited_ns += ns
        self.wait_left_ns = max(self.wait_left_ns - ns, 0)

    def _flush_oldest(self) -> bool:
        """The stream used longest ago hands over its block as it is.

        False where none has one. It may be another one of the running thread, which
        waits for a block and is writing nothing.
        """
        oldest: tuple[int, Thread, ThreadStream] | None = None
        for thread in self.threads:
            if thread.is_busy():
                continue
            for stream in thread.streams:
                last_ns = stream.stream.last_ns
                if stream.stream.block is not None and (
                    oldest is None or last_ns < oldest[0]
                ):
                    oldest = (last_ns, thread, stream)
        if oldest is not None:
            _, thread, stream = oldest
            thread.with_guard(thread.flush_stream, stream)
        return oldest is not None

    def _flush_some(self) -> None:
        """The pool is empty: streams hand over what they have, as many as the writer
        saves in one transaction. With one each the program would wait for a
        transaction a block."""
        waiting = self.queue.count + 1
        while self._flush_oldest() and waiting < QUEUE_GATHER_BLOCKS:
            waiting += 1

    def take_block(self) -> Block | None:
        """A block for whoever needs one: from the pool or, where that is empty, from
        the stream used longest ago. None where the policy's patience is over."""
        block = self.mapping.take()
        if block is None:
            self._start_writer_soon()  # a fork may have stopped it, with no room left
            self._flush_some()
            block = self.mapping.take()
        if block is None:
            block = self._wait(self.mapping.take_wait)
        return block

    def hand_over(self, block: Block) -> bool:
        """Hand a block to the writer, as the overflow policy says.

        False: it was dropped.
        """
        if not self.dead and self.open and self._start_writer_soon():
            status = self.queue.push(block)
            if status is Status.FULL and self.queue.filled is not None:
                self.queue.filled()  # the disk may have recovered
                status = self.queue.push(block)
            while status is Status.FULL and self._wait(self._wait_for_room):
                status = self.queue.push(block)
            if status is Status.OK:
                if self.queue.count <= 1:  # it ran empty: patience is full again
                    self.wait_left_ns = self.wait_max_ns
                return True
        self.mapping.header.lost_records += block.record_count
        self.mapping.give(block)
        return False

    def _wait_for_room(self, deadline_ns: int) -> bool:
        return self.queue.wait_room(deadline_ns) is Status.OK

    def flush_threads(self) -> None:
        """Hand over the blocks of every thread that is not busy."""
        for thread in list(self.threads):
            if not thread.is_busy() and thread.guard != GUARD_COLLECTOR:
                thread.with_guard(thread.flush)

    def flush_trace(self, trace: Trace) -> bool:
        """Hand over the blocks that ``trace`` has in threads that are not busy, or soon
        are not: a worker may be in its last step when who waited for it ends it.

        False where another thread has closed the session meanwhile.
        """
        self.quiesce(trace, _LAST_STEP_NS)
        for thread in list(self.threads):
            for stream in list(thread.streams):
                if (
                    stream.trace is trace
                    and not thread.is_busy()
                    and thread.guard != GUARD_COLLECTOR
                ):
                    thread.with_guard(thread.flush_stream, stream)
        return self.open

    def is_busy(self) -> bool:
        """Whether any thread is in one of our functions: its memory must stay."""
        return any(
            thread.waiting or thread.guard in (GUARD_RECORD, GUARD_FLUSH)
            for thread in self.threads
        )

    def quiesce(self, trace: Trace | None = None, most_ns: int | None = None) -> None:
        """Wait until no other thread is in the middle of a record (it may be waiting
        for the writer) or a handler: what it has cannot be handed over.

        With ``trace`` only of those that have a stream of it.
        """
        most_ns = self.wait_max_ns + _QUIESCE_NS if most_ns is None else most_ns
        now_ns = clock.system_ns()
        # A handler may do anything, and sleep: the program is not held longer for it
        # than for the disk.
        handler_ns = now_ns + min(most_ns, self.wait_left_ns)
        for thread in list(self.threads):
            while (
                (trace is None or any(one.trace is trace for one in thread.streams))
                and (thread.waiting or thread.is_busy())
                and not thread.is_own()
                and clock.system_ns()
                < (handler_ns if thread.handling else now_ns + most_ns)
            ):
                self._let_others(sleep, 0.001)

    def _let_others(self, step: Callable[..., Any], *arguments: Any) -> None:
        """Without the lock, if this thread has it: who is waited for may need it."""
        lock: Any = self.lock
        state = lock._release_save() if lock._is_owned() else None
        try:
            step(*arguments)
        finally:
            if state is not None:
                lock._acquire_restore(state)

    def flush(self, deadline_ns: int) -> bool:
        """Save everything handed over so far; False on time-out."""
        self.flush_threads()
        if not self.opened:
            return not self.refused  # there is nothing to save
        if not self._start_writer():
            return False
        return self.queue.flush(deadline_ns) is Status.OK

    # ---- traces, threads ----

    def begin_trace(
        self, id: str, kind: str, name: str, parent: str | None, attributes: str
    ) -> Trace:
        """Start a trace."""
        return traces.begin_trace(self, id, kind, name, parent, attributes)

    def announce(self, trace: Trace) -> bool:
        """Write the trace's definition, if that has not been done."""
        return traces.announce(self, trace)

    def set_trace(self, trace: Trace, name: str, attributes: str) -> bool:
        """From now on ``trace`` has this name and these attributes."""
        return traces.set_trace(self, trace, name, attributes)

    def end_trace(self, trace: Trace, cause: str, counters: str) -> None:
        """End it, whose streams were flushed: write its TRACE_END."""
        traces.end_trace(self, trace, cause, counters)

    def drop_trace(self, trace: Trace) -> None:
        """End a held one, and store nothing of it."""
        traces.drop_trace(self, trace)

    def check_limit(self, trace: Trace) -> None:
        """Where ``trace`` stands against max_trace_bytes."""
        traces.check_limit(self, trace)

    def adopt_threads(self) -> None:
        """Attach the threads that have no profile function, as far as Python can."""
        attach.adopt_threads(self)

    # ---- what ended unseen ----

    def put_aside(self, entry: Entry) -> None:
        """An entry leaves its stack without the end of its call having been seen: keep
        what takes Python to be let go of, until the next look at a scope."""
        if entry.boundary == 0 and entry.started is None:
            return
        self.aside.append((entry.boundary, entry.started))
        self.scope_generation += 1  # every thread looks at its scope, and then here

    def reap(self) -> None:
        """Let go of it."""
        while self.aside:
            number, _ = self.aside.pop()
            if number != 0 and self.end_boundary is not None:
                self.end_boundary(number)

    # ---- the end ----

    def close(self, cause: str, deadline_ns: int) -> None:
        """Hand over all blocks, save them until ``deadline_ns``, close the files."""
        if not self.open:
            return
        if not self.dead:
            for trace in list(self.traces):
                keep_held(self, trace)  # nobody decided
            self.flush_threads()
        self.open = False
        if self.dead:
            return
        if not self.opened:  # nothing was kept: there are no files
            self.queue.close()
            return
        if self._close_files(cause, deadline_ns) is not Status.OK:
            text = self.writer.error_text or self.error_text
            raise OSError(f"{self.options.directory}: {text}")

    def _close_files(self, cause: str, deadline_ns: int) -> Status:
        """Save what there is, close the files, unmap the memory."""
        started = self._start_writer()
        ended_ns = clock.ns()
        self.queue.close()
        stopped = self.writer.stop(deadline_ns)
        closed = self.writer.close(ended_ns, cause)
        self.writer_ready = False
        self.writer_started = False
        status = stopped
        if stopped is Status.OK:
            status = closed if started else Status.IO
        # What could not be saved stays in the mapping, for a later recovery.
        self.saved = status is Status.OK
        if not self.is_busy():
            self.mapping.destroy(self.saved)
            self.mapping_ready = False
        return status

    def destroy(self) -> None:
        """Release what close left (also after a failed open)."""
        if self.dead:
            return
        if self.writer_ready:  # opening failed, or no close
            self.open = False
            self._close_files("error", clock.system_ns() + 2_000_000_000)
        elif self.mapping_ready:
            self.mapping.destroy(self.saved or not self.opened)
            self.mapping_ready = False

    def abandon(self) -> None:
        """In the child of a fork: let go of everything without touching it."""
        self.dead = True
        reinit = getattr(self.lock, "_at_fork_reinit", None)
        if reinit is not None and not self.lock._is_owned():  # type: ignore[attr-defined]
            reinit()  # a thread that is not there has it, perhaps
        for thread in self.threads:
            thread.stream = None
            thread.keep_bits = 0
            thread.sees_watched = False
            thread.guard = GUARD_COLLECTOR  # for good: nobody may write any more
            for stream in thread.streams:
                stream.stream.block = None
                stream.stream.at = 0
                stream.stream.end = 0
        self.writer.abandon()
        self.mapping.abandon()
        self.mapping_ready = False


def _nothing(_: Thread) -> None:
    pass
