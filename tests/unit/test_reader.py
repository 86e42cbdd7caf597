"""The reader: what the builder wrote comes back, from segments and from mappings."""

from __future__ import annotations

import datetime
import decimal
import math
import os
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import pytest

from kolo_c.errors import StoreError, StoreNotFound, TraceNotFound, harmless
from kolo_c.store import values as v
from kolo_c.store.catalogue import shortest_endings
from kolo_c.store.definitions import Definitions, TypeName
from kolo_c.store.jsonable import value_json
from kolo_c.store.locate import find_store
from kolo_c.store.reader import Store
from kolo_c.store.record_decoding import decode_records
from kolo_c.store.records import Call, Raise, Return
from kolo_c.store.recovery import recover_dead
from kolo_c.store.retention import apply_retention
from kolo_c.store.text import value_text
from kolo_c.wire import Definition, Kind, Tag
from tests.unit.store_builder import (
    Owner,
    ProcessBuilder,
    StreamBuilder,
    TraceBuilder,
    pack,
    tagged,
    ulid,
)


def one_call(
    process: ProcessBuilder, name: str = "shop.py"
) -> tuple[TraceBuilder, StreamBuilder]:
    """A trace with a call that has returned, in a block of its own."""
    code = process.code(process.file("/app/shop.py"), "main", ("n",))
    trace = process.trace(name)
    stream = trace.stream(process.thread("MainThread"))
    stream.call(code, 3)
    stream.ret("done")
    stream.cut()
    return trace, stream


def read_value(wire: Any) -> Any:
    """What the reader makes of one value."""
    record = decode_records(pack([1, 0, wire]), 0, 1).records[0]
    assert isinstance(record, Return)
    return record.value


class TestStore:
    def test_a_trace_is_read_back(self, tmp_path: Path) -> None:
        process = ProcessBuilder()
        trace, _ = one_call(process)
        trace.counters = {"calls": 1, "skipped": 7}
        trace.end()
        with Store(process.write(tmp_path)) as store:
            (info,) = store.traces()
            assert (info.id, info.row.name, info.status) == (
                trace.id,
                "shop.py",
                "complete",
            )
            assert (info.calls, info.count("skipped")) == (1, 7)
            assert info.duration_ns == 2000
            records = list(store.trace(trace.id).streams[0].records())
        call, ret = records
        assert isinstance(call, Call) and isinstance(ret, Return)
        assert (call.node, call.arguments, ret.value) == (1, [3], "done")
        assert ret.ns - call.ns == 1000

    def test_missing_counters_and_unknown_info_break_nothing(
        self, tmp_path: Path
    ) -> None:
        process = ProcessBuilder()
        trace, _ = one_call(process)
        trace.end()
        store_path = process.write(tmp_path)
        db = sqlite3.connect(process.segment_path(store_path))
        db.execute("UPDATE process SET info = 'not json'")
        db.execute("UPDATE trace SET counters = '[]', attributes = '{'")
        db.commit()
        db.close()
        with Store(store_path) as store:
            (info,) = store.traces()
            assert info.calls == 1
            assert info.counters == {} and info.process.info == {}

    def test_a_trace_over_two_segments_is_one(self, tmp_path: Path) -> None:
        process = ProcessBuilder()
        trace, stream = one_call(process)
        code = 2
        for _ in range(3):
            stream.call(code, 0)
            stream.ret(None)
            stream.cut()
        first, second = stream.blocks[:2], stream.blocks[2:]
        process.write(tmp_path, blocks=first, segment=0)
        trace.end()
        with Store(process.write(tmp_path, blocks=second, segment=1)) as store:
            (info,) = store.traces()
            assert info.status == "complete"
            read = store.trace().streams[0]
            assert [block.sequence for block in read.blocks] == [0, 1, 2, 3]
            assert len(list(read.records())) == 8

    def test_compressed_blocks_are_read(self, tmp_path: Path) -> None:
        zstandard = pytest.importorskip("zstandard")
        process = ProcessBuilder()
        trace, _ = one_call(process)
        trace.end()
        compress = zstandard.ZstdCompressor().compress
        with Store(process.write(tmp_path, compress=compress)) as store:
            assert len(list(store.trace().streams[0].records())) == 2

    def test_what_is_read_of_a_closed_store_is_not_called_damaged(
        self, tmp_path: Path
    ) -> None:
        process = ProcessBuilder()
        one_call(process)[0].end()
        with Store(process.write(tmp_path)) as store:
            trace = store.trace()
        with pytest.raises(StoreError, match="the connection is closed") as raised:
            _ = trace.definitions
        assert raised.value.name == "store-closed"

    def test_reading_leaves_no_files_behind(self, tmp_path: Path) -> None:
        process = ProcessBuilder()
        one_call(process)[0].end()
        path = process.write(tmp_path)
        before = sorted(os.listdir(path / "segments"))
        with Store(path) as store:
            list(store.trace().streams[0].records())
        assert sorted(os.listdir(path / "segments")) == before


