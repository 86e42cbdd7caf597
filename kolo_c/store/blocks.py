"""A block's header, the same for a row of SQLite and for a block in a mapping.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

_CLOSE = struct.Struct("<QQQ")
_OPEN = struct.Struct("<Q")
KIND_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Close:
    """A call that an earlier block began and this one ended."""

    node: int
    end_ns: int
    kind: int
    sequence: int


@dataclass(slots=True)
class Block:
    """What is known of a block without its records, and how to get those."""

    trace: int
    thread: int
    sequence: int
    base_ns: int
    last_ns: int
    first_node: int
    nodes: int
    records: int
    start_depth: int
    least_depth: int
    definition: int
    size: int
    """Of its records, in bytes, before compression."""
    full: bool
    """False: still being filled, so its opens are not known."""
    fetch_data: Callable[[], bytes]
    fetch_tail: Callable[[], tuple[bytes, bytes]]
    """Its closes and its opens, packed."""

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
