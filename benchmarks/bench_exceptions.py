"""``exceptions = "leaving" | "all"``: what one raised and handled in a call costs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.child import measure_in_child
from benchmarks.recording import Recording, read_back, sides
from benchmarks.results import Figure, Proof, Row, add, median, percentile, times
from benchmarks.rounds import load, run_rounds
from benchmarks.variants import Recorded, Untraced
from kolo_c.config import Config

NAME = "exceptions"
TITLE = "An exception that is raised and handled in the same call"
METHOD = """\
CPU time of the main thread above the untraced program, for one call that raises an \
exception and handles it; the value is the median of the rounds. Each row is a process \
of its own, its two variants in turn, round after round: the call kept or skipped, \
under the monitoring hook, with exceptions = "leaving" or "all". Afterwards every \
record is read from the store and counted."""
WORKLOAD = "kept_handled"
TURNS = {"c": 100_000, "python": 2_000}


def run(quick: bool) -> Figure:
    """Kept and skipped, with either setting; nothing where there is no monitoring."""
    part = 5 if quick else 1
    rows = [
        _row(core, kept, exceptions, TURNS[core] // part, 5 if quick else 25)
        for core, hook in sides()
        if hook == "monitoring"
        for kept in (True, False)
        for exceptions in ("leaving", "all")
    ]
    return Figure(NAME, TITLE, METHOD, rows)


def _row(core: str, kept: bool, exceptions: str, turns: int, rounds: int) -> Row:
    workload = load(WORKLOAD)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / ".kolo_c"
        job = {
            "turns": turns,
            "rounds": rounds,
            "store": str(store),
            "core": core,
            "kept": kept,
            "exceptions": exceptions,
        }
        answer = measure_in_child("bench_exceptions", job)
        read = read_back(store)
    made: dict[str, int] = {}
    if kept:
        caught = {"CAUGHT": 1} if exceptions == "all" else {}
        made = times({**workload.RECORDS, **caught}, turns * answer["windows"])
        made = add(made, times({"CALL": 1, "RETURN": 1}, answer["windows"]))
    pairs = zip(answer["kolo_c"], answer["untraced"], strict=True)
    costs = [(ours - plain) / turns for ours, plain in pairs]
    untraced = median(answer["untraced"]) / turns
    name = f"{'kept' if kept else 'skipped'}, {exceptions}"
    return Row(
        f"{name}, Python core" if core == "python" else name,
        "ns",
        median(costs),
        percentile(costs, 0.99),
        rounds,
        proof=Proof(made, read, answer["lost"], answer["waited_ns"]),
        values={
            "untraced_ns": untraced,
            "over_untraced": median(answer["kolo_c"]) / turns / untraced,
        },
    )


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """The workload untraced and recorded."""
    config = Config(core=job["core"], hook="monitoring", exceptions=job["exceptions"])
    recording = Recording(Path(job["store"]), keep=job["kept"], config=config)
    recording.start()
    found, windows = run_rounds(
        load(WORKLOAD), job["turns"], job["rounds"], [Untraced(), Recorded(recording)]
    )
    summary, _ = recording.finish()
    return {
        **{name: series.cpu_ns for name, series in found.items()},
        "windows": windows,
        "lost": summary.lost,
        "waited_ns": summary.waited_ns,
    }
