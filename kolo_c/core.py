"""Which core traces here, and why: the C extension, or the Python one.

The Python core is the specification of the C core, and stands in for it where there is
no extension: on PyPy, without a compiler, with KOLO_C_NO_EXTENSION=1, and on a
free-threaded Python, where importing the extension would switch the GIL on.

Threads: any. Owns: nothing. Fails: ``load_core`` raises TracerError, which says what to
install; asking costs no exception.
"""

from __future__ import annotations

import os
import sys

from kolo_c.errors import TracerError
from kolo_c.extension import VARIABLE, is_free_threaded
from kolo_c.extension import import_error as c_import_error
from kolo_c.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

_BUILD_HINT = (
    "Install kolo-c again with a C compiler, and the headers of msgpack-c, SQLite and "
    "zstd, at hand (script/bootstrap does it in a source tree), and without "
    "KOLO_C_NO_EXTENSION."
)


class Choice(Frozen):
    """A core and, for ``kolo-c doctor``, the reason it was chosen."""

    name: str
    """"c", "python", or "" where there is none."""
    reason: str


def python_import_error() -> str:
    """Why the Python core cannot be imported; empty where it can."""
    try:
        import sqlite3  # noqa: F401, PLC0415 - it writes with Python's own SQLite
    except ImportError as error:
        return f"the Python core needs Python's sqlite3: {error}"
    return ""


def choose_core(
    asked: str = "auto",
    *,
    c_error: str | None = None,
    python_error: str | None = None,
) -> Choice:
    """Decide between the cores.

    An explicit request is obeyed or refused, never quietly replaced: somebody who
    asks for C is measuring it.
    """
    if asked == "python":
        reason = "it was asked for"
    elif asked == "auto" and is_free_threaded():
        reason = "this Python has no GIL, and importing the C core would switch it on"
    else:
        c_error = c_import_error() if c_error is None else c_error
        if not c_error:
            return Choice(
                "c", "it was asked for" if asked == "c" else "it is built and loads"
            )
        if asked == "c":
            return Choice("", c_error)
        reason = c_error
    python_error = python_import_error() if python_error is None else python_error
    if not python_error:
        return Choice("python", reason)
    return Choice(
        "", python_error if asked == "python" else f"{reason}; {python_error}"
    )


def load_core(asked: str = "auto") -> ModuleType:
    """The core's module. Raises TracerError where the wish cannot be granted."""
    choice = choose_core(asked)
    if choice.name == "c":
        from kolo_c import _kolo  # noqa: PLC0415 - it is there, as asking has shown

        return _kolo
    if choice.name == "python":
        from kolo_c.reference import core  # noqa: PLC0415 - where it is not C

        return core
    if asked == "python":
        hint = 'Record with a Python that has sqlite3, or set core = "c".'
    elif sys.implementation.name != "cpython" or VARIABLE in os.environ:
        hint = 'Set core = "python" (KOLO_C_CORE=python), or "auto".'
    else:
        hint = _BUILD_HINT
    raise TracerError(f"nothing can be recorded: {choice.reason}", hint)
