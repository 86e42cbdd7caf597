"""The traces of a session: their beginning, their limit, their end. Twin of
src/session/traces.c.

Threads: any, with the session's lock. Owns: what is known of the open traces.
Fails: ``begin_trace`` with RuntimeError where too many are open.
"""

from __future__ import annotations

from kolo_c.reference import clock
from kolo_c.reference.held import drop_blocks, name_held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.reference.session import Session
    from kolo_c.reference.thread import Thread, ThreadStream

TRACES_MOST = 256
"""Open at the same time."""
FILTER_SETS_MOST = 8
"""A bit of the verdict for each."""
HOT_CALLS = 1024
"""From this many calls on a function is a hot one, when the limit is reached; half of
it for each 64th that the trace grows beyond."""
_ID_BYTES, _KIND_BYTES = 39, 23


class Trace:
    """An open trace."""

    def __init__(
        self,
        number: int,
        id: str,
        kind: str,
        name: str,
        parent: str | None,
        attributes: str,
    ) -> None:
        self.open = True
        self.announced = False  # its row's definition is written
        self.held = False  # whether it is stored is decided at its end
        self.named = False  # it is held, and the mapping knows its name (held.py)
        self.dropped = False  # it is not to be stored: its blocks go nowhere
        self.handed_over = False  # a block of it, to the writer …
        self.handed_over_segment = 0  # … which filled this segment then
        self.limited = False  # near max_trace_bytes: values stop
        self.count_above = 0  # past it: functions with more calls are counted; 0: none
        self.limit_marked = 0  # the level that the last LIMIT mark told
        self.keep_bit = 1
        self.number = number
        self.id = id[:_ID_BYTES]
        self.kind = kind[:_KIND_BYTES]
        self.name = name
        self.parent = parent
        self.attributes = attributes  # JSON text
        self.started_ns = clock.ns()
        self.started_utc_ns = clock.utc_ns()
        self.call_count = 0
        self.record_count = 0
        self.byte_count = 0
        self.lost_count = 0
        self.own_ns = 0  # our time in its calls
        self.masked_count = 0  # of values: those that are settled with it …
        self.truncated_count = 0  # … (Values.settle())
        self.waited_before_ns = 0  # the session's, when it began
        self.errors_before = 0
        self.blind_before = 0
        self.writer_before_ns = 0
        self.ended_ns = 0  # 0: it runs, or ends when it is decided


def begin_trace(
    session: Session,
    id: str,
    kind: str,
    name: str,
    parent: str | None,
    attributes: str,
) -> Trace:
    """Start a trace."""
    if len(session.traces) >= TRACES_MOST:
        raise RuntimeError(f"more than {TRACES_MOST} traces are open at once")
    session.trace_count += 1
    trace = Trace(session.trace_count, id, kind, name, parent, attributes)
    trace.waited_before_ns = session.waited_ns
    trace.blind_before = session.blind_count
    trace.writer_before_ns = session.writer.cpu_ns
    session.traces.append(trace)
    session.scope_generation += 1
    return trace


def announce(session: Session, trace: Trace) -> bool:
    """Write the trace's definition, if that has not been done. False: it cannot be."""
    if trace.announced or trace.named:
        return True
    if trace.held:
        trace.named = True
        if name_held(session):
            return True
        trace.named = False  # then as any: dropping it will undo that
    trace.announced = session.definitions.trace(trace) != 0
    return trace.announced


def set_trace(session: Session, trace: Trace, name: str, attributes: str) -> bool:
    """From now on it has this name and these attributes, after a death too.

    False where no block is to be had for it.
    """
    trace.name = name
    trace.attributes = attributes
    if trace.named:
        return name_held(session)
    if not trace.announced:
        return True  # its definition will have them
    return session.definitions.trace_set(trace) != 0


def check_limit(session: Session, trace: Trace) -> None:
    """Where it stands against max_trace_bytes: sets ``limited`` and ``count_above``."""
    if session.max_trace_bytes == 0:
        return
    raw = session.writer.raw_bytes
    stored = session.writer.stored_bytes
    if raw == 0:  # nothing is stored yet: take what is written as it is
        raw = stored = 1
    # What the trace takes on disk, by the ratio that compression has reached so far.
    share = float(trace.byte_count) * (stored / raw) / session.max_trace_bytes
    if share >= 0.75:
        trace.limited = True
    if share >= 1.0:
        halvings = int((share - 1.0) * 64.0) if share < 1.25 else 16
        trace.count_above = HOT_CALLS >> min(halvings, 10)


def close_trace(session: Session, trace: Trace) -> None:
    """It is over, though whether it is stored is not decided.

    Nothing more comes to it, and ``end_trace`` will say that it ended now.
    """
    trace.ended_ns = clock.ns()
    trace.open = False
    if session.default_trace is trace:
        session.default_trace = None
    session.scope_generation += 1


def end_trace(session: Session, trace: Trace, cause: str, counters: str) -> None:
    """Its streams were flushed and it is not held: write its TRACE_END.

    ``counters`` is JSON.
    """
    if trace.announced and (
        session.definitions.trace_end(
            trace, trace.ended_ns or clock.ns(), cause, counters
        )
        == 0
    ):
        session.error("the end of a trace could not be written")
    _free_trace(session, trace)


def drop_trace(session: Session, trace: Trace) -> None:
    """End a held trace, and store nothing of it. What other traces use stays."""
    was_named, trace.named = trace.named, False
    was_told = trace.handed_over or trace.announced
    number = trace.number
    trace.dropped = True
    _free_trace(session, trace)
    if was_told:
        drop_blocks(session, number, trace.handed_over_segment)
    if was_named:
        name_held(session)


def _free_trace(session: Session, trace: Trace) -> None:
    """Nothing of the session points to it any more."""
    _forget_streams(session, trace)
    if session.process_trace is trace:
        session.process_trace = None
    if session.default_trace is trace:
        session.default_trace = None
    session.scope_generation += 1
    trace.open = False
    trace.number = 0
    session.traces.remove(trace)


def _forget_streams(session: Session, trace: Trace) -> None:
    """Unlink its streams from their threads.

    A thread that is in the middle of a record keeps its stream until a later trace
    ends.
    """
    for thread in list(session.threads):
        while not thread.is_busy() and _forget_stream(thread, trace):
            pass
        for stream in thread.streams:
            if stream.trace is trace:
                stream.trace = session.dropped if trace.dropped else session.ended


def _forget_stream(thread: Thread, trace: Trace) -> bool:
    """Unlink the stream of ``trace``, or one left of an earlier trace, from ``thread``.

    False where it has none.
    """
    session = thread.session
    for stream in thread.streams:
        if stream.trace in (trace, session.ended, session.dropped):
            break
    else:
        return False
    thread.with_guard(thread.flush_stream, stream)
    if stream in thread.streams:
        thread.streams.remove(stream)
    if thread.stream is stream:
        thread.stream = None
    _forget_calls(thread, stream)
    return True


def _forget_calls(thread: Thread, stream: ThreadStream) -> None:
    """Take the calls of ``stream`` off the thread's stack.

    Their frames are let go at the end: the last reference to one may run code of the
    program.
    """
    forgotten = [entry for entry in thread.stack if entry.stream is stream]
    for entry in forgotten:
        thread.session.put_aside(entry)
    if forgotten:
        thread.depth_limit = forgotten[0].depth_limit  # as it was outside
    thread.stack[:] = [entry for entry in thread.stack if entry.stream is not stream]
    thread.unknown.clear()
    thread.clear_pending()
