"""What must hold of every trace, whatever program it is of.

The headers of blocks say again what the records say; so do the counters of the trace,
and so does the tree that the commands show. Here each is worked out from the records
and compared.
"""

from __future__ import annotations

from collections.abc import Iterator

from kolo_c.model.build import build
from kolo_c.store.reader import Stream, Trace
from kolo_c.store.records import Record
from kolo_c.wire import END_KINDS, NODE_KINDS, PUSH_KINDS, Kind
from tests.spec.replay import Replay, Tree


def check_trace(trace: Trace, *, clean: bool = True) -> dict[int, Tree]:
    """Fail where the trace contradicts itself; ``clean``: where anything was lost.

    The tree of each stream, by its number.
    """
    calls = records = 0
    trees = {}
    for stream in trace.streams:
        # Each block is decoded once for all that looks at its records.
        replayed = Replay(stream)
        for record in checked_records(stream, replayed, gaps=not clean):
            replayed.apply(record)
            calls += record.kind in (Kind.CALL, Kind.ENTERED)
            records += 1
        tree = trees[stream.ordinal] = replayed.tree
        builder = build(stream)
        assert builder.unmatched == 0
        leaves = ("noted", "logged")
        numbered = {c.number for c in tree.calls if c.number and c.end not in leaves}
        assert numbered <= set(builder.nodes)
    assert trace.damage == []
    assert trace.process.problems == []
    info = trace.info
    if clean:
        assert info.count("lost") == 0
        assert info.count("errors") == 0
        assert trace.info.attributes.get("problems", []) == []
    if info.status == "complete" and clean:
        assert info.count("calls") == calls
        assert info.count("records") == records
    return trees


def checked_records(
    stream: Stream, replayed: Replay, *, gaps: bool = False
) -> Iterator[Record]:
    """The records; the header of each block is what its records make of it."""
    stack: list[tuple[int, int]] = []  # node, index of the block that pushed it
    next_node = 1
    for index, block in enumerate(stream.blocks):
        if stream.begins_after_gap(index):
            assert gaps, "a block is missing"
            assert block.first_node >= next_node
            next_node = block.first_node
            stack = [(node, -1) for node in stream.opens_at(index)]
        elif gaps:
            # What was cut when no record fitted any more; a LOST mark follows.
            del stack[block.start_depth :]
        assert block.first_node == next_node
        assert block.start_depth == len(stack)
        assert stream.opens_at(index) == [node for node, _ in stack]
        decoded = stream.decode(index)
        assert decoded.damage == ""
        replayed.enter(index)
        least = len(stack)
        closes = []
        last_ns = block.base_ns
        for record in decoded.records:
            kind = record.kind
            assert record.ns >= last_ns, "time goes backwards"
            last_ns = record.ns
            if kind in NODE_KINDS:
                assert record.node == next_node
                next_node += 1
            if kind in PUSH_KINDS:
                stack.append((record.node, index))
            elif kind in (Kind.RESUME, Kind.THROW):
                other = record.thread is not None
                stack.append((0 if other else record.resumed, index))
            elif kind in END_KINDS or kind == Kind.YIELD:
                node, _ = stack.pop()
                if kind in END_KINDS and node and node < block.first_node:
                    closes.append((node, record.ns, int(kind)))
            elif kind == Kind.MARK and record.depth is not None:
                del stack[record.depth :]
            least = min(least, len(stack))
            yield record
        assert block.nodes == next_node - block.first_node
        assert block.records == len(decoded.records)
        assert block.last_ns == last_ns
        assert block.least_depth == least
        found = [(close.node, close.end_ns, close.kind) for close in block.closes()]
        assert found == closes or gaps
        # Recovery saves a block as it was: the last one, whose opens nobody needs.
        last = index == len(stream.blocks) - 1
        if block.full and not (last and stream.trace.info.status == "interrupted"):
            opened = [node for node, pushed in stack if pushed == index]
            assert block.opens() == opened
