"""A trace's headers tell what is open and what ends where, without the blocks."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kolo_c.cli.view import Options, View
from kolo_c.model.ends import fetch_begin, fetch_end, fill_ends
from kolo_c.model.node import Node
from kolo_c.store import records as r
from kolo_c.store.blocks import Block
from kolo_c.store.reader import Store
from kolo_c.store.record_decoding import decode_records, make_record, skim_records
from kolo_c.store.trace import Stream
from kolo_c.wire import Kind, Mark
from tests.unit.store_builder import Owner, ProcessBuilder, StreamBuilder


class Recorded:
    """What a stream does, and blocks that end where the test says so."""

    def __init__(self) -> None:
        self.process = ProcessBuilder()
        file = self.process.file("/app/deep.py")
        self.code = self.process.code(file, "f", ("n",))
        self.trace = self.process.trace("deep.py")
        self.stream: StreamBuilder = self.trace.stream(self.process.thread("main"))

    def open(self, directory: Path, blocks: Any = None) -> Store:
        self.trace.end()
        return Store(self.process.write(directory, blocks=blocks))


STEPS = st.lists(
    st.sampled_from(["call", "call", "call", "ret", "ret", "cut", "yield", "resume",
                     "mark"]),
    max_size=60,
)  # fmt: skip


def play(recorded: Recorded, steps: list[str]) -> None:
    stream = recorded.stream
    suspended: list[int] = []
    for step in steps:
        if step == "call":
            stream.call(recorded.code, 1)
        elif step == "cut":
            stream.cut()
        elif step == "resume" and suspended:
            stream.resume(suspended.pop(), recorded.code)
        elif step == "mark" and stream.stack:
            stream.mark(Mark.LOST, 3, len(stream.stack) // 2)
        elif step == "ret" and stream.stack:
            stream.ret(2)
        elif step == "yield" and stream.stack:
            suspended.append(stream.stack[-1][0])
            stream.yields()


def opens_forwards(blocks: list[Block]) -> list[list[int]]:
    """What wire-format.md says of the calls open at the start of each block."""
    opens = [fit([], blocks[0])]
    for before, block in pairwise(blocks):
        opens.append(fit([*opens[-1][: before.least_depth], *before.opens()], block))
    return opens


def fit(opens: list[int], block: Block) -> list[int]:
    depth = block.start_depth
    return [*opens[:depth], *([0] * (depth - len(opens)))]


class TestOpens:
    @given(STEPS, st.lists(st.integers(0, 20), max_size=6), st.sets(st.integers(0, 20)))
    @settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture],
        deadline=None,
        max_examples=150,
    )
    def test_backwards_gives_what_forwards_gives(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        steps: list[str],
        order: list[int],
        missing: set[int],
    ) -> None:
        recorded = Recorded()
        recorded.stream.call(recorded.code, 0)
        play(recorded, steps)
        recorded.stream.cut()
        kept = [
            block
            for number, block in enumerate(recorded.stream.blocks)
            if number not in missing
        ]
        path = tmp_path_factory.mktemp("opens")
        with recorded.open(path, kept) as store:
            trace = store.trace()
            if not trace.streams:
                return
            stream = trace.streams[0]
            expected = opens_forwards(stream.blocks)
            for index in [*order, *range(len(expected))]:
                if index < len(expected):
                    assert stream.opens_at(index) == expected[index]
            assert trace.decoded_blocks == 0

    def test_what_is_given_may_be_changed(self, tmp_path: Path) -> None:
        recorded = Recorded()
        play(recorded, ["call", "cut", "call", "cut"])
        with recorded.open(tmp_path) as store:
            stream = store.trace().streams[0]
            stream.opens_at(1).append(99)
            assert stream.opens_at(1) == [1]


def tails_read(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sequences of the blocks whose closes and opens are read from here on."""
    read: list[int] = []
    for block in stream.blocks:

        def fetch(sequence: int = block.sequence, fetch: Any = block.fetch_tail) -> Any:
            read.append(sequence)
            return fetch()

        monkeypatch.setattr(block, "fetch_tail", fetch)
    return read


