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


def reading_mode(path: Path) -> Literal["ro", "immutable"]:
    """How to open a segment to read it: one without a WAL is not being written to."""
    return "ro" if os.path.exists(f"{path}-wal") else "immutable"


def database_error(path: Path, error: DatabaseError) -> StoreError:
    """What SQLite said, for a person."""
    said, hint = _HINTS.get(error.code, (f"cannot be used: {error}", ""))
    if error.code in (CORRUPT, IOERR, CANTOPEN):
        said = f"{said} ({error})"
    return StoreError(path, said, hint, slug=f"sqlite-{error.code}")
