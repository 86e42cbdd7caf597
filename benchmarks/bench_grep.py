"""Search: calls that ``kolo-c grep`` goes through in a second."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.child import ROOT
from benchmarks.programs import run_program
from benchmarks.recording import counters
from benchmarks.results import Figure, Row, median
from benchmarks.workloads import program_values

NAME = "grep"
TITLE = "Calls that a search goes through in a second"
METHOD = """\
A script whose calls carry texts, ints, floats, dates, dicts, lists and objects, most \
of them new in each turn, is recorded by `kolo-c run` with the default settings. Then \
`kolo-c grep PATTERN` searches it, a process each time, its output to a pipe. The \
value is the calls over the time of the whole process, the median of the rounds, the \
files in the page cache. A row is void where calls were lost, or where grep found \
another number of hits, or went through another number of calls, than the script made.\
"""
LEAST_CALLS = 2e6
TURNS = 1_000_000


def _hits_of_number(turns: int, word: str) -> int:
    """Records with ``word`` among the digits of a number or text, from the script's own
    arithmetic."""
    found = 0
    for number in range(1, turns + 1):
        found += _hits_of_turn(number, word)
    return found


def _hits_of_turn(number: int, word: str) -> int:
    request = number * 7
    own = word in str(number)
    # turn(), note_of() and check() take it, find_user() takes and gives it.
    found = 5 * own + (word in f"SKU-{number:07d}")
    # read_line() takes it with the request's number, and gives both in its list.
    found += 2 * (own or word in str(request))
    seconds = number / 997.0
    return found + (word in repr(seconds)) + (word in repr(seconds * 1000.0))


def _searches(turns: int) -> list[tuple[str, list[str], int]]:
    """A name, the words for grep, and the hits that there are."""
    rare = turns // program_values.RARE_EVERY
    middle = f"{turns // 2:07d}"
    number = str(turns * 7 // 9)
    everything = 20 * turns - turns // program_values.FAILS_EVERY + 8
    return [
        ("a rare word", ["xylophone"], rare),
        ("a text as it stands", ["-F", f"SKU-{middle}"], 1),
        ("a rare word, any case", ["-i", "XyloPhone"], rare),
        ("a number", [number], _hits_of_number(turns, number)),
        ("a function's name", ["^note_of$"], turns),
        ("one of several words", ["refused|timed out|xylophone"], rare),
        ("a pattern", [r"worker\[\d+[05]\]:\s+request"], turns // 5 - 1),
        ("a pattern of digits", [r"\b\d{2}:\d{2}:\d{2} worker.*request 7 h"], 1),
        ("nothing", ["absent everywhere"], 0),
        (
            "all calls and returns, counted",
            ["-c", "--kind", "call,return", "."],
            everything,
        ),
    ]


def run(quick: bool) -> Figure:
    """10 million calls; a million when it has to be quick."""
    turns = TURNS // 10 if quick else TURNS
    rounds = 1 if quick else 5
    made = turns * program_values.CALLS + 4  # two bodies, main, one cart
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_program(folder, "program_values", str(turns), recorded=True)
        lost = counters(folder / ".kolo_c")["lost"]
        rows = [
            _row(folder, title, words, hits, made, lost, rounds)
            for title, words, hits in _searches(turns)
        ]
    return Figure(NAME, TITLE, METHOD, rows)


def _row(
    folder: Path,
    title: str,
    words: list[str],
    hits: int,
    made: int,
    lost: int,
    rounds: int,
) -> Row:
    series = []
    cpu = []
    void = f"{lost} records were lost" if lost else ""
    for _ in range(rounds):
        seconds, cpu_seconds, totals = _grep(folder, words)
        series.append(made / seconds)
        cpu.append(cpu_seconds)
        for what, found, expected in (
            ("calls", totals["calls"], made),
            ("hits", totals["hits"], hits),
        ):
            if found != expected:
                void = f"{found} of {expected} {what}"
    return Row(
        title,
        "calls/s",
        median(series),
        min(series),
        rounds,
        least=LEAST_CALLS,
        void=void,
        values={
            "hits": hits,
            "wall_s": made / median(series),
            "cpu_s": median(cpu),
        },
    )


def _grep(folder: Path, words: list[str]) -> tuple[float, float, dict[str, Any]]:
    """Seconds and CPU seconds of one search, and what it says of itself."""
    before = _children_cpu_s()
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "kolo_c", "grep", "--json", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begin
    if done.returncode not in (0, 1) or not done.stdout:
        raise RuntimeError(done.stderr)
    totals: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["totals"]
    return seconds, _children_cpu_s() - before, totals


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
