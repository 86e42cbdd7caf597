"""Statements that Django sends, whatever the database: the innermost of its own frames.

Execute wrappers and CursorDebugWrapper are further out, so that what is measured is the
driver's. What is fetched is for the driver's plugin to tell.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.plugins.builtin import sql
from kolo_c.plugins.builtin.sql_async import add_awaited
from kolo_c.plugins.builtin.sql_frames import Bridge
from kolo_c.plugins.builtin.sql_text import add_parameters, describe, text_of
from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

    Fields = dict[str, Any]

_MYSQL = "django.db.backends.mysql.base"
_BEGINS = "_start_transaction_under_autocommit"


def _tells(code: CodeType) -> None:
    """What a function of Django's does is told of here, and not by the driver's."""
    sql.tells(code, "django")


class DjangoStatement(Plugin):
    """``CursorWrapper``: execute, executemany, callproc."""

    kind = sql.SQL
    meets = staticmethod(_tells)

    def start(self, frame: FrameType) -> Fields | None:
        """It is sent."""
        wrapper = local(frame, "self")
        text: Any = local(frame, "sql")
        params = local(frame, "params")
        name = frame.f_code.co_name
        if name == "_executemany":
            params = local(frame, "param_list")
        elif name == "callproc":
            text = f"CALL {local(frame, 'procname')}"
        if type(text) is not str:
            text = text_of(text) or f"<{type(text).__name__}>"
        cursor = wrapper.cursor
        if type(cursor).__module__ == _MYSQL:
            # Whose methods fetch: Django has a wrapper more around that of MySQLdb.
            cursor = vars(cursor).get("cursor", cursor)
        sql.settle(cursor)
        db = wrapper.db
        vendor = db.vendor
        known = describe(text, vendor == "mysql")
        fields = {
            "system": vendor,
            "database": db.alias,
            "name": db.settings_dict.get("NAME"),
            "operation": known.operation,
            "text": known.shown,
            "number": next(sql.numbers),
            "_known": known,
            "_cursor": cursor,
        }
        if db.in_atomic_block:
            fields["transaction"] = True
        if params is not None:
            add_parameters(fields, params, known, name == "_executemany")
        add_awaited(fields, frame)
        return fields

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> Fields | None:
        """The database has answered."""
        cursor, known = started["_cursor"], started["_known"]
        if exception is not None:
            sql.forget(cursor)
            return None
        sql.remember(cursor, started["number"], known)
        return sql.changed(cursor, known) if known.changes else None


class DjangoConnection(Bridge):
    """What Django sends by itself on a new connection, past its own cursors: the time
    zone, what SQLite was compiled with. These are no statements of the program's."""


class DjangoTransaction(Plugin):
    """Transactions: what is not sent as a statement of Django's own."""

    kind = sql.SQL
    meets = staticmethod(_tells)

    def start(self, frame: FrameType) -> Fields | None:
        """It begins or ends."""
        name = frame.f_code.co_name
        if name == "set_autocommit" and local(frame, "autocommit"):
            return None  # it ends one by itself
        db = local(frame, "self")
        if name == "set_autocommit":
            if local(
                frame, "force_begin_transaction_with_broken_autocommit"
            ) and hasattr(type(db), _BEGINS):
                return None  # it sends BEGIN
            word = "BEGIN"
        elif db.connection is None:
            return None
        else:
            word = "COMMIT" if name == "_commit" else "ROLLBACK"
        fields = {
            "system": db.vendor,
            "database": db.alias,
            "name": db.settings_dict.get("NAME"),
            "operation": word,
            "text": word,
        }
        add_awaited(fields, frame)
        return fields
