"""The way in: a store, its traces, their streams, block by block.

    with Store(find_store()) as store:
        trace = store.trace("7QK")
        for stream in trace.streams:
            for record in stream.records():
                …

Nothing is decoded before it is asked for; ``Trace.decoded_blocks`` counts what was.

Threads: one at a time. Owns: the open files, until close(). Fails: StoreError,
TraceNotFound.
"""

from __future__ import annotations

import os

from kolo_c.store.catalogue import Catalogue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Any

    from kolo_c.store.trace import Stream, Trace
    from kolo_c.store.trace_info import TraceInfo

__all__ = ["Store", "Stream", "Trace"]


class Store:
    """A ``.kolo_c`` directory, opened for reading."""

    def __init__(
        self, path: str | os.PathLike[str], catalogue: Catalogue | None = None
    ) -> None:
        self._path = os.fspath(path)
        self.catalogue = Catalogue(self._path) if catalogue is None else catalogue
        self.named = ""
        """How this file was named (``--db``), where it is one."""

    @property
    def path(self) -> Path:
        """The directory."""
        from pathlib import Path  # noqa: PLC0415 - a list needs none

        return Path(self._path)

    @classmethod
    def of_file(cls, path: Path) -> Store:
        """One segment, wherever it lies, as a store of its own."""
        from kolo_c.store.files import ProcessFiles  # noqa: PLC0415

        return cls(path, Catalogue(path, [ProcessFiles(path.stem, (path,), None)]))

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of every file."""
        self.catalogue.close()

    def traces(self, count: int | None = None) -> list[TraceInfo]:
        """The traces, the last one first."""
        return self.catalogue.latest(count)

    def trace(self, ending: str | None = None) -> Trace:
        """The trace whose id ends so; the latest for None."""
        from kolo_c.store.trace import Trace  # noqa: PLC0415 - a list reads none

        trace = Trace(self.catalogue.find(ending))
        trace.file = self.named
        return trace


def __getattr__(name: str) -> Any:
    """``Trace`` and ``Stream``, for those that need them; a list does without."""
    if name not in ("Stream", "Trace"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kolo_c.store import trace  # noqa: PLC0415

    return getattr(trace, name)
