"""One node with what stands next to it: callers, siblings, and what is below.

Only the blocks that have its beginning and its end are read, and a few between them; of
a call with millions below, what was not read is counted from the numbers.

Threads: one at a time. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.model.ends import end_block, fetch_begin, fetch_end, last_within
from kolo_c.model.node import UNKNOWN, Node, walk
from kolo_c.model.tree import TreeBuilder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.store.reader import Stream

_MOST_BLOCKS = 3
_MOST_NODES = 4_000


class CloseUp:
    """What was found of a node."""

    def __init__(self, stream: Stream, node: Node, builder: TreeBuilder) -> None:
        self.stream = stream
        self.node = node
        self.sources = builder.sources
        """The calls that were read in which an exception was raised."""
        self.before: Node | None = None
        self.after: Node | None = None
        self.whole = not node.running
        """Whether everything below it was read."""
        self.count = sum(1 for _ in walk(node.children))
        """Nodes below it, as far as that is known."""
        self.unread = 0
        """The first number below it that was not read; 0: all were."""

    def below(self, node: Node) -> int:
        """How many nodes were read below another."""
        return node.hidden + sum(1 for _ in walk(node.children))


def close_up(stream: Stream, number: int) -> CloseUp | None:
    """Look at node ``number``; None: there is none."""
    index = stream.find_block(number)
    if index is None:
        return None
    builder = _build(stream, number, index, index)
    node = builder.nodes.get(number) or _leaf(builder, number)
    if node is None:
        return None
    if index and node.parent is not None and node.parent.children[0] is node:
        builder = _build(stream, number, index - 1, index)
        node = builder.nodes.get(number) or _leaf(builder, number) or node
    found = CloseUp(stream, node, builder)
    _complete(stream, node)
    _find_siblings(found)
    if not found.whole:
        _count_unread(found, builder)
    return found


def _build(stream: Stream, number: int, first: int, index: int) -> TreeBuilder:
    """Build from block ``first`` on, until the node that began in block ``index`` has
    ended or enough of it was read."""
    builder = TreeBuilder(stream)
    builder.start_at(first)
    while not builder.finished:
        builder.step()
        read = builder.next_block - index
        if read < 1:
            continue
        node = builder.nodes.get(number)
        if node is None or not (node.running or node.suspended_since is not None):
            break
        if read >= _MOST_BLOCKS or builder.shown > _MOST_NODES:
            break
    builder.fill_ends()
    return builder


def _leaf(builder: TreeBuilder, number: int) -> Node | None:
    """A note or a line of the log: nothing is ever looked up under its number."""
    for node in walk(builder.roots):
        if node.number == number and node.continues is None:
            return node
    return None


def _complete(stream: Stream, node: Node) -> None:
    """Get the first and last records of a node, of what is next to it, and of its
    callers as far as its exception went."""
    for near in (node, *node.children):
        fetch_end(stream, near)
    above = node.parent
    while above is not None:
        if above.begin is None and above.number != UNKNOWN:
            fetch_begin(stream, above)
        if above is node.parent or above.left_by_exception:
            fetch_end(stream, above)
        above = above.parent


def _find_siblings(found: CloseUp) -> None:
    node = found.node
    siblings = node.parent.children if node.parent is not None else []
    at = next((i for i, other in enumerate(siblings) if other is node), None)
    if at is None:
        return
    if at:
        found.before = siblings[at - 1]
    if at + 1 < len(siblings):
        found.after = siblings[at + 1]
    elif node.end_sequence is not None:
        found.after = _next_sibling(found.stream, node)


def _next_sibling(stream: Stream, node: Node) -> Node | None:
    """What its caller called next, from the block in which it ended."""
    index = end_block(stream, node)
    if index is None:
        return None
    builder = TreeBuilder(stream)
    builder.start_at(index)
    builder.step()
    parent = node.parent.number if node.parent is not None else None
    for other in walk(builder.roots):
        above = other.parent.number if other.parent is not None else None
        if other.number > node.number and above == parent and other.begin is not None:
            return other
    return None


def _count_unread(found: CloseUp, builder: TreeBuilder) -> None:
    node = found.node
    blocks = found.stream.blocks
    if builder.finished:
        found.whole = not node.is_open
        return
    found.unread = blocks[builder.next_block].first_node
    if node.resumed or node.suspended_since is not None:
        return  # others ran between
    last = last_within(found.stream, node)
    if not last and node.is_open:
        last = found.stream.last_node
    found.count = max(last - node.number, found.count)
    if last and last < found.unread:
        found.unread = 0
