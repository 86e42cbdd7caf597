"""Tail: how long after its end a trace is a line on the screen."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.child import ROOT
from benchmarks.results import Figure, Row

NAME = "tail"
TITLE = "Milliseconds from the end of a trace to its line in kolo-c tail"
METHOD = """\
`kolo-c tail` writes to a pipe. Scripts under `kolo-c run` with the default settings \
make traces of their own, each with 150 calls and 50 SQL records with text and \
parameters, and note the monotonic clock, the same in all processes, when each \
has ended. The value is the 99th percentile of the time from there until the line was \
read, beside it are the median and the most. A row is void where a trace has no line, \
or more than one.\
"""
MOST_MS = 100.0
SCRIPT = """
import sys, time
import kolo_c
from kolo_c.plugins import emit

SQL = kolo_c.Kind("sql", "SQL", "blue", "{text}[ · {rows} rows]")
TEXT = 'SELECT "c"."name" FROM "shop_customer" "c" WHERE "c"."id" = %s LIMIT 21'

def name_of(row):
    return f"customer {row}"

def price_of(row):
    return row * 3

def line(row):
    found = emit.begin(SQL, {"text": TEXT, "params": [row]})
    emit.finish(found, {"rows": 1})
    return name_of(row), price_of(row)

name, count, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
with open(f"{name}.ends", "w") as file:
    for number in range(count):
        with kolo_c.trace(f"{name}-{number}", boundary=True):
            for row in range(50):
                line(row)
        file.write(f"{name}-{number} {time.monotonic()}\\n")
        time.sleep(pause)
"""


def run(quick: bool) -> Figure:
    """One process, and four at once."""
    count = 20 if quick else 200
    rows = [
        _row("1 process, 20 traces a second", 1, count, 0.05),
        _row("4 processes, 10 traces a second each", 4, count // 2, 0.1),
    ]
    return Figure(NAME, TITLE, METHOD, rows)


def _row(title: str, processes: int, count: int, pause: float) -> Row:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pyproject.toml").touch()
        (folder / "traces.py").write_text(SCRIPT, encoding="utf-8")
        ends, seen = _watch(folder, processes, count, pause)
    delays = sorted(
        (seen[name][0] - end) * 1000 for name, end in ends.items() if name in seen
    )
    twice = sum(len(seen.get(name, ())) > 1 for name in ends)
    missing = processes * count - len(delays)
    void = f"{missing} have no line" if missing else f"{twice} have two" * bool(twice)
    if not delays:
        return Row(title, "ms", None, void=void)
    most = delays[-1]
    return Row(
        title, "ms", delays[min(len(delays) * 99 // 100, len(delays) - 1)],
        rounds=len(delays), most=MOST_MS, void=void,
        values={"median_ms": delays[len(delays) // 2], "most_ms": most},
    )  # fmt: skip


def _watch(
    folder: Path, processes: int, count: int, pause: float
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """When each trace ended, and when its lines were read."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "kolo_c"]
    tail = subprocess.Popen(
        [*command, "tail"], cwd=folder, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
    )  # fmt: skip
    seen: dict[str, list[float]] = {}

    def read() -> None:
        assert tail.stdout is not None
        with tail.stdout as lines:
            for line in lines:
                seen.setdefault(line.split(" ", 1)[0], []).append(time.monotonic())

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.5)
    names = [f"p{number}" for number in range(processes)]
    programs = [
        subprocess.Popen(
            [*command, "run", "-q", "traces.py", name, str(count), str(pause)],
            cwd=folder, env=environment,
        )
        for name in names
    ]  # fmt: skip
    for program in programs:
        if program.wait():
            raise RuntimeError(f"a program ended with {program.returncode}")
    time.sleep(1.0)
    tail.terminate()
    tail.wait()
    reader.join()
    ends = {}
    for name in names:
        for line in (folder / f"{name}.ends").read_text().splitlines():
            trace, end = line.split()
            ends[trace] = float(end)
    return ends, seen
