"""The Python core's msgpack, beside the msgpack package's; and what a cursor keeps."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kolo_c.reference.status import Status
from kolo_c.reference.wire import Cursor, Token, Walk
from kolo_c.wire import Tag

EDGES = [
    edge + step
    for power in (0, 5, 7, 8, 15, 16, 31, 32, 63)
    for edge in (1 << power, -(1 << power))
    for step in (-1, 0, 1)
    if -(2**63) <= edge + step < 2**64
]
ROOM = 1 << 20


@pytest.mark.parametrize("value", [*EDGES, 2**64 - 1])
def test_a_number_takes_its_shortest_form(value: int) -> None:
    cursor = Cursor(ROOM)
    cursor.int(value)
    if value >= 0:
        cursor.uint(value)
        assert bytes(cursor.data) == msgpack.packb(value) * 2
    else:
        assert bytes(cursor.data) == msgpack.packb(value)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536])
def test_a_head_takes_its_shortest_form(count: int) -> None:
    cursor = Cursor(ROOM)
    packer = msgpack.Packer()
    cursor.array(count)
    cursor.map(count)
    cursor.str(b"x" * count)
    cursor.bin(b"x" * count)
    want = packer.pack_array_header(count) + packer.pack_map_header(count)
    want += packer.pack("x" * count) + packer.pack(b"x" * count)
    assert bytes(cursor.data) == want


def test_a_tagged_array_opens_with_an_extension() -> None:
    cursor = Cursor(ROOM)
    cursor.tag(Tag.CYCLE, 1)
    cursor.nil()
    cursor.bool(True)
    cursor.text("é\ud800")
    cursor.text(None)
    assert cursor.data == b"\x92\xd4\x01\x1d\xc0\xc3\xa5\xc3\xa9\xed\xa0\x80\xc0"


def test_nothing_slips_in_behind_what_did_not_fit() -> None:
    cursor = Cursor(3)
    cursor.uint(1)
    cursor.str(b"abc")
    cursor.uint(1)
    cursor.nil()
    assert cursor.status is Status.FULL and len(cursor.data) <= 2
    cursor.rewind(0)
    assert cursor.at > 0


def walk_value(walk: Walk) -> Any:
    token = walk.next()
    assert token is not None
    kind, value = token
    if kind is Token.ARRAY:
        return [walk_value(walk) for _ in range(value)]
    if kind is Token.MAP:
        return [(walk_value(walk), walk_value(walk)) for _ in range(value)]
    return value


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.binary()
    | st.tuples(st.integers(0, 127), st.binary()).map(
        lambda pair: msgpack.ExtType(*pair)
    ),
    lambda inner: st.lists(inner) | st.lists(inner, min_size=17),
)


@settings(deadline=None)
@given(PLAIN)
def test_a_walk_reads_what_was_packed(value: Any) -> None:
    data = msgpack.packb(value)
    assert walk_value(Walk(data)) == value
    walk = Walk(b"\xc0" + data + b"\xc0", 1, len(data) + 1)
    assert walk.skip() and walk.at == walk.end
    for end in range(len(data)):
        assert not Walk(data, 0, end).skip()


@settings(deadline=None)
@given(st.binary())
def test_a_walk_ends_on_any_bytes(data: bytes) -> None:
    walk = Walk(data)
    while walk.at < walk.end and walk.skip():
        pass
    assert walk.at <= walk.end


def test_a_walk_reads_maps_texts_and_short_floats() -> None:
    data = msgpack.packb({"a": 1.5}, use_single_float=True)
    assert walk_value(Walk(data)) == [(b"a", 1.5)]
    assert Walk(b"\xc1").next() is None
    assert math.isnan(walk_value(Walk(msgpack.packb(math.nan))))
