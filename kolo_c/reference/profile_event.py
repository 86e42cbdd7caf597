"""What a profile function is not told: how a call began, how it ended. Twin of
src/trace/profile_event.c.

A profile function sees "call" and "return" alone. Whether a generator starts, goes on
or is thrown at, whether a call returns, yields or is left by an exception, is read from
the instruction where its frame stands. From 3.12 on the exception itself comes a moment
later, by a callback of sys.monitoring: the event waits for it.

A profile function in C is told of an exception by a value that is NULL; one in Python
gets None, as for a call that returns None. At an instruction that neither returns nor
yields it is an exception. At a yield, CPython says whether it would let a debugger jump
from here, which it does where a call has yielded and not where an exception leaves it
(``_refuses_to_jump``). 3.11 refuses always, PyPy never: there an exception has left the
call if it was thrown at this very yield, and no handler in the function takes it. PyPy
shows no difference between going on and being thrown at, so that is known from the
call of throw() or close() itself; where there is none (a destructor), it is not seen.
An exception that a delegate raises leaves PyPy's ``yield from`` with None, too: how the
delegate was left is remembered for that. A delegate that is no Python yields None.

Threads: the traced thread; settle also by whoever ends the session.
Owns: the frame of the event that waits (in Thread).
Fails: never towards the hook.
"""

from __future__ import annotations

import sys
from types import BuiltinFunctionType, CoroutineType, GeneratorType, MethodType

from kolo_c.reference import clock, tracer
from kolo_c.reference import hook as hooks
from kolo_c.reference import verdict as verdicts
from kolo_c.reference.capture_record import offset_of
from kolo_c.reference.code import (
    EXIT_RESUME,
    EXIT_RETURN,
    EXIT_YIELD,
    REPORTS_UNSTARTED,
    exit_of,
    lasti_of,
)
from kolo_c.reference.thread import GUARD_FREE, GUARD_RECORD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from kolo_c.reference.code import Code
    from kolo_c.reference.thread import Thread

# What waits for an exception that may follow, and what it is when none does.
PENDING_NONE = 0
PENDING_UNWIND = 1  # an exit by exception: of unknown type
PENDING_THROW = 2  # an entry by throw(): of unknown type
PENDING_RESUME = 3  # an entry: not by throw()

_IS_CPYTHON = sys.implementation.name == "cpython"
_VERSION = sys.version_info[:2]

POSITION_TELLS_THROW = _IS_CPYTHON and _VERSION in ((3, 11), (3, 12))
"""A generator that goes on stands at the RESUME behind its yield, one that was thrown
at does not. 3.10 has no RESUME; from 3.13 on both stand there."""
JUMP_TELLS_EXCEPTION = _IS_CPYTHON and _VERSION != (3, 11)
HIDES_RESUMPTION = _IS_CPYTHON and _VERSION == (3, 11)
"""A generator that goes on since the one that it delegates to was thrown at and has
returned, is not reported: it stands behind its RESUME."""
_UNSEEN_MOST = 64
"""Frames of skipped code are looked through."""
CALLS_TELL_THROW = not _IS_CPYTHON
"""c_call events are looked at: hook_setprofile.py."""


# ---- events that wait for their exception ----


def _wait(thread: Thread, pending: int, frame: FrameType, code: Code) -> None:
    thread.pending = pending
    thread.pending_ns = clock.ns()
    thread.pending_offset = offset_of(frame)
    thread.pending_frame = frame
    thread.pending_code = code


def _finish(thread: Thread, exception: BaseException | None) -> None:
    pending, frame = thread.pending, thread.pending_frame
    code, now_ns = thread.pending_code, thread.pending_ns
    offset = thread.pending_offset
    thread.clear_pending()
    if frame is None:
        return
    if pending == PENDING_UNWIND:
        tracer.raise_at(thread, frame, code, exception, now_ns)
    else:
        throws = pending == PENDING_THROW or exception is not None
        how = tracer.Resumption(exception, offset, throws)
        tracer.resume_at(thread, frame, code, how, now_ns)


def settle(thread: Thread) -> None:
    """The event that waits for its exception will not get it. The guard is up."""
    _finish(thread, None)


def exception(thread: Thread, exception: BaseException) -> None:
    """The exception of the event that waits for it."""
    thread.guard = GUARD_RECORD
    _finish(thread, exception)
    thread.guard = GUARD_FREE


# ---- entering ----


