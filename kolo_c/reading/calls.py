"""One call of a trace, and calls in their order.

Threads: one at a time. Owns: the records that began and ended a call.
Fails: StoreError where a file cannot be read.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from kolo_c.reading import notebook
from kolo_c.reading.quiet import Steps, quietly
from kolo_c.reading.replay import Key, View
from kolo_c.reading.values import Raised, Value
from kolo_c.store import records as r
from kolo_c.store.definitions import Code
from kolo_c.store.jsonable import value_json
from kolo_c.wire import Kind

if TYPE_CHECKING:
    from kolo_c.reading.streams import Stream
    from kolo_c.reading.traces import Source, Thread, Trace

Status: TypeAlias = Literal["returned", "raised", "suspended", "open", "lost"]

_CALLS = (Kind.CALL, Kind.ENTERED)
_AROUND = (Kind.REGION, Kind.PLUGIN)
_SUSPENDS = 0x20 | 0x80 | 0x200  # co_flags: generator, coroutine, async generator


class Call:
    """One call of a function: of a generator or coroutine all its steps together."""

    __slots__ = ("_begin", "_end", "_index", "_parent", "_stream", "_task", "node")

    def __init__(self, stream: Stream, index: int, view: View, node: int) -> None:
        self._stream = stream
        self._index = index
        self._begin: Any = view.begins[node]
        self._parent: Key | None = view.parents[node]
        self._task = view.tasks.get(node, 0)
        self._end: tuple[r.Record, int] | None = None
        self.node = node
        """Its number in its thread."""

    @property
    def trace(self) -> Trace:
        """The trace that it is in."""
        return self._stream.trace

    @property
    def id(self) -> str:
        """Its address, for ``kolo-c show``: TRACE/153, or TRACE/2.153."""
        return self._stream.address(self.node)

    @property
    def thread(self) -> Thread:
        """The thread that it began in."""
        return self._stream.thread

    @property
    def task(self) -> str | None:
        """The name of the asyncio task that it began in."""
        task = self._stream.definitions.task(self._task)
        return task.name if task is not None else None

    # ---- the function ----

    @property
    def _code(self) -> Code:
        return self._stream.definitions.code(self._begin.code)

    @property
    def function(self) -> str:
        """Its qualified name: ``Cart.total``."""
        return self._code.qualname

    @property
    def module(self) -> str | None:
        """Its module's name."""
        return self._code.module

    @property
    def path(self) -> str:
        """The file that it stands in."""
        return self._stream.definitions.path(self._code.file)

    @property
    def line(self) -> int:
        """The line that it begins in."""
        return self._code.first_line

    @property
    @quietly
    def source(self) -> Source | None:
        """Its text as it was when it ran; None where that was not kept."""
        return self._stream.source(self._code)

    # ---- before and after ----

    @property
    @quietly
    def arguments(self) -> dict[str, Value]:
        """By name, as they were when it began; empty where they were not recorded."""
        if not isinstance(self._begin, r.Call):
            return {}
        return self._stream.named(self._code.arguments, self._begin.arguments)

    @property
    @quietly
    def result(self) -> Value:
        """What it returned; None as well where it did not (``status`` tells)."""
        end = self._ending()
        return self._stream.value(end.value) if isinstance(end, r.Return) else None

    @property
    @quietly
    def exception(self) -> Raised | None:
        """The exception that left it, from wherever it came."""
        end = self._ending()
        if not isinstance(end, r.Raise):
            return None
        exception = end.exception
        if exception is None and self._end is not None:
            exception = self._stream.told_later(self.node, self._end[1])
        found = self._stream.value(exception)
        return found if isinstance(found, Raised) else Raised(None, (), None)

    @property
    @quietly
    def raised_line(self) -> int | None:
        """The line in it that the exception left it from."""
        end = self._ending()
        if not isinstance(end, r.Raise):
            return None
        return self._stream.definitions.line(self._begin.code, end.offset)

    @property
    @quietly
    def handled(self) -> tuple[Handled, ...]:
        """The exceptions that it handled, with ``exceptions = "all"``, in their order;
        those that it let go on are not among them."""
        found: list[r.Caught] = []
        for record in self._find_caught():
            if record.offset is not None:
                found.append(record)
                continue
            for at in range(len(found) - 1, -1, -1):
                if _is_same(found[at].exception, record.exception):
                    del found[at]
                    break
        return tuple(self._handled(record) for record in found)

    @property
    @quietly
    def locals(self) -> dict[str, Value]:
        """Its local variables at its end, where they were recorded (``locals``)."""
        end = self._ending()
        if isinstance(end, r.Return):
            return self._stream.named(self._code.locals, end.locals)
        if isinstance(end, r.Raise):
            return self._stream.named(self._code.raise_names, end.locals)
        return {}

    @property
    @quietly
    def status(self) -> Status:
        """How it ended: "returned", "raised"; or "suspended": a generator that nobody
        went on with; "open": it was running when the record ends; "lost": its end was
        not seen."""
        end = self._ending()
        if isinstance(end, r.Return):
            return "returned"
        if isinstance(end, r.Raise):
            return "raised"
        if self._stream.views.is_open(self.node):
            return "open"
        return "suspended" if self._code.flags & _SUSPENDS else "lost"

    @property
    def started_ns(self) -> int:
        """When it began, in nanoseconds of a clock that is the process's own."""
        return int(self._begin.ns)

    @property
    def started_at(self) -> datetime.datetime:
        """When it began, in UTC."""
        return self._stream.trace.moment(self._begin.ns)

    @property
    @quietly
    def duration_ns(self) -> int | None:
        """From its begin to its end, suspensions included; None: it has no end."""
        end = self._ending()
        return None if end is None else max(end.ns - self._begin.ns, 0)

    # ---- around it ----

    @property
    @quietly
    def parent(self) -> Call | None:
        """The recorded call that made it; None where there is none."""
        key = self._parent
        for _ in range(1 << 16):  # damage could make a circle
            if key is None:
                return None
            stream = self.trace.stream_of(key[0])
            place = stream.place_of(key[1]) if stream is not None else None
            if stream is None or place is None:
                return None
            view = stream.views.get(place)
            if view.begins[key[1]].kind in _CALLS:
                return Call(stream, place, view, key[1])
            key = view.parents[key[1]]  # a region: who began that
        return None

    @property
    @quietly
    def caller_line(self) -> int | None:
        """The line in ``parent`` that made this call."""
        parent = self.parent
        site = getattr(self._begin, "site", None)
        if parent is None or site is None:
            return None
        return parent._stream.definitions.line(parent._begin.code, site)

    @property
    def children(self) -> Calls:
        """The recorded calls that it made in its thread, in their order."""
        return Calls(f"made by {self.id}", self._find_children)

    @property
    def yielded(self) -> Iterator[Value]:
        """What it yielded so far, where it is a generator."""
        return Steps(self._find_yielded())

    @quietly
    def to_dict(self) -> dict[str, Any]:
        """All of it but its children, as JSON can have it."""
        code, definitions = self._code, self._stream.definitions
        raw = self._begin.arguments if isinstance(self._begin, r.Call) else []
        arguments = dict(zip(code.arguments, raw, strict=False))
        end, exception = self._ending(), self.exception
        result = end.value if isinstance(end, r.Return) else None
        return {
            "id": self.id,
            "function": self.function,
            "module": self.module,
            "path": self.path,
            "line": self.line,
            "thread": self.thread.name,
            "task": self.task,
            "started_at": self.started_at.isoformat(),
            "duration_ns": self.duration_ns,
            "status": self.status,
            "arguments": {
                name: value_json(value, definitions)
                for name, value in arguments.items()
            },
            "result": value_json(result, definitions),
            "exception": None if exception is None else str(exception),
        }

    def _ending(self) -> r.Record | None:
        if self._end is None:
            self._end = self._stream.views.end_of(self.node, self._index)
        return self._end[0] if self._end is not None else None

    def _find_children(self) -> Iterator[Call]:
        stream = self._stream
        above = {(stream.number, self.node)}
        for index in stream.blocks_of(self.node, self._index, above, self._resumes()):
            view = stream.views.get(index)
            for node, record in view.begins.items():
                if view.parents[node] not in above:
                    continue
                if record.kind in _CALLS:
                    yield Call(stream, index, view, node)
                elif record.kind in _AROUND:
                    above.add((stream.number, node))
            if self.node in view.ends or self.node in view.lost:
                return

    def _find_yielded(self) -> Iterator[Value]:
        stream = self._stream
        above = {(stream.number, self.node)}
        for index in stream.blocks_of(self.node, self._index, above, self._resumes()):
            view = stream.views.get(index)
            for record in view.yields.get(self.node, ()):
                yield stream.value(record.value)
            if self.node in view.ends or self.node in view.lost:
                return

    def _find_caught(self) -> Iterator[r.Caught]:
        stream = self._stream
        key = stream.number, self.node
        above = {key}
        for index in stream.blocks_of(self.node, self._index, above, self._resumes()):
            view = stream.views.get(index)
            yield from view.caught.get(key, ())
            for node, record in view.begins.items():
                if record.kind in _AROUND and view.parents[node] in above:
                    above.add((stream.number, node))
            if self.node in view.ends or self.node in view.lost:
                return

    def _handled(self, record: r.Caught) -> Handled:
        definitions, code = self._stream.definitions, self._begin.code
        exception = self._stream.value(record.exception)
        return Handled(
            exception if isinstance(exception, Raised) else Raised(None, (), None),
            definitions.line(code, record.raised),
            definitions.handler_line(code, record.offset),
        )

    def _resumes(self) -> bool:
        return bool(self._code.flags & _SUSPENDS)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Call):
            return NotImplemented
        return self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    @quietly
    def __repr__(self) -> str:
        return f"<call {self.id} {notebook.call_text(self)}>"

    @quietly
    def _repr_html_(self) -> str:
        return notebook.tree_html([self])

    @quietly
    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("\n".join(notebook.tree_text([self])))


class Handled(NamedTuple):
    """An exception that a call handled."""

    exception: Raised
    raised_line: int | None
    """The line in the call that raised it, or made the call that it came from."""
    handled_line: int | None
    """The line of the ``except``, ``finally`` or ``with`` that it did not leave."""


def _is_same(one: Any, other: Any) -> bool:
    return (one.type, one.address) == (other.type, other.address)


class Calls:
    """Calls, found while they are gone through; each time anew."""

    def __init__(self, what: str, find: Callable[[], Iterator[Call]]) -> None:
        self._what = what
        self._find = find

    def __iter__(self) -> Iterator[Call]:
        return Steps(self._find())

    def first(self) -> Call | None:
        """The first of them; None where there is none."""
        return next(iter(self), None)

    def __repr__(self) -> str:
        return f"<calls {self._what}>"

    def _repr_html_(self) -> str:
        return notebook.tree_html(list(islice(self, notebook.MOST_ROOTS)))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        calls = list(islice(self, notebook.MOST_ROOTS))
        printer.text("\n".join([repr(self), *notebook.tree_text(calls)]))
