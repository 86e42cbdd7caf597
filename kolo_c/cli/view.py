"""A trace on its way to the screen: which nodes, how many lines, what was cut.

Threads: one at a time. Owns: nothing; the trace stays open. Fails: TraceNotFound, and
``usage`` for options that contradict each other.
"""

from __future__ import annotations

from itertools import islice

from kolo_c.cli.choice import Options, Selection, choose_streams
from kolo_c.cli.empty import why_empty
from kolo_c.cli.fold_lines import FoldLines
from kolo_c.cli.header import header_lines
from kolo_c.cli.labels import DIM, Labels
from kolo_c.cli.screen import Screen
from kolo_c.cli.tree_lines import TreeLines, address, callers
from kolo_c.cli.units import offered, plural
from kolo_c.errors import TraceNotFound, harmless
from kolo_c.model import window
from kolo_c.model.digest import Digest
from kolo_c.model.fold import Folding
from kolo_c.model.node import UNKNOWN, Node, walk
from kolo_c.model.sieve import Sieve
from kolo_c.model.tree import TreeBuilder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from kolo_c.cli.screen import Line
    from kolo_c.model.fold import Row
    from kolo_c.store.reader import Stream, Trace

__all__ = ["FILE_LINES", "SCREEN_LINES", "Options", "View"]

SCREEN_LINES = 100
FILE_LINES = 10_000
_THREADS_SHOWN = 8
_LINES_PER_THREAD = 10
_LINES_AROUND = 40
_BLOCKS = 2
_NODES = 4_000
"""To find what folds into one line so many blocks or nodes are read, though they have
more than there is room for lines."""
_MANY_NODES = 20_000
_FEWER_NODES = 1_000
"""So few of a thread that has many, of which a screen shows next to nothing anyway."""
_MOST_IN_MEMORY = 200_000
"""Nodes of a thread that is shown whole: more are read a piece at a time."""


class Part:
    """What is shown of one thread; ``builder`` None: nothing, its turn never came."""

    def __init__(
        self,
        stream: Stream,
        builder: TreeBuilder | None,
        found: window.Window | None = None,
    ) -> None:
        self.stream = stream
        self.builder = builder
        self.window = found


