"""When the bounds of a store are applied: not at every start of a session.

Threads: any; processes too: of those that begin together one applies them, the others
go on. Owns: the file ``retention``, which has the bounds and, as its time, when they
were applied last. Fails: OSError where the store cannot be read; without the file all
goes on.
"""

from __future__ import annotations

import os
import time

from kolo_c.store.locate import SEGMENTS_NAME
from kolo_c.store.private import open_file

STAMP_NAME = "retention"
_SECONDS = 300
_MOST_SECONDS = 86_400
MOST_AT_START = 1_000
"""Files that a start looks at. With more of them the C core's writer thread does it."""
_NO_FILE, _TAKEN = -1, -2


def keep_within_bounds(
    store: str, max_bytes: int, keep_days: float, *, most: int | None = None
) -> bool:
    """Apply the bounds, unless that was done a moment ago.

    It looks at every file of the store: 10 ms for a few, more for many, which a program
    should not wait for. Where there are more than ``most`` it gives True and leaves it
    to the caller.
    """
    bounds = f"{max_bytes} {keep_days}\n"
    stamp = os.path.join(store, STAMP_NAME)
    if _is_fresh(stamp, bounds):
        return False
    segments = os.path.join(store, SEGMENTS_NAME)
    if not os.path.isdir(segments):
        return False  # nothing has been recorded yet
    count = _count(segments, 1 if most is None else most + 1)
    if not count:
        _note(stamp, bounds)
        return False
    claim = _claim(stamp)
    if claim == _TAKEN:
        return False
    try:
        if most is not None and count > most and not _is_overdue(stamp):
            return True
        if not _is_fresh(stamp, bounds):  # by one that was faster
            _apply(store, max_bytes, keep_days)
            _note(stamp, bounds)
    finally:
        if claim != _NO_FILE:
            os.close(claim)
    return False


def _count(folder: str, most: int) -> int:
    """How many entries there are, up to ``most``."""
    with os.scandir(folder) as entries:
        return sum(1 for _ in zip(range(most), entries))  # noqa: B905 - the shorter one


def _claim(stamp: str) -> int:
    """The stamp, locked for us alone; _TAKEN where another process is at it.

    _NO_FILE where there can be no stamp: another user's, say. The bounds are applied
    each time then.
    """
    import fcntl  # noqa: PLC0415 - hardly ever needed

    try:
        fd = open_file(stamp, os.O_RDWR)
    except OSError:
        return _NO_FILE
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return _TAKEN
    except OSError:
        pass  # a file system without locks
    return fd


def _apply(store: str, max_bytes: int, keep_days: float) -> None:
    from pathlib import Path  # noqa: PLC0415 - see above

    from kolo_c.store.retention import apply_retention  # noqa: PLC0415

    apply_retention(Path(store), max_bytes=max_bytes, keep_days=keep_days)


def _is_overdue(stamp: str) -> bool:
    """Whether those that it was left to have all ended too soon for a day."""
    try:
        return time.time() - os.stat(stamp).st_mtime > _MOST_SECONDS
    except OSError:
        return False


def note_applied(store: str, max_bytes: int, keep_days: float) -> None:
    """Whom it was left to has done it."""
    _note(os.path.join(store, STAMP_NAME), f"{max_bytes} {keep_days}\n")


def _note(stamp: str, bounds: str) -> None:
    """They have been applied now."""
    try:
        fd = open_file(stamp, os.O_WRONLY | os.O_TRUNC)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(bounds)
    except OSError:
        pass  # another user's, say: they are applied each time then


def note_written(store: str, written: int, max_bytes: int) -> None:
    """Let the next session apply the bounds, where this one wrote much."""
    if written > max_bytes // 100:
        try:
            os.unlink(os.path.join(store, STAMP_NAME))
        except OSError:
            pass  # another session took it away, or it is another user's


def _is_fresh(stamp: str, bounds: str) -> bool:
    try:
        with open(stamp, encoding="utf-8") as file:
            age = time.time() - os.fstat(file.fileno()).st_mtime
            return 0 <= age < _SECONDS and file.read() == bounds
    except (OSError, ValueError):
        return False