def enter(thread: Thread, frame: FrameType, code: Code) -> None:
    """ "call" of kept code."""
    if not code.suspends:
        tracer.start(thread, frame, code)
    elif len(thread.stack) < thread.depth_limit:
        _enter_suspending(thread, frame, code)


def _enter_suspending(thread: Thread, frame: FrameType, code: Code) -> None:
    lasti = lasti_of(frame)
    if code.is_fresh(lasti):
        tracer.start(thread, frame, code)
        return
    if (
        REPORTS_UNSTARTED
        and lasti < code.start_at
        and thread.session.waiting.borrow(frame, code) is None
    ):
        return
    resumes = not POSITION_TELLS_THROW or (code.exit_at(lasti) & EXIT_RESUME) != 0
    if CALLS_TELL_THROW:
        resumes = thread.thrown_at is None or thread.thrown_at[0] != id(frame)
    if not thread.tracer.sees_exceptions or (resumes and POSITION_TELLS_THROW):
        if POSITION_TELLS_THROW:
            _note_throw(thread, frame, throws=not resumes)
        tracer.resume(thread, frame, code, not resumes, None)
        return
    # PY_THROW follows at once, if it was throw().
    _wait(thread, PENDING_RESUME if resumes else PENDING_THROW, frame, code)


# ---- going on unseen ----


def catch_up(thread: Thread, frame: FrameType, leaving: bool) -> None:
    """Before an event of kept code in ``frame``, which is ``leaving`` or enters: those
    of it and its callers that went on unseen go on now (3.11)."""
    while (unseen := _find_unseen(thread, frame, leaving)) is not None:
        verdict = verdicts.probe(thread.tracer, unseen.f_code)
        depth = len(thread.stack)
        about = verdict.about if verdict is not None else None
        if verdict is not None and about is not None and hooks.wants(thread, verdict):
            tracer.resume(thread, unseen, about, False, None)
        if len(thread.stack) == depth:
            return  # it is outside of every trace, or below a limit


def _find_unseen(thread: Thread, frame: FrameType, leaving: bool) -> FrameType | None:
    """The outermost that waits for us though it runs, of ``frame``, if that is
    ``leaving``, and its callers up to the call that we know to run. A caller that still
    delegates stands at its yield."""
    frames = (entry.frame for entry in reversed(thread.stack) if not entry.silent)
    known = next((frame for frame in frames if frame is not None), None)
    found = None
    at = frame if leaving else frame.f_back
    for _ in range(_UNSEEN_MOST):
        if at is None or at is known:
            break
        waiting = thread.session.waiting.slots.get(id(at))
        if (
            waiting is not None
            and not waiting.switched
            and waiting.code == id(at.f_code)
        ):
            exit = exit_of(at.f_code.co_code, lasti_of(at))
            if at is frame or exit & EXIT_YIELD == 0:
                found = at
        at = at.f_back
    return found


# ---- leaving ----


def leave(thread: Thread, frame: FrameType, code: Code, value: object) -> None:
    """ "return" of kept code; ``value`` is None where an exception leaves it, too."""
    if thread.pending != PENDING_NONE:
        thread.guard = GUARD_RECORD
        settle(thread)
        thread.guard = GUARD_FREE
    exit = code.exit_at(lasti_of(frame))
    yields = code.suspends and (exit & EXIT_YIELD) != 0
    if value is None and (
        not exit & (EXIT_RETURN | EXIT_YIELD)
        or (exit & EXIT_YIELD and _is_left_at_yield(thread, frame))
    ):
        _leave_by_exception(thread, frame, code)
    elif yields:
        tracer.yield_(thread, frame, code, value)
    else:
        tracer.return_(thread, frame, code, value)


def _leave_by_exception(thread: Thread, frame: FrameType, code: Code) -> None:
    if not tracer.has(thread, frame, code):
        return  # it was running before tracing began, or is below a limit
    if thread.tracer.sees_exceptions:
        _wait(thread, PENDING_UNWIND, frame, code)
    else:
        tracer.raise_(thread, frame, code, None)


def _is_left_at_yield(thread: Thread, frame: FrameType) -> bool:
    """Whether an exception leaves the call at an instruction that yields, where None is
    what is known of its value."""
    if JUMP_TELLS_EXCEPTION:
        return _refuses_to_jump(frame)
    if CALLS_TELL_THROW:
        return thread.left_raising
    lasti = lasti_of(frame)
    if thread.thrown_at != (id(frame), lasti):
        return False
    return not _is_handled(frame, lasti)


