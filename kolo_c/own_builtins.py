"""Builtins of our own: what a program puts in the place of ``len`` is not called by us.

A program may replace a builtin (a test its ``open``, a cache its ``len``). What of ours
runs inside it would then call the program's, from within an event, and what that
counts, changes or raises would be seen. Modules from a folder that was given to
``keep``, and from packages in it, have the builtins as they were when kolo_c was
imported.

A module's functions take the builtins that stand in its ``__builtins__``, which the
import system leaves alone where it is there. PyPy has one set for all.

Tests replace functions of ``os`` and ``os.path`` more often still. ``path`` is os.path
with the functions as they were, each of which calls the others as they were.

Threads: any. Owns: the finder of each folder, in ``sys.path_importer_cache``.
Fails: never; what is not in a folder is imported as always.
"""

from __future__ import annotations

import builtins
import os
import sys
from _frozen_importlib_external import (  # type: ignore[attr-defined]  # for its cost
    FileFinder,
    FileLoader,
    SourceFileLoader,
    SourceLoader,
    _get_supported_file_loaders,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType
    from typing import Any

KEPT = dict(vars(builtins))


def _own_path() -> Any:
    """A copy of ``os.path``, whose functions know that copy, and a copy of ``os``."""
    # As types has them, which is an import more.
    function: Any = type(_own_path)
    namespace: Any = type(sys.implementation)
    names = dict(vars(os.path))
    for name, value in vars(os.path).items():
        if type(value) is function:
            code, defaults = value.__code__, value.__defaults__
            own = function(code, names, name, defaults, value.__closure__)
            own.__kwdefaults__ = value.__kwdefaults__
            names[name] = own
    names["os"] = namespace(**vars(os))
    names["__builtins__"] = KEPT
    return namespace(**names)


path = _own_path()


class Loader(FileLoader, SourceLoader):
    """Imports a module with the builtins that were kept.

    It is no SourceFileLoader, but has all of it: the modules of such a loader are
    changed by who rewrites programs (pytest its plugins', for their assertions), and
    imported without ours.
    """

    path_stats = SourceFileLoader.path_stats
    set_data = SourceFileLoader.set_data
    _cache_bytecode = SourceFileLoader._cache_bytecode  # type: ignore[attr-defined]

    def exec_module(self, module: ModuleType) -> None:
        self.prepare(module)
        super().exec_module(module)

    def prepare(self, module: ModuleType) -> None:
        """Have what ``module`` runs, and what is in it, run with the builtins kept."""
        module.__dict__["__builtins__"] = KEPT
        keep(module.__dict__.get("__path__", ()))


def keep(folders: Sequence[str]) -> None:
    """Have the modules in these ``folders`` imported with builtins of their own."""
    if not folders:
        return
    loaders: list[tuple[Any, Any]] = [
        (Loader if loader is SourceFileLoader else loader, suffixes)
        for loader, suffixes in _get_supported_file_loaders()
    ]
    for folder in folders:
        if os.path.isdir(folder):
            sys.path_importer_cache[folder] = FileFinder(folder, *loaders)
