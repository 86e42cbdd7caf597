"""SQL statements: what each driver's plugin says of them, and in which words.

A statement is a record of kind ``sql``; what the program fetched of its rows later is
one of kind ``fetch`` with the same ``number``, as that may be anywhere. A statement
that two layers see is told by the outer one alone: the code of those that tell is known
(``OUTER``), and an inner one looks for it among its callers, which holds for every
thread, task and exception.

Nothing is asked of a database, and nothing of the program is called: no adapter, no
``__len__`` of its own.

Threads: any, under the GIL. Owns: what is known of texts and cursors, within bounds.
Fails: never.
"""

from __future__ import annotations

import sys
from itertools import count
from types import BuiltinMethodType, CodeType, MethodType
from weakref import ref

from kolo_c.extension import extension_for_reading
from kolo_c.plugins.builtin.sql_text import MASKED, NUMBERS, PLAIN, hides
from kolo_c.plugins.emit import point
from kolo_c.plugins.observed import Fetched
from kolo_c.plugins.spec import Kind
from kolo_c.scope import SCOPE, VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import FrameType
    from typing import Any

    from kolo_c.plugins.builtin.sql_text import Columns, Text

SQL = Kind("sql", "SQL", "blue", "{text}[ · {rows} rows]")
FETCH = Kind("fetch", "ROWS", "blue", "{rows} rows")
SLOT = "_kolo_c"
"""Of our subclasses of drivers' classes: of a connection the database's name, of a
cursor the statement whose rows it has."""
FETCHES = frozenset(("fetchone", "fetchmany", "fetchall"))

MOST_ROWS = 5
_MOST_REMEMBERED = 1000
"""Rows of one fetch whose secrets are masked from then on."""
_MOST_BYTES = 1024
_MOST_COLUMNS = 40
_CELL_CHARACTERS = 100
_MOST_CURSORS = 1024
_MOST_CALLERS = 12

_UNSEEN: Columns = (None, frozenset())
_SMALL = NUMBERS | {"UUID"}
_ROWS = {
    "Row": ("sqlite3",),
    "Record": ("asyncpg.protocol.record", "asyncpg", "asyncpg.protocol.protocol"),
}
"""Types of rows that are written in C, with their modules."""

numbers = count(1)
OUTER: dict[int, tuple[str, CodeType]] = {}
"""By address, the code of functions that tell of a statement and have lower layers send
it, and their layer."""


class Statement(Fetched):
    """One that was sent: what later fetches belong to."""

    __slots__ = ()

    def took(self, rows: Sequence[Any], cursor: Any) -> None:
        """The program has got these."""
        self.rows += len(rows)
        if rows and not self.quiet:
            self.look_at(rows, cursor)

    def look_at(self, rows: Sequence[Any], cursor: Any) -> None:
        """Keep the first ones, and what is secret in any."""
        if self.sampled < MOST_ROWS and rows_wanted():
            self.add(_keep(self, rows, cursor))
        else:
            _look_for_secrets(self, rows, cursor)

    def add(self, said: dict[str, Any]) -> None:
        """More of the first rows."""
        if self.said is None:
            self.said = said or None
        elif said:
            self.said["rows_sample"].extend(said["rows_sample"])

    def end(self, _: object = None) -> None:
        """There are no more, or nobody who could ask for them."""
        if self.rows >= 0:
            self.flush()
        self.rows = -1

    def flush(self) -> None:
        """Record what was fetched, in one. Elsewhere than it was sent nobody would know
        what it belongs to."""
        rows, fetch_ns = self.rows, self.fetch_ns
        if not rows and (self.told or not fetch_ns):
            return
        fields = {"number": self.number, "rows": rows, "fetch_ns": fetch_ns}
        if self.said is not None:
            fields.update(self.said)
            self.said = None
        self.rows = self.fetch_ns = 0
        self.told = True
        if self.scope == VARIABLE.get(0):
            point(FETCH, fields)

    def keep(self, cursor: object) -> None:
        """The cursor that it is of; when that is gone, so are further rows."""
        self.cursor = ref(cursor, self.end)

    def is_of(self, cursor: object) -> bool:
        """Whether this cursor sent it, and not one that was at its address."""
        return self.cursor is not None and self.cursor() is cursor


def sent(number: int, text: Text) -> Statement:
    """It was sent just now, from here."""
    # What a star stands for may be another table's now.
    columns, hidden = _UNSEEN if text.starred else text.columns
    return Statement(number, VARIABLE.get(0), text, columns, hidden)


_cursors: dict[int, Statement] = {}
"""By the address of the cursor."""


