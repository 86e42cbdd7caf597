"""When the bounds of a store are applied: not at every start of a session.

Threads: any; processes too: at worst two apply them. Owns: the file ``retention``,
which has the bounds and, as its time, when they were applied last. Fails: OSError where
the store cannot be read; without the file all goes on.
"""

from __future__ import annotations

import os
import time

from kolo_c.store.locate import SEGMENTS_NAME

STAMP_NAME = "retention"
_SECONDS = 300


def keep_within_bounds(store: str, max_bytes: int, keep_days: float) -> None:
    """Apply the bounds, unless that was done a moment ago.

    It looks at every file of the store: 10 ms for a few, more for many, which a program
    should not wait for each time.
    """
    bounds = f"{max_bytes} {keep_days}\n"
    stamp = os.path.join(store, STAMP_NAME)
    if _is_fresh(stamp, bounds):
        return
    if os.listdir(os.path.join(store, SEGMENTS_NAME)):
        from pathlib import Path  # noqa: PLC0415 - see above

        from kolo_c.store.retention import apply_retention  # noqa: PLC0415

        apply_retention(Path(store), max_bytes=max_bytes, keep_days=keep_days)
    try:
        with open(stamp, "w", encoding="utf-8") as file:
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
