"""File systems of a test's own: small ones, and one whose disk can be made to stall.

Only root may mount, and not in every container: a test that asks is skipped, with the
reason.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.spec.tracing import close_stores


def _run(*command: str | Path) -> None:
    """Do it, or skip the test."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    if done.returncode != 0:
        pytest.skip(f"{command[0]}: {done.stderr.strip()}")


def _let_go(folder: Path) -> None:
    """A process that was killed may hold it for a moment, and we what we read."""
    close_stores()
    for _ in range(50):
        done = subprocess.run(["umount", folder], capture_output=True)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", folder], check=True)


def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """``folder`` is a file system of ``size`` (``24m``) in memory, for a time."""
    if os.getuid() != 0:
        pytest.skip("only root may mount")
    folder.mkdir(parents=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder)
    try:
        yield folder
    finally:
        _let_go(folder)


class LoopDisk:
    """An ext4 file system in a file on another one of the kind.

    When the outer one is frozen, the inner one's disk does nothing any more.
    """

    def __init__(self, folder: Path, inner: Path, stack: ExitStack) -> None:
        if os.getuid() != 0:
            pytest.skip("only root may mount")
        self._stack = stack
        self.outer = folder / "outer"
        self.folder = inner
        self._mount(folder / "outer.image", "96M", self.outer)
        self._mount(self.outer / "inner.image", "80M", inner)
        stack.callback(self.go_on)

    def _mount(self, image: Path, size: str, folder: Path) -> None:
        folder.mkdir(parents=True)
        _run("truncate", "-s", size, image)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", image)
        _run("mount", "-o", "loop", image, folder)
        self._stack.callback(_let_go, folder)

    def stall(self) -> None:
        """From now on nothing is written."""
        _run("fsfreeze", "-f", self.outer)

    def go_on(self) -> None:
        """The disk is well again."""
        subprocess.run(["fsfreeze", "-u", self.outer], capture_output=True)

    def fail(self) -> None:
        """The file system sees an error, and is read-only from now on."""
        _run("sync", "-f", self.folder)  # what is not in its journal yet would be lost
        _run("mount", "-o", "remount,abort", self.folder)
        (self.folder / "noticed").unlink(missing_ok=True)

    def repair(self) -> None:
        """Unmount it, and mount it again."""
        image = self.outer / "inner.image"
        _let_go(self.folder)
        subprocess.run(["fsck.ext4", "-p", image], capture_output=True)
        subprocess.run(["mount", "-o", "loop", image, self.folder], check=True)