class View:
    """One trace on its way to a screen."""

    def __init__(self, trace: Trace, options: Options) -> None:
        options.check()
        self.trace = trace
        self.options = options
        self.labels = Labels(trace)
        self.parts: list[Part] = []
        self._streams = choose_streams(trace, options.thread)
        self._selection = Selection(trace, options, self.labels)
        self._folding = Folding(
            trace.definitions,
            repeats=options.folds,
            # A path to what is looked for may go through them.
            imports=options.folds and not options.imports and not options.searches,
        )

    def write(self, file: TextIO) -> None:
        """Write header and trees."""
        screen = Screen(file, self.options.width, self.options.colour)
        limit = self._limit(SCREEN_LINES if screen.terminal else FILE_LINES)
        if any(stream.last_node for stream in self.trace.streams):
            self._read(limit)
        digest = Digest(self.trace)
        write_header(screen, header_lines(self.trace, self._raised(), digest))
        if not any(stream.last_node for stream in self.trace.streams):
            self._write_why_empty(screen)
            return
        shortened = False
        for part in self._parts_with_something():
            screen.text("")
            screen.line(self._headline(part.stream))
            if part.builder is None and part.window is None:
                screen.text(f"… cut: --thread {part.stream.ordinal} shows it", DIM)
                continue
            lines = self._lines(screen, part)
            written = self._write_part(lines, screen, part, self._share(limit))
            limit = None if limit is None else max(limit - written, 0)
            shortened = shortened or lines.folded
        if shortened or self.labels.shortened:
            self._write_ways(screen, folded=shortened)

    def write_json(self, file: TextIO) -> None:
        """Write header and nodes, node by node."""
        from kolo_c.cli.nodes_json import write_nodes  # noqa: PLC0415 - only here

        limit = self._limit(0)
        self._read(limit)
        write_nodes(file, self.labels, self._nodes(limit), Digest(self.trace))

    # ---- reading ----

    def _limit(self, default: int) -> int | None:
        lines = self.options.tail or self.options.max_lines
        if lines is None:
            lines = _LINES_AROUND if self.options.around is not None else default
        return lines or None

    def _read(self, limit: int | None) -> None:
        if self.options.around is not None:
            self._read_around(self.options.around, limit or _LINES_AROUND)
            return
        for stream in self._streams:
            # The first threads get a few lines even where an earlier one took all.
            if limit == 0 and len(self.parts) >= _THREADS_SHOWN:
                self.parts.append(Part(stream, None))
                continue
            part, taken = self._read_one(stream, self._share(limit))
            self.parts.append(part)
            limit = None if limit is None else max(limit - taken, 0)
        builders = [part.builder for part in self.parts if part.builder is not None]
        window.join_threads(builders)
        for builder in builders:
            self.labels.note_caught(builder.sources)
        if self._selection.chooses_roots and not any(b.shown for b in builders):
            error = self._selection.nothing()
            if error is not None:
                raise error

    def _read_one(self, stream: Stream, share: int | None) -> tuple[Part, int]:
        """A thread's part, and how many of its lines may be shown."""
        if self.options.tail is not None:
            ahead = _look_ahead(stream)
            found = window.tail(stream, share or FILE_LINES, self._folding, ahead)
            return Part(stream, found.builder, found), len(found.rows)
        if self._is_huge(stream, share):
            return Part(stream, TreeBuilder(stream)), 0
        selection = self._selection
        builder = Sieve(
            stream, max_level=self.options.depth, **selection.arguments(stream)
        )
        builder.has_root = (
            selection.root_finder(builder) if selection.chooses_roots else None
        )
        taken = 0

        def enough() -> bool:
            nonlocal taken
            if share is None or builder.shown < share:
                return False
            rows = islice(self._folding.rows(builder.roots), share + 1)
            taken = sum(1 for _ in rows)
            return taken > share or _has_looked_ahead(builder)

        most = None
        if share is not None and not self.options.searches:
            most = max(_look_ahead(stream), share)
        window.read_front(builder, enough, most)
        builder.settle()
        return Part(stream, builder), taken or builder.shown

    def _read_around(self, number: int, count: int) -> None:
        if len(self._streams) != 1:
            self._streams = self._streams[:1]
        (stream,) = self._streams
        found = window.around(stream, number, count)
        if found is None:
            raise no_such_node(stream, number)
        self.parts.append(Part(stream, found.builder, found))
        self.labels.note_caught(found.builder.sources)

    def _is_huge(self, stream: Stream, share: int | None) -> bool:
        return (
            share is None
            and stream.last_node > _MOST_IN_MEMORY
            and self.options.depth is None
            and not self.options.searches
        )

    def _share(self, left: int | None) -> int | None:
        """The lines that a thread may take when ``left`` are left."""
        if left is None:
            return None
        if self.options.tail:
            return self.options.tail
        if self.options.max_lines is not None or not self.parts:
            return left or 1
        return max(left, _LINES_PER_THREAD)

    # ---- writing ----

    def _lines(self, screen: Screen, part: Part) -> TreeLines:
        sources = part.builder.sources if part.builder is not None else []
        whole = not (self._selection.chooses_worth and part.builder is not None
                     and part.builder.hid_blocks)  # fmt: skip
        folds = FoldLines(self.labels, self._folding, sources, counts=whole)
        return TreeLines(screen, self.labels, folds, part.stream)

    def _write_part(
        self, lines: TreeLines, screen: Screen, part: Part, share: int | None
    ) -> int:
        """Write a thread; how many lines it took."""
        builder = part.builder
        assert builder is not None
        if part.window is not None:
            return self._write_window(lines, part.window)
        if not builder.next_block and not builder.finished:
            return self._write_pieces(lines, part.stream)
        rows = self._folding.rows(builder.roots)
        shown = list(islice(rows, share))
        lines.measure(shown)
        for row in shown:
            lines.row(row)
            if isinstance(row, Node):
                lines.hidden(row)
        rest = next(rows, None)
        if rest is not None:
            number = rest.number if isinstance(rest, Node) else rest.nodes[0].number
            self._write_rest(lines, part.stream, number)
        elif not shown:
            lines.note(1, self._nothing())
        elif not builder.finished:
            self._write_rest(lines, part.stream, builder.first_unread)
        return len(shown)

    def _parts_with_something(self) -> list[Part]:
        """What is looked for may be in one thread of many."""
        if not self.options.searches:
            return self.parts
        found = [part for part in self.parts if part.builder and part.builder.shown]
        return found or self.parts[:1]

    def _write_window(self, lines: TreeLines, found: window.Window) -> int:
        rows = found.rows
        lines.measure([*found.callers, *rows])
        first = _number(rows[0]) if rows else 0
        above = found.callers
        if above or first > 1:
            callers(lines, above, rows[0] if rows else None)
        lines.rows(rows, self.options.around)
        stream = found.builder.stream
        last = max((_last(row) for row in rows), default=0)
        if last < stream.last_node and self.options.tail is None:
            count = plural(stream.last_node - last, "node")
            goes_on = address(stream, last + 1)
            lines.note(
                1, f"… {count} more: --around {goes_on} goes on, --tail 100 ends"
            )
        return len(rows)

    def _write_pieces(self, lines: TreeLines, stream: Stream) -> int:
        written = 0
        for builder in window.pieces(stream):
            self.labels.note_caught(builder.sources)
            lines.folds.add(builder.sources)
            rows = [
                row
                for row in self._folding.rows(builder.roots)
                if not isinstance(row, Node) or row.begin is not None or row.continues
            ]
            if not written:
                lines.measure(rows)
            lines.rows(rows)
            written += len(rows)
        return written

    def _write_rest(self, lines: TreeLines, stream: Stream, number: int) -> None:
        if self.options.searches:
            lines.note(1, "… more may follow: --max-lines 0 shows all of it")
            return
        more = "more"
        if number > 0:
            count = stream.last_node - number + 1
            more = f"{count:,} more of {stream.last_node:,} nodes"
        lines.note(
            1,
            f"… {more}: --max-lines 0 shows all, --depth and --function less, "
            f"--tail 100 the end, --around {address(stream, max(number, 1))} goes on",
        )

    def _write_ways(self, screen: Screen, *, folded: bool) -> None:
        """How to see what was shortened."""
        trace = harmless(self.trace.id)[-6:]
        show = offered("show", self.trace)
        ways = [f"{show} {trace}/N shows all of call N"]
        if folded:
            ways.append("--no-fold opens what is folded")
        screen.text("")
        screen.wrapped("; ".join(ways), DIM)

    def _write_why_empty(self, screen: Screen) -> None:
        screen.text("")
        for reason in why_empty(self.trace):
            screen.wrapped(reason)

    def _headline(self, stream: Stream) -> Line:
        nodes = plural(stream.last_node, "node")
        name = harmless(stream.name)
        return [(f"thread {stream.ordinal} ", DIM), (name, "bold"), (f"  {nodes}", DIM)]

    def _nothing(self) -> str:
        options = self.options
        named = options.function is not None
        if options.errors:
            return f"no exception {'left a call of it' if named else 'was raised'}"
        if options.min_ns is not None:
            return f"no call {'of it ' if named else ''}took so long"
        if options.task is not None:
            return f"no call {'of it in' if named else 'of'} this task"
        return "no call is called so" if named else "no call"

    def _raised(self) -> str:
        """How many exceptions there were, as far as the blocks were read."""
        count = 0
        whole = len(self.parts) == len(self.trace.streams)
        for part in self.parts:
            builder = part.builder
            if builder is None:
                whole = False
                continue
            in_full = builder.finished and part.window is None
            whole = whole and in_full and not builder.hid_blocks
            count += builder.exceptions
        if not count and not whole:
            return ""
        more = "" if whole else "+"
        return f"{count:,}{more} exception{'' if count == 1 and not more else 's'}"

    def _nodes(self, limit: int | None) -> Iterator[tuple[Stream, Node]]:
        """The nodes for programs: nothing is folded there."""
        for part in self.parts:
            builder = part.builder
            if builder is None:
                continue
            nodes: Iterator[Node]
            if part.window is not None:
                nodes = iter(part.window.nodes())
            elif not builder.next_block and not builder.finished:
                nodes = _nodes_in_pieces(part.stream)
            else:
                nodes = walk(builder.roots)
            for node in islice(nodes, limit):
                yield part.stream, node


