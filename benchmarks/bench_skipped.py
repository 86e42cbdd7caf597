"""Everything skipped: what a program pays of which nothing is kept."""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.child import measure_in_child
from benchmarks.recording import Recording, label, read_back, sides
from benchmarks.results import Figure, Proof, Row, geometric_mean, median, percentile
from benchmarks.rounds import load, run_rounds
from benchmarks.variants import (
    Disabling,
    Noop,
    Recorded,
    Untraced,
    Variant,
    references,
)
from kolo_c.config import Config

NAME = "skipped"
TITLE = "Everything skipped, against a hook that does nothing"
METHOD = """\
Each program runs in a process of its own for each core and hook: untraced, under the \
hook's floor, under kolo_c with filters that skip all of it, and under the reference \
profilers, in turn, round after round. The floor of setprofile is \
register_noop_profiler; that of monitoring a tool whose one callback disables each \
place; frame_eval's is the untraced program. The ratio is kolo_c over the floor, CPU \
time of the main thread, per round; the value is the median. Means are geometric, with \
the 95 % interval of the mean of the rounds' ratios (bootstrap, 2,000 samples). \
Nothing may be recorded, and calls must have been skipped."""
EACH_MOST = {"setprofile": 1.15}
MEAN_MOST = {"setprofile": 1.10, "monitoring": 1.03}
FLOORS = {"setprofile": "noop", "monitoring": "disabling", "frame_eval": "untraced"}
# Turns make a window of about 10 ms untraced.
PROGRAMS = {
    "skipped_recursion": 110,
    "skipped_objects": 240,
    "skipped_c_functions": 400,
    "skipped_json": 24,
    "skipped_difflib": 24,
    "skipped_ast": 16,
}
_SAMPLES = 2_000


def run(quick: bool) -> Figure:
    """All programs, and their geometric mean, for each core and hook."""
    rounds = 7 if quick else 41
    rows: list[Row] = []
    for core, hook in sides():
        found = [_row(name, core, hook, rounds) for name in PROGRAMS]
        rows += [row for row, *_ in found]
        rows.append(_mean(core, hook, found))
    return Figure(NAME, TITLE, METHOD, rows)


_Found = tuple[Row, list[float], list[float], list[float]]
"""A row, and by round: over the floor, over untraced, the floor over untraced."""


def _row(name: str, core: str, hook: str, rounds: int) -> _Found:
    """The program's row, and its ratios."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / ".kolo_c"
        job = {
            "workload": name,
            "turns": PROGRAMS[name],
            "rounds": rounds,
            "store": str(store),
            "core": core,
            "hook": hook,
        }
        answer = measure_in_child("bench_skipped", job)
        proof = Proof({}, read_back(store), answer["lost"], answer["waited_ns"])
    series = answer["cpu_ns"]
    floor = series[FLOORS[hook]]
    ratios = _ratios(series["kolo_c"], floor)
    untraced = median(series["untraced"])
    row = Row(
        label(name.removeprefix("skipped_"), core, hook),
        "x",
        median(ratios),
        percentile(ratios, 0.99),
        rounds,
        most=EACH_MOST.get(hook) if core == "c" else None,
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
    over_untraced = _ratios(series["kolo_c"], series["untraced"])
    return row, ratios, over_untraced, _ratios(floor, series["untraced"])


def _ratios(ours: list[float], floor: list[float]) -> list[float]:
    return [one / other for one, other in zip(ours, floor, strict=True)]


def _mean(core: str, hook: str, found: list[_Found]) -> Row:
    rows, over_floor, over_untraced, floor = map(list, zip(*found, strict=True))
    value, low, high = _geometric(over_floor)
    values = {"low": low, "high": high}
    for name, ratios in (("", over_untraced), ("floor_", floor)):
        found_here = _geometric(ratios)
        names = ("over_untraced", "over_untraced_low", "over_untraced_high")
        values |= {f"{name}{key}": x for key, x in zip(names, found_here, strict=True)}
    return Row(
        label("geometric mean", core, hook),
        "x",
        value,
        rounds=len(over_floor[0]),
        most=MEAN_MOST.get(hook) if core == "c" else None,
        void="a program's row is void" if any(row.void for row in rows) else "",
        values=values,
    )


def _geometric(programs: list[list[float]]) -> tuple[float, float, float]:
    """The geometric mean of the programs' medians, and its interval."""
    mean = geometric_mean(median(ratios) for ratios in programs)
    return mean, *_interval(programs)


def _interval(programs: list[list[float]]) -> tuple[float, float]:
    """Where the geometric mean of the programs' medians lies, in 95 of 100 cases."""
    chance = random.Random(0)
    means = [
        geometric_mean(
            median(chance.choices(ratios, k=len(ratios))) for ratios in programs
        )
        for _ in range(_SAMPLES)
    ]
    return percentile(means, 0.025), percentile(means, 0.975)


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """One program under every variant."""
    config = Config(core=job["core"], hook=job["hook"])
    recording = Recording(Path(job["store"]), keep=False, config=config)
    recording.start()
    variants: list[Variant] = [Untraced(), Noop(), Recorded(recording), *references()]
    if sys.version_info >= (3, 12):
        variants.append(Disabling())
    found, _ = run_rounds(load(job["workload"]), job["turns"], job["rounds"], variants)
    summary, _ = recording.finish()
    return {
        "cpu_ns": {name: series.cpu_ns for name, series in found.items()},
        "skipped": summary.skipped,
        "lost": summary.lost,
        "waited_ns": summary.waited_ns,
    }
