"""What strikes in a call of ours: the program's exceptions go to it, ours stay.
Twin of src/session/interrupt.c, and more than it: in Python a signal's handler, or an
exception that another thread sends, may strike between any two lines of ours.

Each event of kept code is a ``run``: the lock is taken, the step done, and whatever was
raised is sorted. An error of our own is counted and the record lost. All else is the
program's: it is raised out of our function, in the frame whose event it was, without
our frames in its traceback (attach.py sees to that, and to our not being removed).
What the step had half done is mended first (repair.py).

A program that has nearly used up its recursion limit leaves us no room: what happens in
its last dozen frames is lost, and said to be. Only where not even one frame is left the
program gets its RecursionError one frame early.

Threads: the traced thread.
Owns: nothing.
Fails: ``run`` raises what is the program's, and nothing else.
"""

from __future__ import annotations

import os
import sys

from kolo_c.reference import attach, fork
from kolo_c.reference.repair import repair
from kolo_c.reference.thread import GUARD_FREE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from kolo_c.reference.session import Session
    from kolo_c.reference.thread import Thread

_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LEAST_WAIT_SECONDS = 1.0


def take_lock(session: Session) -> bool:
    """Take the session's lock; False where that takes longer than it may.

    It would for ever where its holder waits, in a signal's handler, for this thread.
    """
    if session.lock.acquire(False):
        return True
    return session.lock.acquire(
        True, max(session.wait_max_ns / 1e9, _LEAST_WAIT_SECONDS)
    )


def run(thread: Thread, step: Callable[..., Any], *arguments: Any) -> None:
    """One event of kept code: ``step(*arguments)``, with the session's lock."""
    session = thread.session
    try:
        if thread.broken:
            mend(thread)
        if not take_lock(session):
            if thread.stream is not None:
                thread.lose(thread.stream)
            return
        try:
            step(*arguments)
        finally:
            session.lock.release()
    except RecursionError:
        thread.broken = True  # to be mended when there is room again
        thread.guard = GUARD_FREE
    except BaseException as error:
        if not is_swallowed(thread, error):
            raise
    if thread.given_back is not None:
        raise_given_back(thread)


def is_swallowed(thread: Thread, error: BaseException) -> bool:
    """``error`` leaves our function; is it ours? If not, it may be raised now."""
    thread.broken = True
    mend(thread)
    if is_ours(error):
        thread.session.error(f"the recorder: {type(error).__name__}: {error}")
        return True
    thread.raising = error
    attach.look_soon(thread, _program_frame(sys._getframe()))
    return False


def mend(thread: Thread) -> None:
    """The step that was struck is over: let go of what it held, mend what it left."""
    session = thread.session
    while session.lock._is_owned():  # type: ignore[attr-defined]
        session.lock.release()
    if not take_lock(session):
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
    of a class of the program's.
    """
    if not isinstance(error, Exception) or type(error).__module__ != "builtins":
        return isinstance(error, _store_errors())
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and is_own_frame(traceback.tb_frame)


def _store_errors() -> tuple[type[BaseException], ...]:
    """Errors of libraries that we use; sqlite3's, struct's."""
    import sqlite3  # noqa: PLC0415 - the store has it, or there is none
    import struct  # noqa: PLC0415 - as above

    return (sqlite3.Error, struct.error)


def is_own_frame(frame: FrameType) -> bool:
    """Whether it runs code of this package."""
    return frame.f_code.co_filename.startswith(_OWN_FOLDER)


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
        attach.look_soon(thread, _program_frame(sys._getframe()))
        raise error
