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
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, ModuleType, TracebackType
from typing import Any, Protocol

from kolo_c.target import CannotOpen, Target, TargetKind

# Imported by every python before a script runs: a file of the same name beside the
# script does not replace them.
_STARTUP_MODULES = frozenset(
    "abc builtins codecs encodings genericpath io marshal os posix posixpath site "
    "sitecustomize stat sys time usercustomize winreg zipimport".split()
)

# 3.10 says it as compile() does.
_NAMES_THE_BYTE = sys.version_info >= (3, 11)


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
    name = target.what if target.kind is TargetKind.MODULE else "__main__"
    # What `python -m` calls, so that the traceback has the frames that it would have.
    run_as_main: Callable[..., Any] = runpy._run_module_as_main  # type: ignore[attr-defined]

    def execute() -> None:
        run_as_main(name, alter_argv=target.kind is TargetKind.MODULE)

    recorder.begin(None, None)
    return _finish(execute, recorder)


def _run_code(target: Target, recorder: Recorder) -> int:
    filename, source = _read_source(target)
    main = _enter(target)
    try:
        code = _compile(source, filename, target)
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
    if target.kind is not TargetKind.CODE:
        names["__file__"] = filename
        if sys.version_info < (3, 15):
            names["__cached__"] = None

    def execute() -> None:
        exec(code, names)

    recorder.begin(code, _text_without_file(target, source))
    exit_code = _finish(execute, recorder)
    # As python does, once a script has come to its end or failed (not on SystemExit).
    if target.kind is not TargetKind.CODE:
        names.pop("__file__", None)
        names.pop("__cached__", None)
    return exit_code


def _finish(execute: Callable[[], None], recorder: Recorder) -> int:
    try:
        execute()
    except SystemExit:
        raise
    except KeyboardInterrupt as error:
        _show(error)
        recorder.failed(error)
        with _once_silent():
            # Only the interpreter can end by SIGINT after its exit handlers have run.
            raise
    except BaseException as error:
        _show(error)
        recorder.failed(error)
        return 1
    _flush()
    return 0


def _show(error: BaseException) -> None:
    """What the interpreter does with an exception that nobody handled."""
    traceback = _program_part(error.__traceback__)
    error.__traceback__ = traceback
    kind = type(error)
    sys.last_type, sys.last_value, sys.last_traceback = kind, error, traceback
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    _flush_stdout()
    hook: Any = getattr(sys, "excepthook", None)
    sys.audit("sys.excepthook", hook, kind, error, traceback)
    if hook is None:
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


@contextmanager
def _once_silent() -> Iterator[None]:
    """The next unhandled exception is not shown: it has been."""
    original = sys.excepthook

    def silent(*_: object) -> None:
        sys.excepthook = original

    sys.excepthook = silent
    yield


def _enter(target: Target) -> ModuleType:
    """Make the process look like one that python started for ``target``."""
    # A list of its own, as programs change it.
    sys.argv = list(target.argv)
    first = _first_path(target)
    always = target.kind is TargetKind.FOLDER
    if always or not _has_safe_path():
        if _has_safe_path():
            sys.path.insert(0, first)
        else:
            sys.path[0] = first
    _forget_shadowed(first or os.getcwd())
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
    if target.kind is TargetKind.MODULE:
        return os.getcwd()
    if target.kind in (TargetKind.CODE, TargetKind.STDIN):
        return ""
    if target.kind is TargetKind.FOLDER:
        return _absolute(target.what)
    return os.path.dirname(os.path.realpath(target.what))


def _loader(target: Target) -> Any:
    from importlib.machinery import (  # noqa: PLC0415 - in sys.modules anyway
        BuiltinImporter,
        SourceFileLoader,
        SourcelessFileLoader,
    )

    if target.kind is not TargetKind.SCRIPT:
        return BuiltinImporter
    if target.what.endswith(".pyc"):
        return SourcelessFileLoader("__main__", _absolute(target.what))
    return SourceFileLoader("__main__", _absolute(target.what))


def _forget_shadowed(folder: str) -> None:
    """Let the program import its own module where we have the library's of that name.

    A script beside a `token.py` gets that one from `import token`. Modules that we have
    imported by now, and python would not have, must not stand in its way.
    """
    try:
        names = {entry.split(".")[0] for entry in os.listdir(folder)}
    except OSError:
        return
    for name in names & (sys.stdlib_module_names - _STARTUP_MODULES):
        spec = getattr(sys.modules.get(name), "__spec__", None)
        if spec is None or spec.origin in ("built-in", "frozen"):
            continue
        if not any(
            os.path.exists(os.path.join(folder, name + end))
            for end in (".py", "/__init__.py")
        ):
            continue
        for loaded in list(sys.modules):
            if loaded == name or loaded.startswith(name + "."):
                del sys.modules[loaded]


