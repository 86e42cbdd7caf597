"""kolo_c records what a Python program did: every call that matters, with its values.

``import kolo_c`` costs next to nothing: what it offers is imported when it is used.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c._version import __version__

# As typing has it, without its 4 ms; type checkers take the name for the same.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.api import Trace, trace
    from kolo_c.errors import KoloError

__all__ = ["KoloError", "Trace", "__version__", "trace"]

_HOMES = {
    "KoloError": "kolo_c.errors",
    "Trace": "kolo_c.api",
    "trace": "kolo_c.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - see above

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
