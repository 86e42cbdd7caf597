"""Keep the store within its bounds: the oldest segments of dead processes go first.

Called when a session starts, and by commands that write. Nothing that belongs to a
living process is touched.

Threads: any; processes too: who comes second finds the file gone, which is as well.
Owns: nothing. Fails: never: what cannot be removed stays, and is counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from kolo_c.errors import StoreError
from kolo_c.store.files import ProcessFiles, list_processes
from kolo_c.store.locate import SEGMENTS_NAME

_DAY_NS = 86_400 * 1_000_000_000
_UNFINISHED_NS = 60 * 1_000_000_000
_BESIDE = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Removed:
    """What retention did."""

    segments: int
    bytes: int
    failed: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    changed_ns: int
    bytes: int
    path: Path


def apply_retention(
    store: Path,
    *,
    max_bytes: int | None,
    keep_days: float | None,
    now_ns: int | None = None,
) -> Removed:
    """Remove segments older than ``keep_days``, then the oldest until ``max_bytes``
    suffice; None sets no bound."""
    now_ns = time.time_ns() if now_ns is None else now_ns
    try:
        processes = list_processes(store)
    except StoreError:
        return Removed(0, 0, 0)
    _remove_unfinished(store, now_ns)
    total = 0
    candidates: list[_Candidate] = []
    for files in processes:
        total += files.bytes()
        if not _is_used(files):
            candidates.extend(_candidate(path) for path in files.segments)
    candidates.sort(key=lambda found: (found.changed_ns, found.path.name))
    oldest_ns = 0 if keep_days is None else now_ns - int(keep_days * _DAY_NS)
    segments = size = failed = 0
    for found in candidates:
        over = max_bytes is not None and total - size > max_bytes
        if not over and found.changed_ns >= oldest_ns:
            break
        if _remove(found.path):
            segments += 1
            size += found.bytes
        else:
            failed += 1
    return Removed(segments, size, failed)


def _remove_unfinished(store: Path, now_ns: int) -> None:
    """A process that was killed while it made its mapping leaves it half made."""
    for path in (store / SEGMENTS_NAME).glob("*.map.new"):
        try:
            if now_ns - path.stat().st_mtime_ns > _UNFINISHED_NS:
                path.unlink()
        except OSError:
            continue


def _is_used(files: ProcessFiles) -> bool:
    """Whether a process writes to these, or left something that is not saved yet.

    A dead process's mapping is the newest part of its trace: the next command that
    reads brings it in, and only then may the segments go.
    """
    return files.mapping is not None


def _candidate(path: Path) -> _Candidate:
    size = 0
    changed_ns = 0
    for name in (path, Path(f"{path}-wal")):
        try:
            status = name.stat()
        except OSError:
            continue
        size += status.st_size
        changed_ns = max(changed_ns, status.st_mtime_ns)
    return _Candidate(changed_ns, size, path)


def _remove(path: Path) -> bool:
    # The files beside go after it: without the segment they mean nothing, the segment
    # without them would be an older state of itself.
    try:
        path.unlink(missing_ok=True)
        for ending in _BESIDE:
            Path(f"{path}{ending}").unlink(missing_ok=True)
    except OSError:
        return False
    return True
