"""What becomes of an event: guard, verdict, scope, record. Twin of src/trace/tracer.c.

The hooks call ``start``, ``resume``, ``return_``, ``yield_`` and ``raise_`` with events
of kept code only; the tracer keeps the thread's stack, and has capture.py write the
records.

Threads: the traced thread, with the session's lock.
Owns: values, mask, the table of verdicts, the filter's callables.
Fails: never towards the hook: what cannot be recorded is counted as lost. What a
       signal's handler raises in the middle of it passes through (interrupt.py).
"""

from __future__ import annotations

from kolo_c.reference import (
    boundary,
    capture,
    capture_mark,
    clock,
    greenlet,
    limit,
    pause,
    plugin,
    scope,
    system,
    unknown,
)
from kolo_c.reference.capture_record import offset_of
from kolo_c.reference.code import DEPTH_MAX, EXIT_CLEANUP, EXIT_HANDLER
from kolo_c.reference.plugin import End
from kolo_c.reference.plugin_match import Plugins
from kolo_c.reference.stack import Entry, Waiting
from kolo_c.reference.thread import (
    GUARD_FREE,
    GUARD_RECORD,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any

    from kolo_c.reference.code import Code, CodeRules
    from kolo_c.reference.mask import Mask
    from kolo_c.reference.session import Session
    from kolo_c.reference.thread import Thread, ThreadStream
    from kolo_c.reference.value import Values
    from kolo_c.reference.verdict import Verdict

COST_SAMPLE = 16
"""One event in so many is timed itself."""


class Tracer:
    """What the threads of a session share."""

    def __init__(
        self,
        session: Session,
        values: Values,
        mask: Mask,
        default_rules: CodeRules,
        decide: Callable[[CodeType, str, str | None, str], int | dict[str, Any]],
        decide_file: Callable[[str], bool | None],
        open_boundary: Callable[[CodeType, int | None, Any], int] | None,
        close_boundary: Callable[[int, Any, bool], None],
        skipped_codes: dict[int, object],
    ) -> None:
        self.session = session
        self.values = values
        self.mask = mask
        self.default_rules = default_rules
        self.decide = decide
        self.decide_file = decide_file
        self.open_boundary = open_boundary
        self.close_boundary = close_boundary
        self.plugins = Plugins()
        self.late_scope: Callable[[int], int] | None = None
        """(Number of an ended trace) -> that for what is late."""
        self.thread_begins: Callable[[], None] | None = None
        """The profile function's first event in a thread."""
        self.skipped_codes = skipped_codes
        """Python's: address of a code object -> …"""
        self.kept_codes: dict[int, str | None] = {}
        """Address of a code object -> source text or None."""
        self.files: dict[str, bool | None] = {}
        """Path -> what decide_file said."""
        self.verdicts: dict[int, Verdict] = {}
        """By the code object's address; see verdict.py."""
        self.generation = 1
        """Of the verdicts."""
        self.counting: dict[int, Code] = {}
        """Past the limit: by number, whose calls are counted instead of recorded."""
        self.code_count = 0
        self.skipped_count = 0
        self.kept_count = 0
        self.filter_error_count = 0
        self.filter_error = ""
        self.sees_exceptions = False
        """PY_UNWIND and PY_THROW are subscribed."""
        self.wants_caught = False
        """The hook is to tell which exceptions are handled, if it can."""
        self.tool_id = -1

    def forget_verdicts(self) -> None:
        """Filters have changed: every code object is decided again."""
        self.generation += 1
        self.files.clear()


# ---- the stack ----


def _pop(thread: Thread) -> None:
    """The top leaves. Nothing of the program lives longer for our having held it."""
    thread.depth_limit = thread.stack.pop().depth_limit


def _pop_watched(thread: Thread) -> None:
    """The top leaves with its plugins' nodes, whose ends are written, or which wait."""
    for _ in range(1 + thread.stack[-1].plugin_count):
        _pop(thread)


def cut(thread: Thread, keep: int) -> None:
    """Entries above ``keep`` ended without an event: the next record says so."""
    while len(thread.stack) > keep:
        entry = thread.stack[-1]
        thread.session.put_aside(entry)
        if not entry.unwritten:
            entry.stream.stream.drop(entry.open)
            entry.stream.lost_pending += 1
        _pop(thread)


def _expect(thread: Thread, frame: FrameType, code: Code) -> Entry | None:
    """The entry of ``frame`` as the top of the stack; None where it has none."""
    stack: list[Entry] = thread.stack
    if stack and stack[-1].frame is frame:
        return stack[-1]
    if thread.session.current_greenlet is not None:
        greenlet.check(thread, frame, code)
    for i in range(len(stack) - 1, -1, -1):
        if stack[i].frame is frame:
            cut(thread, i + 1)
            return stack[i]
    return None


def has(thread: Thread, frame: FrameType, code: Code) -> bool:
    """Whether the beginning of ``frame`` was seen; it is the top of the stack then."""
    return _expect(thread, frame, code) is not None


def _enter(thread: Thread, frame: FrameType, code: Code) -> Entry:
    """A new top for ``frame``."""
    assert thread.stream is not None
    entry = Entry(thread.stream, thread.depth_limit, frame, code)
    thread.stack.append(entry)
    return entry


def _limit_depth(thread: Thread, code: Code) -> None:
    """What a call says of those below it."""
    if code.max_depth != DEPTH_MAX:
        limit = len(thread.stack) + code.max_depth
        thread.depth_limit = min(thread.depth_limit, limit)


# ---- what stands before a record ----


def prepare(thread: Thread, stream: ThreadStream, now_ns: int) -> None:
    """Write what stands before the next record of ``stream``: marks, the task."""
    if stream.lost_pending != 0:
        capture_mark.lost(thread, stream, now_ns)
    if stream.task != thread.task and stream is thread.stream:
        capture_mark.task(thread, stream, now_ns)


def _entered(thread: Thread, entry: Entry, written: bool) -> None:
    """The record of the top's beginning is written, or it is unknown to readers."""
    if not written:
        entry.unwritten = True
        thread.lose(entry.stream)


def _lose_end(thread: Thread, entry: Entry) -> None:
    """The record of the top's end could not be written."""
    if not entry.unwritten:  # its block may have been lost meanwhile
        entry.stream.stream.drop(entry.open)
    thread.lose(entry.stream)


# ---- our own time ----


def _open(thread: Thread) -> int:
    """Our own work begins; its time."""
    thread.guard = GUARD_RECORD
    return clock.ns()


def _shut(thread: Thread, began_ns: int) -> None:
    """It is done. Estimate our own time from one event in sixteen.

    Blocks handed over and decisions are rare and long: they are measured each,
    elsewhere, and left out here.
    """
    thread.sample += 1
    if thread.sample % COST_SAMPLE == 0:
        cost_ns = clock.ns() - began_ns
        thread.count_own(COST_SAMPLE * max(cost_ns - thread.cold_ns, 0))
    thread.cold_ns = 0
    thread.guard = GUARD_FREE


# ---- entering ----


def _write_begin(thread: Thread, entry: Entry, code: Code, now_ns: int) -> None:
    """The record of a call whose entry is the top."""
    if entry.stream.trace.limited and limit.counts(thread, code, now_ns):
        entry.unwritten = True
        entry.counted = True
        entry.began = now_ns
        return
    code.call_count += 1
    _entered(thread, entry, capture.call(thread, entry, now_ns))
    _limit_depth(thread, code)


def _keeps(thread: Thread, code: Code) -> bool:
    """Whether calls of ``code`` are recorded in the thread's trace: plugins may watch
    what filters skip."""
    verdict = thread.tracer.verdicts.get(code.key)
    return (
        not code.skipped
        and verdict is not None
        and (verdict.keep_bits & thread.keep_bits) != 0
    )


def _be_silent(entry: Entry) -> None:
    """The entry of a call that is watched, and not recorded."""
    entry.silent = True
    entry.unwritten = True
    entry.special = True


def _begin_special(
    thread: Thread,
    frame: FrameType,
    code: Code,
    calls: plugin.Calls,
    number: int,
    outer: int,
) -> bool:
    """A call that opens a trace of its own or joins the one that is, or that plugins
    watch: what their handlers said is in ``calls``. False where nothing of it is
    recorded."""
    kept = _keeps(thread, code)
    if thread.stream is None or (not kept and not calls):
        return False
    now_ns = clock.ns()
    prepare(thread, thread.stream, now_ns)
    count = plugin.push(thread, code, calls, now_ns)
    entry = _enter(thread, frame, code)
    entry.plugin_count = count
    entry.boundary = number
    entry.outer = outer
    entry.special = number != 0 or count != 0
    if kept:
        _write_begin(thread, entry, code, now_ns)
    else:
        _be_silent(entry)
    return True


def _start_special(thread: Thread, frame: FrameType, code: Code) -> None:
    """The beginning of a call that is not like most."""
    if code.suspends:  # what waited in this place has ended unseen
        thread.session.waiting.take(frame, code)
    calls = plugin.start(thread, frame, code) if code.plugins else []
    moved = thread.scope_generation != thread.session.scope_generation
    if thread.stream is None and calls and moved:
        scope.refresh(thread)  # a handler has moved this context into a trace
    opens = next((call for call in calls if call[0].boundary), None)
    number, outer = 0, 0
    if opens is not None or (code.boundary and _keeps(thread, code)):
        number, outer = boundary.open_(thread, frame.f_code, opens)
    begun = _begin_special(thread, frame, code, calls, number, outer)
    if not begun and number != 0:
        boundary.close(thread, number, outer, None, False)


def _start_suspending(
    thread: Thread, frame: FrameType, code: Code, now_ns: int
) -> None:
    """A generator or coroutine begins that is like most."""
    if code.skipped:
        return
    thread.session.waiting.take(frame, code)  # it has ended unseen
    assert thread.stream is not None
    prepare(thread, thread.stream, now_ns)
    _write_begin(thread, _enter(thread, frame, code), code, now_ns)


def start(thread: Thread, frame: FrameType, code: Code) -> None:
    """A fresh kept call begins: a function, a generator's first step, a class body."""
    if len(thread.stack) >= thread.depth_limit:
        return
    now_ns = _open(thread)
    if thread.unknown:
        unknown.look(thread, frame, code.suspends)
    if not code.special:
        assert thread.stream is not None
        prepare(thread, thread.stream, now_ns)
        _write_begin(thread, _enter(thread, frame, code), code, now_ns)
    elif code.suspends and not code.plugins and not code.boundary:
        _start_suspending(thread, frame, code, now_ns)
    else:
        _start_special(thread, frame, code)
    _shut(thread, now_ns)


class Resumption:
    """How a generator goes on: from where, and whether it was thrown at, by an
    exception that may not be known."""

    __slots__ = ("exception", "offset", "throws")

    def __init__(
        self, exception: BaseException | None, offset: int, throws: bool
    ) -> None:
        self.exception = exception
        self.offset = offset
        self.throws = throws


def go_on(
    thread: Thread,
    frame: FrameType,
    code: Code,
    waiting: Waiting | None,
    how: Resumption,
    now_ns: int,
) -> None:
    """A generator that yielded before goes on, or a call of another greenlet; in the
    thread's trace."""
    switched = waiting is not None and waiting.switched  # its context has all that
    if waiting is not None and waiting.boundary != 0 and not switched:
        boundary.move_scope(thread, waiting.boundary)
        if thread.stream is None:
            return  # it has ended, or no block is to be had
    count = 0
    if waiting is not None and waiting.plugins:
        count = plugin.resume(thread, code, waiting, now_ns)
    entry = _enter(thread, frame, code)
    if waiting is not None:
        entry.boundary = waiting.boundary
        entry.outer = waiting.outer
    entry.plugin_count = count
    entry.special = entry.boundary != 0 or count != 0
    if waiting is not None and waiting.silent:
        _be_silent(entry)
    else:
        written = _write_going_on(thread, entry, waiting, how, now_ns)
        _entered(thread, entry, written)
    _limit_depth(thread, code)
    if waiting is not None and waiting.paused and not switched:
        boundary.move_scope(thread, scope.SCOPE_PAUSED)


def _write_going_on(
    thread: Thread,
    entry: Entry,
    waiting: Waiting | None,
    how: Resumption,
    now_ns: int,
) -> bool:
    if (
        waiting is None
        or waiting.unwritten
        or waiting.trace_number != entry.stream.trace.number
    ):
        return capture.entered(thread, entry, how.offset, now_ns)
    if how.throws:
        return capture.throw(thread, entry, waiting, how.exception, now_ns)
    return capture.resume(thread, entry, waiting, now_ns)


def resume_at(
    thread: Thread,
    frame: FrameType,
    code: Code,
    how: Resumption,
    now_ns: int,
) -> None:
    """``resume`` of an event that waited since ``now_ns``."""
    waiting = thread.session.waiting.take(frame, code)
    if code.special and waiting is None and not _keeps(thread, code):
        return  # only what was running goes on
    if thread.stream is not None:
        prepare(thread, thread.stream, now_ns)
        go_on(thread, frame, code, waiting, how, now_ns)
        return
    # The program may have paused: a coroutine of a trace is followed.
    if waiting is not None:
        thread.stream = pause.stream_of(thread, waiting.trace_number)
    if thread.stream is not None:
        go_on(thread, frame, code, waiting, how, now_ns)
        pause.leave(thread)


def resume(
    thread: Thread,
    frame: FrameType,
    code: Code,
    throws: bool,
    exception: BaseException | None,
) -> None:
    """A kept generator or coroutine goes on.

    ``throws``: by throw() or close(), with the exception, or None where it is unknown.
    """
    if len(thread.stack) >= thread.depth_limit:
        return
    now_ns = _open(thread)
    if thread.unknown:
        unknown.look(thread, frame, True)
    how = Resumption(exception, offset_of(frame), throws)
    resume_at(thread, frame, code, how, now_ns)
    _shut(thread, now_ns)


# ---- leaving ----


def suspend(
    thread: Thread, entry: Entry, value: object, now_ns: int, *, switched: bool = False
) -> None:
    """The top of the stack waits: a generator that yields ``value``, or, ``switched``,
    a call of a greenlet while another one runs."""
    paused = entry.boundary != 0 and thread.paused
    waiting = Waiting(entry, thread.number, paused=paused, switched=switched)
    if not entry.unwritten and not capture.yield_(thread, entry, value, now_ns):
        _lose_end(thread, entry)
    if entry.plugin_count:
        assert entry.frame is not None
        entry.unwritten = True
        offset = offset_of(entry.frame)
        waiting.plugins = plugin.suspend(thread, offset, now_ns)
    _pop_watched(thread)
    # Not before: what is struck in its record is on the stack as if it ran.
    thread.session.waiting.add(waiting)
    if waiting.boundary != 0 and not switched:
        boundary.move_scope(thread, waiting.outer)


def _end_special(thread: Thread, frame: FrameType, end: End, now_ns: int) -> None:
    """What ends with the call of the top, whose own record is written: its plugins'
    nodes, the trace that it opened."""
    entry = thread.stack[-1]
    number, outer = entry.boundary, entry.outer
    finished, there = None, True
    entry.unwritten = True
    entry.boundary = 0  # it is ended here, and only here
    if entry.plugin_count:
        finished, there = plugin.finish(thread, frame, end, now_ns)
    if there:
        _pop_watched(thread)
    if number != 0:
        boundary.close(thread, number, outer, finished, not end.returned)


def return_(thread: Thread, frame: FrameType, code: Code, value: object) -> None:
    """A kept call returns ``value``."""
    entry = _expect(thread, frame, code)
    if entry is None:
        return  # it was running before tracing began, or is below a limit
    now_ns = _open(thread)
    if entry.counted:
        limit.leave(thread, entry, now_ns)
        if not entry.special:
            _pop(thread)
            thread.guard = GUARD_FREE
            return
    prepare(thread, entry.stream, now_ns)
    if not entry.unwritten and not capture.return_(thread, entry, value, now_ns):
        _lose_end(thread, entry)
    if entry.special:
        _end_special(thread, frame, End(True, value, None), now_ns)
    else:
        _pop(thread)
    _shut(thread, now_ns)


def yield_(thread: Thread, frame: FrameType, code: Code, value: object) -> None:
    """A kept generator or coroutine is suspended."""
    now_ns = _open(thread)
    entry = _expect(thread, frame, code)
    if entry is not None:
        prepare(thread, entry.stream, now_ns)
        if entry.boundary != 0:  # Python may run, and end traces of the stack
            scope.check(thread)
            entry = _expect(thread, frame, code)
    if entry is not None:
        suspend(thread, entry, value, now_ns)
    _shut(thread, now_ns)


def raise_at(
    thread: Thread,
    frame: FrameType,
    code: Code,
    exception: BaseException | None,
    now_ns: int,
) -> None:
    """``raise_`` of an event that waited since ``now_ns``."""
    entry = _expect(thread, frame, code)
    if entry is None:
        return
    if entry.counted:
        limit.leave(thread, entry, now_ns)
        if not entry.special:
            _pop(thread)
            return
    prepare(thread, entry.stream, now_ns)
    if not entry.unwritten:
        if not capture.raise_(thread, entry, exception, now_ns):
            _lose_end(thread, entry)
        elif exception is None and entry.boundary == 0:
            unknown.add(thread, entry)
    if entry.special:
        _end_special(thread, frame, End(False, None, exception), now_ns)
    else:
        _pop(thread)


def raise_(
    thread: Thread,
    frame: FrameType,
    code: Code,
    exception: BaseException | None,
) -> None:
    """An exception leaves a kept call; None where it is unknown."""
    now_ns = _open(thread)
    raise_at(thread, frame, code, exception, now_ns)
    _shut(thread, now_ns)


# ---- handling ----


def catch(
    thread: Thread, frame: FrameType, code: Code, exception: BaseException, at: int
) -> None:
    """``exception`` comes to the part of its code at instruction ``at`` that is there
    for exceptions: to a handler, or on its way out of one."""
    part = code.exit_at(at)
    # Where a handler is left by an exception, that is the one which it handles, or else
    # one that was raised in it.
    goes_on = part == EXIT_CLEANUP and system.exc_info()[1] is exception
    if part != EXIT_HANDLER and not goes_on:
        return  # the compiler's own: loops, generators, comprehensions
    # Below whatever stands on it, such as a region.
    found = (one for one in reversed(thread.stack) if one.frame is frame)
    entry = next(found, None)
    if entry is None or entry.unwritten:
        return
    now_ns = _open(thread)
    prepare(thread, entry.stream, now_ns)
    if not capture.caught(thread, entry, exception, -1 if goes_on else at, now_ns):
        thread.lose(entry.stream)
    _shut(thread, now_ns)
