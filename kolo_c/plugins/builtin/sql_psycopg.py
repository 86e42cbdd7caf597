"""psycopg 3, its Python and its binary form: cursors are Python in both.

BEGIN, COMMIT, savepoints and the like go through one generator of the connection's.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import sys
from time import perf_counter_ns

from kolo_c.plugins.builtin import sql
from kolo_c.plugins.builtin.sql_frames import FrameFetch, FrameStatement, database_of
from kolo_c.plugins.builtin.sql_text import describe, text_of
from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

_SYSTEM = "postgresql"
_LAYER = "psycopg"
_OPEN = frozenset((1, 2, 3))
"""Of libpq's states of a transaction: a statement runs, within one, a failed one."""
_ITERATION = frozenset(("__iter__", "__aiter__"))
_GENERATOR = 0x20 | 0x200
"""CO_GENERATOR, CO_ASYNC_GENERATOR; inspect is not imported for them."""
_READ: dict[int, Callable[[bytes], Any]] = {
    16: lambda raw: raw == b"t",
    **dict.fromkeys((20, 21, 23, 26), int),
    **dict.fromkeys((700, 701), float),
}
"""By the number of its type in PostgreSQL, what a value is made of that was sent as
text; others are texts."""
_MOST_BYTES = 400
_COPIES = {"_start_copy_gen": "statement"}
_ENDING = frozenset(
    ("BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PREPARE")
)


def _read_name(connection: Any) -> str:
    name: bytes = connection.pgconn.db
    return name.decode("utf-8", "replace")


class Psycopg(FrameStatement):
    """Cursors of every sort: client and server side, sync and async."""

    system = _SYSTEM
    layer = _LAYER
    params = "params"
    queries = _COPIES
    many = True

    def database(self, cursor: Any) -> Any:
        """From libpq."""
        return database_of(cursor._conn, _read_name)

    def in_transaction(self, cursor: Any) -> bool:
        """Also where the statement begins one."""
        connection = cursor._conn
        try:
            status = int(connection.pgconn.transaction_status)
            return status in _OPEN or not connection._autocommit
        except Exception:
            return False


class PsycopgFetch(FrameFetch):
    """What they fetch. Until 3.2 iteration is a generator: of that is known how many
    rows the program took, and no more."""

    def start(self, frame: FrameType) -> dict[str, Any] | None:
        """Rows are fetched."""
        code = frame.f_code
        if code.co_name not in _ITERATION:
            return super().start(frame)
        if not code.co_flags & _GENERATOR:
            return None
        cursor = local(frame, "self")
        statement = sql.statement_of(cursor)
        if statement is None:
            return None
        return {"_statement": statement, "_cursor": cursor, "_at": cursor._pos}

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> dict[str, Any] | None:
        """They are there."""
        if "_at" not in started:
            return super().finish(frame, value, exception, started)
        statement: sql.Statement = started["_statement"]
        if statement.rows >= 0:
            statement.rows += started["_cursor"]._pos - started["_at"]
            statement.end()
        return None


class PsycopgStream(Plugin):
    """Rows of ``stream()``, as the server sends them. What the program makes of them is
    not to be seen: it is read from libpq's own."""

    kind = None

    def start(self, frame: FrameType) -> dict[str, Any] | None:
        """The next ones are waited for."""
        cursor = local(frame, "self")
        statement = sql.statement_of(cursor)
        if statement is None:
            return None
        if isinstance(sys.exc_info()[1], GeneratorExit):
            statement.end()  # the program has stopped; these are read to be rid of them
            return None
        return {"_statement": statement, "_cursor": cursor, "_ns": perf_counter_ns()}

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> dict[str, Any] | None:
        """They are there."""
        statement, cursor = started["_statement"], started["_cursor"]
        statement.fetch_ns += perf_counter_ns() - started["_ns"]
        if not value:
            statement.end()
            return None
        result = cursor.pgresult
        if statement.sampled < sql.MOST_ROWS:
            first = range(min(result.ntuples, sql.MOST_ROWS))
            statement.add(
                sql.sample(statement, [_row(result, at) for at in first], cursor)
            )
        statement.rows += result.ntuples
        return None


def _row(result: Any, at: int) -> tuple[Any, ...]:
    return tuple(_cell(result, at, column) for column in range(result.nfields))


def _cell(result: Any, row: int, column: int) -> Any:
    raw = result.get_value(row, column)
    if raw is None:
        return None
    if result.fformat(column):
        return f"<{len(raw)} bytes>"
    read = _READ.get(result.ftype(column))
    return read(raw) if read else raw[:_MOST_BYTES].decode("utf-8", "replace")


class PsycopgTransaction(Plugin):
    """What psycopg sends by itself."""

    kind = sql.SQL

    def start(self, frame: FrameType) -> dict[str, Any] | None:
        """A command; those that a cursor is made of are not told."""
        told = sql.is_inner(frame.f_back, _LAYER)
        text = text_of(local(frame, "command"))
        if told or text is None:
            return None
        known = describe(text)
        if known.operation not in _ENDING:
            return None
        return {
            "system": _SYSTEM,
            "database": database_of(local(frame, "self"), _read_name),
            "operation": "BEGIN" if known.operation == "START" else known.operation,
            "text": known.shown,
        }
