"""Everything skipped: what a program pays of which nothing is kept."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.child import measure_in_child
from benchmarks.recording import Recording, read_back
from benchmarks.results import Figure, Proof, Row, geometric_mean, median, percentile
from benchmarks.rounds import load, run_rounds
from benchmarks.variants import Noop, Recorded, Untraced, Variant, references

NAME = "skipped"
TITLE = "Everything skipped, against a profile function that does nothing"
METHOD = """\
Each program runs in a process of its own, untraced, under register_noop_profiler, \
under kolo_c with filters that skip all of it, and under the reference profilers, in \
turn, round after round. The ratio is kolo_c over the no-op profiler, CPU time of \
the main thread, per round; the value is the median. Nothing may be recorded, and \
calls must have been skipped."""
MEAN_MOST = 1.10
EACH_MOST = 1.15
# Turns make a window of about 10 ms untraced.
PROGRAMS = {
    "skipped_recursion": 110,
    "skipped_objects": 240,
    "skipped_c_functions": 400,
    "skipped_json": 24,
    "skipped_difflib": 24,
    "skipped_ast": 16,
}


def run(quick: bool) -> Figure:
    """All programs, and their geometric mean."""
    rounds = 7 if quick else 41
    rows = [_row(name, turns, rounds) for name, turns in PROGRAMS.items()]
    valid = [row.value for row in rows if not row.void and row.value is not None]
    void = "" if len(valid) == len(rows) else "a program's row is void"
    mean = Row(
        "geometric mean",
        "x",
        geometric_mean(valid) if valid else None,
        most=MEAN_MOST,
        void=void,
    )
    return Figure(NAME, TITLE, METHOD, [*rows, mean])


def _row(name: str, turns: int, rounds: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / ".kolo_c"
        job = {"workload": name, "turns": turns, "rounds": rounds, "store": str(store)}
        answer = measure_in_child("bench_skipped", job)
        proof = Proof({}, read_back(store), answer["lost"], answer["waited_ns"])
    series = answer["cpu_ns"]
    ratios = [
        ours / noop for ours, noop in zip(series["kolo_c"], series["noop"], strict=True)
    ]
    untraced = median(series["untraced"])
    return Row(
        name.removeprefix("skipped_"),
        "x",
        median(ratios),
        percentile(ratios, 0.99),
        rounds,
        most=EACH_MOST,
        proof=proof,
        void="" if answer["skipped"] else "no call was skipped: nothing was attached",
        values={
            "untraced_ms": untraced / 1e6,
            **{
                f"{variant}_over_untraced": median(found) / untraced
                for variant, found in series.items()
                if variant != "untraced"
            },
        },
    )


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """One program under every variant."""
    recording = Recording(Path(job["store"]), keep=False)
    recording.start()
    variants: list[Variant] = [Untraced(), Noop(), Recorded(recording), *references()]
    found, _ = run_rounds(load(job["workload"]), job["turns"], job["rounds"], variants)
    summary, _ = recording.finish()
    return {
        "cpu_ns": {name: series.cpu_ns for name, series in found.items()},
        "skipped": summary.skipped,
        "lost": summary.lost,
        "waited_ns": summary.waited_ns,
    }
