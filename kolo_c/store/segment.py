"""One segment: a SQLite file, opened for reading only.

Threads: one at a time. Owns: the connection, until close(). Fails: StoreError, which
names the file and what to do.
"""

from __future__ import annotations

import os
import stat
from functools import partial

from kolo_c.errors import StoreError
from kolo_c.store.blocks import Block
from kolo_c.store.compression import expand
from kolo_c.store.connection import (
    BUSY,
    CANTOPEN,
    IOERR,
    LOCKED,
    MISUSE,
    NOTADB,
    PROTOCOL,
    READONLY,
    DatabaseError,
    connect,
)
from kolo_c.store.opening import reading_error, reading_mode
from kolo_c.store.private import LINKED
from kolo_c.store.rows import ProcessRow, Sums, TraceRow
from kolo_c.wire import BLOCK_BYTES, SCHEMA_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from kolo_c.store.connection import Connection, Mode
    from kolo_c.store.definitions import Thread

_WAIT_SECONDS = 2.0
_DAMAGED = (
    "kolo-c doctor --store says what can be read of it, kolo-c recover saves that."
)
_FORBIDDEN = "Check the permissions of the file and of its directory."
_BLOCK_COLUMNS = (
    "id, thread, sequence, base_ns, last_ns, first_node, nodes, records, start_depth, "
    "least_depth, definition, bytes"
)


