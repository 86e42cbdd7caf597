"""One measurement in a process of its own: ``python -m benchmarks.child BENCH JOB``.

JOB and the answer are JSON; the answer is the last line of stdout.

Threads: the main one. Owns: nothing. Fails: ChildError in the parent, with what the
child said.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_SECONDS = 1800.0


class ChildError(Exception):
    """The measurement did not come to its end."""


def measure_in_child(bench: str, job: dict[str, Any]) -> dict[str, Any]:
    """What ``measure(job)`` of ``benchmarks.BENCH`` answers in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.child", bench, json.dumps(job)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        raise ChildError(f"{bench} {job}: exit code {done.returncode}\n{done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    """Measure, and print the answer."""
    bench, job = sys.argv[1:]
    module = importlib.import_module(f"benchmarks.{bench}")
    print(json.dumps(module.measure(json.loads(job))))


if __name__ == "__main__":
    main()
