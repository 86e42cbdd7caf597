"""The hook of sys.monitoring (3.12 and newer): skipped code is free. Twin of
src/trace/hook_monitoring.c.

Everything that begins is told once; skipped code answers DISABLE, and is not told of
again. Kept code is given events of its own for its ends, and what happens comes as what
it is: returned, yielded, resumed, thrown at, left by this exception. Calls of C are
never subscribed to. Until 3.14 unwinding and throwing can only be had of all code at
once. From 3.15 on unwinding is kept code's own too, and skipped code answers a throw
with DISABLE.

While a callback runs, the interpreter reports no event of its thread.

Threads: each traced thread calls the callbacks.
Owns: the tool (monitoring.py) between begin and end.
Fails: ``begin`` with RuntimeError; nothing of our own is raised in the program.
"""

from __future__ import annotations

import sys
from weakref import ref

from kolo_c.reference import hook as hooks
from kolo_c.reference import interrupt, monitoring, pause, system, tracer
from kolo_c.reference import verdict as verdicts
from kolo_c.reference.code import lasti_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any

    from kolo_c.reference.code import Code
    from kolo_c.reference.session import Session
    from kolo_c.reference.thread import Thread
    from kolo_c.reference.tracer import Tracer
    from kolo_c.reference.verdict import Verdict

NAME = "monitoring"
PER_THREAD = False

_BEGINNINGS = ("PY_START", "PY_RESUME")
_ENDS = ("PY_RETURN", "PY_YIELD")
_EXCEPTIONS = ("PY_THROW", "PY_UNWIND", "EXCEPTION_HANDLED")
_EXCEPTIONS_ARE_LOCAL = sys.version_info >= (3, 15)


