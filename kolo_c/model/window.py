"""What of a stream is read for what a person looks at.

The beginning, the end, what surrounds a node, or what a search finds: each decodes the
blocks that it needs and takes the ends of calls from the headers of the others.

Threads: one at a time. Owns: nothing. Fails: StoreError from the reader; TraceNotFound
for a node that is not there.
"""

from __future__ import annotations

from kolo_c.model.ends import fetch_begin
from kolo_c.model.node import UNKNOWN, Node, walk
from kolo_c.model.tree import TreeBuilder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kolo_c.model.fold import Folding, Row
    from kolo_c.store.reader import Stream

_BLOCKS_AT_ONCE = 8
_NODES_AT_END = 1_000


class Window:
    """A part of a stream's tree: rows, and the callers of the first that stand above
    it."""

    def __init__(
        self, builder: TreeBuilder, callers: list[Node], rows: list[Row]
    ) -> None:
        self.builder = builder
        self.callers = callers
        self.rows = rows

    def nodes(self) -> Iterator[Node]:
        """The same without folds."""
        yield from self.callers
        for row in self.rows:
            if isinstance(row, Node):
                yield row
            else:
                yield from walk(row.nodes)


def read_front(
    builder: TreeBuilder, enough: Callable[[], bool], most: int | None = None
) -> None:
    """Build from the next block on until it is ``enough``, or the stream ends. Who says
    that ``most`` nodes are enough gets no more of the block that has them.

    To find that out may take as long as reading a block, so it is asked less and less
    often.
    """
    ask_at = 1
    while not builder.finished:
        builder.step(most)
        if most is not None and builder.shown >= most:
            enough()
            break
        if builder.decoded >= ask_at:
            if enough():
                break
            ask_at = builder.decoded + max(builder.decoded // 2, 1)
    builder.fill_ends()


def around(stream: Stream, number: int, count: int) -> Window | None:
    """The ``count`` nodes around one, in the order of the tree; None: it is not
    there."""
    index = stream.find_block(number)
    if index is None:
        return None
    before = count // 2
    first = max(min(number - before, stream.last_node - count + 1), 1)
    builder = TreeBuilder(stream)
    most = builder.start_within(first, count)
    while not builder.finished and builder.shown < most:
        builder.step(most)
    builder.fill_ends()
    nodes: list[Row] = list(walk(builder.roots))
    at = next((i for i, n in enumerate(nodes) if _is(n, number)), None)
    if at is None:
        return None
    start = max(min(at - before, len(nodes) - count), 0)
    return _window(builder, nodes, start, start + count)


def tail(stream: Stream, count: int, folding: Folding, max_nodes: int) -> Window:
    """The last ``count`` rows, or those of the last ``max_nodes`` nodes."""
    nodes = min(max(count, _NODES_AT_END), max_nodes)
    while True:
        first = max(stream.last_node - max(nodes, count) + 1, 1)
        builder = TreeBuilder(stream)
        if first > 1:
            builder.start_within(first)
        while not builder.finished:
            builder.step()
        builder.fill_ends()
        rows = list(folding.rows(builder.roots))
        if first == 1 or nodes >= max_nodes or _new(rows) >= count:
            return _window(builder, rows, max(len(rows) - count, 0), len(rows))
        nodes *= 4


def join_threads(builders: list[TreeBuilder]) -> None:
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


def pieces(stream: Stream) -> Iterator[TreeBuilder]:
    """The whole stream, a few blocks at a time: a tree of a huge one fits no memory.

    Calls that began in an earlier piece stand in, without a beginning.
    """
    for first in range(0, len(stream.blocks), _BLOCKS_AT_ONCE):
        builder = TreeBuilder(stream)
        builder.start_at(first)
        while not builder.finished and builder.next_block < first + _BLOCKS_AT_ONCE:
            builder.step()
        builder.fill_ends()
        yield builder


def _window(builder: TreeBuilder, rows: list[Row], start: int, end: int) -> Window:
    shown = rows[start:end]
    callers: list[Node] = []
    if shown:
        first = shown[0] if isinstance(shown[0], Node) else shown[0].nodes[0]
        above = first.parent
        while above is not None:
            callers.append(above)
            above = above.parent
    callers.reverse()
    for row in (*callers, *shown):
        if isinstance(row, Node) and row.begin is None and row.number != UNKNOWN:
            fetch_begin(builder.stream, row)
    return Window(builder, callers, shown)


def _is(row: Row, number: int) -> bool:
    return isinstance(row, Node) and row.number == number and row.continues is None


def _new(rows: list[Row]) -> int:
    """How many rows are not there only because something below them is."""
    return sum(not isinstance(row, Node) or row.begin is not None for row in rows)