def write_header(screen: Screen, lines: list[Line]) -> None:
    """Write what stands above a tree; only its first line may be cut."""
    screen.line(lines[0])
    for line in lines[1:]:
        screen.wrapped("".join(text for text, _ in line), line[0][1])


def no_such_node(stream: Stream, number: int) -> TraceNotFound:
    """The error for a number that no node has."""
    return TraceNotFound(
        f"{stream.trace.id} has no node {stream.ordinal}.{number}",
        f"The nodes of thread {stream.ordinal} go from 1 to {stream.last_node:,}."
        if stream.last_node
        else f"Thread {stream.ordinal} has none.",
    )


def _has_looked_ahead(builder: TreeBuilder) -> bool:
    return builder.decoded >= _BLOCKS or builder.shown >= _look_ahead(builder.stream)


def _look_ahead(stream: Stream) -> int:
    return _NODES if stream.last_node <= _MANY_NODES else _FEWER_NODES


def _nodes_in_pieces(stream: Stream) -> Iterator[Node]:
    for builder in window.pieces(stream):
        for node in walk(builder.roots):
            if node.begin is not None or node.continues is not None:
                yield node


def _number(row: Row) -> int:
    return row.number if isinstance(row, Node) else row.nodes[0].number


def _last(row: Row) -> int:
    if isinstance(row, Node):
        return row.number
    return max((node.number for node in walk(row.nodes)), default=UNKNOWN)
