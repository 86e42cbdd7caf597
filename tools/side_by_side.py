"""Run commands side by side, each one's output whole, and say which failed.

    python tools/side_by_side.py --jobs 2 NAME COMMAND [NAME COMMAND …]

Commands are the shell's. They are started in the order given, so many at a time; the
output of each is printed when it ends, and what it took of time and processors. With
one at a time there is nothing to keep apart, and they write where they like. Ends with
1 where one failed. SIGINT, SIGTERM and SIGHUP end all that runs, and what it had said
is printed.

Threads: the main one. Owns: the processes it starts, each a group of its own.
Fails: exit code 1, or that of the signal.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from types import FrameType
from typing import IO

TITLE = "script/test"
GRACE = 5.0
"""Seconds between asking a group to end and ending it."""
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Job:
    """A command, running or ended."""

    def __init__(self, name: str, command: str, *, kept: bool) -> None:
        self.name = name
        self.began = time.monotonic()
        self.output: IO[bytes] | None = None
        if kept:
            self.output = tempfile.TemporaryFile()  # noqa: SIM115 - until report()
        say(f"== {name}: {command}")
        self.process = subprocess.Popen(
            ["bash", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT if kept else None,
            # All of its processes can be ended, and no terminal's Ctrl-C ends some.
            start_new_session=True,
            # Started with an & we ignore it ourselves, and it would be inherited.
            preexec_fn=default_signals,
        )
        self.cpu = 0.0

    def ended(self) -> bool:
        """Whether it has, and if so with how much of the processors' time."""
        before = cpu_of_children()
        if self.process.poll() is None:
            return False
        self.cpu = cpu_of_children() - before
        return True

    def report(self, how: str) -> None:
        """Print what it wrote, and how it ended."""
        if self.output is not None:
            say(f"\n== {self.name}: its output")
            with self.output as output:
                output.seek(0)
                shutil.copyfileobj(output, sys.stdout.buffer)
        cpu = f", {self.cpu:.0f} s of CPU" if self.cpu else ""
        say(f"== {self.name}: {how} {time.monotonic() - self.began:.0f} s{cpu}")

    def signal(self, number: signal.Signals) -> None:
        """Send it to everything that the command started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


class Ended(BaseException):
    """A signal asks us to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def say(text: str) -> None:
    """A line of our own, in its place among those of the commands."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def default_signals() -> None:
    """In the child: what a terminal gives."""
    for number in (*ENDINGS, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def run(commands: list[tuple[str, str]], jobs: int) -> list[str]:
    """Run them all; the names of those that failed."""
    waiting = list(commands)
    running: list[Job] = []
    failed = []
    kept = jobs > 1 and len(commands) > 1
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(Job(*waiting.pop(0), kept=kept))
            for job in ended(running):
                running.remove(job)
                if job.process.returncode:
                    failed.append(job.name)
                job.report("FAILED after" if job.process.returncode else "passed in")
    finally:
        stop(running)
    return failed


def ended(running: list[Job]) -> Iterator[Job]:
    """Those that have ended, when one has."""
    while True:
        found = [job for job in running if job.ended()]
        if found:
            yield from found
            return
        time.sleep(0.05)


def cpu_of_children() -> float:
    """Seconds, of those that have been waited for, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def stop(running: list[Job]) -> None:
    """End what still runs, and print what it said."""
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    for job in running:
        job.signal(signal.SIGTERM)
    last = time.monotonic() + GRACE
    for job in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            job.process.wait(max(0.0, last - time.monotonic()))
        # What the command left behind is in its group too.
        job.signal(signal.SIGKILL)
        job.process.wait()
        job.report("STOPPED after")


def cores() -> int:
    """Those that we may use."""
    with contextlib.suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def main() -> int:
    """Parse, run, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=cores(), help="default: cores")
    parser.add_argument("words", nargs="+", metavar="NAME COMMAND")
    options = parser.parse_args()
    if len(options.words) % 2:
        parser.error("every name needs its command")

    def end(number: int, frame: FrameType | None) -> None:
        raise Ended(number)

    for each in ENDINGS:
        signal.signal(each, end)
    pairs = list(zip(options.words[::2], options.words[1::2], strict=True))
    began = time.monotonic()
    try:
        failed = run(pairs, max(options.jobs, 1))
    except Ended as ending:
        say(f"\n{TITLE}: stopped by {signal.Signals(ending.number).name}")
        return 128 + ending.number
    if failed:
        say(f"\n{TITLE}: failed: {', '.join(failed)}")
        return 1
    names = " ".join(name for name, _ in pairs)
    say(f"\n{TITLE}: all passed ({names}) in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