class TestMapping:
    def test_a_running_process_is_read_from_mapping_and_segment(
        self, tmp_path: Path
    ) -> None:
        process = ProcessBuilder()
        process.ended = False
        _, stream = one_call(process)
        stream.call(2, 4)
        assert stream.block is not None
        stream.block.state = 1
        path = process.write(tmp_path, blocks=stream.blocks[:1])
        # The first block is in both places: it must be seen once.
        with (
            Owner(process.write_mapping(tmp_path, stream.blocks)),
            Store(path) as store,
        ):
            (info,) = store.traces()
            assert (info.status, info.nodes) == ("running", 2)
            read = store.trace().streams[0]
            assert [block.sequence for block in read.blocks] == [0, 1]
            assert [record.kind for record in read.records()] == [
                Kind.CALL,
                Kind.RETURN,
                Kind.CALL,
            ]

    def test_a_dead_process_is_interrupted(self, tmp_path: Path) -> None:
        process = ProcessBuilder()
        process.ended = False
        _, stream = one_call(process)
        path = process.write(tmp_path, blocks=[])
        process.write_mapping(tmp_path, stream.blocks)
        with Store(path) as store:
            (info,) = store.traces()
            assert info.status == "interrupted"
            assert info.duration_ns == 2000
            assert len(list(store.trace().streams[0].records())) == 2

    def test_a_mapping_without_segment_is_enough(self, tmp_path: Path) -> None:
        process = ProcessBuilder()
        trace, stream = one_call(process)
        process.write_mapping(tmp_path, stream.blocks)
        with Store(tmp_path / ".kolo_c") as store:
            (info,) = store.traces()
            assert (info.id, info.status) == (trace.id, "interrupted")
            read = store.trace()
            assert read.definitions.code(2).qualname == "main"
            assert read.streams[0].name == "MainThread"

    def test_an_empty_segment_file_is_what_a_death_while_opening_leaves(
        self, tmp_path: Path
    ) -> None:
        process = ProcessBuilder()
        _, stream = one_call(process)
        process.write_mapping(tmp_path, stream.blocks)
        process.segment_path(tmp_path / ".kolo_c").touch()
        with Store(tmp_path / ".kolo_c") as store:
            assert len(store.traces()) == 1

    def test_the_end_of_a_trace_may_be_in_the_mapping_alone(
        self, tmp_path: Path
    ) -> None:
        process = ProcessBuilder()
        process.ended = False
        trace, stream = one_call(process)
        path = process.write(tmp_path, blocks=[])
        process.define(
            Definition.TRACE_END, trace.number, process.now_ns, "exit",
            '{"calls": 1}', "renamed", None,
        )  # fmt: skip
        with (
            Owner(process.write_mapping(tmp_path, stream.blocks)),
            Store(path) as store,
        ):
            (info,) = store.traces()
            assert (info.status, info.row.name, info.calls) == (
                "complete",
                "renamed",
                1,
            )

    def test_a_dead_mapping_is_recovered_once(self, tmp_path: Path) -> None:
        process = ProcessBuilder()
        _, stream = one_call(process)
        mapping = process.write_mapping(tmp_path, stream.blocks)
        calls = []

        class Extension:
            @staticmethod
            def recover(
                path: str, schema: str, version: int, level: int
            ) -> dict[str, int]:
                calls.append((path, "CREATE TABLE trace" in schema, version))
                return {}

        with Owner(mapping):
            assert recover_dead(tmp_path / ".kolo_c", Extension) == []
        assert calls == []
        assert recover_dead(tmp_path / ".kolo_c", Extension) == []
        assert calls == [(str(mapping), True, 1)]

    def test_a_recovery_that_fails_is_said(self, tmp_path: Path) -> None:
        process = ProcessBuilder()
        _, stream = one_call(process)
        mapping = process.write_mapping(tmp_path, stream.blocks)

        class Extension:
            @staticmethod
            def recover(*args: Any) -> None:
                raise RuntimeError("the disk is full")

        (problem,) = recover_dead(tmp_path / ".kolo_c", Extension)
        assert str(mapping) in problem and "the disk is full" in problem


