"""Classes of frameworks and drivers of which some fields alone are written; twin of
``src/trace/value_chosen.c``, which says why.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.reference.instance import type_mro

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CHOSEN: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("django.http.request", "HttpRequest", ("method", "path")),
    ("django.http.response", "HttpResponseBase", ("status_code",)),
    ("rest_framework.request", "Request", ("_request",)),
    ("starlette.requests", "HTTPConnection", ()),
    ("starlette.responses", "Response", ("status_code",)),
    ("werkzeug.sansio.request", "Request", ("method", "path")),
    ("werkzeug.sansio.response", "Response", ("_status_code",)),
    ("django.db.models.query", "QuerySet", ("model", "_db", "_result_cache")),
    ("django.db.models.manager", "BaseManager", ("model", "_db")),
    ("django.db.backends.base.base", "BaseDatabaseWrapper", ("alias",)),
    ("django.db.backends.utils", "CursorWrapper", ("cursor", "db")),
    ("django.dispatch.dispatcher", "Signal", ()),
    ("sqlite3", "Connection", ()),
    ("sqlite3", "Cursor", ("connection", "lastrowid", "rowcount")),
    # PyPy's, which are classes in Python and have their statements in fields.
    ("_sqlite3", "Connection", ()),
    ("_sqlite3", "Cursor", ("connection", "lastrowid", "rowcount")),
)
"""(module, class, fields)"""


def chosen_fields(
    cls: type, is_class: Callable[[type, str, str], bool]
) -> tuple[str, ...] | None:
    """The fields that are written alone of instances of ``cls``; None: all are."""
    for base in type_mro(cls):
        for module, name, fields in CHOSEN:
            if issubclass(type(base), type) and is_class(base, name, module):
                return fields
    return None
