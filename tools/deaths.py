"""Kill recorded programs at random instants, and look whether anything was lost.

Each program logs what it does in files that outlive it: a line when a call has begun,
a line before it ends. Once it is dead its store is recovered, and for every thread the
records have to tell what the log tells: every call that it announced is there, none
twice, and the calls that were open are those that the log left open.

The kinds of death: ``start`` (while recording begins), ``busy`` (three threads),
``boundaries`` (each thread opens trace after trace, some of which are not stored),
``rotation`` (small segments: in checkpoints and rotations), ``drain`` (in the last
steps of a program that ends), ``fork`` (parent and children together), and
``recovery`` (those that recover are killed as well, two at once).

Fails: exit code 1 where something is missing; the run's folder is kept then.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from pathlib import Path

from kolo_c.model.build import build
from kolo_c.store.liveness import is_owned
from kolo_c.store.reader import Store, Stream
from kolo_c.store.records import Call, Record
from kolo_c.store.recovery import recover_dead
from kolo_c.wire import END_KINDS, PUSH_KINDS
from tools.environment import environment

VISITS = """
import itertools
import os
import random
import sys
import threading
import time

sys.setswitchinterval(0.0002)
chance = random.Random(int(sys.argv[1])).random

class Log:
    def __init__(self):
        name = f"{os.getpid()}-{threading.current_thread().name}.log"
        self.file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.numbers = itertools.count()

def visit(number, log, depth, text):
    os.write(log.file, b"> %d\\n" % number)
    for _ in range(int(chance() * 4) if depth < 6 else 0):
        visit(next(log.numbers), log, depth + 1, text)
    os.write(log.file, b"< %d\\n" % number)

def work(text="", seconds=float("inf"), log=None):
    log = log or Log()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        visit(next(log.numbers), log, 0, text)
        sum(range(10_000))  # so that there is no end of calls to read
"""

LAST_CALLS = 8000
START = f"""{VISITS}
work()
"""
BUSY = f"""{VISITS}
for name in ("one", "two"):
    threading.Thread(target=work, name=name, daemon=name == "one").start()
print("ready", flush=True)
work()
"""
# One trace after another in each thread, and some that are held and then not stored.
BOUNDARIES = f"""{VISITS}
import kolo_c
from kolo_c.scope import active_session
from kolo_c.scope import VARIABLE

def dropped(text):
    number, _ = active_session().begin_boundary("dropped", "region", held=True)
    token = VARIABLE.set(number)
    for _ in range(100):
        passing(text)
    VARIABLE.reset(token)
    active_session().end_boundary(number, "exit", stored=False)

def passing(text):
    return text

def bounded():
    log = Log()
    while True:
        with kolo_c.trace(boundary=True):
            work("x" * 100, 0.001, log)
        dropped("y" * 100)

for name in ("one", "two"):
    threading.Thread(target=bounded, name=name).start()
print("ready", flush=True)
bounded()
"""
# No two of the texts are alike, so that there is something to write.
ROTATION = f"""{VISITS}
print("ready", flush=True)
log = Log()
while True:
    work(random.randbytes(450).hex(), 0.001, log)
"""
# More than the writer has done when the program is over.
DRAIN = f"""{VISITS}
def last(number, text):
    return number

threading.Thread(target=work, name="one", args=("x" * 300, 0.02)).start()
work("", 0.02)
for number in range({LAST_CALLS}):
    last(number, random.randbytes(450).hex())
print("ready", flush=True)
"""
FORK = f"""{VISITS}
threading.Thread(target=work, name="one", daemon=True).start()
print("ready", flush=True)
log = Log()
while True:
    for _ in range(5):
        visit(next(log.numbers), log, 0, "")
    child = os.fork()
    if child == 0:
        work("", 0.02)
        if chance() < 0.5:
            os._exit(0)
        sys.exit()
    if chance() < 0.5:
        os.waitpid(child, 0)
