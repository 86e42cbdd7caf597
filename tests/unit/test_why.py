"""``kolo-c why`` as a person and as a program see it; the lines at a program's end."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kolo_c.cli import closing
from kolo_c.cli.main import main
from kolo_c.failure import ATTRIBUTE
from kolo_c.wire import Tag
from tests.unit.store_builder import Owner, ProcessBuilder, tagged

EVIL = "\x1b[2J\x1b]0;owned\x07\r\x9b31m\u202e\u2028"
ID = "trc_01J9ZD00000000000000000WHY"


@pytest.fixture(name="here")
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KOLO_C_PATH", raising=False)
    return tmp_path


def why(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What it prints."""
    assert main(["why", *words]) == code
    return capsys.readouterr().out


def failing(name: str = "shop.py", text: str = "bad", depth: int = 1) -> ProcessBuilder:
    """main calls f (``depth`` times itself), which raises."""
    process = ProcessBuilder()
    file = process.file(f"/app/{name}")
    module = process.code(file, "<module>")
    f = process.code(file, name, ("n", text), line=20, locals=("x",))
    error = process.type(name, "shop")
    args = tagged(Tag.TUPLE, text)
    trace = process.trace(name, id=ID)
    s = trace.stream(process.thread("MainThread"))
    s.call(module)
    for n in range(depth):
        s.call(f, n, text)
    for _ in range(depth):
        s.raises(tagged(Tag.EXCEPTION, error, 0x10, args), 0, text)
    s.raises(tagged(Tag.EXCEPTION, error, 0x10, args))
    chain = [{"type": f"shop.{name}", "address": 0x10, "file": EVIL, "line": 3}]
    trace.attributes[ATTRIBUTE] = json.dumps({"chain": chain})
    trace.end()
    return process


