"""``%%kolo_c`` records a cell and shows its calls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("IPython")

ROOT = Path(__file__).parents[2]
# A shell of the terminal's kind, without a terminal; what it displays is kept.
SHELL = """\
import json, sys
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
shell = InteractiveShell.instance(colors="{colours}")
shell.run_line_magic("load_ext", "kolo_c.integrations.ipython")
for cell in json.loads(sys.stdin.read()):
    with capture_output() as said:
        shell.run_cell(cell, store_history=True)
    print(json.dumps({{
        "said": said.stdout,
        "warned": said.stderr,
        "shown": [output.data for output in said.outputs],
    }}))
"""


@pytest.fixture
def cells(tmp_path: Path):
    """``cells(*texts)``: what the shell says and shows of each."""
    import json
    import os

    (tmp_path / "setup.py").touch()

    def run(*texts: str, **variables: str) -> list[dict[str, object]]:
        environ = {
            name: text for name, text in os.environ.items() if name[:6] != "KOLO_C"
        }
        environ |= {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path / "ipython")}
        colours = "nocolor" if _version() >= (9,) else "NoColor"
        done = subprocess.run(
            [sys.executable, "-c", SHELL.format(colours=colours)],
            cwd=tmp_path,
            env={**environ, **variables},
            input=json.dumps(texts),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def _version() -> tuple[int, ...]:
    import IPython

    return IPython.version_info[:1]


DEFINE = "def double(value):\n    return value * 2\n"
RECORD = "%%kolo_c doubled <b>\ntotal = double(2) + double(3)\ntotal"


def test_a_cell_shows_its_calls_as_text_and_as_html(cells) -> None:
    _, recorded, after = cells(DEFINE, RECORD, "total + 1")
    assert "Out" in str(recorded["said"]) or "10" in str(recorded)
    (shown,) = [data for data in recorded["shown"] if "text/html" in data]
    assert "double(value=2) → 4" in shown["text/plain"]
    assert "double(value=3) → 6" in shown["text/plain"]
    page = shown["text/html"]
    assert "doubled &lt;b&gt;" in page and "<b>" not in page
    assert page.count("<span") == page.count("</span>") > 0
    assert "\x1b" not in page + shown["text/plain"]
    assert "http" not in page and "file:" not in page and "src=" not in page
    assert "11" in str(after)  # what a cell assigns stays


def test_only_calls_of_the_cell_are_in_its_trace(cells) -> None:
    _, first, _, second = cells(DEFINE, RECORD, "double(50)", "%%kolo_c\ndouble(7)")
    assert "value=7" not in str(first["shown"])
    assert "value=7" in str(second["shown"])
    assert "value=50" not in str(second["shown"])


def test_within_a_session_it_is_a_trace_of_its_own(cells) -> None:
    start = "import kolo_c\nouter = kolo_c.trace('outer').start()"
    *_, recorded = cells(DEFINE, start, RECORD)
    assert "double(value=2) → 4" in str(recorded["shown"])


def test_a_cell_that_fails_shows_its_error_and_its_calls(cells) -> None:
    fail = "%%kolo_c\ndef fail(): raise ValueError('no')\nfail()"
    (recorded, after) = cells(fail, "5")
    assert "ValueError: no" in str(recorded["said"])
    assert "ValueError" in str(recorded["shown"])
    assert "5" in str(after)


def test_depth_and_wrong_options(cells) -> None:
    deep = "def inner(): pass\ndef outer(): inner()\n"
    _, cut, wrong, no_number = cells(
        deep,
        "%%kolo_c --depth 1\nouter()",
        "%%kolo_c --wide\nouter()",
        "%%kolo_c --depth x\nouter()",
    )
    assert "inner()" not in str(cut["shown"])
    assert "unknown option --wide" in str(wrong)
    assert "--depth needs a number" in str(no_number)


def test_switched_off_the_cell_runs_and_a_warning_says_why(cells) -> None:
    _, recorded = cells(DEFINE, RECORD, KOLO_C="0")
    assert "10" in str(recorded)
    assert "KOLO_C is 0" in str(recorded["warned"])
    assert not any("text/html" in data for data in recorded["shown"])
