"""Traces of which it is decided at the end whether they are stored: held ones. Twin of
src/session/held.c.

Their blocks go the way of all blocks. Their definitions do not go into the log, or it
would be full of traces that nobody stored: a block of definitions that the writer never
gets has their names, for readers and for a recovery. It is small and written anew, in
another block, whenever a name is to be added, changed or taken out.

Threads: any, with the session's lock. Owns: the block with the names, ``session.held``.
Fails: ``name_held`` with False.
"""

from __future__ import annotations

from kolo_c.reference import clock
from kolo_c.reference.block import BLOCK_DEFINITIONS
from kolo_c.reference.definitions_traces import trace_into
from kolo_c.reference.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.reference.block import Block
    from kolo_c.reference.session import Session
    from kolo_c.reference.traces import Trace

HELD_SEQUENCE = 1 << 62
"""Behind the log's blocks, where a reader puts blocks in order."""


def _fill(block: Block, named: list[Trace]) -> bool:
    """Their names into ``block``; False where there was no room for one."""
    stream = Stream(0, 0)
    stream.next_sequence = HELD_SEQUENCE
    stream.next_node = 0
    stream.give_block(block, BLOCK_DEFINITIONS, clock.ns())
    whole = True
    for trace in named:
        whole = trace_into(stream, trace) and whole
    return whole


def name_held(session: Session) -> bool:
    """Let the mapping know the names of the held traces as they are now.

    False where one that was announced could not be written there.
    """
    before, whole = session.held, True
    named = [trace for trace in session.traces if trace.named]
    if named:
        block = session.mapping.take()
        if block is None:
            return False  # what stood there still does
        session.held = block
        whole = _fill(block, named)
    else:
        session.held = None
    if before is not None:
        session.mapping.give(before)
    return whole


def keep_held(session: Session, trace: Trace) -> None:
    """It is to be stored: it is not held any more."""
    was_named, trace.named = trace.named, False
    trace.held = False
    if not was_named:
        return
    if not session.announce(trace):
        session.error("a trace could not be announced")
    name_held(session)


def drop_blocks(session: Session, number: int, segment: int) -> None:
    """Delete, or keep from being written, what the writer has got of a trace.

    ``segment`` is the first that may have blocks of it.
    """
    # In this order: once the log tells of it, no block of it is to come.
    session.queue.discard(number)
    if session.definitions.trace_drop(number, segment) == 0:
        session.error("what was saved of a trace could not be dropped")
