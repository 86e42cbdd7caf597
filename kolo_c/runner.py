"""Run a program as python would: argv, path, ``__main__``, exit code, tracebacks.

What python itself can do is left to python: ``-m`` and folders go through runpy, a
SystemExit passes through to the interpreter, an unhandled KeyboardInterrupt too, so
that it ends the process by the signal. Threads and exit handlers run when the
interpreter ends, as always; who records registers its own exit handler before, and so
comes last.

Threads: the main one. Owns: ``sys.modules["__main__"]``, ``sys.argv``, ``sys.path[0]``
from ``run`` on. Fails: CannotOpen before anything was changed; later exceptions are
the program's, and are shown as python shows them.
"""

from __future__ import annotations

import builtins
import os
import sys
from types import ModuleType

from kolo_c.shadow import forget_shadowed
from kolo_c.source import absolute, compile_source, read_source, text_without_file
from kolo_c.target import TargetKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, TracebackType
    from typing import Any, Protocol

    from kolo_c.target import Target
else:
    Protocol = object  # typing costs 4 ms

# Since gh-152132 python takes `__file__` out of `__main__` before it looks at how the
# script ended; before, after it has shown an exception, and not on SystemExit.
_FORGETS_FILE_FIRST = sys.version_info >= (
    (3, 13, 15) if sys.version_info < (3, 14) else (3, 14, 7)
)


_MISSING = object()


class Recorder(Protocol):
    """Who wants to know when the program begins and how it ended."""

    def begin(self, code: CodeType | None, source: str | None) -> None:
        """The program is about to run.

        ``code`` is what was compiled for it here; ``source`` is its text where that is
        in no file.
        """
        ...

    def did_not_compile(self) -> None:
        """It is not Python: nothing of it has run."""
        ...

    def exited(self, error: SystemExit) -> None:
        """The program asked to end; it is not to be kept alive."""
        ...

    def failed(self, error: BaseException) -> None:
        """An exception left the program, and has been shown."""
        ...


def run(target: Target, recorder: Recorder) -> int:
    """Run the program and return its exit code; SystemExit and Ctrl-C pass through."""
    if target.kind in (TargetKind.MODULE, TargetKind.FOLDER):
        return _run_module(target, recorder)
    return _run_code(target, recorder)


def _run_module(target: Target, recorder: Recorder) -> int:
    import runpy  # noqa: PLC0415 - -m and folders only

    _enter(target)
    name = target.what if target.kind == TargetKind.MODULE else "__main__"
    # What `python -m` calls, so that the traceback has the frames that it would have.
    run_as_main: Callable[..., Any] = runpy._run_module_as_main  # type: ignore[attr-defined]

    def execute() -> None:
        run_as_main(name, alter_argv=target.kind == TargetKind.MODULE)

    recorder.begin(None, None)
    return _finish(execute, recorder)


def _run_code(target: Target, recorder: Recorder) -> int:
    filename, source = read_source(target)
    main = _enter(target)
    try:
        code = compile_source(source, filename, target)
    except (
        SyntaxError,
        ValueError,
        OverflowError,
        RecursionError,
        MemoryError,
    ) as error:
        _show(error.with_traceback(None))
        recorder.did_not_compile()
        return 1
    names: dict[str, Any] = main.__dict__
    if target.kind != TargetKind.CODE:
        names["__file__"] = filename
        if sys.version_info < (3, 15):
            names["__cached__"] = None

    def forget_file() -> None:
        if target.kind != TargetKind.CODE:
            names.pop("__file__", None)
            names.pop("__cached__", None)

    def execute() -> None:
        try:
            exec(code, names)
        finally:
            if _FORGETS_FILE_FIRST:
                forget_file()

    recorder.begin(code, text_without_file(target, source))
    exit_code = _finish(execute, recorder)
    forget_file()
    return exit_code


