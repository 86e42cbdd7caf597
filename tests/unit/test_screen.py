"""Columns, colours and the pager: what a terminal gets."""

from __future__ import annotations

import io
import os
import signal
import stat
from pathlib import Path

import pytest

from kolo_c.cli.cells import cells, fit, fit_end
from kolo_c.cli.pager import Paged, PagerLeft, pager_command
from kolo_c.cli.screen import Screen, cut, terminal_size, wants_colour
from kolo_c.cli.units import spread
from kolo_c.errors import harmless


class Terminal(io.StringIO):
    """A file that says that somebody looks at it."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "PAGER", "KOLO_C_PAGER", "LESS", "LV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "10")


class TestCells:
    @pytest.mark.parametrize(
        ("text", "columns"),
        [
            ("", 0), ("abc", 3), ("naïve", 5), ("→ …×µ✗✓", 7), ("日本", 4),
            ("e\u0301", 1), ("한국어", 6), ("שלום", 4), ("ｆｕｌｌ", 8), ("👍", 2),
            ("a\u20dd", 1),
        ],
    )  # fmt: skip
    def test_a_text_takes_the_columns_that_a_terminal_gives_it(
        self, text: str, columns: int
    ) -> None:
        assert cells(text) == columns

    @pytest.mark.parametrize("width", range(1, 12))
    @pytest.mark.parametrize(
        "text", ["日本語テキスト", "plain words", "e\u0301" * 9, "aあbいcう", "µ→" * 6]
    )
    def test_what_is_cut_fits(self, text: str, width: int) -> None:
        for found in (fit(text, width), fit_end(text, width)):
            assert cells(found) <= width
            assert found == text or "…" in found or width < 1
        ((kept, _),) = cut([(text, "")], width, "…")
        assert cells(kept) <= width

    def test_a_mark_is_not_cut_off_its_letter(self) -> None:
        assert fit("e\u0301e\u0301e\u0301", 2) == "e\u0301…"
        assert fit_end("e\u0301e\u0301e\u0301", 2) == "…e\u0301"
        assert fit_end("xe\u0301", 1) == "e\u0301" or cells(fit_end("xe\u0301", 1)) <= 1

    @pytest.mark.parametrize(
        "char",
        [
            "\x1b", "\x07", "\x9b", "\r", "\n", "\u202e", "\u2066", "\u2069", "\u200f",
            "\u061c", "\u200d", "\u00ad", "\u2028", "\ufeff", "\ud800", "\U000e0041",
        ],
    )  # fmt: skip
    def test_what_moves_the_cursor_or_turns_the_line_is_escaped(
        self, char: str
    ) -> None:
        shown = harmless(f"a{char}b")
        assert char not in shown and shown.startswith("a\\") and shown.isprintable()

    def test_wide_values_leave_the_columns_in_place(self) -> None:
        file = io.StringIO()
        screen = Screen(file, 12)
        screen.line([("日本語テキスト", ""), (" 1 ms", "")])
        assert cells(file.getvalue().rstrip("\n")) <= 12


class TestColour:
    @pytest.mark.parametrize(
        ("terminal", "variables", "option", "coloured"),
        [
            (True, {}, "auto", True),
            (False, {}, "auto", False),
            (True, {"NO_COLOR": "1"}, "auto", False),
            (True, {"NO_COLOR": ""}, "auto", True),
            (True, {"TERM": "dumb"}, "auto", False),
            (False, {"FORCE_COLOR": "1"}, "auto", True),
            (False, {"FORCE_COLOR": "0"}, "auto", False),
            (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, "auto", False),
            (True, {"NO_COLOR": "1"}, "always", True),
            (False, {}, "always", True),
            (True, {"FORCE_COLOR": "1"}, "never", False),
        ],
    )
    def test_the_option_rules_then_the_environment_then_the_terminal(
        self, terminal: bool, variables: dict[str, str], option: str, coloured: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert wants_colour(terminal, option) is coloured

    def test_colours_are_plain_codes(self) -> None:
        file = Terminal()
        Screen(file).line([("bad", "red"), (" 1", ""), ("!", "bold")])
        assert file.getvalue() == "\x1b[31mbad\x1b[0m 1\x1b[1m!\x1b[0m\n"

    def test_the_width_is_that_of_the_environment_but_never_below_40(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert Screen(Terminal()).width == 80
        monkeypatch.setenv("COLUMNS", "20")
        assert Screen(Terminal()).width == 40
        monkeypatch.setenv("COLUMNS", "nonsense")
        assert terminal_size(Terminal()) == (100, 10)
        assert Screen(io.StringIO()).width is None

    def test_long_texts_wrap_and_lose_nothing(self) -> None:
        file = io.StringIO()
        screen = Screen(file, 20)
        screen.long("x = ", "0123456789" * 4)
        assert file.getvalue() == (
            "x = 0123456789012345\n    6789012345678901\n    23456789\n"
        )
        file.truncate(file.seek(0))
        screen.wrapped("a few words that are longer than a line", "", "  ")
        lines = file.getvalue().splitlines()
        assert all(len(line) <= 20 for line in lines)
        assert " ".join(line.strip() for line in lines).startswith("a few words that")


class TestPager:
    def script(self, directory: Path, body: str) -> str:
        path = directory / "pager"
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    def test_more_than_a_screen_goes_through_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "out"
        body = f'cat > {out}; echo "$LESS $LV" >> {out}'
        monkeypatch.setenv("PAGER", self.script(tmp_path, body))
        terminal = Terminal()
        with Paged(terminal) as file:
            for number in range(100):
                file.write(f"{number} →\n")
        assert terminal.getvalue() == ""
        lines = out.read_text(encoding="utf-8").splitlines()
        assert lines[:2] == ["0 →", "1 →"] and len(lines) == 101
        assert lines[-1] == "FRX -c"

    def test_less_than_a_screen_needs_none(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PAGER", "false")
        terminal = Terminal()
        with Paged(terminal) as file:
            file.write("one\n" * 9)
        assert terminal.getvalue() == "one\n" * 9

    def test_one_that_is_not_there_is_done_without(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for command in ("/no/such/pager", "'unclosed"):
            monkeypatch.setenv("KOLO_C_PAGER", command)
            terminal = Terminal()
            with Paged(terminal) as file:
                for _ in range(50):
                    file.write("line\n")
            assert terminal.getvalue() == "line\n" * 50

    def test_leaving_it_early_is_quiet(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PAGER", self.script(tmp_path, "exec 0<&-; exit 0"))
        written = 0
        with Paged(Terminal()) as file:
            for _ in range(1_000_000):
                file.write("a line that fills the pipe\n")
                written += 1
        assert written < 1_000_000

    def test_ctrl_c_is_the_pagers_while_it_shows_something(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        body = f"cat > /dev/null; kill -INT {os.getpid()}"
        monkeypatch.setenv("PAGER", self.script(tmp_path, body))
        before = signal.getsignal(signal.SIGINT)
        with Paged(Terminal()) as file:
            file.write("line\n" * 50)
        assert signal.getsignal(signal.SIGINT) is before

    @pytest.mark.parametrize(
        ("variables", "command"),
        [
            ({}, "less"),
            ({"PAGER": "more"}, "more"),
            ({"PAGER": "more", "KOLO_C_PAGER": "most -s"}, "most -s"),
            ({"PAGER": "cat"}, ""),
            ({"PAGER": "less", "KOLO_C_PAGER": ""}, ""),
            ({"TERM": "dumb"}, ""),
        ],
    )
    def test_the_command(
        self, variables: dict[str, str], command: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert pager_command() == command

    def test_a_pipe_and_no_pager_get_the_lines(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PAGER", "false")
        for target, wanted in ((io.StringIO(), True), (Terminal(), False)):
            with Paged(target, wanted=wanted) as file:
                file.write("line\n" * 50)
            assert target.getvalue() == "line\n" * 50

    def test_other_errors_pass(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PAGER", "cat")
        with pytest.raises(ValueError, match="mine"), Paged(Terminal()):
            raise ValueError("mine")
        assert issubclass(PagerLeft, Exception)


@pytest.mark.parametrize(
    ("times", "text"),
    [
        ((1200, 3400, 90_000), "1.20–3.40–90.0 µs"),
        ((450, 3400, 90_000), "450 ns – 3.40 µs – 90.0 µs"),
        ((1, 2, 3), "1–2–3 ns"),
        ((0, 61 * 10**9, 62 * 10**9), "0 ns – 1 min 01 s – 1 min 02 s"),
    ],
)
def test_a_spread_names_a_unit_once(times: tuple[int, int, int], text: str) -> None:
    assert spread(*times) == text
