"""Plugins: which code they watch, and what becomes of a call of it. Twin of
src/trace/plugin.c; matching is in plugin_match.py.

A call of watched code has one entry for each plugin that wants it, below its own entry:
that one is silent where no filter keeps the code.

Handlers run without the session's lock: what they call may wait for another thread,
which may be recorded.

Threads: the traced thread, with the session's lock, the guard up.
Owns: nothing.
Fails: never towards the hook: a handler that raises is counted, and the first time its
       words are kept. What is no error (KeyboardInterrupt) is the program's.
"""

from __future__ import annotations

from types import FunctionType

from kolo_c.reference import capture, capture_said, clock, interrupt
from kolo_c.reference.stack import Entry, WaitingPlugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from kolo_c.reference.code import Code
    from kolo_c.reference.plugin_match import Plugin
    from kolo_c.reference.session import Session
    from kolo_c.reference.stack import Waiting
    from kolo_c.reference.thread import Thread

    Calls = list[tuple[Plugin, dict[str, Any]]]

_WORDS = 99


def failed(plugin: Plugin, where: str, error: BaseException) -> None:
    """Count an error of its; raises what is the program's."""
    plugin.error_count += 1
    if interrupt.give_back(error):
        return
    if not plugin.error_text:
        try:
            words = str(error)
        except Exception:
            words = ""
        name = type(error).__name__
        plugin.error_text = f"{where}: {name:.40}: {words[:_WORDS]}"[:159]


def _without_lock(thread: Thread, step: Callable[..., Any], *arguments: Any) -> Any:
    lock: Any = thread.session.lock
    state = lock._release_save()
    thread.handling = True
    try:
        return step(*arguments)
    finally:
        thread.handling = False
        lock._acquire_restore(state)


def _wants(plugin: Plugin, frame: FrameType) -> bool:
    """Whether when() lets the call pass."""
    if plugin.when is None:
        return True
    try:
        return bool(plugin.when(frame))
    except BaseException as error:
        failed(plugin, "when()", error)
        return False


def _checked(answer: Any) -> dict[str, Any] | None:
    if answer is not None and not isinstance(answer, dict):
        raise TypeError(f"a dict or None was expected, not {type(answer).__name__}")
    return answer


def _start(plugin: Plugin, frame: FrameType) -> dict[str, Any] | None:
    """What start() gives; None where nothing is recorded."""
    began_ns = clock.system_ns()
    started: dict[str, Any] | None = None
    if _wants(plugin, frame):
        try:
            started = _checked(plugin.start(frame)) if plugin.start is not None else {}
        except BaseException as error:
            failed(plugin, "start()", error)
        plugin.call_count += 1
    plugin.handler_ns += clock.system_ns() - began_ns
    return started


def _ignores(plugin: Plugin, end: End) -> bool:
    """Whether the value is a list, or a tuple of such, with nothing but functions that
    it ignores."""
    if plugin.ignored is None or not end.returned:
        return False
    lists = end.value if type(end.value) is tuple else (end.value,)
    return all(
        type(one) is list
        and all(type(item) is FunctionType and item in plugin.ignored for item in one)
        for one in lists
    )


def _finish(
    plugin: Plugin, frame: FrameType, started: dict[str, Any] | None, end: End
) -> dict[str, Any] | None:
    """What finish() gives."""
    if plugin.finish is None or _ignores(plugin, end):
        return None
    began_ns = clock.system_ns()
    finished = None
    exception: Any = None
    if not end.returned:
        exception = True if end.exception is None else end.exception
    try:
        finished = _checked(plugin.finish(frame, end.value, exception, started))
    except BaseException as error:
        failed(plugin, "finish()", error)
    plugin.handler_ns += clock.system_ns() - began_ns
    return finished


# ---- a call begins ----


def start(thread: Thread, frame: FrameType, code: Code) -> Calls:
    """Show the beginning of a call to the plugins; outside every trace only to those
    that open one, or make no records."""
    outside = thread.stream is None
    if outside and not any(
        plugin.boundary or plugin.kind is None for plugin in code.plugins
    ):
        return []
    began_ns = clock.system_ns()
    calls: Calls = []
    opens = False  # one that comes later is inside the trace of an earlier one

    def step() -> None:
        nonlocal opens
        for plugin in code.plugins:
            if outside and not opens and not plugin.boundary and plugin.kind:
                continue
            started = _start(plugin, frame)
            if started is not None:
                opens = opens or plugin.boundary
                calls.append((plugin, started))

    _without_lock(thread, step)
    _count(thread, began_ns)
    return calls


def _count(thread: Thread, began_ns: int) -> None:
    """The time of handlers is ours, and is not that of the record."""
    cost_ns = clock.system_ns() - began_ns
    thread.cold_ns += cost_ns
    thread.count_own(cost_ns)