"""

PROGRAMS = {
    "start": START,
    "busy": BUSY,
    "boundaries": BOUNDARIES,
    "rotation": ROTATION,
    "drain": DRAIN,
    "fork": FORK,
    "recovery": ROTATION,
}
SECONDS = {
    "start": 0.25,
    "busy": 0.1,
    "boundaries": 0.3,
    "rotation": 0.4,
    "drain": 0.01,
    "fork": 0.3,
}
"""Within how many after it is ready, or was started, a program is killed."""
SMALL_SEGMENTS = ("rotation", "drain", "recovery")
RECOVERIES = 6
NUMBERED = ("visit", "last")


class Lost(Exception):
    """A run that did not keep what it had to."""


def run(kind: str, seed: int, folder: Path, core: str = "c") -> Counter[str]:
    """One death in ``folder``: what was found, in numbers. Raises Lost."""
    chance = random.Random(seed)
    _write(kind, folder)
    _kill(kind, seed, folder, core, chance)
    store = folder / ".kolo_c"
    if kind == "recovery":
        _kill_recoveries(store, chance)
    found = check(store, folder)
    if kind == "drain" and found["last"] != LAST_CALLS:
        raise Lost(f"{found['last']} of the last calls are there")
    found[kind] += 1
    return found


def _write(kind: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    settings = "[tool.kolo_c]\n"
    if kind in SMALL_SEGMENTS:
        settings += "segment_max_bytes = 1048576\n"
    (folder / "pyproject.toml").write_text(settings, encoding="utf-8")
    program = textwrap.dedent(PROGRAMS[kind])
    (folder / "program.py").write_text(program, encoding="utf-8")


def _kill(kind: str, seed: int, folder: Path, core: str, chance: random.Random) -> None:
    """Start the program in a process group of its own, and kill that."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kolo_c", "run", f"--core={core}", "program.py",
         str(seed)],
        cwd=folder, env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    with process, process.stdout as output:
        if kind != "start" and output.readline() != b"ready\n":
            raise Lost("the program did not begin")
        time.sleep(chance.uniform(0, SECONDS.get(kind, SECONDS["rotation"])))
        os.killpg(process.pid, signal.SIGKILL)
    # Its children are nobody's now, and a killed one may take a moment to be gone.
    deadline = time.monotonic() + 10
    while any(is_owned(path) for path in folder.glob(".kolo_c/segments/*.map")):
        if time.monotonic() > deadline:
            raise Lost("the killed processes are still there")
        time.sleep(0.001)


def _kill_recoveries(store: Path, chance: random.Random) -> None:
    """Two at once recover, and are killed; then two that are let finish."""
    for _ in range(RECOVERIES):
        children = [_start_recovery(store) for _ in range(2)]
        time.sleep(chance.uniform(0, 0.02))
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    for child in [_start_recovery(store) for _ in range(2)]:
        _, status = os.waitpid(child, 0)
        if status != 0:
            raise Lost("a recovery beside another one failed")


def _start_recovery(store: Path) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = len(recover_dead(store))
        finally:
            os._exit(code)
    return child


def check(store: Path, logs: Path) -> Counter[str]:
    """Recover ``store`` and compare it with the programs' own ``logs``. Raises Lost."""
    problems = recover_dead(store)
    if problems:
        raise Lost(f"not recovered: {problems}")
    for path in store.glob("segments/*.db"):
        with sqlite3.connect(path) as db:
            if [*db.execute("PRAGMA integrity_check")] != [("ok",)]:
                raise Lost(f"{path} is damaged")
        db.close()
    left = {
        path.name
        for path in store.glob("segments/*")
        if not path.name.endswith((".db", ".db-wal", ".db-shm", ".map.new"))
    }
    if left:
        raise Lost(f"files are left: {left}")
    announced = {path.stem: path for path in logs.glob("*-*.log")}
    found: Counter[str] = Counter()
    if not (store / "segments").exists():  # it had not come to that
        if announced:
            raise Lost(f"there is no store, but {announced}")
        return found
    with Store(store) as opened:
        for name, streams in _by_thread(opened, found).items():
            log = announced.pop(name, None)
            lines = [] if log is None else log.read_text("ascii").splitlines()
            found += _compare(streams, lines)
        if opened.catalogue.errors:
            raise Lost(str(opened.catalogue.errors))
    unknown = [name for name, path in announced.items() if path.stat().st_size]
    if unknown:
        raise Lost(f"no records of {unknown}")
    return found


