"""Record for a long time, in many sessions, and look whether anything grows or is lost.

Each round is a session of its own over threads, generators, exceptions, tasks and
objects; its trace is read back and counted. What the process holds after the first
rounds is what it may hold at the end.

Fails: exit code 1 where a record is missing, or memory grew by more than ``--grows``.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

from kolo_c.config import Config
from kolo_c.filter import Filter
from kolo_c.project import find_project
from kolo_c.session import Session
from kolo_c.store.reader import Store

WARM_ROUNDS = 5
PROGRAM = """
import asyncio
import threading

class Thing:
    def __init__(self, number):
        self.number = number
        self.text = "x" * (number % 50)

    def double(self):
        return self.number * 2

def steps(count):
    for number in range(count):
        yield number

def fails(thing):
    raise ValueError(thing.number)

def work(rounds):
    calls = 0
    for number in range(rounds):
        thing = Thing(number)
        thing.double()
        list(steps(3))
        try:
            fails(thing)
        except ValueError:
            pass
        calls += 4
    return calls + 1

async def task(rounds):
    for _ in range(rounds):
        await asyncio.sleep(0)

def in_thread(results):
    results.append(work(500))

def run():
    results = []
    threads = []
    for _ in range(4):
        threads.append(threading.Thread(target=in_thread, args=(results,)))
        threads[-1].start()
    asyncio.run(task(200))
    for thread in threads:
        thread.join()
    return sum(results) + len(threads) + 2
"""


def resident_kib() -> int:
    """The process's resident memory, in KiB (proc(5), VmRSS)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("/proc/self/status has no VmRSS")


def record(folder: Path) -> tuple[int, int]:
    """One session over the program: the calls it made, and those that were stored."""
    soaked = importlib.import_module("soaked")
    config = Config()
    project = find_project(folder, cwd=folder)
    session = Session(
        config, project, Filter(config, project), name="soak", argv=["soak"]
    )
    session.start()
    calls = int(soaked.run())
    summary = session.stop()
    if summary.lost:
        raise SystemExit(f"soak: {summary.lost} records were lost")
    with Store(Path(project.store)) as store:
        stored = store.trace(summary.trace_id)
        blocks = [block for stream in stored.streams for block in stream.blocks]
        read = sum(block.nodes for block in blocks)
    shutil.rmtree(project.store)
    return calls, read


def main() -> int:
    """Run rounds until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument(
        "--grows", type=int, default=8192, help="KiB that memory may grow by"
    )
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kolo-c-soak-"))
    (folder / "pyproject.toml").touch()
    (folder / "soaked.py").write_text(PROGRAM, encoding="utf-8")
    sys.path.insert(0, str(folder))
    end = time.monotonic() + arguments.seconds
    rounds = calls = first_kib = 0
    try:
        while rounds <= WARM_ROUNDS or time.monotonic() < end:
            made, read = record(folder)
            if made != read:
                print(f"soak: round {rounds}: {made} calls made, {read} stored")
                return 1
            rounds += 1
            calls += made
            gc.collect()
            if rounds == WARM_ROUNDS:
                first_kib = resident_kib()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    grown = resident_kib() - first_kib
    print(f"soak: {rounds} sessions, {calls:,} calls, none lost; grown by {grown} KiB")
    return 1 if grown > arguments.grows else 0


if __name__ == "__main__":
    sys.exit(main())
