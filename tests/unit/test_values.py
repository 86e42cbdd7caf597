"""The value encoder: builtin types, the budget, and what the program must not feel."""

from __future__ import annotations

import datetime
import decimal
import gc
import struct
import sys
import uuid
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kolo_c.wire import Tag
from tests.unit.value_model import (
    DICT_OF_CUT_ITEMS,
    Pairs,
    decode,
    encode,
    encode_one,
    encoder,
    same,
    type_number,
)

CUT_BYTES = 10
STATUS_FULL = 1


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No name is secret here."""
    encoder.reset((), ())
    yield
    encoder.reset((), ())


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (None, b"\xc0"),
        (True, b"\xc3"),
        (0, b"\x00"),
        (-1, b"\xff"),
        (127, b"\x7f"),
        (128, b"\xcc\x80"),
        (2**30, b"\xce\x40\x00\x00\x00"),
        (-(2**63), b"\xd3\x80" + bytes(7)),
        (2**64 - 1, b"\xcf" + b"\xff" * 8),
        (2**64, b"\x92\xd4\x01\x08\xc4\x09" + bytes(8) + b"\x01"),
        (-(2**63) - 1, b"\x92\xd4\x01\x08\xc4\x09" + b"\xff" * 7 + b"\x7f\xff"),
        (1.0, b"\xcb\x3f\xf0" + bytes(6)),
        ("", b"\xa0"),
        ("abc", b"\xa3abc"),
        ("é€😀", b"\xa9\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
        ("\ud800", b"\xa3\xed\xa0\x80"),
        (b"\x00\xff", b"\xc4\x02\x00\xff"),
        ([], b"\x90"),
        ([1, [2]], b"\x92\x01\x91\x02"),
        ((1,), b"\x92\xd4\x01\x01\x01"),
        ({}, b"\x80"),
        ({"a": 1}, b"\x81\xa1a\x01"),
        (set(), b"\x91\xd4\x01\x02"),
        (frozenset({1}), b"\x92\xd4\x01\x03\x01"),
    ],
    ids=repr,
)
def test_a_builtin_is_written_as_the_wire_format_says(value: Any, data: bytes) -> None:
    assert encoder.encode((value,)) == data


def test_a_missing_value_is_unbound() -> None:
    assert decode(encoder.encode((None,), how="unbound")) == [(Tag.UNBOUND,)]


def test_a_dict_keeps_its_order() -> None:
    value = {3: "c", "a": 1, (1, 2): None, None: b""}
    del value["a"]
    value["a"] = 2
    got = encode_one(value)
    assert got == [(3, "c"), ((Tag.TUPLE, 1, 2), None), (None, b""), ("a", 2)]


# ---- everything written is read back equal, or marked ----

TEXTS = st.text(st.characters(codec=None, categories=None), max_size=60)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.floats(),
    st.complex_numbers(),
    TEXTS,
    st.binary(max_size=60),
    st.binary(max_size=60).map(bytearray),
    st.builds(range, st.integers(), st.integers(), st.integers(1)),
    st.datetimes(timezones=st.just(datetime.timezone.utc) | st.none()),
    st.builds(
        datetime.datetime.now,
        st.timedeltas(datetime.timedelta(hours=-23), datetime.timedelta(hours=23)).map(
            datetime.timezone
        ),
    ),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(),
    st.decimals(allow_nan=False, places=3),
    st.uuids(),
)
KEYS = st.one_of(st.integers(), TEXTS, st.binary(max_size=5), st.booleans())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.lists(inner, max_size=6).map(tuple),
        st.dictionaries(KEYS, inner, max_size=6),
        st.sets(KEYS, max_size=6),
        st.frozensets(KEYS, max_size=6),
    ),
    max_leaves=25,
)
WIDE = {"depth": 32, "items": 1000, "text_bytes": 16384, "record_bytes": 24576}


@settings(max_examples=400, deadline=None)
@given(VALUES)
def test_what_fits_is_read_back_equal(value: Any) -> None:
    before = encoder.counters()
    assert same(value, encode_one(value, **WIDE))
    assert encoder.counters() == before


@settings(max_examples=400, deadline=None)
@given(
    st.lists(VALUES, min_size=1, max_size=5),
    st.integers(0, 5),
    st.integers(0, 8),
    st.integers(0, 80),
    st.integers(0, 400),
)
def test_what_does_not_fit_is_marked_and_the_record_stays_small(
    objects: list[Any], depth: int, items: int, text_bytes: int, record_bytes: int
) -> None:
    data = encoder.encode(
        tuple(objects),
        depth=depth,
        items=items,
        text_bytes=text_bytes,
        record_bytes=record_bytes,
    )
    assert len(data) <= record_bytes + CUT_BYTES * len(objects)
    assert all(map(same, objects, decode(data)))


@settings(max_examples=200, deadline=None)
@given(VALUES, st.integers(0, 200))
def test_a_record_that_meets_the_end_of_its_block_is_full_and_counts_nothing(
    value: Any, room: int
) -> None:
    whole = encoder.encode((value,), **WIDE)
    before = encoder.counters()
    got = encoder.encode((value,), room=room, depth=0, items=1, text_bytes=1)
    if got == STATUS_FULL:
        assert encoder.counters() == before
    else:
        assert len(got) <= min(room, len(whole) + CUT_BYTES)


# ---- the budget ----


def test_a_container_at_the_limit_of_depth_is_cut_with_its_length() -> None:
    got = encode_one([[[[[1, 2, 3]]]]], depth=4)
    assert got == [[[[(Tag.CUT, type_number(list), 3)]]]]


def test_an_empty_container_is_never_cut() -> None:
    assert encode_one([[], {}, ()], depth=1) == [[], [], (Tag.TUPLE,)]


def test_items_over_the_limit_are_left_out_with_the_length_of_the_whole() -> None:
    assert encode_one(list(range(9)), items=2) == (Tag.CUT_ITEMS, 0, 9, 0, 1)
    assert encode_one(tuple(range(9)), items=1) == (Tag.CUT_ITEMS, Tag.TUPLE, 9, 0)
    cut = (Tag.CUT_ITEMS, DICT_OF_CUT_ITEMS, 3, "a", 1)
    assert encode_one({"a": 1, "b": 2, "c": 3}, items=1) == cut


@pytest.mark.parametrize("text", ["a" * 99, "é" * 50, "😀" * 25, "aé€😀" * 10])
def test_a_text_is_cut_at_a_character_with_its_length_in_characters(text: str) -> None:
    for limit in range(20, 40):
        tag, start, length = encode_one(text, text_bytes=limit)
        assert (tag, length) == (Tag.CUT_STR, len(text))
        assert text.startswith(start) and limit - 4 < len(start.encode()) <= limit


def test_cut_bytes_say_how_long_they_were() -> None:
    assert encode_one(b"x" * 99, text_bytes=3) == (Tag.CUT_BYTES, b"xxx", 99)
    assert encode_one(bytearray(9), text_bytes=3) == (Tag.CUT_BYTES, bytes(3), 9)


def test_an_int_of_a_million_digits_is_its_bit_length() -> None:
    value = 1 << 3_321_928
    assert encode_one(value) == (Tag.BIGINT, value.bit_length())
    assert encode_one(-value) == (Tag.BIGINT, value.bit_length())


def test_when_the_bytes_run_out_the_rest_of_a_container_is_cut() -> None:
    value = ["x" * 90] * 20
    data = encoder.encode((value,), record_bytes=1000)
    assert len(data) <= 1000
    (got,) = decode(data)
    whole = [item for item in got if item == value[0]]
    cut = [item for item in got if isinstance(item, tuple)]
    assert len(got) == 20 and len(whole) >= 5 and len(cut) >= 5
    assert whole + cut == got
    assert cut[-1][:2] == (Tag.CUT, type_number(str)) and all(map(same, value, got))


def test_scalars_are_written_even_when_the_bytes_have_run_out() -> None:
    got = encode("x" * 500, 1, None, 2.5, True, 2**63, [1], record_bytes=40)
    assert got[1:6] == [1, None, 2.5, True, 2**63]
    assert got[6] == (Tag.CUT, type_number(list), None)


def test_every_cut_is_counted_once() -> None:
    value = {"text": "x" * 99, "deep": [[[[1]]]], "many": [0] * 99, "whole": "x"}
    before = encoder.counters()[1]
    encode_one(value, text_bytes=20)
    assert encoder.counters()[1] - before == 3


def test_a_cycle_says_how_many_levels_up_it_leads() -> None:
    inner: list[Any] = []
    outer: dict[str, Any] = {"inner": inner, "again": None}
    inner.append(inner)
    inner.append(outer)
    outer["again"] = outer
    assert encode_one(outer) == [
        ("inner", [(Tag.CYCLE, 1), (Tag.CYCLE, 2)]),
        ("again", (Tag.CYCLE, 1)),
    ]


def test_a_value_met_twice_is_no_cycle() -> None:
    shared = [1]
    assert encode_one([shared, shared]) == [[1], [1]]


def test_a_type_that_cannot_be_defined_loses_the_record() -> None:
    assert encoder.encode((object(),), refuse=True) == STATUS_FULL


# ---- huge and hostile ----


@pytest.mark.parametrize(
    "value",
    [
        list(range(1_000_000)),
        dict.fromkeys(range(1_000_000)),
        set(range(1_000_000)),
        "x" * 10_000_000,
        "é" * 10_000_000,
        b"x" * 10_000_000,
        1 << 30_000_000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_huge_value_costs_no_more_than_its_budget(value: Any) -> None:
    assert len(encoder.encode((value,))) <= 8192 + CUT_BYTES
    assert encoder.measure(value, 20) < 200_000  # nanoseconds: 100 times what it takes


def test_a_memoryview_is_its_length() -> None:
    view = memoryview(bytearray(10**7))
    assert encode_one(view) == (Tag.VIEW, type_number(memoryview), 10**7)


def test_deep_nesting_does_not_overflow_the_c_stack() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    got = encode_one(value, depth=1_000_000)
    levels = 0
    while isinstance(got, list):
        got, levels = got[0], levels + 1
    assert levels == 32 and got[0] is Tag.CUT
    while value:
        value = value.pop()  # freed level by level, not by recursion


def test_a_str_keeps_its_size() -> None:
    texts = ["äöü" * 10, "€" * 10, "😀" * 10, "plain" * 10]
    sizes = [sys.getsizeof(text) for text in texts]
    encode(*texts, *texts)
    encoder.encode(tuple(texts), how="name")
    assert [sys.getsizeof(text) for text in texts] == sizes


def test_references_are_as_they_were() -> None:
    items = [object(), "text" * 3, 10**40, [1], {"k": 1.5}, b"bytes", (None,)]
    value = {"list": items, "dict": dict(enumerate(items)), "set": {"text" * 3}}
    encode_one(value)
    before = [sys.getrefcount(item) for item in (*items, value)]
    for _ in range(50):
        encoder.encode((value,))
    assert [sys.getrefcount(item) for item in (*items, value)] == before


def test_nothing_that_the_collector_tracks_is_made() -> None:
    class Plain:
        def __init__(self) -> None:
            self.number, self.items = 1, [1, 2]

    value = (
        [Plain(), {"a": {1, 2}}, "é", 10**40, ValueError(1), Plain, len],
        decimal.Decimal("1.5"),
        uuid.UUID(int=5),
        PurePosixPath("a/b"),
        datetime.datetime(2026, 1, 2),
    )
    encoder.encode(value)
    gc.collect()
    gc.disable()
    try:
        before = gc.get_count()[0]
        for _ in range(100):
            encoder.encode(value)
        made = gc.get_count()[0] - before
    finally:
        gc.enable()
    assert made < 20


def test_a_name_is_cut_without_a_mark_at_a_character() -> None:
    names = ("plain", "é" * 100, "x" * 100, "\udfff")
    got = decode(encoder.encode(names, how="name"))
    assert got == ["plain", "é" * 32, "x" * 64, "\udfff"]


def test_a_nan_keeps_its_bits() -> None:
    (value,) = struct.unpack("d", b"\x01\x00\x00\x00\x00\x00\xf8\x7f")
    assert same(value, encode_one(value))


def test_a_map_is_not_taken_for_a_list() -> None:
    assert type(encode_one({})) is Pairs and type(encode_one([])) is list
