"""The mapping of a running or dead process: blocks that SQLite does not have yet.

A block may be written, handed over or taken again while it is copied. So its state and
generation are looked at before and after; and of its records only the committed bytes,
read before the copy, are trusted.

Threads: one at a time. Owns: nothing after reading: all is copied. Fails: StoreError.
"""

from __future__ import annotations

import mmap
import os
import struct

from kolo_c.errors import StoreError
from kolo_c.store.blocks import Block, in_order_from_end
from kolo_c.store.slotted import Slotted
from kolo_c.wire import (
    BLOCK_BYTES,
    BLOCK_HEADER_BYTES,
    BLOCK_MAGIC,
    MAPPING_HEADER_BYTES,
    MAPPING_MAGIC,
    WIRE_VERSION,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    AnyPath = str | os.PathLike[str]

_HEADER = struct.Struct("<8sIIII32sQQQQQQII")
_BLOCK = struct.Struct("<IIIIIIQQQQQQIIIIII")
_PLACE = struct.Struct("<III")
_COMMITTED_AT = 56
_DATA_BYTES = BLOCK_BYTES - BLOCK_HEADER_BYTES
_FREE, _FILLING, _FULL = 0, 1, 2
_RECORDS, _DEFINITIONS = 1, 2
_CLOSE_BYTES, _OPEN_BYTES = 24, 8
_TRIES = 3


BEING_RECOVERED = 4
"""A header's ``writer_state``: who has the lock is not the process."""


class MappingHeader(Slotted):
    """The first page."""

    __slots__ = (
        "blocks",
        "pid",
        "process",
        "started_ns",
        "started_utc_ns",
        "anchor_ns",
        "anchor_utc_ns",
        "lost_records",
        "segment",
        "writer_state",
        "writer_error",
    )

    def __init__(
        self,
        blocks: int,
        pid: int,
        process: str,
        started_ns: int,
        started_utc_ns: int,
        anchor_ns: int,
        anchor_utc_ns: int,
        lost_records: int,
        segment: int,
        writer_state: int,
        writer_error: int,
    ) -> None:
        self.blocks = blocks
        self.pid = pid
        self.process = process
        self.started_ns = started_ns
        self.started_utc_ns = started_utc_ns
        self.anchor_ns = anchor_ns
        self.anchor_utc_ns = anchor_utc_ns
        self.lost_records = lost_records
        self.segment = segment
        self.writer_state = writer_state
        self.writer_error = writer_error


class DefinitionsBlock(Slotted):
    """A block of the definitions log."""

    __slots__ = ("sequence", "first", "saved", "data")

    def __init__(self, sequence: int, first: int, saved: int, data: bytes) -> None:
        self.sequence = sequence
        self.first = first
        self.saved = saved
        self.data = data


class MappingCopy(Slotted):
    """What a mapping held at one moment."""

    __slots__ = ("path", "header", "blocks", "definitions", "damaged")

    def __init__(
        self,
        path: AnyPath,
        header: MappingHeader,
        blocks: list[Block],
        definitions: list[DefinitionsBlock],
        damaged: int = 0,
    ) -> None:
        self.path = path
        self.header = header
        self.blocks = blocks
        self.definitions = definitions
        self.damaged = damaged


def read_mapping(path: AnyPath) -> MappingCopy | None:
    """Copy what the mapping at ``path`` holds; None where it has gone by now."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < MAPPING_HEADER_BYTES:
                raise StoreError(path, "too short for a mapping", _REMOVE)
            with mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ) as view:
                return _copy(path, view)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(
            path, f"cannot be read: {error.strerror}", "Check its permissions."
        ) from error


_REMOVE = "It is damaged or not ours; when its program has ended, remove it."


def _copy(path: AnyPath, view: mmap.mmap) -> MappingCopy:
    header = _read_header(path, view)
    copy = MappingCopy(path, header, [], [])
    room = (len(view) - MAPPING_HEADER_BYTES) // BLOCK_BYTES
    for index in used_blocks(view, min(header.blocks, room)):
        raw = _copy_block(view, MAPPING_HEADER_BYTES + index * BLOCK_BYTES)
        if raw is not None and not _add(copy, raw):
            copy.damaged += 1
    copy.definitions.sort(key=lambda block: block.sequence)
    copy.blocks.sort(key=lambda block: (block.trace, block.thread, block.sequence))
    return copy


def used_blocks(view: mmap.mmap, count: int, kind: int | None = None) -> list[int]:
    """Which of the first ``count`` blocks are not free at this moment; with ``kind``
    only those of this kind."""
    first, step = MAPPING_HEADER_BYTES // 4, BLOCK_BYTES // 4
    end = first + count * step
    # As numbers, all at once: to look at each takes a hundred times as long.
    whole = len(view) // 4 * 4
    with memoryview(view) as raw, raw[:whole] as even, even.cast("I") as words:
        states = words[first:end:step].tolist()
        kinds = words[first + 1 : end : step].tolist()
    return [
        index
        for index, state in enumerate(states)
        if state != _FREE and (kind is None or kinds[index] == kind)
    ]


def whole_header(blocks: int, process: str, segment: int) -> bytes:
    """The first page of a mapping, for one that has lost its own."""
    name = process.encode("ascii", "replace")
    fields = (blocks, 0, name, 0, 0, 0, 0, 0, segment, 0, 0)
    header = _HEADER.pack(MAPPING_MAGIC, WIRE_VERSION, BLOCK_BYTES, *fields)
    return header.ljust(MAPPING_HEADER_BYTES, b"\0")


def _read_header(path: AnyPath, view: mmap.mmap) -> MappingHeader:
    magic, version, block_bytes, blocks, pid, process, *rest = _HEADER.unpack_from(view)
    if magic != MAPPING_MAGIC:
        raise StoreError(path, "not a mapping of kolo_c", _REMOVE)
    if version > WIRE_VERSION:
        raise StoreError(
            path,
            f"has wire format {version}, this kolo-c reads up to {WIRE_VERSION}",
            "Upgrade: pip install -U kolo-c",
            slug="store-newer",
        )
    if block_bytes != BLOCK_BYTES:
        raise StoreError(path, f"has blocks of {block_bytes} bytes", _REMOVE)
    name = process.rstrip(b"\0").decode("ascii", "replace")
    return MappingHeader(blocks, pid, name, *rest)


def _copy_block(view: mmap.mmap, at: int) -> bytes | None:
    """The block at ``at`` as it was at one moment; None where it is free or moving."""
    for _ in range(_TRIES):
        state, kind, generation = _PLACE.unpack_from(view, at)
        if state not in (_FILLING, _FULL):
            return None
        committed = view[at + _COMMITTED_AT : at + _COMMITTED_AT + 8]
        raw = view[at : at + BLOCK_BYTES]
        if _PLACE.unpack_from(view, at) == (state, kind, generation):
            # Bytes committed during the copy may be torn: the number from before rules.
            return raw[:_COMMITTED_AT] + committed + raw[_COMMITTED_AT + 8 :]
    return None


def _add(copy: MappingCopy, raw: bytes) -> bool:
    """Put a copied block where it belongs; False where it is damaged."""
    fields = _BLOCK.unpack_from(raw)
    state, kind, _, trace, thread, start_depth, sequence, base_ns, first_node = fields[
        :9
    ]
    definition, committed, last_ns, nodes, records, least, opens, saved, magic = fields[
        9:
    ]
    used = committed & 0xFFFFFFFF
    close_bytes = (committed >> 32) * _CLOSE_BYTES
    open_bytes = opens * _OPEN_BYTES if state == _FULL else 0
    if magic != BLOCK_MAGIC or used + close_bytes > _DATA_BYTES:
        return False
    data = raw[BLOCK_HEADER_BYTES : BLOCK_HEADER_BYTES + used]
    if kind == _DEFINITIONS:
        copy.definitions.append(DefinitionsBlock(sequence, definition, saved, data))
        return True
    if kind != _RECORDS:
        return False
    if used + close_bytes + open_bytes > _DATA_BYTES:
        open_bytes = 0
    closes = in_order_from_end(raw, close_bytes // _CLOSE_BYTES, _CLOSE_BYTES)
    head = raw[: BLOCK_BYTES - close_bytes]
    tail = (closes, in_order_from_end(head, open_bytes // _OPEN_BYTES, _OPEN_BYTES))
    copy.blocks.append(
        Block(
            trace, thread, sequence, base_ns, last_ns, first_node, nodes, records,
            start_depth, least, definition, used, state == _FULL,
            lambda: data, lambda: tail,
        )
    )  # fmt: skip
    return True


def definition_tail(copy: MappingCopy) -> Iterator[bytes]:
    """The parts of the definitions log that SQLite may not have yet."""
    for block in copy.definitions:
        saved = block.saved if block.saved <= len(block.data) else 0
        yield block.data[saved:]
