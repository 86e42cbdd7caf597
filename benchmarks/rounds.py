"""Windows of a program under each variant in turn, round after round.

Every round has one window of each variant, in an order that moves on by one from round
to round; so whatever slows the machine for a while meets all of them.

Threads: the main one; a workload with ``THREADS`` runs in that many of its own, each
attached and timed on its own. Owns: the garbage collector's switch while it runs.
Fails: what the workload raises.
"""

from __future__ import annotations

import gc
import importlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Protocol

from benchmarks.variants import Variant

_WARM_ROUNDS = 2


class Workload(Protocol):
    """A module with ``run``, as a rule; ``THREADS`` where it wants several."""

    def run(self, turns: int) -> None:
        """So many turns of what is measured."""


@dataclass
class Series:
    """One variant's windows, in nanoseconds."""

    cpu_ns: list[int] = field(default_factory=list)
    """Of the program's threads, not of the writer."""
    wall_ns: list[int] = field(default_factory=list)
    process_ns: list[int] = field(default_factory=list)
    """CPU of the whole process until everything is saved, the writer's included."""


def load(name: str) -> ModuleType:
    """The workload of this name."""
    return importlib.import_module(f"benchmarks.workloads.{name}")


def run_rounds(
    workload: Workload,
    turns: int,
    rounds: int,
    variants: Sequence[Variant],
) -> tuple[dict[str, Series], int]:
    """The series by variant's name, and how many windows each had, warm-up included."""
    found = {variant.name: Series() for variant in variants}
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds + _WARM_ROUNDS):
            shift = number % len(variants)
            for variant in (*variants[shift:], *variants[:shift]):
                cpu_ns, wall_ns, process_ns = _window(workload, turns, variant)
                if number >= _WARM_ROUNDS:
                    series = found[variant.name]
                    series.cpu_ns.append(cpu_ns)
                    series.wall_ns.append(wall_ns)
                    series.process_ns.append(process_ns)
            gc.collect()
    finally:
        gc.enable()
    return found, rounds + _WARM_ROUNDS


def _window(workload: Workload, turns: int, variant: Variant) -> tuple[int, int, int]:
    count = getattr(workload, "THREADS", 1)
    process = time.process_time_ns()
    if count == 1:
        variant.attach()
        cpu_ns, wall_ns = _timed(workload, turns)
        variant.detach()
    else:
        cpu_ns, wall_ns = _threads(workload, turns // count, count, variant)
    return cpu_ns, wall_ns, time.process_time_ns() - process


def _timed(workload: Workload, turns: int) -> tuple[int, int]:
    run = workload.run
    wall = time.perf_counter_ns()
    cpu = time.thread_time_ns()
    run(turns)
    return time.thread_time_ns() - cpu, time.perf_counter_ns() - wall


def _threads(
    workload: Workload, turns: int, count: int, variant: Variant
) -> tuple[int, int]:
    """Their CPU time together. kolo_c is attached for all of them at once, before."""
    each = variant.name != "kolo_c"
    cpu_ns: list[int] = []

    def body() -> None:
        if each:
            variant.attach()
        cpu_ns.append(_timed(workload, turns)[0])
        if each:
            variant.detach()

    threads = [threading.Thread(target=body) for _ in range(count)]
    if not each:
        variant.attach()
    wall = time.perf_counter_ns()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall_ns = time.perf_counter_ns() - wall
    if not each:
        variant.detach()
    return sum(cpu_ns), wall_ns