def open_node(number: int) -> Node:
    node = Node(1, number, 1, None, None)
    node.start_ns = 0
    return node


class TestEnds:
    def long(self, tmp_path: Path) -> Store:
        """main, and 40 blocks of a call each below it: the last ends main."""
        recorded = Recorded()
        stream = recorded.stream
        stream.call(recorded.code, "main")
        for number in range(40):
            stream.call(recorded.code, number)
            stream.cut()
            stream.ret(number)
        stream.ret("the end")
        return recorded.open(tmp_path)

    def test_an_end_is_looked_for_where_the_stack_got_less_deep(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with self.long(tmp_path) as store:
            trace = store.trace()
            stream = trace.streams[0]
            assert len(stream.blocks) == 41
            read = tails_read(stream, monkeypatch)
            main, call = open_node(1), open_node(21)
            fill_ends(stream, [main, call], 20)
            # What is open at block 20: main, from the first, and the call in the 19th.
            assert sorted(set(read)) == [0, 19, 20, 40]
            assert trace.decoded_blocks == 0
            assert (main.end_kind, call.end_kind) == (Kind.RETURN, Kind.RETURN)
            fetch_end(stream, main)
            fetch_end(stream, call)
            fetch_begin(stream, main)
            assert isinstance(main.end, r.Return) and main.end.value == "the end"
            assert isinstance(call.end, r.Return) and call.end.value == 19
            assert isinstance(main.begin, r.Call) and main.begin.arguments == ["main"]
            assert trace.decoded_blocks == 3

    def test_what_was_suspended_is_found_wherever_it_ends(self, tmp_path: Path) -> None:
        recorded = Recorded()
        stream = recorded.stream
        stream.call(recorded.code, "main")
        generator = stream.call(recorded.code, "generator")
        stream.cut()
        stream.yields(1)
        stream.cut()
        for _ in range(3):
            stream.call(recorded.code, "deeper")
        stream.resume(generator, recorded.code)
        stream.cut()
        stream.ret("last")  # deeper than where it was suspended
        stream.cut()
        for _ in range(4):
            stream.ret()
        with recorded.open(tmp_path) as store:
            read = store.trace().streams[0]
            node = open_node(generator)
            fill_ends(read, [node], 1)
            fetch_end(read, node)
            assert isinstance(node.end, r.Return) and node.end.value == "last"
            assert read.endings(3)[generator][1] == 5

    @given(STEPS)
    @settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture],
        deadline=None,
        max_examples=150,
    )
    def test_ends_are_those_that_all_headers_name(
        self, tmp_path_factory: pytest.TempPathFactory, steps: list[str]
    ) -> None:
        recorded = Recorded()
        recorded.stream.call(recorded.code, 0)
        play(recorded, steps)
        recorded.stream.cut()
        with recorded.open(tmp_path_factory.mktemp("ends")) as store:
            stream = store.trace().streams[0]
            for index in range(len(stream.blocks) + 1):
                closes = list(stream.closes_from(index))
                wanted = {close.node for close in closes} | {1}
                pending = set(wanted)
                found = []
                for close in stream.closes_of(pending, index):
                    pending.discard(close.node)
                    found.append(close)
                first = {}
                for close in closes:
                    first.setdefault(close.node, close)
                assert {close.node: close for close in found} == first
                for close in closes:
                    at = [b.sequence for b in stream.blocks].index(close.sequence)
                    record = stream.endings(at)[close.node][0]
                    assert record is not None
                    assert (record.ns, record.kind) == (close.end_ns, close.kind)

    def test_a_first_record_is_found_decoded_or_not(self, tmp_path: Path) -> None:
        with self.long(tmp_path) as store:
            stream = store.trace().streams[0]
            fresh = [stream.first_record(node) for node in range(43)]
            for index in range(len(stream.blocks)):
                stream.decode(index)
                node = index + 2
                assert stream.first_record(node) == fresh[node]
            assert fresh[0] is None and fresh[42] is None
            assert [record.node for record in fresh[1:42] if record] == list(
                range(1, 42)
            )