class TestHeaders:
    def deep(self, tmp_path: Path) -> tuple[Path, StreamBuilder]:
        """Calls nested over blocks: 1, 2 in the first, 3 in the second, …"""
        process = ProcessBuilder()
        code = process.code(process.file("/app/a.py"), "f")
        trace = process.trace("deep")
        stream = trace.stream(process.thread("MainThread"))
        stream.call(code)
        stream.call(code)
        stream.cut()
        stream.call(code)
        stream.cut()
        stream.ret()
        stream.ret()
        stream.call(code)
        stream.cut()
        stream.ret()
        stream.ret()
        trace.end()
        return process.write(tmp_path), stream

    def test_open_calls_come_from_headers(self, tmp_path: Path) -> None:
        path, _ = self.deep(tmp_path)
        with Store(path) as store:
            trace = store.trace()
            stream = trace.streams[0]
            assert [stream.opens_at(index) for index in range(4)] == [
                [],
                [1, 2],
                [1, 2, 3],
                [1, 4],
            ]
            assert [
                (close.node, close.sequence) for close in stream.closes_from(0)
            ] == [
                (3, 2),
                (2, 2),
                (4, 3),
                (1, 3),
            ]
            assert trace.decoded_blocks == 0

    def test_a_node_is_found_by_headers(self, tmp_path: Path) -> None:
        path, _ = self.deep(tmp_path)
        with Store(path) as store:
            stream = store.trace().streams[0]
            assert [stream.find_block(node) for node in range(6)] == [
                None,
                0,
                0,
                1,
                2,
                None,
            ]

    def test_threads_are_numbered_as_they_joined(self, tmp_path: Path) -> None:
        process = ProcessBuilder()
        code = process.code(process.file("/app/a.py"), "f")
        trace = process.trace("threads")
        late, early = process.thread("late"), process.thread("early")
        for number in (early, late):
            stream = trace.stream(number)
            stream.call(code)
            stream.ret()
        trace.end()
        with Store(process.write(tmp_path)) as store:
            read = store.trace()
            assert [stream.name for stream in read.streams] == ["early", "late"]
            assert read.stream(2).name == "late"
            with pytest.raises(TraceNotFound, match="no thread 3"):
                read.stream(3)


