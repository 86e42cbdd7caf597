"""A recorded server under load for a long time: nothing grows, nothing is lost.

It answers each request on a thread of its own: calls, a generator, an exception, SQL, a
line of the log, and says how many calls that were. Clients ask it all the while; now
and then a short program is recorded in the same store, whose start looks whether old
traces must go. Segments are small, so that they rotate.

What the server's process holds is measured each second: memory must be in the last
tenth what it was in the second, and so must the fewest open files be. Then every
request must be there, once, complete and with its calls, and of the short programs only
the last.

Fails: exit code 1 where something is missing or grew; the run's folder is kept then.
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from kolo_c.store.bounds import STAMP_NAME
from kolo_c.store.reader import Store
from tools.environment import environment

PROGRAM = """
import contextlib, logging, sqlite3, sys, threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
import kolo_c

def leaf(n):
    return n

def steps(count):
    for number in range(count):
        yield leaf(number)

def fails(n):
    raise ValueError(n)

def page(number):
    for n in range(number % 50):
        leaf({"n": n, "text": "x" * n})
    for _ in steps(3):
        pass
    try:
        fails(number)
    except ValueError:
        pass
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        rows = database.execute("SELECT ?", (number,)).fetchall()
    logging.warning("request %d", number)
    return number % 50 + 3 + 3, rows

