"""Run ``python -m test`` under a callback that does nothing: what any profiler changes.

    python witness.py HOOK CORE [regrtest arguments]

Threads: attaches every one that the program starts. Owns: nothing. Fails: exit code 2
where there is no such callback for HOOK and CORE.
"""

import atexit
import ctypes
import gc
import runpy
import sys
import threading
from types import CodeType, FunctionType
from typing import Any

CALLS = "PY_START PY_RESUME PY_RETURN PY_YIELD "
EXCEPTIONS = "PY_UNWIND PY_THROW"


def attach_setprofile(core: str) -> None:
    """The C callback of the extension, or a Python function."""
    if core != "c":

        def nothing(*_: object) -> None:
            pass

        sys.setprofile(nothing)
        threading.setprofile(nothing)
        return
    from kolo_c import _kolo  # noqa: PLC0415 - not for the Python core

    def attach(*_: object) -> None:
        _kolo.register_noop_profiler()

    if sys.version_info >= (3, 12):
        attach_monitoring(core, EXCEPTIONS)
    _kolo.register_noop_profiler()
    threading.setprofile(attach)


def attach_monitoring(core: str, names: str) -> None:
    """A tool for the events with these names."""

    def nothing(*_: object) -> None:
        pass

    # For C: a callable that takes anything, and does not return DISABLE.
    callback = nothing if core != "c" else "".format
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None:
        raise SystemExit(2)
    monitoring.use_tool_id(4, "witness")
    wanted = 0
    for name in names.split():
        event = getattr(monitoring.events, name)
        monitoring.register_callback(4, event, callback)
        wanted |= event
    monitoring.set_events(4, wanted)


def use_code_extras() -> None:
    """Leave a word on code objects, as the C core does; for that one moment will do.

    From 3.12 on it does not.
    """
    api = ctypes.pythonapi
    request = api["_PyEval_RequestCodeExtraIndex"]
    request.argtypes = (ctypes.c_void_p,)
    request.restype = ctypes.c_ssize_t
    set_extra = api["_PyCode_SetExtra"]
    set_extra.argtypes = (ctypes.py_object, ctypes.c_ssize_t, ctypes.c_void_p)
    index = request(None)

    def mark(code: CodeType) -> None:
        set_extra(code, index, 1)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                mark(constant)

    @atexit.register
    def mark_all() -> None:
        for each in gc.get_objects():
            if isinstance(each, FunctionType):
                mark(each.__code__)


def main() -> None:
    """Attach, and become ``python -m test``."""
    hook, core = sys.argv[1:3]
    del sys.argv[1:3]
    sys.path[0] = ""  # as with -m; ours has names that tests might import
    if hook == "setprofile":
        attach_setprofile(core)
    elif hook == "monitoring":
        attach_monitoring(core, CALLS + EXCEPTIONS)
    elif hook != "frame_eval":  # Python has no way to stand there; extras it has
        raise SystemExit(2)
    if core == "c" and sys.version_info < (3, 12):
        use_code_extras()
    runpy.run_module("test", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
