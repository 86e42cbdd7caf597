"""Whole processes whose files are in memory, or have to come from the disk.

Threads: any. Owns: nothing. Fails: CalledProcessError, where a command fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.machine import ROOT

# They would make every process compile our modules, or write a line at a time.
_UNUSUAL = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPROFILEIMPORTTIME")
_DROP = Path("/proc/sys/vm/drop_caches")
_SCRIPT = """\
import sys
from kolo_c.cli.main import main
if __name__ == "__main__":
    sys.exit(main())
"""


def install_command(folder: Path) -> str:
    """Write ``kolo-c`` as pip installs it into ``folder``; its path."""
    path = folder / "kolo-c"
    path.write_text(_SCRIPT, encoding="utf-8")
    return str(path)


def environment(**variables: str) -> dict[str, str]:
    """What a user's process has, as far as it matters here, and ``variables``."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if name not in _UNUSUAL and not name.startswith("KOLO_C")
    }
    environ["PYTHONPATH"] = str(ROOT)
    return {**environ, **variables}


def install_python(folder: Path) -> str:
    """A virtual environment that kolo_c is installed in; its interpreter."""
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, check=True)
    names = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", names))
    (site / "a_tree.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    shutil.copy(ROOT / "kolo_c.pth", site)
    return str(folder / "bin" / "python")


def spend(
    folder: Path, words: list[str], python: str = sys.executable, **variables: str
) -> tuple[float, float]:
    """Run python with these words: its wall and its CPU time in milliseconds."""
    began = time.perf_counter_ns()
    child = subprocess.Popen(
        [python, *words],
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(child.pid, 0)
    wall_ns = time.perf_counter_ns() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, words)
    return wall_ns / 1e6, (used.ru_utime + used.ru_stime) * 1e3


def evict(folder: Path) -> None:
    """Let the system forget what it has in memory of the files in ``folder``."""
    for path in folder.rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(fd)  # what is not on the disk yet cannot be forgotten
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(fd)


def forget_everything() -> Callable[[], None] | None:
    """What empties the page cache, Python's own files included; None: not allowed."""
    if not os.access(_DROP, os.W_OK):
        return None

    def drop() -> None:
        os.sync()
        _DROP.write_text("3", encoding="ascii")

    return drop
