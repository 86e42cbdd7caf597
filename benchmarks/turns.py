"""Processes that each do one turn, one after the other: ``python -m benchmarks.turns``.

A machine that others use too is slow for a while and fast again. Turns of a few
milliseconds that follow each other meet the same of it, where windows of seconds do
not. And a process of its own for each variant has nothing of another's left in it: on
CPython 3.12 code that a tool has once instrumented lacks its superinstructions for
good.

A bench has ``begin(job)``, which makes a player, in the Python that ``job["python"]``
names, or in this one. The child says ``ready``; for each line that it is sent it does a
turn and says how much CPU time its thread took (ns); at the end of its input it says
``end()``, as JSON. What the player prints goes to stderr.

Threads: the main one. Owns: the processes, while they play.
Fails: ChildError in the parent, with what the child said.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any, Protocol

from benchmarks.child import ROOT, ChildError

_COLLECT_TURNS = 25


class Player(Protocol):
    """What a child plays."""

    def turn(self) -> None:
        """What is measured, once."""

    def end(self) -> dict[str, Any]:
        """No turn comes any more: what is known of them."""


class _Child:
    """A process that waits for its turn."""

    def __init__(self, bench: str, job: dict[str, Any]) -> None:
        self._what = f"{bench} {job}"
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - until it ends
        python = job.get("python", sys.executable)
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.turns", bench, json.dumps(job)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def read(self) -> str:
        """The next line that it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._errors.seek(0)
            said = self._errors.read()
            raise ChildError(f"{self._what}: exit code {code}\n{said}")
        return line

    def play(self) -> int:
        """One turn: its CPU time in nanoseconds."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended; why is read below
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        return int(self.read())

    def finish(self) -> dict[str, Any]:
        """What it says at its end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        answer: dict[str, Any] = json.loads(self.read())
        self._process.wait()
        return answer

    def kill(self) -> None:
        """It is not needed any more, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def take_turns(
    bench: str, jobs: Mapping[str, dict[str, Any]], turns: int, warm_up: int
) -> tuple[dict[str, list[int]], dict[str, dict[str, Any]]]:
    """By the names of ``jobs``: the CPU time of each turn behind the first ``warm_up``
    (ns), and what each child says at its end.

    The order of the children is another in each round, so that each follows each other.
    """
    order = list(jobs)
    chance = random.Random(0)
    children: dict[str, _Child] = {}
    cpu_ns: dict[str, list[int]] = {name: [] for name in jobs}
    try:
        for name, job in jobs.items():
            children[name] = _Child(bench, job)
        for child in children.values():
            child.read()
        for number in range(warm_up + turns):
            chance.shuffle(order)
            for name in order:
                took_ns = children[name].play()
                if number >= warm_up:
                    cpu_ns[name].append(took_ns)
        answers = {name: child.finish() for name, child in children.items()}
    finally:
        for child in children.values():
            child.kill()
    return cpu_ns, answers


def main() -> None:
    """Play what the parent asks for."""
    bench, job = sys.argv[1:]
    said = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    player: Player = importlib.import_module(f"benchmarks.{bench}").begin(
        json.loads(job)
    )
    gc.collect()
    gc.disable()
    print("ready", file=said)
    for number, _ in enumerate(sys.stdin):
        began_ns = time.thread_time_ns()
        player.turn()
        print(time.thread_time_ns() - began_ns, file=said)
        if number % _COLLECT_TURNS == 0:
            gc.collect()
    print(json.dumps(player.end()), file=said)


if __name__ == "__main__":
    main()
