"""The tree of a stream, or of one node, in one go.

Threads: one at a time. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.model.tree import TreeBuilder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.model.forest import Wanted
    from kolo_c.store.reader import Stream


def build(
    stream: Stream,
    *,
    max_nodes: int | None = None,
    max_level: int | None = None,
    wanted: Wanted | None = None,
) -> TreeBuilder:
    """Build the tree of ``stream``, at most so far that it has ``max_nodes``.

    The ends of calls that are open where it stops come from the headers of later
    blocks, which are not decoded for it.
    """
    builder = TreeBuilder(stream, max_level=max_level, wanted=wanted)
    while not builder.finished and (max_nodes is None or builder.shown < max_nodes):
        builder.step(max_nodes)
    builder.fill_ends()
    return builder


def build_below(
    stream: Stream,
    number: int,
    *,
    max_nodes: int | None = None,
) -> TreeBuilder | None:
    """Build the tree of node ``number`` alone; None where there is no such node."""
    index = stream.find_block(number)
    if index is None:
        return None
    builder = TreeBuilder(stream, wanted=lambda node: node.number == number)
    builder.start_at(index)
    builder.step_to(number)
    node = builder.roots[0] if builder.roots else None
    while node is not None and node.is_open and not builder.finished:
        if max_nodes is not None and builder.shown >= max_nodes:
            break
        builder.step(max_nodes)
    builder.fill_ends()
    return builder if builder.roots else None