def answer(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stop":
        threading.Thread(target=server.shutdown).start()
        calls = 0
    else:
        with kolo_c.trace(path, boundary=True):
            calls, _ = page(int(path[1:]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(calls).encode()]

class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = False
    request_queue_size = 64

class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass

logging.disable(logging.NOTSET)
logging.getLogger().addHandler(logging.NullHandler())
server = make_server("127.0.0.1", 0, answer, Server, Quiet)
print(server.server_port, flush=True)
server.serve_forever()
server.server_close()
"""
SHORT = """
def leaf(n): return n
print(sum(leaf(n) for n in range(2000)))
"""
SETTINGS = """
[tool.kolo_c]
segment_max_bytes = 4194304
max_bytes = 8388608
free_disk_min_bytes = 0
"""
CLIENTS = 4
PAUSE_SECONDS = 0.01
"""Of each client after an answer: the machine has other things to do as well."""
SHORT_SECONDS = 5.0
SHORT_KEPT = 3
"""The store is over its bound: each that starts makes the one before it go."""
MEMORY_KIB = 2048


class Grown(Exception):
    """Something was lost, or grew."""


class Load:
    """The clients: each request's number and how many calls its answer told of."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.told: dict[int, int] = {}
        self.over = threading.Event()
        self._numbers = iter(range(1 << 62))
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        self.problem: BaseException | None = None

    def start(self) -> None:
        """Ask from now on."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Each client's last answer is awaited."""
        self.over.set()
        for thread in self._threads:
            thread.join()
        if self.problem is not None:
            raise Grown(f"a client ended: {self.problem!r}")

    def _ask(self) -> None:
        try:
            while not self.over.is_set():
                with self._lock:
                    number = next(self._numbers)
                self.told[number] = int(ask(self.port, f"/{number}"))
                time.sleep(PAUSE_SECONDS)
        except BaseException as problem:
            self.problem = problem
            self.over.set()


def memory_kib(pid: int) -> int:
    """What the process has for itself (proc(5), RssAnon): its files are the disk's, and
    of the mapping it touches as many blocks as the load needs."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise RuntimeError("/proc says nothing of RssAnon")


def ask(port: int, path: str) -> bytes:
    """The body of one answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise Grown(f"{path} answers {response.status}")
    return body


def run(
    folder: Path, seconds: float, core: str = "c", grows_kib: int = MEMORY_KIB
) -> Counter[str]:
    """One soak in ``folder``: what was found, in numbers. Raises Grown."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    (folder / "server.py").write_text(PROGRAM, encoding="utf-8")
    (folder / "short.py").write_text(SHORT, encoding="utf-8")
    with _start(folder, core, "server.py") as server:
        try:
            load, samples = _serve(folder, core, server, seconds)
        except BaseException:
            server.kill()
            raise
    if server.returncode != 0:
        raise Grown(f"the server ended with {server.returncode}")
    found = check(folder / ".kolo_c", load.told)
    if found["short programs kept"] > SHORT_KEPT:
        raise Grown(f"{found['short programs kept']} short programs are kept")
    found["requests"] = len(load.told)
    found["requests a second"] = round(len(load.told) / seconds)
    _compare(samples, found, grows_kib)
    return found


def _serve(
    folder: Path, core: str, server: subprocess.Popen[str], seconds: float
) -> tuple[Load, list[tuple[int, int]]]:
    """Ask for so long, then have it stop."""
    assert server.stdout is not None
    load = Load(int(server.stdout.readline()))
    load.start()
    try:
        samples = _watch(folder, core, server.pid, load, seconds)
    finally:
        load.stop()
    ask(load.port, "/stop")
    server.wait(60)
    return load, samples


def _start(folder: Path, core: str, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "kolo_c", "run", "-q", name], cwd=folder,
        env=environment(KOLO_C_CORE=core),
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _watch(
    folder: Path, core: str, pid: int, load: Load, seconds: float
) -> list[tuple[int, int]]:
    """KiB of memory and open files, each second or oftener."""
    samples = []
    began = time.monotonic()
    shorts = 0
    while time.monotonic() < began + seconds and not load.over.is_set():
        time.sleep(min(1.0, seconds / 50))
        files = len(os.listdir(f"/proc/{pid}/fd"))
        samples.append((memory_kib(pid), files))
        if time.monotonic() - began > shorts * SHORT_SECONDS:
            shorts += 1
            # As if five minutes had gone by since the last look.
            (folder / ".kolo_c" / STAMP_NAME).unlink(missing_ok=True)
            with _start(folder, core, "short.py") as short:
                short.wait(60)
            if short.returncode != 0:
                raise Grown("a short program failed")
    return samples


def _compare(
    samples: list[tuple[int, int]], found: Counter[str], grows_kib: int
) -> None:
    """The last tenth with the second: of memory the median, of open files the fewest.

    A rotation has the files of two segments open, one of them twice. Where samples are
    few it may fill a tenth, so the fewest are looked for in ten samples, or in the last
    half of all where that is less; what leaks is open in each of them.
    """
    tenth = max(len(samples) // 10, 1)
    parts = samples[tenth : 2 * tenth], samples[-tenth:]
    memory = [round(statistics.median(kib for kib, _ in part)) for part in parts]
    late = max(tenth, min(10, len(samples) // 2))
    files = [min(count for _, count in part) for part in (parts[0], samples[-late:])]
    found["KiB of memory early"], found["KiB of memory late"] = memory
    found["files open early"], found["files open late"] = files
    if memory[1] > memory[0] + grows_kib:
        raise Grown(f"memory grew from {memory[0]} to {memory[1]} KiB")
    if files[1] > files[0] + CLIENTS:  # a request more or less
        raise Grown(f"open files went from {files[0]} to {files[1]}")


def check(store: Path, told: dict[int, int]) -> Counter[str]:
    """Whether every request is there once, complete, with its calls, from the first on
    whose segments the bound of the store has left. Raises Grown."""
    found: Counter[str] = Counter()
    seen: Counter[int] = Counter()
    kept: list[int] = []
    with Store(store) as opened:
        for info in opened.traces():
            if info.status != "complete" or info.count("lost") or info.count("errors"):
                raise Grown(f"{info.row.name} is {info.status}: {info.counters}")
            if info.row.kind == "process":
                found["short programs kept"] += info.row.name == "short.py"
                continue
            number = int(info.row.name[1:])
            seen[number] += 1
            if info.count("calls") != told[number]:
                raise Grown(f"request {number} has {info.counters}")
            if info.nodes:
                kept.append(number)
                found["calls"] += told[number]
        if opened.catalogue.errors:
            raise Grown(str(opened.catalogue.errors))
    if not kept or max(seen.values()) != 1:
        raise Grown("no request is there, or one is there twice")
    # Those that ran at the same time went to the segment with it, or to the next one.
    first = min(kept) + 2 * CLIENTS
    missing = {number for number in told if number > first} - set(kept)
    if missing:
        raise Grown(f"missing: {sorted(missing)[:9]}")
    found["requests that are there"] = len(kept)
    segments = list((store / "segments").glob("*.db"))
    found["segments"] = len(segments)
    written = [int(path.stem.rpartition("-")[2]) + 1 for path in segments]
    found["segments that one program wrote"] = max(written)
    found["MiB of segments"] = sum(path.stat().st_size for path in segments) >> 20
    return found


def main() -> int:
    """One soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--core", choices=("c", "python"), default="c")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kolo-c-soak-server-"))
    try:
        found = run(folder, arguments.seconds, arguments.core)
    except Grown as problem:
        print(f"soak-server: {problem}; kept: {folder}")
        return 1
    shutil.rmtree(folder)
    numbers = ", ".join(f"{found[name]:,} {name}" for name in sorted(found))
    print(f"soak-server: nothing lost; {numbers}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
