"""Run a program as a user does, ``python`` or ``kolo-c run``, in a folder of its own.

Peak memory is asked of a small process between: the kernel lets a child begin with the
peak of whoever started it.

Threads: any. Owns: nothing. Fails: ProgramError, when the program does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.child import ROOT
from benchmarks.recording import WORKLOADS

_BETWEEN = """\
import json, os, sys, time
begin = time.monotonic()
pid = os.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss,
                  usage.ru_utime + usage.ru_stime, time.monotonic() - begin]))
"""
# Linux says kilobytes, macOS bytes.
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


class ProgramError(Exception):
    """The program that was to be measured failed."""


@dataclass
class Ran:
    """What a program took."""

    peak_bytes: int
    cpu_s: float
    """Of the whole process, the writer included."""
    wall_s: float


def run_program(folder: Path, name: str, *args: str, recorded: bool) -> Ran:
    """Run the workload ``name`` as a script in ``folder``, which is its project."""
    script = folder / f"{name}.py"
    shutil.copyfile(WORKLOADS / f"{name}.py", script)
    (folder / "pyproject.toml").touch()
    words = [sys.executable]
    if recorded:
        words += ["-m", "kolo_c", "run", "--quiet"]
    return run_measured([*words, str(script), *args], folder, {"PYTHONPATH": str(ROOT)})


def run_measured(words: list[str], folder: Path, more: dict[str, str]) -> Ran:
    """Run ``words`` in ``folder`` with ``more`` environment; what the process took."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("KOLO_C_")
    }
    environment.update(more)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _BETWEEN, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ProgramError(done.stderr)
    code, peak, cpu_s, wall_s = json.loads(done.stdout.splitlines()[-1])
    if code:
        raise ProgramError(f"{' '.join(words)}: exit code {code}\n{done.stderr}")
    return Ran(peak * _PEAK_UNIT, cpu_s, wall_s)


def calls_made(count: int) -> dict[str, int]:
    """What ``program_calls.py COUNT`` leaves: its module, main, the calls."""
    return {"CALL": count + 2, "RETURN": count + 2}
