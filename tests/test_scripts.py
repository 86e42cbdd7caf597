"""The scripts, in a clean clone, as somebody new would run them."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import signal
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
    } | {"KOLO_C_DEBUG": "1"}  # but the compiler may be quick


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
    "script", ["bootstrap", "demo", "test", "test-django", "test-python", "wheel"]
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
    steps = "style python sanitize django c pythons programs wheel"
    assert answer.stderr == f"test: no step styel ({steps})\n"


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


def side_by_side(jobs: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Names and their commands, so many at a time."""
    return subprocess.run(
        [sys.executable, "tools/side_by_side.py", f"--jobs={jobs}", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_steps_run_side_by_side_and_each_ones_output_is_whole(tmp_path: Path) -> None:
    """Each waits for the other half-way: one after the other they would not end."""
    meet = (
        f"echo {{0}} begins; touch {tmp_path}/{{0}}; "
        f"while [ ! -e {tmp_path}/{{1}} ]; do sleep 0.05; done; echo {{0}} ends"
    )
    answer = side_by_side(
        2, "one", meet.format("one", "two"), "two", meet.format("two", "one")
    )
    assert answer.returncode == 0, answer.stdout
    for name in ("one", "two"):
        assert f"== {name}: its output\n{name} begins\n{name} ends\n" in answer.stdout
        assert f"== {name}: passed in " in answer.stdout
    assert "script/test: all passed (one two) in " in answer.stdout


def test_what_a_step_took_of_the_processors_is_its_own() -> None:
    """Of all its processes: what makes the gate long is to be seen."""
    works = "import time\nwhile time.process_time() < 1: pass"
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(works)}; true"
    answer = side_by_side(2, "works", command, "waits", "sleep 1.5")
    assert re.search(r"== works: passed in \d+ s, [12] s of CPU", answer.stdout)
    assert re.search(r"== waits: passed in \d+ s, 0 s of CPU", answer.stdout)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_step_that_fails_fails_all_and_the_others_still_run(jobs: int) -> None:
    answer = side_by_side(
        jobs, "good", "echo fine", "bad", "echo oh >&2; exit 3", "last", "echo end"
    )
    assert answer.returncode == 1
    assert "== bad: FAILED after " in answer.stdout
    assert "== last: passed in " in answer.stdout
    assert answer.stdout.endswith("\nscript/test: failed: bad\n")
    assert "oh\n" in (answer.stderr if jobs == 1 else answer.stdout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_that_the_steps_started(
    number: signal.Signals, tmp_path: Path
) -> None:
    """The lock of a file is free when the last process that has it open has ended."""
    (tmp_path / "lock").touch()
    held = f"exec 9<{tmp_path}/lock; flock -s 9; sleep 600 & touch {tmp_path}/"
    process = subprocess.Popen(
        [
            *(sys.executable, "tools/side_by_side.py", "--jobs=2"),
            *("deaf", f"trap '' TERM; {held}deaf; wait"),
            *("family", f"echo said; {held}family; wait"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with (tmp_path / "lock").open() as lock:
        while len(list(tmp_path.iterdir())) < 3:
            assert process.poll() is None
            time.sleep(0.02)
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        process.send_signal(number)
        said, _ = process.communicate(timeout=30)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert process.returncode == 128 + number
    assert "== family: its output\nsaid\n== family: STOPPED after " in said
    assert "== deaf: STOPPED after " in said
    assert said.endswith(f"script/test: stopped by {number.name}\n")


def test_a_step_has_the_signals_of_a_terminal() -> None:
    """The tests in it would fail otherwise: an & before it ignores SIGINT for all."""
    command = "grep SigIgn /proc/self/status"
    answer = subprocess.run(
        [
            "bash",
            "-c",
            f"{sys.executable} tools/side_by_side.py one '{command}' & wait",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    ignored = int(answer.stdout.split("SigIgn:")[-1].split()[0], 16)
    assert not ignored & (1 << (signal.SIGINT - 1) | 1 << (signal.SIGQUIT - 1))


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


def test_a_django_that_is_not_supported_is_said_to_be_none() -> None:
    ended = subprocess.run(
        [ROOT / "script" / "test-django", "3.2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == "test-django: no Django 3.2 (4.2 5.2 6.0 6.1)\n"