def held(owner: object, name: str) -> Any:
    """What a connection or cursor of ours has in SLOT, or None; no ``__getattr__`` of a
    program's own class is asked."""
    try:
        return object.__getattribute__(owner, name)
    except AttributeError:
        return None


held = getattr(extension_for_reading(), "held", held)
hold = object.__setattr__
"""Give it to one, past a ``__setattr__`` likewise."""


# ---- which statement a cursor has sent ----


def changed(cursor: Any, text: Text) -> dict[str, Any] | None:
    """How many rows the database says that the statement has changed."""
    if not text.changes:
        return None
    found = getattr(cursor, "rowcount", -1)
    if type(found) is not int or found < 0:
        return None
    if found == 0 and text.operation == "INSERT":
        return None  # with RETURNING, SQLite does not know yet
    return {"changed": found}


def remember(cursor: Any, number: int, text: Text, framed: bool = False) -> None:
    """What ``cursor`` fetches from now on is of this statement; ``framed``: in frames,
    although its class is ours."""
    if text.rowless:
        forget(cursor)
        return
    if not framed and hasattr(type(cursor), SLOT):  # a class of sql_cursor.py
        hold(cursor, SLOT, sent(number, text))
        return
    try:
        made = sent(number, text)
        made.keep(cursor)
    except TypeError:
        return
    if len(_cursors) >= _MOST_CURSORS:
        for key in list(_cursors)[: _MOST_CURSORS // 2]:
            _cursors.pop(key, None)
    _cursors.pop(id(cursor), None)  # to the end
    _cursors[id(cursor)] = made


def settle(cursor: Any) -> None:
    """It is about to send another statement: no more rows of this one."""
    statement = held(cursor, SLOT)
    if statement is not None:
        hold(cursor, SLOT, None)
    elif _cursors:
        statement = statement_of(cursor)
    if statement is not None:
        statement.end()


def forget(cursor: Any) -> None:
    """What it fetches from now on is of none."""
    if _cursors:
        _cursors.pop(id(cursor), None)


def statement_of(cursor: Any) -> Statement | None:
    """What ``cursor`` fetches rows of, as long as there may be some."""
    found = _cursors.get(id(cursor))
    if found is None or not found.is_of(cursor) or found.rows < 0:
        return None
    return found


def fetcher(function: Any) -> tuple[Any, str]:
    """(cursor, name) of a cursor's method; (None, "") of anything else."""
    kind = type(function)
    if kind is BuiltinMethodType or kind is MethodType:
        return function.__self__, function.__name__
    return None, ""


def sample(statement: Statement, rows: Sequence[Any], cursor: Any) -> dict[str, Any]:
    """The first rows of those that the program has fetched itself. What is secret in
    any of them is masked wherever the program takes it."""
    if not rows:
        return {}
    if statement.sampled < MOST_ROWS and rows_wanted():
        return _keep(statement, rows, cursor)
    _look_for_secrets(statement, rows, cursor)
    return {}


def _keep(statement: Statement, rows: Sequence[Any], cursor: Any) -> dict[str, Any]:
    """The first ones, which are recorded."""
    _look_at_columns(statement, cursor, rows[0])
    _remember(statement, rows)
    kept: list[Any] = []
    for row in rows[: MOST_ROWS - statement.sampled]:
        if statement.bytes >= _MOST_BYTES:
            break
        kept.append(_row(statement, row))
    statement.sampled += len(kept) if statement.bytes < _MOST_BYTES else MOST_ROWS
    return {"columns": statement.columns, "rows_sample": kept} if kept else {}


def _look_for_secrets(statement: Statement, rows: Sequence[Any], cursor: Any) -> None:
    """Of rows that are not recorded."""
    text = statement.text
    if not (text.sensitive or text.starred):
        statement.quiet = True
        return
    row, columns = rows[0], statement.columns
    # Those that are known will do: drivers make them anew each time they are asked.
    if columns is None or type(row) is not tuple or len(row) != len(columns):
        _look_at_columns(statement, cursor, row)
    _remember(statement, rows)


def _remember(statement: Statement, rows: Sequence[Any]) -> None:
    """What stands in secret columns."""
    hidden, session = statement.hidden, SCOPE.session
    if not hidden or session is None:
        return
    hide, columns = session.native.hide_cells, statement.columns
    rows = rows[:_MOST_REMEMBERED]
    for at in hidden:
        if not hide(columns[at], rows, at):
            rows = [tuple(cells_of(row) or ()) for row in rows]
            hide(columns[at], rows, at)


def rows_wanted() -> bool:
    """Whether rows are recorded: not where Django runs without DEBUG, by default."""
    session = SCOPE.session
    if session is None:
        return False
    chosen = session.config.sql_rows
    if chosen != "debug":
        return chosen == "always"
    conf: Any = sys.modules.get("django.conf")
    if conf is None:
        return True
    try:  # the lazy object itself would read the settings
        return bool(vars(conf.settings)["_wrapped"].DEBUG)
    except (AttributeError, KeyError):
        return True


def _look_at_columns(statement: Statement, cursor: Any, row: Any) -> None:
    """Give ``statement`` the names of its columns, and which of them are secret."""
    text = statement.text
    names = column_names(cursor, row)
    known = text.columns
    if names != known[0]:
        hidden = frozenset(at for at, name in enumerate(names) if hides(name))
        known = text.columns = names, hidden
    statement.columns, statement.hidden = known


def column_names(cursor: Any, row: Any) -> tuple[str, ...]:
    """From the row, or the cursor's own description of its rows."""
    if isinstance(row, dict):
        return tuple(map(str, row))[:_MOST_COLUMNS]
    if _is_native(row):
        return tuple(row.keys())[:_MOST_COLUMNS]
    result = getattr(cursor, "pgresult", None)
    if result is not None:  # psycopg makes an object of each column
        columns = range(min(result.nfields, _MOST_COLUMNS))
        return tuple(result.fname(at).decode("utf-8", "replace") for at in columns)
    described = getattr(cursor, "description", None)
    if not isinstance(described, (list, tuple)):
        return ()
    return tuple([str(column[0]) for column in described[:_MOST_COLUMNS]])


def _is_native(row: Any) -> bool:
    """Whether it is of a type of a driver's that is written in C."""
    kind = type(row)
    return kind.__name__ in _ROWS and kind.__module__ in _ROWS[kind.__name__]


def _row(statement: Statement, row: Any) -> Any:
    cells = cells_of(row)
    if cells is None:
        return f"<{type(row).__name__}>"
    if statement.hidden or statement.text.sensitive or not statement.columns:
        cells = _masked(cells, statement)
    used = statement.bytes
    kept = []
    for value in cells:
        kind = type(value)
        if kind is str:
            if len(value) > _CELL_CHARACTERS:
                value = value[:_CELL_CHARACTERS] + "…"
            used += 2 + len(value)
        elif kind in PLAIN:
            used += 5
        else:
            value, size = _other(value, kind)
            used += size
        kept.append(value)
        if used >= _MOST_BYTES or len(kept) == _MOST_COLUMNS:
            break
    statement.bytes = used
    return kept


def _masked(cells: Iterable[Any], statement: Statement) -> Iterable[Any]:
    """The values without those that are secret."""
    text, hidden = statement.text, statement.hidden
    # Whose names are not known may be any.
    unnamed = not statement.columns
    for at, value in enumerate(cells):
        if value is None:
            yield value
        elif (
            at in hidden
            or unnamed
            or (
                text.sensitive
                and not (type(value) in PLAIN or type(value).__name__ in NUMBERS)
            )
        ):
            yield MASKED
        else:
            yield value


def cells_of(row: Any) -> Iterable[Any] | None:
    """The values of a row, where that is of a type that is known."""
    if isinstance(row, tuple):
        return tuple.__iter__(row)
    if isinstance(row, list):
        return list.__iter__(row)
    if isinstance(row, dict):
        return dict.values(row)
    if _is_native(row):
        return tuple(row)
    return None


def _other(value: Any, kind: type) -> tuple[Any, int]:
    """What is kept of a value that is neither a str nor a number, and its size."""
    if kind is bytes:
        return value[:_CELL_CHARACTERS], min(len(value), _CELL_CHARACTERS) + 2
    if kind.__name__ in _SMALL:
        return value, 20
    return f"<{kind.__name__}>", 12


# ---- layers ----


def getter() -> Any:
    """``emit.local`` for several of one frame: (frame, name, default)."""
    session = SCOPE.session
    return _local if session is None else session.core.frame_local


def _local(frame: FrameType, name: str, default: Any) -> Any:
    return frame.f_locals.get(name, default)


def tells(code: CodeType, layer: str) -> None:
    """``code`` tells of a statement, for this layer."""
    if id(code) not in OUTER:
        OUTER[id(code)] = layer, code


def is_inner(frame: FrameType | None, own: str = "") -> bool:
    """Whether ``frame`` or a caller of its tells of what it does, and is not of the
    layer ``own``."""
    outer = OUTER
    for _ in range(_MOST_CALLERS):
        if frame is None:
            return False
        layer = outer.get(id(frame.f_code))  # a code's own hash is that of all it has
        if layer is not None and layer[0] != own:
            return True
        frame = frame.f_back
    return False
