"""Run a program once on a side, or untraced, in a process of its own.

Every run has the same arguments, standard input, working directory and hash seed, a
clock that ticks with each record, and a store of its own. Its process leads a session:
where a run takes too long, or all are given up, the processes that it has started end
with it.

Threads: any, each with a folder of its own. Owns: the children, until they have ended.
Fails: OSError where one cannot be started.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import kolo_c
from kolo_c.config import config_folder
from kolo_c.target import Target, TargetKind
from kolo_c.validate.sides import Side

_PACKAGE_PARENT = str(Path(kolo_c.__file__).resolve().parent.parent)
HASH_SEED = "0"
_PIPE_SECONDS = 5.0
"""Who has left its session may hold the pipes of one that was killed."""


@dataclass(frozen=True)
class Outcome:
    """What a program did outwardly."""

    code: int | None
    """The exit code; None: it was ended as it took too long."""
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class Job:
    """What is run on each side."""

    target: Target
    options: tuple[str, ...] = ()
    """Of ``kolo-c run``."""
    stdin: bytes = b""
    cwd: Path | None = None
    timeout: float | None = None
    settings: Path | None = None
    """The project's ``.kolo_c/config.toml``, as the sides' stores lie elsewhere."""
    variables: tuple[tuple[str, str], ...] = ()


def job_of(
    target: Target, root: str | os.PathLike[str], options: Sequence[str], stdin: bytes,
    timeout: float,
) -> Job:  # fmt: skip
    """The job of running ``target`` of the project at ``root``."""
    settings = Path(config_folder(root, os.environ), "config.toml")
    return Job(
        target,
        tuple(options),
        stdin,
        timeout=timeout,
        settings=settings if settings.is_file() else None,
    )


class Runs:
    """Runs beside each other, one for each processor. Who leaves them by an exception
    ends them all."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1)
        self._lock = threading.Lock()
        self._children: set[subprocess.Popen[bytes]] = set()
        self._given_up = False

    def __enter__(self) -> Runs:
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        if kind is not None:
            self._give_up()
        self._pool.shutdown(cancel_futures=True)

    def on(self, side: Side, job: Job, folder: Path) -> Future[Outcome]:
        """Run it recorded, into the new ``folder``."""
        return self._pool.submit(self._run_on, side, job, folder)

    def untraced(self, job: Job) -> Future[Outcome]:
        """Run it with Python alone."""
        return self._pool.submit(self._run, _words(job.target), job, {})

    def _run_on(self, side: Side, job: Job, folder: Path) -> Outcome:
        store = folder / ".kolo_c"
        store.mkdir(parents=True)
        if job.settings is not None:
            shutil.copy(job.settings, store / "config.toml")
        words = [
            *("-m", "kolo_c", "run", "--quiet"),
            *(f"--core={side.core}", f"--hook={side.hook}", *job.options, "--"),
            *_words(job.target),
        ]
        more = {"KOLO_C_PATH": str(folder), "KOLO_C_TICKING": "1"}
        return self._run(words, job, more)

    def _run(self, words: list[str], job: Job, more: Mapping[str, str]) -> Outcome:
        child = self._start(words, job, more)
        try:
            stdout, stderr = child.communicate(job.stdin, timeout=job.timeout)
        except subprocess.TimeoutExpired:
            return Outcome(None, *_end(child))
        finally:
            with self._lock:
                self._children.discard(child)
        return Outcome(child.returncode, stdout, stderr)

    def _start(
        self, words: list[str], job: Job, more: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        with self._lock:
            if self._given_up:
                raise InterruptedError("the runs were given up")
            child = subprocess.Popen(
                [sys.executable, *flags, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=job.cwd,
                env=_environment({**dict(job.variables), **more}),
                start_new_session=True,
            )
            self._children.add(child)
        return child

    def _give_up(self) -> None:
        with self._lock:
            self._given_up = True
            for child in self._children:
                _kill(child)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """With all of its session; it was not waited for yet."""
    if not hasattr(os, "killpg"):
        child.kill()
    elif child.returncode is None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has just been waited for


def _end(child: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Kill it; what it has written."""
    _kill(child)
    try:
        return child.communicate(timeout=_PIPE_SECONDS)
    except subprocess.TimeoutExpired as error:
        return error.output or b"", error.stderr or b""


def _words(target: Target) -> list[str]:
    """Those of a python command line."""
    rest = target.argv[1:]
    if target.kind == TargetKind.MODULE:
        return ["-m", target.what, *rest]
    if target.kind == TargetKind.CODE:
        return ["-c", target.what, *rest]
    return [target.what, *rest]


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    found = {**os.environ, "PYTHONHASHSEED": HASH_SEED, **more}
    if os.path.basename(_PACKAGE_PARENT) not in ("site-packages", "dist-packages"):
        paths = found.get("PYTHONPATH", "").split(os.pathsep)
        if _PACKAGE_PARENT not in paths:
            paths.insert(0, _PACKAGE_PARENT)
        found["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return found