class TestCatalogue:
    def traces(self, tmp_path: Path, ids: list[str]) -> Path:
        for id in ids:
            process = ProcessBuilder()
            trace = process.trace(id[-4:], id=id)
            trace.end()
            path = process.write(tmp_path)
        return path

    def test_an_ending_names_a_trace(self, tmp_path: Path) -> None:
        ids = ["trc_" + ulid("AAA7QK"), "trc_" + ulid("BBB7QK"), "trc_" + ulid("XYZ")]
        with Store(self.traces(tmp_path, ids)) as store:
            assert store.trace("xyz").id == ids[2]
            assert store.trace("B7QK").id == ids[1]
            assert store.trace(ids[0]).id == ids[0]
            with pytest.raises(TraceNotFound, match="2 traces") as raised:
                store.trace("7QK")
            assert ids[0] in raised.value.message and "more of" in raised.value.hint
            with pytest.raises(TraceNotFound, match="too short"):
                store.trace("QK")
            with pytest.raises(
                TraceNotFound, match="no trace ends in 'nope'"
            ) as raised:
                store.trace("nope")
            assert "kolo-c list" in raised.value.hint

    def test_a_mistyped_ending_gets_the_nearest_and_a_name_its_trace(
        self, tmp_path: Path
    ) -> None:
        ids = ["trc_" + ulid("AAA7QK"), "trc_" + ulid("BBBXYZ")]
        with Store(self.traces(tmp_path, ids)) as store:
            with pytest.raises(TraceNotFound) as raised:
                store.trace("a7wk")
            assert "Did you mean A7QK, A7QK?" in raised.value.hint
            with pytest.raises(TraceNotFound) as raised:
                store.trace("bxy")  # a part of its name
            assert "The newest trace of that name is BBXYZ" in raised.value.hint

    def test_the_shortest_endings_tell_all_apart(self) -> None:
        ids = ["trc_0AAA7QK", "trc_0BBB7QK", "trc_000XYZ", "trc_000XYY"]
        endings = shortest_endings(ids)
        assert endings == {ids[0]: 4, ids[1]: 4, ids[2]: 3, ids[3]: 3}
        for id in ids:
            ending = id[-endings[id] :]
            assert [other for other in ids if other.endswith(ending)] == [id]

    def test_the_latest_comes_first_and_old_files_stay_closed(
        self, tmp_path: Path
    ) -> None:
        old = ProcessBuilder()
        one_call(old, "old")[0].end()
        old.write(tmp_path)
        new = ProcessBuilder()
        new.now_ns += 10**12
        one_call(new, "new")[0].end()
        path = new.write(tmp_path)
        os.utime(old.segment_path(path), (1000, 1000))
        with Store(path) as store:
            assert [info.row.name for info in store.traces(1)] == ["new"]
            assert list(store.catalogue._opened) == [new.id]
            assert [info.row.name for info in store.traces()] == ["new", "old"]

    def test_no_traces_is_said(self, tmp_path: Path) -> None:
        (tmp_path / ".kolo_c" / "segments").mkdir(parents=True)
        with Store(tmp_path / ".kolo_c") as store:
            assert store.traces() == []
            with pytest.raises(TraceNotFound, match="no traces in"):
                store.trace()


class TestLocate:
    def test_the_store_is_searched_upwards(self, tmp_path: Path) -> None:
        (tmp_path / ".kolo_c" / "segments").mkdir(parents=True)
        below = tmp_path / "a" / "b"
        below.mkdir(parents=True)
        assert find_store(below, {}) == tmp_path / ".kolo_c"

    def test_a_folder_without_segments_is_no_store(self, tmp_path: Path) -> None:
        (tmp_path / ".kolo_c" / "segments").mkdir(parents=True)
        (tmp_path / "a" / ".kolo_c").mkdir(parents=True)
        assert find_store(tmp_path / "a", {}) == tmp_path / ".kolo_c"

    def test_a_path_that_is_named_is_not_searched_from(self, tmp_path: Path) -> None:
        (tmp_path / ".kolo_c" / "segments").mkdir(parents=True)
        environ = {"KOLO_C_PATH": str(tmp_path)}
        assert find_store(Path("/"), environ) == tmp_path / ".kolo_c"
        with pytest.raises(StoreNotFound, match="KOLO_C_PATH"):
            find_store(tmp_path, {"KOLO_C_PATH": str(tmp_path / "gone")})

    def test_nothing_found_says_where_it_looked(self, tmp_path: Path) -> None:
        with pytest.raises(StoreNotFound, match=str(tmp_path)) as raised:
            find_store(tmp_path, {"HOME": str(tmp_path)})
        assert "kolo-c run" in raised.value.hint


