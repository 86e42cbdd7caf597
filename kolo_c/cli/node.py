"""``kolo-c show TRACE/NODE``: everything that was recorded of one call.

Threads: one at a time. Owns: nothing; the trace stays open. Fails: TraceNotFound.
"""

from __future__ import annotations

from itertools import islice

from kolo_c.cli.cells import cells
from kolo_c.cli.exception_lines import write_exception
from kolo_c.cli.fold_lines import FoldLines
from kolo_c.cli.labels import DIM, ERROR, HANDLED, NAME, TIME, Labels
from kolo_c.cli.screen import Screen
from kolo_c.cli.sources import Sources, chosen_lines
from kolo_c.cli.tree_lines import TreeLines, address, full_address
from kolo_c.cli.units import duration, moment, offered, plural
from kolo_c.cli.view import no_such_node
from kolo_c.errors import harmless
from kolo_c.model import nearby
from kolo_c.model.close_up import CloseUp, close_up
from kolo_c.model.fold import Fold, Folding, working_ns
from kolo_c.model.node import UNKNOWN
from kolo_c.store import records as r
from kolo_c.store.text import shorten, value_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from kolo_c.cli.choice import Options
    from kolo_c.cli.screen import Line
    from kolo_c.model.fold import Row
    from kolo_c.model.nearby import Held, Match
    from kolo_c.model.node import Node
    from kolo_c.store.reader import Trace

_VALUE_WIDTH = 400
_TEXT_WIDTH = 2_000
_WHOLE = 1 << 30
_LINES_OF_SOURCE = 30
_CALLS_SHOWN = 30
_MATCHES_SHOWN = 3
_NUMBERS_SHOWN = 3
_TITLES = {"argument": "arguments", "value": "values", "local": "locals at its end"}


