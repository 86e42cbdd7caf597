"""A fork in a traced program. Twin of src/session/fork.c.

Before it the writer saves what is queued and closes its connection. From then on the
thread that forks records nothing, so that in the child, where other handlers may run
before ours, nothing of the parent's is touched: there everything is let go of, blocks,
connection, liveness lock. A session of the child's own is started later, by session.py.

Threads: the one that forks. Owns: which session that is. Fails: never.
"""

from __future__ import annotations

import os

from kolo_c.reference import clock
from kolo_c.reference.status import Status
from kolo_c.reference.thread import GUARD_COLLECTOR, GUARD_FREE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kolo_c.reference.session import Session

_DRAIN_NS = 2_000_000_000

_session: Session | None = None
_registered = False  # handlers cannot be taken back: once for the process


def current() -> Session | None:
    """The session that a fork must know of, and an audit hook; None for none."""
    return _session


def guard_forks(session: Session | None) -> None:
    """That is ``session`` from now on."""
    global _session, _registered
    _session = session
    if session is not None and not _registered and hasattr(os, "register_at_fork"):
        _registered = True
        os.register_at_fork(
            before=_before, after_in_parent=_in_parent, after_in_child=_in_child
        )


def _before() -> None:
    _tell(_prepare)


def _in_parent() -> None:
    _tell(_go_on)


def _in_child() -> None:
    _tell(_let_go)


def _tell(step: Callable[[Session], None]) -> None:
    session = _session
    if session is None or session.dead:
        return
    try:
        step(session)
    except BaseException as error:
        from kolo_c.reference.interrupt import swallow  # noqa: PLC0415 - a circle

        if not swallow(session, error):
            raise


def _prepare(session: Session) -> None:
    thread = session.running_thread()
    if thread is not None and thread.guard == GUARD_FREE:
        thread.guard = GUARD_COLLECTOR
    if not session.lock.acquire(True, _DRAIN_NS / 1e9):
        return
    try:
        if session.writer_started:
            session.queue.close()
            session.writer_started = False
            began_ns = clock.system_ns()
            # A disk that is slow may hold the program no longer than in all.
            most_ns = min(session.wait_left_ns, _DRAIN_NS)
            if session.writer.stop(began_ns + most_ns) is not Status.OK:
                session.count_wait(clock.system_ns() - began_ns)
    finally:
        session.queue.reopen()
        session.forking = True
        session.lock.release()


def _go_on(session: Session) -> None:
    session.forking = False
    session.forked_ns = clock.system_ns()
    thread = session.running_thread()
    if thread is not None and thread.guard == GUARD_COLLECTOR:
        thread.guard = GUARD_FREE


def _let_go(session: Session) -> None:
    session.abandon()


def notice(session: Session) -> None:
    """This is a child, of a fork by C alone (uWSGI's): none of Python's handlers was
    called."""
    if session.dead:
        return
    _tell(_let_go)
    if session.when_forked is not None:
        session.when_forked()
