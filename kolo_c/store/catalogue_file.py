"""The catalogue: what lists need to know of each trace, so that segments stay closed.

``.kolo_c/catalogue.db`` is derived from the segments, and may be deleted at will. A
process's rows hold as long as its files are what they were (``ProcessFiles.identity``);
nobody relies on them otherwise. Processes that live are never in it.

Changes are transactions, a new file takes its place in one step. One that is damaged,
or of another version, is ignored and written anew; where nothing can be written, or
somebody else is writing, readers do without.

Threads: one at a time; any number of processes. Owns: the connection, until close().
Fails: CatalogueUnusable on reading, for Catalogue alone. Writing never fails.
"""

from __future__ import annotations

import os

from kolo_c.store.connection import CORRUPT, NOTADB, DatabaseError, connect
from kolo_c.store.private import make_file
from kolo_c.store.rows import TraceRow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from kolo_c.store.connection import Connection
    from kolo_c.store.trace_info import TraceInfo

NAME = "catalogue.db"
VERSION = 1
_WAIT_SECONDS = 0.25
_STATE = "PRAGMA data_version"
_ERROR = 1  # of SQLite: no such table, no such column
_SCHEMA = (
    """
    CREATE TABLE process (
        id       TEXT PRIMARY KEY,
        identity TEXT NOT NULL,     -- of its files, when this was written
        pid      INTEGER NOT NULL,
        traces   INTEGER NOT NULL   -- how many rows it has below
    )""",
    """
    CREATE TABLE trace (
        process TEXT NOT NULL,
        number INTEGER NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
        name TEXT NOT NULL, parent TEXT, started_ns INTEGER NOT NULL,
        started_utc_ns INTEGER NOT NULL, ended_ns INTEGER, status TEXT NOT NULL,
        cause TEXT, attributes TEXT NOT NULL, counters TEXT NOT NULL,
        nodes INTEGER NOT NULL, last_ns INTEGER NOT NULL, bytes INTEGER NOT NULL,
        calls INTEGER NOT NULL,
        ending TEXT NOT NULL,       -- the id backwards, in capitals
        PRIMARY KEY (process, number)
    )""",
    "CREATE INDEX trace_started ON trace (started_utc_ns, id)",
    "CREATE INDEX trace_ending ON trace (ending)",
    f"PRAGMA user_version = {VERSION}",
)
_COLUMNS = (
    "process, number, id, kind, name, parent, started_ns, started_utc_ns, ended_ns, "
    "status, cause, attributes, counters, nodes, last_ns, bytes, calls"
)
_TEXT, _INT, _NO_TEXT, _NO_INT = {str}, {int}, {str, type(None)}, {int, type(None)}
_KINDS = (
    _TEXT, _INT, _TEXT, _TEXT, _TEXT, _NO_TEXT, _INT, _INT, _NO_INT,
    _TEXT, _NO_TEXT, _TEXT, _TEXT, _INT, _INT, _INT, _INT,
)  # fmt: skip


class CatalogueUnusable(Exception):
    """The catalogue cannot be read (any more)."""


class Known:
    """What the catalogue has of a process, without its traces."""

    __slots__ = ("identity", "pid", "traces")

    def __init__(self, identity: str, pid: int, traces: int) -> None:
        self.identity = identity
        self.pid = pid
        self.traces = traces


class CachedTrace:
    """A trace's row, and what else a list shows."""

    __slots__ = ("bytes", "calls", "last_ns", "nodes", "process", "row")

    def __init__(self, columns: tuple[Any, ...]) -> None:
        self.process: str = columns[0]
        self.row = TraceRow(*columns[1:13])
        self.nodes: int = columns[13]
        self.last_ns: int = columns[14]
        self.bytes: int = columns[15]
        self.calls: int = columns[16]


