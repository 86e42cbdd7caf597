"""The text of SQL statements, and their parameters: what of them is recorded.

A statement that names a secret column has its texts masked: in itself, in its
parameters and in its rows. Which names are secret is for the session to say.

Threads: any, under the GIL. Owns: what is known of texts, within bounds. Fails: never.
"""

from __future__ import annotations

import re

from kolo_c.plugins.stems import mentions, stems
from kolo_c.scope import SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.session import Session

    Columns = tuple[tuple[str, ...] | None, frozenset[int]]
    """Names of columns, None while they are not known, and which of them are secret."""

MASKED = "***"
_LONGEST_KEPT = 4096
_LONGEST_READ = 64 * 1024
_MOST_TEXTS = 512
_MOST_NAMES = 4096
_OPERATION = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*([A-Za-z]+)", re.DOTALL)
# Where case does not matter to all of it, compiling takes 4 ms.
_NAMES = re.compile(
    r"(?:\b((?i:from|join|into|update|table))\s+)?"
    r"[`\"\[]?([^\W\d][\w$]*)[`\"\]]?(\s*\.)?"
)
_NAMING = frozenset(
    ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE")
)
"""Operations that name the columns of their rows, if not by a star."""
_CHANGES = frozenset(("INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"))
_ROWLESS = frozenset(
    ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET", "CREATE", "DROP")
)
_STAR = re.compile(r"(?<!\()\*")  # COUNT(*) is none
_LITERALS = re.compile(
    r"'(?:[^'\\]|\\.|'')*(?:'|\Z)|\$(\w*)\$.*?(?:\$\1\$|\Z)|(?<![\w.$%:?])\d{4,}(?!\w)",
    re.DOTALL,
)
_STRINGS = re.compile(r"'(?:[^'\\]|\\.|'')*(?:'|\Z)", re.DOTALL)
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.|\"\")*(?:\"|\Z)", re.DOTALL)
PLAIN = frozenset((int, float, bool, type(None)))
NUMBERS = frozenset(("date", "datetime", "time", "timedelta", "Decimal"))
"""By name, so that nothing is imported that the program has not."""
_CONTAINERS = frozenset((list, tuple, dict))
_FIRST = 5
_MOST_PARAMETERS = 64


class Text:
    """What is known of the text of a statement."""

    __slots__ = (
        "changes", "columns", "operation", "rowless", "sensitive", "shown", "starred",
    )  # fmt: skip

    def __init__(
        self, operation: str, sensitive: bool, shown: str, starred: bool
    ) -> None:
        self.operation = operation
        self.changes = operation in _CHANGES
        self.rowless = operation in _ROWLESS
        self.sensitive = sensitive
        """It names a column whose values are secret."""
        self.shown = shown
        self.starred = starred
        """Its rows may have columns that it does not name."""
        self.columns: Columns = (None, frozenset())
        """Of its rows, the last time that they were looked at."""


_texts: tuple[dict[str, Text], dict[str, Text]] = ({}, {})
"""The second where double quotes are around texts (MySQL), and not around names."""
_secret: dict[str, bool] = {}
_known_for: Session | None = None


# ---- the text ----


def describe(text: str, quoted: bool = False) -> Text:
    """What is known of ``text``; ``quoted``: double quotes may be around texts."""
    texts = _texts[quoted]
    found = texts.get(text)
    if found is not None and _known_for is SCOPE.session:
        return found
    _of_this_session()
    found = _read(text, quoted)
    if len(text) <= _LONGEST_KEPT:
        if len(texts) >= _MOST_TEXTS:
            texts.clear()
        texts[text] = found
    return found


def _of_this_session() -> None:
    """Another session may have other words to mask."""
    global _known_for
    session = SCOPE.session
    if _known_for is not session:
        _known_for = session
        for texts in _texts:
            texts.clear()
        _secret.clear()


def _read(text: str, quoted: bool) -> Text:
    match = _OPERATION.match(text[:1000])
    operation = match[1].upper() if match is not None else ""
    starred = operation not in _NAMING or _STAR.search(text) is not None
    if not _is_sensitive(text):
        return Text(operation, False, text, starred)
    shown = _LITERALS.sub(MASKED, text[: 2 * _LONGEST_KEPT])
    if quoted:
        shown = _QUOTED.sub(MASKED, shown)
    return Text(operation, True, shown, starred)


def _is_sensitive(text: str) -> bool:
    if len(text) > _LONGEST_READ:
        return True  # reading it would take as long as the database's own
    if not mentions(text, stems()):
        return False
    if "'" in text:
        text = _STRINGS.sub("''", text)
    for before, name, after in set(_NAMES.findall(text)):
        # Django's auth_user is a table like others.
        if before or after:
            name = name.lower().removeprefix("auth_")
        if hides(name):
            return True
    return False


def hides(name: str) -> bool:
    """Whether the session masks values of this name."""
    known = _secret.get(name)
    if known is None or _known_for is not SCOPE.session:
        _of_this_session()
        session = SCOPE.session
        known = session is not None and bool(session.native.hides(name, "x"))
        if len(_secret) >= _MOST_NAMES:
            _secret.clear()
        _secret[name] = known
    return known


def text_of(query: Any) -> str | None:
    """The text of what a driver was given; None: of no known form."""
    if type(query) is str:
        return query
    if isinstance(query, str):
        return str.__str__(query)
    if isinstance(query, (bytes, bytearray)):
        return bytes(query).decode("utf-8", "replace")
    return _composed(query)


def _composed(query: Any) -> str | None:
    """Templates, and psycopg's and psycopg2's ``sql.Composed`` with its parts, without
    a connection."""
    kind = type(query)
    if kind.__module__ == "string.templatelib":
        return "%s".join(query.strings)
    if kind.__module__ not in ("psycopg.sql", "psycopg2.sql"):
        return None
    held = vars(query)
    part = held.get("_obj", held.get("_wrapped"))
    if kind.__name__ == "Composed":
        return "".join(_composed(one) or "" for one in part)
    if kind.__name__ == "SQL":
        return str(part)
    if kind.__name__ == "Identifier":
        names = [str(name).replace('"', '""') for name in part]
        return ".".join(f'"{name}"' for name in names)
    return "%s"


# ---- parameters ----


def add_parameters(
    fields: dict[str, Any], params: Any, text: Text, many: bool = False
) -> None:
    """Those of a statement; of many the first few, and how many there are.

    What is no list, tuple or dict is not asked whether there is something in it: that
    may send another statement.
    """
    kind = type(params)
    if params is None or (kind in _CONTAINERS and not params):
        return
    if issubclass(kind, dict) and not dict.__len__(params):
        return  # SQLAlchemy's own, where there are none
    if many and kind is not dict and kind in _CONTAINERS:
        fields["many"] = len(params)
        params = list(params[:_FIRST])
        fields["params"] = (
            [_masked(one) for one in params] if text.sensitive else params
        )
    else:
        fields["params"] = _masked(params) if text.sensitive else params


def _masked(params: Any) -> Any:
    if type(params) is tuple or type(params) is list:
        return [_masked_one(value) for value in params[:_MOST_PARAMETERS]]
    if type(params) is dict:
        return {key: _masked_one(value) for key, value in params.items()}
    return MASKED


def _masked_one(value: Any) -> Any:
    kind = type(value)
    if kind in PLAIN or kind.__name__ in NUMBERS:
        return value
    return MASKED
