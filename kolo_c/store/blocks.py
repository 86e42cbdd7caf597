"""A block's header, the same for a row of SQLite and for a block in a mapping.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import struct

from kolo_c.store.slotted import Slotted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_CLOSE = struct.Struct("<QQQ")
_OPEN = struct.Struct("<Q")
KIND_MASK = 0xFFFFFFFF


class Close(Slotted):
    """A call that an earlier block began and this one ended."""

    __slots__ = ("node", "end_ns", "kind", "sequence")

    def __init__(self, node: int, end_ns: int, kind: int, sequence: int) -> None:
        self.node = node
        self.end_ns = end_ns
        self.kind = kind
        self.sequence = sequence


class Block(Slotted):
    """What is known of a block without its records, and how to get those."""

    __slots__ = (
        "trace",
        "thread",
        "sequence",
        "base_ns",
        "last_ns",
        "first_node",
        "nodes",
        "records",
        "start_depth",
        "least_depth",
        "definition",
        "size",
        "full",
        "fetch_data",
        "fetch_tail",
    )

    def __init__(
        self,
        trace: int,
        thread: int,
        sequence: int,
        base_ns: int,
        last_ns: int,
        first_node: int,
        nodes: int,
        records: int,
        start_depth: int,
        least_depth: int,
        definition: int,
        size: int,
        full: bool,
        fetch_data: Callable[[], bytes],
        fetch_tail: Callable[[], tuple[bytes, bytes]],
    ) -> None:
        self.trace = trace
        self.thread = thread
        self.sequence = sequence
        self.base_ns = base_ns
        self.last_ns = last_ns
        self.first_node = first_node
        self.nodes = nodes
        self.records = records
        self.start_depth = start_depth
        self.least_depth = least_depth
        self.definition = definition
        # Of its records, in bytes, before compression.
        self.size = size
        # False: still being filled, so its opens are not known.
        self.full = full
        self.fetch_data = fetch_data
        # Its closes and its opens, packed.
        self.fetch_tail = fetch_tail

    def closes(self) -> list[Close]:
        """In the order they happened."""
        packed = self.fetch_tail()[0]
        packed = packed[: len(packed) // _CLOSE.size * _CLOSE.size]
        return [
            Close(node, end_ns, kind & KIND_MASK, self.sequence)
            for node, end_ns, kind in _CLOSE.iter_unpack(packed)
        ]

    def opens(self) -> list[int]:
        """The calls that it began and left open, outermost first."""
        packed = self.fetch_tail()[1]
        packed = packed[: len(packed) // _OPEN.size * _OPEN.size]
        return [node for (node,) in _OPEN.iter_unpack(packed)]


def in_order_from_end(packed: bytes, count: int, size: int) -> bytes:
    """``count`` items of ``size`` bytes, written from the end backwards, in order."""
    end = len(packed)
    return b"".join(
        packed[end - (index + 1) * size : end - index * size] for index in range(count)
    )
