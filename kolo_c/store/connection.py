"""SQL on a file of the store, through the extension's copy of SQLite.

Two copies of the library in one process drop each other's POSIX locks (sqlite.org, "How
To Corrupt", 2.2.1). The writer of a process that records uses the extension's copy, so
whatever opens the store's files in that process has to use it too. Python's sqlite3,
which may carry another copy, serves where there is no extension, and in a process that
has loaded the Python core, which writes with it.

Threads: a connection serves one at a time. Owns: the connection, until close().
Fails: DatabaseError, whose ``code`` is SQLite's primary result code.
"""

from __future__ import annotations

import os
import sys

from kolo_c.errors import KoloError
from kolo_c.extension import extension_for_reading
from kolo_c.store.private import LINKED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal, Protocol

    Value = str | int | float | bytes | None
    Mode = Literal["ro", "immutable", "rw", "rwc"]

    class Connection(Protocol):
        """An open database."""

        def execute(
            self, sql: str, values: Sequence[Value] = (), /
        ) -> list[tuple[Any, ...]]:
            """Run one statement; its rows."""

        def close(self) -> None:
            """Let go of the file; more than once does no harm."""

        def __enter__(self) -> Connection:
            """The connection."""

        def __exit__(self, *raised: object) -> None:
            """Close it."""


_PYTHON_WRITER = "kolo_c.reference.store"

_extension: Any = extension_for_reading()

if TYPE_CHECKING:

    class DatabaseError(Exception):
        """SQLite refused."""

        code: int

elif _extension is not None:
    DatabaseError = _extension.DatabaseError
else:

    class DatabaseError(Exception):
        """SQLite refused; ``code`` is its primary result code."""

        code = 1


# SQLite's primary result codes, as far as somebody asks for them.
BUSY, LOCKED, READONLY, INTERRUPT, IOERR, CORRUPT = 5, 6, 8, 9, 10, 11
FULL, CANTOPEN, PROTOCOL, TOOBIG, CONSTRAINT, MISMATCH = 13, 14, 15, 18, 19, 20
MISUSE, NOTADB = 21, 26

_MODES = {
    "ro": "mode=ro",
    # Promises that nobody writes: no locks, no -shm beside it.
    "immutable": "mode=ro&immutable=1",
    "rw": "mode=rw",
    "rwc": "mode=rwc",
}


def connect(
    path: str | os.PathLike[str], mode: Mode = "ro", timeout_seconds: float = 2.0
) -> Connection:
    """Open ``path``; statements wait so long for a lock, and each commits alone.

    "ro" reads, "immutable" reads what nobody writes to any more, "rw" writes to what is
    there, "rwc" makes it too. Nothing is written to by way of a symbolic link.
    """
    if mode in ("rw", "rwc") and os.path.islink(path):
        error = DatabaseError(f"{os.fspath(path)} {LINKED}")
        error.code = CANTOPEN
        raise error
    uri = uri_of(path, mode)
    timeout_ms = int(timeout_seconds * 1000)
    if _extension is not None and _PYTHON_WRITER not in sys.modules:
        connection: Connection = _extension.Connection(uri, timeout_ms)
        return connection
    # Late: a Python may be built without it, and the extension does without it.
    try:
        from kolo_c.store.stock_sqlite import StockConnection  # noqa: PLC0415
    except ImportError as error:
        raise KoloError(
            f"this Python cannot read databases: {error}",
            "kolo_c's extension would do it, but is not built here either: take a "
            "Python with sqlite3, or kolo-c from a wheel.",
            slug="no-sqlite",
        ) from error

    return StockConnection(uri, timeout_ms)


def uri_of(path: str | os.PathLike[str], mode: Mode) -> str:
    """``path`` as SQLite's URI; urllib would cost more than the query."""
    name = os.path.abspath(path)
    for char in "%?#":
        name = name.replace(char, f"%{ord(char):02x}")
    return f"file://{name}?{_MODES[mode]}"
