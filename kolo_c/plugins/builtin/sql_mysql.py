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
    name_database,
)
from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_SYSTEM = "mysql"
_ENDS = ("commit", "rollback")
_DATABASE_AT = 3
"""Where the database stands among the arguments of MySQLdb's ``connect``."""
_CALLS = {"callproc": "procname"}


def _read_pymysql(connection: Any) -> Any:
    name = vars(connection).get("db")
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name


class PyMySQL(FrameStatement):
    """Cursors of PyMySQL."""

    system = _SYSTEM
    layer = "pymysql"
    queries = _CALLS
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


def _unread(connection: Any) -> Any:
    """mysqlclient does not know its database's name."""
    raise LookupError


class MySQLdb(FrameStatement):
    """Cursors of mysqlclient."""

    system = _SYSTEM
    layer = "mysqlclient"
    queries = _CALLS
    quotes = True

    def database(self, cursor: Any) -> Any:
        """As it was given to ``connect``."""
        return database_of(cursor.connection, _unread)


class MySQLdbConnect(Plugin):
    """A connection is made: to which database."""

    kind = None

    def start(self, frame: FrameType) -> dict[str, Any] | None:
        """It has not yet a class of its driver's."""
        given, named = local(frame, "args"), local(frame, "kwargs")
        name = named.get("database", named.get("db"))
        if name is None and len(given) > _DATABASE_AT:
            name = given[_DATABASE_AT]
        return {"_connection": local(frame, "self"), "_name": name}

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> dict[str, Any] | None:
        """It is there."""
        if exception is None and isinstance(started["_name"], str):
            name_database(started["_connection"], started["_name"])
        return None


class MySQLdbFetch(FrameFetch):
    """What they fetch."""


class MySQLdbBegin(Transaction):
    """begin."""

    system = _SYSTEM

    def database(self, connection: Any) -> Any:
        """As it was given to ``connect``."""
        return database_of(connection, _unread)


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
        name = database_of(connection, _unread)
        return emit.begin(sql.SQL, {**fields, "database": name})

    return begin
