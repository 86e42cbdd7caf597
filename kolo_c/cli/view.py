"""A trace on its way to the screen: which nodes, how many lines, what was cut.

Threads: one at a time. Owns: nothing; the trace stays open. Fails: TraceNotFound.
"""

from __future__ import annotations

import fnmatch
import json
from dataclasses import dataclass
from itertools import islice
from typing import TextIO

from kolo_c.cli.empty import why_empty
from kolo_c.cli.header import header_json, header_lines
from kolo_c.cli.labels import ARGUMENTS, DIM, TIME, Labels
from kolo_c.cli.nodes_json import node_json
from kolo_c.cli.screen import Line, Screen, cut
from kolo_c.cli.units import plural
from kolo_c.errors import TraceNotFound, harmless
from kolo_c.model.ends import fetch_end
from kolo_c.model.node import Node, walk
from kolo_c.model.tree import TreeBuilder, Wanted, build, build_below
from kolo_c.store import records as r
from kolo_c.store.reader import Stream, Trace
from kolo_c.store.text import value_text

SCREEN_LINES = 100
FILE_LINES = 10_000
_DEEPEST_INDENT = 30
_TIME_WIDTH = 10
_WIDEST_PLACE = 32
_THREADS_SHOWN = 8
_LINES_PER_THREAD = 10
_FEWEST_OF_ARGUMENTS = 12


@dataclass(frozen=True)
class Options:
    """What to show."""

    depth: int | None = None
    function: str | None = None
    thread: str | None = None
    max_lines: int | None = None
    """None: as many as fit the file; 0: all."""
    width: int | None = None


