"""aiosqlite: coroutines, for which a thread calls sqlite3.

Threads: any. Owns: names of columns on their way, within bounds. Fails: never.
"""

from __future__ import annotations

from time import perf_counter_ns
from types import MethodType

from kolo_c.plugins.builtin import sql
from kolo_c.plugins.builtin.sql_frames import Bridge
from kolo_c.plugins.builtin.sql_sqlite3 import add_transaction
from kolo_c.plugins.builtin.sql_text import add_parameters, describe, text_of
from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_SENDS = frozenset(
    ("execute", "executemany", "executescript", "_execute_insert", "_execute_fetchall")
)
_ENDS = frozenset(("commit", "rollback"))
_MOST_DESCRIBED = 64


class _Described:
    """What a cursor said of rows that are fetched."""

    __slots__ = ("description",)

    def __init__(self, description: Any) -> None:
        self.description = description


_described: dict[int, _Described] = {}
"""By the address of a list of rows, on its way from the thread."""


class Aiosqlite(Plugin):
    """``Connection._execute``, through which everything goes."""

    kind = sql.SQL

    def when(self, frame: FrameType) -> bool:
        """Whether it is a statement, or the end of a transaction."""
        name = getattr(local(frame, "fn"), "__name__", "")
        return (name in _SENDS or name in _ENDS) and not sql.is_inner(frame.f_back)

    def start(self, frame: FrameType) -> dict[str, Any] | None:
        """It is sent to the thread."""
        function = local(frame, "fn")
        name = function.__name__
        connection = local(frame, "self")._connection
        fields: dict[str, Any] = {
            "system": "sqlite",
            "database": sql.held(connection, sql.SLOT),
        }
        if name in _ENDS:
            fields["operation"] = fields["text"] = name.upper()
            return fields
        arguments = local(frame, "args")
        text = text_of(arguments[0]) if arguments else None
        if text is None:
            return None
        known = describe(text)
        fields["operation"] = known.operation
        fields["text"] = known.shown
        if name != "executescript" and not add_transaction(fields, connection, known):
            return None
        fields["number"] = next(sql.numbers)
        fields["_known"] = known
        params = arguments[1] if len(arguments) > 1 else None
        add_parameters(fields, params, known, name == "executemany")
        return fields

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> dict[str, Any] | None:
        """It has been answered."""
        known = started.get("_known")
        if exception is not None or known is None:
            return None
        if isinstance(value, list):
            statement = sql.sent(started["number"], known)
            columns = _described.pop(id(value), None)
            return {"rows": len(value), **sql.sample(statement, value, columns)}
        if hasattr(value, "rowcount"):
            sql.remember(value, started["number"], known, framed=True)
            return sql.changed(value, known)
        return None


class AiosqliteFetch(Plugin):
    """What cursors fetch."""

    kind = None

    def start(self, frame: FrameType) -> dict[str, Any] | None:
        """Rows are fetched."""
        function = local(frame, "fn")
        if type(function) is not MethodType:
            cursor, method = sql.fetcher(function)
        else:
            cursor, method = function.__self__, function.__name__
        if method not in sql.FETCHES:
            return None
        statement = sql.statement_of(cursor)
        if statement is None:
            return None
        return {
            "_statement": statement,
            "_cursor": cursor,
            "_method": method,
            "_ns": perf_counter_ns(),
        }

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> dict[str, Any] | None:
        """They are there."""
        statement: sql.Statement = started["_statement"]
        statement.fetch_ns += perf_counter_ns() - started["_ns"]
        one = started["_method"] == "fetchone"
        rows: Any = (value,) if one and value is not None else value or ()
        statement.took(
            rows if isinstance(rows, (list, tuple)) else (), started["_cursor"]
        )
        if not rows or started["_method"] == "fetchall":
            statement.end()
        return None


class AiosqliteBridge(Bridge):
    """The thread's function."""


class AiosqliteColumns(Plugin):
    """What ``execute_fetchall()`` does in the thread, whose cursor nobody else gets."""

    kind = None

    def start(self, frame: FrameType) -> dict[str, Any] | None:
        """It is sent."""
        return {}

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> dict[str, Any] | None:
        """The rows are there: what their columns are called."""
        if exception is None:
            if len(_described) >= _MOST_DESCRIBED:
                _described.clear()
            _described[id(value)] = _Described(local(frame, "cursor").description)
        return None