class CatalogueFile:
    """The catalogue of one store, where there is one."""

    def __init__(self, store: str | os.PathLike[str]) -> None:
        self.path = os.path.join(store, NAME)
        self._connection: Connection | None = None
        self._state: list[tuple[Any, ...]] = []
        """SQLite's mark of what the file held when ``known`` was asked."""
        self._replace = False
        """Whether what is there is good for nothing."""

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def known(self) -> dict[str, Known]:
        """The processes in it, by id."""
        if not os.path.exists(self.path):
            self._replace = True
            return {}
        try:
            self._connection = connect(self.path, "ro", _WAIT_SECONDS)
        except DatabaseError:
            return {}
        ((version,),) = self._query("PRAGMA user_version")
        if version != VERSION:
            self._give_up()
            raise CatalogueUnusable
        self._state = self._query(_STATE)
        rows = self._query("SELECT id, identity, pid, traces FROM process")
        self._check(rows, (_TEXT, _TEXT, _INT, _INT))
        return {id: Known(*rest) for id, *rest in rows}

    def newest(
        self, count: int, before: tuple[int, str] | None = None
    ) -> list[CachedTrace]:
        """The ``count`` that began last, the last one first; ``before``: (start, id)
        of the one to go on after."""
        where = "" if before is None else "WHERE (started_utc_ns, id) < (?, ?) "
        return self._traces(
            f"{where}ORDER BY started_utc_ns DESC, id DESC LIMIT {count}", before or ()
        )

    def ending_in(self, ending: str) -> list[CachedTrace]:
        """Those whose id ends so, capitals or not."""
        start = ending.upper()[::-1]
        after = start + "\U0010ffff"
        return self._traces("WHERE ending >= ? AND ending < ?", (start, after))

    def ids(self) -> list[str]:
        """Of all traces."""
        rows = self._query("SELECT ending FROM trace")
        self._check(rows, (_TEXT,))
        return [ending[::-1] for (ending,) in rows]

    def neighbours(self, id: str) -> list[str]:
        """The ids whose endings are most like that of ``id``."""
        ending = id.upper()[::-1]
        found = []
        for more, order in (("<", "DESC"), (">", "ASC")):
            found += self._query(
                f"SELECT ending FROM trace WHERE ending {more} ? "
                f"ORDER BY ending {order} LIMIT 1",
                (ending,),
            )
        self._check(found, (_TEXT,))
        return [ending[::-1] for (ending,) in found]

    def has(self, process: str, id: str) -> bool:
        """Whether it has this trace of this process."""
        sql = "SELECT 1 FROM trace WHERE ending = ? AND process = ?"
        return bool(self._query(sql, (id.upper()[::-1], process)))

    def save(
        self,
        found: Iterable[tuple[str, str, int, list[TraceInfo]]],
        gone: Iterable[str] = (),
    ) -> bool:
        """Let (id, identity, pid, traces) take the place of what it has of these
        processes, and forget those that are ``gone``; False where that cannot be."""
        self.close()
        try:
            if not self._replace:
                with connect(self.path, "rw", _WAIT_SECONDS) as connection:
                    _write(connection, found, gone)
                return True
            new = f"{self.path}.{os.getpid()}.new"
            try:
                _unlink(new)  # of a process that died, with our number
                os.close(make_file(new))
                with connect(new, "rw", _WAIT_SECONDS) as connection:
                    _write(connection, found, (), _SCHEMA)
                _unlink(f"{self.path}-journal")  # of a file that is not there any more
                os.replace(new, self.path)
            finally:
                _unlink(new)
                _unlink(f"{new}-journal")
        except (DatabaseError, OSError, ValueError, OverflowError):
            return False
        self._replace = False
        return True

    def _traces(self, rest: str, values: tuple[Any, ...]) -> list[CachedTrace]:
        rows = self._query(f"SELECT {_COLUMNS} FROM trace {rest}", values)
        self._check(rows, _KINDS)
        return [CachedTrace(row) for row in rows]

    def _query(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        if self._connection is None:
            return []
        try:
            rows = self._connection.execute(sql, values)
            # Somebody saved meanwhile: of the processes that ``known`` named it may
            # have forgotten some, whose traces would be missing.
            changed = self._state and self._connection.execute(_STATE) != self._state
        except DatabaseError as error:
            damaged = error.code in (CORRUPT, NOTADB, _ERROR)
            self._give_up(replace=damaged)
            raise CatalogueUnusable from error
        if changed:
            self._give_up(replace=False)
            raise CatalogueUnusable
        return rows

    def _check(self, rows: list[tuple[Any, ...]], kinds: tuple[set[Any], ...]) -> None:
        """SQLite promises nothing about what stands in a column."""
        for row in rows:
            for value, kind in zip(row, kinds, strict=True):
                if value.__class__ not in kind:
                    self._give_up()
                    raise CatalogueUnusable

    def _give_up(self, *, replace: bool = True) -> None:
        self.close()
        self._replace = replace


def _write(
    connection: Connection,
    found: Iterable[tuple[str, str, int, list[TraceInfo]]],
    gone: Iterable[str],
    schema: Iterable[str] = (),
) -> None:
    # What a crash of the machine would destroy is read from the segments again.
    connection.execute("PRAGMA synchronous = OFF")
    # Traces that were deleted shall be nowhere.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("BEGIN IMMEDIATE")
    for sql in schema:
        connection.execute(sql)
    for process in gone:
        _forget(connection, process)
    marks = ", ".join("?" * 18)
    insert = f"INSERT INTO trace ({_COLUMNS}, ending) VALUES ({marks})"
    for process, identity, pid, traces in found:
        _forget(connection, process)
        connection.execute(
            "INSERT INTO process VALUES (?, ?, ?, ?)",
            (process, identity, pid, len(traces)),
        )
        for info in traces:
            connection.execute(insert, (process, *_columns(info)))
    connection.execute("COMMIT")


def _forget(connection: Connection, process: str) -> None:
    connection.execute("DELETE FROM trace WHERE process = ?", (process,))
    connection.execute("DELETE FROM process WHERE id = ?", (process,))


def _columns(info: TraceInfo) -> tuple[Any, ...]:
    row = info.row
    return (
        row.number, row.id, row.kind, row.name, row.parent, row.started_ns,
        row.started_utc_ns, row.ended_ns, info.status, row.cause, row.attributes,
        row.counters, info.nodes, info.last_ns, info.bytes, info.calls,
        row.id.upper()[::-1],
    )  # fmt: skip


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
