"""The extension ``kolo_c._kolo``, where it is built and wanted.

With ``KOLO_C_NO_EXTENSION`` in the environment of a process (and neither empty nor 0)
nothing of kolo_c imports it there. Nothing does in a free-threaded Python either, whose
GIL it would switch on, unless a session asks for the C core by name.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = "kolo_c._kolo"
VARIABLE = "KOLO_C_NO_EXTENSION"


def is_free_threaded() -> bool:
    """Whether importing the extension would switch the GIL on."""
    # sysconfig would say it too, but brings its build data into the program.
    return "t" in getattr(sys, "abiflags", "")


def import_error() -> str:
    """Why the C core cannot be imported; empty where it can, which imports it."""
    if os.environ.get(VARIABLE, "") not in ("", "0"):
        return f"{VARIABLE} is set"
    try:
        import kolo_c._kolo  # noqa: F401, PLC0415 - asking is what imports it
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == NAME:
            return f"the extension {NAME} was not built"
        return f"the extension {NAME} cannot be loaded: {error}"
    return ""


def extension_for_reading() -> Any:
    """The module, or None: what reads the store does without it, if more slowly."""
    if is_free_threaded() and NAME not in sys.modules:
        return None
    return None if import_error() else sys.modules[NAME]
