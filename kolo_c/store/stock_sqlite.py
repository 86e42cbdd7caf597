"""Python's own sqlite3 with the face of the extension's Connection.

Threads: one at a time. Owns: the connection, until close(). Fails: DatabaseError.
"""

from __future__ import annotations

import sqlite3
from _sqlite3 import connect  # of sqlite3 it may be what our own plugin put there
from threading import Lock

from kolo_c.store.connection import (
    BUSY,
    CANTOPEN,
    CONSTRAINT,
    CORRUPT,
    FULL,
    INTERRUPT,
    IOERR,
    LOCKED,
    MISMATCH,
    MISUSE,
    NOTADB,
    READONLY,
    TOOBIG,
    DatabaseError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kolo_c.store.connection import Value

# 3.10 has the message alone.
_CODE_OF_TEXT = (
    ("database is locked", BUSY),
    ("is locked", LOCKED),
    ("readonly", READONLY),
    ("interrupted", INTERRUPT),
    ("disk I/O", IOERR),
    ("malformed", CORRUPT),
    ("unable to open", CANTOPEN),
    ("not a database", NOTADB),
    ("is full", FULL),
    ("constraint failed", CONSTRAINT),
)
_LIMIT_LENGTH = 0  # SQLITE_LIMIT_LENGTH
_ROW_BYTES = 64 << 20
"""No block and no source is as large."""
_BINDABLE = (str, int, float, bytes, type(None))


class StockConnection:
    """A connection of Python's sqlite3."""

    def __init__(self, uri: str, timeout_ms: int) -> None:
        self._use = Lock()
        try:
            self._connection: sqlite3.Connection | None = connect(
                uri,
                uri=True,
                timeout=max(timeout_ms, 0) / 1000,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise _translate(error) from error
        self._connection.text_factory = _read_text
        # Files come from other people too: nothing in their schema gets to run.
        self._connection.execute("PRAGMA trusted_schema = OFF")
        set_limit = getattr(self._connection, "setlimit", None)  # from 3.11 on
        if set_limit is not None:
            # Nor may a column that is computed become as large as it likes.
            set_limit(_LIMIT_LENGTH, _ROW_BYTES)
        # What does not fit into memory would go to a folder that is none of ours.
        self._connection.execute("PRAGMA temp_store = MEMORY")

    def execute(
        self, sql: str, values: Sequence[Value] = (), /
    ) -> list[tuple[Any, ...]]:
        """Run one statement; its rows."""
        values = tuple(values)
        for value in values:
            if not isinstance(value, _BINDABLE):
                raise _error(f"a value of type {type(value).__name__}", MISMATCH)
        if not self._use.acquire(blocking=False):
            raise _error("the connection is in use, by another thread", MISUSE)
        try:
            if self._connection is None:
                raise _error("the connection is closed", MISUSE)
            return self._connection.execute(sql, values).fetchall()
        except (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError) as error:
            # Warning: how 3.10 and 3.11 refuse several statements. UnicodeError: a
            # lone surrogate, or a damaged name that SQLite quotes in its message.
            raise _translate(error) from error
        finally:
            self._use.release()

    def close(self) -> None:
        """Let go of the file."""
        if not self._use.acquire(blocking=False):
            raise _error("the connection is in use, by another thread", MISUSE)
        try:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
        finally:
            self._use.release()

    def __enter__(self) -> StockConnection:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def _error(message: str, code: int) -> DatabaseError:
    error = DatabaseError(message)
    error.code = code
    return error


def _translate(error: Exception) -> DatabaseError:
    message = str(error)
    if isinstance(error, OverflowError):
        return _error(message, TOOBIG)
    if isinstance(error, UnicodeError):
        damaged = isinstance(error, UnicodeDecodeError)
        return _error(message, CORRUPT if damaged else MISMATCH)
    if isinstance(error, (sqlite3.ProgrammingError, sqlite3.Warning)):
        return _error(message, MISUSE)
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        code = next((code for text, code in _CODE_OF_TEXT if text in message), 1)
    return _error(message, code & 0xFF)


def _read_text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")
