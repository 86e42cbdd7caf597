"""Run a program under ``kolo-c run`` in a process of its own, and read its trace back.

What is read is checked in general each time (wellformed.py): whatever a test is about,
a trace whose records, headers and counters contradict each other fails it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kolo_c
from kolo_c.store.process import TraceInfo
from kolo_c.store.reader import Store, Trace
from kolo_c.store.recovery import recover_dead
from tests.spec.replay import Show, Tree
from tests.spec.wellformed import check_trace

PACKAGE_PARENT = str(Path(kolo_c.__file__).parent.parent)
_knowing = sys.version_info >= (3, 12)


def knows_exceptions() -> bool:
    """Whether the hook of the last program tells the exception that leaves a frame.

    On 3.10 and 3.11 setprofile does not.
    """
    return _knowing


_open_stores: list[Store] = []


@dataclass
class Traced:
    """A program that has run: what it did outwardly, and its traces."""

    project: Path
    core: str
    hook: str
    code: int
    stdout: str
    stderr: str
    clean: bool = True
    """Whether nothing may be lost and no error counted."""
    _known: dict[int, tuple[object, Trace, dict[int, Tree]]] = field(
        default_factory=dict
    )
    """Traces that were read, and of which state of the store."""

    @property
    def store(self) -> Path:
        return self.project / ".kolo_c"

    def infos(self) -> list[TraceInfo]:
        """Its traces, the first one first."""
        store = Store(self.store)
        _open_stores.append(store)
        found = list(reversed(store.traces()))
        assert not store.catalogue.errors
        return found

    def trace(self, index: int = 0) -> Trace:
        """The trace that began as number ``index``, checked."""
        return self._read(index)[0]

    def _read(self, index: int) -> tuple[Trace, dict[int, Tree]]:
        """The trace and its trees, anew where the store has changed since."""
        if index in self._known and self._known[index][0] == self._state():
            return self._known[index][1:]
        trace = Trace(self.infos()[index])
        trees = check_trace(trace, clean=self.clean)
        # The state is that after reading, for which SQLite makes files of its own.
        self._known[index] = (self._state(), trace, trees)
        return trace, trees

    def _state(self) -> object:
        stats = [(path, path.stat()) for path in sorted(self.files())]
        return [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]

    def calls(self, index: int = 0, thread: int = 1, **show: Any) -> str:
        """The calls below ``<module>``, one a line, in the thread's stream."""
        tree = self.tree(index, thread)
        roots = [
            child
            for root in tree.roots
            for child in (root.children if root.name == "<module>" else [root])
        ]
        return tree.text(roots, Show(**show))

    def whole(self, index: int = 0, thread: int = 1, **show: Any) -> str:
        """All of a thread's stream, ``<module>`` included."""
        tree = self.tree(index, thread)
        return tree.text(tree.roots, Show(**show))

    def tree(self, index: int = 0, thread: int = 1) -> Tree:
        return self._read(index)[1][thread]

    def trees(self, index: int = 0) -> list[Tree]:
        """Of all threads."""
        return list(self._read(index)[1].values())

    def threads(self, index: int = 0, **show: Any) -> dict[str, str]:
        """For each thread but the main one its name and its calls."""
        trace, trees = self._read(index)
        found = {}
        for stream in trace.streams:
            if stream.name == "MainThread":
                continue
            tree = trees[stream.ordinal]
            found[stream.name] = tree.text(tree.roots, Show(**show))
        return found

    def files(self) -> list[Path]:
        """Every file of the store."""
        return [path for path in self.store.rglob("*") if path.is_file()]


def environment(**more: str) -> dict[str, str]:
    """Ours, without settings of kolo_c, and with the package that is being tested."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KOLO_C", "PYTHON"))
    }
    return {**kept, "PYTHONPATH": PACKAGE_PARENT, **more}


def trace_program(
    project: Path,
    core: str,
    hook: str,
    source: str,
    *arguments: str,
    config: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
    under: Sequence[str] = ("-m", "kolo_c", "run", "--quiet"),
    target: Sequence[str] = ("program.py",),
    stdin: str | None = None,
    fails: bool = False,
    clean: bool = True,
    env: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    timeout: float = 60,
) -> Traced:
    """Write ``source`` to ``program.py``, run it, and give what came of it.

    ``under`` are the words between python and the program; an empty tuple runs it with
    python alone. It must end with 0 unless it ``fails``.
    """
    global _knowing
    _knowing = sys.version_info >= (3, 12) or hook == "frame_eval"
    write_program(project, source, config, files)
    done = subprocess.run(
        [sys.executable, *options, *under, *target, *arguments],
        cwd=project,
        env=environment(**{"KOLO_C_CORE": core, "KOLO_C_HOOK": hook, **(env or {})}),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if not fails:
        assert done.returncode == 0, done.stderr
    return Traced(project, core, hook, done.returncode, done.stdout, done.stderr, clean)


def write_program(
    project: Path,
    source: str,
    config: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
) -> None:
    """A project with ``program.py``, further files, and the settings."""
    project.mkdir(parents=True, exist_ok=True)
    (project / "pyproject.toml").write_text(_toml(config or {}), encoding="utf-8")
    texts = {"program.py": source, **(files or {})}
    for name, text in texts.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")


def _toml(config: Mapping[str, Any]) -> str:
    """Settings as TOML; JSON's scalars and lists of them are TOML's."""
    lines = ["[tool.kolo_c]"]
    rules = config.get("rules", ())
    for key, value in config.items():
        if key != "rules":
            lines.append(f"{key} = {json.dumps(value)}")
    for rule in rules:
        lines.append("[[tool.kolo_c.rules]]")
        lines.extend(f"{key} = {json.dumps(value)}" for key, value in rule.items())
    return "\n".join(lines) + "\n"


def expected(text: str) -> str:
    """A tree written by hand, as ``Traced.calls`` gives it.

    ``raises? X`` is ``raises X`` where the interpreter tells the exception when it
    leaves the frame, and ``raises ?`` where nobody was seen handling it.
    """
    lines = []
    for line in textwrap.dedent(text).strip("\n").splitlines():
        before, mark, after = line.partition(" raises? ")
        if mark:
            line = before + " raises " + (after if knows_exceptions() else "?")
        lines.append(line)
    return "\n".join(lines)


def thrown(exception: str) -> str:
    """How ``throw()`` stands among the steps of a generator.

    3.11 does not tell what was thrown, 3.10 not even that something was.
    """
    if knows_exceptions():
        return f", thrown {exception}"
    return ", thrown ?" if sys.version_info >= (3, 11) else ""


def recover(traced: Traced) -> None:
    """What every reading command does first."""
    assert recover_dead(traced.store) == []


def close_stores() -> None:
    """Let go of the files that tests read."""
    while _open_stores:
        _open_stores.pop().close()
