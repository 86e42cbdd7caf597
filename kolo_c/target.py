"""What ``kolo-c run`` was asked to run, found out as the shell and python would.

A script, ``-m module``, ``-c code``, ``-`` for the standard input, a command on PATH
that is a Python program, and any of these behind a leading ``python``.

Threads: any. Owns: nothing. Fails: RunError, which names the file and the next step.
"""

from __future__ import annotations

import os
import sys

from kolo_c.errors import RunError
from kolo_c.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_USAGE = 2


class TargetKind:
    """The ways to name a program; words, as enum is 1 ms of a start."""

    SCRIPT = "script"
    FOLDER = "folder"
    """A folder or zip file with a ``__main__`` module."""
    MODULE = "module"
    CODE = "code"
    STDIN = "stdin"


class Target(Frozen):
    """A program, and what its ``sys.argv`` will be."""

    kind: str
    what: str
    argv: tuple[str, ...]
    name: str
    """For the trace, and for messages."""
    start: str | None
    """Where the search for the project begins; None is the working directory."""


class CannotOpen(RunError):
    """The program cannot be read. python ends with 2 then, and so do we."""

    slug = "cannot-open"
    exit_code = EXIT_USAGE


def parse_target(words: Sequence[str]) -> Target:
    """The program that the words after the options of ``kolo-c run`` name."""
    if words and _names_python(words[0]):
        words = words[1:]
        _refuse_interpreter_options(words)
    if not words:
        raise _nothing_to_run()
    first, rest = words[0], tuple(words[1:])
    if first == "-":
        return Target(TargetKind.STDIN, "-", ("-", *rest), "stdin", None)
    if first.startswith("-m") or first.startswith("-c"):
        # As python takes them: `-mjson.tool` is `-m json.tool`.
        if not first[2:] and not rest:
            raise RunError(f"{first} needs an argument", _usage(), slug="usage")
        value = first[2:] or rest[0]
        rest = rest if first[2:] else rest[1:]
        if first[1] == "m":
            return Target(TargetKind.MODULE, value, ("-m", *rest), value, None)
        return Target(TargetKind.CODE, value, ("-c", *rest), "-c", None)
    return _file_target(first, rest)


def _file_target(name: str, rest: tuple[str, ...]) -> Target:
    if not os.path.lexists(name) and os.sep not in name:
        command = _python_command(name)
        if command:
            return Target(TargetKind.SCRIPT, command, (command, *rest), name, None)
    kind = TargetKind.FOLDER if _has_importer(name) else TargetKind.SCRIPT
    start = name if os.path.isdir(name) else os.path.dirname(name)
    return Target(kind, name, (name, *rest), os.path.basename(name) or name, start)


def _has_importer(name: str) -> bool:
    """Whether python would import ``__main__`` from it: a folder or a zip file."""
    if os.path.isdir(name):
        return True
    if name.endswith((".py", ".pyc")):
        return False
    import zipfile  # noqa: PLC0415 - only for a file that does not look like a script

    return zipfile.is_zipfile(name)


def _python_command(name: str) -> str:
    """The Python program of this name on PATH, or beside this interpreter."""
    import shutil  # noqa: PLC0415 - commands only, and 1.5 ms

    found = shutil.which(name)
    beside = shutil.which(name, path=os.path.dirname(sys.executable))
    for path in (found, beside):
        if path and _is_python_program(path):
            return path
    if found:
        raise RunError(
            f"{found} is not a Python program",
            f"Only Python programs can be recorded. If {name} starts one, run that: "
            "kolo-c run script.py, or kolo-c run -m module.",
        )
    return ""


def _is_python_program(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError:
        return False
    first, _, second = head.partition(b"\n")
    if not first.startswith(b"#!"):
        return False
    # pip writes the second form where the interpreter's path is too long for the first.
    return b"python" in first or (b"/sh" in first and second.startswith(b"'''exec'"))


def _names_python(word: str) -> bool:
    """Whether a word is a python; one that is not ours is refused."""
    name = os.path.basename(word)
    if not name.startswith("python") or (os.sep not in word and os.path.isfile(word)):
        return False
    import re  # noqa: PLC0415 - 2 ms that other programs do without

    if not re.fullmatch(r"python(\d+(\.\d+)?)?t?", name):
        return False
    version = name.removeprefix("python").rstrip("t")
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    other = version not in ("", "3", running)
    if os.sep in word:
        mine = os.path.realpath(os.path.dirname(os.path.abspath(sys.executable)))
        other = (
            other or os.path.realpath(os.path.dirname(os.path.abspath(word))) != mine
        )
    if other:
        raise RunError(
            f"{word} is not the Python that kolo-c runs in ({sys.executable})",
            f"Install kolo-c there and run: {word} -m kolo_c run …",
        )
    return True


_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


def _refuse_interpreter_options(words: Sequence[str]) -> None:
    first = words[0] if words else "-"
    if first.startswith("-") and first != "-" and first[:2] not in ("-m", "-c"):
        option = first
        if first in _WITH_VALUE and len(words) > 1:
            import shlex  # noqa: PLC0415 - only for a mistake

            option = f"{first} {shlex.quote(words[1])}"
        raise RunError(
            f"python's option {option} cannot be set once python runs",
            f"Give it to the python that runs kolo_c: python {option} -m kolo_c run …",
        )


def _nothing_to_run() -> RunError:
    return RunError("there is no program to run", _usage(), slug="usage")


def _usage() -> str:
    return (
        "Write: kolo-c run script.py [arguments], or -m module, -c code, - for stdin, "
        "or the name of a Python command."
    )
