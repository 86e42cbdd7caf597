"""list, show and dump, as a person and as a program see them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kolo_c.cli import main as command_line
from kolo_c.cli import units
from kolo_c.cli.screen import Screen
from kolo_c.cli.view import Options, View
from kolo_c.reference.definitions import line_table
from kolo_c.store.reader import Store
from kolo_c.wire import Kind, Mark, Tag
from tests.unit.store_builder import Owner, ProcessBuilder, tagged, ulid

EVIL = "\x1b[2J\x1b]0;owned\x07\r\x9b31m\u202e\u2028"


def shop(name: str = "shop.py", id: str = "") -> ProcessBuilder:
    """A trace with values, an exception, a generator, and a second thread."""
    process = ProcessBuilder()
    file = process.file("/app/shop.py")
    module = process.code(file, "<module>")
    main = process.code(file, "main", ("n",), line=10)
    add = process.code(file, "Cart.add", ("self", "item"), line=40, self_kind=1)
    cart = process.type("Cart", "shop")
    error = process.type("ValueError")
    trace = process.trace(name, id=id)
    s = trace.stream(process.thread("MainThread"))
    s.call(module)
    s.call(main, 3)
    s.call(add, tagged(Tag.REF, cart, 0x7F00), {"price": [1, 2]})
    s.ret([1, 2])
    s.call(add, tagged(Tag.REF, cart, 0x7F00), 5)
    s.raises(tagged(Tag.EXCEPTION, error, 0x10, tagged(Tag.TUPLE, "bad")))
    generator = s.call(main, 4)
    s.yields(1)
    s.resume(generator, main, after=3_000_000)
    s.ret("last")
    s.ret(42)
    s.ret()
    other = trace.stream(process.thread("worker"))
    other.call(main, 9)
    other.ret(True)
    trace.counters = {
        "calls": 6, "masked": 1, "truncated": 2, "lost": 3, "own_ns": 1500,
    }  # fmt: skip
    trace.end()
    return process


def many(tmp_path: Path, calls: int = 500) -> ProcessBuilder:
    """One call with very many below it."""
    process = ProcessBuilder()
    code = process.code(process.file("/app/a.py"), "f", ("i",))
    trace = process.trace("many")
    s = trace.stream(process.thread("MainThread"))
    s.call(code, 0)
    for number in range(calls):
        s.call(code, number)
        s.ret(number)
        if number % 50 == 0:
            s.cut()
    s.ret()
    trace.end()
    process.write(tmp_path)
    return process


def run(
    capsys: pytest.CaptureFixture[str], *words: str, code: int = 0
) -> tuple[str, str]:
    """Run a command in this process; its stdout and stderr."""
    assert command_line.main(words) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


@pytest.fixture(name="here")
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KOLO_C_PATH", raising=False)
    return tmp_path


class TestShow:
    def test_the_tree_is_as_written(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop(id="trc_01J9ZD00000000000000000SHP").write(here)
        out, err = run(capsys, "show")
        assert err == ""
        lines = out.splitlines()
        assert lines[0].startswith("shop.py  trc_01J9ZD00000000000000000SHP  ")
        assert lines[0].endswith("  complete")
        assert lines[1] == (
            "6 calls · 3.01 ms · 1 exception · 1 masked · 2 truncated · "
            "own cost 1.50 µs"
        )
        assert lines[2] == "3 records lost"
        assert lines[4:] == [
            "thread 1 MainThread  5 nodes",
            "  1  <module>  3.01 ms  shop.py:1",
            "  2    main(n=3) → 42 ✓ handled ValueError from 4  3.01 ms  shop.py:10",
            "  3      Cart.add(item={'price': [1, 2]}) → [1, 2]  1.00 µs  shop.py:40",
            "  4      Cart.add(item=5) ✗ ValueError('bad'), handled in main (2)"
            "  1.00 µs  shop.py:40",
            "  5      main(n=4) → 'last' [1 resume, 3.00 ms suspended]"
            "  3.00 ms  shop.py:10",
            "",
            "thread 2 worker  1 node",
            "  1  main(n=9) → True  1.00 µs  shop.py:10",
        ]

    def test_a_width_cuts_arguments_before_results(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop().write(here)
        out, _ = run(capsys, "show", "--width", "80")
        assert max(map(len, out.splitlines())) <= 80
        (line,) = [line for line in out.splitlines() if "Cart.add(item={" in line]
        assert "→ [1, 2]" in line and line.endswith("shop.py:40")
        out, _ = run(capsys, "show", "--width", "52")
        (line,) = [line for line in out.splitlines() if "[1, 2]" in line]
        assert "…) → [1, 2]" in line and line.endswith("1.00 µs")

    def test_depth_hides_and_counts(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop(id="trc_01J9ZD00000000000000000SHP").write(here)
        out, _ = run(capsys, "show", "--depth", "2")
        assert "Cart.add" not in out
        assert "… 3 nodes below with 1 exception: kolo-c show 000SHP/2" in out

    @pytest.mark.parametrize(
        ("pattern", "count"), [("Cart.add", 2), ("add", 2), ("Cart.*", 2)]
    )
    def test_a_function_is_chosen_by_name(
        self, here: Path, capsys: pytest.CaptureFixture[str], pattern: str, count: int
    ) -> None:
        shop().write(here)
        out, _ = run(capsys, "show", "--function", pattern)
        assert out.count("Cart.add(") == count
        assert "worker" not in out  # nothing of it is there

    @pytest.mark.parametrize("thread", ["2", "worker"])
    def test_a_thread_is_chosen_by_number_or_name(
        self, here: Path, capsys: pytest.CaptureFixture[str], thread: str
    ) -> None:
        shop().write(here)
        out, _ = run(capsys, "show", "--thread", thread)
        assert "worker" in out and "MainThread" not in out
        _, err = run(capsys, "show", "--thread", "nobody", code=1)
        assert "no thread named 'nobody'" in err and "MainThread, worker" in err

    def test_a_cut_says_how_to_see_more(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        many(here)
        out, _ = run(capsys, "show", "--max-lines", "20", "--no-fold")
        assert out.count("f(i=") == 20
        last = out.splitlines()[-1]
        assert "481 more of 501 nodes" in last
        for way in ("--max-lines 0", "--depth", "--function", "--around 21", "--tail"):
            assert way in last
        out, _ = run(capsys, "show", "--max-lines", "0", "--no-fold")
        assert out.count("f(i=") == 501

    def test_the_first_screen_decodes_only_what_it_needs(self, here: Path) -> None:
        many(here)
        with Store(here / ".kolo_c") as store:
            view = View(store.trace(), Options(max_lines=20))
            view.write(io.StringIO())
            # Two for the lines; the last one has the result of the outermost call.
            assert view.trace.decoded_blocks == 3
            assert len(view.trace.streams[0].blocks) == 11

    def test_a_node_is_shown_with_details(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop(id="trc_01J9ZD00000000000000000SHP").write(here)
        out, _ = run(capsys, "show", "SHP/4")
        assert "  self = <Cart>" in out and "  item = 5" in out
        assert "main(n=3)" not in out
        assert "handled in main (2)" in out
        out, _ = run(capsys, "show", "SHP/2.1")
        assert "thread 2 worker" in out and "  n = 9" in out and "result True" in out
        for wrong, message in (
            ("SHP/77", "has no node 1.77"),
            ("SHP/3.1", "has no thread 3"),
            ("SHP/x", "not the address of a node"),
        ):
            _, err = run(capsys, "show", wrong, code=1)
            assert message in err

    def test_json_has_every_node(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop().write(here)
        out, _ = run(capsys, "show", "--json")
        found = json.loads(out)
        assert found["trace"]["counters"]["lost"] == 3
        nodes = {(node["thread"], node["node"]): node for node in found["nodes"]}
        assert list(nodes) == [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 1)]
        assert nodes[1, 3]["arguments"]["item"] == {"price": [1, 2]}
        assert nodes[1, 3]["result"] == [1, 2] and nodes[1, 3]["parent"] == 2
        assert nodes[1, 4]["exception"]["type"] == "ValueError"
        assert nodes[1, 4]["handled_by"] == 2
        assert nodes[1, 5]["suspended_ns"] == 3_000_000

    def test_lines_are_those_of_the_traced_code(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The place of a call and of a raise come from real line tables."""
        source = "def f(x):\n    y = x\n    raise ValueError(y)\n\n\nf(\n    1)\n"
        module = compile(source, "/app/real.py", "exec")
        function = next(c for c in module.co_consts if hasattr(c, "co_code"))
        site, raised = _offset_of(module, 6), _offset_of(function, 3)
        process = ProcessBuilder(python=".".join(map(str, sys.version_info[:3])))
        file = process.file("/app/real.py")
        outer = process.code(file, "<module>", table=line_table(module))
        inner = process.code(file, "f", ("x",), table=line_table(function))
        error = process.type("ValueError")
        s = process.trace("real").stream(process.thread("MainThread"))
        s.call(outer)
        s.call(inner, 1, site=site)
        s.raises(tagged(Tag.EXCEPTION, error, 1, tagged(Tag.TUPLE, 1)), raised)
        s.ret()
        process.traces[0].end()
        process.write(here)
        out, _ = run(capsys, "show")
        assert "✗ ValueError(1) in line 3" in out
        out, _ = run(capsys, "show", "--json")
        node = json.loads(out)["nodes"][1]
        assert (node["called_from_line"], node["raised_line"]) == (6, 3)
        out, _ = run(capsys, "dump")
        records = [json.loads(line) for line in out.splitlines()]
        assert records[2]["called_from_line"] == 6
        assert records[3]["raised_line"] == 3 and records[3]["of_node"] == 2

    def test_marks_are_shown(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        process = ProcessBuilder()
        code = process.code(process.file("/app/a.py"), "f")
        s = process.trace("marks").stream(process.thread("MainThread"))
        s.call(code)
        s.call(code)
        s.mark(Mark.LOST, 1, 1)
        s.mark(Mark.BLIND, 2_000_000)
        s.mark(Mark.LIMIT, 1)
        s.mark(Mark.COUNTED, [code, 5000, 1_000_000])
        s.ret()
        process.traces[0].end()
        process.write(here)
        out, _ = run(capsys, "show")
        assert "its end was not recorded" in out
        assert "· 1 record lost here" in out
        assert "· blind for 2.00 ms: another profiler had taken over" in out
        assert "values are left out from here on" in out
        assert "· f ×5,000, 1.00 ms: counted, not recorded" in out

    def test_other_records_are_shown(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        process = ProcessBuilder()
        code = process.code(process.file("/app/a.py"), "f", ("a",))
        s = process.trace("others").stream(process.thread("MainThread"))
        s.node(Kind.ENTERED, code, 0)
        s.node(Kind.REGION, "import", {"rows": 3})
        s.node(Kind.LOG, "INFO", "app.db", "connected")
        s.node(Kind.NOTE, "half way", {"done": 50})
        s.call(code)
        s.ret(None)
        s.cut()
        process.traces[0].status = "interrupted"
        process.write(here)
        out, _ = run(capsys, "show")
        assert "f (was running already) … not ended" in out
        assert "region import rows=3" in out
        assert "log INFO connected  app.db" in out
        assert "note half way done=50" in out
        assert "f(…)  1.00 µs" in out  # values were off: no result is made up

    def test_a_running_trace_says_so(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        process = ProcessBuilder()
        process.ended = False
        code = process.code(process.file("/app/a.py"), "f")
        s = process.trace("live").stream(process.thread("MainThread"))
        s.call(code)
        with Owner(process.write_mapping(here, s.blocks)):
            out, _ = run(capsys, "show")
        assert out.splitlines()[0].endswith("  running")
        assert "f() … running" in out


class TestHostile:
    def hostile(self, here: Path) -> None:
        process = ProcessBuilder()
        process.info["problems"] = [EVIL]
        file = process.file(f"/app/{EVIL}.py")
        code = process.code(file, f"f{EVIL}", (f"a{EVIL}",))
        kind = process.type(f"T{EVIL}", EVIL)
        s = process.trace(EVIL).stream(process.thread(EVIL))
        values = [
            EVIL, EVIL.encode("utf-8", "surrogatepass"), [EVIL], {EVIL: EVIL},
            tagged(Tag.CUT_STR, EVIL, 9999), tagged(Tag.REF, kind, 1),
            tagged(Tag.OBJECT, kind, 1, EVIL, EVIL), tagged(Tag.REPR, kind, 1, EVIL),
            tagged(Tag.FUNCTION, EVIL), tagged(Tag.MODULE, EVIL),
            tagged(Tag.ENUM, kind, EVIL, 1), tagged(Tag.PATH, kind, EVIL),
            tagged(Tag.ERROR, EVIL), tagged(Tag.NDARRAY, kind, [1], EVIL),
            tagged(Tag.NAMEDTUPLE, kind, EVIL, EVIL), tagged(Tag.CLASS, kind),
        ]  # fmt: skip
        for value in values:
            s.call(code, value)
            s.ret(value)
        s.node(Kind.NOTE, EVIL, {EVIL: EVIL})
        s.node(Kind.LOG, EVIL, EVIL, EVIL)
        s.node(Kind.REGION, EVIL, {EVIL: EVIL})
        s.pop(Kind.REGION_END, tagged(Tag.EXCEPTION, kind, 1, tagged(Tag.TUPLE, EVIL)))
        process.traces[0].cause = EVIL
        process.traces[0].end(cause=EVIL)
        process.write(here)

    @pytest.mark.parametrize(
        "words",
        [["list"], ["list", "--json"], ["show"], ["show", "--json"], ["dump"],
         ["show", "--width", "70"], ["show", "--function", "nope"], ["show", "x\x1b["],
         ["show", "--no-fold"], ["show", "--tail", "5"], ["show", "--around", "3"],
         ["show", "/3"], ["show", "/17"], ["show", "/20", "--json"],
         ["show", "--thread", "\x1b["], ["show", "--task", "\u202e"]],
    )  # fmt: skip
    def test_no_escape_reaches_the_terminal(
        self, here: Path, capsys: pytest.CaptureFixture[str], words: list[str]
    ) -> None:
        self.hostile(here)
        command_line.main(words)
        captured = capsys.readouterr()
        assert captured.out or captured.err
        for line in (captured.out + captured.err).split("\n"):
            assert line.isprintable(), line

    def test_a_terminal_gets_colours_but_no_escapes_of_others(
        self, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Terminal(io.StringIO):
            encoding = "utf-8"

            def isatty(self) -> bool:
                return True

        self.hostile(here)
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm")
        coloured = Terminal()
        with Store(here / ".kolo_c") as store:
            View(store.trace(), Options()).write(coloured)
            assert "\x1b[" in coloured.getvalue()
            for harm in ("\x1b[2J", "\x1b]0", "\x07", "\x9b", "\u202e"):
                assert harm not in coloured.getvalue()
            monkeypatch.setenv("NO_COLOR", "1")
            plain = Terminal()
            View(store.trace(), Options()).write(plain)
        assert all(line.isprintable() for line in plain.getvalue().split("\n"))
        assert max(map(len, plain.getvalue().split("\n"))) <= 100

    def test_an_ascii_file_gets_ascii(self, here: Path) -> None:
        shop("caf\u00e9").write(here)
        raw = io.BytesIO()
        file = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
        with Store(here / ".kolo_c") as store:
            View(store.trace(), Options()).write(file)
        text = raw.getvalue().decode("ascii")
        assert "main(n=3) -> 42" in text and "caf\\xe9" in text


class TestEmpty:
    def show(
        self, here: Path, capsys: pytest.CaptureFixture[str], **counters: int
    ) -> str:
        process = ProcessBuilder()
        trace = process.trace("nothing.py")
        trace.counters = counters
        trace.end()
        process.write(here)
        return " ".join(run(capsys, "show")[0].split())

    def test_filters_are_named_with_the_root(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = self.show(here, capsys, skipped=12)
        assert "filters skipped all the code that ran (12 functions)" in out
        assert "only code under /app is kept" in out
        assert "include_frames" in out and "kolo-c explain" in out

    def test_nothing_ran(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = self.show(here, capsys)
        assert "nothing ran" in out and "kolo-c doctor" in out

    def test_another_profiler(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        process = ProcessBuilder(problems=["the profiler cProfile was installed"])
        process.trace("p").end()
        process.write(here)
        out, _ = run(capsys, "show")
        assert "Nothing was recorded: the profiler cProfile" in out


class TestList:
    def test_a_line_has_what_one_looks_for(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop("first.py", id="trc_" + ulid("AAA7QK")).write(here)
        shop("second.py", id="trc_" + ulid("BBB7QK")).write(here)
        out, _ = run(capsys, "list")
        header, *rows = out.splitlines()
        assert header.split() == [
            "age", "name", "duration", "calls", "size", "status", "id", "short",
        ]  # fmt: skip
        assert len(rows) == 2
        for row, name, short in zip(
            sorted(rows), ("first.py", "second.py"), ("A7QK", "B7QK"), strict=True
        ):
            assert name in row and "3.01 ms" in row and "complete" in row
            assert row.split()[-1] == short and row.split()[-2].startswith("trc_")

    def test_count_bounds_the_lines(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for _ in range(3):
            shop().write(here)
        out, _ = run(capsys, "list", "-n", "2", "--json")
        rows = json.loads(out)
        assert len(rows) == 2
        assert rows[0]["calls"] == 6 and rows[0]["status"] == "complete"
        assert rows[0]["id"].endswith(rows[0]["short_id"])

    def test_an_empty_store_says_what_to_do(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (here / ".kolo_c" / "segments").mkdir(parents=True)
        out, _ = run(capsys, "list")
        assert "No traces" in out and "kolo-c run" in out
        assert run(capsys, "list", "--json")[0] == "[]\n"

    def test_no_store_is_an_error_with_a_next_step(
        self, here: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setenv("HOME", str(here))
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        for command in ("list", "show", "dump"):
            _, err = run(capsys, command, code=1)
            assert str(here) in err and "kolo-c run script.py" in err


class TestDump:
    def test_every_record_is_a_line(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop().write(here)
        out, _ = run(capsys, "dump")
        first, *records = [json.loads(line) for line in out.splitlines()]
        assert first["kind"] == "trace" and first["trace_kind"] == "process"
        assert [record["kind"] for record in records] == [
            "call", "call", "call", "return", "call", "raise", "call", "yield",
            "resume", "return", "return", "return", "call", "return",
        ]  # fmt: skip
        assert [r["node"] for r in records if "node" in r] == [1, 2, 3, 4, 5, 1]
        assert [r["of_node"] for r in records if "of_node" in r] == [
            3, 4, 5, 5, 2, 1, 1,
        ]  # fmt: skip
        call = records[2]
        assert (call["name"], call["file"], call["line"]) == (
            "Cart.add", "/app/shop.py", 40,
        )  # fmt: skip
        assert call["arguments"]["self"]["type"] == "shop.Cart"
        assert records[3]["value"] == [1, 2]
        assert records[8]["resumed"] == 5 and records[8]["resumed_thread"] == 1
        assert records[-1]["thread"] == 2

    def test_missing_blocks_are_said(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        process = many(here / "other")
        process.write(here, blocks=process.blocks()[::2])
        out, _ = run(capsys, "dump")
        gaps = [json.loads(line) for line in out.splitlines() if '"gap"' in line]
        assert [gap["before_block"] for gap in gaps] == [2, 4, 6, 8, 10]


class TestUnits:
    @pytest.mark.parametrize(
        ("ns", "text"),
        [(0, "0 ns"), (999, "999 ns"), (1000, "1.00 µs"), (12_345, "12.3 µs"),
         (999_949_999, "1,000 ms"), (1_000_000_000, "1.00 s"),
         (61_000_000_000, "1 min 01 s"), (7_200_000_000_000, "2 h 00 min"),
         (None, "")],
    )  # fmt: skip
    def test_durations(self, ns: int | None, text: str) -> None:
        assert units.duration(ns) == text

    @pytest.mark.parametrize(
        ("count", "text"),
        [(0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (5 << 30, "5.00 GiB")],
    )
    def test_sizes(self, count: int, text: str) -> None:
        assert units.size(count) == text

    def test_ages(self) -> None:
        second = 10**9
        now = 10**6 * second
        assert units.age(now - 5 * second, now) == "5 s ago"
        assert units.age(now - 7200 * second, now) == "2 h ago"
        assert units.age(now + 5 * second, now) == "in the future"
        assert units.moment(2**62 * 1000) == "at an unknown time"


def test_a_reader_that_goes_away_is_no_error(here: Path) -> None:
    many(here, 5000)
    command = [sys.executable, "-m", "kolo_c", "dump"]
    root = Path(__file__).resolve().parents[2]
    environ = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        process.wait(timeout=30)


def test_show_imports_no_more_than_it_needs(here: Path) -> None:
    shop().write(here)
    unwanted = {"rich", "asyncio", "zstandard"}
    if sys.implementation.name == "cpython":  # PyPy's own sqlite3 needs it
        unwanted.add("textwrap")
    script = (
        "import sys; from kolo_c.cli.main import main; code = main(['show']); "
        f"bad = {unwanted} & set(sys.modules); "
        "sys.exit(str(sorted(bad)) if bad else code)"
    )
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert found.returncode == 0, found.stderr


def test_a_screen_that_is_no_terminal_has_no_width(tmp_path: Path) -> None:
    file = io.StringIO()
    screen = Screen(file)
    screen.text("x" * 500)
    assert file.getvalue() == "x" * 500 + "\n" and not screen.coloured


def test_a_store_of_another_is_read_from_below(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop().write(here)
    below = here / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert "main(n=3)" in run(capsys, "show")[0]
    monkeypatch.chdir("/")
    monkeypatch.setenv("KOLO_C_PATH", str(here))
    assert "main(n=3)" in run(capsys, "show")[0]


def _offset_of(code: Any, line: int) -> int:
    return next(start // 2 for start, _, found in code.co_lines() if found == line)