class NodePage:
    """One call on its way to a screen."""

    def __init__(
        self, trace: Trace, thread: int, number: int, options: Options
    ) -> None:
        self.trace = trace
        self.options = options
        self.stream = trace.stream(thread)
        found = close_up(self.stream, number)
        if found is None:
            raise no_such_node(self.stream, number)
        self.found: CloseUp = found
        self.node = found.node
        self.labels = Labels(trace)
        self.labels.note_caught(found.sources)
        self._sources = Sources(trace)
        self._folding = Folding(
            trace.definitions, repeats=options.folds, imports=not options.imports
        )

    def write(self, file: TextIO) -> None:
        """Write the page."""
        screen = Screen(file, self.options.width, self.options.colour)
        self._write_title(screen)
        if self.node.plugin is not None:
            self._write_fields(screen)
        else:
            self._write_values(screen)
        if self.node.left_by_exception:
            write_exception(screen, self.labels, self._sources, self.node, self._value)
        self._write_caller(screen)
        self._write_source(screen)
        self._write_calls(screen)
        self._write_ways(screen)

    def write_json(self, file: TextIO) -> None:
        """Write the call, what is below it as far as it was read, and its place."""
        import json  # noqa: PLC0415 - only here

        from kolo_c.cli.node_json import page_json  # noqa: PLC0415

        json.dump(page_json(self.found, self.labels, self._sources), file)
        file.write("\n")

    # ---- what it is ----

    def _write_title(self, screen: Screen) -> None:
        node = self.node
        where = full_address(self.stream, node.number)
        screen.line([(self.labels.name(node), "bold"), (f"  {where}", DIM)])
        place = self.labels.place(node)
        thread = f"thread {self.stream.ordinal} {harmless(self.stream.name)}"
        parts = [place, thread, self._task()]
        screen.wrapped(" · ".join(part for part in parts if part), DIM, "  ")
        screen.line([("  ", ""), *self._times()])
        if node.start_ns is not None:
            after = node.start_ns - self.trace.info.row.started_ns
            clock = moment(self.trace.utc_ns(node.start_ns))
            text = f"began {duration(max(after, 0))} into the trace ({clock})"
            screen.wrapped(text, DIM, "  ")
        label = self.labels.line(node)
        if node.code is None or not isinstance(node.begin, r.Call):
            screen.line([("  ", ""), *label])

    def _task(self) -> str:
        task = self.trace.definitions.task(self.node.task)
        return f"task {shorten(harmless(task.name), 60)}" if task is not None else ""

    def _times(self) -> Line:
        node = self.node
        parts: Line = []
        if node.duration_ns is not None:
            parts.append((duration(node.duration_ns), TIME))
            own = self.own_ns()
            if own is not None and node.children:
                parts.append((f", {duration(own)} of its own", ""))
        if node.resumed:
            suspended = duration(node.suspended_ns) if node.suspended_ns else "0 ns"
            text = f", resumed {node.resumed:,} times, {suspended} suspended"
            parts.append((text, ""))
        if node.is_open:
            status = self.trace.info.status
            state = "suspended" if node.suspended_since is not None else "not ended"
            state = "running" if status == "running" and state != "suspended" else state
            parts.append((state, HANDLED))
        elif node.lost_end:
            parts.append(("its end was not recorded", HANDLED))
        return parts

    def own_ns(self) -> int | None:
        """The time that it did not spend in recorded calls; None: not known."""
        taken = working_ns(self.node)
        if taken is None or not self.found.whole:
            return None
        below = sum(working_ns(child) or 0 for child in self.node.children)
        return max(taken - below, 0)

    # ---- values ----

    def _write_values(self, screen: Screen) -> None:
        definitions = self.trace.definitions
        own = list(nearby.held_by(self.node, definitions))
        others = [
            held
            for other in nearby.neighbours(self.node)
            for held in nearby.held_by(other, definitions)
        ]
        title = ""
        for held in own:
            if held.role == "exception":
                continue
            found = nearby.matches(held, [*own, *others])
            if held.role == "result":
                self._write_value(screen, "result", held, found, 0)
                continue
            if title != _TITLES[held.role]:
                title = _TITLES[held.role]
                screen.text("")
                screen.text(title, "bold")
            width = max(cells(harmless(h.name)) for h in own if h.role == held.role)
            self._write_value(screen, harmless(held.name), held, found, min(width, 24))
        if self._values_were_off(own):
            screen.text("")
            screen.text("values were not kept here", DIM)

    def _write_fields(self, screen: Screen) -> None:
        """What a plugin said of it."""
        from kolo_c.cli.event_page import EventPage  # noqa: PLC0415 - not for calls

        most = _WHOLE if self.options.full else _TEXT_WIDTH
        EventPage(screen, self.labels, most=most).write(self.node)

    def _values_were_off(self, own: list[Held]) -> bool:
        begin = self.node.begin
        if not isinstance(begin, r.Call) or (own and own[0].role == "argument"):
            return False
        return bool(self.trace.definitions.code(begin.code).arguments)

    def _write_value(
        self, screen: Screen, name: str, held: Held, found: list[Match], width: int
    ) -> None:
        if held.role == "result":
            screen.text("")
        head = f"  {name}{' ' * (width - cells(name))} = "
        style = ""
        if held.role == "result":
            head, style = f"{name} ", "bold"
        screen.long(head, self._value(held.value), style)
        for match_line in self._match_lines(found):
            screen.wrapped(match_line, DIM, " " * min(cells(head), 8))

    def _value(self, value: object) -> str:
        width = _WHOLE if self.options.full else _VALUE_WIDTH
        text = value_text(value, self.trace.definitions, width)
        if text.endswith("…") and not self.options.full:
            self.labels.shortened = True
        return text

    def _match_lines(self, found: list[Match]) -> list[str]:
        lines = []
        for how, words in (
            (nearby.SAME_OBJECT, "the same object: "),
            (nearby.SAME_ADDRESS, "at the same address: "),
            (nearby.EQUAL, "also: "),
        ):
            places = [self._held_name(m.held) for m in found if m.how == how]
            if places:
                more = len(places) - _MATCHES_SHOWN
                text = ", ".join(places[:_MATCHES_SHOWN])
                lines.append(words + text + (f" and {more} more" if more > 0 else ""))
        return lines

    def _held_name(self, held: Held) -> str:
        what = f"{held.role} {harmless(held.name)}".strip()
        if held.node is self.node:
            return what
        return f"{what} of {self.labels.name(held.node)} ({held.node.number})"

    # ---- source ----

    def _write_caller(self, screen: Screen) -> None:
        caller = self.node.parent
        if caller is None or caller.number == UNKNOWN:
            return
        line = self.labels.site_line(self.node)
        at = f" in line {line}" if line is not None else ""
        text = ""
        if caller.code is not None:
            file = self.trace.definitions.code(caller.code).file
            text = self._sources.line(file, line)
        words = "called by " if self.node.code is not None else "within "
        screen.text("")
        screen.line(
            [
                (words, "bold"),
                (self.labels.name(caller), NAME),
                (f" ({caller.number}){at}{':  ' if text else ''}", ""),
                (text, DIM),
            ]
        )

    def _write_source(self, screen: Screen) -> None:
        if self.node.code is None:
            return
        code = self.trace.definitions.code(self.node.code)
        extent = self._sources.extent(code)
        screen.text("")
        if not extent:
            screen.text("its source was not kept", DIM)
            return
        calls = self._calls_by_line()
        raised = self.labels.raise_line(self.node)
        marked = {*calls, *([raised] if raised is not None else [])}
        most = None if self.options.full else _LINES_OF_SOURCE
        lines = self._sources.lines(code.file)
        screen.text("source", "bold")
        digits = len(str(extent[-1]))
        for number in chosen_lines(extent, marked, most):
            if not number:
                screen.text(f"    {'…':>{digits}}", DIM)
                continue
            mark = "✗" if number == raised else "▸" if number in calls else " "
            parts: Line = [
                (f"  {mark} ", ERROR if mark == "✗" else NAME),
                (f"{number:>{digits}}  ", DIM),
                (lines[number - 1], ""),
            ]
            if number in calls:
                parts.append((f"   → {self._call_list(calls[number])}", DIM))
            screen.line(parts)

    def _calls_by_line(self) -> dict[int, list[Node]]:
        found: dict[int, list[Node]] = {}
        for child in self.node.children:
            line = self.labels.site_line(child)
            if line is not None:
                found.setdefault(line, []).append(child)
        return found

    def _call_list(self, calls: list[Node]) -> str:
        shown = ", ".join(
            address(self.stream, c.number) for c in calls[:_NUMBERS_SHOWN]
        )
        more = len(calls) - _NUMBERS_SHOWN
        return shown + (f" and {more:,} more" if more > 0 else "")

    # ---- what it called, and where next ----

    def _write_calls(self, screen: Screen) -> None:
        node = self.node
        if not node.children and not self.found.unread:
            return
        limit = self.options.max_lines
        limit = _CALLS_SHOWN if limit is None else limit or None
        screen.text("")
        screen.line([("calls", "bold"), (f"  {self._below()}", DIM)])
        folds = FoldLines(self.labels, self._folding, self.found.sources)
        lines = TreeLines(screen, self.labels, folds, self.stream, base=node.level)
        rows = self._rows()
        shown = list(islice(rows, limit))
        lines.measure(shown)
        for row in shown:
            lines.row(row, below=self._hides(row))
        left = next(rows, None)
        number = self.found.unread if left is None else _first_of(left).number
        if number:
            trace = full_address(self.stream, number).partition("/")[0]
            show = offered("show", self.stream.trace)
            where = f"{show} {trace} --around {address(self.stream, number)}"
            ways = where if left is None else f"--max-lines 0, or {where}"
            lines.note(node.level + 1, f"… more: {ways}")

    def _rows(self) -> Iterator[Row]:
        deepest = self.node.level + (self.options.depth or 1)
        return (
            row
            for row in self._folding.rows(self.node.children)
            if row.level <= deepest
        )

    def _hides(self, row: Row) -> int:
        """How many nodes below a row have no line of their own."""
        deepest = self.node.level + (self.options.depth or 1)
        if isinstance(row, Fold) or row.level < deepest:
            return 0
        return self.found.below(row)

    def _below(self) -> str:
        direct = plural(len(self.node.children), "call")
        if not self.found.whole:
            return f"{direct} and more: {plural(self.found.count, 'node')} below"
        return f"{direct}, {plural(self.found.count, 'node')} below"

    def _write_ways(self, screen: Screen) -> None:
        ways = []
        show = offered("show", self.stream.trace)
        for words, other in (
            ("caller", self.node.parent),
            ("before", self.found.before),
            ("after", self.found.after),
        ):
            if other is not None and other.number != UNKNOWN:
                where = full_address(self.stream, other.number)
                ways.append(f"{words} {show} {where}")
        if self.labels.shortened and not self.options.full:
            where = full_address(self.stream, self.node.number)
            ways.append(f"whole values {show} {where} --full")
        screen.text("")
        for way in ways:
            screen.wrapped(way, DIM)


def _first_of(row: Row) -> Node:
    return row.nodes[0] if isinstance(row, Fold) else row
