"""First and last records of nodes, from blocks that the tree did not need.

The headers of later blocks say when a call ended and how; the record that ended it, and
the one that began it, are fetched one by one for what is shown.

Threads: one at a time. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.model.node import UNKNOWN, Node
from kolo_c.store import records as r

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kolo_c.store.reader import Stream, Trace


def fill_ends(stream: Stream, nodes: Iterable[Node], index: int) -> None:
    """Take the ends of those of ``nodes`` that are open from the headers of the blocks
    from ``index`` on."""
    pending = {
        node.number: node
        for node in nodes
        if node.is_open and node.number and node.continues in (None, node.thread)
    }
    if not pending:
        return
    for close in stream.closes_of(pending.keys(), index):
        node = pending.get(close.node)
        if node is None or (node.start_ns is not None and close.end_ns < node.start_ns):
            continue
        node.end_ns = close.end_ns
        node.end_kind = close.kind
        node.end_sequence = close.sequence
        del pending[close.node]
        if not pending:
            return


def fetch_end(stream: Stream, node: Node) -> None:
    """Get the record that ended ``node`` from the block that its header named."""
    if node.end is not None or node.end_sequence is None:
        return
    index = end_block(stream, node)
    if index is not None:
        node.end = _ending(stream, index, node.number)[0]


def end_block(stream: Stream, node: Node) -> int | None:
    """The block in which ``node`` ended, where only a header told so."""
    for index, block in enumerate(stream.blocks):
        if block.sequence == node.end_sequence:
            return index
    return None


def last_within(stream: Stream, node: Node) -> int:
    """The last number that was given before ``node`` ended; 0 where that is not
    known."""
    index = end_block(stream, node)
    return _ending(stream, index, node.number)[1] if index is not None else 0


def fetch_begin(stream: Stream, node: Node) -> None:
    """Get the record that began ``node`` where it stands in a block not read for it."""
    if node.begin is not None or node.number == UNKNOWN:
        return
    record = stream.first_record(node.number)
    if record is not None:
        node.begin = record
        node.start_ns = record.ns
        if isinstance(record, (r.Call, r.Entered)):
            node.code = record.code
        elif isinstance(record, r.Plugin):
            node.plugin = record.plugin


def find_begin(trace: Trace, node: Node) -> None:
    """The same, from the thread that it began in, whichever that is."""
    if node.begin is None and node.number != UNKNOWN:
        fetch_begin(trace.stream(node.continues or node.thread), node)


def _ending(stream: Stream, index: int, number: int) -> tuple[r.Record | None, int]:
    """The record that ended a node in a block, and the last number given before it."""
    return stream.endings(index).get(number, (None, 0))
