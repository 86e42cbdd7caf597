"""Traces that plugins and rules open: a request, a test, a task, a marked function.

The core asks for one when a call begins that is a boundary, and tells of its end. Its
name is the summary of its record, filled with all that its plugin said. One that is
held stays open beyond its call, for what belongs to it and comes later: the body of a
streaming response.

Threads: any, under the GIL. Owns: the boundaries that are open, and who holds them.
Fails: as the session's begin_boundary and end_boundary.
"""

from __future__ import annotations

import sys
from _weakref import ref  # weakref itself is 1 ms more
from itertools import count

from kolo_c.facts import TraceFacts
from kolo_c.identifiers import TICKING, trace_id
from kolo_c.scope import SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType
    from typing import Any

    from kolo_c.plugins.spec import Compiled
    from kolo_c.session import Session


_ENDED_MOST = 1024
"""Boundaries whose names are known after their end."""
_LATE_MOST = 32
"""Traces for what came late that are open at the same time."""


_NOTHING: Mapping[str, Any] = {}

_serials = count(1)

_summarise: Callable[[str, Mapping[str, Any]], str] | None = None


def _summary(plugin: Compiled, fields: Mapping[str, Any]) -> str:
    global _summarise
    if _summarise is None:  # few have boundaries
        from kolo_c.plugins.summary import summarise  # noqa: PLC0415

        _summarise = summarise
    assert plugin.kind is not None
    return _summarise(plugin.kind.summary, fields)


class Boundary:
    """One that is open."""

    __slots__ = ("attributes", "ended", "fields", "held", "holders", "plugin")

    def __init__(
        self, plugin: Compiled | None, fields: dict[str, Any], held: bool
    ) -> None:
        self.plugin = plugin
        self.fields = fields
        self.held = held
        """Whether it is stored is decided at its end."""
        self.attributes: Mapping[str, Any] = _NOTHING
        """Those that its trace has begun with."""
        self.holders = 0
        self.ended: bool | None = None
        """Whether its call has failed, once it has ended."""


def _new_attributes(boundary: Boundary) -> dict[str, Any]:
    """Fields that are attributes of the trace, and that it does not know yet."""
    plugin, fields, known = boundary.plugin, boundary.fields, boundary.attributes
    assert plugin is not None
    return {
        name: value
        for name in plugin.attributes
        if (value := fields.get(name)) is not None and value is not known.get(name)
    }


