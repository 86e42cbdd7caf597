"""Make a root folder with this Python and the libraries it needs, and nothing else.

    python tools/clean_root.py FOLDER

No shell, no compiler, no headers, no site-packages: a wheel that works there after
`chroot` needs nothing but itself. Prints the path of Python inside. Linux with glibc.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

# What a recorder never needs; Tk alone would bring half a desktop.
LEFT_OUT = (
    *("test", "tests", "idlelib", "turtledemo", "tkinter", "lib2to3", "config-*"),
    *("site-packages", "dist-packages", "__pycache__", "_tkinter*", "_test*", "*.a"),
)
FOLDERS = ("dev", "proc", "tmp", "home")


def main() -> int:
    """Make it."""
    if len(sys.argv) != 2 or sys.platform != "linux":
        print(__doc__, file=sys.stderr)
        return 2
    root = Path(sys.argv[1])
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    python = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    place(root, python)
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    for folder in sorted(folders):
        shutil.copytree(
            folder, inside(root, folder), ignore=shutil.ignore_patterns(*LEFT_OUT)
        )
    modules = [
        path for folder in folders for path in inside(root, folder).rglob("*.so")
    ]
    for library in libraries([python, *modules]):
        place(root, library)
    print(python)
    return 0


def inside(root: Path, path: str | Path) -> Path:
    """Where ``path`` lies in the root."""
    return root / str(path).lstrip("/")


def place(root: Path, path: Path) -> None:
    """Copy a file, links followed, to where it is outside."""
    to = inside(root, path)
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, to)


def libraries(files: Iterable[Path]) -> list[Path]:
    """All that the loader would load for ``files``, the loader itself included."""
    answer = subprocess.run(
        ["ldd", *map(os.fspath, files)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip
    found = re.findall(r"^\s.*?(/\S+) \(0x", answer.stdout, re.MULTILINE)
    if not found:
        raise SystemExit(f"ldd found no libraries:\n{answer.stdout}{answer.stderr}")
    return sorted({Path(name) for name in found})


if __name__ == "__main__":
    raise SystemExit(main())