class View:
    """One trace on its way to a screen."""

    def __init__(self, trace: Trace, options: Options) -> None:
        self.trace = trace
        self.options = options
        self.labels = Labels(trace)
        self.builders: list[tuple[Stream, TreeBuilder | None]] = []
        self._node: int | None = None
        self._place_width = 0
        self._streams = _choose(trace, options.thread)

    def start_at(self, thread: int, node: int) -> None:
        """Show node ``node`` and what is below it alone."""
        self._streams = [self.trace.stream(thread)]
        self._node = node

    def write(self, file: TextIO) -> None:
        """Write header and trees."""
        screen = Screen(file, self.options.width)
        limit = self._limit(SCREEN_LINES if screen.terminal else FILE_LINES)
        self._build(limit)
        for line in header_lines(self.trace, self._raised()):
            screen.line(line)
        if not any(stream.last_node for stream in self.trace.streams):
            screen.text("")
            for reason in why_empty(self.trace):
                for text in _wrapped(reason, screen.width):
                    screen.text(text)
            return
        for stream, builder in self.builders:
            screen.text("")
            screen.line(self._headline(stream))
            if builder is None:
                screen.text(f"… cut: --thread {stream.ordinal} shows it", DIM)
            else:
                self._write_tree(screen, builder, self._share(limit))
                limit = self._left(limit, builder)

    def write_json(self, file: TextIO) -> None:
        """Write header and nodes, node by node."""
        self._build(self._limit(0))
        header = json.dumps(header_json(self.trace))
        file.write(f'{{"trace": {header},\n"nodes": [')
        separator = "\n"
        for stream, builder in self.builders:
            for node in walk(builder.roots) if builder is not None else ():
                fetch_end(stream, node)
                found = {"thread": stream.ordinal, **node_json(node, self.labels)}
                file.write(separator + json.dumps(found))
                separator = ",\n"
        file.write("\n]}\n")

    def _limit(self, default: int) -> int | None:
        lines = default if self.options.max_lines is None else self.options.max_lines
        return lines or None

    def _build(self, limit: int | None) -> None:
        for stream in self._streams:
            # The first threads get a few lines even where an earlier one took all.
            if limit == 0 and len(self.builders) >= _THREADS_SHOWN:
                self.builders.append((stream, None))
                continue
            builder = self._build_one(stream, self._share(limit))
            self.builders.append((stream, builder))
            limit = self._left(limit, builder)
        _join_threads([builder for _, builder in self.builders if builder is not None])

    def _share(self, left: int | None) -> int | None:
        """The lines that a thread may take when ``left`` are left."""
        if left is None or self.options.max_lines is not None or not self.builders:
            return left if left != 0 else 1
        return max(left, _LINES_PER_THREAD)

    def _left(self, left: int | None, builder: TreeBuilder) -> int | None:
        return None if left is None else max(left - builder.shown, 0)

    def _build_one(self, stream: Stream, limit: int | None) -> TreeBuilder:
        if self._node is not None:
            below = build_below(stream, self._node, max_nodes=limit)
            if below is None:
                raise TraceNotFound(
                    f"{self.trace.id} has no node {stream.ordinal}.{self._node}",
                    f"The nodes of thread {stream.ordinal} go from 1 to "
                    f"{stream.last_node}.",
                )
            return below
        return build(
            stream,
            max_nodes=None if limit is None else limit + 1,
            max_level=self.options.depth,
            wanted=self._wanted(),
        )

    def _wanted(self) -> Wanted | None:
        pattern = self.options.function
        if pattern is None:
            return None
        names: dict[str, bool] = {}

        def wanted(node: Node) -> bool:
            if node.continues is not None or node.begin is None:
                return False
            name = self.labels.name(node)
            if name not in names:
                short = name.rpartition(".")[2]
                names[name] = pattern in (name, short) or (
                    fnmatch.fnmatchcase(name, pattern)
                )
            return names[name]

        return wanted

    def _raised(self) -> str:
        """How many exceptions there were, as far as the blocks were read."""
        count = 0
        whole = True
        for _, builder in self.builders:
            if builder is None:
                whole = False
                continue
            whole = whole and builder.finished and not builder.hid_blocks
            count += builder.exceptions
        if not count and not whole:
            return ""
        more = "" if whole and len(self.builders) == len(self.trace.streams) else "+"
        return f"{count:,}{more} exception{'' if count == 1 and not more else 's'}"

    def _headline(self, stream: Stream) -> Line:
        nodes = plural(stream.last_node, "node")
        name = harmless(stream.name)
        return [(f"thread {stream.ordinal} ", DIM), (name, "bold"), (f"  {nodes}", DIM)]

    def _write_tree(
        self, screen: Screen, builder: TreeBuilder, left: int | None
    ) -> None:
        stream = builder.stream
        digits = max(len(str(stream.last_node)), 3)
        written = 0
        shown = islice(walk(builder.roots), left)
        places = (len(self.labels.place(node)) for node in shown)
        self._place_width = max(places, default=0)
        for node in walk(builder.roots):
            if left is not None and written >= left:
                self._write_rest(screen, stream, node.number, digits)
                return
            fetch_end(stream, node)
            screen.line(self._node_line(node, digits, screen.width))
            written += 1
            if self._node == node.number and node.level == 1:
                self._write_details(screen, node, digits)
            if node.hidden and not node.children:
                indent = " " * (digits + 2 + 2 * min(node.level, _DEEPEST_INDENT))
                below = plural(node.hidden, "node")
                address = self._address(stream, node.number)
                screen.text(f"{indent}… {below} below: kolo-c show {address}", DIM)
        if not written:
            screen.text(f"{' ' * digits}  no call is called so", DIM)
        elif not builder.finished and self._node is None:
            first = stream.blocks[builder.next_block].first_node
            self._write_rest(screen, stream, first, digits)

    def _write_rest(
        self, screen: Screen, stream: Stream, number: int, digits: int
    ) -> None:
        more = f"{stream.last_node - number + 1:,} more of {stream.last_node:,} nodes"
        if number <= 0 or self.options.function or self._node is not None:
            more = "more"
        address = self._address(stream, max(number, 1))
        screen.text(
            f"{' ' * digits}  … {more}: --max-lines 0 shows all, --depth and "
            f"--function less, kolo-c show {address} one",
            DIM,
        )

    def _address(self, stream: Stream, number: int) -> str:
        node = f"{number}" if stream.ordinal == 1 else f"{stream.ordinal}.{number}"
        return f"{harmless(self.trace.id)[-6:]}/{node}"

    def _node_line(self, node: Node, digits: int, width: int | None) -> Line:
        number = str(node.number) if node.number else ""
        indent = "  " * min(node.level - 1, _DEEPEST_INDENT)
        if node.level - 1 > _DEEPEST_INDENT:
            indent += f"[{node.level}] "
        left: Line = [
            (f"{number:>{digits}}  ", DIM),
            (indent, ""),
            *self.labels.line(node),
        ]
        time = self.labels.time(node)
        place = self.labels.place(node)
        if width is None:
            return [*left, (f"  {time}" if time else "", TIME), (f"  {place}", DIM)]
        place_width = min(self._place_width, _WIDEST_PLACE, width // 4)
        if len(place) > place_width:
            place = "…" + place[-(place_width - 1) :]
        room = width - _TIME_WIDTH - place_width - 4
        left = cut(_spare_outcome(left, room), max(room, 20), "…")
        gap = " " * max(room - sum(len(text) for text, _ in left), 0)
        right = f"{time:>{_TIME_WIDTH}}"
        return [*left, (gap + "  ", ""), (right, TIME), (f"  {place}", DIM)]

    def _write_details(self, screen: Screen, node: Node, digits: int) -> None:
        """Arguments and locals, one a line, where a single node was asked for."""
        if node.code is None:
            return
        code = self.trace.definitions.code(node.code)
        rows: list[tuple[str, str, object]] = []
        if isinstance(node.begin, r.Call):
            pairs = zip(code.arguments, node.begin.arguments, strict=False)
            rows.extend(("argument", name, value) for name, value in pairs)
        if isinstance(node.end, (r.Return, r.Raise)):
            raised = isinstance(node.end, r.Raise)
            names = code.raise_names if raised else code.locals
            pairs = zip(names, node.end.locals, strict=False)
            rows.extend(("local", name, value) for name, value in pairs)
        site = self.labels.site_line(node)
        if site is not None:
            rows.append(("called in", f"line {site}", None))
        margin = " " * (digits + 6)
        for what, name, value in rows:
            text = "" if what == "called in" else f" = {self._long(value)}"
            screen.line([(f"{margin}{what} ", DIM), (harmless(name) + text, "")])

    def _long(self, value: object) -> str:
        return value_text(value, self.trace.definitions, 400)


def _spare_outcome(parts: Line, room: int) -> Line:
    """``parts``, the arguments shortened so that what came of the call has room."""
    over = sum(len(text) for text, _ in parts) - room
    if over <= 0:
        return parts
    spared: Line = []
    for text, style in parts:
        if style == ARGUMENTS and over > 0:
            keep = max(len(text) - over - 2, _FEWEST_OF_ARGUMENTS)
            if keep < len(text):
                text = text[:keep] + "…)"
        spared.append((text, style))
    return spared


def _choose(trace: Trace, wanted: str | None) -> list[Stream]:
    if wanted is None:
        return trace.streams
    if wanted.isdigit():
        return [trace.stream(int(wanted))]
    found = [stream for stream in trace.streams if stream.name == wanted]
    if found:
        return found
    names = ", ".join(harmless(stream.name) for stream in trace.streams)
    raise TraceNotFound(
        f"{trace.id} has no thread named '{harmless(wanted)}'", f"It has: {names}"
    )


def _join_threads(builders: list[TreeBuilder]) -> None:
    """Let calls that went on in another thread have the end that they had there."""
    by_number = {builder.stream.number: builder for builder in builders}
    for builder in builders:
        for thread, number, stand_in in builder.foreign:
            home = by_number.get(thread)
            node = home.nodes.get(number) if home is not None else None
            if node is not None and node.is_open and not stand_in.is_open:
                node.end, node.end_kind = stand_in.end, stand_in.end_kind
                node.end_ns = stand_in.end_ns
                node.suspended_since = None
        for record in builder.foreign_handled:
            home = by_number.get(record.thread or 0)
            node = home.nodes.get(record.raised) if home is not None else None
            if node is not None:
                node.handled = record.exception


def _wrapped(text: str, width: int | None) -> list[str]:
    import textwrap  # noqa: PLC0415 - only for a trace without anything in it

    return textwrap.wrap(text, width or 88) or [""]
