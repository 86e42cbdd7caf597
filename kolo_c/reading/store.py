"""A store, opened: its traces, the newest first.

Threads: one at a time. Owns: the open files, until ``close``.
Fails: StoreNotFound, StoreError, TraceNotFound.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from kolo_c.errors import StoreNotFound
from kolo_c.reading import notebook
from kolo_c.reading.quiet import quietly
from kolo_c.reading.traces import Trace
from kolo_c.scope import active_session
from kolo_c.store.locate import SEGMENTS_NAME, STORE_NAME, find_store
from kolo_c.store.path_map import load_path_map
from kolo_c.store.reader import Store as StoredStore

_FLUSH_SECONDS = 2.0


@quietly
def open(path: str | os.PathLike[str] | None = None) -> Store:
    """Open recorded traces for reading: what there was at this moment.

    ``path`` is a project's directory, a ``.kolo_c`` directory, or a file that ``kolo-c
    export`` wrote. Without it it is the store of the program that runs, if it is being
    recorded; else the one that commands started here would read.

    In a program that is being recorded what was recorded so far is saved first, for
    which it waits up to 2 seconds.

    Raises StoreNotFound where there is none, StoreError where it cannot be read.
    """
    session = active_session()
    if session is not None and path is None:
        path = session.project.store
    found = Path(find_store()) if path is None else Path(path)
    if path is not None and not found.is_file():
        found = _directory(found)
    if session is not None and _is_same(found, session.project.store):
        session.flush(_FLUSH_SECONDS)
    stored = _open_file(found) if found.is_file() else StoredStore(found)
    stored.catalogue.path_map = load_path_map(_project_of(found))
    return Store(stored)


class Store:
    """Recorded traces; made by ``kolo_c.open``."""

    def __init__(self, stored: StoredStore) -> None:
        self._stored = stored
        self._closed = False

    @property
    def path(self) -> Path:
        """The ``.kolo_c`` directory, or the file."""
        return Path(self._stored.path)

    @property
    def errors(self) -> list[str]:
        """Files that could not be read, and why; their traces are missing."""
        return [str(error) for error in self._stored.catalogue.errors]

    @quietly
    def traces(
        self,
        count: int | None = None,
        *,
        wanted: Callable[[Trace], bool] | None = None,
    ) -> list[Trace]:
        """The ``count`` newest traces, the newest first; all of them without it.

        With ``wanted`` those alone for which it is true: of attributes, for example
        (``wanted=lambda trace: trace.attributes.get("customer") == 42``).
        """
        if wanted is None:
            return [Trace(info) for info in self._stored.catalogue.latest(count)]
        found: list[Trace] = []
        for info in self._stored.catalogue.latest():
            if count is not None and len(found) >= count:
                break
            trace = Trace(info)
            if wanted(trace):
                found.append(trace)
        return found

    @quietly
    def latest(self) -> Trace:
        """The newest trace. Raises TraceNotFound where there is none."""
        return Trace(self._stored.catalogue.find(None))

    @quietly
    def trace(self, id: str) -> Trace:
        """The trace whose id ends so (3 or more characters). Raises TraceNotFound where
        there is none, or more than one."""
        return Trace(self._stored.catalogue.find(id))

    @quietly
    def close(self) -> None:
        """Let go of the files; what was read before stays."""
        if not self._closed:
            self._closed = True
            self._stored.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<store {self.path}>"

    @quietly
    def _repr_html_(self) -> str:
        return notebook.store_html(self)

    @quietly
    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(notebook.store_text(self))


def _directory(path: Path) -> Path:
    for found in (path, path / STORE_NAME):
        if (found / SEGMENTS_NAME).is_dir():
            return found
    raise StoreNotFound(
        f"no {STORE_NAME} directory in {path}",
        "Give a project's directory, its .kolo_c, or a file of `kolo-c export`.",
    )


def _project_of(found: Path) -> str:
    """Whose settings hold: the store's project's, for a file those of this place."""
    if not found.is_file():
        return str(found.parent)
    try:
        return str(find_store().parent)
    except StoreNotFound:
        return os.getcwd()


def _open_file(path: Path) -> StoredStore:
    from kolo_c.store.exported import open_exported  # noqa: PLC0415 - rarely needed

    return open_exported(path)


def _is_same(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
