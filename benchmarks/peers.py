"""The tools that kolo_c is compared with, each in an environment of its own.

An environment is a venv of the running Python under ``build/peers``, made when it is
not there; kolo_c's has this tree installed as a user would, and is made anew each time.

Threads: one. Owns: ``build/peers``. Fails: PeerError, where pip cannot install.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.child import ROOT

_SECONDS = 900.0


class PeerError(Exception):
    """An environment could not be made."""


@dataclass(frozen=True)
class Peer:
    """A way to run a script: plain python, kolo_c, or another tool."""

    name: str
    package: str
    """What pip installs; empty for python alone."""
    words: tuple[str, ...] = ()
    """The command before the script."""
    leaves: str = ""
    """What it leaves, below the working directory."""
    prepare: Callable[[Path], None] = lambda folder: None
    """Called with the working directory before a run."""
    beside: tuple[str, ...] = ()
    """What pip installs with it, for the program."""


def settle_kolo(folder: Path) -> None:
    """Kolo renders no traces in a process of its own, beside what is timed next."""
    (folder / ".kolo").mkdir()
    (folder / ".kolo" / "config.toml").write_text("auto_emit = false\n", "utf-8")


PYTHON = Peer("python", "", ("python",))
PEERS = (
    Peer("kolo_c", str(ROOT), ("kolo-c", "run", "--quiet"), ".kolo_c"),
    Peer(
        "VizTracer, with values",
        "viztracer",
        (
            "viztracer", "--quiet", "--ignore_c_function", "--log_func_args",
            "--log_func_retval", "--output_file", "result.json", "--",
        ),
        "result.json",
    ),
    Peer(
        "VizTracer, times only",
        "viztracer",
        (
            "viztracer", "--quiet", "--ignore_c_function", "--output_file",
            "result.json", "--",
        ),
        "result.json",
    ),
    Peer("Kolo", "kolo", ("kolo", "run"), ".kolo", settle_kolo),
    Peer("coverage", "coverage", ("coverage", "run"), ".coverage"),
)  # fmt: skip


def command(peer: Peer) -> list[str]:
    """The words to put before a script; makes the environment where it is missing."""
    return [str(_made(peer) / "bin" / peer.words[0]), *peer.words[1:]]


def interpreter(peer: Peer) -> str:
    """The Python of its environment; makes that where it is missing."""
    return str(_made(peer) / "bin" / "python")


def version(peer: Peer) -> str:
    """The version of its package that is installed."""
    code = f"import importlib.metadata as m; print(m.version({_distribution(peer)!r}))"
    return _run([interpreter(peer), "-c", code]).strip()


def forget_ours() -> None:
    """Let kolo_c be installed anew: the tree may have changed."""
    for peer in PEERS:
        if peer.package == str(ROOT):
            shutil.rmtree(_folder(peer), ignore_errors=True)


def _distribution(peer: Peer) -> str:
    return "kolo-c" if peer.package == str(ROOT) else peer.package


def _folder(peer: Peer) -> Path:
    name = _distribution(peer) if peer.package else "python"
    name = "-".join([name, *peer.beside])
    return ROOT / "build" / "peers" / platform.python_version() / name


def _made(peer: Peer) -> Path:
    folder = _folder(peer)
    if not (folder / "done").exists():
        _make(peer, folder)
    return folder


def _make(peer: Peer, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    packages = [peer.package] * bool(peer.package) + [*peer.beside]
    if packages:
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        _run([*pip, "--disable-pip-version-check", *packages])
    (folder / "done").touch()


def _run(words: list[str]) -> str:
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if done.returncode:
        raise PeerError(f"{' '.join(words)}: {done.stderr.strip()[-2000:]}")
    return done.stdout
