"""Mends what a step left that was struck in its middle.

What is in a block is right: a record is published by one store. So all that a stream
says of itself is read off its block again, and the stack of the thread is cut to what
the records say of it. Readers are told by a LOST mark.

Threads: the traced thread, with the session's lock. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.reference.block import (
    BLOCK_DATA_BYTES,
    BLOCK_FILLING,
    CLOSE_BYTES,
    OPEN_BYTES,
)
from kolo_c.reference.stack import OPEN_NOWHERE
from kolo_c.reference.stream import Open
from kolo_c.reference.thread import GUARD_COLLECTOR, GUARD_FREE
from kolo_c.reference.wire import Token, Walk
from kolo_c.wire import END_KINDS, NODE_KINDS, PUSH_KINDS, Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.reference.block import Block
    from kolo_c.reference.thread import Thread, ThreadStream

_POPS = END_KINDS | {Kind.YIELD}
_PUSHES = PUSH_KINDS | {Kind.RESUME, Kind.THROW}


def repair(thread: Thread) -> None:
    """Make thread, streams and definitions agree with what is published."""
    session = thread.session
    if session.dead or thread.guard == GUARD_COLLECTOR:
        return
    thread.guard = GUARD_FREE
    thread.waiting = thread.writing = False
    thread.clear_pending()
    thread.scope_generation = 0  # look it up again
    session.definitions.resync()
    block, thread.in_flight = thread.in_flight, None
    if block is not None and block.state == BLOCK_FILLING:
        session.hand_over(block)
    missed, thread.missed = thread.missed, 0
    for stream in list(thread.streams):
        lost = stream.trace.lost_count
        _repair_stream(thread, stream)
        if stream is thread.stream:
            missed -= stream.trace.lost_count - lost
    if thread.stream is not None:
        for _ in range(missed):  # what it would have been is not known
            thread.lose(thread.stream)


def _repair_stream(thread: Thread, stream: ThreadStream) -> None:
    written = [e for e in thread.stack if e.stream is stream and not e.unwritten]
    block = stream.stream.block
    depth = stream.stream.depth
    if block is not None:
        depth = _read_block(stream, block)
    if written and written[-1].open.sequence == OPEN_NOWHERE and len(written) == depth:
        assert block is not None
        written[-1].open = Open(stream.stream.next_node - 1, block.sequence)
        written[-1].began = block.sequence
    if len(written) != depth:
        for entry in written[depth:]:  # begun without a record, or ended with one
            thread.stack.remove(entry)
        del written[depth:]
        thread.lose(stream)  # a LOST mark tells the depth
    stream.stream.depth = len(written)
    if block is not None:
        _set_room(stream, block, written)


def _set_room(stream: ThreadStream, block: Block, written: list) -> None:  # type: ignore[type-arg]
    opens = sum(entry.open.sequence == block.sequence for entry in written)
    block.least_depth = min(block.least_depth, len(written) - opens)
    closes = block.close_count()
    stream.stream.close_count = closes
    stream.stream.end = (
        BLOCK_DATA_BYTES - CLOSE_BYTES - closes * CLOSE_BYTES - opens * OPEN_BYTES
    )


def _read_block(stream: ThreadStream, block: Block) -> int:
    """Set what the header and the stream count; the depth of the stack at the end."""
    walk = Walk(block.data, 0, block.bytes())
    depth: int = block.start_depth
    least = depth
    nodes = records = 0
    now_ns = block.base_ns
    while walk.at < walk.end:
        head, kind, dt = walk.next(), walk.next(), walk.next()
        assert head is not None and kind is not None and dt is not None
        now_ns += dt[1]
        records += 1
        nodes += kind[1] in NODE_KINDS
        if kind[1] in _PUSHES:
            depth += 1
        elif kind[1] in _POPS:
            depth -= 1
        for field in range(head[1] - 2):
            at = walk.at
            walk.skip()
            if kind[1] == Kind.MARK and field == 2:
                told = Walk(block.data, at, walk.at).next()
                if told is not None and told[0] is Token.UINT:
                    depth = int(told[1])
        least = min(least, depth)
    block.node_count, block.record_count = nodes, records
    block.least_depth = least
    block.last_ns = stream.stream.last_ns = max(now_ns, block.base_ns)
    stream.stream.next_node = block.first_node + nodes
    stream.stream.at = block.bytes()
    return depth
