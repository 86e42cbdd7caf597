"""Which blocks may have what is looked for, without decoding them.

A record's beginning is looked for in the bytes of a block: a hit may be chance, and the
block is then decoded for nothing; no record is missed.

Threads: any. Owns: nothing. Fails: never: what cannot be read counts as a hit.
"""

from __future__ import annotations

import re

from kolo_c.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kolo_c.store.reader import Stream

_INT = rb"(?:[\x00-\x7f]|\xcc.|\xcd..|\xce.{4}|\xcf.{8})"
_ARRAY = rb"(?:[\x93-\x9f]|\xdc..)"
_REGIONS = rb"\x94[\x09\x0d]" + _INT
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
    """Whether a block, by its index, may have the beginning of a call that took
    ``least_ns`` or more: from the headers alone."""
    found = {
        index
        for index, block in enumerate(stream.blocks)
        if block.last_ns - block.base_ns >= least_ns
    }
    found.update(_long_across(stream, least_ns))
    return found.__contains__


def _long_across(stream: Stream, least_ns: int) -> Iterable[int]:
    """The blocks in which long calls began that ended in another, or never."""
    for close in stream.closes_from(0):
        index = stream.find_block(close.node)
        if index is not None and (
            close.end_ns - stream.blocks[index].base_ns >= least_ns
        ):
            yield index
    if stream.blocks:
        last = len(stream.blocks) - 1
        yield last
        for number in stream.opens_at(last):
            index = stream.find_block(number) if number else None
            if index is not None:
                yield index


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
