"""A Python that kolo_c is installed for, and programs that it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from kolo_c.store.trace_info import TraceInfo
from tests.spec.tracing import Traced

ROOT = Path(__file__).parents[2]


def make_python(folder: Path, *names: str, installed: bool = True) -> Path:
    """A virtual environment in ``folder``, with these of our files; its interpreter."""
    command = [sys.executable, "-m", "venv", "--without-pip", "--symlinks", folder]
    subprocess.run(command, check=True)
    python = folder / "bin" / "python"
    if installed:
        places = {"base": str(folder), "platbase": str(folder)}
        has_venv = "venv" in sysconfig.get_scheme_names()  # 3.11+
        scheme = "venv" if has_venv else "posix_prefix"
        site = Path(sysconfig.get_path("purelib", scheme, places))
        (site / "a_tree.pth").write_text(f"{ROOT}\n")
        for name in names or ("kolo_c.pth",):
            shutil.copy(ROOT / name, site)
    return python


class Place:
    """A project's folder, and how its programs are run."""

    def __init__(self, folder: Path, python: Path, core: str) -> None:
        self.folder = folder
        self.python = python
        self.core = core
        folder.mkdir(exist_ok=True)
        (folder / "setup.py").touch()

    def environ(self, **variables: str) -> dict[str, str]:
        """That of a user, without what the tests have."""
        environ = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(("KOLO_C", "PYTHON")) and name != "PYTEST_VERSION"
        }
        return {**environ, "KOLO_C_CORE": self.core, **variables}

    def write(self, **programs: str) -> None:
        """``name="text"`` is name.py."""
        for name, text in programs.items():
            (self.folder / f"{name}.py").write_text(text)

    def run(
        self, *words: str, stdin: str = "", cwd: Path | None = None, **variables: str
    ) -> tuple[str, str, int]:
        """What a python with these words says on both streams, and how it ends."""
        done = subprocess.run(
            [str(self.python), *words],
            cwd=cwd or self.folder,
            env=self.environ(**variables),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout, done.stderr, done.returncode

    @property
    def is_empty(self) -> bool:
        """Whether nothing was left here."""
        return not (self.folder / ".kolo_c").exists()

    @property
    def read(self) -> Traced:
        """What was stored."""
        return Traced(self.folder, self.core, "auto", 0, "", "")

    def traces(self) -> list[TraceInfo]:
        """All that were stored, the first first."""
        return [] if self.is_empty else self.read.infos()

    def calls(self) -> list[tuple[str, list[str]]]:
        """Of each trace its name, and what was called in it."""
        traced = self.read
        return [
            (info.row.name, [name for tree in trees for name in _names(tree.roots)])
            for number, info in enumerate(self.traces())
            for trees in [traced.trees(number)]
        ]

    def links(self) -> dict[str, str | None]:
        """By name of a trace that of its parent."""
        infos = self.traces()
        names = {info.id: info.row.name for info in infos}
        return {info.row.name: names.get(info.row.parent or "") for info in infos}


def _names(nodes: list[Any]) -> list[str]:
    return [name for node in nodes for name in (node.name, *_names(node.children))]
