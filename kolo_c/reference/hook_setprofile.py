"""The hook that works on every version: sys.setprofile(). Twin of
src/trace/hook_setprofile.c.

Each thread has a profile function of its own, which knows that thread's state. From
3.12 on a PY_UNWIND and a PY_THROW callback of sys.monitoring stand beside it, since
setprofile hides the exception that leaves a frame; they come after the profile event,
which waits.

While a profile function runs, the interpreter reports no event of its thread: what is
done here is not recorded, and nobody else's profiler sees it.

Threads: each traced thread.
Owns: the tool (monitoring.py) between begin and end.
Fails: nothing of our own is raised in the program; what a signal's handler raises while
       we run is (interrupt.py).
"""

from __future__ import annotations

from kolo_c.reference import attach, interrupt, monitoring, pause, profile_event
from kolo_c.reference import hook as hooks
from kolo_c.reference import verdict as verdicts
from kolo_c.reference.thread import GUARD_FREE, GUARD_RECORD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

    from kolo_c.reference.thread import Thread
    from kolo_c.reference.tracer import Tracer
    from kolo_c.reference.verdict import Verdict

NAME = "setprofile"
PER_THREAD = True


def noop(frame: FrameType, event: str, arg: object) -> None:
    """A profile function that does nothing: the floor of every measurement."""


class ProfileFunction:
    """The profile function of one thread."""

    __slots__ = ("__weakref__", "end", "thread")

    def __init__(self, thread: Thread) -> None:
        self.thread = thread
        self.end: Any = None
        """Dies with us; attach.py's."""

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        """Every event of the thread comes through here: C functions leave first,
        skipped code after one look at its verdict."""
        thread = self.thread
        try:
            if event != "call" and event != "return":
                thread.in_c = event == "c_call"
                if profile_event.CALLS_TELL_THROW:
                    profile_event.called(thread, arg if thread.in_c else None)
                return
            if not thread.session.attaching:
                attach.detach_self(thread)
                return
            if profile_event.CALLS_TELL_THROW:
                profile_event.note(thread, frame, event, arg)
            verdict = verdicts.probe(thread.tracer, frame.f_code)
            if verdict is None:
                verdict = hooks.decide(thread, frame)
            if verdict is not None and not verdict.skips():
                interrupt.run(thread, _keep, thread, frame, event, arg, verdict)
        except RecursionError:
            thread.broken = True  # there is no room left for us
        except BaseException as error:
            if thread.raising is error or not interrupt.is_swallowed(thread, error):
                raise


def profile_function(thread: Thread) -> ProfileFunction:
    """For sys.setprofile() in that thread."""
    return ProfileFunction(thread)


def _keep(
    thread: Thread, frame: FrameType, event: str, arg: Any, verdict: Verdict
) -> None:
    """An event of kept code."""
    about = verdict.about
    if about is None or not hooks.admits(thread):
        return
    if profile_event.HIDES_RESUMPTION and thread.session.waiting.slots:
        profile_event.catch_up(thread, frame, event == "return")
    if event == "return":
        profile_event.leave(thread, frame, about, arg)
        return
    if thread.pending != profile_event.PENDING_NONE:
        thread.guard = GUARD_RECORD
        profile_event.settle(thread)  # it belongs to the scope as it was
        thread.guard = GUARD_FREE
    if hooks.wants(thread, verdict):
        profile_event.enter(thread, frame, about)
    elif thread.paused and about.suspends and pause.follow(thread, frame, about):
        profile_event.enter(thread, frame, about)
        pause.leave(thread)


# ---- exceptions, from 3.12 on ----


def begin(tracer: Tracer) -> None:
    """Subscribe to exceptions, where that can be; else they are of unknown type."""
    if not monitoring.acquire():
        return
    tracer.tool_id = monitoring.tool()
    tracer.sees_exceptions = True
    session = tracer.session

    def on_exception(code: CodeType, offset: int, error: BaseException) -> None:
        """Comes after the profile event, which waits for it."""
        try:
            thread = session.running_thread()
            if thread is None or thread.pending == profile_event.PENDING_NONE:
                return
            waits = thread.pending_frame
            if thread.guard != GUARD_FREE or waits is None or waits.f_code is not code:
                return
        except BaseException as own:
            if not interrupt.swallow(session, own):
                raise
            return
        interrupt.run(thread, profile_event.exception, thread, error)

    monitoring.listen("PY_UNWIND", on_exception)
    monitoring.listen("PY_THROW", on_exception)
    monitoring.set_events(("PY_UNWIND", "PY_THROW"))


def end(tracer: Tracer) -> None:
    """Let go of the tool."""
    if tracer.sees_exceptions:
        tracer.sees_exceptions = False
        monitoring.release()


def forget(tracer: Tracer) -> None:
    """Filters have changed: the next event of each code object asks again."""
