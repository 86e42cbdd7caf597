"""sqlite3: connections and cursors are subclasses that ``connect`` is asked to make.

Threads: any. Owns: what it has put in the place of ``connect``. Fails: never.
"""

from __future__ import annotations

import sys

from kolo_c.plugins import emit
from kolo_c.plugins.builtin import sql, sql_cursor
from kolo_c.plugins.builtin.sql_text import describe, text_of
from kolo_c.plugins.observed import observed
from kolo_c.plugins.spec import Plugin
from kolo_c.scope import SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from kolo_c.plugins.builtin.sql_text import Text

_SYSTEM = "sqlite"
_FACTORY_AT = 5
"""Where ``factory`` stands among the arguments of ``connect``."""
_IMPLICIT = frozenset(("INSERT", "UPDATE", "DELETE", "REPLACE"))


def _begin_execute(cursor: Any, *arguments: Any) -> Any:
    return _begin(cursor, arguments, many=False)


def _begin_many(cursor: Any, *arguments: Any) -> Any:
    return _begin(cursor, arguments, many=True)


def _begin(cursor: Any, arguments: tuple[Any, ...], many: bool) -> Any:
    if SCOPE.session is None or not arguments:
        return None
    text = text_of(arguments[0])
    if text is None:
        return None
    known = describe(text)
    connection = cursor.connection
    params = arguments[1] if len(arguments) > 1 else None
    fields = sql_cursor.statement_fields(_SYSTEM, connection, known, params, many)
    if not add_transaction(fields, connection, known):
        return None
    return sql_cursor.begin_statement(cursor, fields, known)


def _begin_script(cursor: Any, *arguments: Any) -> Any:
    """Of these sqlite3 begins no transaction, but commits what is open."""
    text = text_of(arguments[0]) if arguments and SCOPE.session is not None else None
    if text is None:
        return None
    known = describe(text)
    connection = cursor.connection
    fields = sql_cursor.statement_fields(_SYSTEM, connection, known, None, False)
    if connection.in_transaction and not _has_autocommit(connection):
        ended = sql_cursor.transaction_fields(_SYSTEM, connection, "COMMIT")
        emit.point(sql.SQL, ended)
    return sql_cursor.begin_statement(cursor, fields, known)


def add_transaction(fields: dict[str, Any], connection: Any, known: Text) -> bool:
    """Whether the statement is within one, which may begin with it: of that a record is
    made. False: nothing is recorded here."""
    if connection.in_transaction:
        fields["transaction"] = True
    elif known.operation in _IMPLICIT and _begins_by_itself(connection):
        began = sql_cursor.transaction_fields(_SYSTEM, connection, "BEGIN")
        if not emit.point(sql.SQL, began):
            return False
        fields["transaction"] = True
    return True


def _begins_by_itself(connection: Any) -> bool:
    """Whether sqlite3 sends BEGIN before a statement that changes something."""
    return connection.isolation_level is not None and not _has_autocommit(connection)


def _has_autocommit(connection: Any) -> bool:
    """From 3.12 on it may be True or False, which is another way to do it; only the
    connection's own thread may ask. Of aiosqlite's the usual is assumed."""
    try:
        return isinstance(getattr(connection, "autocommit", -1), bool)
    except Exception:
        return False


def _is_open(connection: Any) -> bool:
    return bool(connection.in_transaction)


def _begin_exit(connection: Any, kind: Any = None, *_: Any) -> Any:
    """``with connection:`` ends."""
    if not connection.in_transaction:
        return None
    word = "COMMIT" if kind is None else "ROLLBACK"
    return emit.begin(sql.SQL, sql_cursor.transaction_fields(_SYSTEM, connection, word))


_IS_CPYTHON = sys.implementation.name == "cpython"
"""There ``with connection:`` does not end in its methods; on PyPy it does."""
_IS_DIRECT = _IS_CPYTHON and sys.version_info[1] > 10
"""A connection's ``execute()`` does not go through its ``cursor()``, as until 3.10."""


def _is_djangos(frame: FrameType) -> bool:
    """Whether Django asks SQLite to quote values, for its own log of statements."""
    return sql_cursor.caller_module(frame).startswith("django.db.backends.sqlite3")


def _name_of(database: Any) -> str | None:
    """The text of what ``connect`` was given, where that is of a type that is known."""
    if isinstance(database, bytes):
        return database.decode("utf-8", "replace")
    if type(database).__module__.partition(".")[0] == "pathlib":
        return str(database)
    return database if isinstance(database, str) else None


