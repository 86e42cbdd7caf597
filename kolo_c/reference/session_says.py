"""What the program itself tells: regions, notes, an exception. Twin of
src/session_says.c.

A signal's handler may be what tells it, in the middle of a record of its thread: then
the guard is up, and nothing is written.

Threads: any. Owns: nothing. Fails: by what each function returns.
"""

from __future__ import annotations

from kolo_c.reference import (
    attach,
    capture_said,
    clock,
    interrupt,
    profile_event,
    scope,
    unknown,
)
from kolo_c.reference import tracer as tracers
from kolo_c.reference.stack import Entry
from kolo_c.reference.thread import GUARD_FREE, GUARD_RECORD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kolo_c.reference.session_object import Session
    from kolo_c.reference.thread import Thread


def _find_thread(session: Session) -> Thread | None:
    """This thread's state, if it is traced."""
    inner = session.inner
    if not session.registered or inner.dead:
        return None
    monitored = inner.attaching and not inner.hook.PER_THREAD
    thread = inner.own_thread() if monitored else inner.running_thread()
    if thread is None:
        return None
    if thread.guard == GUARD_FREE and not thread.is_looking:
        attach.look_again(thread)
    return thread if thread.attached and attach.has_place(thread) else None


def tell(
    session: Session, otherwise: Any, write: Callable[..., Any], *arguments: Any
) -> Any:
    """What ``write`` gives, if this thread is traced and inside a trace.

    It is called with the thread, its guard up, and the session's lock.
    """
    thread = _find_thread(session)
    if thread is None or thread.guard != GUARD_FREE:
        return otherwise
    told = [otherwise]

    def step() -> None:
        thread.guard = GUARD_RECORD
        if thread.pending:
            profile_event.settle(thread)  # it belongs to the scope as it was
        scope.check(thread)
        if thread.stream is not None:
            tracers.prepare(thread, thread.stream, clock.ns())
            told[0] = write(thread, *arguments)
        thread.guard = GUARD_FREE

    interrupt.run(thread, step)
    return told[0]


def tell_handling(
    session: Session, otherwise: Any, write: Callable[..., Any], *arguments: Any
) -> Any:
    """The same, also from a plugin's handler, whose guard is up and stays so."""
    thread = _find_thread(session)
    if thread is None or not thread.handling:
        return tell(session, otherwise, write, *arguments)
    if not interrupt.take_lock(thread.session):
        return otherwise
    try:
        scope.check(thread)  # the handler may have moved it
        if thread.stream is None:
            return otherwise
        tracers.prepare(thread, thread.stream, clock.ns())
        return write(thread, *arguments)
    finally:
        thread.session.lock.release()


def scope_changed(session: Session) -> None:
    """The scope is looked up with the next call."""
    thread = _find_thread(session)
    if thread is not None:
        thread.scope_generation = session.inner.scope_generation - 1


def region_begin(session: Session, name: str, values: dict[str, Any]) -> int:
    """Its number; 0 outside every trace."""
    return int(tell(session, 0, _write_region, name, values))


def check(text: object, values: object) -> None:
    """TypeError where they are not what they should be."""
    if not isinstance(text, str):
        raise TypeError(f"a text was expected, not {type(text).__name__}")
    if not isinstance(values, dict):
        raise TypeError(f"a dict was expected, not {type(values).__name__}")


def _write_region(thread: Thread, name: str, values: dict[str, Any]) -> int:
    assert thread.stream is not None
    entry = Entry(thread.stream, thread.depth_limit)
    thread.stack.append(entry)
    if not capture_said.region(thread, entry, name, values, clock.ns()):
        entry.unwritten = True
        thread.lose(entry.stream)
    return 0 if entry.unwritten else entry.open.node


def region_end(session: Session, node: int, exception: BaseException | None) -> bool:
    """End region ``node`` of this thread; what is above it and still open is cut.

    A region that is not on the stack (its coroutine was suspended in it) has been cut
    already.
    """
    return bool(tell(session, False, _write_region_end, node, exception))


def _write_region_end(
    thread: Thread, node: int, exception: BaseException | None
) -> bool:
    for at in range(len(thread.stack) - 1, -1, -1):
        entry = thread.stack[at]
        if entry.frame is None and entry.open.node == node and not entry.unwritten:
            break
    else:
        return False
    tracers.cut(thread, at + 1)
    if not capture_said.region_end(thread, entry, exception, clock.ns()):
        if not entry.unwritten:  # its block may have been lost meanwhile
            entry.stream.stream.drop(entry.open)
        thread.lose(entry.stream)
    thread.depth_limit = entry.depth_limit
    thread.stack.pop()
    return True


def note(session: Session, text: str, values: dict[str, Any]) -> bool:
    """Leave a note; False outside every trace."""
    return bool(tell(session, False, _write_note, text, values))


def _write_note(thread: Thread, text: str, values: dict[str, Any]) -> bool:
    assert thread.stream is not None
    if capture_said.note(thread, thread.stream, text, values, clock.ns()):
        return True
    thread.lose(thread.stream)
    return False


def resolve(session: Session, exception: BaseException) -> None:
    """An exception that reached the runner: tell the calls that it left."""
    if not session.inner.opened:
        return  # nothing was kept: it left no call of ours
    thread = session.inner.running_thread()
    if thread is None or not attach.has_place(thread):
        return  # PyPy takes our function away before exit handlers run
    if isinstance(exception, BaseException):
        tell(session, None, unknown.resolve, exception)
