"""What the hooks share: which there are, and the way to the tracer. Twin of
src/trace/hook.c.

A hook is how the interpreter reaches us. Each turns what it is told into the calls of
tracer.py, for kept code only. A hook is a module that has

    NAME                      as it is asked for
    PER_THREAD                whether each thread has a profile function of its own
    begin(tracer)             have the interpreter tell us of every thread
    end(tracer)
    forget(tracer)            filters have changed: skipped code is asked about again
    profile_function(thread)  where PER_THREAD

Threads: the traced thread.
Owns: nothing.
Fails: ``begin`` with RuntimeError; what runs per event raises what is the program's.
"""

from __future__ import annotations

import sys

from kolo_c.reference import clock, interrupt, scope
from kolo_c.reference import verdict as verdicts
from kolo_c.reference.thread import GUARD_FLUSH, GUARD_FREE, GUARD_RECORD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, ModuleType

    from kolo_c.reference.thread import Thread
    from kolo_c.reference.verdict import Verdict


def find(name: str) -> ModuleType:
    """The hook of that name; ValueError where this Python has none."""
    if name == "setprofile":
        from kolo_c.reference import hook_setprofile  # noqa: PLC0415 - one of the two

        return hook_setprofile
    if name == "monitoring" and hasattr(sys, "monitoring"):
        from kolo_c.reference import hook_monitoring  # noqa: PLC0415 - as above

        return hook_monitoring
    raise ValueError(f'this Python has no hook "{name}"')


def admits(thread: Thread) -> bool:
    """Whether the thread may record this event now: it is not in one of our functions.

    Where another thread hands over its blocks, the event waits for it.
    """
    return thread.guard in (GUARD_FREE, GUARD_FLUSH)


def wants(thread: Thread, verdict: Verdict) -> bool:
    """Whether a call that begins or goes on here is to be recorded, or shown to a
    plugin; the scope is looked up where it has changed."""
    thread.guard = GUARD_RECORD
    scope.check(thread)
    thread.guard = GUARD_FREE
    if verdict.watched and thread.sees_watched:
        return True
    return (verdict.keep_bits & thread.keep_bits) != 0


def _raise_guard(thread: Thread) -> bool:
    """With the lock, so that nobody else has it raised as well."""
    session = thread.session
    if not admits(thread) or not interrupt.enter(thread, interrupt.is_owned(session)):
        return False
    try:
        if thread.guard != GUARD_FREE:
            return False
        thread.guard = GUARD_RECORD
        return True
    finally:
        session.lock.release()


def decide(thread: Thread, frame: FrameType) -> Verdict | None:
    """Ask the filter, with the guard up; None where it cannot be asked now.

    Without the session's lock: the filter may import, and wait for a module that
    another thread imports.
    """
    began_ns = clock.ns()
    if not _raise_guard(thread):
        return None
    try:
        verdict = verdicts.decide(thread.tracer, frame, frame.f_code)
    except RecursionError:
        thread.broken = True  # there is no room for more
        thread.guard = GUARD_FREE
        return None
    except BaseException as error:
        if not interrupt.is_swallowed(thread, error):
            raise
        return None
    thread.guard = GUARD_FREE
    if thread.given_back is not None:
        interrupt.raise_given_back(thread)
    thread.count_own(clock.ns() - began_ns)
    return verdict
