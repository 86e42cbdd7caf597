"""A request or test that failed, though no exception left it: which one it was.

Frameworks and test runners take up what comes out of a view or a test, and go on; so
the exception is looked for that got farthest out of recorded code, the last of those.

Threads: one at a time. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.model.exceptions import flight
from kolo_c.model.tail import read_tail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kolo_c.model.node import Node
    from kolo_c.model.tail import Tail
    from kolo_c.store.reader import Trace

_MOST_STREAMS = 16


def find_failed(
    trace: Trace, wanted: Callable[[Node], bool], most: int
) -> tuple[Tail, Node] | None:
    """The outermost call that the exception left, in the ends of the streams, ``most``
    blocks of each at most; None: no recorded call was left by one that is wanted."""
    best: tuple[tuple[int, int], Tail, Node] | None = None
    for stream in trace.streams[:_MOST_STREAMS]:
        tail = read_tail(stream, most, lambda tail: False)
        for node in tail.calls():
            if not node.left_by_exception or not wanted(node):
                continue
            if _calls_of(flight(node).through)[-1] is not node:
                continue  # it went on to a caller
            rank = (-_depth(node), node.end_ns or 0)
            if best is None or rank > best[0]:
                best = rank, tail, node
    return None if best is None else best[1:]


def _calls_of(nodes: tuple[Node, ...]) -> list[Node]:
    """Without what plugins saw on the way."""
    return [node for node in nodes if node.plugin is None] or list(nodes)


def _depth(node: Node) -> int:
    """How many recorded calls it was below."""
    depth = 0
    above = node.parent
    while above is not None:
        depth += above.code is not None
        above = above.parent
    return depth
