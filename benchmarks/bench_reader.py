"""Reader: lists of many traces, screens of a huge one, over python's own start."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.cold import (
    environment,
    evict,
    forget_everything,
    install_command,
    spend,
)
from benchmarks.recording import WORKLOADS
from benchmarks.results import Figure, Row, median, percentile
from kolo_c.identifiers import ulid
from kolo_c.store.reader import Store

NAME = "reader"
TITLE = "What kolo-c list and kolo-c show take, over python's own start"
METHOD = """\
A store of many traces, one recorded and then copied, each with a process, a trace and \
a time of its own; and a single huge trace of two threads, of a program that has ended \
and of one that still runs. Whole processes (kolo-c as pip installs it) in turn with \
python -c '', round after round: the wall time of each over that of python -c '' of \
the same round, median of the rounds. Before each, the store's files are evicted from \
the page cache (posix_fadvise); Python and its modules stay in it. CPU time, and the \
wall time with the store in the cache, stand beside. Where the page cache can be \
dropped altogether, rows say what python and kolo-c take then."""
MOST = 10.0
LINES = "100"
_MINUTE_NS = 60_000_000_000


def run(quick: bool) -> Figure:
    """Every command in every round, and python beside it."""
    rounds = 3 if quick else 15
    traces, calls = (50, 10_000) if quick else (1_000, 100_000)
    huge = 200_000 if quick else 5_000_000
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many = _record(folder / "many", calls)
        void = _copy(many, traces, calls)
        rows += _lists(many, rounds, traces, calls, void)
        one = _record(folder / "huge", huge)
        rows += _screens(one, rounds, "", huge)
        running = folder / "running"
        with _running(running, huge):
            rows += _screens(running, rounds, ", while it runs", huge)
        rows += _all_cold(many, one, 3 if quick else 5)
    return Figure(NAME, TITLE, METHOD, rows)