class TestRetention:
    def store(
        self, tmp_path: Path, ages: list[int]
    ) -> tuple[Path, list[ProcessBuilder]]:
        processes = []
        for seconds in ages:
            process = ProcessBuilder()
            one_call(process)[0].end()
            path = process.write(tmp_path)
            os.utime(process.segment_path(path), (seconds, seconds))
            processes.append(process)
        return path, processes

    def test_what_is_too_old_goes(self, tmp_path: Path) -> None:
        path, (old, young) = self.store(tmp_path, [1000, 200_000])
        now_ns = 200_000 * 10**9
        removed = apply_retention(path, max_bytes=None, keep_days=1, now_ns=now_ns)
        assert (removed.segments, removed.failed) == (1, 0)
        assert not old.segment_path(path).exists()
        assert young.segment_path(path).exists()

    def test_the_oldest_go_until_the_rest_fits(self, tmp_path: Path) -> None:
        path, processes = self.store(tmp_path, [3000, 1000, 2000])
        size = processes[0].segment_path(path).stat().st_size
        apply_retention(path, max_bytes=size, keep_days=None)
        left = [process.segment_path(path).exists() for process in processes]
        assert left == [True, False, False]

    def test_a_living_process_keeps_its_segments(self, tmp_path: Path) -> None:
        path, (process,) = self.store(tmp_path, [1000])
        with Owner(process.write_mapping(tmp_path, [])):
            apply_retention(path, max_bytes=0, keep_days=0)
        assert process.segment_path(path).exists()

    def test_a_mapping_that_was_never_finished_goes(self, tmp_path: Path) -> None:
        path, _ = self.store(tmp_path, [1000])
        half = path / "segments" / "01M7Y5MGC1CQV45K7KS3VDGG52.map.new"
        half.write_bytes(b"")
        apply_retention(path, max_bytes=None, keep_days=None)
        assert half.exists(), "its process may still be at it"
        os.utime(half, (1000, 1000))
        apply_retention(path, max_bytes=None, keep_days=None)
        assert not half.exists()

    def test_what_is_not_recovered_yet_stays(self, tmp_path: Path) -> None:
        path, (process,) = self.store(tmp_path, [1000])
        process.write_mapping(tmp_path, [])
        apply_retention(path, max_bytes=0, keep_days=0)
        assert process.segment_path(path).exists()