def _refuses_to_jump(frame: FrameType) -> bool:
    """What CPython says to a debugger that wants to go on elsewhere.

    "Jumps are forbidden on a 'return' trace event (except after a yield)": it is asked
    for a line that no function has, so nothing is changed in either case.
    """
    try:
        frame.f_lineno = 0  # type: ignore[misc] # read-only in its stub alone
    except ValueError as error:
        return str(error).startswith("can only jump from a 'line'")
    return False


# ---- 3.11 and PyPy: who was thrown at, and whether that is handled ----


def _is_handled(frame: FrameType, lasti: int) -> bool:
    """Whether an exception at ``lasti`` goes to an ``except`` or ``finally``.

    It cannot leave the call there then: it would do so at the end of the handler. A
    ``with`` is none of those, as it raises again from where it got the exception.
    """
    found = False
    with_lasti = False
    for start, end, keeps_lasti in _handlers(frame.f_code):
        if start <= lasti < end:
            found, with_lasti = True, keeps_lasti
            break
    return found and not with_lasti


def _handlers(code: object) -> list[tuple[int, int, bool]]:
    """The exception table: first and last + 1 instruction, and whether the handler
    gets the place where it was raised; innermost first for each place."""
    table = iter(getattr(code, "co_exceptiontable", b""))
    found = []
    try:
        while True:
            start = _read_number(table)
            length = _read_number(table)
            _read_number(table)  # where the handler is
            found.append((start, start + length, _read_number(table) & 1 == 1))
    except StopIteration:
        return found


def _read_number(table: object) -> int:
    """A number of the table: six bits a byte, the highest first."""
    byte = next(table)  # type: ignore[call-overload] # an iterator over bytes
    value = byte & 63
    while byte & 64:
        byte = next(table)  # type: ignore[call-overload]
        value = value << 6 | byte & 63
    return int(value)


_THROWING = frozenset({"throw", "close"})
_CALLABLES = (BuiltinFunctionType, MethodType)


def called(thread: Thread, function: object) -> None:
    """A function of the interpreter's is called: is it throw() or close() of a
    generator? Then it, and those that it delegates to, are thrown at next."""
    thread.thrown = ()
    if type(function) not in _CALLABLES or function.__name__ not in _THROWING:  # type: ignore[attr-defined]
        return
    at = getattr(function, "__self__", None)
    frames = []
    while type(at) in (GeneratorType, CoroutineType):
        is_generator = type(at) is GeneratorType
        frame = at.gi_frame if is_generator else at.cr_frame  # type: ignore[union-attr]
        frames.append(id(frame))
        at = at.gi_yieldfrom if is_generator else at.cr_await  # type: ignore[union-attr]
    thread.thrown = tuple(frames)


def note(thread: Thread, frame: FrameType, event: str, value: object) -> None:
    """Any code, kept or not, is entered or left (PyPy)."""
    if event == "call":
        _note_entry(thread, frame)
    else:
        _note_exit(thread, frame, value)


def _note_entry(thread: Thread, frame: FrameType) -> None:
    """A call of any code begins or goes on: is it thrown at? Each frame is once."""
    thread.callee = None
    throws = id(frame) in thread.thrown
    if throws:
        thread.thrown = tuple(one for one in thread.thrown if one != id(frame))
    _note_throw(thread, frame, throws=throws)


def _note_throw(thread: Thread, frame: FrameType, *, throws: bool) -> None:
    """Remember where ``frame`` was thrown at, or that it went on since."""
    if throws:
        thread.thrown_at = id(frame), lasti_of(frame)
    elif thread.thrown_at is not None and thread.thrown_at[0] == id(frame):
        thread.thrown_at = None


def _note_exit(thread: Thread, frame: FrameType, value: object) -> None:
    """A call of any code has been left: by an exception?"""
    callee, thread.callee = thread.callee, None
    thread.left_raising = value is None and _is_left_raising(thread, frame, callee)
    if frame.f_back is not None:
        thread.callee = id(frame.f_back), thread.left_raising


def _is_left_raising(
    thread: Thread, frame: FrameType, callee: tuple[int, bool] | None
) -> bool:
    lasti = lasti_of(frame)
    exit = exit_of(frame.f_code.co_code, lasti)
    if exit & EXIT_YIELD == 0:
        return exit & EXIT_RETURN == 0
    if callee is not None and callee[0] == id(frame):
        return callee[1]
    return thread.thrown_at == (id(frame), lasti) and not _is_handled(frame, lasti)
