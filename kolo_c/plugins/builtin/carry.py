"""Threads and executors: what they run belongs to the trace that started it.

asyncio's tasks, ``asyncio.to_thread`` and asgiref carry a context along; a thread does
not, nor does what is submitted to an executor. These plugins make no records: they
take the scope's number from where a thread is started or work is submitted to where it
runs.

Threads: any; ``start`` and ``submit`` in one, ``run`` in another.
Owns: the number of a thread's scope, from its start to its first step.
Fails: never: then it belongs to the process's trace.
"""

from __future__ import annotations

import sys
from _thread import get_ident

from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Plugin
from kolo_c.scope import PAUSED, SCOPE, VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from kolo_c.session import Session

_POOLS = "concurrent.futures.thread"
_NUMBER = "_kolo_c_scope"
"""On a work item, which is the executor's own: the scope's number, and above it the
session's serial."""

_starting: dict[int, int] = {}
"""By the address of a Thread that is being started, the number of its scope."""


class ThreadStart(Plugin):
    """``Thread.start``: the new thread belongs to the scope of the one that starts it.

    But for a worker of a pool, which is anybody's: its work has scopes of its own.
    """

    def start(self, frame: FrameType) -> dict[str, Any] | None:
        thread = local(frame, "self")
        number = SCOPE.get()
        target = getattr(thread, "__dict__", {}).get("_target")
        if number == 0 or getattr(target, "__module__", None) == _POOLS:
            return None
        _starting[id(thread)] = number
        return {"_thread": id(thread)}

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> None:
        if exception is not None:
            _starting.pop(started["_thread"], None)


class ThreadRun(Plugin):
    """The first step of a thread, and its last."""

    def start(self, frame: FrameType) -> dict[str, Any] | None:
        number = adopt(local(frame, "self"))
        return {"_number": number} if number else None

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> None:
        session = SCOPE.session
        if session is not None:
            session.boundaries.leave(started["_number"])


def adopt(thread: Any) -> int:
    """In a new thread: it belongs to the scope that it was started in; its number."""
    number = _starting.pop(id(thread), 0)
    session = SCOPE.session
    if number == 0 or session is None:
        return 0
    # From 3.14 on it runs in a context of its own making.
    context = getattr(thread, "__dict__", {}).get("_context")
    if context is not None:
        try:
            context.run(VARIABLE.set, number)
        except RuntimeError:
            pass  # it has been entered: this is it
    SCOPE.set(number)
    if number == PAUSED:
        return 0
    session.boundaries.enter(number)
    return number


def adopt_running(session: Session) -> None:
    """The same by the profile function's first event, which comes after that step."""
    threading = sys.modules.get("threading")
    thread = getattr(threading, "_active", {}).get(get_ident())
    if thread is None:
        return
    number = adopt(thread)
    if number:
        session.boundaries.leave_with(thread, number)


def is_between_work() -> bool:
    """Whether a worker of a pool is about to run something: its scope is still that of
    what it ran last, where that boundary ended before the work item did.

    For ``Boundaries.late``.
    """
    frame = sys._getframe(2)
    code = frame.f_code
    if frame.f_globals.get("__name__") != _POOLS:
        return False
    # With a hook that comes before the frame, it is the caller's that is seen.
    return code.co_name == "_worker" or frame.f_lineno == code.co_firstlineno


class WorkSubmitted(Plugin):
    """``Executor.submit`` makes a work item, in the thread that submits.

    For the Python core, as the next; src/trace/carry.c is the C core's.
    """

    def start(self, frame: FrameType) -> None:
        number = SCOPE.get()
        session = SCOPE.session
        if session is not None:
            item = local(frame, "self")
            item.__dict__[_NUMBER] = session.boundaries.serial << 32 | number


class WorkRun(Plugin):
    """A worker runs it."""

    def start(self, frame: FrameType) -> dict[str, Any] | None:
        carried = local(frame, "self").__dict__.get(_NUMBER)
        session = SCOPE.session
        if carried is None or session is None:
            return None
        serial, number = carried >> 32, carried & 0xFFFFFFFF
        if serial != session.boundaries.serial:
            return None
        if number not in (0, PAUSED):
            session.boundaries.enter(number)
        return {"_token": SCOPE.set(number), "_number": number}

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> None:
        SCOPE.reset(started["_token"])
        session = SCOPE.session
        if session is not None:
            session.boundaries.leave(started["_number"])
