"""Keep the store within its bounds: the oldest segments of dead processes go first.

Called when a session starts. Nothing that belongs to a living process is touched. A
segment of a process with a pinned trace is not removed but marked: the next command
that reads the store takes its unpinned traces out, which needs SQLite and time, and a
program that is about to start has neither. Pinned traces do not count against the
bound: they would drive out everything else.

Threads: any; processes too: who comes second finds the file gone, which is as well.
Owns: nothing. Fails: never: what cannot be removed stays, and is counted.
"""

from __future__ import annotations

import os
import time

from kolo_c.errors import KoloError, StoreError
from kolo_c.store.files import list_processes
from kolo_c.store.locate import SEGMENTS_NAME
from kolo_c.store.marks import (
    DELETED,
    PINS,
    mark_text,
    put_mark,
    read_marks,
    read_segment_marks,
    remove_mark,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from kolo_c.store.files import ProcessFiles

_DAY_NS = 86_400 * 1_000_000_000
_UNFINISHED = (".new", ".new-wal", ".new-shm", ".new-journal")
_UNFINISHED_NS = {".map.new": 60 * 1_000_000_000, ".new": 3_600 * 1_000_000_000}
_BESIDE = ("-wal", "-shm", "-journal")


class Removed:
    """What retention did."""

    __slots__ = ("bytes", "failed", "marked", "segments")

    def __init__(self) -> None:
        self.segments = 0
        self.bytes = 0
        self.marked = 0
        """Segments with pinned traces, whose others go with the next command."""
        self.failed = 0


class _Candidate:
    """A segment that may go."""

    __slots__ = ("bytes", "changed_ns", "last", "path", "pinned_bytes")

    def __init__(self, path: Path, last: Path, pinned_bytes: int | None) -> None:
        self.path = path
        self.last = last
        """The last segment of its process."""
        self.bytes = 0
        self.changed_ns = 0
        self.pinned_bytes = pinned_bytes
        """Of the pinned traces of its process; None where there are none."""
        for name in (str(path), f"{path}-wal"):
            try:
                status = os.stat(name)
            except OSError:
                continue
            self.bytes += status.st_size
            self.changed_ns = max(self.changed_ns, status.st_mtime_ns)

    def may_be_written(self) -> bool:
        """Whether a process that could not have a mapping lives, and writes here.

        It has a WAL, or where its disk cannot have one, written a moment ago: few are
        so, and only these are opened.
        """
        if (
            not os.path.exists(f"{self.last}-wal")
            and time.time_ns() - self.changed_ns > _DAY_NS
        ):
            return False
        from kolo_c.store.connection import DatabaseError  # noqa: PLC0415 - seldom
        from kolo_c.store.writers import may_have_writer  # noqa: PLC0415 - as above

        try:
            return may_have_writer(self.last)
        except DatabaseError:
            return False  # not a segment, or one that nobody can use


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
    removed = Removed()
    try:
        processes = list_processes(store)
        pinned = _pinned_bytes(store)
        candidates, total = _candidates(store, processes, pinned)
    except StoreError:
        return removed
    _remove_unfinished(store, now_ns)
    oldest_ns = 0 if keep_days is None else now_ns - int(keep_days * _DAY_NS)
    for found in candidates:
        over = max_bytes is not None and total > max_bytes
        if not over and found.changed_ns >= oldest_ns:
            break
        total -= _let_go(store, found, removed)
    return removed


def _candidates(
    store: Path, processes: list[ProcessFiles], pinned: dict[str, int]
) -> tuple[list[_Candidate], int]:
    """What may go, the oldest first, and the bytes that count against the bound."""
    total = 0
    candidates: list[_Candidate] = []
    # Segments that hold nothing but pinned traces, by now.
    settled = read_segment_marks(store, PINS) if pinned else set()
    waiting = read_segment_marks(store, DELETED) if pinned else set()
    for files in processes:
        counted = files.bytes()
        if files.id in pinned:
            counted -= sum(
                _Candidate(path, path, 0).bytes
                for path in files.segments
                if path.name in settled or path.name in waiting
            )
            counted = max(counted - pinned[files.id], 0)
        total += counted
        if files.segments and not _is_used(files):
            last = files.segments[-1]
            candidates.extend(
                _Candidate(path, last, pinned.get(files.id))
                for path in files.segments
                if files.id not in pinned or path.name not in settled | waiting
            )
    candidates.sort(key=lambda found: (found.changed_ns, found.path.name))
    return candidates, total


def _let_go(store: Path, found: _Candidate, removed: Removed) -> int:
    """Remove or mark a segment; how much less counts against the bound then."""
    if found.may_be_written():
        return 0
    if found.pinned_bytes is None:
        if not _remove(found.path):
            removed.failed += 1
            return 0
        removed.segments += 1
        removed.bytes += found.bytes
        return found.bytes
    try:
        removed.marked += put_mark(store, DELETED, found.path.name)
    except KoloError:
        removed.failed += 1
        return 0
    return max(found.bytes - found.pinned_bytes, 0)


def _pinned_bytes(store: Path) -> dict[str, int]:
    """For each process with pinned traces, what those take."""
    pinned: dict[str, int] = {}
    for name in read_marks(store, PINS):
        text = mark_text(store, PINS, name)
        size = int(text) if text.isascii() and text.isdigit() else 0
        pinned[name[1]] = pinned.get(name[1], 0) + size
    if not pinned:
        for segment in read_segment_marks(store, PINS):
            _forget(store, segment)
    return pinned


def _forget(store: Path, segment: str) -> None:
    try:
        remove_mark(store, PINS, segment)
    except KoloError:
        pass  # it means nothing any more


def _remove_unfinished(store: Path, now_ns: int) -> None:
    """Who is killed while making a mapping or a segment leaves it half made."""
    folder = os.path.join(store, SEGMENTS_NAME)
    try:
        names = [name for name in os.listdir(folder) if name.endswith(_UNFINISHED)]
    except OSError:
        return
    for name in names:
        path = os.path.join(folder, name)
        kind = ".map.new" if name.endswith(".map.new") else ".new"
        try:
            if now_ns - os.stat(path).st_mtime_ns > _UNFINISHED_NS[kind]:
                os.unlink(path)
        except OSError:
            continue


def _is_used(files: ProcessFiles) -> bool:
    """Whether a process writes to these, or left something that is not saved yet.

    A dead process's mapping is the newest part of its trace: the next command that
    reads brings it in, and only then may the segments go.
    """
    return files.has_mapping


def _remove(path: Path) -> bool:
    # The files beside go after it: without the segment they mean nothing, the segment
    # without them would be an older state of itself.
    try:
        for name in (str(path), *(f"{path}{ending}" for ending in _BESIDE)):
            try:
                os.unlink(name)
            except FileNotFoundError:
                pass
    except OSError:
        return False
    return True
