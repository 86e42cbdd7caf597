"""Which blocks may have what is looked for, without decoding them.

A record's beginning is looked for in the bytes of a block: a hit may be chance, and the
block is then decoded for nothing; no record is missed.

Threads: any. Owns: nothing. Fails: never: what cannot be read counts as a hit.
"""

from __future__ import annotations

import re

import msgpack

from kolo_c.errors import StoreError
from kolo_c.store.decoding import DAMAGE
from kolo_c.wire import END_KINDS, NODE_KINDS, PUSH_KINDS, Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from kolo_c.store.blocks import Block
    from kolo_c.store.reader import Stream

_INT = rb"(?:[\x00-\x7f]|\xcc.|\xcd..|\xce.{4}|\xcf.{8})"
_ARRAY = rb"(?:[\x93-\x9f]|\xdc..)"
_REGIONS = rb"(?:\x94\x09|\x95\x0d)" + _INT
_NEVER = 1 << 63
_MOST_CODES = 200
"""Of more, most blocks have one."""


def calls(codes: Sequence[int]) -> re.Pattern[bytes] | None:
    """The beginnings and resumptions of calls of ``codes``; None: any block may have
    one. Regions and what plugins record are hits too: their names are not looked at."""
    if len(codes) > _MOST_CODES:
        return None
    numbers = b"|".join(re.escape(_packed(code)) for code in codes) or rb"(?!)"
    resumed = rb"[\x04\x05]" + _INT + rb"(?:\xc0|" + _INT + rb")" + _INT
    begun = rb"[\x00\x06]" + _INT
    pattern = (
        _ARRAY + rb"(?:" + begun + rb"|" + resumed + rb")(?:" + numbers + rb")|"
    ) + _REGIONS
    return re.compile(pattern, re.DOTALL)


def resumptions() -> re.Pattern[bytes]:
    """Where any suspended call goes on."""
    offset = rb"(?:\xc0|" + _INT + rb")"
    return re.compile(
        rb"\x96\x04" + _INT + offset + _INT + _INT + offset
        + rb"|\x97\x05" + _INT + offset + _INT + _INT,
        re.DOTALL,
    )  # fmt: skip


def raises() -> re.Pattern[bytes]:
    """The ends of what an exception left."""
    tagged = rb"(?:[\x90-\x9f]|\xdc..)\xd4\x01"
    return re.compile(
        _ARRAY + rb"\x02" + _INT + rb"(?:\xc0|" + tagged + rb")"
        rb"|\x93\x0a" + _INT + rb"[^\xc0]|\x94\x0e" + _INT,
        re.DOTALL,
    )


def task_switches() -> re.Pattern[bytes]:
    """Where a thread begins to run another task."""
    return re.compile(rb"\x93\x08" + _INT, re.DOTALL)


def finder(stream: Stream, pattern: re.Pattern[bytes]) -> Callable[[int], bool]:
    """Whether a block, by its index, has what the pattern looks for."""

    def found(index: int) -> bool:
        try:
            data = stream.blocks[index].fetch_data()
        except StoreError:
            return True
        return pattern.search(data) is not None

    return found


def lasting(stream: Stream, least_ns: int) -> Callable[[int], bool]:
    """Whether a block, by its index, has the beginning of a call that took
    ``least_ns`` or more: from the headers, and from the times alone where those leave
    it open."""
    ends = _ends_elsewhere(stream)

    def found(index: int) -> bool:
        block = stream.blocks[index]
        later = ends.get(index, {})
        if any(end - block.last_ns >= least_ns for end in later.values()):
            return True
        last_ns = max([block.last_ns, *later.values()])
        if last_ns - block.base_ns < least_ns:
            return False
        try:
            return _has_long(block, least_ns, later)
        except (StoreError, *DAMAGE):
            return True

    return found


def _has_long(block: Block, least_ns: int, later: dict[int, int]) -> bool:
    """Whether a call that begins in a block took so long; also where one goes on in
    it that began before. ``later``: when those end that go on after it."""
    now = block.base_ns
    number = block.first_node
    begun: list[int] = []
    for fields in _records_in(block.fetch_data()):
        kind = fields[0]
        now += fields[1]
        if kind in PUSH_KINDS:
            begun.append(now)
            if number in later and later[number] - now >= least_ns:
                return True
        elif kind in (Kind.RESUME, Kind.THROW):
            begun.append(now - least_ns)
        elif kind == Kind.YIELD:
            if begun:
                begun.pop()
        elif kind in END_KINDS:
            # What is not on it was open at the start: its own block has its beginning.
            if begun and now - begun.pop() >= least_ns:
                return True
        elif kind == Kind.MARK and fields[4] is not None:
            return True
        number += kind in NODE_KINDS
    return False


def _ends_elsewhere(stream: Stream) -> dict[int, dict[int, int]]:
    """For each block the calls that began in it and ended in a later one, or never:
    their numbers and ends."""
    found: dict[int, dict[int, int]] = {}
    for close in stream.closes_from(0):
        index = stream.find_block(close.node)
        if index is not None:
            found.setdefault(index, {})[close.node] = close.end_ns
    if stream.blocks:
        last = len(stream.blocks) - 1
        for number in stream.opens_at(last):
            index = stream.find_block(number) if number else None
            if index is not None:
                found.setdefault(index, {}).setdefault(number, _NEVER)
        found.setdefault(last, {}).setdefault(0, _NEVER)
    return found


def _records_in(data: bytes) -> Iterator[list[Any]]:
    """Records as lists, texts and tags in them as they lie there."""
    unpacker = msgpack.Unpacker(
        None, raw=True, strict_map_key=False, max_buffer_size=max(len(data), 1)
    )
    unpacker.feed(data)
    return iter(unpacker)


def _packed(number: int) -> bytes:
    for limit, mark, size in (
        (1 << 8, 0xCC, 1),
        (1 << 16, 0xCD, 2),
        (1 << 32, 0xCE, 4),
    ):
        if number < 128:
            return bytes([number])
        if number < limit:
            return bytes([mark]) + number.to_bytes(size, "big")
    return b"\xcf" + number.to_bytes(8, "big")
