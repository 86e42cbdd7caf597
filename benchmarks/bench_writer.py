"""The writer: what its work on the other core takes from the recorded thread."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.child import measure_in_child
from benchmarks.recording import Recording, read_back
from benchmarks.results import Figure, Proof, Row, median, percentile, times
from benchmarks.rounds import load

NAME = "writer"
TITLE = "Rate of the recorded thread beside the writer"
METHOD = """\
Pairs of windows of the same kept calls, the recorded thread pinned to one core. In \
the one the writer is kept from running: pinned to the same core with SCHED_IDLE, so \
that what is recorded stays in the queue, which holds both windows. In the other it \
has another core to itself and works off what is there. The value is the second \
window's rate over the first's, by the recorded thread's CPU time; wall time stands \
beside, and so does what the writer saved in each window. Which comes first changes \
from pair to pair. Needs Linux and two cores."""
LEAST = 0.90
TURNS = 120_000  # about 3 MB of records: two windows fit into the queue of 8 MiB
_CALLS = {"CALL": 1, "RETURN": 1}


def run(quick: bool) -> Figure:
    """The pairs of one process."""
    rounds = 7 if quick else 41
    if not sys.platform.startswith("linux") or len(os.sched_getaffinity(0)) < 2:
        row = Row("small calls", "x", None, void="needs Linux and two cores")
        return Figure(NAME, TITLE, METHOD, [row])
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / ".kolo_c"
        answer = measure_in_child(
            "bench_writer", {"store": str(store), "rounds": rounds}
        )
        windows = answer["windows"]
        # The loop is a call as well, and one more has made the writer start.
        made = times(_CALLS, windows * (TURNS + 1) + 1)
        proof = Proof(made, read_back(store), answer["lost"], answer["waited_ns"])
    cpu = _ratios(answer["alone_cpu_ns"], answer["beside_cpu_ns"])
    wall = _ratios(answer["alone_wall_ns"], answer["beside_wall_ns"])
    saved_alone = sum(answer["alone_writer_ns"])
    saved_beside = sum(answer["beside_writer_ns"])
    void = ""
    # A little it gets: when the recorded thread waits for the queue's lock.
    if saved_alone * 3 > saved_beside:
        void = "the writer could not be kept from running"
    row = Row(
        "small calls",
        "x",
        median(cpu),
        percentile(cpu, 0.01),
        rounds,
        least=LEAST,
        proof=proof,
        void=void,
        values={
            "wall_x": median(wall),
            "writer_cpu_ms_alone": saved_alone / rounds / 1e6,
            "writer_cpu_ms_beside": saved_beside / rounds / 1e6,
            "window_ms": median(answer["alone_cpu_ns"]) / 1e6,
        },
    )
    return Figure(NAME, TITLE, METHOD, [row])


def _ratios(alone: list[int], beside: list[int]) -> list[float]:
    """Rates are the inverse of times."""
    return [one / other for one, other in zip(alone, beside, strict=True)]


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Pairs of windows, with and without the writer."""
    own, other = sorted(os.sched_getaffinity(0))[:2]
    before = _threads()
    recording = Recording(Path(job["store"]), keep=True)
    recording.start()
    writer = _writer(recording, before)
    os.sched_setaffinity(0, {own})
    workload = load("kept_small")
    found: dict[str, list[int]] = {}
    gc.disable()
    rounds = job["rounds"]
    for number in range(rounds + 2):
        pair = ("alone", "beside") if number % 2 else ("beside", "alone")
        for kind in pair:
            _place(writer, own if kind == "alone" else other, kind == "alone")
            cpu_ns, wall_ns, writer_ns = _window(recording, workload, writer)
            if number >= 2:
                found.setdefault(f"{kind}_cpu_ns", []).append(cpu_ns)
                found.setdefault(f"{kind}_wall_ns", []).append(wall_ns)
                found.setdefault(f"{kind}_writer_ns", []).append(writer_ns)
        _place(writer, other, False)
        recording.settle()
    summary, _ = recording.finish()
    return {
        **found,
        "windows": 2 * (rounds + 2),
        "lost": summary.lost,
        "waited_ns": summary.waited_ns,
    }


def _window(recording: Recording, workload: Any, writer: int) -> tuple[int, int, int]:
    recording.attach()
    begin = _thread_cpu_ns(writer)
    wall = time.perf_counter_ns()
    cpu = time.thread_time_ns()
    workload.run(TURNS)
    cpu_ns = time.thread_time_ns() - cpu
    wall_ns = time.perf_counter_ns() - wall
    writer_ns = _thread_cpu_ns(writer) - begin
    recording.detach()
    return cpu_ns, wall_ns, writer_ns


def _writer(recording: Recording, before: set[int]) -> int:
    """The writer's thread: the one that recording has started, by the first flush."""
    workload = load("kept_small")
    recording.attach()
    workload.run(0)
    recording.detach()
    recording.settle()
    started = _threads() - before
    if len(started) != 1:
        raise RuntimeError(f"{len(started)} threads were started, one was expected")
    return started.pop()


def _place(writer: int, core: int, idle: bool) -> None:
    policy = os.SCHED_IDLE if idle else os.SCHED_OTHER
    os.sched_setscheduler(writer, policy, os.sched_param(0))
    os.sched_setaffinity(writer, {core})


def _threads() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/task")}


def _thread_cpu_ns(thread: int) -> int:
    with open(f"/proc/self/task/{thread}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0])
