"""Which core traces here, and why: the C extension, or the Python one.

Threads: any. Owns: nothing. Fails: ``load_core`` raises TracerError, which says what to
install; asking costs no exception.
"""

from __future__ import annotations

import sys

from kolo_c.errors import TracerError
from kolo_c.extension import import_error as c_import_error
from kolo_c.extension import is_free_threaded
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


def choose_core(asked: str = "auto", *, c_error: str | None = None) -> Choice:
    """Decide between the cores.

    An explicit request is obeyed or refused, never quietly replaced: somebody who
    asks for C is measuring it.
    """
    if asked == "python":
        return Choice("", "the Python core is not part of this version")
    if asked == "auto" and is_free_threaded():
        return Choice(
            "",
            "this Python has no GIL, and the C core would switch it on; "
            'core = "c" asks for that',
        )
    c_error = c_import_error() if c_error is None else c_error
    if c_error:
        return Choice("", c_error)
    return Choice("c", "it was asked for" if asked == "c" else "it is built and loads")


def load_core(asked: str = "auto") -> ModuleType:
    """The core's module. Raises TracerError where the wish cannot be granted."""
    choice = choose_core(asked)
    if choice.name == "c":
        from kolo_c import _kolo  # noqa: PLC0415 - it is there, as asking has shown

        return _kolo
    implementation = sys.implementation.name
    if asked == "python":
        hint = 'Set core = "c" or "auto".'
    elif implementation != "cpython":
        hint = f"Record with CPython; {implementation} has no C core."
    elif is_free_threaded():
        hint = 'Set core = "c" (KOLO_C_CORE=c), or record with a Python that has a GIL.'
    else:
        hint = _BUILD_HINT
    raise TracerError(f"nothing can be recorded: {choice.reason}", hint)
