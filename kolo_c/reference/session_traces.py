"""The traces of a session, for Python: begin, name, end. Twin of src/session_traces.c.

Threads: any. Owns: nothing. Fails: LookupError for a number that no trace has,
RuntimeError where none can begin.
"""

from __future__ import annotations

from kolo_c.reference import limit, traces
from kolo_c.reference.held import keep_held
from kolo_c.reference.traces import FILTER_SETS_MOST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.reference.session_object import Session
    from kolo_c.reference.traces import Trace


def begin_trace(
    session: Session,
    id: str,
    kind: str,
    name: str,
    parent: str | None,
    attributes: str,
    of_process: bool,
    always: bool,
    filter_set: int = 0,
    held: bool = False,
) -> int:
    """Start a trace; its number."""
    inner = session.inner
    if inner.dead or not inner.open:
        raise RuntimeError("the session is not active")
    if not 0 <= filter_set < FILTER_SETS_MOST:
        raise ValueError(f"there is no filter set {filter_set}")
    with inner.lock:
        trace = inner.begin_trace(id, kind, name, parent, attributes)
        trace.keep_bit = 1 << filter_set
        trace.held = held
        if trace.number > 1:  # what went wrong before the first is told with it
            trace.errors_before = inner.error_count
        if of_process:
            inner.process_trace = trace
        if always and not inner.announce(trace):
            inner.error("a trace could not be announced")
        return trace.number


def _find(session: Session, number: int) -> Trace:
    for trace in session.inner.traces:
        if trace.number == number:
            return trace
    raise LookupError(f"no trace has number {number}")


def _counters(session: Session, trace: Trace) -> str:
    """The counters of ``trace`` as JSON text: what happened in it.

    Of the time in threads that all use, what passed meanwhile. That of the process has
    all of our own time.
    """
    inner = session.inner
    session.tracer.values.settle()
    counters = {
        "calls": trace.call_count,
        "records": trace.record_count,
        "bytes": trace.byte_count,
        "skipped": session.tracer.skipped_count,
        "kept": session.tracer.kept_count,
        "masked": trace.masked_count,
        "truncated": trace.truncated_count,
        "lost": trace.lost_count,
        "waited_ns": inner.waited_ns - trace.waited_before_ns,
        "errors": inner.error_count - trace.errors_before,
        "own_ns": inner.own_ns if trace is inner.process_trace else trace.own_ns,
        "writer_ns": inner.writer.cpu_ns - trace.writer_before_ns,
        "blind": inner.blind_count - trace.blind_before,
        "values_off": "true" if trace.limited else "false",
    }
    return "{" + ", ".join(f'"{key}": {value}' for key, value in counters.items()) + "}"


def _tell_counts(session: Session, trace: Trace) -> None:
    """What was counted instead of recorded goes to the trace's first stream."""
    for thread in session.inner.threads:
        for stream in thread.streams:
            if stream.trace is trace and not thread.is_busy():
                thread.with_guard(limit.tell_counts, thread, stream)
                return


def end_trace(
    session: Session,
    number: int,
    cause: str,
    name: str,
    attributes: str,
    stored: bool = True,
) -> tuple[bool, str] | None:
    """End it: whether it is stored, and its counters as JSON.

    None where it ended with the session.
    """
    trace = _find(session, number)
    inner = session.inner
    if not stored and not trace.held:
        raise ValueError("only a held trace may go unstored")
    if inner.dead or not inner.open:
        return None
    with inner.lock:
        trace.name = name
        trace.attributes = attributes
        if stored:
            _tell_counts(session, trace)
            keep_held(inner, trace)
            if not inner.flush_trace(trace):
                return None
        counters = _counters(session, trace)
        stored = stored and trace.announced
        if not trace.held:
            inner.end_trace(trace, cause, counters)
        else:
            inner.drop_trace(trace)
    return stored, counters


def close_trace(session: Session, number: int) -> None:
    """Nothing more comes to a held trace; end_trace decides whether it is stored."""
    trace = _find(session, number)
    inner = session.inner
    if not inner.dead and inner.open:
        with inner.lock:
            traces.close_trace(inner, trace)


def default_trace(session: Session, number: int) -> None:
    """From now on what has no trace of its own belongs to this one."""
    inner = session.inner
    with inner.lock:
        inner.default_trace = _find(session, number) if number else None
        inner.scope_generation += 1


def set_trace(session: Session, number: int, name: str, attributes: str) -> bool:
    """From now on the trace has this name and these attributes."""
    trace = _find(session, number)
    inner = session.inner
    if inner.dead or not inner.open:
        return False
    with inner.lock:
        return inner.set_trace(trace, name, attributes)
