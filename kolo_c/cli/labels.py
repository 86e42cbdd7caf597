"""One node as a line for a person.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import os

from kolo_c.cli.units import duration, plural
from kolo_c.errors import harmless
from kolo_c.model.ends import fetch_begin
from kolo_c.model.events import awaited, awaited_at, merged, place_of
from kolo_c.model.exceptions import flight, is_source, own_caught
from kolo_c.model.fetches import STATEMENT
from kolo_c.model.fold import is_comprehension, is_import, working_ns
from kolo_c.plugins.shown import level_name, style_of, summary_text
from kolo_c.store import records as r
from kolo_c.store.text import VALUE_WIDTH, shorten, value_text
from kolo_c.store.values import Dict, Raised
from kolo_c.wire import Kind, Mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kolo_c.cli.screen import Line
    from kolo_c.model.exceptions import Caught
    from kolo_c.model.node import Node
    from kolo_c.store.definitions import Code
    from kolo_c.store.reader import Trace
    from kolo_c.store.values import Value

DIM = "dim"
NAME = "cyan"
ERROR = "red"
HANDLED = "yellow"
VALUE = ""
ARGUMENTS = "default"
"""Their parts of a line are the first to be shortened."""
TIME = "green"

_LIMITS = {1: "values are left out from here on", 2: "busy functions are only counted"}
_FEW_ARGUMENTS = 12
_CO_OPTIMIZED = 1


class Labels:
    """Writes the nodes of one trace; ``value_width`` bounds each value."""

    def __init__(self, trace: Trace, value_width: int = VALUE_WIDTH) -> None:
        self.trace = trace
        self.value_width = value_width
        self.shortened = False
        """Whether a value was too long for its place."""
        self._root = trace.process.root
        self._caught: dict[int, list[Node]] = {}

    def note_caught(self, sources: Iterable[Node]) -> None:
        """Let the calls in which the exceptions raised in ``sources`` were handled say
        so."""
        for source in sources:
            found = flight(source)
            handler = None if found.ended_task else found.handled_by
            if handler is not None:
                self._caught.setdefault(id(handler), []).append(source)

    def line(self, node: Node) -> Line:
        """What happened in ``node``, without number, time and place."""
        begin = node.begin
        if isinstance(begin, r.MarkRecord):
            return [(self._mark(begin), "yellow")]
        if isinstance(begin, r.Note):
            return [
                ("note ", DIM),
                (harmless(begin.text), VALUE),
                *self._map(begin.values),
            ]
        if isinstance(begin, r.Log):
            return self._log(begin)
        return [*self._head(node), *self._outcome(node), *self._remarks(node)]

    @property
    def all_that_is_seen(self) -> str:
        """Where an exception was not handled that left all of the trace's calls: one
        that is a part of another's program may have a recorded caller there."""
        return "this trace" if self.trace.info.row.parent else "recorded code"

    def name(self, node: Node) -> str:
        """What ``node`` is called."""
        if node.begin is None and node.code is None and node.plugin is None:
            fetch_begin(self.trace.stream(node.thread), node)
        if node.code is not None:
            code = self.trace.definitions.code(node.code)
            return f"{'class ' * _is_body(code)}{harmless(code.qualname)}"
        if isinstance(node.begin, r.Region):
            return harmless(node.begin.name)
        if node.plugin is not None:
            return harmless(self.trace.definitions.plugin(node.plugin).label)
        if isinstance(node.begin, (r.Note, r.Log)):
            return harmless(node.begin.text)
        if isinstance(node.begin, r.MarkRecord):
            return self._mark(node.begin)
        return "(beginning not recorded)"

    def place(self, node: Node) -> str:
        """File and line where the function of ``node`` is defined; of what a plugin
        saw, where it came from."""
        if node.plugin is not None or isinstance(node.begin, r.Log):
            found = self.site_place(node)
            return "" if found is None else f"{self.path(found[0])}:{found[1]}"
        if node.code is None:
            return ""
        code = self.trace.definitions.code(node.code)
        path = self.path(self.trace.definitions.path(code.file))
        return f"{path}:{code.first_line}" if path else ""

    def path(self, path: str) -> str:
        """``path``, from the project's root where it lies in it."""
        if self._root and path.startswith(self._root.rstrip(os.sep) + os.sep):
            path = path[len(self._root.rstrip(os.sep)) + 1 :]
        return harmless(path)

    def value(self, value: Value) -> str:
        """``value``, bounded."""
        text = value_text(value, self.trace.definitions, self.value_width)
        if text.endswith("…"):
            self.shortened = True
        return text

    def time(self, node: Node) -> str:
        """How long it took; empty for what takes no time."""
        if node.kind in (Kind.NOTE, Kind.LOG, Kind.MARK):
            return ""
        if is_comprehension(node, self.trace.definitions):
            return duration(working_ns(node))
        return duration(node.duration_ns)

    def _head(self, node: Node) -> Line:
        parts: Line = [(self.name(node), NAME)]
        if node.plugin is not None:
            parts = self._plugin(node)
        if node.continues is not None:
            where = f"{node.continues or '?'}.{node.number}"
            return [("↻ ", DIM), *parts, (f" goes on (began as {where})", DIM)]
        if is_import(node, self.trace.definitions) and node.code is not None:
            module = self.trace.definitions.code(node.code).module
            return [("import ", DIM), (harmless(module or "?"), NAME)]
        if isinstance(node.begin, r.Call):
            parts.append((self._arguments(node.begin), ARGUMENTS))
        elif isinstance(node.begin, r.Entered):
            parts.append((" (was running already)", DIM))
        elif isinstance(node.begin, r.Region):
            parts = [("region ", DIM), *parts, *self._map(node.begin.values)]
        return parts

    def _plugin(self, node: Node) -> Line:
        """Its label in its colour, and its fields as its kind sums them up."""
        kind = self.trace.definitions.plugin(node.plugin or 0)
        parts: Line = [(harmless(kind.label), style_of(kind))]
        text = self.summary(node)
        if text.endswith("…"):
            self.shortened = True
        return [*parts, (f" {text}", ARGUMENTS)] if text else parts

    def event_name(self, node: Node) -> str:
        """What many of it share: its label, and its summary without values."""
        from kolo_c.model.statement import shape  # noqa: PLC0415 - for folds alone

        text = shape(self._begun(node))
        return f"{self.name(node)} {text}" if text else self.name(node)

    def _begun(self, node: Node) -> str:
        """The summary from what was known at its begin."""
        if not isinstance(node.begin, r.Plugin):
            return ""
        definitions = self.trace.definitions
        kind = definitions.plugin(node.plugin or 0)
        return summary_text(kind, merged(node.begin.values, None), definitions)

    def summary(self, node: Node) -> str:
        """What a plugin saw, in one line; empty where its fields were not read."""
        if node.begin is None:
            return ""
        kind = self.trace.definitions.plugin(node.plugin or 0)
        return summary_text(kind, fields_of(node), self.trace.definitions)

    def _arguments(self, call: r.Call) -> str:
        code = self.trace.definitions.code(call.code)
        if code.name == "<module>" or _is_body(code) or code.arguments == (".0",):
            return ""
        named = list(zip(code.arguments, call.arguments, strict=False))
        if code.self_kind:
            named = named[1:]
        shown = [f"{harmless(n)}={self.value(value)}" for n, value in named]
        more = len(shown) - _FEW_ARGUMENTS
        if more > 0:
            shown[_FEW_ARGUMENTS:] = [f"… {more} more"]
        if len(code.arguments) > len(call.arguments) and not call.arguments:
            shown = ["…"]
        return f"({', '.join(shown)})"

    def _map(self, values: Value) -> Line:
        if not isinstance(values, Dict) or not values.pairs:
            return []
        shown = [
            f"{harmless(str(key))}={self.value(value)}" for key, value in values.pairs
        ]
        return [(" " + ", ".join(shown), VALUE)]

    def _log(self, log: r.Log) -> Line:
        level = harmless(level_name(log.level))
        logger = harmless(str(log.logger))
        return [
            (f"log {level} ", level_style(log.level)),
            (harmless(log.text), VALUE),
            (f"  {logger}", DIM),
        ]

    def _outcome(self, node: Node) -> Line:
        end = node.end
        if node.left_by_exception:
            return self._raised(node)
        if node.lost_end:
            return [(" … its end was not recorded", "yellow")]
        if node.is_open:
            return self._unended(node)
        if isinstance(end, r.Return):
            if self._is_silent(node, end):
                return []
            if self._is_generated(node):
                return [(" → ", DIM), (plural(node.resumed, "item"), VALUE)]
            return [(" → ", DIM), (self.value(end.value), VALUE)]
        return []

    def _is_silent(self, node: Node, end: r.Return) -> bool:
        """Whether the value says nothing: a module's, or one that was left out."""
        if end.value is not None or node.code is None:
            return False
        code = self.trace.definitions.code(node.code)
        left_out = isinstance(node.begin, r.Call) and (
            len(node.begin.arguments) < len(code.arguments)
        )
        return left_out or code.name == "<module>" or _is_body(code)

    def _is_generated(self, node: Node) -> bool:
        """Whether it is a generator expression that ran to its end: what it gave are
        its items, one for each time that it was asked for another."""
        code = self.trace.definitions.code(node.code) if node.code is not None else None
        return code is not None and code.name == "<genexpr>"

    def _unended(self, node: Node) -> Line:
        if node.suspended_since is not None:
            return [(" … suspended", "yellow")]
        if self.trace.info.status == "running":
            return [(" … running", "yellow")]
        return [(" … not ended", "yellow")]

    def _raised(self, node: Node) -> Line:
        found = flight(node)
        known = found.exception is not None
        text = self.value(found.exception) if known else "an exception, type unknown"
        parts: Line = [(" ✗ ", ERROR), (text, ERROR)]
        if not is_source(node):
            return [*parts, (f" from {found.raised_in.number}", DIM)]
        line = self.raise_line(node)
        if line is not None:
            parts.append((f" in line {line}", DIM))
        if found.ended_task:
            parts.append((", which ended its task", DIM))
        elif found.handled_by is not None:
            by = found.handled_by
            parts.append((f", handled in {self.name(by)} ({by.number})", DIM))
        elif not found.unfinished:
            parts.append((f", not handled in {self.all_that_is_seen}", DIM))
        return parts

    def raise_line(self, node: Node) -> int | None:
        """The line that the exception left ``node`` from."""
        if not isinstance(node.end, r.Raise) or node.code is None:
            return None
        return self.trace.definitions.line(node.code, node.end.offset)

    def site_line(self, node: Node) -> int | None:
        """The line of the caller from which ``node`` was called."""
        caller = self._caller(node)
        if node.site is None or caller is None:
            return None
        return self.trace.definitions.line(caller, node.site)

    def site_place(self, node: Node) -> tuple[str, int] | None:
        """File and line of the recorded code that ``node`` came from."""
        if isinstance(node.begin, r.Plugin) and (
            self.trace.definitions.plugin(node.begin.plugin).name == STATEMENT
        ):
            fields = merged(node.begin.values, None)
            if awaited(fields):
                return awaited_at(self.trace.definitions, fields)
        caller = self._caller(node)
        if caller is None:
            return None
        return place_of(self.trace.definitions, caller, node.site)

    def _caller(self, node: Node) -> int | None:
        """The code of the nearest call that ``node`` stands in."""
        caller = node.parent
        while caller is not None and caller.code is None:
            fetch_begin(self.trace.stream(caller.thread), caller)
            if caller.code is None:
                caller = caller.parent
        return None if caller is None else caller.code

    def _remarks(self, node: Node) -> Line:
        remarks = []
        if not self._is_generated(node):
            if node.resumed:
                remarks.append(plural(node.resumed, "resume"))
            if node.suspended_ns:
                remarks.append(f"{duration(node.suspended_ns)} suspended")
        task = self.trace.definitions.task(node.task)
        above = node.parent.task if node.parent is not None else 0
        if task is not None and node.task != above:
            remarks.append(f"task {shorten(harmless(task.name), 40)}")
        parts: Line = [(f" [{', '.join(remarks)}]", DIM)] if remarks else []
        caught = self._caught.get(id(node))
        if caught:
            parts += self._handled(caught)
        return [*parts, *self._handled_here(node)] if node.caught else parts

    def _handled(self, sources: list[Node]) -> Line:
        """Which exceptions ended here."""
        first = flight(sources[0]).exception
        name = "an exception"
        if isinstance(first, Raised):
            name = harmless(self.trace.definitions.type_name(first.type).qualname)
        more = f" and {len(sources) - 1:,} more" if len(sources) > 1 else ""
        text = f" ✓ handled {name} from {sources[0].number}{more}"
        return [(text, HANDLED)]

    def _handled_here(self, node: Node) -> Line:
        """Which exceptions came and ended here that left no recorded call."""
        caught = own_caught(node)
        if not caught:
            return []
        more = f" and {len(caught) - 1:,} more" if len(caught) > 1 else ""
        return [(f" ✓ handled {self.caught(node, caught[0])}{more}", HANDLED)]

    def caught(self, node: Node, caught: Caught) -> str:
        """An exception that ``node`` handled, and where."""
        raised, handled = self.caught_lines(node, caught)
        text = self.value(caught.record.exception)
        if raised is not None:
            text += f" of line {raised}"
        return text if handled is None else f"{text} in line {handled}"

    def caught_lines(self, node: Node, caught: Caught) -> tuple[int | None, int | None]:
        """The lines of ``node`` that it came to it in, and that handled it."""
        if node.code is None:
            fetch_begin(self.trace.stream(node.thread), node)
        if node.code is None:
            return None, None
        definitions, record = self.trace.definitions, caught.record
        return (
            definitions.line(node.code, record.raised),
            definitions.handler_line(node.code, record.offset),
        )

    def _mark(self, mark: r.MarkRecord) -> str:
        value = mark.value
        if mark.mark == Mark.LOST:
            count = value if isinstance(value, int) else 0
            return f"· {plural(count, 'record')} lost here"
        if mark.mark == Mark.BLIND and isinstance(value, int):
            return f"· blind for {duration(value)}: another profiler had taken over"
        if mark.mark == Mark.LIMIT:
            reason = _LIMITS.get(value, "less is kept from here on")
            return f"· the trace's limit was reached: {reason}"
        if mark.mark == Mark.COUNTED and isinstance(value, list) and len(value) == 3:
            code, calls, ns = value
            if all(isinstance(part, int) for part in value):
                name = harmless(self.trace.definitions.code(code).qualname)
                return f"· {name} ×{calls:,}, {duration(ns)}: counted, not recorded"
        return f"· mark {mark.mark}"


def fields_of(node: Node) -> dict[str, Value]:
    """What a plugin said of ``node``, at its begin and at its end."""
    begin = node.begin.values if isinstance(node.begin, r.Plugin) else None
    end = node.end.values if isinstance(node.end, r.PluginEnd) else None
    fields = merged(begin, end)
    if node.fetched is not None and node.fetched.seen:
        fields.update(node.fetched.fields())
    return fields


def level_style(level: Value) -> str:
    """How a line of the log is marked."""
    if not isinstance(level, int) or level < 30:
        return DIM
    return ERROR if level >= 40 else HANDLED


def _is_body(code: Code) -> bool:
    """Whether it is the body of a class: neither a function nor a module."""
    return code.name != "<module>" and not code.flags & _CO_OPTIMIZED and code.file > 0
