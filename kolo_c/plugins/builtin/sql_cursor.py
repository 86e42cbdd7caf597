"""Subclasses of the connections and cursors of drivers that are written in C.

They are real ones, with the names of what they are derived from: whatever asks for the
driver's own type finds it. A class of the program's own is derived from as well, so
that ours stands between it and the driver's.

Threads: any, under the GIL. Owns: the classes that it has derived.
Fails: never; where a class cannot be derived from, the program gets its own.
"""

from __future__ import annotations

import sys

from kolo_c.plugins import emit
from kolo_c.plugins.builtin import sql
from kolo_c.plugins.builtin.sql_text import add_parameters
from kolo_c.plugins.observed import ALL, ONE, SOME, observed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType
    from typing import Any

    from kolo_c.plugins.builtin.sql_text import Text

_OBSERVED = observed.__module__
"""Its frames are there where the extension is not."""


class Sent:
    """A statement on its way."""

    __slots__ = ("cursor", "emitted", "known", "number")

    def __init__(self, cursor: Any, emitted: Any, known: Text, number: int) -> None:
        self.cursor = cursor
        self.emitted = emitted
        self.known = known
        self.number = number


def derive(base: type, methods: dict[str, Any], ours: type | None = None) -> type:
    """A subclass of ``base``, which looks like it, with these methods; or of a class of
    the program, which is one of ``base``, with ``ours`` behind it."""
    namespace = {
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__doc__": base.__doc__,
        "__slots__": (sql.SLOT,) if ours is None else (),
        **methods,
    }
    bases = (base,) if ours is None else (base, ours)
    return type(base)(base.__name__, bases, namespace)


class Derived:
    """The subclasses of one driver's class."""

    def __init__(self, base: type, methods: dict[str, Any]) -> None:
        self.base = base
        self.ours = derive(base, methods)
        self._known: dict[int, type] = {}
        """By the address of a class, which one is made instead."""
        self.used: dict[int, type] = {}
        """The same of those that were asked for in this session."""

    def of(self, factory: Any) -> Any:
        """What to make instead of what ``factory`` makes."""
        if not isinstance(factory, type) or not issubclass(factory, self.base):
            return factory
        found = self._known.get(id(factory))
        if found is None:
            found = self._known[id(factory)] = self._derive(factory)
        self.used[id(factory)] = found  # which keeps the other
        return found

    def _derive(self, factory: type) -> type:
        if factory is self.base:
            return self.ours
        if issubclass(factory, self.ours):
            return factory
        try:
            return derive(factory, {}, self.ours)
        except Exception:  # it has slots of its own, is final, has a metaclass, …
            return factory


def statement_fields(
    system: str, connection: Any, text: Text, params: Any, many: bool
) -> dict[str, Any]:
    """Of a statement that is sent through one of our connections."""
    name = sql.held(connection, sql.SLOT)
    fields: dict[str, Any] = {
        "system": system,
        "database": name,
        "operation": text.operation,
        "text": text.shown,
    }
    add_parameters(fields, params, text, many)
    return fields


def sending(function: Any, begin: Any, end: Any, **more: Any) -> Any:
    """``function``, observed where no outer layer tells of what it does."""
    return observed(function, begin, end, told=sql.OUTER, **more)


def caller_module(frame: FrameType) -> str:
    """The module of who called what this handler is about."""
    caller = frame.f_back
    while caller is not None:
        name = str(caller.f_globals.get("__name__", ""))
        if name != _OBSERVED:
            return name
        caller = caller.f_back
    return ""


def begin_statement(cursor: Any, fields: dict[str, Any], known: Text) -> Sent | None:
    """It is sent."""
    flush(cursor)
    number = next(sql.numbers)
    fields["number"] = number
    emitted = emit.begin(sql.SQL, fields)
    return None if emitted is None else Sent(cursor, emitted, known, number)


def end_statement(sent: Sent, result: Any, exception: BaseException | None) -> None:
    """It has been answered."""
    cursor = sent.cursor
    if exception is not None:
        emit.finish(sent.emitted, None, exception)
        return
    emit.finish(sent.emitted, sql.changed(cursor, sent.known))
    sql.remember(cursor, sent.number, sent.known)


# ---- rows ----


def flush(cursor: Any, *_: Any) -> None:
    """What was fetched of its last statement is recorded."""
    statement = sql.held(cursor, sql.SLOT)
    if statement is not None:
        sql.hold(cursor, sql.SLOT, None)
        statement.flush()


def do_nothing(*_: Any) -> None:
    """The end of what is over with its beginning."""


def fetching(cursor: Any) -> dict[str, Any]:
    """The methods of a cursor that fetch, or end what it fetches."""
    methods: dict[str, Any] = {}
    for name, function, fetches in (
        ("fetchone", cursor.fetchone, ONE),
        ("fetchmany", cursor.fetchmany, SOME),
        ("fetchall", cursor.fetchall, ALL),
        ("__next__", cursor.__next__, ONE),
        ("close", cursor.close, 0),
        ("__del__", id, 0),  # that does nothing by itself
    ):
        methods[name] = observed(
            function, flush, do_nothing, slot=sql.SLOT, fetches=fetches
        )
    return methods


# ---- transactions ----


def ending(
    system: str, word: str, function: Any, is_open: Callable[[Any], bool]
) -> Any:
    """A connection's method that ends a transaction, if there is one."""

    def begin(connection: Any, *_: Any) -> Any:
        if not is_open(connection):
            return None
        return emit.begin(sql.SQL, transaction_fields(system, connection, word))

    return sending(function, begin, end_transaction)


def transaction_fields(system: str, connection: Any, word: str) -> dict[str, Any]:
    """Of what begins or ends a transaction."""
    return {
        "system": system,
        "database": sql.held(connection, sql.SLOT),
        "operation": word,
        "text": word,
    }


def end_transaction(emitted: Any, result: Any, exception: BaseException | None) -> None:
    """It has ended, or could not."""
    emit.finish(emitted, None, exception)


# ---- what is put in the place of ``connect`` ----


def took_before(original: Any, own: tuple[ModuleType, ...], name: str) -> list[str]:
    """What to say of modules that have ``connect`` from before."""
    found = sorted(
        module_name
        for module_name, module in list(sys.modules.items())
        if module not in own
        and module_name not in ("_sqlite3", "psycopg2._psycopg")
        and not module_name.startswith("kolo_c.")
        and isinstance(getattr(module, "__dict__", None), dict)
        and vars(module).get("connect") is original
    )
    if not found:
        return []
    return [
        f"{', '.join(found)} took connect from {name} before recording began: SQL of "
        f"its connections is not seen. Call {name}.connect there, or begin earlier"
    ]
