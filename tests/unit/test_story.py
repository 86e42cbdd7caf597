"""How a trace ended: which blocks are read for it, and what is made of them."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import pytest

from kolo_c.failure import ATTRIBUTE, describe, exit_code, shorten, type_name
from kolo_c.model import story as s
from kolo_c.model.busiest import CallSample
from kolo_c.model.ends import fetch_begin
from kolo_c.store.reader import Store
from kolo_c.wire import Tag
from tests.unit.store_builder import ProcessBuilder, StreamBuilder, tagged

COROUTINE, GENERATOR = 0x83, 0x23
ONE_LINE = (lambda n: n).__code__
MAIN_LINE = ONE_LINE.co_firstlineno


class Program:
    """A process with a few functions, an exception type, and one stream."""

    def __init__(self) -> None:
        self.process = ProcessBuilder(python=platform.python_version())
        self.file = self.process.file("/app/shop.py")
        self.module = self.process.code(self.file, "<module>")
        self.main = self.process.code(
            self.file, "main", ("n",), line=MAIN_LINE, table=ONE_LINE.co_linetable
        )
        self.f = self.process.code(self.file, "f", ("n",), line=20, locals=("x",))
        self.error = self.process.type("Bad", "shop")
        self.other = self.process.type("Other", "shop")
        self.trace = self.process.trace("shop.py")
        self.stream = self.trace.stream(self.process.thread("MainThread"))

    def raised(self, address: int, text: str = "bad", type: int | None = None) -> Any:
        args = tagged(Tag.TUPLE, text)
        return tagged(Tag.EXCEPTION, type or self.error, address, args)

    def calls(self, count: int, blocks: int = 1, stream: Any = None) -> None:
        """``count`` short calls of f in each of some blocks."""
        stream = stream or self.stream
        for _ in range(blocks):
            for n in range(count):
                stream.call(self.f, n)
                stream.ret(n)
            stream.cut()

    def failed(self, *addresses: int, **more: Any) -> None:
        """What the program says at its end: these exceptions, each the cause of the
        one before."""
        chain: list[dict[str, Any]] = []
        for index, address in enumerate(addresses):
            link = {"type": "shop.Bad", "address": address}
            if index:
                link.update(of=index - 1, relation="cause")
            chain.append({**link, **more})
        self.trace.attributes[ATTRIBUTE] = json.dumps({"chain": chain})

    def tell(self, tmp_path: Path, most: int = s.MOST_BLOCKS) -> s.Story:
        self.process.write(tmp_path)
        return s.tell(Store(tmp_path / ".kolo_c").trace(), most)


@pytest.fixture(name="program")
def _program() -> Program:
    return Program()


def names(story: s.Story, nodes: list[Any]) -> list[str]:
    for node in nodes:  # some began in blocks that were not read
        fetch_begin(story.trace.stream(node.thread), node)
    return [story.trace.definitions.code(node.code).name for node in nodes]


class TestAnException:
    def end(self, program: Program, address: int = 0x10) -> None:
        """f raises, main and the module are left."""
        program.stream.call(program.f, 99)
        for _ in range(3):
            program.stream.raises(program.raised(address))

    def test_its_way_is_read_from_the_last_blocks(
        self, program: Program, tmp_path: Path
    ) -> None:
        program.stream.call(program.module)
        program.stream.call(program.main, 1)
        program.calls(10, blocks=200)
        self.end(program)
        program.failed(0x10)
        program.trace.end()
        story = program.tell(tmp_path)
        assert story.how == s.RAISED
        assert names(story, story.paths[0].frames) == ["<module>", "main", "f"]
        assert [node.begin.arguments for node in story.before] == [
            [n] for n in (5, 6, 7, 8, 9)
        ]
        assert story.trace.decoded_blocks < 10
        assert not story.whole

    def test_what_exit_handlers_recorded_is_passed_over_by_headers(
        self, program: Program, tmp_path: Path
    ) -> None:
        program.stream.call(program.module)
        program.stream.call(program.main, 1)
        program.calls(10, blocks=50)
        self.end(program)
        program.stream.cut()
        program.calls(10, blocks=100)
        program.failed(0x10)
        program.trace.end()
        story = program.tell(tmp_path)
        assert names(story, story.paths[0].frames) == ["<module>", "main", "f"]
        assert story.trace.decoded_blocks < 15

    def test_an_address_that_was_used_before_is_not_taken_for_it(
        self, program: Program, tmp_path: Path
    ) -> None:
        stream = program.stream
        stream.call(program.module)
        for n in range(3):  # f raises, main handles it
            stream.call(program.main, n)
            stream.call(program.f, n)
            stream.raises(program.raised(0x10, "handled"))
            stream.ret()
        stream.call(program.main, 3)
        self.end(program)
        program.failed(0x10)
        program.trace.end()
        story = program.tell(tmp_path)
        assert [node.begin.arguments for node in story.paths[0].frames[1:]] == [
            [3],
            [99],
        ]
        assert len(story.swallowed) == 3

    def test_its_cause_is_found_and_is_not_among_the_handled(
        self, program: Program, tmp_path: Path
    ) -> None:
        stream = program.stream
        stream.call(program.module)
        stream.call(program.main, 1)
        stream.call(program.f, 1)
        stream.raises(program.raised(0x20, "cause"))
        stream.raises(program.raised(0x10, "effect"))
        stream.raises(program.raised(0x10, "effect"))
        program.failed(0x10, 0x20)
        program.trace.end()
        story = program.tell(tmp_path)
        first, cause = story.paths
        assert names(story, first.frames) == ["<module>", "main"]
        assert names(story, cause.frames) == ["f"]
        assert cause.relation == "cause"
        assert cause.exception.address == 0x20
        assert story.swallowed == []

    def test_a_cause_that_was_not_recorded_has_no_calls(
        self, program: Program, tmp_path: Path
    ) -> None:
        program.stream.call(program.module)
        program.stream.call(program.main, 1)
        self.end(program)
        program.failed(0x10, 0x30)
        program.trace.end()
        assert program.tell(tmp_path).paths[1].frames == []

    def test_a_long_call_that_raises_itself_is_where_it_came_from(
        self, program: Program, tmp_path: Path
    ) -> None:
        stream = program.stream
        stream.call(program.module)
        stream.call(program.main, 1)
        program.calls(10, blocks=100)
        stream.raises(program.raised(0x10))
        stream.raises(program.raised(0x10))
        program.failed(0x10, file="/app/shop.py", line=MAIN_LINE)
        program.trace.end()
        story = program.tell(tmp_path)
        assert story.complete
        assert story.trace.decoded_blocks < 10

    def test_where_it_was_raised_too_far_back_the_story_says_so(
        self, program: Program, tmp_path: Path
    ) -> None:
        stream = program.stream
        stream.call(program.module)
        stream.call(program.main, 1)
        stream.call(program.f, 99)
        stream.raises(program.raised(0x10))
        program.calls(10, blocks=40)  # a `finally`
        stream.raises(program.raised(0x10))
        stream.raises(program.raised(0x10))
        program.failed(0x10, file="/app/shop.py", line=20)
        program.trace.end()
        story = program.tell(tmp_path, most=8)
        assert not story.complete
        assert names(story, story.paths[0].frames) == ["<module>", "main"]

    def test_what_ends_loops_is_not_news(
        self, program: Program, tmp_path: Path
    ) -> None:
        stop = program.process.type("StopIteration")
        stream = program.stream
        stream.call(program.module)
        stream.call(program.f, 1)
        stream.raises(program.raised(0x10, "", stop))
        stream.call(program.f, 2)
        stream.raises(program.raised(0x10))
        stream.ret()
        program.trace.end()
        story = program.tell(tmp_path)
        assert story.how == s.ENDED
        assert [node.begin.arguments for node in story.swallowed] == [[2]]

    def test_without_a_word_from_the_program_the_records_tell(
        self, program: Program, tmp_path: Path
    ) -> None:
        program.stream.call(program.main, 1)
        program.stream.raises(program.raised(0x10))
        program.trace.end()
        story = program.tell(tmp_path)
        assert [path.thread for path in story.paths] == ["MainThread"]

    @pytest.mark.parametrize(
        "text",
        [
            "", "[]", "{", "null", '{"chain": 3}', '{"chain": [3, {}]}',
            '{"chain": [{"address": "x"}]}', '{"exit_code": "x"}', 7, None,
        ],
    )  # fmt: skip
    def test_a_broken_word_of_the_program_is_no_word(
        self, program: Program, tmp_path: Path, text: Any
    ) -> None:
        program.stream.call(program.module)
        program.stream.ret()
        program.trace.attributes[ATTRIBUTE] = text
        program.trace.end()
        story = program.tell(tmp_path)
        assert (story.how, story.failure["chain"]) == (s.FAILED, [])

    def test_an_exit_has_its_code(self, program: Program, tmp_path: Path) -> None:
        program.stream.call(program.module)
        program.stream.raises(program.raised(0x10))
        program.trace.attributes[ATTRIBUTE] = json.dumps(
            {"exit_code": 3, "chain": [{"type": "SystemExit", "address": 0x10}]}
        )
        program.trace.end()
        story = program.tell(tmp_path)
        assert (story.how, story.exit_code) == (s.EXITED, 3)
        assert names(story, story.paths[0].frames) == ["<module>"]


def coroutine(program: Program, name: str, flags: int = COROUTINE) -> int:
    """A code object with these flags."""
    from kolo_c.wire import Definition

    return program.process.define(
        Definition.CODE, program.file, name, "shop", 30, flags, [], [], b"", 0, name
    )


class TestOpenCalls:
    def suspend(self, stream: StreamBuilder, *codes: int) -> list[int]:
        """Coroutines that wait for one another, the innermost for something else."""
        nodes = [stream.call(code) for code in codes]
        for _ in codes:
            stream.yields()
        return nodes

    def test_the_calls_of_a_killed_thread_are_shown(
        self, program: Program, tmp_path: Path
    ) -> None:
        program.stream.call(program.module)
        program.stream.call(program.main, 1)
        program.calls(10, blocks=30)
        program.trace.end("interrupted", None)
        story = program.tell(tmp_path)
        assert story.how == s.KILLED
        (stack,) = story.stacks
        assert names(story, stack.frames) == ["<module>", "main"]
        assert [node.begin.arguments for node in stack.last] == [[7], [8], [9]]

    def test_tasks_that_wait_are_chains_and_generators_are_not(
        self, program: Program, tmp_path: Path
    ) -> None:
        job, inner = coroutine(program, "job"), coroutine(program, "inner")
        held = coroutine(program, "held", GENERATOR)
        stream = program.stream
        stream.call(program.module)
        self.suspend(stream, job, inner)
        self.suspend(stream, job, inner)
        self.suspend(stream, held)
        program.trace.end("interrupted", None)
        story = program.tell(tmp_path)
        waiting = [stack for stack in story.stacks if stack.suspended]
        assert [names(story, stack.frames) for stack in waiting] == [
            ["job", "inner"],
            ["job", "inner"],
        ]

    def test_a_task_that_went_on_does_not_wait(
        self, program: Program, tmp_path: Path
    ) -> None:
        job = coroutine(program, "job")
        stream = program.stream
        stream.call(program.module)
        (node,) = self.suspend(stream, job)
        stream.resume(node, job)
        stream.ret()
        program.trace.end("interrupted", None)
        story = program.tell(tmp_path)
        assert [stack.suspended for stack in story.stacks] == [False]

    def test_of_a_long_trace_no_more_than_allowed_is_read(
        self, program: Program, tmp_path: Path
    ) -> None:
        program.stream.call(program.module)
        program.calls(5, blocks=300)
        program.trace.end("interrupted", None)
        story = program.tell(tmp_path, most=16)
        assert story.trace.decoded_blocks < 30
        assert not story.whole
        assert story.stacks[0].frames[0].number == 1


class TestCallSample:
    def test_a_short_trace_is_counted_whole(
        self, program: Program, tmp_path: Path
    ) -> None:
        program.calls(3, blocks=2)
        program.stream.call(program.main, 1)
        program.stream.ret()
        program.trace.end()
        program.process.write(tmp_path)
        sample = CallSample(Store(tmp_path / ".kolo_c").trace())
        assert sample.whole
        assert sample.calls == {program.f: 6, program.main: 1}
        assert sample.busiest() == (program.f, 6 / 7)

    def test_a_long_one_is_sampled(self, program: Program, tmp_path: Path) -> None:
        program.calls(3, blocks=100)
        program.trace.end()
        program.process.write(tmp_path)
        trace = Store(tmp_path / ".kolo_c").trace()
        sample = CallSample(trace)
        assert trace.decoded_blocks == 12
        assert not sample.whole
        assert sample.busiest() == (program.f, 1.0)

    def test_an_empty_trace_has_no_busiest(
        self, program: Program, tmp_path: Path
    ) -> None:
        program.trace.end()
        program.process.write(tmp_path)
        assert CallSample(Store(tmp_path / ".kolo_c").trace()).busiest() is None


# ---- what the program says of its end ----


def caught(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as found:
        return found


def chain_of(error: BaseException) -> list[dict[str, Any]]:
    found = describe(error)
    assert found is not None
    chain: list[dict[str, Any]] = found["chain"]
    return chain


class TestDescribe:
    def test_an_exception_has_its_type_address_and_place(self) -> None:
        error = caught(KeyError("secret"))
        (link,) = chain_of(error)
        assert link["type"] == "KeyError"
        assert link["address"] == id(error)
        assert link["file"] == __file__
        assert link["function"].endswith("caught")
        assert "secret" not in json.dumps(link)

    def test_a_cause_hides_the_context(self) -> None:
        try:
            try:
                raise ValueError
            except ValueError:
                raise KeyError from TypeError()
        except KeyError as error:
            assert [link["type"] for link in chain_of(error)] == [
                "KeyError",
                "TypeError",
            ]
            assert chain_of(error)[1]["relation"] == "cause"

    def test_a_context_is_followed_unless_suppressed(self) -> None:
        try:
            try:
                raise ValueError
            except ValueError:
                raise KeyError  # noqa: B904 - that is what is tested
        except KeyError as error:
            assert chain_of(error)[1]["relation"] == "context"
            error.__suppress_context__ = True
            assert len(chain_of(error)) == 1

    def test_a_circle_ends(self) -> None:
        one, two = caught(KeyError()), caught(ValueError())
        one.__cause__, two.__cause__ = two, one
        assert len(chain_of(one)) == 2

    def test_a_long_chain_is_cut(self) -> None:
        error = caught(KeyError())
        for _ in range(50):
            error = caught(KeyError(), error)
        assert len(chain_of(error)) == 8

    @pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups")
    def test_a_group_has_its_members(self) -> None:
        group = caught(
            ExceptionGroup("g", [ValueError(), caught(KeyError(), TypeError())])  # noqa: F821
        )
        chain = chain_of(group)
        assert [(link["type"], link.get("of")) for link in chain] == [
            ("ExceptionGroup", None),
            ("ValueError", 0),
            ("KeyError", 0),
            ("TypeError", 2),
        ]

    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            (None, 0),
            (0, 0),
            (False, 0),
            (3, 3),
            (256, 0),
            (-1, 255),
            ("no", 1),
            ([], 1),
            (type("Own", (int,), {})(7), 7),
            (2**70, 255),
            (-(2**70), 255),
        ],
    )
    def test_an_exit_code_is_what_the_interpreter_makes_of_it(
        self, code: Any, expected: int
    ) -> None:
        error = SystemExit(code)
        assert exit_code(error) == expected
        assert (describe(error) is None) == (expected == 0)

    def test_an_exit_code_of_the_programs_own_class_is_found_or_not_known(self) -> None:
        given = type("Given", (SystemExit,), {"code": 17})(3)
        assert exit_code(given) == 17
        given.code = 18
        assert exit_code(given) == 18
        computed = type("Computed", (SystemExit,), {"code": property(int)})(3)
        assert exit_code(computed) is None
        assert "exit_code" not in (describe(computed) or {"exit_code": 0})

    def test_the_first_has_its_traceback_each_place_once(self) -> None:
        def again(depth: int) -> None:
            if depth:
                again(depth - 1)
            raise KeyError

        try:
            again(50)
        except KeyError as error:
            (link,) = chain_of(error)
        code = again.__code__
        first = code.co_firstlineno
        assert [entry[1:] for entry in link["traceback"][1:]] == [
            [first, first + 2],
            [first, first + 3],
        ]

    def test_it_is_shortened_to_what_matters_most(self) -> None:
        error = caught(KeyError(), caught(ValueError()))
        found = describe(error)
        assert found is not None
        assert shorten(found)
        assert "traceback" not in found["chain"][0]
        assert shorten(found)
        assert [link["type"] for link in found["chain"]] == ["KeyError"]
        assert not shorten(found)

    def test_nothing_of_the_program_runs(self) -> None:
        class Meta(type):
            def __getattribute__(cls, name: str) -> Any:
                raise AssertionError(name)

        class Evil(Exception, metaclass=Meta):
            def __getattribute__(self, name: str) -> Any:
                raise AssertionError(name)

            def __str__(self) -> str:
                raise AssertionError

            __cause__ = __context__ = __traceback__ = property(  # type: ignore
                lambda self: 1 / 0
            )

        found: list[Any] = []
        try:
            found = chain_of(Evil())
        except AssertionError as error:  # pytest would ask for its repr
            found = [{"type": f"{error.args}"}]
        assert found[0]["type"].endswith("Evil")

    def test_a_script_s_own_types_have_no_module(self) -> None:
        assert type_name(ValueError) == "ValueError"
        assert type_name(type("Own", (), {"__module__": "__main__"})) == "Own"
        assert (
            type_name(type("Own", (), {"__module__": "shop.cart"})) == "shop.cart.Own"
        )
        assert type_name(type("Own", (), {"__module__": 7})) == "Own"
