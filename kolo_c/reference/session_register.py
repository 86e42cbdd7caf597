"""Attaching a session's tracer to the threads, and detaching it. Twin of
src/session_register.c.

Threads: any. Owns: nothing. Fails: ``register`` and ``unregister`` with RuntimeError.
"""

from __future__ import annotations

import sys
import threading
from types import FunctionType

from kolo_c.reference import (
    attach,
    interrupt,
    profile_event,
    session_object,
    system,
)
from kolo_c.reference.hook_setprofile import ProfileFunction, noop
from kolo_c.reference.thread import GUARD_FREE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from kolo_c.reference.session_object import Session

_bootstrap = threading.Thread._bootstrap_inner.__code__  # type: ignore[attr-defined]


def other_profiler() -> str | None:
    """Who has the profile function of this thread, if it is not ours."""
    function = system.getprofile()
    if function is None or isinstance(function, ProfileFunction):
        return None
    if function is noop:
        return "kolo_c's no-op profiler"
    if isinstance(function, FunctionType):
        return f"{function.__module__} ({function.__qualname__})"
    kind = type(function)
    module = kind.__dict__.get("__module__")
    return f"{module}.{kind.__name__}" if isinstance(module, str) else kind.__name__


def register(session: Session, replace: bool) -> None:
    """Attach the tracer to the running threads, and to those started later."""
    inner = session.inner
    if session is not session_object.active() or not inner.open or inner.dead:
        raise RuntimeError("the session is not active")
    name = other_profiler() if inner.hook.PER_THREAD and not replace else None
    if name is not None:
        raise RuntimeError(f"another profiler is installed: {name}")
    if inner.hook.PER_THREAD:
        attach.watch()
    inner.first_idents = frozenset(system._current_frames())
    inner.hook.begin(session.tracer)
    session.registered = True
    inner.attaching = True
    with inner.lock:
        attach.attach(inner)  # this thread first: it is the trace's first
        inner.adopt_threads()


def unregister(session: Session) -> None:
    """Detach the tracer and put back what was there."""
    if session is not session_object.active():
        raise RuntimeError("the session is not active")
    if not session.registered:
        return
    session.registered = False
    inner = session.inner
    # Each, whatever became of those before.
    for step in (_detach, _end_hook, _quiesce, _settle):
        try:
            step(session)
        except Exception as error:
            if not interrupt.swallow(inner, error):
                raise


def _detach(session: Session) -> None:
    inner = session.inner
    try:
        attach.detach_all(inner)
    finally:
        inner.attaching = False
        if isinstance(function := system.getprofile(), ProfileFunction):
            system.setprofile(function.thread.previous)


def _end_hook(session: Session) -> None:
    session.inner.hook.end(session.tracer)


def _quiesce(session: Session) -> None:
    session.inner.quiesce()


def _settle(session: Session) -> None:
    """What waits for its exception will not get it."""
    inner = session.inner
    with inner.lock:
        for thread in inner.threads:
            if thread.pending and not inner.dead and thread.guard == GUARD_FREE:
                thread.guard = thread.guard_for_flush()
                profile_event.settle(thread)
                thread.guard = GUARD_FREE


def _tell(session: Session) -> None:
    """Tell Python that a thread begins: it may belong to a trace."""
    tell = session.tracer.thread_begins
    if tell is not None:
        try:
            tell()
        except Exception:
            session.inner.error("the trace of a new thread is not known")


def attach_thread(session: Session) -> bool:
    """Attach a thread that has just begun; false where that was not to be done."""
    inner = session.inner
    if not session.registered or inner.dead:
        return False
    try:
        _tell(session)
        with inner.lock:
            attach.attach_new(inner)
    except BaseException as error:
        if not interrupt.swallow(inner, error):
            raise
        return False
    return True


class ThreadHook:
    """For threading.setprofile(): a new thread asks for it, or calls it first.

    Before 3.12 CPython refuses to set a profile function while another thread is about
    to, and the thread whose bootstrap asked would end before it ran. So it is told that
    there is none, and gets its function meanwhile.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    def __bool__(self) -> bool:
        if sys.version_info >= (3, 12) or system._getframe(1).f_code is not _bootstrap:
            return True
        attach_thread(self.session)
        return False

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        attached = False
        try:
            attached = attach_thread(self.session)
        finally:
            if not attached:
                system.setprofile(None)
        thread = self.session.inner.running_thread() if attached else None
        if thread is None or thread.function is None:
            return
        function = thread.function()
        # The event that brought us here may be a call of the program's.
        if function is not None and event == "call":
            function(frame, event, arg)