class Segment:
    """An open segment."""

    def __init__(self, path: str | os.PathLike[str], *, final: bool = False) -> None:
        """Open ``path``; ``final`` promises that nobody writes to it any more."""
        self._path = os.fspath(path)
        self._connection = self._connect(reading_mode(self._path) if final else "ro")
        try:
            self._check_version()
        except StoreError:
            self.close()
            raise

    @property
    def path(self) -> Path:
        """The file."""
        from pathlib import Path  # noqa: PLC0415 - a list and a screen need none

        return Path(self._path)

    @property
    def name(self) -> str:
        """The file's path, as text."""
        return self._path

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def process(self) -> ProcessRow | None:
        """The process's row; None where it was never written."""
        rows = self._query(
            "SELECT id, segment, pid, started_ns, started_utc_ns, ended_ns, cause, "
            "info FROM process LIMIT 1"
        )
        for row in rows:
            return ProcessRow(*self._typed(row, "siiiiISs"))
        return None

    def traces(self, since_ns: int = 0) -> list[TraceRow]:
        """The traces it has rows of; those that had ended by ``since_ns`` left out."""
        rows = self._query(
            "SELECT number, id, kind, name, parent, started_ns, started_utc_ns, "
            "ended_ns, status, cause, attributes, counters FROM trace "
            "WHERE ended_ns IS NULL OR ended_ns >= ? ORDER BY number",
            (since_ns,),
        )
        return [TraceRow(*self._typed(row, "isssSiiIsSss")) for row in rows]

    def threads(self) -> list[Thread]:
        """The threads of the process, as known to this segment."""
        from kolo_c.store.definitions import Thread  # noqa: PLC0415 - not for lists

        rows = self._query("SELECT number, name, ident, native_id FROM thread")
        return [Thread(*self._typed(row, "iSII")) for row in rows]

    def sums(self) -> dict[int, Sums]:
        """For each trace number, what its blocks here add up to."""
        rows = self._query(
            "SELECT trace, COUNT(*), SUM(nodes), SUM(bytes), MAX(last_ns) "
            "FROM block GROUP BY trace"
        )
        typed = (self._typed(row, "iiiii") for row in rows)
        return {trace: Sums(*rest) for trace, *rest in typed}

    def has_block(self, block: Block) -> bool:
        """Whether it has the block that is at the same place in the same stream."""
        place = (block.trace, block.thread, block.sequence)
        return bool(
            self._query(
                "SELECT 1 FROM block WHERE trace = ? AND thread = ? AND sequence = ?",
                place,
            )
        )

    def blocks(self, trace: int) -> list[Block]:
        """The headers of a trace's blocks, without closes, opens and bytes."""
        rows = self._query(
            f"SELECT {_BLOCK_COLUMNS} FROM block WHERE trace = ?", (trace,)
        )
        return [self._block(trace, self._typed(row, "i" * 12)) for row in rows]

    def definition_pieces(self) -> list[tuple[int, int, int]]:
        """(first number, sequence, start) of each piece of the log."""
        rows = self._query(
            "SELECT first, sequence, start FROM definition ORDER BY first"
        )
        return [self._typed(row, "iii") for row in rows]

    def definition_data(self, sequence: int, start: int) -> bytes:
        """The bytes of one piece."""
        rows = self._query(
            "SELECT data FROM definition WHERE sequence = ? AND start = ?",
            (sequence, start),
        )
        for row in rows:
            return bytes(self._typed(row, "b")[0])
        return b""

    def source(self, path: str) -> bytes | None:
        """The text of a file as it was when its code ran; None: it was not kept."""
        rows = self._query(
            "SELECT encoding, data, bytes FROM file JOIN source USING (hash) "
            "WHERE path = ? ORDER BY number DESC LIMIT 1",
            (path,),
        )
        for row in rows:
            encoding, data, size = self._typed(row, "ibi")
            return self._expand(encoding, data, size)
        return None

    def _block(self, trace: int, row: tuple[Any, ...]) -> Block:
        key, *columns, size = row
        fetch_data = partial(self._data, key, size)
        fetch_tail = partial(self._tail, key)
        return Block(*(trace, *columns, size, True, fetch_data, fetch_tail))

    def _tail(self, key: int) -> tuple[bytes, bytes]:
        """A block's closes and opens; few of a trace's blocks are asked for theirs."""
        rows = self._query("SELECT closes, opens FROM block WHERE id = ?", (key,))
        for row in rows:
            closes, opens = self._typed(row, "BB")
            return closes or b"", opens or b""
        return b"", b""

    def _data(self, key: int, size: int) -> bytes:
        rows = self._query("SELECT encoding, data FROM block_data WHERE id = ?", (key,))
        for row in rows:
            encoding, data = self._typed(row, "ib")
            if size > BLOCK_BYTES:
                said = f"block {key} cannot have {size:,} bytes"
                raise StoreError(self._path, said, _DAMAGED, slug="store-corrupt")
            return self._expand(encoding, data, size)
        raise StoreError(self._path, f"block {key} has lost its bytes", _DAMAGED)

    def _expand(self, encoding: int, data: bytes, size: int) -> bytes:
        try:
            return expand(encoding, data, size)
        except ValueError as error:
            raise StoreError(
                self._path, f"cannot be decompressed: {error}", _DAMAGED,
                slug="store-corrupt",
            ) from error  # fmt: skip

    def _connect(self, mode: Mode) -> Connection:
        try:
            status = os.lstat(self._path)
        except FileNotFoundError as error:
            raise StoreError(
                self._path, "is not there", "It may have been removed."
            ) from error
        except OSError as error:
            raise StoreError(
                self._path, f"cannot be opened: {error.strerror}", _FORBIDDEN,
                slug="store-unreadable",
            ) from error  # fmt: skip
        if not stat.S_ISREG(status.st_mode):
            is_link = stat.S_ISLNK(status.st_mode)
            raise StoreError(
                self._path,
                LINKED if is_link else "is not a file",
                "Move it out of the segments directory.",
                slug="store-foreign",
            )
        try:
            return connect(self._path, mode, _WAIT_SECONDS)
        except DatabaseError as error:
            raise self.error(error) from error

    def _check_version(self) -> None:
        version = self._query("PRAGMA user_version")[0][0]
        if version > SCHEMA_VERSION:
            raise StoreError(
                self._path,
                f"has schema version {version}, "
                f"this kolo-c reads up to {SCHEMA_VERSION}",
                "It was written by a newer kolo-c. Upgrade: pip install -U kolo-c",
                slug="store-newer",
            )
        tables = {
            row[0]
            for row in self._query(
                # Virtual tables are tables, too, and run code of their own.
                "SELECT name FROM sqlite_master "
                "WHERE type = 'table' AND sql LIKE 'CREATE TABLE%'"
            )
        }
        if not tables and version == 0:
            raise StoreError(
                self._path,
                "is empty",
                "Its program ended before it could write; it may be removed.",
                slug="store-empty",
            )
        if not {"process", "trace", "block", "block_data", "definition"} <= tables:
            raise StoreError(
                self._path,
                "is a database, but not one of kolo_c",
                "Move it out of the segments directory.",
                slug="store-foreign",
            )

    def _query(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, values)
        except DatabaseError as error:
            raise self.error(error) from error

    def _typed(self, row: tuple[Any, ...], kinds: str) -> Any:
        """``row``, if its columns are of these kinds; SQLite promises nothing."""
        for value, kind in zip(row, kinds, strict=True):
            if value is None and kind.isupper():
                continue
            if not isinstance(value, _COLUMN_TYPES[kind.lower()]):
                raise StoreError(
                    self._path,
                    f"has a {type(value).__name__} where it cannot be",
                    _DAMAGED,
                    slug="store-corrupt",
                )
        return row

    def error(self, error: DatabaseError) -> StoreError:
        """What SQLite said, for a person."""
        if error.code in (BUSY, LOCKED, PROTOCOL):
            return StoreError(
                self._path,
                "is locked by another program",
                "Try again when it has finished (lsof FILE shows who it is).",
                slug="store-locked",
            )
        if error.code == MISUSE:
            return StoreError(
                self._path,
                f"cannot be read: {error}",
                "Read it where the store is open, in one thread and one process.",
                slug="store-closed",
            )
        if error.code == NOTADB:
            return StoreError(
                self._path,
                "is not a database",
                "Move it out of the segments directory.",
                slug="store-foreign",
            )
        if error.code in (CANTOPEN, READONLY):
            return StoreError(
                self._path,
                f"cannot be opened: {error}",
                _FORBIDDEN,
                slug="store-unreadable",
            )
        if error.code == IOERR:
            said, hint = reading_error(self._path, error)
            return StoreError(self._path, said, hint, slug="store-unreadable")
        return StoreError(
            self._path, f"is damaged: {error}", _DAMAGED, slug="store-corrupt"
        )


_COLUMN_TYPES: dict[str, type] = {"i": int, "s": str, "b": bytes}
