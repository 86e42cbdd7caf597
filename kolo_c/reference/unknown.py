"""Exceptions that CPython tells late (3.10, 3.11): calls that were left by one of
unknown type, until it is seen with its traceback. Twin of src/trace/unknown.c.

Threads: the traced thread, with the session's lock.
Owns: ``Thread.unknown``, in which frames are compared only.
Fails: never: what is not seen again stays unknown.
"""

from __future__ import annotations

from kolo_c.reference import capture, clock, system
from kolo_c.reference.thread import UNKNOWN_MOST, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from kolo_c.reference.stack import Entry
    from kolo_c.reference.thread import Thread

CHAIN_MOST = 16
"""Of an exception's causes and contexts are looked at."""


def add(thread: Thread, entry: Entry) -> None:
    """The call left by an exception of unknown type; it may be seen later."""
    if len(thread.unknown) == UNKNOWN_MOST or entry.foreign:
        return
    assert entry.frame is not None
    thread.unknown.append(
        Unknown(id(entry.frame), entry.frame.f_code, entry.stream, entry.open.node)
    )


def _tell_unknown(thread: Thread, exception: BaseException, frame: FrameType) -> None:
    for at, unknown in enumerate(thread.unknown):
        if unknown.frame == id(frame) and frame.f_code is unknown.code:
            capture.handled(thread, unknown, exception, clock.ns())
            last = thread.unknown.pop()
            if at < len(thread.unknown):
                thread.unknown[at] = last
            return


def resolve(thread: Thread, exception: BaseException) -> None:
    """``exception`` was seen with its traceback: tell the calls that it left."""
    # Those that led to it were handled without a call being made: nothing but the chain
    # has them any more. It may be a circle.
    at: BaseException | None = exception
    for led in range(CHAIN_MOST):
        if at is None or not thread.unknown:
            break
        traceback = _traceback_of(at)
        if led and traceback and traceback.tb_lasti != traceback.tb_frame.f_lasti:
            # The first was most likely left by what this one led to, elsewhere.
            traceback = traceback.tb_next
        while traceback is not None and thread.unknown:
            # The traceback holds the frame, so its address is nobody else's.
            _tell_unknown(thread, at, traceback.tb_frame)
            traceback = traceback.tb_next
        cause = _cause_of(at)
        at = cause if cause is not None else _context_of(at)
    thread.unknown.clear()  # what they do not name was never seen again


# Read past what a class of the program's may have put in their place.
_traceback_of = BaseException.__dict__["__traceback__"].__get__
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__


def _forget_unknown(thread: Thread, frame: FrameType) -> None:
    """A frame is entered: whatever had its place before is gone, and was never seen."""
    for at, unknown in enumerate(thread.unknown):
        if unknown.frame == id(frame):
            last = thread.unknown.pop()
            if at < len(thread.unknown):
                thread.unknown[at] = last
            return


def look(thread: Thread, frame: FrameType, may_be_thrown: bool) -> None:
    """A kept call begins while exceptions are unknown: is one of them being handled?

    If not, they were swallowed, unless this is a generator that throw() brings one of
    them to.
    """
    _forget_unknown(thread, frame)
    handled = system.exc_info()[1]
    if handled is not None:
        resolve(thread, handled)
    elif not may_be_thrown:
        thread.unknown.clear()
