"""The end of a stream as a tree, without reading what comes before.

A few blocks are read from the end backwards, more of them until what was asked for is
seen whole, and never more than allowed. Calls that began earlier stand in the tree
without their beginnings.

Threads: one at a time. Owns: the nodes. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.model.exceptions import flight
from kolo_c.model.node import walk
from kolo_c.model.tree import TreeBuilder
from kolo_c.store.values import Raised
from kolo_c.wire import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kolo_c.model.node import Node
    from kolo_c.store.reader import Stream

FIRST_BLOCKS = 4


class Tail:
    """The tree of the blocks of a stream from one to another."""

    def __init__(self, stream: Stream, first: int, last: int) -> None:
        self.stream = stream
        self.first = max(first, 0)
        self.last = last
        self.builder = TreeBuilder(stream)
        if last >= 0:
            self.builder.start_at(self.first)
        while self.builder.next_block <= last:
            self.builder.step()

    @property
    def whole(self) -> bool:
        """Whether there is nothing before it."""
        return self.first == 0

    def nodes(self) -> list[Node]:
        """All of them, parents first."""
        return list(walk(self.builder.roots))

    def calls(self) -> list[Node]:
        """Those that are calls and have ended, in the order that they did."""
        ended = [
            node
            for node in self.nodes()
            if node.end_ns is not None
            and (node.code is not None or node.kind == Kind.CALL)
        ]
        return sorted(ended, key=lambda node: (node.end_ns or 0, -node.level))


def read_tail(
    stream: Stream,
    most: int,
    enough: Callable[[Tail], bool],
    last: int | None = None,
    first: int = FIRST_BLOCKS,
) -> Tail:
    """The shortest end of ``stream`` that is ``enough``, of ``first`` to ``most``
    blocks; with ``last`` it ends there.
    """
    last = len(stream.blocks) - 1 if last is None else last
    count = min(first, most)
    while True:
        tail = Tail(stream, last - count + 1, last)
        if tail.whole or count >= most or enough(tail):
            return tail
        count = min(count * 4, most)


def find_failure(
    stream: Stream,
    wanted: Callable[[Node], bool],
    most: int,
    complete: Callable[[Node], bool],
) -> tuple[Tail, Node] | None:
    """The last outermost call that an exception left and that is ``wanted``, in an end
    of the stream that has, where ``most`` allows, the call that the exception is from:
    it is ``complete``.
    """

    def enough(tail: Tail) -> bool:
        node = _outermost(tail, wanted)
        return node is not None and _is_whole(node) and complete(node)

    tail = read_tail(stream, FIRST_BLOCKS, lambda _: True)
    found = _outermost(tail, wanted)
    if found is None:
        # What exit handlers recorded may be long. The headers know where it ended.
        last = _block_of_raise(stream)
        if last is None:
            return None
        tail = read_tail(stream, most, enough, last)
    elif not (tail.whole or enough(tail)):
        tail = read_tail(stream, most, enough, first=FIRST_BLOCKS * 4)
    found = _outermost(tail, wanted)
    return None if found is None else (tail, found)


def same_exception(node: Node, type_: int | None, address: int) -> bool:
    """Whether the exception that left ``node`` was at ``address``, if that is known."""
    found = node.exception()
    if not isinstance(found, Raised):
        return found is None
    return found.address == address and type_ in (None, found.type)


def _outermost(tail: Tail, wanted: Callable[[Node], bool]) -> Node | None:
    for node in reversed(tail.builder.roots):
        if node.left_by_exception and wanted(node):
            return node
    return None


def _is_whole(node: Node) -> bool:
    """Whether the call that the exception came from was seen to do something."""
    source = flight(node).raised_in
    return source.begin is not None or bool(source.children) or source.went_on


def _block_of_raise(stream: Stream) -> int | None:
    """The last block in which an exception ended the outermost call, from headers."""
    for index in range(len(stream.blocks) - 1, 0, -1):
        block = stream.blocks[index]
        if block.least_depth:
            continue
        outermost = stream.opens_at(index)[:1]
        for close in block.closes():
            if close.kind == Kind.RAISE and [close.node] == outermost:
                return index
    return None
