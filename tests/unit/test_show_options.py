"""``kolo-c show``: what the options let through, together and with mistakes in them."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from kolo_c.cli import main as command_line
from kolo_c.cli import units, view
from kolo_c.model import window
from kolo_c.model.node import Node, walk
from kolo_c.model.search import calls, finder, lasting, raises
from kolo_c.model.sieve import Sieve
from kolo_c.model.tree import TreeBuilder
from kolo_c.store.reader import Store, Stream
from kolo_c.wire import Definition, Kind, Tag
from tests.unit.store_builder import Owner, ProcessBuilder, StreamBuilder, tagged


class Bakery:
    """main calls bake ten times: the third raises, the fifth takes 5 ms; then two
    tasks run."""

    def __init__(self, directory: Path) -> None:
        self.process = ProcessBuilder()
        file = self.process.file("/app/bakery.py")
        self.main = self.process.code(file, "main")
        self.bake = self.process.code(file, "Oven.bake", ("loaf",), line=5, self_kind=0)
        self.heat = self.process.code(file, "heat", line=9)
        self.serve = self.process.code(file, "serve", line=20)
        self.error = self.process.type("TooHot")
        trace = self.process.trace("bakery.py", id="trc_01J9ZD00000000000000000BAK")
        self.fill(trace.stream(self.process.thread("MainThread")))
        other = trace.stream(self.process.thread("worker"))
        other.call(self.heat)
        other.ret()
        trace.end()
        self.process.write(directory)

    def fill(self, s: StreamBuilder) -> None:
        raised = tagged(Tag.EXCEPTION, self.error, 0x10, tagged(Tag.TUPLE, 300))
        s.call(self.main)
        for loaf in range(10):
            s.call(self.bake, loaf)
            s.call(self.heat)
            if loaf == 3:
                s.raises(raised)
                s.raises(raised)
            else:
                s.ret()
                s.ret(loaf, after=5_000_000 if loaf == 5 else 1000)
            s.cut()
        for name in ("Ann", "Bob"):
            s.record(Kind.TASK, self.process.define(Definition.TASK, name, "serve"))
            s.call(self.serve)
            s.ret()
            s.cut()
        s.record(Kind.TASK, 0)
        s.ret()


@pytest.fixture(name="bakery")
def _bakery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bakery:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KOLO_C_PATH", raising=False)
    return Bakery(tmp_path)


@pytest.fixture(name="show")
def _show(bakery: Bakery, capsys: pytest.CaptureFixture[str]) -> Any:
    def show(*words: str, code: int = 0) -> list[str]:
        assert command_line.main(["show", *words]) == code
        captured = capsys.readouterr()
        return (captured.out if code == 0 else captured.err).splitlines()

    return show


def numbers(lines: list[str]) -> list[int]:
    """The numbers of the nodes that have a line."""
    words = (line.split(maxsplit=1) for line in lines[3:])
    return [int(word[0]) for word in words if word and word[0].isdigit()]


class TestSearches:
    def test_errors_are_shown_with_the_way_to_them(self, show: Any) -> None:
        lines = show("--errors")
        assert numbers(lines) == [1, 8, 9]
        assert "heat() ✗ TooHot(300)" in lines[6] and "worker" not in "".join(lines)

    def test_min_keeps_what_took_so_long(self, show: Any) -> None:
        assert numbers(show("--min", "1ms")) == [1, 12]
        assert numbers(show("--min", "5.02ms")) == [1]
        (line,) = [line for line in show("--min", "1h") if "no call" in line]
        assert line.strip() == "no call took so long"

    def test_a_function_and_a_duration(self, show: Any) -> None:
        assert numbers(show("--function", "bake", "--min", "1ms")) == [12]
        assert numbers(show("--function", "bake", "--errors")) == [8, 9]
        assert numbers(show("--function", "bake", "--errors", "--depth", "1")) == [8]

    def test_a_function_that_was_called_and_did_not_raise(self, show: Any) -> None:
        """It was said that no call is called so."""
        assert show("--function", "serve", "--errors")[-1].strip() == (
            "no exception left a call of it"
        )
        lines = show("--function", "serve", "--min", "1h")
        assert lines[-1].strip() == "no call of it took so long"
        assert show("--errors", "--thread", "worker")[-1].strip() == (
            "no exception was raised"
        )
        lines = show("--function", "heat", "--task", "Ann")
        assert lines[-1].strip() == "no call of it in this task"

    def test_a_function_of_another_thread_is_found_alone(self, show: Any) -> None:
        lines = show("--function", "heat", "--thread", "worker")
        assert "MainThread" not in "".join(lines) and numbers(lines) == [1]

    def test_an_option_for_one_thread_wants_a_number_or_a_name(self, show: Any) -> None:
        assert numbers(show("--thread", "2")) == [1]
        message, _ = show("--thread", "3", code=1)
        assert "has no thread 3, it has 2" in message

    def test_a_task_is_chosen_by_name(self, show: Any) -> None:
        lines = show("--task", "Bob")
        assert numbers(lines) == [23] and "task Bob" in lines[4]
        assert numbers(show("--task", "Bob", "--function", "serve")) == [23]
        assert numbers(show("--task", "Ann", "--function", "heat")) == []

    def test_a_search_leaves_blocks_out_that_have_nothing(self, bakery: Bakery) -> None:
        with Store(Path(".kolo_c")) as store:
            trace = store.trace()
            stream = trace.streams[0]
            builder = Sieve(stream, wanted=lambda node: node.code == bakery.serve)
            pattern = calls([bakery.serve])
            assert pattern is not None
            builder.has_root = finder(stream, pattern)
            while not builder.finished:
                builder.step()
            assert [node.number for node in builder.roots] == [22, 23]
            assert trace.decoded_blocks <= 4 < len(stream.blocks)

    def test_json_has_what_was_found(
        self, bakery: Bakery, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert command_line.main(["show", "--errors", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["nodes"]
        assert [node["node"] for node in found] == [1, 8, 9]
        assert found[2]["handled_by"] == 1


class TestWindows:
    def test_around_shows_the_lines_near_a_node_and_its_callers(
        self, show: Any
    ) -> None:
        lines = show("--around", "12", "--max-lines", "4")
        assert numbers(lines) == [1, 10, 11, 12, 13]
        (marked,) = [line for line in lines if "▸" in line]
        assert marked.split()[0] == "12" and "5.00 ms" in marked
        assert "main() → None" in lines[4] and lines[4].endswith("bakery.py:1")

    def test_around_takes_addresses(self, show: Any) -> None:
        lines = show("--around", "2.1")
        assert "worker" in lines[3] and "▸ heat()" in lines[4]
        assert show("--around", "BAK/2.1") == lines
        assert numbers(show("--around", "1", "--thread", "worker")) == [1]

    def test_tail_shows_the_end(self, show: Any) -> None:
        lines = show("--tail", "2", "--thread", "1")
        assert numbers(lines) == [1, 22, 23] and "serve()" in lines[-1]
        assert numbers(show("--tail", "50", "--thread", "1", "--no-fold")) == list(
            range(1, 24)
        )

    def test_an_end_is_right_where_only_a_header_has_it(self, show: Any) -> None:
        for words in (["--around", "12", "--max-lines", "3"], ["--tail", "1"]):
            line = show(*words, "--thread", "1")[4]
            assert line.startswith("  1  main() → None")
            assert line.endswith("  5.05 ms  bakery.py:1")


class TestRunning:
    def test_a_running_trace_is_shown_as_far_as_it_got(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        process = ProcessBuilder()
        process.ended = False
        file = process.file("/app/a.py")
        main, step = process.code(file, "main"), process.code(file, "step", ("n",))
        s = process.trace("live").stream(process.thread("MainThread"))
        s.call(main)
        for number in range(40):
            s.call(step, number)
            s.ret(number)
            if number % 10 == 9:
                s.cut()
        s.call(step, 1234)
        monkeypatch.chdir(tmp_path)
        with Owner(process.write_mapping(tmp_path, s.blocks)):
            found = []
            for words in (["--tail", "2"], ["/42"], ["/1"], ["--around", "42"]):
                assert command_line.main(["show", *words]) == 0
                found.append(capsys.readouterr().out)
        assert "main() … running" in found[0] and "step(n=1234) … running" in found[0]
        assert re.search(r"step\(…\) ×\d+ more", found[0])
        assert "  running\n" in found[1] and "  n = 1234" in found[1]
        assert "  running\n" in found[2] and "and more: 41 nodes below" in found[2]
        assert "▸ step(n=1234)" in found[3]


def test_a_huge_thread_is_written_a_part_at_a_time(
    bakery: Bakery, show: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = show("--max-lines", "0", "--no-fold")
    nodes = json.loads("\n".join(show("--json")))["nodes"]
    monkeypatch.setattr(view, "_MOST_IN_MEMORY", 1)
    monkeypatch.setattr(window, "_BLOCKS_AT_ONCE", 3)
    apart = show("--max-lines", "0", "--no-fold")
    assert len(apart) == len(whole)
    # Who handled an exception is not known where the call stands in an earlier part.
    assert apart[4] == whole[4].replace(" ✓ handled TooHot from 9", "")
    assert [line for line in apart[5:] if "✗" not in line] == [
        line for line in whole[5:] if "✗" not in line
    ]
    assert numbers(apart) == numbers(whole)
    found = json.loads("\n".join(show("--json")))["nodes"]
    names = ("node", "name", "level", "duration_ns", "parent", "status")
    assert [[node[n] for n in names] for node in found] == [
        [node[n] for n in names] for node in nodes
    ]


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "near"),
        [
            (["--function", "Oven.bak"], "--function Oven.bake"),
            (["--function", "haet"], "--function heat"),
            (["--thread", "workr"], "--thread worker"),
            (["--task", "Bop"], "--task Bob"),
        ],
    )
    def test_a_mistyped_name_gets_the_nearest(
        self, show: Any, words: list[str], near: str
    ) -> None:
        message, hint = show(*words, code=1)
        assert words[1] in message and f"Did you mean kolo-c show {near}?" in hint

    def test_a_name_like_none_gets_the_names(self, show: Any) -> None:
        message, hint = show("--function", "xyzzy", code=1)
        assert "has no function 'xyzzy'" in message and "Oven.bake" in hint

    @pytest.mark.parametrize(
        "words",
        [
            ["--around", "3", "--errors"], ["--around", "3", "--function", "heat"],
            ["--around", "3", "--tail", "4"], ["--tail", "3", "--min", "1ms"],
            ["--tail", "3", "--depth", "2"], ["BAK/3", "--errors"],
            ["BAK/3", "--around", "4"], ["BAK/3", "--thread", "2"], ["--full"],
        ],
    )  # fmt: skip
    def test_what_contradicts_itself_is_refused(
        self, show: Any, words: list[str]
    ) -> None:
        message, hint = show(*words, code=2)
        assert "cannot be combined" in message or "--full" in message
        assert hint.strip()

    @pytest.mark.parametrize(
        ("option", "text", "message"),
        [
            ("--min", "soon", "not a duration: write 250us, 1ms"),
            ("--min", "5", "not a duration"),
            ("--min", "nanms", "not a duration"),
            ("--around", "x", "not a node: write 153"),
            ("--around", "1.2.3", "not a node"),
            ("--tail", "0", "not a number from 1 up"),
        ],
    )
    def test_a_value_that_makes_no_sense_is_refused(
        self, bakery: Bakery, capsys: pytest.CaptureFixture[str], option: str,
        text: str, message: str,
    ) -> None:  # fmt: skip
        with pytest.raises(SystemExit) as stop:
            command_line.main(["show", option, text])
        assert stop.value.code == 2 and message in capsys.readouterr().err

    def test_a_node_that_is_not_there(self, show: Any) -> None:
        message, hint = show("--around", "99", code=1)
        assert "has no node 1.99" in message and "from 1 to 23" in hint


@pytest.mark.parametrize(
    ("text", "ns"),
    [("1ms", 1_000_000), ("0.5s", 500_000_000), ("250us", 250_000), ("3 ns", 3),
     ("2min", 120_000_000_000), ("1h", 3_600_000_000_000), ("7 µs", 7000),
     ("", None), ("ms", None), ("1 year", None), ("1e3s", None), ("-1s", None)],
)  # fmt: skip
def test_durations_are_read(text: str, ns: int | None) -> None:
    assert units.read_duration(text) == ns


class TestAgainstReadingAll:
    """A search that leaves blocks out finds what reading all of them finds."""

    def program(self, seed: int) -> tuple[ProcessBuilder, list[int]]:
        chance = random.Random(seed)
        process = ProcessBuilder()
        file = process.file("/app/a.py")
        codes = [process.code(file, f"f{n}", ("x",)) for n in range(6)]
        # Numbers of two and three bytes, as a large program has them.
        for _ in range(chance.choice((0, 200, 70_000))):
            process.last_number += 1
        process.new_piece()
        codes += [process.code(file, f"g{n}", ("x",)) for n in range(2)]
        error = process.type("E")
        s = process.trace("random").stream(process.thread("MainThread"))
        suspended: list[tuple[int, int]] = []
        made: dict[int, int] = {}
        for _ in range(400):
            action = chance.random()
            after = chance.choice((10, 200, 70_000, 5_000_000))
            if action < 0.45 and len(s.stack) < 12:
                code = chance.choice(codes)
                made[s.call(code, [chance.randrange(300), 2], after=after)] = code
            elif action < 0.7 and s.stack:
                s.ret([0, 2, 5], after=after)
            elif action < 0.78 and s.stack:
                raised = tagged(Tag.EXCEPTION, error, 1, tagged(Tag.TUPLE))
                s.raises(chance.choice((None, raised)))
            elif action < 0.84 and s.stack:
                node = s.stack[-1][0]
                suspended.append((node, made[node]))
                s.yields([2, 0])
            elif action < 0.9 and suspended:
                s.resume(*suspended.pop(), after=after)
            elif action < 0.95:
                s.cut()
        process.traces[0].end()
        return process, codes

    @pytest.mark.parametrize("seed", range(8))
    def test_functions(self, seed: int, tmp_path: Path) -> None:
        process, codes = self.program(seed)
        with Store(process.write(tmp_path)) as store:
            for code in codes:
                stream = store.trace().streams[0]

                def wanted(node: Node, code: int = code) -> bool:
                    return node.begin is not None and node.code == code

                whole = self.read(Sieve(stream, wanted=wanted))
                sieve = Sieve(stream, wanted=wanted)
                pattern = calls([code])
                assert pattern is not None
                sieve.has_root = finder(stream, pattern)
                # What went on below, and began in a block left out, stands in.
                assert set(whole) <= set(self.read(sieve))

    @pytest.mark.parametrize("seed", range(8))
    def test_errors(self, seed: int, tmp_path: Path) -> None:
        process, _ = self.program(seed)
        with Store(process.write(tmp_path)) as store:
            stream = store.trace().streams[0]
            found = self.read(
                Sieve(
                    stream,
                    worth=lambda node: node.left_by_exception,
                    has_worth=finder(stream, raises()),
                )
            )
            whole = self.all_of(stream)
            raised = {node.number for node in whole if node.left_by_exception}
            assert raised <= set(found)

    @pytest.mark.parametrize("seed", range(8))
    def test_durations(self, seed: int, tmp_path: Path) -> None:
        process, _ = self.program(seed)
        with Store(process.write(tmp_path)) as store:
            stream = store.trace().streams[0]

            def worth(node: Node) -> bool:
                return (node.duration_ns or 0) >= 3_000_000

            found = self.read(
                Sieve(stream, worth=worth, has_worth=lasting(stream, 3_000_000))
            )
            long = {node.number for node in self.all_of(stream) if worth(node)}
            assert long <= set(found)

    def read(self, builder: Sieve) -> list[int]:
        while not builder.finished:
            builder.step()
        builder.fill_ends()
        builder.settle()
        return sorted(node.number for node in walk(builder.roots) if node.number)

    def all_of(self, stream: Stream) -> list[Node]:
        builder = TreeBuilder(stream)
        while not builder.finished:
            builder.step()
        builder.fill_ends()
        return list(walk(builder.roots))