class _Classes:
    """Our subclasses, made when the program has imported sqlite3."""

    def __init__(self, sqlite3: Any) -> None:
        base = sqlite3.Cursor
        sending = sql_cursor.sending
        end = sql_cursor.end_statement
        self.cursors = sql_cursor.Derived(
            base,
            {
                "execute": sending(base.execute, _begin_execute, end),
                "executemany": sending(base.executemany, _begin_many, end),
                "executescript": sending(base.executescript, _begin_script, end),
                **sql_cursor.fetching(base),
            },
        )
        base = sqlite3.Connection
        self._make_cursor = base.cursor
        ending = sql_cursor.ending
        nothing = sql_cursor.do_nothing
        methods = {
            "cursor": observed(
                base.cursor,
                self._begin_cursor,
                None,
                instead=base.cursor,
                # Without a factory it is to be asked who calls.
                makes=(self.cursors.used, "factory", None, 1),
            ),
            "commit": ending(_SYSTEM, "COMMIT", base.commit, _is_open),
            "rollback": ending(_SYSTEM, "ROLLBACK", base.rollback, _is_open),
        }
        if _IS_CPYTHON:
            methods["__exit__"] = sending(
                base.__exit__, _begin_exit, sql_cursor.end_transaction
            )
        if _IS_DIRECT:
            for name in ("execute", "executemany", "executescript"):
                methods[name] = sending(
                    getattr(base, name),
                    self._begin_direct,
                    nothing,
                    instead=getattr(self.cursors.ours, name),
                )
        self.connections = sql_cursor.Derived(base, methods)
        # That of another class raises, which whoever calls _end_connect() drops.
        self._name = vars(self.connections.ours)[sql.SLOT].__set__
        self.connect = observed(
            sqlite3.connect,
            self._begin_connect,
            self._end_connect,
            instead=sqlite3.connect,
            makes=(self.connections.used, "factory", base, _FACTORY_AT),
        )

    def _begin_cursor(self, connection: Any, *arguments: Any, **keywords: Any) -> Any:
        if SCOPE.session is None:
            return None
        if arguments:
            factory = self.cursors.of(arguments[0])
            return (connection, factory, *arguments[1:]), keywords
        if not keywords and _is_djangos(sys._getframe()):
            return None
        factory = keywords.get("factory", self.cursors.base)
        keywords["factory"] = self.cursors.of(factory)
        return (connection,), keywords

    def _begin_direct(self, connection: Any, *arguments: Any) -> Any:
        """The same method of a cursor of ours."""
        if SCOPE.session is None:
            return None
        cursor = self._make_cursor(connection, self.cursors.ours)
        return (cursor, *arguments), {}

    def _begin_connect(self, *arguments: Any, **keywords: Any) -> Any:
        if SCOPE.session is None:
            return None
        if len(arguments) > _FACTORY_AT:
            before, after = arguments[:_FACTORY_AT], arguments[_FACTORY_AT + 1 :]
            factory = self.connections.of(arguments[_FACTORY_AT])
            return (*before, factory, *after), keywords
        factory = keywords.get("factory", self.connections.base)
        keywords["factory"] = self.connections.of(factory)
        return arguments, keywords

    def _end_connect(self, token: Any, connection: Any, exception: Any) -> None:
        arguments, keywords = token
        name = arguments[0] if arguments else keywords.get("database")
        if type(name) is not str:
            name = _name_of(name)
        self._name(connection, name)


class Sqlite3(Plugin):
    """Statements of sqlite3."""

    def __init__(self) -> None:
        self._classes: _Classes | None = None
        self._put: list[tuple[Any, Any]] = []
        """(module, the ``connect`` that it had)"""

    def install(self) -> list[str]:
        """From now on ``connect`` makes connections of our subclass."""
        sqlite3 = sys.modules["sqlite3.dbapi2"]
        if self._put:
            return []
        original = sqlite3.connect
        if self._classes is None:
            self._classes = _Classes(sqlite3)
        modules = [sqlite3]
        if "sqlite3" in sys.modules:
            modules.append(sys.modules["sqlite3"])
        for module in modules:
            if vars(module).get("connect") is original:
                self._put.append((module, original))
                module.connect = self._classes.connect  # type: ignore[attr-defined]
        return sql_cursor.took_before(original, tuple(modules), "sqlite3")

    def remove(self) -> None:
        """It makes the driver's own again."""
        if self._classes is not None:
            self._classes.cursors.used.clear()
            self._classes.connections.used.clear()
        while self._put:
            module, original = self._put.pop()
            assert self._classes is not None
            if vars(module).get("connect") is self._classes.connect:
                module.connect = original
