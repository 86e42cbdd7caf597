"""What strikes in a call of ours: the program's exceptions go to it, ours stay.
Twin of src/session/interrupt.c, and more than it: in Python a signal's handler, or an
exception that another thread sends, may strike between any two lines of ours.

Each event of kept code is a ``run``: the lock is taken, the step done, and whatever was
raised is sorted. An error of our own is counted and the record lost. All else is the
program's: it is raised out of our function, in the frame whose event it was, without
our frames in its traceback (attach.py sees to that, and to our not being removed).
What the step had half done is mended first (repair.py). A thread that cannot be mended
is recorded no further, and the trace says so. What the interpreter calls beside events
(a thread's end, a fork, an audit hook) keeps errors of ours by ``swallow``.

A program that has nearly used up its recursion limit leaves us no room: what happens in
its last dozen frames is lost, and said to be. Only where not even one frame is left the
program gets its RecursionError one frame early.

Threads: the traced thread.
Owns: nothing.
Fails: ``run`` raises what is the program's, and nothing else.
"""

from __future__ import annotations

import os
from time import sleep

from kolo_c.reference import attach, clock, fork, system
from kolo_c.reference.repair import repair
from kolo_c.reference.thread import (
    GUARD_COLLECTOR,
    GUARD_FLUSH,
    GUARD_FREE,
    GUARD_RECORD,
    GUARD_STOPPED,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from kolo_c.reference.session import Session
    from kolo_c.reference.thread import Thread

_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LIBRARY_FOLDER = os.path.dirname(os.__file__) + os.sep
_LEAST_WAIT_NS = 1_000_000_000


def take_lock(session: Session) -> bool:
    """Take the session's lock; False where that takes longer than it may.

    It would for ever where its holder waits, in a signal's handler, for this thread.
    """
    if session.lock.acquire(False):
        return True
    return session.lock.acquire(True, max(session.wait_max_ns, _LEAST_WAIT_NS) / 1e9)


def enter(thread: Thread, held: bool) -> bool:
    """Take the session's lock for an event of ``thread``, which may have it already.

    Who hands over the thread's blocks lets go of the lock while it waits for the
    writer: that is waited for too. False where it takes longer than it may.
    """
    session = thread.session
    deadline_ns = 0
    while take_lock(session):
        if held or thread.guard != GUARD_FLUSH:
            return True
        session.lock.release()
        now_ns = clock.system_ns()
        if deadline_ns == 0:
            deadline_ns = now_ns + max(session.wait_max_ns, _LEAST_WAIT_NS)
        elif now_ns >= deadline_ns:
            return False
        sleep(0.001)
    return False


def run(thread: Thread, step: Callable[..., Any], *arguments: Any) -> None:
    """One event of kept code: ``step(*arguments)``, with the session's lock."""
    session = thread.session
    if session.forking and thread.guard == GUARD_COLLECTOR:
        return  # in the child the lock may be that of a thread that is not there
    if system.getpid() != session.pid:
        fork.notice(session)
        return
    held = is_owned(session)  # by a function of ours that the interpreter told of
    try:
        if thread.broken:
            mend(thread)
        if not enter(thread, held):
            if thread.stream is not None:
                thread.lose(thread.stream)
            return
        try:
            step(*arguments)
        finally:
            session.lock.release()
    except RecursionError:  # to be mended when there is room again
        thread.broken = True
        thread.missed += 1
        thread.guard = GUARD_FREE
    except BaseException as error:
        if not held:
            _release(session)
        if not is_swallowed(thread, error):
            raise
    if thread.given_back is not None:
        raise_given_back(thread)


def is_owned(session: Session) -> bool:
    """Whether this thread has the session's lock."""
    return session.lock._is_owned()  # type: ignore[attr-defined,no-any-return]


def _release(session: Session) -> None:
    """Let go of what a step has taken, however often."""
    while is_owned(session):
        session.lock.release()


def is_swallowed(thread: Thread, error: BaseException) -> bool:
    """``error`` leaves our function; is it ours? If not, it may be raised now."""
    thread.broken = True
    if thread.guard == GUARD_RECORD:
        thread.guard = GUARD_FREE
    own = is_ours(error)
    if own:
        thread.missed += 1
        thread.session.error(describe(error))
    try:
        mend(thread)
    except RecursionError:
        pass  # as above
    except Exception as second:
        if not is_ours(second):
            raise
        _stop(thread, second)
    if own:
        return True
    thread.raising = error
    attach.look_soon(thread, _program_frame(system._getframe()))
    return False


def swallow(session: Session, error: BaseException) -> bool:
    """The same where no event was being recorded: whether ``error`` is ours."""
    if isinstance(error, RecursionError):
        return True  # the program has left us no room
    if not is_ours(error):
        return False
    session.error(describe(error))
    return True


def describe(error: BaseException) -> str:
    """An error of ours in words, without asking an object of the program's."""
    text = ", ".join(str(one) for one in error.args if type(one) in (str, int))
    traceback, place = error.__traceback__, ""
    while traceback is not None:
        if is_own_frame(traceback.tb_frame):
            name = os.path.basename(traceback.tb_frame.f_code.co_filename)
            place = f" ({name}:{traceback.tb_lineno})"
        traceback = traceback.tb_next
    return f"the recorder: {type(error).__name__}{text and ': '}{text}{place}"


def _stop(thread: Thread, error: BaseException) -> None:
    """What the thread was doing cannot be mended: it is recorded no further."""
    session = thread.session
    session.error_text = ""  # it says more than what came before
    session.error(f"a thread is recorded no further: {describe(error)}")
    session.lost_count += thread.missed
    thread.missed = 0
    thread.waiting = thread.writing = thread.broken = False
    thread.clear_pending()
    thread.guard = GUARD_STOPPED


def mend(thread: Thread) -> None:
    """The step that was struck is over: mend what it left."""
    session = thread.session
    if thread.guard == GUARD_STOPPED or not take_lock(session):
        return
    try:
        repair(thread)
        thread.broken = False
    finally:
        session.lock.release()


def is_ours(error: BaseException) -> bool:
    """Whether it is an error of our own code.

    What a handler raised comes from a frame of the program; what it has had raised in
    our frames (KeyboardInterrupt, an exception sent by another thread) is no error, or
    of a class of the program's. What the library raises comes from a call of ours to
    it.
    """
    if not isinstance(error, Exception) or type(error).__module__ != "builtins":
        return isinstance(error, _store_errors())
    traceback = error.__traceback__
    if traceback is None:
        return False
    while traceback is not None:
        frame = traceback.tb_frame
        if not is_own_frame(frame) and not _is_library_frame(frame):
            return False
        traceback = traceback.tb_next
    return True


def _store_errors() -> tuple[type[BaseException], ...]:
    """Errors of libraries that we use; sqlite3's, struct's."""
    import sqlite3  # noqa: PLC0415 - the store has it, or there is none
    import struct  # noqa: PLC0415 - as above

    return (sqlite3.Error, struct.error)


def is_own_frame(frame: FrameType) -> bool:
    """Whether it runs code of this package."""
    return frame.f_code.co_filename.startswith(_OWN_FOLDER)


def _is_library_frame(frame: FrameType) -> bool:
    """Whether it runs code of the standard library."""
    path = frame.f_code.co_filename
    return path.startswith((_LIBRARY_FOLDER, "<frozen")) and (
        "site-packages" not in path and "dist-packages" not in path
    )


def _program_frame(frame: FrameType | None) -> FrameType | None:
    """The frame in which our function was called."""
    while frame is not None and is_own_frame(frame):
        frame = frame.f_back
    return frame


def give_back(error: BaseException) -> bool:
    """Whether ``error``, raised by a call of ours into Python, is the program's.

    The filter and a boundary's beginning are Python in the C core too: an Exception is
    an error of theirs there. What is the program's is raised as soon as our function is
    over, in the same thread.
    """
    if isinstance(error, Exception):
        return False
    session = fork.current()
    thread = session.running_thread() if session is not None else None
    if thread is not None:
        thread.given_back = error
    return True


def raise_given_back(thread: Thread) -> None:
    """Raise in the program what ``give_back`` was given; our function is over."""
    error, thread.given_back = thread.given_back, None
    if error is not None:
        thread.raising = error
        attach.look_soon(thread, _program_frame(system._getframe()))
        raise error
