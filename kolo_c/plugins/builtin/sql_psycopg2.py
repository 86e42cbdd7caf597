"""psycopg2: connections and cursors are subclasses, which it is asked to make.

``psycopg2.connect`` is Python and calls a function of the module's, which is replaced:
also who took ``connect`` before gets ours.

Threads: any. Owns: what it has put in the place of that function. Fails: never.
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
    from typing import Any

_SYSTEM = "postgresql"
_READY, _BEGUN, _PREPARED = 1, 2, 5
_FACTORY_AT = 1
"""Where ``cursor_factory`` stands among the arguments of ``cursor``."""


def _begin_execute(cursor: Any, query: Any = None, vars: Any = None) -> Any:
    return _begin(cursor, query, vars, many=False)


def _begin_many(cursor: Any, query: Any = None, vars_list: Any = None) -> Any:
    return _begin(cursor, query, vars_list, many=True)


def _begin_call(cursor: Any, procname: Any = None, parameters: Any = None) -> Any:
    return _begin(cursor, f"CALL {procname}", parameters, many=False)


def _begin_copy(cursor: Any, sql: Any = None, *_: Any, **__: Any) -> Any:
    return _begin(cursor, sql, None, many=False)


def _begin_copy_from(
    cursor: Any, file: Any = None, table: Any = None, *_: Any, **__: Any
) -> Any:
    return _begin(cursor, f"COPY {table} FROM STDIN", None, many=False)


def _begin_copy_to(
    cursor: Any, file: Any = None, table: Any = None, *_: Any, **__: Any
) -> Any:
    return _begin(cursor, f"COPY {table} TO STDOUT", None, many=False)


def _begin(cursor: Any, query: Any, params: Any, many: bool) -> Any:
    text = text_of(query)
    if SCOPE.session is None or text is None:
        return None
    known = describe(text)
    connection = cursor.connection
    fields = sql_cursor.statement_fields(_SYSTEM, connection, known, params, many)
    if connection.status in (_BEGUN, _PREPARED):
        fields["transaction"] = True
    elif connection.status == _READY and not connection.autocommit:
        began = sql_cursor.transaction_fields(_SYSTEM, connection, "BEGIN")
        if not emit.point(sql.SQL, began):
            return None
        fields["transaction"] = True
    return sql_cursor.begin_statement(cursor, fields, known)


def _is_open(connection: Any) -> bool:
    return connection.status in (_BEGUN, _PREPARED)


class _Classes:
    """Our subclasses, made when the program has imported psycopg2."""

    def __init__(self, extensions: Any, connect: Any) -> None:
        base = extensions.cursor
        sending = sql_cursor.sending
        end = sql_cursor.end_statement
        self.cursors = sql_cursor.Derived(
            base,
            {
                "execute": sending(base.execute, _begin_execute, end),
                "executemany": sending(base.executemany, _begin_many, end),
                "callproc": sending(base.callproc, _begin_call, end),
                "copy_expert": sending(base.copy_expert, _begin_copy, end),
                "copy_from": sending(base.copy_from, _begin_copy_from, end),
                "copy_to": sending(base.copy_to, _begin_copy_to, end),
                **sql_cursor.fetching(base),
            },
        )
        base = extensions.connection
        ending = sql_cursor.ending
        self.connections = sql_cursor.Derived(
            base,
            {
                "cursor": observed(
                    base.cursor,
                    self._begin_cursor,
                    sql_cursor.do_nothing,
                    instead=base.cursor,
                ),
                "commit": ending(_SYSTEM, "COMMIT", base.commit, _is_open),
                "rollback": ending(_SYSTEM, "ROLLBACK", base.rollback, _is_open),
            },
        )
        self.connect = observed(
            connect, self._begin_connect, self._end_connect, instead=connect
        )

    def _begin_cursor(self, connection: Any, *arguments: Any, **keywords: Any) -> Any:
        if SCOPE.session is None:
            return None
        if len(arguments) > _FACTORY_AT:
            factory = self._factory(connection, arguments[_FACTORY_AT])
            name, after = arguments[:_FACTORY_AT], arguments[_FACTORY_AT + 1 :]
            return (connection, *name, factory, *after), keywords
        factory = self._factory(connection, keywords.get("cursor_factory"))
        return (connection, *arguments), {**keywords, "cursor_factory": factory}

    def _factory(self, connection: Any, given: Any) -> Any:
        chosen = given if given is not None else connection.cursor_factory
        return self.cursors.of(chosen if chosen is not None else self.cursors.base)

    def _begin_connect(self, *arguments: Any, **keywords: Any) -> Any:
        if SCOPE.session is None or len(arguments) > 1:
            return None
        chosen = keywords.get("connection_factory")
        factory = self.connections.of(
            chosen if chosen is not None else self.connections.base
        )
        return arguments, {**keywords, "connection_factory": factory}

    def _end_connect(self, token: Any, connection: Any, exception: Any) -> None:
        if isinstance(connection, self.connections.ours):
            parts: dict[str, str] = connection.get_dsn_parameters()  # type: ignore[attr-defined]
            sql.hold(connection, sql.SLOT, parts.get("dbname"))


class Psycopg2(Plugin):
    """Statements of psycopg2."""

    def __init__(self) -> None:
        self._classes: _Classes | None = None

    def install(self) -> None:
        """From now on connections are of our subclass."""
        psycopg2 = sys.modules["psycopg2"]
        if self._classes is None:
            extensions = sys.modules["psycopg2.extensions"]
            self._classes = _Classes(extensions, psycopg2._connect)
            self._original = psycopg2._connect
        if psycopg2._connect is self._original:
            psycopg2._connect = self._classes.connect  # type: ignore[attr-defined]

    def remove(self) -> None:
        """They are the driver's own again."""
        psycopg2 = sys.modules["psycopg2"]
        if self._classes is not None and psycopg2._connect is self._classes.connect:
            psycopg2._connect = self._original  # type: ignore[attr-defined]
