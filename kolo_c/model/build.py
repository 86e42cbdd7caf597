"""The tree of a stream in one go.

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
