"""Records become trees: what calls what, how it ended, how long it took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kolo_c.model.build import build
from kolo_c.model.ends import fetch_begin, fetch_end
from kolo_c.model.exceptions import flight, is_source, own_caught
from kolo_c.model.node import Node, walk
from kolo_c.model.tree import TreeBuilder
from kolo_c.store import records as r
from kolo_c.store.reader import Store, Stream, Trace
from kolo_c.wire import Kind, Mark, Tag
from tests.unit.store_builder import ProcessBuilder, StreamBuilder, TraceBuilder, tagged


class Program:
    """One trace with one thread, and functions f, g, h to call."""

    def __init__(self) -> None:
        self.process = ProcessBuilder()
        file = self.process.file("/app/a.py")
        self.f, self.g, self.h = (self.process.code(file, name) for name in "fgh")
        self.error = self.process.type("ValueError")
        self.trace: TraceBuilder = self.process.trace("tree")
        self.stream: StreamBuilder = self.trace.stream(self.process.thread("main"))

    def raised(self, address: int = 0x10) -> list[Any]:
        """A ValueError."""
        return tagged(Tag.EXCEPTION, self.error, address, tagged(Tag.TUPLE, "no"))

    def read(self, tmp_path: Path) -> Trace:
        """Write and read it; cut blocks as the program said."""
        self.trace.end()
        self.store = Store(self.process.write(tmp_path))
        return self.store.trace()

    def build(self, tmp_path: Path, **options: Any) -> TreeBuilder:
        """The tree of its only thread."""
        return build(self.read(tmp_path).streams[0], **options)


@pytest.fixture(name="program")
def _program() -> Any:
    program = Program()
    yield program
    if hasattr(program, "store"):
        program.store.close()


def shape(roots: list[Node]) -> Any:
    """Numbers, nested as the tree is."""
    return [
        (node.number, shape(node.children)) if node.children else node.number
        for node in roots
    ]


def by_number(builder: TreeBuilder) -> dict[int, Node]:
    return {node.number: node for node in walk(builder.roots)}


def test_calls_nest(program: Program, tmp_path: Path) -> None:
    s = program.stream
    s.call(program.f)
    s.call(program.g)
    s.ret(1)
    s.call(program.g)
    s.call(program.h)
    s.ret(2)
    s.ret(3)
    s.ret(4)
    s.call(program.f)
    s.ret(5)
    builder = program.build(tmp_path)
    assert shape(builder.roots) == [(1, [2, (3, [4])]), 5]
    nodes = by_number(builder)
    assert [nodes[number].duration_ns for number in (1, 2, 3, 4, 5)] == [
        7000,
        1000,
        3000,
        1000,
        1000,
    ]
    assert isinstance(nodes[3].end, r.Return) and nodes[3].end.value == 3


def test_a_generator_is_one_node_and_has_what_its_resumes_call(
    program: Program, tmp_path: Path
) -> None:
    s = program.stream
    s.call(program.f)
    generator = s.call(program.g)
    s.yields(1)
    s.call(program.h)
    s.ret()
    s.resume(generator, program.g, after=50_000)
    s.call(program.h)
    s.ret()
    s.yields(2)
    s.cut()
    s.resume(generator, program.g, after=70_000)
    s.ret("end")
    s.ret()
    builder = program.build(tmp_path)
    assert shape(builder.roots) == [(1, [(2, [4]), 3])]
    node = by_number(builder)[2]
    assert (node.resumed, node.suspended_ns) == (2, 52_000 + 70_000)
    assert node.end is not None and not node.is_open


def test_a_generator_never_finished_is_suspended(
    program: Program, tmp_path: Path
) -> None:
    s = program.stream
    s.call(program.f)
    s.call(program.g)
    s.yields(1)
    s.ret()
    node = by_number(program.build(tmp_path))[2]
    assert node.is_open and node.suspended_since is not None


def test_notes_logs_and_regions_are_nodes(program: Program, tmp_path: Path) -> None:
    s = program.stream
    s.node(Kind.REGION, "work", {"n": 1})
    s.node(Kind.NOTE, "here", {})
    s.node(Kind.LOG, "INFO", "app", "text")
    s.pop(Kind.REGION_END, None)
    builder = program.build(tmp_path)
    assert shape(builder.roots) == [(1, [2, 3])]
    assert not builder.roots[0].left_by_exception


def test_a_call_met_in_its_middle_has_no_arguments(
    program: Program, tmp_path: Path
) -> None:
    s = program.stream
    s.node(Kind.ENTERED, program.f, 4)
    s.ret()
    node = program.build(tmp_path).roots[0]
    assert node.kind == Kind.ENTERED and node.code == program.f
    assert node.duration_ns == 1000


class TestExceptions:
    def test_an_exception_is_followed_from_its_source_to_its_handler(
        self, program: Program, tmp_path: Path
    ) -> None:
        s = program.stream
        s.call(program.f)
        s.call(program.g)
        s.call(program.h)
        s.raises(program.raised())
        s.raises(program.raised())
        s.call(program.h)
        s.ret()
        s.ret()
        builder = program.build(tmp_path)
        nodes = by_number(builder)
        assert builder.exceptions == 1
        assert is_source(nodes[3]) and not is_source(nodes[2])
        for number in (2, 3):
            found = flight(nodes[number])
            assert found.raised_in is nodes[3]
            assert found.through == (nodes[3], nodes[2])
            assert found.handled_by is nodes[1]

    def test_one_that_nobody_handles_says_so(
        self, program: Program, tmp_path: Path
    ) -> None:
        s = program.stream
        s.call(program.f)
        s.call(program.g)
        s.raises(program.raised())
        s.raises(program.raised())
        found = flight(by_number(program.build(tmp_path))[2])
        assert found.handled_by is None and not found.unfinished

    def test_another_exception_from_the_handler_is_another(
        self, program: Program, tmp_path: Path
    ) -> None:
        s = program.stream
        s.call(program.f)
        s.call(program.g)
        s.raises(program.raised(0x10))
        s.raises(program.raised(0x20))
        builder = program.build(tmp_path)
        nodes = by_number(builder)
        assert builder.exceptions == 2
        assert is_source(nodes[1]) and is_source(nodes[2])
        assert flight(nodes[2]).handled_by is nodes[1]

    def test_cleaning_up_on_the_way_does_not_stop_it(
        self, program: Program, tmp_path: Path
    ) -> None:
        s = program.stream
        s.call(program.f)
        s.call(program.g)
        s.raises(program.raised())
        s.call(program.h)
        s.ret()
        s.raises(program.raised())
        builder = program.build(tmp_path)
        assert builder.exceptions == 1
        assert flight(by_number(builder)[1]).raised_in.number == 2

    def test_unknown_types_are_one_exception_when_nothing_came_between(
        self, program: Program, tmp_path: Path
    ) -> None:
        s = program.stream
        s.call(program.f)
        s.call(program.g)
        s.raises(None)
        s.raises(None)
        builder = program.build(tmp_path)
        assert builder.exceptions == 1
        found = flight(by_number(builder)[1])
        assert found.raised_in.number == 2 and found.exception is None

    def test_what_ends_a_task_is_not_said_to_be_handled_by_who_runs_the_loop(
        self, program: Program, tmp_path: Path
    ) -> None:
        """Whoever awaits the task gets it, and no record says who that is."""
        s = program.stream
        s.call(program.f)
        s.record(Kind.TASK, 1)
        s.call(program.g)
        s.call(program.h)
        s.raises(program.raised())
        s.call(program.h)
        s.ret()
        s.raises(program.raised(0x20))
        s.record(Kind.TASK, 0)
        s.call(program.h)
        s.raises(program.raised(0x30))
        s.ret()
        nodes = by_number(program.build(tmp_path))
        ended = {number: flight(nodes[number]).ended_task for number in (2, 3, 5)}
        assert ended == {2: True, 3: False, 5: False}

    def test_what_was_handled_later_names_the_exception(
        self, program: Program, tmp_path: Path
    ) -> None:
        s = program.stream
        s.call(program.f)
        s.call(program.g)
        s.call(program.h)
        s.raises(None)
        s.raises(None)
        s.record(Kind.HANDLED, None, 2, program.raised())
        s.ret()
        nodes = by_number(program.build(tmp_path))
        for number in (2, 3):
            found = flight(nodes[number])
            assert found.exception.address == 0x10
            assert (found.raised_in, found.handled_by) == (nodes[3], nodes[1])

    def test_what_a_call_caught_is_known_with_where_it_came_from(
        self, program: Program, tmp_path: Path
    ) -> None:
        """The same address again and again, as in a loop."""
        s = program.stream
        s.call(program.f)
        s.record(Kind.CAUGHT, None, 1, 3, 9, program.raised())
        s.call(program.g)
        s.raises(program.raised())
        s.record(Kind.CAUGHT, None, 1, 4, 7, program.raised())
        s.record(Kind.CAUGHT, None, 1, 4, None, program.raised())
        s.record(Kind.CAUGHT, None, 1, 4, 9, program.raised())
        s.record(Kind.CAUGHT, None, 1, 5, 9, program.raised())
        s.ret()
        s.record(Kind.CAUGHT, None, 1, 5, 9, program.raised())
        builder = program.build(tmp_path)
        nodes = by_number(builder)
        caught = nodes[1].caught
        assert caught is not None
        assert [(c.record.raised, c.source) for c in caught] == [
            (3, None), (4, nodes[2]), (5, None),
        ]  # fmt: skip
        assert [c.record.raised for c in own_caught(nodes[1])] == [3, 5]
        assert nodes[2].caught is None and builder.unmatched == 1

    def test_a_region_is_left_by_an_exception_too(
        self, program: Program, tmp_path: Path
    ) -> None:
        s = program.stream
        s.node(Kind.REGION, "work", {})
        s.call(program.f)
        s.raises(program.raised())
        s.pop(Kind.REGION_END, program.raised())
        nodes = by_number(program.build(tmp_path))
        assert nodes[1].left_by_exception
        assert flight(nodes[2]).through == (nodes[2], nodes[1])

    def test_the_source_is_found_below_the_depth_that_is_kept(
        self, program: Program, tmp_path: Path
    ) -> None:
        s = program.stream
        s.call(program.f)
        s.call(program.g)
        s.raises(program.raised())
        s.raises(program.raised())
        node = program.build(tmp_path, max_level=1).roots[0]
        assert not node.children and not is_source(node)
        assert flight(node).raised_in.number == 2


class TestMarks:
    def test_a_loss_ends_the_calls_above_it(
        self, program: Program, tmp_path: Path
    ) -> None:
        s = program.stream
        s.call(program.f)
        s.call(program.g)
        s.call(program.h)
        s.mark(Mark.LOST, 12, 1)
        s.call(program.h)
        s.ret()
        s.ret()
        builder = program.build(tmp_path)
        nodes = by_number(builder)
        assert nodes[2].lost_end and nodes[3].lost_end
        assert nodes[2].duration_ns is None
        assert not nodes[1].lost_end and nodes[1].end is not None
        assert nodes[4].parent is nodes[1]
        marks = [n for n in walk(builder.roots) if isinstance(n.begin, r.MarkRecord)]
        assert [mark.parent for mark in marks] == [nodes[1]]

    def test_the_clock_is_no_node(self, program: Program, tmp_path: Path) -> None:
        s = program.stream
        s.call(program.f)
        s.mark(Mark.CLOCK, 5)
        s.ret()
        assert shape(program.build(tmp_path).roots) == [1]

    def test_an_end_too_many_is_counted(self, program: Program, tmp_path: Path) -> None:
        s = program.stream
        s.call(program.f)
        s.ret()
        s.record(Kind.RETURN, None)
        s.call(program.f)
        s.ret()
        builder = program.build(tmp_path)
        assert builder.unmatched == 1
        assert shape(builder.roots) == [1, 2]


class TestBlocks:
    def long(self, program: Program, blocks: int = 30) -> None:
        """f calls g in every block, 10 times, and g calls h."""
        s = program.stream
        s.call(program.f)
        for _ in range(blocks):
            for _ in range(10):
                s.call(program.g)
                s.call(program.h)
                s.ret()
                s.ret()
            s.cut()
        s.ret("the end")

    def test_the_first_screen_reads_the_first_block(
        self, program: Program, tmp_path: Path
    ) -> None:
        self.long(program)
        trace = program.read(tmp_path)
        builder = build(trace.streams[0], max_nodes=10)
        assert trace.decoded_blocks == 1
        root = builder.roots[0]
        assert root.end is None and root.duration_ns == (30 * 40 + 1) * 1000
        fetch_end(trace.streams[0], root)
        assert isinstance(root.end, r.Return) and root.end.value == "the end"
        assert trace.decoded_blocks == 2

    def test_no_node_behind_those_that_were_passed_over_is_in_the_tree(
        self, program: Program, tmp_path: Path
    ) -> None:
        """A call that raised stood next to one that was called long before it, and a
        fold counted it as one more of them."""
        s = program.stream
        s.call(program.f)
        for _ in range(20):
            s.call(program.g)
            s.ret()
        s.call(program.g)
        s.raises(program.raised())
        s.ret("the end")
        trace = program.read(tmp_path)
        builder = build(trace.streams[0], max_nodes=5)
        assert [node.number for node in walk(builder.roots)] == [1, 2, 3, 4, 5]
        assert builder.first_unread == 6 and builder.exceptions == 1
        assert builder.roots[0].duration_ns == 43_000

    def test_blocks_too_deep_to_be_shown_are_not_read(
        self, program: Program, tmp_path: Path
    ) -> None:
        s = program.stream
        s.call(program.f)
        s.call(program.g)
        s.cut()
        for _ in range(20):
            s.call(program.h)
            s.ret()
            s.cut()
        s.ret()
        s.call(program.g)
        s.ret()
        s.ret()
        trace = program.read(tmp_path)
        builder = build(trace.streams[0], max_level=2)
        assert trace.decoded_blocks == 2
        assert shape(builder.roots) == [(1, [2, 23])]
        node = by_number(builder)[2]
        assert (node.hidden, node.is_open) == (20, False)

    def test_a_node_is_shown_from_its_own_block(
        self, program: Program, tmp_path: Path
    ) -> None:
        self.long(program)
        trace = program.read(tmp_path)
        stream = trace.streams[0]
        number = stream.blocks[20].first_node
        builder = build_below(stream, number)
        assert builder is not None
        assert shape(builder.roots) == [(number, [number + 1])]
        assert trace.decoded_blocks == 1
        parent = builder.roots[0].parent
        assert parent is not None and parent.number == 1
        fetch_begin(stream, parent)
        assert parent.code == program.f

    def test_a_node_that_is_not_there_is_none(
        self, program: Program, tmp_path: Path
    ) -> None:
        self.long(program, 2)
        stream = program.read(tmp_path).streams[0]
        assert build_below(stream, 10_000) is None
        assert build_below(stream, 0) is None

    @pytest.mark.parametrize("every", [1, 2, 3, 7])
    def test_where_blocks_are_cut_changes_nothing(
        self, program: Program, tmp_path: Path, every: int
    ) -> None:
        """The same program in blocks of any size gives the same tree."""
        expected = Program()
        for target, cuts in ((program, True), (expected, False)):
            s = target.stream
            generator = 0
            program_text = "fgY.hr.R.hEr.f.Gr.rrfgh...rrr"
            for steps, step in enumerate(program_text, 1):
                if step in "fgh":
                    number = s.call(getattr(target, step))
                    generator = number if step == "g" else generator
                elif step == "r" and s.stack:
                    s.ret(step)
                elif step == "Y":
                    s.yields(1)
                elif step == "R":
                    s.resume(generator, target.g)
                elif step == "E":
                    s.raises(target.raised())
                elif step == "G":
                    s.node(Kind.NOTE, "n", {})
                if cuts and steps % every == 0:
                    s.cut()
        found = program.build(tmp_path / "cut")
        whole = expected.build(tmp_path / "whole")
        expected.store.close()
        assert shape(found.roots) == shape(whole.roots)
        for number, node in by_number(whole).items():
            other = by_number(found)[number]
            assert (other.start_ns, other.end_ns, other.suspended_ns) == (
                node.start_ns,
                node.end_ns,
                node.suspended_ns,
            )

    def test_jumping_gives_what_reading_on_gives(
        self, program: Program, tmp_path: Path
    ) -> None:
        """From any block on, the stack is what it is for a reader of all."""
        s = program.stream
        for step in "f|g|h|r|Y|h|r|R|h|rr|r":
            if step in "fgh":
                s.call(getattr(program, step))
            elif step == "r":
                s.ret()
            elif step == "Y":
                s.yields()
            elif step == "R":
                s.resume(2, program.g)
            else:
                s.cut()
        stream = program.read(tmp_path).streams[0]
        builder = TreeBuilder(stream)
        while not builder.finished:
            opens = stream.opens_at(builder.next_block)
            assert [node.number for node in builder.stack] == opens
            builder.step()

    def test_a_missing_block_leaves_a_gap_and_no_lie(
        self, program: Program, tmp_path: Path
    ) -> None:
        s = program.stream
        s.call(program.f)
        s.cut()
        s.call(program.g)
        s.cut()
        s.call(program.h)
        s.ret()
        s.ret()
        s.ret()
        program.trace.end()
        blocks = [block for block in s.blocks if block.sequence != 1]
        with Store(program.process.write(tmp_path, blocks=blocks)) as store:
            builder = build(store.trace().streams[0])
            nodes = by_number(builder)
            assert nodes[3].parent is not None and nodes[3].parent.begin is None
            assert nodes[3].parent.parent is nodes[1]
            assert nodes[1].end is not None and builder.unmatched == 0


def test_a_function_is_shown_with_what_is_below(
    program: Program, tmp_path: Path
) -> None:
    s = program.stream
    for _ in range(2):
        s.call(program.f)
        s.call(program.g)
        s.call(program.h)
        s.ret()
        s.ret()
        s.ret()
    builder = program.build(tmp_path, wanted=lambda node: node.code == program.g)
    assert shape(builder.roots) == [(2, [3]), (5, [6])]
    assert [node.level for node in walk(builder.roots)] == [1, 2, 1, 2]
    assert all(node.kept for node in builder.nodes.values())


def test_a_call_resumed_in_another_thread_has_a_stand_in_there(
    program: Program, tmp_path: Path
) -> None:
    s = program.stream
    s.call(program.f)
    generator = s.call(program.g)
    s.yields()
    other = program.trace.stream(program.process.thread("other"))
    other.resume(generator, program.g, thread=s.thread)
    other.call(program.h)
    other.ret()
    other.ret()
    s.ret()
    trace = program.read(tmp_path)
    builder = build(trace.streams[1])
    (stand_in,) = builder.roots
    assert (stand_in.continues, stand_in.number) == (1, generator)
    assert shape(builder.roots) == [(generator, [1])]
    assert builder.foreign == [(s.thread, generator, stand_in)]


def test_ten_thousand_levels_are_no_trouble(program: Program, tmp_path: Path) -> None:
    s = program.stream
    for _ in range(10_000):
        s.call(program.f)
    s.cut()
    for _ in range(10_000):
        s.ret()
    nodes = list(walk(program.build(tmp_path).roots))
    assert len(nodes) == 10_000 and nodes[-1].level == 10_000


def build_below(
    stream: Stream,
    number: int,
    *,
    max_nodes: int | None = None,
) -> TreeBuilder | None:
    """Build the tree of node ``number`` alone; None where there is no such node."""
    index = stream.find_block(number)
    if index is None:
        return None
    builder = TreeBuilder(stream, wanted=lambda node: node.number == number)
    builder.start_at(index)
    builder.step_to(number)
    node = builder.roots[0] if builder.roots else None
    while node is not None and node.is_open and not builder.finished:
        if max_nodes is not None and builder.shown >= max_nodes:
            break
        builder.step(max_nodes)
    builder.fill_ends()
    return builder if builder.roots else None
