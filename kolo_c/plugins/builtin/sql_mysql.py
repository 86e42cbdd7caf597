"""PyMySQL and mysqlclient (MySQLdb): cursors in Python.

Threads: any. Owns: what it has put into MySQLdb's class. Fails: never.
"""

from __future__ import annotations

import sys

from kolo_c.plugins import emit
from kolo_c.plugins.builtin import sql, sql_cursor
from kolo_c.plugins.builtin.sql_frames import (
    FrameFetch,
    FrameStatement,
    Transaction,
    database_of,
)
from kolo_c.plugins.spec import Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SYSTEM = "mysql"
_ENDS = ("commit", "rollback")


def _read_pymysql(connection: Any) -> Any:
    name = vars(connection).get("db")
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name


class PyMySQL(FrameStatement):
    """Cursors of PyMySQL."""

    system = _SYSTEM
    layer = "pymysql"
    quotes = True

    def database(self, cursor: Any) -> Any:
        """As it was given to ``connect``."""
        return database_of(cursor.connection, _read_pymysql)


class PyMySQLFetch(FrameFetch):
    """What they fetch."""


class PyMySQLTransaction(Transaction):
    """begin, commit, rollback."""

    system = _SYSTEM

    def database(self, connection: Any) -> Any:
        """As it was given to ``connect``."""
        return database_of(connection, _read_pymysql)


class MySQLdb(FrameStatement):
    """Cursors of mysqlclient, which does not know its database's name."""

    system = _SYSTEM
    layer = "mysqlclient"
    quotes = True


class MySQLdbFetch(FrameFetch):
    """What they fetch."""


class MySQLdbTransaction(Plugin):
    """commit and rollback are inherited from a class that is written in C: the one in
    Python gets its own, which are the same."""

    def __init__(self) -> None:
        self._put: dict[str, Any] = {}

    def install(self) -> None:
        """From now on they are watched."""
        kind = sys.modules["MySQLdb.connections"].Connection
        for name in _ENDS:
            if name not in vars(kind):
                method = sql_cursor.sending(
                    getattr(kind, name),
                    _begin(name.upper()),
                    sql_cursor.end_transaction,
                )
                self._put[name] = method
                setattr(kind, name, method)

    def remove(self) -> None:
        """The inherited ones are back."""
        kind = sys.modules["MySQLdb.connections"].Connection
        for name, method in self._put.items():
            if vars(kind).get(name) is method:
                delattr(kind, name)
        self._put.clear()


def _begin(word: str) -> Any:
    fields = {"system": _SYSTEM, "operation": word, "text": word}

    def begin(connection: Any) -> Any:
        return emit.begin(sql.SQL, fields)

    return begin
