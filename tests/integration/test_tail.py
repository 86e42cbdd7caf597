"""``kolo-c tail``: a line for each trace as it ends, of processes that come and go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kolo_c.cli import tail as tail_module

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.fspath(ROOT)}
BOUND_SECONDS = 1.0
"""Ten times what is promised: this machine may be busy. The benchmark has the figure."""
WAITS = "kolo-c: nothing was recorded yet; waiting\n"
PROGRAM = """
import sys, time
import kolo_c

def work(number):
    return number

for number in range(int(sys.argv[2])):
    with kolo_c.trace(f"{sys.argv[1]} {number}", boundary=True):
        work(number)
    print(time.time(), flush=True)
    time.sleep(0.05)
if len(sys.argv) > 3:
    kolo_c.trace("hangs", boundary=True).start()
    work(0)
    print("hangs", flush=True)
    time.sleep(60)
"""


class Tail:
    """A running ``kolo-c tail`` and its lines, each with the time it came at."""

    def __init__(self, here: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kolo_c", "tail", *words],
            cwd=here, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            encoding="utf-8",
        )  # fmt: skip
        self.lines: list[tuple[float, str]] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        self.said = wait_until_it_watches(self.process, here)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.lines.append((time.time(), line.rstrip("\n")))

    def wait_for(self, text: str, seconds: float = 20) -> None:
        """Until a line has this in it."""
        end = time.monotonic() + seconds
        while not any(text in line for _, line in self.lines):
            assert time.monotonic() < end, (text, self.lines)
            time.sleep(0.01)

    def stop(self) -> tuple[int, str]:
        """Ctrl-C: exit code and what it said of errors."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(20)
        self._thread.join()
        assert self.process.stderr is not None
        said = self.said + self.process.stderr.read()
        self.process.stderr.close()
        return code, said


def wait_until_it_watches(process: subprocess.Popen[str], here: Path) -> str:
    """What ends before that is no news to it. Returns what it said meanwhile."""
    if not (here / ".kolo_c").exists():
        assert process.stderr is not None
        return process.stderr.readline()  # that it waits
    end = time.monotonic() + 20
    mapped = Path(f"/proc/{process.pid}/maps")
    while ".map\n" not in mapped.read_text(encoding="utf-8"):  # a living program's
        assert time.monotonic() < end, "it watches no program"
        time.sleep(0.01)
    return ""


