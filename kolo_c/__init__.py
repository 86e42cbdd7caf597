"""kolo_c records what a Python program did: every call that matters, with its values.

``import kolo_c`` costs next to nothing: what it offers is imported when it is used.

PYTEST_DONT_REWRITE: pytest would warn of a module that was imported before it.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c import own_builtins

own_builtins.keep(__path__)  # before anything else of ours is imported

# As typing has it, without its 4 ms; type checkers take the name for the same.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c._version import __version__
    from kolo_c.api import Trace, trace
    from kolo_c.errors import KoloError
    from kolo_c.plugins.api import plugin
    from kolo_c.plugins.spec import Kind, Plugin
    from kolo_c.reading import Instance, Masked, Truncated, open
    from kolo_c.within import (
        CurrentTrace,
        Pause,
        current,
        note,
        pause,
        set_filters,
        skip,
    )

__all__ = [
    "CurrentTrace",
    "Instance",
    "Kind",
    "KoloError",
    "Masked",
    "Pause",
    "Plugin",
    "Trace",
    "Truncated",
    "__version__",
    "current",
    "note",
    "open",
    "pause",
    "plugin",
    "set_filters",
    "skip",
    "trace",
]

_HOMES = {
    "__version__": "kolo_c._version",
    "KoloError": "kolo_c.errors",
    "CurrentTrace": "kolo_c.within",
    "Instance": "kolo_c.reading",
    "Kind": "kolo_c.plugins.spec",
    "Masked": "kolo_c.reading",
    "Truncated": "kolo_c.reading",
    "Pause": "kolo_c.within",
    "Plugin": "kolo_c.plugins.spec",
    "Trace": "kolo_c.api",
    "current": "kolo_c.within",
    "note": "kolo_c.within",
    "open": "kolo_c.reading",
    "pause": "kolo_c.within",
    "plugin": "kolo_c.plugins.api",
    "set_filters": "kolo_c.within",
    "skip": "kolo_c.within",
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