def _read_source(target: Target) -> tuple[str, bytes | str | CodeType]:
    """The ``co_filename`` and what to compile. Raises CannotOpen."""
    if target.kind is TargetKind.CODE:
        return "<string>", target.what + "\n"
    if target.kind is TargetKind.STDIN:
        return "<stdin>", sys.stdin.buffer.read() if sys.stdin else b""
    filename = _absolute(target.what)
    try:
        with io.open_code(filename) as file:
            data = file.read()
    except OSError as error:
        raise CannotOpen(
            f"cannot open {target.what}: {error.strerror or error}",
            _hint_for_missing(target.what)
            if isinstance(error, FileNotFoundError)
            else "Check the file and its permissions.",
        ) from None
    return filename, _unmarshalled(filename, data) or data


def _unmarshalled(filename: str, data: bytes) -> CodeType | None:
    """The code of a compiled file (.pyc), which python runs as well."""
    import importlib.util  # noqa: PLC0415 - in sys.modules anyway

    if data[:4] != importlib.util.MAGIC_NUMBER:
        return None
    import marshal  # noqa: PLC0415

    try:
        code = marshal.loads(data[16:])
    except (EOFError, ValueError, TypeError):
        raise CannotOpen(
            f"{filename} is a damaged .pyc file", "Run the .py file it was made from."
        ) from None
    return code if isinstance(code, CodeType) else None


def _absolute(path: str) -> str:
    """As python makes ``__file__`` absolute: joined, not normalised."""
    if os.path.isabs(path):
        return path
    return f"{os.getcwd()}/{path}"


def _hint_for_missing(path: str) -> str:
    from kolo_c.settings import nearest  # noqa: PLC0415 - the error only

    folder, name = os.path.split(path)
    try:
        found = nearest(name, os.listdir(folder or "."))
    except OSError:
        return f"There is no folder {folder}."
    if found:
        return f"Did you mean {os.path.join(folder, found)}?"
    return "Check the name; for a module, write kolo-c run -m NAME."


def _compile(source: bytes | str | CodeType, filename: str, target: Target) -> CodeType:
    if isinstance(source, CodeType):
        return source
    if target.kind is TargetKind.CODE and sys.version_info >= (3, 14):
        import textwrap  # noqa: PLC0415 - python 3.14 began to do it

        source = textwrap.dedent(str(source))
    if isinstance(source, bytes):
        _check_bytes(source, filename)
    try:
        code: CodeType = compile(source, filename, "exec", dont_inherit=True)
    except SyntaxError as error:
        if not error.msg.startswith("unknown encoding: "):
            raise
        message = error.msg.replace("unknown encoding", "encoding problem")
        raise SyntaxError(message) from None
    if target.kind is TargetKind.CODE and sys.version_info >= (3, 13):
        import linecache  # noqa: PLC0415 - -c only

        # From 3.13 on tracebacks show the lines of -c.
        register: Any = linecache._register_code  # type: ignore[attr-defined]
        keyed = hasattr(linecache, "_interactive_cache")
        register(code if keyed else filename, str(source), filename)
    return code


def _text_without_file(target: Target, source: bytes | str | CodeType) -> str | None:
    if isinstance(source, bytes) and target.kind is TargetKind.STDIN:
        return source.decode("utf-8", "replace")
    return source if isinstance(source, str) else None


def _check_bytes(source: bytes, filename: str) -> None:
    """Say what python says of a file that is not text; compile() has other words."""
    nul = source.find(b"\0")
    if nul >= 0:
        start = source.rfind(b"\n", 0, nul) + 1
        number = source.count(b"\n", 0, nul) + 1
        line = source[start:nul].decode("utf-8", "replace")
        raise SyntaxError(
            "source code cannot contain null bytes", (filename, number, None, line)
        )
    if not _NAMES_THE_BYTE or b"coding" in b"".join(source.split(b"\n", 2)[:2]):
        return
    try:
        source.decode("utf-8")
    except UnicodeDecodeError as error:
        number = source.count(b"\n", 0, error.start) + 1
        message = (
            f"Non-UTF-8 code starting with '\\x{source[error.start]:02x}' in file "
            f"{filename} on line {number}, but no encoding declared; "
            "see https://peps.python.org/pep-0263/ for details"
        )
        raise SyntaxError(message) from None


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