def _by_thread(store: Store, found: Counter[str]) -> dict[str, list[Stream]]:
    """By the name of a thread's log its streams, the first first."""
    streams: dict[str, list[Stream]] = {}
    for info in store.traces():
        if info.status == "running":
            raise Lost(f"{info} is running")
        if info.row.name == "dropped" and info.status == "complete":
            raise Lost(f"{info} was not to be stored")
        found[info.status] += 1
        trace = store.trace(info.id)
        if trace.damage or trace.process.problems:
            raise Lost(f"{info}: {trace.damage} {trace.process.problems}")
        for stream in trace.streams:
            streams.setdefault(f"{info.pid}-{stream.name}", []).append(stream)
    for each in streams.values():
        each.sort(key=lambda stream: stream.blocks[0].base_ns)
    return streams


def _compare(streams: list[Stream], log: list[str]) -> Counter[str]:
    """Hold a thread's records against its log; the calls that it made."""
    told: list[str] = []
    found: Counter[str] = Counter()
    for stream in streams:
        is_open = _read(stream, told, found)
        if is_open and stream.trace.info.status != "interrupted":
            raise Lost(f"{stream.trace.info}: visits are open")
        if is_open and stream is not streams[-1]:
            raise Lost(f"{stream.trace.info}: visits are open, and it is not the last")
    # It is killed between a record and the line that tells of it: one may be ahead.
    ahead = told[len(log) :], log[len(told) :]
    common = min(len(told), len(log))
    if (
        told[:common] != log[:common]
        or len(ahead[0]) > 1
        or len(ahead[1]) > 1
        or not all(line[0] == ">" for line in ahead[0])
        or not all(line[0] == "<" for line in ahead[1])
    ):
        name = streams[0].name
        raise Lost(f"{name}: {len(told)} told, {len(log)} logged: {ahead}")
    return found


def _read(stream: Stream, told: list[str], found: Counter[str]) -> bool:
    """Add what ``stream`` tells as the log would; whether visits are open at its end,
    those that commands show."""
    stack: list[tuple[int, str]] = []
    for record in stream.records():
        if record.kind in PUSH_KINDS:
            name, number = _numbered(stream, record)
            if name:
                if number != found[name]:
                    raise Lost(f"{name}({number}) where {found[name]} was due")
                found[name] += 1
            line = str(number) if name == "visit" else ""
            stack.append((record.node, line))
            told += [f"> {line}"] if line else []
        elif record.kind in END_KINDS:
            line = stack.pop()[1]
            told += [f"< {line}"] if line else []
    nodes = [node.number for node in build(stream).open_nodes()]
    if nodes != [node for node, _ in stack]:
        raise Lost(f"{stream.name}: open are {stack}, shown {nodes}")
    return any(line for _, line in stack)


def _numbered(stream: Stream, record: Record) -> tuple[str, object]:
    """Which of the numbered functions is called, and with which number."""
    if not isinstance(record, Call):
        return "", None
    name = stream.trace.definitions.code(record.code).name
    return (name, record.arguments[0]) if name in NUMBERED else ("", None)


def main() -> int:
    """Run after run until the number is reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="the first run's")
    parser.add_argument("--core", choices=("c", "python"), default="c")
    parser.add_argument("--kind", choices=PROGRAMS, action="append")
    arguments = parser.parse_args()
    kinds = arguments.kind or list(PROGRAMS)
    found: Counter[str] = Counter()
    for seed in range(arguments.seed, arguments.seed + arguments.runs):
        kind = kinds[seed % len(kinds)]
        folder = Path(tempfile.mkdtemp(prefix="kolo-c-deaths-"))
        try:
            found += run(kind, seed, folder, arguments.core)
        except Lost as problem:
            print(f"deaths: run {seed} ({kind}): {problem}; kept: {folder}")
            return 1
        shutil.rmtree(folder)
    numbers = ", ".join(f"{found[name]:,} {name}" for name in sorted(found))
    print(f"deaths: {arguments.runs} runs, nothing lost; {numbers}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