def _finish(execute: Callable[[], None], recorder: Recorder) -> int:
    try:
        execute()
    except SystemExit as error:
        recorder.exited(error)
        raise
    except KeyboardInterrupt as error:
        _show(error)
        recorder.failed(error)
        _be_silent_once()
        # Only the interpreter can end by SIGINT after its exit handlers have run.
        raise
    except BaseException as error:
        try:
            _show(error)
        finally:  # a hook may ask to end, with an exit code of its own
            recorder.failed(error)
        return 1
    _flush()
    return 0


def _show(error: BaseException) -> None:
    """What the interpreter does with an exception that nobody handled."""
    # Not by name, which may be the program's to answer.
    field = BaseException.__dict__["__traceback__"]
    traceback = _program_part(field.__get__(error))
    field.__set__(error, traceback)
    kind = type(error)
    sys.last_type, sys.last_value, sys.last_traceback = kind, error, traceback
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    _flush_stdout()
    hook: Any = getattr(sys, "excepthook", _MISSING)
    sys.audit(
        "sys.excepthook", None if hook is _MISSING else hook, kind, error, traceback
    )
    if hook is _MISSING:
        _write("sys.excepthook is missing\n")
        sys.__excepthook__(kind, error, traceback)
    else:
        try:
            hook(kind, error, traceback)
        except SystemExit:
            raise
        except BaseException as second:
            _write("Error in sys.excepthook:\n")
            inner = _program_part(second.__traceback__)
            second.__context__ = None
            sys.__excepthook__(type(second), second.with_traceback(inner), inner)
            _write("\nOriginal exception was:\n")
            sys.__excepthook__(kind, error, traceback)
    _flush()


def _program_part(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of this module, which come first."""
    while traceback is not None and traceback.tb_frame.f_globals is globals():
        traceback = traceback.tb_next
    return traceback


def _be_silent_once() -> None:
    """The next unhandled exception is not shown: it has been."""
    original = sys.excepthook

    def silent(*_: object) -> None:
        sys.excepthook = original

    sys.excepthook = silent


def _enter(target: Target) -> ModuleType:
    """Make the process look like one that python started for ``target``."""
    # A list of its own, as programs change it.
    sys.argv = list(target.argv)
    first = _first_path(target)
    always = target.kind == TargetKind.FOLDER
    if always or not _has_safe_path():
        if _has_safe_path():
            sys.path.insert(0, first)
        else:
            sys.path[0] = first
    forget_shadowed(first or os.getcwd())
    main = ModuleType("__main__")
    names: dict[str, Any] = main.__dict__
    names["__loader__"] = _loader(target)
    if sys.version_info < (3, 14):
        names["__annotations__"] = {}
    names["__builtins__"] = builtins
    sys.modules["__main__"] = main
    return main


def _has_safe_path() -> bool:
    if sys.version_info >= (3, 11):
        return sys.flags.safe_path
    return bool(sys.flags.isolated)


def _first_path(target: Target) -> str:
    if target.kind == TargetKind.MODULE:
        return os.getcwd()
    if target.kind in (TargetKind.CODE, TargetKind.STDIN):
        return ""
    if target.kind == TargetKind.FOLDER:
        return absolute(target.what)
    return os.path.dirname(os.path.realpath(target.what))


def _loader(target: Target) -> Any:
    # What importlib.machinery has, from where it has it: python did not import that.
    from _frozen_importlib import BuiltinImporter  # noqa: PLC0415
    from _frozen_importlib_external import (  # noqa: PLC0415
        SourceFileLoader,
        SourcelessFileLoader,
    )

    if target.kind != TargetKind.SCRIPT:
        return BuiltinImporter
    if target.what.endswith(".pyc"):
        return SourcelessFileLoader("__main__", absolute(target.what))
    return SourceFileLoader("__main__", absolute(target.what))


def _flush_stdout() -> None:
    try:
        sys.stdout.flush()
    except Exception:
        pass  # as the interpreter: it is said when the stream is closed at the end


def _flush() -> None:
    try:
        sys.stderr.flush()
    except Exception:
        pass
    _flush_stdout()


def _write(text: str) -> None:
    try:
        sys.stderr.write(text)
    except Exception:
        pass