DEFINITIONS = Definitions()
DEFINITIONS._found.update(
    {1: TypeName("shop", "Cart"), 2: TypeName("builtins", "ValueError")}
)
VALUES = [
    (None, None, "None", None),
    (True, True, "True", True),
    (-3, -3, "-3", -3),
    (2**64 - 1, 2**64 - 1, str(2**64 - 1), 2**64 - 1),
    (1.5, 1.5, "1.5", 1.5),
    (math.inf, math.inf, "inf", {"$": "float", "value": "inf"}),
    ("é", "é", "'é'", "é"),
    ("\ud800", "\ud800", r"'\ud800'", "\ud800"),
    (b"\x00a", b"\x00a", r"b'\x00a'", {"$": "bytes", "base64": "AGE="}),
    ([1, [2]], [1, [2]], "[1, [2]]", [1, [2]]),
    ({"a": 1}, v.Dict((("a", 1),)), "{'a': 1}", {"a": 1}),
    ({}, v.Dict(()), "{}", {}),
    ({1: 2}, v.Dict(((1, 2),)), "{1: 2}", {"$": "dict", "items": [[1, 2]]}),
    (tagged(Tag.TUPLE, 1), v.Items(Tag.TUPLE, (1,)), "(1,)",
     {"$": "tuple", "items": [1]}),
    (tagged(Tag.SET), v.Items(Tag.SET, ()), "set()", {"$": "set", "items": []}),
    (tagged(Tag.FROZENSET, 1, 2), v.Items(Tag.FROZENSET, (1, 2)), "frozenset({1, 2})",
     {"$": "frozenset", "items": [1, 2]}),
    (tagged(Tag.CUT_STR, "ab", 9000), v.CutText("ab", 9000), "'ab' … 9,000 characters",
     {"$": "str", "value": "ab", "length": 9000, "cut": True}),
    (tagged(Tag.CUT_BYTES, b"ab", 9), v.CutBytes(b"ab", 9), "b'ab' … 9 bytes",
     {"$": "bytes", "base64": "YWI=", "length": 9, "cut": True}),
    (tagged(Tag.CUT_ITEMS, 0, 9, 1, 2), v.CutItems(0, 9, (1, 2)), "[1, 2, … 7 more]",
     {"$": "list", "length": 9, "items": [1, 2], "cut": True}),
    (tagged(Tag.CUT_ITEMS, 20, 9, "k", 2), v.CutItems(20, 9, ("k", 2)),
     "{'k': 2, … 8 more}",
     {"$": "dict", "length": 9, "items": [["k", 2]], "cut": True}),
    (tagged(Tag.CUT_ITEMS, 21, 9, 1, 0x7F, "k", 2),
     v.CutItems(21, 9, (1, 0x7F, "k", 2)), "Cart(k=2, … 8 more)",
     {"$": "object", "type": "shop.Cart", "length": 9, "fields": {"k": 2}, "cut": True}),
    (tagged(Tag.CUT_ITEMS, 23, 9, 1, "k", 2), v.CutItems(23, 9, (1, "k", 2)),
     "Cart(k=2, … 8 more)",
     {"$": "object", "type": "shop.Cart", "length": 9, "fields": {"k": 2}, "cut": True}),
    (tagged(Tag.CUT_ITEMS, 21, 9, "x"), v.CutItems(21, 9, ("x",)),
     "<'x', … 8 more>",
     {"$": "container", "length": 9, "items": ["x"], "cut": True}),
    (tagged(Tag.CUT, 1, None), v.Cut(1, None), "<Cart …>",
     {"$": "cut", "type": "shop.Cart", "length": None}),
    (tagged(Tag.BIGINT, (10**30).to_bytes(16, "little")), 10**30, str(10**30), 10**30),
    (tagged(Tag.BIGINT, (-(10**30)).to_bytes(16, "little", signed=True)), -(10**30),
     str(-(10**30)), -(10**30)),
    (tagged(Tag.BIGINT, 99999), v.CutInt(99999), "<int of 99,999 bits>",
     {"$": "int", "bits": 99999, "cut": True}),
    (tagged(Tag.COMPLEX, 1.0, -2.0), 1 - 2j, "(1-2j)",
     {"$": "complex", "value": "(1-2j)"}),
    (tagged(Tag.RANGE, 1, 9, 2), range(1, 9, 2), "range(1, 9, 2)",
     {"$": "range", "start": 1, "stop": 9, "step": 2}),
    (tagged(Tag.DATETIME, 2026, 1, 2, 3, 4, 5, 6, 0, 3600),
     datetime.datetime(2026, 1, 2, 3, 4, 5, 6,
                       datetime.timezone(datetime.timedelta(hours=1))),
     "2026-01-02 03:04:05.000006+01:00",
     {"$": "datetime", "value": "2026-01-02T03:04:05.000006+01:00"}),
    (tagged(Tag.DATE, 2026, 1, 2), datetime.date(2026, 1, 2), "2026-01-02",
     {"$": "date", "value": "2026-01-02"}),
    (tagged(Tag.TIME, 1, 2, 3, 0, 1), datetime.time(1, 2, 3, fold=1), "01:02:03",
     {"$": "time", "value": "01:02:03"}),
    (tagged(Tag.TIMEDELTA, 1, 2, 3), datetime.timedelta(1, 2, 3),
     "datetime.timedelta(days=1, seconds=2, microseconds=3)",
     {"$": "timedelta", "days": 1, "seconds": 2, "microseconds": 3}),
    (tagged(Tag.DECIMAL, "1.10"), decimal.Decimal("1.10"), "Decimal('1.10')",
     {"$": "decimal", "value": "1.10"}),
    (tagged(Tag.UUID, bytes(16)), uuid.UUID(int=0), f"UUID('{uuid.UUID(int=0)}')",
     {"$": "uuid", "value": str(uuid.UUID(int=0))}),
    (tagged(Tag.PATH, 1, "/tmp/x"), v.File(1, "/tmp/x"), "Cart('/tmp/x')",
     {"$": "path", "type": "shop.Cart", "path": "/tmp/x"}),
    (tagged(Tag.ENUM, 1, "", 0), v.Member(1, "", 0), "Cart(0)",
     {"$": "enum", "type": "shop.Cart", "name": "", "value": 0}),
    (tagged(Tag.ENUM, 1, "RED", 3), v.Member(1, "RED", 3), "Cart.RED",
     {"$": "enum", "type": "shop.Cart", "name": "RED", "value": 3}),
    (tagged(Tag.BYTEARRAY, b"a"), bytearray(b"a"), "bytearray(b'a')",
     {"$": "bytearray", "base64": "YQ=="}),
    (tagged(Tag.DICT, 1, 255, 2, "k", 1), v.DictObject(1, 255, 2, (("k", 1),)),
     "Cart({'k': 1, … 1 more})",
     {"$": "dict", "type": "shop.Cart", "address": "0xff", "length": 2,
      "items": [["k", 1]]}),
    (tagged(Tag.OBJECT, 1, 255, "n", 2), v.Object(1, 255, (("n", 2),)), "Cart(n=2)",
     {"$": "object", "type": "shop.Cart", "address": "0xff", "fields": {"n": 2}}),
    (tagged(Tag.REF, 1, 255), v.Ref(1, 255), "<Cart>",
     {"$": "ref", "type": "shop.Cart", "address": "0xff"}),
    (tagged(Tag.NAMEDTUPLE, 1, "x", 1), v.NamedTuple(1, (("x", 1),)), "Cart(x=1)",
     {"$": "namedtuple", "type": "shop.Cart", "fields": {"x": 1}}),
    (tagged(Tag.EXCEPTION, 2, 255, tagged(Tag.TUPLE, "no")),
     v.Raised(2, 255, v.Items(Tag.TUPLE, ("no",))), "ValueError('no')",
     {"$": "exception", "type": "ValueError", "address": "0xff",
      "args": {"$": "tuple", "items": ["no"]}}),
    (tagged(Tag.FUNCTION, "shop.f"), v.Function("shop.f"), "<function shop.f>",
     {"$": "function", "name": "shop.f"}),
    (tagged(Tag.CLASS, 1), v.Class(1), "<class shop.Cart>",
     {"$": "class", "type": "shop.Cart"}),
    (tagged(Tag.MODULE, "os"), v.Module("os"), "<module os>",
     {"$": "module", "name": "os"}),
    (tagged(Tag.NDARRAY, 1, [2, 3], "f8"), v.Array(1, (2, 3), "f8"), "<Cart 2×3 f8>",
     {"$": "array", "type": "shop.Cart", "shape": [2, 3], "dtype": "f8"}),
    (tagged(Tag.CYCLE, 2), v.Cycle(2), "<the container 2 up>",
     {"$": "cycle", "levels": 2}),
    (tagged(Tag.MASKED, 12), v.Masked(12), "<masked, 12 long>",
     {"$": "masked", "length": 12}),
    (tagged(Tag.UNBOUND), v.Unbound(), "<unbound>", {"$": "unbound"}),
    (tagged(Tag.SUBCLASS, 1, 255, 5), v.Subclass(1, 255, 5), "Cart(5)",
     {"$": "subclass", "type": "shop.Cart", "address": "0xff", "value": 5}),
    (tagged(Tag.REPR, 1, 255, "<hi>"), v.Repr(1, 255, "<hi>"), "<hi>",
     {"$": "repr", "type": "shop.Cart", "address": "0xff", "text": "<hi>"}),
    (tagged(Tag.VIEW, 1, 5), v.View(1, 5), "<Cart of 5 bytes>",
     {"$": "view", "type": "shop.Cart", "length": 5}),
    (tagged(Tag.ERROR, "why"), v.Failed("why"), "<not recorded: why>",
     {"$": "failed", "reason": "why"}),
]  # fmt: skip


