"""Modules of the program and of the library that have the same name.

What we import before the program must not stand in the way of its own; what we import
after it must be the library's.

Threads: the main one. Owns: nothing. Fails: ``forget_shadowed`` never.
"""

from __future__ import annotations

import os
import sys

# Imported by every python before a script runs: a file of the same name beside the
# script does not replace them.
_STARTUP_MODULES = frozenset(
    "abc builtins codecs encodings genericpath io marshal os posix posixpath site "
    "sitecustomize stat sys time usercustomize winreg zipimport".split()
)

# As long as nothing of the program has run.
_LIBRARY_PATH = tuple(sys.path)


def forget_shadowed(folder: str) -> None:
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
        if not any(os.path.exists(f"{folder}/{name}{end}") for end in _endings()):
            continue
        for loaded in list(sys.modules):
            if loaded == name or loaded.startswith(name + "."):
                del sys.modules[loaded]


def _endings() -> list[str]:
    """What stands behind a module's name in its file's, or in its package's."""
    from _imp import extension_suffixes  # noqa: PLC0415 - hardly ever needed

    ends = [".py", ".pyc", *extension_suffixes()]
    return [*ends, *(f"/__init__{end}" for end in ends)]


def find_library_again() -> None:
    """After the program's end: let imports find the library's modules.

    Not those of the same name that are in the program's folder, nor what it has put in
    their place.
    """
    sys.path[:] = _LIBRARY_PATH
    library = os.path.dirname(os.__file__) + os.sep
    names = sys.stdlib_module_names & sys.modules.keys()
    if sys.implementation.name == "pypy":  # they do not say what they are
        names -= set(sys.builtin_module_names)
    for name in names:
        origin = getattr(getattr(sys.modules[name], "__spec__", None), "origin", None)
        if origin in ("built-in", "frozen") or str(origin).startswith(library):
            continue
        for loaded in list(sys.modules):
            if loaded == name or loaded.startswith(name + "."):
                del sys.modules[loaded]


def end_by_signal() -> None:
    """Let the interpreter end by SIGINT, as an unhandled Ctrl-C makes it.

    It forgets that with the next text that is given to ``exec``, and what was imported
    for the story has such. Another Ctrl-C that nobody handles reminds it.
    """
    try:
        exec("raise KeyboardInterrupt")
    except BaseException:
        pass
