"""What drivers have in common whose cursors are written in Python: a statement and each
fetch is a frame.

Fetches of one statement are counted together, and recorded when there are no more rows,
when the cursor sends another statement, or when it is gone. Of a statement with several
sets of rows, each is recorded.

Threads: any, under the GIL. Owns: names of databases by connection, within bounds.
Fails: never.
"""

from __future__ import annotations

from time import perf_counter_ns
from weakref import ref

from kolo_c.plugins.builtin import sql
from kolo_c.plugins.builtin.sql_text import add_parameters, describe, text_of
from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any

    Fields = dict[str, Any]

_MOST_CONNECTIONS = 256
_names: dict[int, tuple[Any, Any]] = {}
_NONE: dict[str, str] = {}


def database_of(connection: Any, read: Callable[[Any], Any]) -> Any:
    """The name of a connection's database, which is read once."""
    known = _names.get(id(connection))
    if known is not None and known[0]() is connection:
        return known[1]
    try:
        name = read(connection)
        reference = ref(connection)
    except Exception:  # it is closed, or another version's
        return None
    _keep_name(connection, reference, name)
    return name


def name_database(connection: Any, name: Any) -> None:
    """This is the name of its database, which cannot be read from it."""
    _keep_name(connection, ref(connection), name)


def _keep_name(connection: Any, reference: Any, name: Any) -> None:
    _names.pop(id(connection), None)  # to the end
    if len(_names) >= _MOST_CONNECTIONS:
        _names.pop(next(iter(_names)), None)
    _names[id(connection)] = reference, name


class FrameStatement(Plugin):
    """``execute`` and ``executemany`` of a driver."""

    kind = sql.SQL
    system = ""
    layer = ""
    query = "query"
    params = "args"
    queries = _NONE
    """Methods that have another name for the text."""
    quotes = False
    """Double quotes are around texts."""

    def database(self, cursor: Any) -> Any:
        """The name of the database."""
        return None

    def in_transaction(self, cursor: Any) -> bool:
        """Whether a transaction is open."""
        return False

    def start(self, frame: FrameType) -> Fields | None:
        """It is sent."""
        if sql.is_inner(frame.f_back):
            return None
        code = frame.f_code
        sql.tells(code, self.layer)
        local = sql.getter()
        cursor = local(frame, "self", None)
        many = code.co_name == "executemany"
        query = local(frame, self.queries.get(code.co_name, self.query), None)
        if code.co_name == "callproc":
            query = f"CALL {query}"
        text = text_of(query)
        if text is None:
            text = f"<{type(query).__name__}>"
        known = describe(text, self.quotes)
        number = next(sql.numbers)
        fields: Fields = {
            "system": self.system,
            "database": self.database(cursor),
            "operation": known.operation,
            "text": known.shown,
            "number": number,
            "_known": known,
            "_cursor": cursor,
        }
        if self.in_transaction(cursor):
            fields["transaction"] = True
        name = "params_seq" if many and self.many else self.params
        params = local(frame, name, None)
        add_parameters(fields, params, known, many)
        sql.settle(cursor)
        return fields

    many = False
    """``executemany`` calls its parameters ``params_seq``."""

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> Fields | None:
        """It has been answered."""
        cursor, known = started["_cursor"], started["_known"]
        if exception is not None:
            sql.forget(cursor)
            return None
        sql.remember(cursor, started["number"], known)
        return sql.changed(cursor, known)


class FrameFetch(Plugin):
    """``fetchone``, ``fetchmany``, ``fetchall`` and iteration; makes no records of its
    own, as there may be one for each row."""

    kind = None

    def start(self, frame: FrameType) -> Fields | None:
        """Rows are fetched, perhaps by another of these methods."""
        cursor = local(frame, "self")
        statement = sql.statement_of(cursor)
        if statement is None or statement.fetching:
            return None
        statement.fetching = True
        return {"_statement": statement, "_cursor": cursor, "_ns": perf_counter_ns()}

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> Fields | None:
        """They are there."""
        statement: sql.Statement = started["_statement"]
        statement.fetching = False
        statement.fetch_ns += perf_counter_ns() - started["_ns"]
        method = frame.f_code.co_name
        rows: Any
        if value is None:
            rows, ended = (), True
        elif method in ("fetchmany", "fetchall"):
            rows = value if isinstance(value, (list, tuple)) else ()
            ended = method == "fetchall" or not rows
        else:
            rows, ended = (value,), False
        statement.took(rows, started["_cursor"])
        if ended:
            statement.flush()
        return None


class Transaction(Plugin):
    """Methods of a connection that begin or end a transaction."""

    kind = sql.SQL
    system = ""

    def database(self, connection: Any) -> Any:
        """The name of the database."""
        return None

    def start(self, frame: FrameType) -> Fields | None:
        """It begins or ends."""
        if sql.is_inner(frame.f_back):
            return None
        word = frame.f_code.co_name.upper()
        return {
            "system": self.system,
            "database": self.database(local(frame, "self")),
            "operation": word,
            "text": word,
        }


class Bridge(Plugin):
    """Functions below which a layer sends what it has told of already."""

    kind = None

    @staticmethod
    def meets(code: CodeType) -> None:
        """Known from now on."""
        sql.tells(code, "bridge")
