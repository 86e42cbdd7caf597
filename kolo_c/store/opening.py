"""How a segment is opened to be read, and what SQLite says where it cannot be.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import os

from kolo_c.errors import StoreError
from kolo_c.store.connection import (
    BUSY,
    CANTOPEN,
    CORRUPT,
    FULL,
    IOERR,
    LOCKED,
    NOTADB,
    READONLY,
    DatabaseError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

_WRITTEN = ("-wal", "-journal")
_HINTS = {
    BUSY: ("is locked by another program", "Try again when that has finished."),
    LOCKED: ("is locked by another program", "Try again when that has finished."),
    FULL: ("the disk is full", "Nothing has changed. Free some space and try again."),
    IOERR: ("the disk failed", "Nothing has changed. Look at the system's log."),
    READONLY: ("cannot be written to", "Check the permissions of it and its folder."),
    CANTOPEN: ("cannot be opened", "Check the permissions of it and its folder."),
    CORRUPT: ("is damaged", "What can be read of it: sqlite3 FILE .recover"),
    NOTADB: ("is not a database", "It was not written by kolo-c."),
}


def reading_mode(path: str | Path) -> Literal["ro", "immutable"]:
    """How to open a segment to read it.

    One that is written to has a WAL, or a journal where the file system shares no
    memory. Any other is read as immutable: that leaves no -shm beside it, and works on
    a disk that cannot be written to.
    """
    written = any(os.path.exists(f"{path}{ending}") for ending in _WRITTEN)
    return "ro" if written else "immutable"


def reading_error(path: str | Path, error: DatabaseError) -> tuple[str, str]:
    """What is wrong and what to do, where a disk fails; but most do not."""
    if os.path.exists(f"{path}-wal"):
        return (
            f"has a WAL, which cannot be read here ({error})",
            "Where a file system shares no memory, another machine's say, kolo-c "
            "recover folds the WAL in, once its program has ended. Or copy the store "
            "to a disk of this machine, and name that in KOLO_C_PATH.",
        )
    return (
        f"the disk failed ({error})",
        "Nothing has changed. Look at the system's log.",
    )


def database_error(path: Path, error: DatabaseError) -> StoreError:
    """What SQLite said, for a person."""
    said, hint = _HINTS.get(error.code, (f"cannot be used: {error}", ""))
    if error.code in (CORRUPT, IOERR, CANTOPEN):
        said = f"{said} ({error})"
    return StoreError(path, said, hint, slug=f"sqlite-{error.code}")