class TestHostile:
    def test_nothing_that_is_printed_can_harm_a_terminal(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        failing(name=f"f{EVIL}", text=EVIL).write(here)
        out = why(capsys)
        assert "raised in" in out
        assert not set(out) & set(EVIL) - set("[2J]0;owned31m")
        json.loads(why(capsys, "--json"))

    def test_a_frame_takes_one_line_however_deep_and_long(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        failing(text="long " * 100, depth=500).write(here)
        lines = why(capsys).splitlines()
        assert len(lines) < 60
        assert any("more frames" in line for line in lines)
        assert all(len(line) <= 400 for line in lines)

    def test_a_failure_that_names_nothing_recorded_is_told_as_far_as_it_goes(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        process = failing()
        chain = [{"type": "Odd", "address": 1, "file": "/lib/x.py", "line": 7}]
        process.traces[0].attributes[ATTRIBUTE] = json.dumps({"chain": chain})
        process.write(here)
        lines = why(capsys).splitlines()
        assert lines[0] == "✗ Odd ended shop.py"
        assert "/lib/x.py:7" in lines[1]


class TestWhich:
    def test_without_a_trace_it_says_what_to_do(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["why"]) == 1
        assert "kolo-c run script.py" in capsys.readouterr().err

    def test_a_trace_is_named_by_its_ending_and_a_file_by_db(
        self, here: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        process = failing()
        process.write(here)
        assert why(capsys, "0WHY").startswith("✗ shop.py('bad') ended shop.py")
        assert main(["why", "NONE"]) == 1
        assert "no trace ends in" in capsys.readouterr().err

    def test_without_a_name_it_is_the_latest_that_failed(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A failed test is followed by ten that passed, and they are no answer."""

        def write(name: str, seconds: int, cause: str = "exit") -> None:
            process = ProcessBuilder()
            trace = process.trace(name)
            trace.started_ns += seconds * 1_000_000_000
            trace.end(cause=cause)
            process.write(here)

        write("older.py", 1)
        assert why(capsys).startswith("older.py ended well")
        write("bad.py", 2, "exception")
        write("worse.py", 3, "exception")
        write("passed.py", 4)
        assert "worse.py" in why(capsys).splitlines()[0]

    def test_a_parent_that_is_gone_is_named_by_its_id(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        process = failing()
        process.traces[0].parent = "trc_01J9ZD0000000000000000GONE"
        process.write(here)
        out = why(capsys)
        assert "started by trc_01J9ZD0000000000000000GONE, which is not here" in out

    def test_an_empty_trace_ended_well(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        process = ProcessBuilder()
        process.trace("empty.py").end()
        process.write(here)
        assert why(capsys).startswith("empty.py ended well")

    def test_a_killed_program_without_an_open_call_says_so(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        process = ProcessBuilder()
        process.trace("gone.py").end("interrupted", None)
        process.write(here)
        assert "no recorded call was open" in why(capsys)

    def test_a_running_program_is_read_from_its_mapping(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        process = ProcessBuilder()
        process.ended = False
        code = process.code(process.file("/app/a.py"), "waits", ("lock",))
        trace = process.trace("hangs.py")
        stream = trace.stream(process.thread("MainThread"))
        stream.call(code, 1)
        assert stream.block is not None
        stream.block.state = 1
        process.write(here, blocks=[])
        with Owner(process.write_mapping(here, [stream.block])):
            lines = why(capsys).splitlines()
        assert lines[0].startswith("hangs.py is running (process ")
        assert "nothing was recorded for the last" in lines[0]
        assert "waits(lock=1)" in lines[2]
        assert "open for" in lines[2]


# ---- the end of a program ----


def summary(**more: Any) -> Any:
    values = {
        "trace_id": ID, "store": "/app/.kolo_c", "calls": 9, "bytes": 331,
        "masked": 0, "truncated": 0, "lost": 0, "errors": 0, "waited_ns": 0,
        "own_ns": 0, "duration_ns": 6_000_000, "problems": (),
    }  # fmt: skip
    return SimpleNamespace(**{**values, **more})


PROJECT: Any = SimpleNamespace(
    store="/app/.kolo_c", root="/app", reason="", cwd="/app", notes=()
)
FILTER: Any = SimpleNamespace(problems=(), skipped={})


def lines_of(**more: Any) -> list[str]:
    return closing.closing_lines(summary(**more), "shop.py", PROJECT, FILTER)


class TestClosing:
    def test_it_is_one_line_when_all_is_well(self) -> None:
        assert lines_of() == [
            "recorded 9 calls of shop.py in 6.00 ms, 331 B of records in /app/.kolo_c; "
            "see it with: kolo-c show 00WHY"
        ]

    def test_cost_and_what_was_changed_stand_in_it(self) -> None:
        (line,) = lines_of(own_ns=2_000_000, masked=1, truncated=2000)
        assert "in 6.00 ms (own cost 2.00 ms), 331 B" in line
        assert ", 1 value masked, 2,000 values cut short; see it" in line

    def test_what_was_lost_has_a_line_of_its_own(self) -> None:
        lines = lines_of(lost=2, errors=1, waited_ns=2_000_000_000)
        assert lines[1].startswith("2 records lost")
        assert lines[2].startswith("1 error while recording; /app/.kolo_c/kolo_c.log")
        assert lines[3].startswith("the program was held for 2.00 s")

    @pytest.mark.parametrize(
        ("file", "expected"),
        [
            ("/app/shop/cart.py", ", from main (shop/cart.py:3)"),
            ("/lib/argparse.py", ""),
            (None, ""),
        ],
    )
    def test_an_exit_is_said_with_its_place_in_the_project(
        self, file: str | None, expected: str
    ) -> None:
        link = {} if file is None else {"file": file, "line": 3, "function": "main"}
        found = {"exit_code": 2, "chain": [link]}
        line = closing.exit_line(found, "/app")
        assert line == "the program ended with exit code 2" + expected

    def read_back(self, here: Path, process: ProcessBuilder, **more: Any) -> Any:
        if not (here / ".kolo_c").exists():
            process.write(here)
        told = summary(store=str(here / ".kolo_c"), **more)
        return closing.read_back(told, process.id, PROJECT, failed=True)

    def test_the_story_is_bounded_in_lines_and_width(
        self, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        story, _ = self.read_back(here, failing(text="long " * 100, depth=500))
        assert story[0].startswith("✗ shop.py('long long")
        assert story[-1] == "  more of it: kolo-c why 00WHY"
        assert len(story) <= 30
        assert max(map(len, story)) <= 160

    def test_a_terminal_has_its_width(
        self, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setenv("COLUMNS", "44")
        story, _ = self.read_back(here, failing(text="long " * 100))
        assert max(map(len, story)) == 44

    def test_an_encoding_that_lacks_signs_gets_others(
        self, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr(sys, "stderr", stream)
        story, _ = self.read_back(here, failing())
        assert story[0].startswith("x shop.py('bad') ended")
        assert all(line.isascii() for line in story)

    def test_a_store_that_is_gone_gives_no_story(self, here: Path) -> None:
        told = summary(store=str(here / "gone"))
        assert closing.read_back(told, "X", PROJECT, failed=True) == ([], [])

    def test_a_busy_function_is_named_with_the_command_that_ignores_it(
        self, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process = ProcessBuilder()
        file = process.file("/app/shop.py")
        price = process.code(file, "Cart.price", module="shop.cart")
        other = process.code(file, "other", module="shop.cart")
        trace = process.trace("shop.py", id=ID)
        stream = trace.stream(process.thread("MainThread"))
        for code in (other, price, price, price):
            stream.call(code)
            stream.ret()
        trace.end()
        _, more = self.read_back(here, process, calls=20_000)
        assert more == [
            "Cart.price made about 75% of the calls; to leave it out: kolo-c ignore "
            "module:shop.cart:Cart.price"
        ]
        monkeypatch.setattr(PROJECT, "cwd", "/app/below")  # which finds another root
        _, more = self.read_back(here, process, calls=20_000)
        assert more[0].endswith(":Cart.price --project /app")
        _, more = self.read_back(here / "few", process, calls=9_000)
        assert more == []
