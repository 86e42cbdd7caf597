"""``kolo-c show`` of programs that really ran: on terminals, through pipes and pagers."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from kolo_c.cli.cells import cells

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import asyncio
import shop
import shop.cart


def cost(name):
    if name == "milk":
        raise LookupError(name)
    return len(name)


def total(names):
    return sum(cost(name) for name in names)


async def serve(name):
    await asyncio.sleep(0)
    return name


async def main():
    tasks = [asyncio.create_task(serve(n), name=f"serve {n}") for n in "ab"]
    for task in tasks:
        await task


for day in range(50):
    total(["tea", "bread", "\\u65e5\\u672c\\u8a9e"])
try:
    total(["tea", "milk"])
except LookupError:
    total(["\\u202e\\x1b[31mred"])
asyncio.run(main())
"""


@pytest.fixture(name="project", scope="module")
def _project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("project")
    (project / "pyproject.toml").write_text("", encoding="utf-8")
    (project / "shop").mkdir()
    (project / "shop" / "__init__.py").write_text(
        "from shop import tools\n", encoding="utf-8"
    )
    (project / "shop" / "tools.py").write_text(
        "def tool():\n    return 1\n\n\ntool()\n", encoding="utf-8"
    )
    (project / "shop" / "cart.py").write_text("CART = []\n", encoding="utf-8")
    (project / "program.py").write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "kolo_c", "run", "program.py"],
        cwd=project, env=environment(), capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return project


def environment(**more: str) -> dict[str, str]:
    kept = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **more}


def show(project: Path, *words: str, **more: str) -> str:
    """What goes into a pipe."""
    done = subprocess.run(
        [sys.executable, "-m", "kolo_c", "show", *words],
        cwd=project, env=environment(**more), capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def show_on_terminal(
    project: Path, *words: str, columns: int = 80, lines: int = 24, **more: str
) -> str:
    """What a terminal of that size gets."""
    master, slave = pty.openpty()
    size = struct.pack("HHHH", lines, columns, 0, 0)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
    attributes = termios.tcgetattr(slave)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    process = subprocess.Popen(
        [sys.executable, "-m", "kolo_c", "show", *words],
        cwd=project, env=environment(**{"TERM": "xterm", **more}), stdin=slave,
        stdout=slave, stderr=slave,
    )  # fmt: skip
    os.close(slave)
    found = b""
    try:
        while data := os.read(master, 65536):
            found += data
    except OSError:  # Linux says so when the other end is gone
        pass
    assert process.wait(timeout=60) == 0, found
    os.close(master)
    return found.decode("utf-8")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[\d*m", "", text)


def number_of(text: str, what: str) -> str:
    """The number of the first line that has ``what``."""
    return next(line.split()[0] for line in text.splitlines() if what in line)


def test_the_first_screen_tells_what_happened(project: Path) -> None:
    out = show(project)
    assert len(out.splitlines()) < 40
    assert "import shop, shop.cart: 3 modules" in out
    assert re.search(r"total\(…\) ×49 more  min–median–max .* sum .*, 196 below", out)
    assert "<genexpr> → 3 items" in out
    assert "<module> ✓ handled LookupError from" in out
    assert "✗ LookupError('milk') in line 9, handled in <module> (1)" in out


def test_the_page_of_a_call_has_its_source(project: Path) -> None:
    number = number_of(show(project), "✗ LookupError('milk') in line 9")
    page = show(project, f"/{number}")
    assert "✗  9          raise LookupError(name)" in page
    assert "  name = 'milk'" in page and "<genexpr> (" in page
    above = show(project, f"/{number_of(show(project), '<module>')}")
    assert "total([" in above and " more\n" in above


def test_a_task_is_found(project: Path) -> None:
    out = show(project, "--task", "serve b")
    assert out.count("serve(name='b')") == 1 and "serve(name='a')" not in out


def test_forty_columns_are_enough(project: Path) -> None:
    out = plain(show_on_terminal(project, "--no-pager", columns=40))
    assert "total(" in out
    number = number_of(out, "total(names")
    page = plain(show_on_terminal(project, f"/{number}", "--no-pager", columns=40))
    for line in (out + page).splitlines():
        assert cells(line) <= 40, line


def test_a_wide_value_leaves_times_and_places_in_their_columns(project: Path) -> None:
    out = plain(show_on_terminal(project, "--no-fold", "--no-pager", columns=100))
    lines = [line for line in out.splitlines() if re.match(r" +\d+  +cost\(", line)]
    assert any("日本語" in line for line in lines) and len(lines) > 20
    places = {cells(line[: line.index("program.py:")]) for line in lines}
    assert len(places) == 1


@pytest.mark.parametrize(
    ("variables", "words", "coloured"),
    [
        ({}, (), True),
        ({"NO_COLOR": "1"}, (), False),
        ({"TERM": "dumb"}, (), False),
        ({"NO_COLOR": "1"}, ("--color", "always"), True),
        ({}, ("--color", "never"), False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    project: Path, variables: dict[str, str], words: tuple[str, ...], coloured: bool
) -> None:
    out = show_on_terminal(project, "--no-pager", *words, **variables)
    assert ("\x1b[" in out) is coloured
    assert "\x1b[31mred" not in out and "\u202e" not in out and "\\x1b[31m" in out
    assert "\x1b" not in show(project)
    assert "\x1b[" in show(project, FORCE_COLOR="1")


def test_more_than_a_screen_goes_through_the_pager(project: Path) -> None:
    pager = "sed s/^/PAGED:/"
    out = show_on_terminal(project, "--no-fold", PAGER=pager)
    assert out.count("PAGED:") > 50
    assert "PAGED:" not in show_on_terminal(project, PAGER=pager, lines=60)
    assert "PAGED:" not in show(project, "--no-fold", PAGER=pager)
    out = show_on_terminal(project, "--no-fold", PAGER="/no/such/pager")
    assert "total(" in plain(out) and "no/such" not in out


def test_leaving_the_pager_early_is_quiet(project: Path) -> None:
    out = show_on_terminal(project, "--no-fold", "--max-lines", "0", PAGER="head -n 1")
    assert "program.py" in out and "Traceback" not in out and "error" not in out


@pytest.mark.parametrize("words", [(), ("--no-fold",), ("--json",), ("/1",)])
def test_a_pipe_that_closes_is_quiet(project: Path, words: tuple[str, ...]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "kolo_c", "show", *words],
        cwd=project, env=environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        process.wait(timeout=60)


def test_json_is_whole_whatever_is_folded(project: Path) -> None:
    nodes = json.loads(show(project, "--json"))["nodes"]
    names = [node["name"] for node in nodes]
    assert names.count("total") == 52
    assert [node["node"] for node in nodes] == sorted(node["node"] for node in nodes)


def test_what_an_exception_came_from_is_said(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    (tmp_path / "chain.py").write_text(
        "def low():\n    raise KeyError('k')\n\n\ndef high():\n    try:\n"
        "        low()\n    except KeyError as error:\n"
        "        raise ValueError('v') from error\n\n\nhigh()\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "kolo_c", "run", "chain.py"],
        cwd=tmp_path, env=environment(), capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    page = show(tmp_path, "/2")
    assert "raised in high (2) in line 9:  raise ValueError('v') from error" in page
    assert "  caused by KeyError, raised in chain.py:2\n" in page
    assert "▸ 7          low()   → 3" in page