class TestValues:
    @pytest.mark.parametrize(("wire", "value", "text", "json"), VALUES)
    def test_a_value_has_its_object_its_text_and_its_json(
        self, wire: Any, value: Any, text: str, json: Any
    ) -> None:
        found = read_value(wire)
        assert found == value and type(found) is type(value)
        assert value_text(found, DEFINITIONS) == text
        assert value_json(found, DEFINITIONS) == json

    def test_every_tag_is_tested(self) -> None:
        seen = {wire[0].data[0] for wire, *_ in VALUES if isinstance(wire, list)
                and wire and hasattr(wire[0], "data")}  # fmt: skip
        assert seen == {int(tag) for tag in Tag}

    @pytest.mark.parametrize("tag", [*Tag, 36, 200])
    @pytest.mark.parametrize("items", [(), (None,), ("x",), (-1, "y", 2.5), ([],) * 12])
    def test_wrong_shapes_become_broken_or_something_shown(
        self, tag: int, items: tuple[Any, ...]
    ) -> None:
        found = read_value(tagged(tag, *items))
        assert len(value_text(found, DEFINITIONS, 40)) <= 40
        value_json(found, DEFINITIONS)

    def test_keys_need_not_be_hashable(self) -> None:
        key = tagged(Tag.TUPLE, 1, 2)
        packed = b"\x93\x01\x00\x81" + pack(key) + b"\x05"
        (record,) = decode_records(packed, 0, 1).records
        assert isinstance(record, Return)
        assert value_text(record.value, DEFINITIONS) == "{(1, 2): 5}"

    def test_a_text_is_bounded_however_long_the_value(self) -> None:
        for value in (["x" * 100] * 100, "y" * 10_000, [[[[1] * 99] * 99] * 99]):
            assert len(value_text(value, DEFINITIONS, 50)) == 50

    @pytest.mark.parametrize(
        "text",
        [
            "\x1b[31m",
            "\x9b31m",
            "a\rb",
            "\x07",
            "\u202eabc",
            "\u2028",
            "\ud800",
            "\x7f",
        ],
    )
    def test_what_could_harm_a_terminal_is_escaped(self, text: str) -> None:
        for shown in (harmless(text), value_text(text, DEFINITIONS)):
            assert shown.isprintable()
            assert "\\" in shown


