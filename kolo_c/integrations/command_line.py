"""What the interpreter was told to run, before it runs it.

``sys.orig_argv`` has the words of the command, ``sys.argv`` what the program will see
of them (of a module its place is taken by ``-m``).

Threads: any. Owns: nothing. Fails: never; what cannot be told is the working
directory's program, without a name.
"""

from __future__ import annotations

import os
import sys

from kolo_c.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# As they are called, and as -m names them. What they run is theirs to start.
_OWN = frozenset(("kolo-c", "kolo_c"))
_INSTALLERS = frozenset(("pip", "ensurepip", "venv", "virtualenv"))
_WITH_VALUE = "WXQ"
_LONG_WITH_VALUE = ("--check-hash-based-pycs", "--help-env")
_WORKERS = {
    "from multiprocessing.spawn import": "multiprocessing worker",
    "from multiprocessing.forkserver import": "multiprocessing forkserver",
    "from multiprocessing.resource_tracker import": "multiprocessing resource tracker",
}


class Program(Frozen):
    """What is about to run."""

    name: str
    """For the trace, and for messages."""
    argv: tuple[str, ...]
    start: str | None
    """Where the search for the project begins; None is the working directory."""
    folder: str | None
    """What will be first on the program's path; None where nothing will."""
    is_tool: bool = False
    """One of those that are left alone."""
    main_file: str = ""
    """What the program's own code calls its file, where it has none."""
    source: str | None = None
    """Its text then, as far as it is known."""


def find_program() -> Program:
    """The program of this process."""
    argv = tuple(getattr(sys, "argv", ()))  # PyPy sets it later
    words = tuple(getattr(sys, "orig_argv", ())) or (sys.executable or "", *argv)
    kind, what, rest = split_command(words[1:])
    cwd = "" if not _is_safe() else None
    if kind == "m":
        tool = what.partition(".")[0] in _OWN | _INSTALLERS
        return Program(what, argv or ("-m", *rest), None, cwd, tool)
    if kind == "c":
        name = next(
            (name for text, name in _WORKERS.items() if what.startswith(text)), "-c"
        )
        given = argv or ("-c", *rest)
        main = "<string>" if name == "-c" else ""
        return Program(name, given, None, cwd, False, main, what)
    if not kind or what == "-":
        piped = "<stdin>" if not _is_interactive() else ""
        return Program("stdin", argv or (what, *rest), None, cwd, False, piped)
    return _script(what, argv or (what, *rest))


def _script(path: str, argv: tuple[str, ...]) -> Program:
    name = os.path.basename(path.rstrip("/")) or path
    is_folder = os.path.isdir(path)
    folder = path if is_folder else os.path.dirname(path)
    start: str | None = folder
    if not is_folder and _is_command_folder(folder):
        start = None  # a command's place says nothing of what it works on
    plain = name.removesuffix(".py").rstrip("0123456789.")
    tool = start is None and plain in _OWN | _INSTALLERS
    first = os.path.dirname(os.path.realpath(path)) if not is_folder else path
    return Program(name, argv, start, None if _is_safe() else first, tool)


def split_command(words: Sequence[str]) -> tuple[str, str, tuple[str, ...]]:
    """The kind of program ("c", "m", "f" for a file, "" for none), it, and its words.

    As the interpreter reads them: options first, of which some have a value, several
    letters behind one dash.
    """
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "-" or not word.startswith("-"):
            return "f", word, tuple(words[at:])
        if word.startswith("--"):
            at += word in _LONG_WITH_VALUE
            continue
        for place, letter in enumerate(word[1:], 2):
            if letter in "cm":
                value = word[place:]
                if not value and at < len(words):
                    value = words[at]
                    at += 1
                return letter, value, tuple(words[at:])
            if letter in _WITH_VALUE:
                at += not word[place:]
                break
    return "", "", ()


def _is_command_folder(folder: str) -> bool:
    """Whether commands lie there: on PATH, or beside the interpreter."""
    if not os.path.isabs(folder):
        return False
    places = os.environ.get("PATH", "").split(os.pathsep)
    return folder in places or folder == os.path.dirname(sys.executable or "")


def _is_interactive() -> bool:
    try:
        return bool(sys.flags.interactive) or os.isatty(0)
    except OSError:
        return False


def _is_safe() -> bool:
    if sys.version_info >= (3, 11):
        return sys.flags.safe_path
    return bool(sys.flags.isolated)
