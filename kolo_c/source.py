"""The program's text: read, compiled, and refused in the words that python uses.

Threads: any. Owns: nothing. Fails: CannotOpen for a file; ``compile_source`` raises
what compile() raises, with python's wording for files.
"""

from __future__ import annotations

import io
import os
import sys
from types import CodeType

from kolo_c.target import CannotOpen, TargetKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.target import Target

# 3.10 says it as compile() does.
_NAMES_THE_BYTE = sys.version_info >= (3, 11)
_PLACES_THE_BYTE = sys.version_info >= (3, 14)


def read_source(target: Target) -> tuple[str, bytes | str | CodeType]:
    """The ``co_filename`` and what to compile. Raises CannotOpen."""
    if target.kind == TargetKind.CODE:
        return "<string>", target.what + "\n"
    if target.kind == TargetKind.STDIN:
        return "<stdin>", sys.stdin.buffer.read() if sys.stdin else b""
    filename = absolute(target.what)
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
    if data[2:4] != b"\r\n":  # as every magic number ends
        return None
    import importlib.util  # noqa: PLC0415 - .pyc files only

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


def absolute(path: str) -> str:
    """As python makes ``__file__`` absolute: joined, not normalised."""
    if os.path.isabs(path):
        return path
    try:
        return f"{os.getcwd()}/{path}"
    except FileNotFoundError:
        return path  # the working directory was deleted


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


def compile_source(
    source: bytes | str | CodeType, filename: str, target: Target
) -> CodeType:
    """The program's code, with nothing inherited from this module."""
    if isinstance(source, CodeType):
        return source
    if target.kind == TargetKind.CODE and sys.version_info >= (3, 14):
        import textwrap  # noqa: PLC0415 - python 3.14 began to do it

        source = textwrap.dedent(str(source))
    if isinstance(source, bytes):
        _check_bytes(source, filename)
    try:
        code: CodeType = compile(source, filename, "exec", dont_inherit=True)
    except SyntaxError as error:
        if _PLACES_THE_BYTE or not error.msg.startswith("unknown encoding: "):
            raise
        message = error.msg.replace("unknown encoding", "encoding problem")
        raise SyntaxError(message) from None
    if target.kind == TargetKind.CODE and sys.version_info >= (3, 13):
        import linecache  # noqa: PLC0415 - -c only

        # From 3.13 on tracebacks show the lines of -c.
        register: Any = linecache._register_code  # type: ignore[attr-defined]
        keyed = hasattr(linecache, "_interactive_cache")
        register(code if keyed else filename, str(source), filename)
    return code


def text_without_file(target: Target, source: bytes | str | CodeType) -> str | None:
    """The text of a program that is in no file; None where a file has it."""
    if isinstance(source, bytes) and target.kind == TargetKind.STDIN:
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
        if not _PLACES_THE_BYTE:
            raise SyntaxError(message) from None
        start = source.rfind(b"\n", 0, error.start) + 1
        column = len(source[start : error.start].decode("utf-8")) + 1
        line = source[start:].split(b"\n", 1)[0].decode("utf-8", "replace")
        place = (filename, number, column, line, number, column)
        raise SyntaxError(message, place) from None
