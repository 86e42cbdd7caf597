"""asyncpg: coroutines around a protocol that is written in C.

Threads: any. Owns: statements of open cursors, within bounds. Fails: never.
"""

from __future__ import annotations

from time import perf_counter_ns

from kolo_c.plugins.builtin import sql
from kolo_c.plugins.builtin.sql_frames import database_of
from kolo_c.plugins.builtin.sql_text import add_parameters, describe, text_of
from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_MOST_PORTALS = 256
_portals: dict[str, sql.Statement] = {}
"""By the name of the portal, which is given once in a process, what a cursor has sent:
no reference can be kept to the cursor itself."""


def _read_name(connection: Any) -> Any:
    return connection._params.database


class Asyncpg(Plugin):
    """Statements of a connection, a prepared statement, and COPY."""

    kind = sql.SQL

    def start(self, frame: FrameType) -> dict[str, Any] | None:
        """It is sent."""
        if sql.is_inner(frame.f_back):
            return None
        code = frame.f_code
        sql.tells(code, "asyncpg")
        owner = local(frame, "self")
        query = local(frame, "query")
        if query is None:
            query = local(frame, "command")
        if query is None:
            query = local(frame, "copy_stmt")
        if query is None and code.co_name == "copy_records_to_table":
            query = f"COPY {local(frame, 'table_name')} FROM STDIN"
        if query is None:
            query = getattr(owner, "_query", None)
        params = local(frame, "args")
        if params is None:
            params = getattr(owner, "_args", None)
        text = text_of(query)
        if text is None:
            text = f"<{type(query).__name__}>"
        known = describe(text)
        connection = getattr(owner, "_connection", owner)
        # A proxy of the pool's, and what it stands for.
        connection = getattr(connection, "_con", connection)
        many = "executemany" in code.co_name
        fields = {
            "system": "postgresql",
            "database": database_of(connection, _read_name),
            "operation": known.operation,
            "text": known.shown,
            "_known": known,
        }
        if getattr(connection, "_top_xact", None) is not None:
            fields["transaction"] = True
        add_parameters(fields, params, known, many)
        return fields

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> dict[str, Any] | None:
        """It has been answered: with all that is fetched."""
        if exception is not None:
            return None
        known = started["_known"]
        rows = value
        status = value if isinstance(value, str) else None
        if isinstance(value, tuple) and len(value) == 3:
            rows = value[0]
            if isinstance(value[1], bytes):
                status = value[1].decode("utf-8", "replace")
        fields: dict[str, Any] = {}
        if status is not None and known.changes:
            count = status.rpartition(" ")[2]
            if count.isdigit():
                fields["changed"] = int(count)
        if type(rows) is list and (rows or not (known.changes or known.rowless)):
            statement = sql.sent(0, known)
            fields["rows"] = len(rows)
            fields.update(sql.sample(statement, rows, None))
        return fields


class AsyncpgCursor(Asyncpg):
    """A cursor's statement: the first of its round trips."""

    def start(self, frame: FrameType) -> dict[str, Any] | None:
        """It is sent."""
        fields = super().start(frame)
        if fields is not None:
            fields["number"] = next(sql.numbers)
            fields["_cursor"] = local(frame, "self")
        return fields

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> dict[str, Any] | None:
        """It has been answered; of an iterator with its first rows."""
        cursor = started["_cursor"]
        if exception is not None or cursor._exhausted:
            return super().finish(frame, value, exception, started)
        statement = sql.sent(started["number"], started["_known"])
        if frame.f_code.co_name == "_bind_exec":
            statement.took(value, None)
        if len(_portals) >= _MOST_PORTALS:
            _portals.pop(next(iter(_portals)), None)
        _portals[cursor._portal_name] = statement
        return None


class AsyncpgFetch(Plugin):
    """What cursors fetch: recorded together, when there are no more rows or the cursor
    is gone."""

    kind = None

    def start(self, frame: FrameType) -> dict[str, Any] | None:
        """Rows are fetched, or no more of them are wanted."""
        cursor = local(frame, "self")
        name = cursor._portal_name
        if frame.f_code.co_name != "_exec":
            statement = _portals.pop(name, None)
            if statement is not None:
                statement.end()
            return None
        if name not in _portals:
            return None
        return {"_cursor": cursor, "_ns": perf_counter_ns()}

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> dict[str, Any] | None:
        """They are there."""
        cursor = started["_cursor"]
        statement = _portals.get(cursor._portal_name)
        if statement is not None and exception is None:
            statement.fetch_ns += perf_counter_ns() - started["_ns"]
            statement.took(value, None)
            if cursor._exhausted:
                del _portals[cursor._portal_name]
                statement.end()
        return None
