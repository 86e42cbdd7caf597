"""The calls of greenlets, of which a thread has many and runs one. Twin of
src/trace/greenlet.c.

A greenlet is switched to in the middle of any call. When the next event comes from
another one than the last, the calls of the stack wait as those of a generator do
(YIELD), and those of the one that runs go on (RESUME): found by its frames, so that
nothing is kept of a greenlet, and nothing is left of one that is gone. What has no
frame, a region or what a driver says, is cut: its end is not recorded.

Threads: the traced thread, with the session's lock and its guard up.
Owns: nothing.
Fails: never; a call whose record cannot be written is counted as lost.
"""

from __future__ import annotations

from kolo_c.reference import clock, limit, pause, scope, system, tracer, verdict
from kolo_c.reference.capture_record import offset_of
from kolo_c.reference.thread import GUARD_RECORD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from kolo_c.reference.code import Code
    from kolo_c.reference.thread import Thread


def leave(thread: Thread) -> None:
    """Another greenlet runs: the stack's calls wait."""
    now_ns = clock.ns()
    while thread.stack:
        entry = thread.stack[-1]
        if entry.frame is None:
            tracer.cut(thread, len(thread.stack) - 1)
        elif entry.counted and not entry.special:
            limit.leave(thread, entry, now_ns)
            tracer.cut(thread, len(thread.stack) - 1)
        else:
            tracer.prepare(thread, entry.stream, now_ns)
            tracer.suspend(thread, entry, None, now_ns, switched=True)


def _go_on(thread: Thread, frame: FrameType, code: Code, now_ns: int) -> None:
    """The call of ``frame``, which waited for its greenlet, goes on in its trace."""
    waiting = thread.session.waiting.take(frame, code)
    if waiting is None:
        return
    before = thread.stream
    thread.stream = pause.stream_of(thread, waiting.trace_number)
    if thread.stream is not None:
        how = tracer.Resumption(None, offset_of(frame), False)
        tracer.prepare(thread, thread.stream, now_ns)
        tracer.go_on(thread, frame, code, waiting, how, now_ns)
    thread.stream = before


def _waits(thread: Thread, frame: FrameType) -> bool:
    waiting = thread.session.waiting.slots.get(id(frame))
    return waiting is not None and waiting.switched and waiting.code == id(frame.f_code)


def _find(thread: Thread) -> FrameType | None:
    """The outermost running frame whose call still waits."""
    found = None
    at: FrameType | None = system._getframe()
    while at is not None:
        if _waits(thread, at):
            found = at
        at = at.f_back
    return found


def enter(thread: Thread) -> None:
    """It is known which one runs: its own calls go on."""
    now_ns = clock.ns()
    while thread.session.waiting.slots and (frame := _find(thread)) is not None:
        known = verdict.probe(thread.tracer, frame.f_code)
        if known is None or known.about is None:
            return
        _go_on(thread, frame, known.about, now_ns)


def check(thread: Thread, frame: FrameType, code: Code) -> None:
    """The call of ``frame`` ends, or yields, and is not the top of the stack: it may be
    that another greenlet runs now."""
    guard = thread.guard
    thread.guard = GUARD_RECORD
    scope.check(thread)
    if _waits(thread, frame):
        _go_on(thread, frame, code, clock.ns())
    thread.guard = guard
