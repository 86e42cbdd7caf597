"""The scripts, in a clean clone, as somebody new would run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

needs_a_clone = pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(),
    reason="not a git repository",
)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is committed, and nothing else."""
    folder = tmp_path_factory.mktemp("clone") / "kolo_c"
    subprocess.run(
        ["git", "clone", "-q", "--depth=1", ROOT.as_uri(), str(folder)], check=True
    )
    return folder


def outside_of_any_environment() -> dict[str, str]:
    """The environment of somebody who has just logged in."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VIRTUAL_ENV", "KOLO_C_", "PYTEST_", "PYTHONPATH"))
    }


def run(clone: Path, script: str) -> str:
    """What the script prints; its whole output where it fails."""
    answer = subprocess.run(
        [f"script/{script}"],
        cwd=clone,
        env=outside_of_any_environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=900,
    )
    assert answer.returncode == 0, answer.stdout
    return answer.stdout


@pytest.mark.slow
@needs_a_clone
def test_the_demo_ends_with_a_trace_on_the_screen(clone: Path) -> None:
    said = run(clone, "demo")
    recorded, outline, detail = said.split("$ kolo-c show")
    assert "60 orders, " in recorded, "the example's own report"
    assert "main() → None" in outline
    assert "trade(order_count=60, seed=1)" in outline
    assert "Gateway.charge(card_token=<masked" in detail
    assert "CardDeclined('the bank declined')" in detail
    assert "card-of-" not in outline + detail
    assert (clone / ".kolo_c" / "segments").is_dir()


@pytest.mark.slow
@needs_a_clone
def test_the_demo_is_quick_the_second_time(clone: Path) -> None:
    run(clone, "demo")
    began = time.monotonic()
    said = run(clone, "demo")
    assert time.monotonic() - began < 20
    assert "bootstrap: installing" not in said


@pytest.mark.slow
@needs_a_clone
def test_the_demo_leaves_the_clone_as_git_has_it(clone: Path) -> None:
    run(clone, "demo")
    answer = subprocess.run(
        ["git", "status", "--porcelain"],
        cwd=clone,
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == ""


@pytest.mark.parametrize(
    "script", ["bootstrap", "demo", "test", "test-python", "wheel"]
)
def test_a_script_can_be_run_and_parsed(script: str) -> None:
    path = ROOT / "script" / script
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", str(path)], check=True)
    assert path.read_text(encoding="utf-8").startswith(
        f"#!/usr/bin/env bash\n# {script} -- "
    )


def test_an_unknown_step_is_refused_before_anything_is_set_up() -> None:
    answer = subprocess.run(
        ["script/test", "styel"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 2
    assert (
        answer.stderr == "test: no step styel (style c python sanitize wheel pythons)\n"
    )


def test_a_python_that_is_too_old_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text(
        '#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2\nexit 1\n', encoding="utf-8"
    )
    old.chmod(0o755)
    answer = subprocess.run(
        ["script/bootstrap"],
        cwd=ROOT,
        env={**os.environ, "PYTHON": str(old)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert "is Python 3.9.2: kolo_c needs 3.10 or newer" in answer.stderr


IGNORED = """\
import signal, subprocess, sys
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
if sys.argv[1:]:
    from tests.conftest import pytest_configure
    pytest_configure()
says = "import signal; print(signal.getsignal(2) is signal.default_int_handler, [ \
signal.getsignal(n).name for n in (1, 3)], len(signal.pthread_sigmask(0, ())))"
subprocess.run([sys.executable, "-c", says], check=True)
"""


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("", "False ['SIG_IGN', 'SIG_IGN'] 1\n"),
        ("as in tests", "True ['SIG_DFL', 'SIG_DFL'] 0\n"),
    ],
)
def test_what_tests_start_has_the_signals_of_a_terminal(word: str, said: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", IGNORED, *word.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == said
