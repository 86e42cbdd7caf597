"""The files of a store, by the process that wrote them, before any is opened.

Light: a session that starts in somebody's program imports it.

Threads: any. Owns: nothing. Fails: StoreError where the folder cannot be read.
"""

from __future__ import annotations

import os

from kolo_c.errors import StoreError
from kolo_c.store.locate import SEGMENTS_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    AnyPath = str | os.PathLike[str]

_SEGMENT = ".db"
_MAPPING = ".map"
_WAL = "-wal"


class ProcessFiles:
    """The files of one process, before any is opened.

    Paths are kept as text: a store may have thousands, of which few are looked at.
    """

    __slots__ = ("_found", "_mapping", "_names", "_segments", "id")

    def __init__(
        self,
        id: str,
        segments: Iterable[AnyPath],
        mapping: AnyPath | None,
        wals: Iterable[str] | None = None,
    ) -> None:
        """The process ``id``; its segments in the order they were written, and the
        files that SQLite has beside them (None: they are looked for)."""
        self.id = id
        self._segments = tuple(os.fspath(path) for path in segments)
        if wals is None:
            wals = [path + _WAL for path in self._segments]
        self._names = (*self._segments, *wals)
        self._mapping = None if mapping is None else os.fspath(mapping)
        self._found: list[tuple[str, os.stat_result]] | None = None

    def __repr__(self) -> str:
        return f"ProcessFiles({self.id!r}, {self._segments!r}, {self._mapping!r})"

    @property
    def segments(self) -> tuple[Path, ...]:
        """The segments, the first one first."""
        from pathlib import Path  # noqa: PLC0415 - a list needs none

        return tuple(map(Path, self._segments))

    @property
    def segment_names(self) -> tuple[str, ...]:
        """The segments as texts."""
        return self._segments

    @property
    def mapping_name(self) -> str | None:
        """The mapping as a text."""
        return self._mapping

    @property
    def mapping(self) -> Path | None:
        """The mapping; None where there is none (any more)."""
        from pathlib import Path  # noqa: PLC0415 - as above

        return None if self._mapping is None else Path(self._mapping)

    @property
    def has_mapping(self) -> bool:
        """Whether the process lives, or left something that is not saved yet."""
        return self._mapping is not None

    @property
    def begins_late(self) -> bool:
        """Whether its first segments have been removed."""
        first = os.path.basename(self._segments[0]) if self._segments else ""
        process, _, number = first.removesuffix(_SEGMENT).rpartition("-")
        return process == self.id and number.lstrip("0") != ""

    def changed_ns(self) -> int:
        """When the youngest of them was last written to, UTC."""
        mapping = _stat(self._mapping) if self._mapping is not None else None
        times = [status.st_mtime_ns for _, status in self._status()]
        if mapping is not None:
            times.append(mapping.st_mtime_ns)
        return max(times, default=0)

    def bytes(self) -> int:
        """What the segments take on disk."""
        return sum(status.st_size for _, status in self._status())

    def identity(self) -> str:
        """A text that is another when one of the segments is, or has changed."""
        return "/".join(
            f"{name} {status.st_ino} {status.st_size} {status.st_mtime_ns}"
            for name, status in self._status()
        )

    def _status(self) -> list[tuple[str, os.stat_result]]:
        """Of each segment, and of what SQLite has beside it."""
        if self._found is None:
            self._found = []
            for path in self._names:
                status = _stat(path)
                if status is not None:
                    self._found.append((os.path.basename(path), status))
        return self._found


def list_processes(store: AnyPath) -> list[ProcessFiles]:
    """The files in the store, by the process that wrote them."""
    directory = os.path.join(store, SEGMENTS_NAME, "")
    segments: dict[str, list[tuple[int, str]]] = {}
    mappings: dict[str, str] = {}
    names = list_names(directory)
    for name in names:
        if name.endswith(_SEGMENT):
            process, _, number = name[: -len(_SEGMENT)].rpartition("-")
            if process and number.isascii() and number.isdigit():
                segments.setdefault(process, []).append((int(number), directory + name))
        elif name.endswith(_MAPPING):
            mappings[name[: -len(_MAPPING)]] = directory + name
    wals = {directory + name for name in names if name.endswith(_WAL)}
    found = []
    for process in sorted(segments.keys() | mappings.keys()):
        paths = [path for _, path in sorted(segments.get(process, ()))]
        beside = [path + _WAL for path in paths if path + _WAL in wals]
        found.append(ProcessFiles(process, paths, mappings.get(process), beside))
    return found


def list_names(directory: str) -> list[str]:
    """The names in a folder of the store."""
    try:
        return os.listdir(directory)
    except OSError as error:
        raise StoreError(
            directory, f"cannot be read: {error.strerror}", "Check its permissions."
        ) from error


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