def kind_number(session: Session, plugin: Plugin) -> int:
    """The number of its kind's definition, written first where it is new; 0 where that
    cannot be."""
    if plugin.kind_number == 0 and plugin.kind is not None:
        plugin.kind_number = session.definitions.plugin_kind(plugin.kind)
    return plugin.kind_number


def _enter(
    thread: Thread, code: Code, plugin: Plugin, started: dict[str, Any] | None
) -> Entry:
    assert thread.stream is not None
    entry = Entry(thread.stream, thread.depth_limit, None, code)
    entry.plugin = plugin
    entry.started = started
    thread.stack.append(entry)
    return entry


def push(thread: Thread, code: Code, calls: Calls, now_ns: int) -> int:
    """Push an entry for each, and write its record; how many there are."""
    for plugin, started in calls:
        entry = _enter(thread, code, plugin, started)
        if plugin.kind is None:
            entry.unwritten = True  # it makes no records
        elif not capture_said.plugin(thread, entry, started, now_ns):
            entry.unwritten = True
            thread.lose(entry.stream)
    return len(calls)


# ---- it ends ----


class End:
    """How a watched call ended."""

    __slots__ = ("exception", "returned", "value")

    def __init__(
        self, returned: bool, value: object, exception: BaseException | None
    ) -> None:
        self.returned = returned
        """False: left by ``exception``, or by one of unknown type."""
        self.value = value
        self.exception = exception


def _leave(
    thread: Thread,
    entry: Entry,
    finished: dict[str, Any] | None,
    end: End,
    now_ns: int,
) -> None:
    """Write the end of the node of ``entry``, and let go of it."""
    if not entry.unwritten and not capture_said.plugin_end(
        thread, entry, finished, not end.returned, end.exception, now_ns
    ):
        if not entry.unwritten:  # its block may have been lost meanwhile
            entry.stream.stream.drop(entry.open)
        thread.lose(entry.stream)
    entry.unwritten = True
    entry.started = None


def _are_there(thread: Thread, frame: FrameType) -> bool:
    """Whether the topmost entry is that of ``frame``: a handler may have ended the
    trace that it stands in, and taken it off the stack with that. Or it has forked, and
    this is the child."""
    if thread.session.dead:
        return False
    return bool(thread.stack) and thread.stack[-1].frame is frame


def finish(
    thread: Thread, frame: FrameType, end: End, now_ns: int
) -> tuple[dict[str, Any] | None, bool]:
    """The call of the topmost entry, which has a record no more, has ended: show that
    to its plugins, whose entries are right below, and end their records.

    What finish() of the one that opens a trace gave; and False where a handler has
    ended the trace: the entries are no more.
    """
    count = thread.stack[-1].plugin_count
    began_ns = clock.system_ns()
    opened: dict[str, Any] | None = None
    there = True
    for i in range(2, 2 + count):
        entry = thread.stack[-i]
        plugin = entry.plugin
        assert plugin is not None
        finished = _without_lock(thread, _finish, plugin, frame, entry.started, end)
        there = _are_there(thread, frame)
        if there:
            _leave(thread, thread.stack[-i], finished, end, now_ns)
        if plugin.boundary:
            opened = finished
        if not there:
            break
    _count(thread, began_ns)
    return opened, there


# ---- suspension ----


def suspend(thread: Thread, offset: int, now_ns: int) -> list[WaitingPlugin]:
    """It is suspended: so are its plugins' nodes."""
    top = len(thread.stack) - 1
    count = thread.stack[top].plugin_count
    waiting: list[WaitingPlugin] = []
    for at in range(top - 1, top - 1 - count, -1):
        entry = thread.stack[at]
        node = entry.open.node
        if not entry.unwritten and not capture_said.plugin_yield(
            thread, entry, offset, now_ns
        ):
            if not entry.unwritten:
                entry.stream.stream.drop(entry.open)
            thread.lose(entry.stream)
            entry.unwritten = True
        waiting.insert(0, WaitingPlugin(entry, node, thread.number))
        entry.started = None
        entry.unwritten = True
    return waiting


def resume(thread: Thread, code: Code, waiting: Waiting, now_ns: int) -> int:
    """It goes on: so do they; how many there are."""
    assert thread.stream is not None
    same_trace = waiting.trace_number == thread.stream.trace.number
    for node in waiting.plugins:
        entry = _enter(thread, code, node.plugin, node.started)
        if node.unwritten or not same_trace:
            entry.unwritten = True
        elif not capture.resume(thread, entry, node, now_ns):
            entry.unwritten = True
            thread.lose(entry.stream)
    return len(waiting.plugins)