def _lists(
    many: Path, rounds: int, traces: int, calls: int, void: str
) -> Iterator[Row]:
    title = f"list, {traces:,} traces of {calls:,} calls"
    catalogue = many / ".kolo_c" / "catalogue.db"

    def without_catalogue() -> None:
        catalogue.unlink(missing_ok=True)

    newest = ["list", "-n", "20"]
    yield _row(f"{title}, the newest 20", many, newest, rounds, void=void)
    yield _row(f"{title}, all", many, ["list"], rounds, void=void)
    yield _row(f"{title}, by name", many, ["list", "--name", " 77"], rounds)
    first = "for the first time"
    yield _row(f"{title}, the newest 20 {first}", many, newest, rounds,
               before=without_catalogue)  # fmt: skip
    yield _row(f"{title}, all {first}", many, ["list"], max(rounds // 3, 1),
               most=None, before=without_catalogue)  # fmt: skip


def _screens(store: Path, rounds: int, when: str, huge: int) -> Iterator[Row]:
    title = f"show, {huge:,} calls{when}"
    with Store(store / ".kolo_c") as opened:
        trace = opened.trace()
        ending = trace.id[-8:]
        last = max(stream.last_node for stream in trace.streams)
        void = "" if last >= huge else f"only {last:,} nodes were recorded"
        # Its biggest thread may be the first or the second to have begun.
        big = next(each for each in trace.streams if each.last_node == last).ordinal
    middle = f"{ending}/{big}.{last // 2}"
    screens = {
        "first 100 lines": [ending, "--max-lines", LINES],
        "100 lines around its middle": [ending, "--around", f"{big}.{last // 2}",
                                        "--max-lines", LINES],
        "last 100 lines": [ending, "--tail", LINES],
        "one thread": [ending, "--thread", "2", "--max-lines", LINES],
        "one node": [middle],
    }  # fmt: skip
    for name, words in screens.items():
        yield _row(f"{title}: {name}", store, ["show", *words], rounds, void=void)


def _all_cold(many: Path, one: Path, rounds: int) -> Iterator[Row]:
    """Once more, with nothing in the page cache, not even Python."""
    forget = forget_everything()
    if forget is None:
        return
    commands = {
        "list, the newest 20": (many, ["list", "-n", "20"]),
        "show, the first 100 lines": (one, ["show", "--max-lines", LINES]),
    }
    for name, (store, words) in commands.items():
        yield _row(f"{name}, nothing cached", store, words, rounds, forget=forget)


def _row(
    name: str,
    store: Path,
    words: list[str],
    rounds: int,
    *,
    most: float | None = MOST,
    void: str = "",
    before: Callable[[], None] = lambda: None,
    forget: Callable[[], None] | None = None,
) -> Row:
    command = [install_command(store), *words]
    spend(store, command)  # compiles what is not, and catalogues
    own: list[tuple[float, float]] = []
    python: list[tuple[float, float]] = []
    warm: list[float] = []
    for _ in range(rounds):
        if forget is not None:
            forget()
        python.append(spend(store, ["-c", ""]))
        before()
        if forget is not None:
            forget()
        else:
            evict(store / ".kolo_c")
        own.append(spend(store, command))
        before()
        warm.append(spend(store, command)[0])
    ratios = [each[0] / start[0] for each, start in zip(own, python, strict=True)]
    return Row(
        name,
        "x",
        median(ratios),
        percentile(ratios, 0.99),
        rounds,
        most=most,
        void=void,
        values={
            "wall_ms": median(wall for wall, _ in own),
            "cpu_ms": median(cpu for _, cpu in own),
            "cpu_ratio": median(
                each[1] / start[1] for each, start in zip(own, python, strict=True)
            ),
            "in_cache_ms": median(warm),
            "python_ms": median(wall for wall, _ in python),
        },
    )


def _project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    script = folder / "program_tree.py"
    shutil.copyfile(WORKLOADS / script.name, script)
    return script


def _words(script: Path, count: int) -> list[str]:
    return [sys.executable, "-m", "kolo_c", "run", "-q", script.name, str(count)]


def _record(folder: Path, count: int) -> Path:
    script = _project(folder)
    subprocess.run(_words(script, count), cwd=folder, env=environment(), check=True)
    return folder


@contextmanager
def _running(folder: Path, count: int) -> Iterator[None]:
    """A program that has made its calls and goes on, for as long as the block takes."""
    script = _project(folder)
    child = subprocess.Popen(
        [*_words(script, count), "stay"],
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdin is not None and child.stdout is not None
    try:
        child.stdout.readline()
        yield
    finally:
        child.stdin.close()
        child.wait(60)
        child.stdout.close()


def _copy(folder: Path, count: int, calls: int) -> str:
    """Copy the one trace there is until there are ``count``; what is wrong, if any."""
    segments = folder / ".kolo_c" / "segments"
    (first,) = segments.glob("*.db")
    now_ns = time.time_ns()
    for number in range(1, count):
        process = ulid()
        path = segments / f"{process}-0.db"
        shutil.copyfile(first, path)
        earlier_ns = (count - number) * _MINUTE_NS
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("PRAGMA journal_mode = MEMORY")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(
            "UPDATE process SET id = ?, started_utc_ns = started_utc_ns - ?",
            (process, earlier_ns),
        )
        database.execute(
            "UPDATE trace SET id = ?, name = name || ' ' || ?, "
            "started_utc_ns = started_utc_ns - ?",
            (f"trc_{ulid()}", number, earlier_ns),
        )
        database.execute("PRAGMA journal_mode = WAL")
        database.close()
        os.utime(path, ns=(now_ns - earlier_ns, now_ns - earlier_ns))
    os.sync()
    with Store(folder / ".kolo_c") as store:
        traces = store.traces()
    if len(traces) != count:
        return f"{len(traces)} of {count} traces are in the store"
    fewest = min(trace.calls for trace in traces)
    return "" if fewest >= calls else f"a trace has {fewest:,} calls only"
