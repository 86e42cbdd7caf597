"""SQLAlchemy: the innermost of its own frames around a driver's call.

What is fetched is for the driver's plugin to tell. So is everything of a driver that is
async: SQLAlchemy's own frames are then in another greenlet, which waits for it.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.plugins.builtin import sql
from kolo_c.plugins.builtin.sql_text import add_parameters, describe
from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    Fields = dict[str, Any]

_LAYER = "sqlalchemy"
_SYSTEMS = {"mariadb": "mysql"}
_TRANSACTIONS = {
    "_begin_impl": "BEGIN",
    "_commit_impl": "COMMIT",
    "_rollback_impl": "ROLLBACK",
}


def _of_engine(connection: Any) -> Fields:
    engine = connection.engine
    name = engine.dialect.name
    return {"system": _SYSTEMS.get(name, name), "database": engine.url.database}


class SQLAlchemyStatement(Plugin):
    """What is sent through a Connection: statements, defaults, inserts of many."""

    kind = sql.SQL

    def start(self, frame: FrameType) -> Fields | None:
        """It is sent."""
        if sql.is_inner(frame.f_back):
            return None
        connection = local(frame, "self")
        if connection.engine.dialect.is_async:
            return None
        code = frame.f_code
        sql.tells(code, _LAYER)
        context = local(frame, "context")
        many = False
        if code.co_name == "_cursor_execute":
            cursor = local(frame, "cursor")
            text = local(frame, "statement")
            params: Any = local(frame, "parameters")
        else:
            cursor, text = context.cursor, context.statement
            params = context.parameters
            many = code.co_name == "_exec_insertmany_context" or context.executemany
            if not many and isinstance(params, (list, tuple)):
                params = params[0] if params else None
        fields = _of_engine(connection)
        known = describe(text, fields["system"] == "mysql")
        fields["operation"] = known.operation
        fields["text"] = known.shown
        fields["number"] = next(sql.numbers)
        fields["transaction"] = True
        fields["_known"], fields["_cursor"] = known, cursor
        add_parameters(fields, params, known, many)
        sql.settle(cursor)
        return fields

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


class SQLAlchemyTransaction(Plugin):
    """Transactions and savepoints, as SQLAlchemy has them."""

    kind = sql.SQL

    def start(self, frame: FrameType) -> Fields | None:
        """It begins or ends; savepoints are statements of their own."""
        connection = local(frame, "self")
        if connection.engine.dialect.is_async:
            return None
        sql.tells(frame.f_code, _LAYER)
        word = _TRANSACTIONS[frame.f_code.co_name]
        fields = _of_engine(connection)
        fields["operation"] = fields["text"] = word
        return fields
