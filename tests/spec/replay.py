"""Records replayed into a tree by the stack rules of docs/reference/wire-format.md.

Written for the tests, from the page and not from kolo_c/model: plain, slow, and with an
assertion wherever the rules say what must be. The text of a tree is what tests compare
with a tree written by hand:

    f(n=2) -> 3
      gen() yields 1, 2, thrown KeyError('k') -> None
        g(x=1) raises ValueError('x')
      h() catches KeyError('k') of 3 in 4 -> None

`of 3 in 4`: it came to line 3, and the handler of line 4 took it up; `passes` follows
where it went on from there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kolo_c.store import records as r
from kolo_c.store.reader import Stream
from kolo_c.store.text import value_text
from kolo_c.wire import Kind, Mark

WIDTH = 200


@dataclass(frozen=True)
class Show:
    """What else than names, values and ends a line has."""

    sites: bool = False
    """The line in the caller that made the call."""
    tasks: bool = False
    locals: bool = False
    values: bool = True
    depth: int = 1_000_000


@dataclass
class Call:
    """One node, or a mark."""

    name: str
    number: int
    arguments: list[tuple[str, str]] | None = None
    steps: list[str] = field(default_factory=list)
    caught: list[str] = field(default_factory=list)
    end: str = ""
    locals: list[tuple[str, str]] = field(default_factory=list)
    site: int | None = None
    task: str = ""
    children: list[Call] = field(default_factory=list)
    code: int = 0
    kind: int = 0
    on_stack: bool = False


@dataclass
class Tree:
    """The calls of one stream."""

    roots: list[Call]
    calls: list[Call]

    def text(self, roots: list[Call], show: Show) -> str:
        lines: list[str] = []
        pending = [(call, 0) for call in reversed(roots)]
        while pending:
            call, level = pending.pop()
            lines.append("  " * level + _line(call, show))
            if level + 1 < show.depth:
                pending.extend((c, level + 1) for c in reversed(call.children))
        return "\n".join(lines)

    def find(self, name: str) -> list[Call]:
        return [call for call in self.calls if call.name == name]


def _line(call: Call, show: Show) -> str:
    parts = []
    if show.tasks and call.task:
        parts.append(f"[{call.task}]")
    values = call.arguments
    if values is None:
        parts.append(f"{call.name}(…)")
    elif show.values:
        parts.append(f"{call.name}({', '.join(f'{n}={v}' for n, v in values)})")
    else:
        parts.append(f"{call.name}()")
    if show.sites:
        parts.append(f"@{call.site}")
    if call.steps:
        parts.append("yields " + ", ".join(call.steps))
    if call.caught:
        parts.append("catches " + ", ".join(call.caught))
    parts.append(call.end or ("open" if call.on_stack else "suspended"))
    if show.locals and call.locals:
        parts.append("with " + ", ".join(f"{n}={v}" for n, v in call.locals))
    return " ".join(parts)


class Replay:
    """A stream that is replayed block by block, in order: ``enter``, then ``apply``."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.definitions = stream.trace.definitions
        self.roots: list[Call] = []
        self.calls: dict[int, Call] = {}
        self.order: list[Call] = []
        self.stack: list[Call] = []
        self.task = ""
        self.has_gaps = False
        actions = {kind: f"on_{kind.name.lower()}" for kind in Kind}
        self.actions = {
            kind: getattr(self, name)
            for kind, name in actions.items()
            if hasattr(self, name)
        }

    @property
    def tree(self) -> Tree:
        return Tree(self.roots, self.order)

    def value(self, value: Any) -> str:
        return value_text(value, self.definitions, WIDTH)

    def named(self, names: tuple[str, ...], values: list[Any]) -> list[tuple[str, str]]:
        assert len(values) <= len(names), (names, values)
        pairs = zip(names, values, strict=False)
        return [(name, self.value(value)) for name, value in pairs]

    def name(self, code: int) -> str:
        qualname = self.definitions.code(code).qualname
        return qualname.rpartition("<locals>.")[2]

    def line(self, site: int | None) -> int | None:
        if self.has_gaps and any(call.name == "unknown" for call in self.stack):
            return None
        caller = next((call.code for call in reversed(self.stack) if call.code), 0)
        if not caller:
            assert site is None
            return None
        assert site is not None
        return self.definitions.line(caller, site)

    def begin(self, call: Call, *, push: bool = True) -> Call:
        if call.number:
            assert call.number not in self.calls, f"node {call.number} twice"
            self.calls[call.number] = call
        self.order.append(call)
        (self.stack[-1].children if self.stack else self.roots).append(call)
        if push:
            self.stack.append(call)
            call.on_stack = True
        return call

    def pop(self) -> Call:
        assert self.stack, "an end without a call"
        call = self.stack.pop()
        call.on_stack = False
        return call

    def enter(self, index: int) -> None:
        """Block ``index`` is next."""
        if self.stream.begins_after_gap(index):
            self.skip_to(index)

    def skip_to(self, index: int) -> None:
        """Blocks are missing: the header says which calls are open behind them."""
        self.has_gaps = True
        for call in self.stack:
            call.on_stack = False
        self.stack = []
        for node in self.stream.opens_at(index):
            call = self.calls.get(node)
            if call is None:
                call = self.begin(Call("unknown", node, arguments=[]), push=False)
            call.on_stack = True
            self.stack.append(call)

    def apply(self, record: r.Record) -> None:
        self.actions[record.kind](record)

    def on_call(self, record: r.Call) -> None:
        code = self.definitions.code(record.code)
        call = Call(self.name(record.code), record.node, code=record.code)
        call.arguments = self.named(code.arguments, record.arguments)
        call.site = self.line(record.site)
        call.task = self.task
        self.begin(call)

    def on_entered(self, record: r.Entered) -> None:
        call = Call(self.name(record.code), record.node, code=record.code)
        call.task = self.task
        self.begin(call)

    def keep_locals(self, call: Call, values: list[Any]) -> None:
        if values:
            code = self.definitions.code(call.code)
            names = code.raise_names if call.end.startswith("raises") else code.locals
            call.locals = self.named(names, values)

    def on_return(self, record: r.Return) -> None:
        call = self.pop()
        call.end = f"-> {self.value(record.value)}"
        self.keep_locals(call, record.locals)

    def raised(self, exception: Any) -> str:
        return "raises " + ("?" if exception is None else self.value(exception))

    def on_raise(self, record: r.Raise) -> None:
        call = self.pop()
        call.end = self.raised(record.exception)
        self.keep_locals(call, record.locals)

    def on_yield(self, record: r.Yield) -> None:
        self.pop().steps.append(self.value(record.value))

    def resumed(self, record: r.Resume | r.Throw) -> Call:
        own = record.thread is None or record.thread == self.stream.number
        assert record.thread is None or record.thread != self.stream.number
        if own:
            call = self.calls[record.resumed]
            assert call.end == "", f"{call.name} goes on after its end"
            assert not call.on_stack, f"{call.name} goes on while it runs"
            assert record.code in (call.code, call.kind)
        else:
            kind = self.definitions.plugin(record.code)
            is_call = kind.name.startswith("<")
            name = self.name(record.code) if is_call else kind.name.upper()
            call = Call(f"{name} of thread {record.thread}", 0)
            call.code = record.code if is_call else 0
            call.kind = 0 if is_call else record.code
            call.arguments = []
            self.order.append(call)
            (self.stack[-1].children if self.stack else self.roots).append(call)
        self.line(record.site)
        self.stack.append(call)
        call.on_stack = True
        return call

    def on_resume(self, record: r.Resume) -> None:
        self.resumed(record)

    def on_throw(self, record: r.Throw) -> None:
        call = self.resumed(record)
        thrown = "?" if record.exception is None else self.value(record.exception)
        call.steps.append(f"thrown {thrown}")

    def on_handled(self, record: r.Handled) -> None:
        assert record.thread is None or record.thread != self.stream.number
        if record.thread is None:
            call = self.calls[record.raised]
            assert call.end == "raises ?", "what is known is told again"
            call.end = self.raised(record.exception)

    def on_caught(self, record: r.Caught) -> None:
        assert record.thread is None or record.thread != self.stream.number
        calls = [call for call in self.stack if call.number == record.caught_in]
        assert record.thread is not None or calls, "what is not on the stack catches"
        for call in calls[-1:]:
            raised = self.value(record.exception)
            lines = [
                self.definitions.line(call.code, record.raised),
                self.definitions.handler_line(call.code, record.offset),
            ]
            assert record.raised is None or lines[0] is not None
            if record.offset is None:
                call.caught.append("passes")
            else:
                assert lines[1] is not None
                call.caught.append(f"{raised} of {lines[0]} in {lines[1]}")

    def on_task(self, record: r.TaskSwitch) -> None:
        task = self.definitions.task(record.task) if record.task else None
        self.task = task.name if task is not None else ""

    def on_region(self, record: r.Region) -> None:
        self.begin(Call(f"region {record.name}", record.node, arguments=[]))

    def on_region_end(self, record: r.RegionEnd) -> None:
        call = self.pop()
        call.end = "ends" if record.exception is None else self.raised(record.exception)

    def fields(self, values: Any) -> list[tuple[str, str]]:
        return [(str(name), self.value(value)) for name, value in values.pairs]

    def on_plugin(self, record: r.Plugin) -> None:
        kind = self.definitions.plugin(record.plugin)
        call = Call(kind.name.upper(), record.node, kind=record.plugin)
        call.arguments = self.fields(record.values)
        call.site = self.line(record.site)
        call.task = self.task
        self.begin(call)

    def on_plugin_end(self, record: r.PluginEnd) -> None:
        call = self.pop()
        assert call.kind
        assert call.arguments is not None
        call.arguments += self.fields(record.values)
        if record.exception is None:
            call.end = "ends"
        else:
            known = record.exception is not True
            call.end = self.raised(record.exception if known else None)

    def on_log(self, record: r.Log) -> None:
        line = f"log {record.level} {record.logger} {record.text}"
        call = Call(line, record.node, arguments=[], end="logged")
        call.site = self.line(record.site)
        self.begin(call, push=False)

    def on_note(self, record: r.Note) -> None:
        call = Call(f"note {record.text}", record.node, arguments=[], end="noted")
        self.begin(call, push=False)

    def on_mark(self, record: r.MarkRecord) -> None:
        if record.depth is not None:
            assert record.depth <= len(self.stack)
            while len(self.stack) > record.depth:
                self.pop().end = "lost"
        if record.mark == Mark.CLOCK:
            return
        value = record.value
        if record.mark == Mark.COUNTED:
            value = f"{self.name(value[0])} {value[1]}"
        name = Mark(record.mark).name.lower()
        call = Call(f"mark {name}", 0, [("value", str(value))], end="marked")
        self.begin(call, push=False)


def replay(stream: Stream) -> Tree:
    """The tree of ``stream``; fails where its records break the rules."""
    replayed = Replay(stream)
    for index in range(len(stream.blocks)):
        replayed.enter(index)
        for record in stream.decode(index).records:
            replayed.apply(record)
    return replayed.tree
