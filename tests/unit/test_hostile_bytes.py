"""Hostile bytes in blocks, definitions and mappings: commands print or say, no more."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kolo_c.errors import StoreError
from kolo_c.store.connection import DatabaseError, connect
from kolo_c.store.definition_log import decode_definitions
from kolo_c.store.lines import read_line_table
from kolo_c.store.record_decoding import decode_records, skim_records
from kolo_c.store.rewrite import _sift
from kolo_c.store.segment import Segment
from kolo_c.wire import Definition, Kind, Tag
from tests.unit import hostile
from tests.unit.store_builder import pack, tagged

# `make fuzz` asks for more.
ROUNDS = max(int(os.environ.get("FUZZ_ROUNDS", "0")) // 20, 20)
hostilely = settings(
    max_examples=ROUNDS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

ints = st.one_of(
    st.integers(-(1 << 63), (1 << 64) - 1),
    st.integers(-3, 12),
    st.sampled_from([1 << 24, (1 << 24) + 1, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63]),
)
texts = st.one_of(
    st.sampled_from(["", "text", "{}", "{text}", hostile.TEXT, "x" * 300, "1e999999"]),
    st.text(st.characters(), max_size=20),
)
plain = st.one_of(
    st.none(), st.booleans(), ints, st.floats(), texts, st.binary(max_size=40),
    st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=4)),
)  # fmt: skip


def composed(inner: Any) -> Any:
    """Containers, maps with any key, and tagged arrays of any shape."""
    return st.one_of(
        st.lists(inner, max_size=5),
        st.lists(st.tuples(inner, inner), max_size=3).map(Map),
        st.builds(
            lambda tag, items: tagged(tag, *items),
            st.one_of(st.sampled_from(list(Tag)).map(int), st.integers(0, 255)),
            st.lists(inner, max_size=6),
        ),
    )


class Map:
    """A map whose keys may be what no dict takes."""

    def __init__(self, pairs: list[tuple[Any, Any]]) -> None:
        self.pairs = pairs


def packed(value: Any) -> bytes:
    """msgpack, of Map too."""
    if isinstance(value, Map):
        items = b"".join(packed(each) for pair in value.pairs for each in pair)
        return bytes([0x80 | len(value.pairs)]) + items
    if isinstance(value, list):
        head = struct.pack(">BH", 0xDC, len(value))
        return head + b"".join(map(packed, value))
    return pack(value)


values = st.recursive(plain, composed, max_leaves=12)
kinds = st.one_of(st.sampled_from(list(Kind)).map(int), st.integers(0, 40))
small = st.integers(0, 9)
fields = st.one_of(small, small, st.none(), texts, values)
records = st.builds(
    lambda kind, dt, fields: packed([kind, dt, *fields]),
    kinds, st.one_of(small, st.integers(0, 1000), ints), st.lists(fields, max_size=7),
)  # fmt: skip
codes = st.tuples(
    small, texts, texts, st.one_of(small, ints), small, st.lists(texts, max_size=3),
    st.lists(texts, max_size=2), st.binary(max_size=40), small, texts,
)  # fmt: skip
definitions = st.one_of(
    st.builds(
        lambda kind, number, fields: packed([kind, number, *fields]),
        st.one_of(st.sampled_from(list(Definition)).map(int), st.integers(0, 40)),
        st.one_of(st.integers(0, 20), ints), st.lists(fields, max_size=12),
    ),
    st.builds(
        lambda number, code: packed([int(Definition.CODE), number, *code]),
        st.integers(1, 9), codes,
    ),
)  # fmt: skip
scraps = st.one_of(st.lists(records, max_size=6).map(b"".join), st.binary(max_size=60))


@pytest.fixture(name="place", scope="module")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@hostilely
@given(
    st.lists(scraps, min_size=1, max_size=3),
    st.one_of(st.lists(definitions, max_size=5).map(b"".join), st.binary(max_size=60)),
)
def test_hostile_records_and_definitions_harm_no_command(
    place: Path, blocks: list[bytes], log: bytes
) -> None:
    shutil.rmtree(place / ".kolo_c", ignore_errors=True)
    hostile.read_everything(place, hostile.program(blocks, log))


def test_a_block_that_is_cut_anywhere_says_so() -> None:
    """Between two elements of an array msgpack itself says nothing."""
    first = packed([0, 1, 1, None])
    whole = first + packed([0, 5, 1, None, "text", [1, [2, 3]], Map([(1, 2)]), 1.5])
    for cut in range(len(whole) + 1):
        decoded = decode_records(whole[:cut], 0, 1)
        sound = cut in (0, len(first), len(whole))
        assert bool(decoded.damage) is not sound, cut
        assert len(decoded.records) == (cut >= len(first)) + (cut == len(whole))


@pytest.mark.parametrize("python", ["3.11.1", "3.²", "3." + "1" * 5000, "", "x"])
def test_a_line_table_of_any_bytes_has_lines_that_can_be_printed(python: str) -> None:
    """A number of 64 KiB is one that Python refuses to print."""
    for form in (13, 14):
        table = bytes([0x80 | form << 3]) + b"\x7f" * 60_000 + b"\x01" * 9
        lines = read_line_table(table, 1, python)
        assert [str(lines.line(at)) for at in range(10)]


def test_a_definition_with_a_number_that_is_none_is_carried_along() -> None:
    for number in (float("inf"), None, [], "x", 1 << 64 - 1):
        data = packed([int(Definition.TYPE), number, "module", "name"])
        assert _sift(data, lambda _: True)[0] == data


@pytest.mark.parametrize(
    "value",
    [
        b"\xdc\xff\x00" * 21_000,  # lists in lists, each of as many as there are bytes
        b"\xde\x7f\x00" * 21_000,
        b"\x91" * 65_000,
        b"\x81" * 65_000,
        b"\x92\xd4\x01\x01" * 16_000,
        b"\xdc\xff\x00" + b"\x80" * 65_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
        packed(tagged(Tag.BIGINT, b"\x7f" * 60_000)),
        packed(tagged(Tag.DECIMAL, "9" * 60_000 + "e999999999")),
        packed(tagged(Tag.RANGE, -(1 << 63), (1 << 64) - 1, 1)),
        packed(tagged(Tag.NDARRAY, 1, [1 << 62] * 5000, "f8")),
    ],
    ids=range(15),
)
def test_a_value_takes_no_more_memory_than_a_block_may(
    tmp_path: Path, value: bytes
) -> None:
    """Whatever it says of its length: lists are the worst, 8 bytes for each promised
    item and no deeper than msgpack goes."""
    data = (b"\x95\x00\x01\x02\xc0" + value)[:65_000]
    tracemalloc.start()
    try:
        decode_records(data, 0, 1)
        list(skim_records(data, 0, 1))
        decode_definitions(data)
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()
    hostile.read_everything(tmp_path, hostile.program([data]))


def test_a_block_that_says_it_is_huge_is_not_made_room_for(tmp_path: Path) -> None:
    """The worst that zstd can do: 64 KiB that become a gigabyte."""
    zstandard = pytest.importorskip("zstandard")
    process = hostile.program([b""])
    compress = zstandard.ZstdCompressor().compress
    store = process.write(tmp_path, compress=compress)
    db = sqlite3.connect(process.segment_path(store))
    bomb = compress(bytes(1 << 28))
    db.execute("UPDATE block SET bytes = ?", (1 << 28,))
    db.execute("UPDATE block_data SET data = ?", (bomb,))
    db.execute("UPDATE source SET bytes = ?, data = ?", (1 << 28, bomb))
    db.commit()
    db.close()
    tracemalloc.start()
    try:
        hostile.run_commands(tmp_path, process.traces[0].id)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_column_that_is_computed_has_a_limit(tmp_path: Path) -> None:
    """A table in a file from somebody else may have columns that it works out."""
    path = tmp_path / "x.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE block (id, bytes AS (zeroblob(900000000)))")
    db.execute("INSERT INTO block (id) VALUES (1)")
    db.commit()
    db.close()
    with connect(path) as opened, pytest.raises(DatabaseError, match="too big"):
        opened.execute("SELECT bytes FROM block")


def test_a_virtual_table_is_none_of_ours(tmp_path: Path) -> None:
    process = hostile.program([b""])
    path = process.segment_path(process.write(tmp_path))
    db = sqlite3.connect(path)
    db.execute("PRAGMA writable_schema = ON")
    db.execute("DELETE FROM sqlite_master WHERE name LIKE 'sqlite_autoindex_block%'")
    db.execute(
        "UPDATE sqlite_master SET rootpage = 0, "
        "sql = 'CREATE VIRTUAL TABLE block USING theirs(x)' WHERE name = 'block'"
    )
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="not one of kolo_c"):
        Segment(path)
