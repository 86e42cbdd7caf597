"""Modules that are known to be needed, imported without a search for each of them.

Where a module of ours lies and which loader it gets is known, so that what is left of
an import is to read its compiled code and to run it. The import system takes four
times as long for that, and a start has forty modules.

Threads: the main one, before there are others. Owns: nothing. Fails: as an import does.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
from _frozen_importlib import ModuleSpec, module_from_spec  # for its cost
from _frozen_importlib_external import MAGIC_NUMBER, cache_from_source

from kolo_c.own_builtins import Loader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType
    from typing import Any

# What a session is begun with, each after those that it imports.
SESSION = (
    "kolo_c.errors",
    "kolo_c.extension",
    "kolo_c.frozen",
    "kolo_c.core",
    "kolo_c.store.",
    "kolo_c.store.private",
    "kolo_c.store.locate",
    "kolo_c.settings",
    "kolo_c.function_rules",
    "kolo_c.config",
    "kolo_c.project",
    "kolo_c.filter",
    "kolo_c._version",
    "kolo_c.masking",
    "kolo_c.core_options",
    "kolo_c.plain",
    "kolo_c.process_info",
    "kolo_c.scope",
    "kolo_c.facts",
    "kolo_c.filter_sets",
    "kolo_c.forks",
    "kolo_c.hook",
    "kolo_c.identifiers",
    "kolo_c.plugins.",
    "kolo_c.plugins.boundaries",
    "kolo_c.plugins.builtin.",
    "kolo_c.plugins.builtin.table_sql",
    "kolo_c.plugins.builtin.table",
    "kolo_c.plugins.spec",
    "kolo_c.plugins.registry",
    "kolo_c.summary",
    "kolo_c.session",
)
_FOLDER = os.path.dirname(os.path.dirname(__file__))
# Where Python keeps what it has compiled of `x.py`, which is this without the folder.
_CACHED = cache_from_source("x.py")


def bring_in(names: Iterable[str]) -> None:
    """Import modules of ours, each after those that it imports itself.

    ``NAME.`` is a package. One that is not as expected is imported as always.
    """
    for name in names:
        is_package = name[-1] == "."
        name = name.rstrip(".")
        if name not in sys.modules:
            path = f"{_FOLDER}/{name.replace('.', '/')}"
            folder, _, stem = path.rpartition("/")
            if is_package:
                folder, stem = path, "__init__"
            path = f"{folder}/{stem}.py"
            cached = f"{folder}/{_CACHED.replace('x', stem, 1)}"
            code = _compiled(path, cached)
            if code is None:
                __import__(name)
            else:
                _load(name, path, cached, code, is_package)


def _load(name: str, path: str, cached: str, code: CodeType, is_package: bool) -> None:
    loader: Any = Loader(name, path)
    spec = ModuleSpec(name, loader, origin=path, is_package=is_package)
    if spec.submodule_search_locations is not None:
        spec.submodule_search_locations.append(os.path.dirname(path))
    spec.cached = cached
    spec.has_location = True
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.prepare(module)
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    parent, _, own = name.rpartition(".")
    setattr(sys.modules[parent], own, module)


def _compiled(path: str, cached: str) -> CodeType | None:
    """What Python has compiled of the file at ``path``, if it is of today's."""
    try:
        source = os.stat(path)
        file = os.open(cached, os.O_RDONLY)
        try:
            data = os.read(file, os.fstat(file).st_size)
        finally:
            os.close(file)
    except OSError:
        return None
    of_source = int(source.st_mtime) & 0xFFFFFFFF, source.st_size & 0xFFFFFFFF
    numbers = b"".join([number.to_bytes(4, "little") for number in (0, *of_source)])
    if data[:4] != MAGIC_NUMBER or data[4:16] != numbers:
        return None  # older, or told from its source in another way
    code: CodeType = marshal.loads(memoryview(data)[16:])
    _imp._fix_co_filename(code, path)  # type: ignore[attr-defined]  # as importlib
    return code