class Boundaries:
    """Those of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.serial = next(_serials) & 0xFFFFFFFF
        """Numbers of traces are a session's own: whose they are, where one is met that
        may be of an earlier session, or of the process that this is a fork of."""
        self._open: dict[int, Boundary] = {}
        self._ended: dict[int, tuple[str, str]] = {}
        """Id and name of those that ended lately: what comes late is named after it."""
        self._late: dict[int, int] = {}
        """By the number of one that has ended, that of the trace for what came late."""
        self._carriers: dict[int, int] = {}
        """How many threads, work items and tasks run in a boundary's scope."""
        self._references: dict[int, Any] = {}
        """Weak references, by their own address, to threads that are carriers."""
        self._tasks: dict[int, Any] = {}
        """Weak references, by address, to the tasks that run late; for which trace."""

    def handlers(self, parent: str | None) -> dict[str, Any]:
        """What the core asks, the two dicts that it counts work items in, and what it
        begins and ends simple boundaries with, as children of the trace ``parent``."""
        facts = self._session.traces.open
        simple = self._open, facts, self._ended, self._tasks, Boundary, TraceFacts
        return {
            "open_boundary": self.open,
            "close_boundary": self.close,
            "late_scope": self.late,
            "carrying": (self._carriers, self._late, self.leave, self.serial),
            "simple": None if TICKING else (*simple, parent, _ENDED_MOST),
        }

    def open(
        self, code: CodeType, index: int | None, started: Mapping[str, Any] | None
    ) -> int:
        """The core asks for a trace: its number."""
        if index is None:
            name = getattr(code, "co_qualname", code.co_name)
            number = self._session.begin_boundary(name, "boundary")[0]
            self._open[number] = Boundary(None, {}, held=False)
            return number
        plugin = self._session.plugins.plugin(index)
        return self.begin(plugin, {**started} if started else {})

    def begin(self, plugin: Compiled, fields: dict[str, Any]) -> int:
        """A trace for ``plugin``'s kind, named by its fields: its number."""
        held, settings = False, None
        if plugin.holds is not None:
            held = bool(self._ask(plugin, "holds", False, fields))
        if plugin.settings is not None:
            settings = self._ask(plugin, "settings", None, fields)
        assert plugin.kind is not None  # compile_plugin saw to that
        session = self._session
        within = session.traces.current() if plugin.apart else None
        boundary = Boundary(plugin, fields, held)
        facts = TraceFacts(trace_id(), plugin.name)
        number = session.begin_described(
            facts,
            self._describe(facts, boundary, plugin),
            plugin.kind.name,
            settings,
            held,
            None if within is None else within[1].id,
        )
        self._open[number] = boundary
        if plugin.takes_all:
            session.default_boundary(number)
        return number

    def _describe(self, facts: TraceFacts, boundary: Boundary, plugin: Compiled) -> str:
        """Say of its trace what its fields say: the attributes as JSON. It keeps its
        name where its summary is empty."""
        kind, traces = plugin.kind, self._session.traces
        assert kind is not None
        if traces.simple_facts is not None:
            # As of most requests: each call of Python's is paid by a request.
            simple = traces.simple_facts(
                kind.summary,
                facts.name,
                facts.attributes,
                plugin.attributes,
                boundary.fields,
            )
            if simple is not None:
                facts.name, facts.attributes, text = simple
                boundary.attributes = facts.attributes
                return str(text)
        new = boundary.attributes = _new_attributes(boundary)
        name = _summary(plugin, boundary.fields) or facts.name
        return traces.describe(facts, name, new)

    def close(
        self, number: int, finished: Mapping[str, Any] | None, failed: bool
    ) -> None:
        """The call of trace ``number`` has ended."""
        boundary = self._open.get(number)
        if boundary is None:
            return  # with its session
        if finished:
            boundary.fields.update(finished)
        boundary.ended = failed
        if boundary.holders == 0:
            self._end(number, boundary)

    def add(self, number: int, fields: Mapping[str, Any]) -> None:
        """What became known of it later, while it is held."""
        boundary = self._open.get(number)
        if boundary is not None:
            boundary.fields.update(fields)

    def failed_by(self, error: BaseException, name: str, value: object) -> None:
        """``error`` is what the boundary of this context fails with, if its field
        ``name`` is ``value``: another may be around what has found that out."""
        number = SCOPE.get()
        boundary, facts = self._open.get(number), self._session.traces.get(number)
        if boundary is None or facts is None or boundary.fields.get(name) is not value:
            return
        from kolo_c.failure import keep  # noqa: PLC0415 - it has failed

        keep(error, facts)

    def hold(self) -> int:
        """Keep the boundary of this context open: its number; 0: there is none."""
        number = SCOPE.get()
        boundary = self._open.get(number)
        if boundary is None:
            return 0
        boundary.holders += 1
        return number

    def release(self, number: int) -> None:
        """It need not be kept open any more."""
        boundary = self._open.get(number)
        if boundary is None:
            return
        boundary.holders -= 1
        if boundary.holders == 0 and boundary.ended is not None:
            self._end(number, boundary)

    def fail(self, number: int) -> None:
        """What it is kept open for has failed, after its call has ended."""
        boundary = self._open.get(number)
        if boundary is not None and boundary.ended is not None:
            boundary.ended = True

    def is_open(self, number: int) -> bool:
        """Whether trace ``number`` is one of these, and has not ended."""
        return number in self._open

    def stop(self) -> None:
        """The session ends: so do those whose calls have, and what came late."""
        late = set(self._late.values())
        for number, boundary in list(self._open.items()):
            over = number in late or boundary.ended is not None
            if over and number in self._open:  # it may have ended with another
                self._end(number, boundary)

    # ---- what comes late ----

    def enter(self, number: int) -> None:
        """A thread or work item begins that belongs to boundary ``number``."""
        self._carriers[number] = self._carriers.get(number, 0) + 1

    def leave(self, number: int) -> None:
        """It has ended."""
        count = self._carriers.get(number, 0) - 1
        if count > 0:
            self._carriers[number] = count
            return
        self._carriers.pop(number, None)
        late = self._late.pop(number, 0)
        if late in self._open:
            self._end(late, self._open[late])

    def leave_with(self, thread: object, number: int) -> None:
        """It has ended once ``thread`` is gone."""

        def gone(reference: object) -> None:
            self._references.pop(id(reference), None)
            self.leave(number)

        reference = ref(thread, gone)
        self._references[id(reference)] = reference

    def late(self, number: int) -> int:
        """The core asks: a context belongs to a boundary that has ended.

        What it left behind goes to a trace of its own, named after it: the number; 0
        where nothing is known of it.
        """
        known = self._late.get(number, 0)
        if known in self._open:
            self._carry_task(number)
            return known
        origin = self._ended.get(number)
        if origin is None:
            return 0
        from kolo_c.plugins.builtin.carry import is_between_work  # noqa: PLC0415

        if is_between_work():
            return 0
        while len(self._late) >= _LATE_MOST:
            oldest = next(iter(self._late))
            self._carriers.pop(oldest, None)
            self.leave(oldest)
        id, name = origin
        late = self._session.begin_boundary(f"after {name}", "background", parent=id)[0]
        self._open[late] = Boundary(None, {}, held=False)
        self._late[number] = late
        self._carry_task(number)
        return late

    def _carry_task(self, number: int) -> None:
        """The task that runs here carries it on, until it is gone."""
        asyncio = sys.modules.get("asyncio")
        try:
            task = asyncio.current_task() if asyncio is not None else None
        except Exception:  # no loop runs here; another kind of loop
            return
        if task is None:
            return
        key = id(task)
        if key not in self._tasks:
            gone = ref(task, lambda _: self._task_gone(key, number))
            self._tasks[key] = (gone, number)
            self.enter(number)

    def _task_gone(self, key: int, number: int) -> None:
        if self._tasks.pop(key, None) is not None:
            self.leave(number)

    def _look_for_done(self) -> None:
        """Tasks that the program keeps are not gone when they are done."""
        for key, (reference, number) in list(self._tasks.items()):
            task = reference()
            try:
                done = task is not None and task.done()
            except Exception:  # another kind of task
                continue
            if done:
                self._task_gone(key, number)

    def _end(self, number: int, boundary: Boundary) -> None:
        del self._open[number]
        if self._tasks:
            self._look_for_done()
        session, plugin = self._session, boundary.plugin
        facts = session.traces.end(number)
        if facts is None:
            return  # with its session
        text, stored, failed = "", True, bool(boundary.ended)
        try:
            if plugin is not None:
                with facts.lock:
                    text = self._describe(facts, boundary, plugin)
                if len(self._ended) >= _ENDED_MOST:
                    self._forget_ended()
                self._ended[number] = (facts.id, facts.name)
                if boundary.held:
                    answer = self._ask(plugin, "stored", True, boundary.fields, failed)
                    stored = bool(answer)
        finally:  # or it would be open for good
            cause = "exception" if failed else "exit"
            session.end_described(number, facts, cause, text or facts.text(), stored)

    def _ask(self, plugin: Compiled, what: str, default: Any, *arguments: Any) -> Any:
        """What the plugin's handler of this name says; ``default`` where it has none,
        or that fails."""
        handler = getattr(plugin, what)
        try:
            return default if handler is None else handler(*arguments)
        except Exception as error:
            self._session.plugins.report(plugin, f"{what}()", error)
            return default

    def _forget_ended(self) -> None:
        for old in list(self._ended)[: _ENDED_MOST // 4]:
            del self._ended[old]
