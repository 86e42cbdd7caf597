"""Modules that are imported without a search are as if they had been searched for."""

from __future__ import annotations

import os
import py_compile
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from kolo_c import quick_import
from kolo_c.core import c_import_error
from kolo_c.own_builtins import KEPT

ROOT = Path(__file__).parents[2]
FOUND_BY_SEARCH = {
    "kolo_c",
    "kolo_c._kolo",
    "kolo_c.integrations",
    "kolo_c.integrations.startup",
    "kolo_c.own_builtins",
    "kolo_c.quick_import",
}
DESCRIBE = """\
import sys
names = sys.argv[2:]
if sys.argv[1] == "quick":
    from kolo_c.quick_import import bring_in
    bring_in(names)
names = [name.rstrip(".") for name in names]
for name in names:
    __import__(name)
for name in names:
    module = sys.modules[name]
    parent, _, own = name.rpartition(".")
    assert getattr(sys.modules[parent], own) is module
    spec = module.__spec__
    print(spec.name, spec.origin, spec.cached, spec.parent, spec.has_location)
    print(type(spec.loader), spec.loader.name, spec.loader.path)
    print(spec.submodule_search_locations, sorted(vars(module)))
    print([getattr(module, name, None) for name in
           ("__file__", "__cached__", "__package__", "__path__", "__doc__")])
    print(len(module.__builtins__), module.__builtins__ is sys.modules["builtins"])
"""


def python(folder: Path, *words: str, **variables: str) -> tuple[str, str]:
    environ = {
        name: text
        for name, text in os.environ.items()
        if name[:6] != "KOLO_C" and name != "PYTHONDONTWRITEBYTECODE"
    }
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, done.stderr


@pytest.mark.skipif(bool(c_import_error()), reason="no C core")
def test_a_start_searches_for_none_of_the_modules_that_it_needs(tmp_path: Path) -> None:
    """Those that it does are to be in FIRST or SECOND, after what they import."""
    (tmp_path / "setup.py").touch()
    start = "import kolo_c.integrations.startup as startup; startup.start()"
    words = "-X", "importtime", "-c", start
    python(tmp_path, *words, KOLO_C="1")  # compiles what is not yet
    told = python(tmp_path, *words, KOLO_C="1")[1]
    searched = {line.rpartition("|")[2].strip() for line in told.splitlines()}
    assert {name for name in searched if name[:6] == "kolo_c"} == FOUND_BY_SEARCH


def test_a_module_is_as_the_import_system_makes_it(tmp_path: Path) -> None:
    names = "kolo_c.frozen", "kolo_c.errors", "kolo_c.store.", "kolo_c.store.locate"
    python(tmp_path, "-c", DESCRIBE, "", *names)  # compiles what is not yet
    searched = python(tmp_path, "-c", DESCRIBE, "", *names)
    assert searched[0].count("\n") == 5 * len(names)
    assert python(tmp_path, "-c", DESCRIBE, "quick", *names) == searched


def test_what_was_compiled_counts_for_the_source_as_it_was(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("value = 1\n")
    cached = cache_from_source(str(source))
    compiled = quick_import._compiled
    assert compiled(str(source), cached) is None
    py_compile.compile(str(source))
    code = compiled(str(source), cached)
    assert code is not None and code.co_filename == str(source)
    source.write_text("value = 12\n")
    assert compiled(str(source), cached) is None
    py_compile.compile(str(source))
    assert compiled(str(source), cached) is not None
    os.utime(source, (1, 1))
    assert compiled(str(source), cached) is None
    checked = py_compile.PycInvalidationMode.CHECKED_HASH
    py_compile.compile(str(source), invalidation_mode=checked)
    assert compiled(str(source), cached) is None


def test_a_module_that_fails_is_not_there() -> None:
    name = "kolo_c.failing"
    code = compile("1 / 0", "failing.py", "exec")
    with pytest.raises(ZeroDivisionError):
        quick_import._load(name, "failing.py", "failing.pyc", code, False)
    assert name not in sys.modules


def test_a_module_has_the_builtins_that_were_kept() -> None:
    name = "kolo_c.passing"
    code = compile("def function(): pass", "passing.py", "exec")
    try:
        quick_import._load(name, "passing.py", "passing.pyc", code, False)
        assert sys.modules[name].function.__builtins__ is KEPT
    finally:
        del sys.modules[name]
        del sys.modules["kolo_c"].passing
