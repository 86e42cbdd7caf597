"""The kept call: what one recorded call costs the thread that makes it."""

from __future__ import annotations

import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.child import measure_in_child
from benchmarks.recording import Recording, hooks, label, read_back, sides
from benchmarks.results import (
    Figure,
    Proof,
    Row,
    add,
    median,
    percentile,
    ratios_over,
    times,
)
from benchmarks.rounds import load, run_rounds
from benchmarks.variants import Noop, Recorded, Untraced, Variant, references
from kolo_c.config import Config

NAME = "kept"
TITLE = "Kept calls, all the way to SQLite"
METHOD = """\
(kolo_c - untraced) / (no-op profiler - untraced), CPU time of the program's threads \
(CLOCK_THREAD_CPUTIME_ID), per round; the value is the median. Each workload runs in \
a process of its own for each hook, its variants in turn, round after round, into one \
trace with the default settings; the writer runs beside and is idle before the next \
window begins. Afterwards every record is read from the store and counted. entry_ns \
is what one entry into a frame (call or resume, with the return or yield that belongs \
to it) costs above the untraced program. The last rows divide one hook's ratio by \
setprofile's; the Python core is measured with the first workload alone."""
FIRST = "kept_small"
FIRST_MOST = {"setprofile": 2.5 if sys.version_info >= (3, 11) else 3.2}
if sys.version_info >= (3, 13) and "--enable-optimizations" in str(
    sysconfig.get_config_var("CONFIG_ARGS")
):
    FIRST_MOST["monitoring"] = 1.9
OVER_SETPROFILE_MOST = {"monitoring": 0.85}
OTHERS_MOST = 10.0
# Turns make a window that fills more blocks than the queue holds, or nearly: shorter
# ones would be over before the writer and the caches had anything to say.
WORKLOADS = {
    FIRST: 1_000_000,
    "kept_method": 500_000,
    "kept_object": 100_000,
    "kept_text": 100_000,
    "kept_dict": 100_000,
    "kept_list": 100_000,
    "kept_keywords": 300_000,
    "kept_generator": 6_000,
    "kept_await": 60_000,
    "kept_exception": 100_000,
    "kept_threads": 800_000,
}
# Not in the list that the others' limit is for: reported beside it.
EXTRA = frozenset({"kept_object"})
# Its calls take that much longer.
_PYTHON_PART = 200


def run(quick: bool) -> Figure:
    """The first, and the others against it."""
    rounds = 3 if quick else 15
    part = 10 if quick else 1
    rows: list[Row] = []
    firsts: dict[str, Row] = {}
    for hook in hooks():
        found = [
            _row(name, turns // part, rounds, "c", hook)
            for name, turns in WORKLOADS.items()
        ]
        firsts[hook] = found[0]
        _judge(found, FIRST_MOST.get(hook), firsts["setprofile"].value)
        rows += found
    for core, hook in sides():
        if core == "python":
            turns = WORKLOADS[FIRST] // part // _PYTHON_PART
            rows.append(_row(FIRST, turns, rounds, core, hook))
    rows += [
        _over(firsts[hook], firsts["setprofile"], hook)
        for hook in firsts
        if hook != "setprofile"
    ]
    return Figure(NAME, TITLE, METHOD, rows)


def _judge(rows: list[Row], most: float | None, base: float | None) -> None:
    """Limits of a hook's workloads: the first's own; the others' as a multiple of
    setprofile's first, since what values cost does not depend on the hook."""
    first = rows[0]
    first.most = most
    for name, row in zip(WORKLOADS, rows, strict=True):
        if name != FIRST and row.value is not None and first.value:
            row.values["times_the_first"] = row.value / first.value
            if name not in EXTRA and base:
                row.most = OTHERS_MOST * base


def _over(row: Row, base: Row, hook: str) -> Row:
    """A hook against setprofile, each over the no-op profiler beside it."""
    void = row.void or base.void
    value = None
    if row.value is not None and base.value:
        value = row.value / base.value
    return Row(
        f"small, {hook} over setprofile",
        "x",
        value,
        rounds=row.rounds,
        most=OVER_SETPROFILE_MOST.get(hook),
        void=void,
    )


def _row(name: str, turns: int, rounds: int, core: str, hook: str) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / ".kolo_c"
        job = {
            "workload": name,
            "turns": turns,
            "rounds": rounds,
            "store": str(store),
            "core": core,
            "hook": hook,
        }
        answer = measure_in_child("bench_kept", job)
        read = read_back(store)
    workload = load(name)
    threads = getattr(workload, "THREADS", 1)
    # The workload's loop is kept as well: one call for each window and thread.
    loops = times({"CALL": 1, "RETURN": 1}, answer["windows"] * threads)
    made = add(times(workload.RECORDS, turns * answer["windows"]), loops)
    proof = Proof(made, read, answer["lost"], answer["waited_ns"])
    cpu = answer["cpu_ns"]
    ratios = ratios_over(cpu["kolo_c"], cpu["noop"], cpu["untraced"])
    entries = turns * workload.ENTRIES
    untraced = median(cpu["untraced"])
    values = {
        "entry_ns": (median(cpu["kolo_c"]) - untraced) / entries,
        "noop_entry_ns": (median(cpu["noop"]) - untraced) / entries,
        "untraced_entry_ns": untraced / entries,
        "wall_over_untraced": median(answer["wall_ns"]["kolo_c"])
        / median(answer["wall_ns"]["untraced"]),
        "process_cpu_over_untraced": median(answer["process_ns"]["kolo_c"])
        / median(answer["process_ns"]["untraced"]),
        "writer_entry_ns": answer["writer_ns"] / (entries * answer["windows"]),
        "stored_bytes_an_entry": answer["stored_bytes"] / (entries * answer["windows"]),
    }
    for reference in cpu.keys() - {"kolo_c", "noop", "untraced"}:
        ratio = median(ratios_over(cpu[reference], cpu["noop"], cpu["untraced"]))
        values[f"{reference}_ratio"] = ratio
    return Row(
        label(name.removeprefix("kept_"), core, hook),
        "x",
        median(ratios),
        percentile(ratios, 0.99),
        rounds,
        proof=proof,
        values=values,
    )


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """One workload under every variant."""
    config = Config(core=job["core"], hook=job["hook"])
    recording = Recording(Path(job["store"]), keep=True, config=config)
    recording.start()
    variants: list[Variant] = [Untraced(), Noop(), Recorded(recording), *references()]
    workload = load(job["workload"])
    found, windows = run_rounds(workload, job["turns"], job["rounds"], variants)
    summary, stats = recording.finish()
    return {
        "cpu_ns": {name: series.cpu_ns for name, series in found.items()},
        "wall_ns": {name: series.wall_ns for name, series in found.items()},
        "process_ns": {name: series.process_ns for name, series in found.items()},
        "windows": windows,
        "lost": summary.lost,
        "waited_ns": summary.waited_ns,
        "writer_ns": stats["writer_ns"],
        "stored_bytes": stats["stored_bytes"],
    }