class TestRecords:
    def test_decoding_stops_where_the_bytes_make_no_sense(self) -> None:
        good = pack([0, 5, 1, None])
        decoded = decode_records(good + b"\xc1" + good, 100, 7)
        assert [(record.node, record.ns) for record in decoded.records] == [(7, 105)]
        assert "byte" in decoded.damage

    @pytest.mark.parametrize(
        "record",
        [[], [0], [0, 1], [99, 1], ["x", 1], [1, -5, None], [0, 1, "code", None],
         [2, 0, None], [9, 0, 5, {}], "text", 7, {"a": 1}],
    )  # fmt: skip
    def test_what_is_no_record_is_damage(self, record: Any) -> None:
        assert decode_records(pack(record), 0, 1).damage

    def test_a_raise_of_unknown_type_is_none(self) -> None:
        (record,) = decode_records(pack([2, 0, None, 4, 1]), 0, 1).records
        assert isinstance(record, Raise)
        assert (record.exception, record.offset, record.locals) == (None, 4, [1])


class TestDefinitions:
    def test_only_the_pieces_that_are_needed_are_decoded(self, tmp_path: Path) -> None:
        process = ProcessBuilder()
        file = process.file("/app/a.py")
        numbers = []
        for index in range(10):
            process.new_piece()
            numbers.append(process.code(file, f"f{index}"))
        trace = process.trace("pieces")
        trace.end()
        with Store(process.write(tmp_path)) as store:
            definitions = store.trace().definitions
            assert definitions.code(numbers[4]).qualname == "f4"
            assert definitions.decoded_pieces == 1

    def test_a_number_that_nothing_defines_has_a_stand_in(self) -> None:
        definitions = Definitions()
        assert definitions.code(5).qualname == "<code 5>"
        assert definitions.type_name(5).full == "<type 5>"
        assert definitions.task(5) is None
        assert definitions.path(5) == ""


def test_a_store_that_cannot_be_listed_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="segments"):
        Store(tmp_path)
