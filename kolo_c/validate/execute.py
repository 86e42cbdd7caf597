"""Run a program once on a side, or untraced, in a process of its own.

Every run has the same arguments, standard input, working directory and hash seed, a
clock that ticks with each record, and a store of its own.

Threads: any, each with a folder of its own. Owns: the child, until it has ended.
Fails: OSError where it cannot be started.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import kolo_c
from kolo_c.config import config_folder
from kolo_c.target import Target, TargetKind
from kolo_c.validate.sides import Side

_PACKAGE_PARENT = str(Path(kolo_c.__file__).resolve().parent.parent)
HASH_SEED = "0"


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


def run_on(side: Side, job: Job, folder: Path) -> Outcome:
    """Run it recorded, into the new ``folder``."""
    store = folder / ".kolo_c"
    store.mkdir(parents=True)
    if job.settings is not None:
        shutil.copy(job.settings, store / "config.toml")
    words = [
        *("-m", "kolo_c", "run", "--quiet"),
        *(f"--core={side.core}", f"--hook={side.hook}", *job.options, "--"),
        *_words(job.target),
    ]
    return _run(words, job, {"KOLO_C_PATH": str(folder), "KOLO_C_TICKING": "1"})


def run_untraced(job: Job) -> Outcome:
    """Run it with Python alone."""
    return _run(_words(job.target), job, {})


def _words(target: Target) -> list[str]:
    """Those of a python command line."""
    rest = target.argv[1:]
    if target.kind == TargetKind.MODULE:
        return ["-m", target.what, *rest]
    if target.kind == TargetKind.CODE:
        return ["-c", target.what, *rest]
    return [target.what, *rest]


def _run(words: list[str], job: Job, more: Mapping[str, str]) -> Outcome:
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    child = subprocess.Popen(
        [sys.executable, *flags, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=job.cwd,
        env=_environment({**dict(job.variables), **more}),
    )
    try:
        stdout, stderr = child.communicate(job.stdin, timeout=job.timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        stdout, stderr = child.communicate()
        return Outcome(None, stdout, stderr)
    except BaseException:  # Ctrl-C: it was not sent to the child alone, but who knows
        child.kill()
        child.communicate()
        raise
    return Outcome(child.returncode, stdout, stderr)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    found = {**os.environ, "PYTHONHASHSEED": HASH_SEED, **more}
    if os.path.basename(_PACKAGE_PARENT) not in ("site-packages", "dist-packages"):
        paths = found.get("PYTHONPATH", "").split(os.pathsep)
        if _PACKAGE_PARENT not in paths:
            paths.insert(0, _PACKAGE_PARENT)
        found["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return found
