"""asyncpg: coroutines around a protocol that is written in C.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.plugins.builtin import sql
from kolo_c.plugins.builtin.sql_frames import database_of
from kolo_c.plugins.builtin.sql_text import add_parameters, describe, text_of
from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_CHANGES = frozenset(("INSERT", "UPDATE", "DELETE", "MERGE"))


def _read_name(connection: Any) -> Any:
    return connection._params.database


class Asyncpg(Plugin):
    """Statements of a connection, a prepared statement, a cursor."""

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
        if status is not None and known.operation in _CHANGES:
            count = status.rpartition(" ")[2]
            if count.isdigit():
                fields["changed"] = int(count)
        if type(rows) is list and (rows or known.operation not in _CHANGES):
            statement = sql.Statement(0, known, None)
            fields["rows"] = len(rows)
            fields.update(sql.sample(statement, rows, None))
        return fields