def _events(tracer: Tracer) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which events are to be told of all code, and which of kept code."""
    exceptions = ("PY_UNWIND", "EXCEPTION_HANDLED")[: 1 + tracer.wants_caught]
    # A throw is told of all code: it may begin a generator that was not decided yet.
    all_code = (*_BEGINNINGS, "PY_THROW")
    if _EXCEPTIONS_ARE_LOCAL:
        return all_code, (*_ENDS, *exceptions)
    return (*all_code, *exceptions), _ENDS


_monitored: Tracer | None = None
_kept: list[ref[CodeType]] = []
"""Code objects that have events of their own, to be taken back."""


# ---- what is recorded ----


def _start(
    thread: Thread, frame: FrameType, code: Code, verdict: Verdict, value: Any
) -> None:
    if hooks.wants(thread, verdict):
        tracer.start(thread, frame, code)


def _go_on(
    thread: Thread,
    frame: FrameType,
    code: Code,
    verdict: Verdict,
    throws: bool,
    exception: BaseException | None,
) -> None:
    if hooks.wants(thread, verdict):
        tracer.resume(thread, frame, code, throws, exception)
    elif thread.paused and pause.follow(thread, frame, code):
        tracer.resume(thread, frame, code, throws, exception)
        pause.leave(thread)


def _resume(
    thread: Thread, frame: FrameType, code: Code, verdict: Verdict, value: Any
) -> None:
    _go_on(thread, frame, code, verdict, False, None)


def _throw(
    thread: Thread, frame: FrameType, code: Code, verdict: Verdict, value: Any
) -> None:
    """throw() begins a generator, where that has not begun, and ends it."""
    if code.is_fresh(lasti_of(frame)):
        _start(thread, frame, code, verdict, None)
    else:
        _go_on(thread, frame, code, verdict, True, value)


def _return(
    thread: Thread, frame: FrameType, code: Code, verdict: Verdict, value: Any
) -> None:
    tracer.return_(thread, frame, code, value)


def _yield(
    thread: Thread, frame: FrameType, code: Code, verdict: Verdict, value: Any
) -> None:
    tracer.yield_(thread, frame, code, value)


def _unwind(
    thread: Thread, frame: FrameType, code: Code, verdict: Verdict, value: Any
) -> None:
    tracer.raise_(thread, frame, code, value)


def _handled(
    thread: Thread, frame: FrameType, code: Code, verdict: Verdict, value: Any
) -> None:
    exception, offset = value
    tracer.catch(thread, frame, code, exception, offset // 2)


_STEPS: dict[str, Callable[[Thread, FrameType, Code, Verdict, Any], None]] = {
    "PY_START": _start,
    "PY_RESUME": _resume,
    "PY_THROW": _throw,
    "PY_RETURN": _return,
    "PY_YIELD": _yield,
    "PY_UNWIND": _unwind,
    "EXCEPTION_HANDLED": _handled,
}


# ---- what the interpreter calls ----


def _callback(event: str, owner: Tracer) -> Callable[..., Any]:
    """The function that ``event`` calls."""
    step = _STEPS[event]
    session = owner.session
    answer: Any = monitoring.DISABLE
    if event in _EXCEPTIONS and not _EXCEPTIONS_ARE_LOCAL:
        answer = None  # the interpreter refuses DISABLE

    def tell(code: CodeType, frame: FrameType, value: Any) -> Any:
        verdict = verdicts.probe(owner, code)
        if verdict is not None and verdict.skips():
            return answer
        thread = session.own_thread()
        # Something else than the interpreter may have fired it.
        if thread is None or frame.f_code is not code or _monitored is not owner:
            return None
        if verdict is None:
            verdict = _decide(thread, frame)
            if verdict is None:
                return None
            if verdict.skips():
                return answer
        if verdict.about is not None and hooks.admits(thread):
            interrupt.run(thread, step, thread, frame, verdict.about, verdict, value)
        return None

    def on_event(code: CodeType, offset: int, value: Any = None) -> Any:
        try:
            return tell(code, system._getframe(1), value)
        except RecursionError:
            return None  # there is no room left for us
        except BaseException as error:
            if not _is_swallowed(session, error):
                raise
            return None

    def on_handled(code: CodeType, offset: int, value: Any) -> Any:
        frame = system._getframe(1)
        try:
            return tell(code, frame, (value, offset))
        except RecursionError:
            return None

    return on_handled if event == "EXCEPTION_HANDLED" else on_event


def _is_swallowed(session: Session, error: BaseException) -> bool:
    """``error`` leaves a callback; whether it is ours."""
    thread = session.running_thread()
    if thread is None:
        return interrupt.swallow(session, error)
    return thread.raising is not error and interrupt.is_swallowed(thread, error)


def _decide(thread: Thread, frame: FrameType) -> Verdict | None:
    """Code that was not decided yet, or under other filters."""
    verdict = hooks.decide(thread, frame)
    if verdict is not None and not verdict.skips():
        try:
            monitoring.set_local(frame.f_code, _events(thread.tracer)[1])
        except SystemError:
            return verdict  # no instruction begins it: only exceptions are told of it
        _kept.append(ref(frame.f_code))
    return verdict


def begin(tracer: Tracer) -> None:
    """Listen; RuntimeError where no tool id is free."""
    global _monitored
    if not monitoring.acquire():
        raise RuntimeError(
            "no tool id of sys.monitoring is free: " + monitoring.describe_holders()
        )
    _monitored = tracer
    tracer.tool_id = monitoring.tool()
    tracer.sees_exceptions = True
    for event in monitoring.EVENTS:
        monitoring.listen(event, _callback(event, tracer))
    monitoring.restart()  # what an earlier session has disabled is to be told again
    monitoring.set_events(_events(tracer)[0])
    _set_kept_again(tracer)


def _set_kept_again(tracer: Tracer) -> None:
    """A session that is attached once more: what it keeps gets its events back."""
    earlier, _kept[:] = _kept[:], ()
    for reference in earlier:
        code = reference()
        if code is None:
            continue
        verdict = verdicts.probe(tracer, code)
        if verdict is not None and not verdict.skips():
            monitoring.set_local(code, _events(tracer)[1])
            _kept.append(reference)


def end(tracer: Tracer) -> None:
    """Take all events back."""
    global _monitored
    if _monitored is not tracer:
        return
    _monitored = None
    for reference in _kept:
        code = reference()
        if code is not None and monitoring.tool() >= 0:
            monitoring.set_local(code, ())
    monitoring.release()
    tracer.sees_exceptions = False


def forget(tracer: Tracer) -> None:
    """Filters have changed: skipped code is asked about again."""
    if _monitored is tracer:
        monitoring.restart()
