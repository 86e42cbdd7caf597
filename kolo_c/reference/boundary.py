"""Calls that open a trace of their own, because a rule or a plugin says so. Twin of
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

from kolo_c.reference import clock, scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from kolo_c.reference.plugin_match import Plugin
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


def _count(thread: Thread, began_ns: int) -> None:
    """The time of a beginning or end is measured each time. That of a beginning is the
    new trace's."""
    cost_ns = clock.ns() - began_ns
    thread.cold_ns += cost_ns
    thread.count_own(cost_ns)


def open_(
    thread: Thread, code: CodeType, plugin: tuple[Plugin, dict[str, Any]] | None
) -> tuple[int, int]:
    """Begin a trace for a call of ``code``, which ``plugin`` asks for or (None) a rule,
    and move the thread's scope into it.

    Its number, or 0 where the call joins the trace that is; and the scope to go back
    to.
    """
    session = thread.session
    tracer = thread.tracer
    outer = _current(session)
    apart = plugin is not None and plugin[0].apart
    if (
        tracer.open_boundary is None
        or session.dead
        or (
            not apart
            and thread.stream is not None
            and thread.stream.trace is not session.process_trace
        )
    ):
        return 0, outer  # what is in a boundary's trace already joins it
    began_ns = clock.ns()
    try:
        if plugin is None:
            number = int(tracer.open_boundary(code, None, None))
        else:
            number = int(tracer.open_boundary(code, plugin[0].index, plugin[1]))
    except Exception:
        session.error("a boundary's trace could not be begun")
        number = 0
    if number != 0:
        move_scope(thread, number)
    _count(thread, began_ns)
    return number, outer


def _end(
    session: Session, number: int, finished: dict[str, Any] | None, failed: bool
) -> None:
    if session.dead:
        return  # with its session
    try:
        session.tracer.close_boundary(number, finished, failed)
    except Exception:
        session.error("a boundary's trace could not be ended")


def close(
    thread: Thread,
    number: int,
    outer: int,
    finished: dict[str, Any] | None,
    failed: bool,
) -> None:
    """The call has ended, perhaps by an exception: end its trace. Its stream is gone
    afterwards. ``finished`` is what the plugin's finish() gave."""
    began_ns = clock.ns()
    _end(thread.session, number, finished, failed)
    move_scope(thread, outer)
    _count(thread, began_ns)


def end(session: Session, number: int) -> None:
    """The call of trace ``number`` has ended unseen."""
    _end(session, number, None, False)


def find_late(session: Session, number: int) -> int:
    """The trace for what comes after the end of trace ``number``; 0 for none."""
    ask = session.tracer.late_scope
    if ask is None or session.dead:
        return 0
    try:
        return int(ask(number))
    except Exception:
        session.error("a trace for what came late could not be begun")
        return 0