@pytest.fixture(name="here")
def _here(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


@pytest.fixture(name="tail")
def _tail(here: Path) -> Any:
    started: list[Tail] = []

    def start(*words: str) -> Tail:
        started.append(Tail(here, *words))
        return started[-1]

    yield start
    for tail in started:
        if tail.process.poll() is None:
            tail.process.kill()
            tail.stop()


def start(here: Path, *words: str) -> subprocess.Popen[str]:
    """A recorded program."""
    return subprocess.Popen(
        [sys.executable, "-m", "kolo_c", "run", "program.py", *words],
        cwd=here, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def test_each_is_told_of_at_once_whoever_recorded_it(here: Path, tail: Any) -> None:
    """The store comes into being while one waits; two processes record at once."""
    watch = tail()
    programs = [start(here, name, "5") for name in ("one", "two")]
    ended = [
        float(line) for program in programs for line in program.communicate()[0].split()
    ]
    watch.wait_for("two 4")
    for _ in programs:
        watch.wait_for("program.py")
    time.sleep(0.3)
    code, said = watch.stop()
    assert (code, said) == (0, WAITS)
    shown = [line for _, line in watch.lines]
    names = [line.split(" ms")[0].split(" µs")[0].rsplit(" ", 1)[0] for line in shown]
    expected = [f"{name} {number}" for name in ("one", "two") for number in range(5)]
    assert sorted(names) == sorted([*expected, "program.py", "program.py"])
    assert all(" · show " in line for line in shown)
    seen = {name: at for name, (at, _) in zip(names, watch.lines, strict=True)}
    late = [seen[name] - at for name, at in zip(expected, ended, strict=True)]
    assert max(late) < BOUND_SECONDS


def test_what_ended_before_is_no_news_and_a_killed_one_is(
    here: Path, tail: Any
) -> None:
    start(here, "early", "1").communicate()
    program = start(here, "then", "1", "hang")
    assert program.stdout is not None
    while program.stdout.readline().strip() != "hangs":
        pass
    watch = tail("--json", "--errors")
    program.kill()
    program.communicate()
    watch.wait_for('"hangs"')
    watch.wait_for('"program.py"')
    code, said = watch.stop()
    assert (code, said) == (0, "")
    found = [json.loads(line) for _, line in watch.lines]
    assert {each["name"] for each in found} == {"hangs", "program.py"}
    assert {each["status"] for each in found} == {"interrupted"}
    assert all(each["failed"] for each in found)


def test_it_ends_after_so_many_and_when_nobody_reads_it(here: Path, tail: Any) -> None:
    watch = tail("-n", "2")
    shut = subprocess.Popen(
        [sys.executable, "-m", "kolo_c", "tail"],
        cwd=here, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert shut.stdout is not None and shut.stderr is not None
    shut.stdout.close()
    assert wait_until_it_watches(shut, here) == WAITS
    start(here, "some", "4").communicate()
    assert watch.process.wait(20) == 0
    watch.stop()
    assert [line.split(" ", 2)[:2] for _, line in watch.lines] == [
        ["some", "0"], ["some", "1"],
    ]  # fmt: skip
    assert shut.wait(20) == 1
    assert shut.stderr.read() == ""
    shut.stderr.close()


def test_nothing_of_the_store_is_kept_open_that_the_program_wants_to_close(
    here: Path, tail: Any
) -> None:
    """A segment's WAL goes when the last one closes it: its owner, as without us."""
    watch = tail()
    start(here, "one", "3").communicate()
    watch.wait_for("program.py")
    time.sleep(0.3)
    left = sorted(os.listdir(here / ".kolo_c" / "segments"))
    assert [name.rpartition(".")[2] for name in left] == ["db"]
    assert watch.stop()[0] == 0


class _Looks:
    """Stands for what is followed: a look takes long, but not of the processor."""

    def poll(self) -> list[Any]:
        time.sleep(0.1)
        return []

    def rest(self) -> None:
        """Nothing was opened."""


def test_a_pause_is_no_longer_because_others_took_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A look that had to wait for programs which start was followed by a pause as long
    as that: a trace that ended meanwhile was told of twice as late."""
    pauses: list[float] = []

    class _Time:
        thread_time = staticmethod(time.thread_time)

        @staticmethod
        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            raise KeyboardInterrupt

    monkeypatch.setattr(tail_module, "time", _Time)
    with pytest.raises(KeyboardInterrupt):
        tail_module._follow(_Looks(), False, None, False)  # type: ignore[arg-type]
    assert len(pauses) == 1 and pauses[0] < 0.05


_IMPORTS = """
import sys
from kolo_c.cli import tail
from kolo_c.cli.main import main

follow = tail._follow
def watch(*words):
    before = set(sys.modules)
    follow(*words)
    print(*sorted(set(sys.modules) - before), file=sys.stderr)

tail._follow = watch
sys.exit(main(["tail", "-n", "2"]))
"""


def test_nothing_is_imported_for_the_first_line(here: Path) -> None:
    """It has that time while it waits: the first trace would be told of late."""
    watch = subprocess.Popen(
        [sys.executable, "-c", _IMPORTS],
        cwd=here, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert wait_until_it_watches(watch, here) == WAITS
    start(here, "some", "4").communicate()
    lines, said = watch.communicate(timeout=20)
    assert len(lines.splitlines()) == 2
    imported = said.splitlines()[-1].split()
    assert imported == []
