"""Calls that open a trace of their own, because a rule says so. Twin of
src/trace/boundary.c.

The trace is begun and ended by kolo_c/session.py; here the scope is moved into it and
back, also around each suspension of a generator or coroutine, so that what its caller
does meanwhile stays in the caller's trace.

Threads: the traced thread.
Owns: nothing.
Fails: by staying in the trace that is: the call is recorded as any other. What is no
       error (KeyboardInterrupt) is the program's, and passes through.
"""

from __future__ import annotations

from kolo_c.reference import scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    from kolo_c.reference.session import Session
    from kolo_c.reference.thread import Thread


def move_scope(thread: Thread, number: int) -> None:
    """Move the scope to trace ``number`` (0: the process's)."""
    thread.session.scope_variable.set(number)
    scope.refresh(thread)


def _current(session: Session) -> int:
    """The number that the scope variable has in this context; 0 for none."""
    number = session.scope_variable.get(0)
    return number if isinstance(number, int) and number >= 0 else 0


def open_(thread: Thread, code: CodeType) -> tuple[int, int]:
    """Begin a trace for a call of ``code``, and move the thread's scope into it.

    Its number, or 0 where the call joins the trace that is; and the scope to go back
    to.
    """
    session = thread.session
    tracer = thread.tracer
    outer = _current(session)
    if tracer.open_boundary is None or (
        thread.stream is not None and thread.stream.trace is not session.process_trace
    ):
        return 0, outer  # what is in a boundary's trace already joins it
    try:
        number = int(tracer.open_boundary(code))
    except Exception:
        session.error("a boundary's trace could not be begun")
        number = 0
    if number != 0:
        move_scope(thread, number)
    return number, outer


def close(thread: Thread, number: int, outer: int) -> None:
    """The call has ended: end its trace. Its stream is gone afterwards."""
    try:
        thread.tracer.close_boundary(number)
    except Exception:
        thread.session.error("a boundary's trace could not be ended")
    move_scope(thread, outer)
