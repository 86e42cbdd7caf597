"""The files of a store, by the process that wrote them, before any is opened.

Light: a session that starts in somebody's program imports it.

Threads: any. Owns: nothing. Fails: StoreError where the folder cannot be read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kolo_c.errors import StoreError
from kolo_c.store.locate import SEGMENTS_NAME

_SEGMENT = re.compile(r"(?P<process>.+)-(?P<number>\d+)\.db\Z")


@dataclass(frozen=True, slots=True)
class ProcessFiles:
    """The files of one process, before any is opened."""

    id: str
    segments: tuple[Path, ...]
    mapping: Path | None

    def changed_ns(self) -> int:
        """When the youngest of them was last written to, UTC."""
        paths = [*self.segments, *(Path(f"{path}-wal") for path in self.segments)]
        if self.mapping is not None:
            paths.append(self.mapping)
        return max((_mtime_ns(path) for path in paths), default=0)

    def bytes(self) -> int:
        """What the segments take on disk."""
        return sum(_size(path) + _size(Path(f"{path}-wal")) for path in self.segments)


def list_processes(store: Path) -> list[ProcessFiles]:
    """The files in the store, by the process that wrote them."""
    directory = store / SEGMENTS_NAME
    segments: dict[str, list[tuple[int, Path]]] = {}
    mappings: dict[str, Path] = {}
    try:
        paths = list(directory.iterdir())
    except OSError as error:
        raise StoreError(
            directory, f"cannot be read: {error.strerror}", "Check its permissions."
        ) from error
    for path in paths:
        match = _SEGMENT.match(path.name)
        if match:
            numbered = segments.setdefault(match["process"], [])
            numbered.append((int(match["number"]), path))
        elif path.suffix == ".map":
            mappings[path.stem] = path
    return [
        ProcessFiles(
            process,
            tuple(path for _, path in sorted(segments.get(process, []))),
            mappings.get(process),
        )
        for process in sorted(segments.keys() | mappings.keys())
    ]


def _mtime_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
