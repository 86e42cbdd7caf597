"""Run a test file of CPython on one side, in a directory and a store of its own.

Threads: one. Owns: the process it starts, with its children, until that has ended.
Fails: never; a crash or a time-out is how the file ended.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kolo_c.errors import KoloError
from kolo_c.store.reader import Store
from tools.cpython_tests.known import Side
from tools.cpython_tests.results import FileResult, read

ROOT = Path(__file__).resolve().parent.parent.parent
WITNESS = Path(__file__).resolve().parent / "witness.py"
EVERYTHING = "qualname:*"
_SAYS_BYTES = 4000


@dataclass(frozen=True)
class Limits:
    """What a run may take."""

    seconds: float = 600.0
    trace_bytes: int = 256 << 20
    include: tuple[str, ...] = (EVERYTHING,)
    """What is kept."""


def run_file(
    test: str,
    side: Side | None,
    limits: Limits,
    *,
    witness: bool = False,
    arguments: Sequence[str] = (),
    keep: Path | None = None,
) -> FileResult:
    """Run ``test``; without a side untraced, as ``witness`` under an empty callback.

    ``arguments`` go to regrtest. What the run wrote is copied to ``keep``.
    """
    folder = Path(tempfile.mkdtemp(prefix="kolo-c-cpython-"))
    try:
        result = _run_in(folder, test, side, limits, witness, arguments)
        if keep is not None:
            shutil.copytree(folder, keep, dirs_exist_ok=True, symlinks=True)
        return result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_in(
    folder: Path,
    test: str,
    side: Side | None,
    limits: Limits,
    witness: bool,
    arguments: Sequence[str],
) -> FileResult:
    for name in ("project", "tmp", "store"):
        (folder / name).mkdir()
    (folder / "project" / "pyproject.toml").touch()
    junit = folder / "junit.xml"
    command = [
        *_python(side, witness, limits),
        *_regrtest(folder, junit),
        *arguments,
        test,
    ]
    began = time.monotonic()
    code = _wait(command, folder, limits.seconds)
    output = (folder / "output").read_text(encoding="utf-8", errors="replace")
    result = read(junit, output, code)
    result.seconds = time.monotonic() - began
    result.says[test] = f"{result.end}\n{output[-_SAYS_BYTES:]}"
    if side is not None and not witness:
        _look_at_trace(folder / "store", result)
    return result


def _python(side: Side | None, witness: bool, limits: Limits) -> list[str]:
    """The words that stand before regrtest's arguments."""
    if side is None:
        return [sys.executable, "-m", "test"]
    if witness:
        return [sys.executable, str(WITNESS), side.hook, side.core]
    return [
        *(sys.executable, "-m", "kolo_c", "run", "--quiet"),
        *(f"--hook={side.hook}", f"--core={side.core}"),
        *(word for pattern in limits.include for word in ("--include", pattern)),
        *("--set", f"max_trace_bytes={limits.trace_bytes}", "-m", "test"),
    ]


def _regrtest(folder: Path, junit: Path) -> list[str]:
    words = ["-v", "--fail-env-changed", "--junit-xml", str(junit)]
    words += ["--tempdir", str(folder / "tmp")]
    if sys.version_info >= (3, 11):  # before, it would also change the order
        words += ["--randseed", "1"]
    return words


def environment(folder: Path) -> dict[str, str]:
    """The same on every side: settings have no effect where nothing is traced."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KOLO_C", "PYTHON", "PYTEST", "COV"))
    }
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "1",
        "TMPDIR": str(folder / "tmp"),
        "KOLO_C_PATH": str(folder / "store"),
    }


def _wait(command: list[str], folder: Path, seconds: float) -> int | None:
    """The exit code; None where it, and all that it started, had to be killed."""
    with open(folder / "output", "wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder / "project",
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def _look_at_trace(store: Path, result: FileResult) -> None:
    """What was recorded, and what the recorder could not do."""
    notes = []
    try:
        with Store(store / ".kolo_c") as stored:
            for info in stored.traces():
                result.calls += info.calls
                notes += [
                    f"{info.count(name)} {name}"
                    for name in ("lost", "errors")
                    if info.count(name)
                ]
                problems = info.attributes.get("problems", ())
                notes += [str(problem) for problem in problems]
    except KoloError as error:
        notes.append(f"the trace cannot be read: {error}")
    if result.calls == 0:
        notes.append("nothing was recorded")
    result.notes = tuple(dict.fromkeys(notes))


def probe(side: Side) -> str:
    """Why nothing can be traced with ``side`` here; empty where it can."""
    folder = Path(tempfile.mkdtemp(prefix="kolo-c-cpython-"))
    try:
        for name in ("project", "tmp", "store"):
            (folder / name).mkdir()
        words = _python(side, False, Limits())[:-2]
        done = subprocess.run(
            [*words, "-c", "def f(): pass\nf()"],
            cwd=folder / "project",
            env=environment(folder),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if done.returncode == 0:
        return ""
    said = done.stderr.strip().splitlines() or ["it does not run"]
    return re.sub(r"^kolo-c: (error: )?", "", said[0])