class TestSkim:
    def test_records_that_are_skimmed_are_those_that_are_decoded(self) -> None:
        recorded = Recorded()
        play(recorded, ["call", "call", "yield", "resume", "mark", "call", "ret"])
        recorded.stream.cut()
        (block,) = recorded.stream.blocks
        data = bytes(block.data)
        made = [make_record(*each) for each in skim_records(data, 5, 7)]
        assert made == decode_records(data, 5, 7).records and len(made) == 7

    def test_skimming_ends_at_damage(self) -> None:
        recorded = Recorded()
        play(recorded, ["call", "call"])
        recorded.stream.cut()
        data = bytes(recorded.stream.blocks[0].data)
        assert len(list(skim_records(data + b"\xc1", 0, 1))) == 2
        assert len(list(skim_records(data[:-1], 0, 1))) == 1
        assert make_record(0, 1, [0, 1, "no code", None]) is None
        assert make_record(0, 1, [99]) is None


class TestWindows:
    """Of a long trace a screen reads a few blocks, and the rest not at all."""

    BLOCKS = 30
    NODES_A_BLOCK = 1000

    def long(self, tmp_path: Path, *, running: bool) -> Path:
        """main and very many calls below it; half of it in the mapping of a process
        that runs, or all of it in the segment of one that has ended."""
        recorded = Recorded()
        stream = recorded.stream
        stream.call(recorded.code, "main")
        for number in range(self.BLOCKS):
            stream.call(recorded.code, "outer")
            for inner in range(self.NODES_A_BLOCK - 1):
                stream.call(recorded.code, inner, after=1_000)
                stream.ret([number, inner], after=1_000)
            if number % 2:
                stream.cut()
            stream.ret(after=1_000)
            stream.cut()
        if not running:
            stream.ret("the end")
            recorded.trace.end()
            recorded.process.write(tmp_path)
            return tmp_path
        recorded.process.ended = False
        half = stream.blocks[: self.BLOCKS // 2]
        recorded.process.write(tmp_path, blocks=half)
        recorded.process.write_mapping(tmp_path, stream.blocks[self.BLOCKS // 2 - 3 :])
        return tmp_path

    @pytest.mark.parametrize("running", [False, True], ids=["ended", "running"])
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"max_lines": 100, "folds": False}, ("  1  f(n='main')", "f(n=97) → [0, 97]")),
            ({"around": 15000, "max_lines": 100}, ("15000  ",)),
            ({"tail": 100, "folds": False}, ("f(n=998) → [29, 998]",)),
            ({"thread": "main", "max_lines": 100}, ("  1  f(n='main')",)),
        ],
        ids=["first", "middle", "last", "thread"],
    )  # fmt: skip
    def test_a_screen_reads_a_few_blocks(
        self,
        tmp_path: Path,
        running: bool,
        options: dict[str, Any],
        expected: tuple[str, ...],
    ) -> None:
        path = self.long(tmp_path, running=running)
        with self.owned(path, running=running), Store(path / ".kolo_c") as store:
            trace = store.trace()
            assert len(trace.streams[0].blocks) >= self.BLOCKS
            file = io.StringIO()
            View(trace, Options(**options)).write(file)
            for text in expected:
                assert text in file.getvalue()
            main = "the end" if not running else "running"
            assert main in file.getvalue()
            assert trace.decoded_blocks <= 6

    @contextlib.contextmanager
    def owned(self, path: Path, *, running: bool) -> Iterator[None]:
        """The lock that a process that runs has."""
        if not running:
            yield
            return
        (mapping,) = (path / ".kolo_c" / "segments").glob("*.map")
        with Owner(mapping):
            yield
