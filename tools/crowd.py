"""Processes that record at once in one store, while others read: nobody waits.

Each makes its traces one after another, and logs a line in a file of its own when one
has ended. All the while ``kolo-c list`` and ``kolo-c show`` are called again and again.
One more process is killed on the way, and another one is stopped, with whatever it
holds, until the others have ended: had anybody to wait for it, they would not end.

Then every trace has to be there, once, complete, with its calls; of the one that was
killed every trace that it logged.

Fails: exit code 1 where something is missing; the run's folder is kept then.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kolo_c.store.reader import Store, Trace
from kolo_c.store.records import Call
from kolo_c.store.recovery import recover_dead
from kolo_c.store.trace_info import TraceInfo
from tools.environment import environment

PROGRAM = """
import os, sys, time
import kolo_c

def leaf(n): return n
def work(name, n):
    return [leaf(m) for m in range(n % 50)]

name, count = sys.argv[1], int(sys.argv[2])
log = os.open(f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
print("ready", flush=True)
sys.stdin.readline()
worst = 0
for n in range(count):
    began = time.monotonic_ns()
    with kolo_c.trace(f"{name} {n}", boundary=True):
        work(name, n)
    worst = max(worst, time.monotonic_ns() - began)
    os.write(log, b"%d\\n" % n)
    if n == count // 2 and name == "stopped":
        os.kill(os.getpid(), 19)  # SIGSTOP
    elif n == count // 2 and name == "killed":
        os.kill(os.getpid(), 9)
print(worst)
"""
COMMANDS = (("list",), ("list", "--name=p1*", "-n5"), ("show",))
READERS = 2
SECONDS = 600
"""Within which all have to end, whatever the machine."""


class Lost(Exception):
    """A run that did not keep what it had to, or that had to wait."""


def run(folder: Path, processes: int, traces: int, core: str = "c") -> Counter[str]:
    """One crowd in ``folder``: what was found, in numbers. Raises Lost."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text("[tool.kolo_c]\n", encoding="utf-8")
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    names = [f"p{number}" for number in range(processes)]
    crowd = {
        name: _start(folder, core, name, traces)
        for name in (*names, "stopped", "killed")
    }
    try:
        found = _record(folder, crowd, names)
    finally:
        for process in crowd.values():
            if process.poll() is None:
                process.kill()
            process.communicate()
    expected = dict.fromkeys((*names, "stopped"), traces)
    expected["killed"] = len((folder / "killed.log").read_bytes().splitlines())
    if expected["killed"] != traces // 2 + 1:
        raise Lost(f"the killed one died after {expected['killed']} traces")
    return found + check(folder / ".kolo_c", expected)


def _start(folder: Path, core: str, name: str, traces: int) -> subprocess.Popen[str]:
    """A process that waits for a line before it begins."""
    return subprocess.Popen(
        [sys.executable, "-m", "kolo_c", "run", "-q", f"--core={core}", "program.py",
         name, str(traces)],
        cwd=folder, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def _record(
    folder: Path, crowd: dict[str, subprocess.Popen[str]], names: list[str]
) -> Counter[str]:
    """Let all begin at once, and read until they have ended."""
    for process in crowd.values():
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise Lost("a process did not begin")
    for process in crowd.values():
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    found = _read_until(folder, [crowd[name] for name in names])
    if crowd["stopped"].poll() is not None:
        raise Lost("the one that should stand still has ended")
    crowd["stopped"].send_signal(signal.SIGCONT)
    found += _read_until(folder, [crowd["stopped"], crowd["killed"]])
    for name, process in crowd.items():
        wanted = -signal.SIGKILL if name == "killed" else 0
        if process.returncode != wanted:
            raise Lost(f"{name} ended with {process.returncode}")
        assert process.stdout is not None
        if name in names:
            worst = int(process.stdout.read()) // 1_000_000
            found["ms for a trace at worst"] = max(
                found["ms for a trace at worst"], worst
            )
    return found


def _read_until(folder: Path, waited: list[subprocess.Popen[str]]) -> Counter[str]:
    """Call the reading commands until these have ended; how often."""
    over = threading.Event()
    with ThreadPoolExecutor(READERS) as pool:
        readers = [pool.submit(_read, folder, over) for _ in range(READERS)]
        deadline = time.monotonic() + SECONDS
        while any(process.poll() is None for process in waited):
            if time.monotonic() > deadline or any(each.done() for each in readers):
                break
            time.sleep(0.01)
        over.set()
        found = Counter({"commands": sum(reader.result() for reader in readers)})
    if any(process.poll() is None for process in waited):
        raise Lost("they wait for something")
    return found


def _read(folder: Path, over: threading.Event) -> int:
    count = 0
    while not over.is_set():
        words = COMMANDS[count % len(COMMANDS)]
        done = subprocess.run(
            [sys.executable, "-m", "kolo_c", *words],
            cwd=folder, env=environment(), capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        if done.returncode != 0 and "no traces" not in done.stderr:
            raise Lost(f"{words} failed: {done.stderr}")
        count += 1
    return count


def check(store: Path, expected: dict[str, int]) -> Counter[str]:
    """Whether every trace of these processes is there with its calls. Raises Lost."""
    problems = recover_dead(store)
    if problems:
        raise Lost(f"not recovered: {problems}")
    found: Counter[str] = Counter()
    seen: Counter[tuple[str, int]] = Counter()
    with Store(store) as opened:
        for info in opened.traces():
            if info.row.kind == "process":
                found[f"processes {info.status}"] += 1
                if info.status != "interrupted":
                    _check_counters(info)
                continue
            name, _, number = info.row.name.partition(" ")
            seen[name, int(number)] += 1
            if info.status != "complete":
                raise Lost(f"{info.row.name} is {info.status}")
            calls = _calls(opened.trace(info.id))
            if calls != _wanted(name, int(number)):
                raise Lost(f"{info.row.name} has {calls}")
            found["traces"] += 1
        if opened.catalogue.errors:
            raise Lost(str(opened.catalogue.errors))
    wanted = {(name, n) for name, count in expected.items() for n in range(count)}
    if set(seen) != wanted or max(seen.values()) != 1:
        raise Lost(f"missing: {sorted(wanted - set(seen))[:9]}")
    return found


def _check_counters(info: TraceInfo) -> None:
    for counter in ("lost", "errors"):
        if info.count(counter):
            raise Lost(f"{info} has {counter}")


def _calls(trace: Trace) -> list[tuple[str, object]]:
    """Name and first argument of each recorded call."""

    def every() -> Iterator[tuple[str, object]]:
        for stream in trace.streams:
            for record in stream.records():
                if isinstance(record, Call):
                    name = stream.trace.definitions.code(record.code).name
                    if not name.startswith("<"):  # inlined from 3.12 on
                        yield name, record.arguments[0]

    return list(every())


def _wanted(name: str, number: int) -> list[tuple[str, object]]:
    return [("work", name), *(("leaf", n) for n in range(number % 50))]


def main() -> int:
    """One crowd."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--traces", type=int, default=1000, help="of each process")
    parser.add_argument("--core", choices=("c", "python"), default="c")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kolo-c-crowd-"))
    began = time.monotonic()
    try:
        found = run(folder, arguments.processes, arguments.traces, arguments.core)
    except Lost as problem:
        print(f"crowd: {problem}; kept: {folder}")
        return 1
    shutil.rmtree(folder)
    numbers = ", ".join(f"{found[name]:,} {name}" for name in sorted(found))
    print(f"crowd: nothing lost in {time.monotonic() - began:.0f} s; {numbers}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
