"""Fork in the middle of a busy writer, again and again: two whole traces each time.

The program records texts that the writer is hard put to save, in one thread or in
three, and forks at random instants; handlers of other libraries run Python before ours
and after, in C's ``fork`` as well as in Python's. Where it has one thread of its own,
warnings are errors. A deadlock is a program that does not end.

Each parent and each child then has to have every call that it made, once, in order.

Fails: exit code 1 where something is missing; the run's folder is kept then.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from kolo_c.store.reader import Store, Stream
from kolo_c.store.records import Call
from kolo_c.store.recovery import recover_dead
from tools.environment import environment

PROGRAM = """
import ctypes, itertools, os, random, sys, threading
import kolo_c

chance = random.Random(int(sys.argv[1])).random
count, threads = int(sys.argv[2]), int(sys.argv[3])
OF_CHILD = 300
def leaf(n, text): return n
def handler():
    for n in range(int(chance() * 300)): other("x" * 300)
def other(text): return len(text)
libc = ctypes.CDLL(None)
kept = [ctypes.CFUNCTYPE(None)(handler) for _ in range(3)]
def register():
    os.register_at_fork(
        before=handler, after_in_parent=handler, after_in_child=handler
    )
    if hasattr(libc, "__register_atfork"):
        # With other threads Python itself may wait in the child, until it is Python's
        # turn there: for a thread that has asked for the GIL.
        libc.__register_atfork(*kept[:2], None if threads else kept[2], None)
def work():
    for n in itertools.count():
        if over.is_set():
            return n
        leaf(n, random.randbytes(200).hex())
def end(children):
    while children:
        _, status = os.waitpid(children.pop(), 0)
        assert os.waitstatus_to_exitcode(status) == 5, status
def forks():
    numbers, children = itertools.count(), []
    for _ in range(count):
        for _ in range(int(chance() * 1000)):
            leaf(next(numbers), random.randbytes(200).hex())
        hurried = chance() < 0.5
        child = os.fork()
        if child == 0:
            for n in range(OF_CHILD):
                leaf(n, "child")
            if hurried:
                os._exit(5)
            sys.exit(5)
        children.append(child)
        if chance() < 0.5:
            end(children)
    end(children)
    return next(numbers)

over = threading.Event()
register()
with kolo_c.trace("forks"):
    register()
    others = [threading.Thread(target=work) for _ in range(threads)]
    for each in others: each.start()
    made = forks()
    over.set()
    for each in others: each.join()
print(made)
"""
OF_CHILD = 300
SECONDS = 120
"""Within which a program has to end."""


class Lost(Exception):
    """A run that did not keep what it had to."""


def run(
    folder: Path, seed: int, forks: int, threads: int, core: str = "c"
) -> Counter[str]:
    """One program in ``folder``: what was found, in numbers. Raises Lost."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text("[tool.kolo_c]\n", encoding="utf-8")
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    # From 3.12 on Python warns of the program's own threads too.
    warnings = "ignore" if threads else "error"
    done = subprocess.run(
        [sys.executable, "-W", warnings, "program.py", str(seed), str(forks),
         str(threads)],
        cwd=folder, env=environment(KOLO_C_CORE=core), capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    if done.returncode != 0 or done.stderr:
        raise Lost(f"the program ended with {done.returncode}: {done.stderr}")
    return check(folder / ".kolo_c", forks, int(done.stdout))


def check(store: Path, forks: int, made: int) -> Counter[str]:
    """Whether parent and children have all that they did. Raises Lost."""
    problems = recover_dead(store)
    if problems:
        raise Lost(f"not recovered: {problems}")
    found: Counter[str] = Counter()
    with Store(store) as opened:
        for info in opened.traces():
            trace = opened.trace(info.id)
            is_child = info.row.parent is not None
            if not is_child and info.status != "complete":
                raise Lost(f"the parent is {info.status}")
            for stream in trace.streams:
                numbers = _numbers(stream)
                wanted = len(numbers)
                if is_child:
                    wanted = OF_CHILD
                elif stream.name == "MainThread":
                    wanted = made
                if numbers != list(range(wanted)):
                    raise Lost(f"{info}: {stream.name} has {len(numbers)} calls")
                found["calls"] += wanted
            if trace.damage or info.count("lost"):
                raise Lost(f"{info}: {trace.damage}, {info.count('lost')} lost")
            found["children" if is_child else "parents"] += 1
        if opened.catalogue.errors:
            raise Lost(str(opened.catalogue.errors))
    if found["children"] != forks or found["parents"] != 1:
        raise Lost(f"{forks} forks, and {found['children']} children")
    return found


def _numbers(stream: Stream) -> list[object]:
    definitions = stream.trace.definitions
    return [
        record.arguments[0]
        for record in stream.records()
        if isinstance(record, Call) and definitions.code(record.code).name == "leaf"
    ]


def main() -> int:
    """Program after program until the number of forks is reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forks", type=int, default=1000)
    parser.add_argument("--each", type=int, default=20, help="of one program")
    parser.add_argument("--seed", type=int, default=0, help="the first program's")
    parser.add_argument("--core", choices=("c", "python"), default="c")
    arguments = parser.parse_args()
    found: Counter[str] = Counter()
    seed = arguments.seed
    while found["children"] < arguments.forks:
        folder = Path(tempfile.mkdtemp(prefix="kolo-c-forks-"))
        threads = 2 * (seed % 2)
        try:
            found += run(folder, seed, arguments.each, threads, arguments.core)
        except (Lost, subprocess.TimeoutExpired) as problem:
            print(f"forks: program {seed}: {problem}; kept: {folder}")
            return 1
        shutil.rmtree(folder)
        seed += 1
    numbers = ", ".join(f"{found[name]:,} {name}" for name in sorted(found))
    print(f"forks: nothing lost; {numbers}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
