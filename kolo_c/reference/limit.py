"""Past a trace's limit: calls that are counted instead of recorded. Twin of
src/trace/limit.c.

Threads: the traced thread, with the session's lock.
Owns: nothing.
Fails: never: what cannot be told now is told later.
"""

from __future__ import annotations

from kolo_c.reference import capture_mark, clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.reference.code import Code
    from kolo_c.reference.stack import Entry
    from kolo_c.reference.thread import Thread, ThreadStream

COUNTED_MOST = 65536
"""A crash loses no more than this many counted calls."""


def _tell_limit(thread: Thread, stream: ThreadStream, now_ns: int) -> None:
    """The limit has been reached: say so once per level."""
    trace = stream.trace
    level = 2 if trace.count_above != 0 else 1
    if trace.limit_marked < level and capture_mark.limit(thread, stream, level, now_ns):
        trace.limit_marked = level


def _tell_counted(thread: Thread, stream: ThreadStream, code: Code) -> None:
    if capture_mark.counted(thread, stream, code, clock.ns()):
        code.counted_calls = 0
        code.counted_ns = 0


def tell_counts(thread: Thread, stream: ThreadStream) -> None:
    """The trace ends: write what was counted instead of recorded."""
    for code in list(thread.tracer.counting.values()):
        if code.counted_calls != 0:
            _tell_counted(thread, stream, code)


def counts(thread: Thread, code: Code, now_ns: int) -> bool:
    """Whether this call of ``code`` is counted instead of recorded."""
    assert thread.stream is not None
    trace = thread.stream.trace
    _tell_limit(thread, thread.stream, now_ns)
    if (
        trace.count_above != 0
        and code.call_count >= trace.count_above
        and not code.suspends
    ):
        code.counted = True
        thread.tracer.counting[code.number] = code
    return code.counted


def leave(thread: Thread, entry: Entry, now_ns: int) -> None:
    code = entry.code
    assert code is not None
    code.counted_calls += 1
    code.counted_ns += now_ns - entry.began
    if code.counted_calls >= COUNTED_MOST:
        _tell_counted(thread, entry.stream, code)
