"""Who may import whom in kolo_c, and what `import kolo_c` must not bring along."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "kolo_c"
MODULES = sorted(PACKAGE.rglob("*.py"))
FILE_LINES = 400
# Folder or module below kolo_c: what it must not import, below kolo_c.
FORBIDDEN = {
    "model": {"cli", "web", "export", "integrations", "plugins", "_kolo"},
    "store": {"cli", "web", "export", "integrations", "plugins"},
    "reference": {"_kolo", "cli", "web", "export", "integrations", "validate"},
    "validate": {"_kolo", "cli", "web", "integrations", "reference"},
    "wire": {"store", "model", "cli", "_kolo"},
}
# Only what reads may need these; the traced program must never see them imported.
READING_ONLY = {"rich", "msgpack", "zstandard"}
READERS = {"cli", "store", "model", "export", "web", "validate"}


def name_of(path: Path) -> str:
    """For the name of a test."""
    return path.relative_to(PACKAGE).as_posix()


def imported(path: Path) -> Iterator[str]:
    """Absolute names of all that ``path`` imports, wherever in it."""
    package = ["kolo_c", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_layer_imports_only_what_lies_below(path: Path) -> None:
    layer = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "kolo_c" and len(parts) > 1:
            assert parts[1] not in FORBIDDEN.get(layer, set()), name
        if layer not in READERS:
            assert parts[0] not in READING_ONLY, f"{name_of(path)} imports {name}"


def test_only_one_module_opens_files_with_python_s_sqlite3() -> None:
    """A file of the store opened by two copies of SQLite loses its locks (ADR 17); the
    doctor and core.py only ask for it. A process that records with the Python core
    reads with its copy.
    """
    users = {name_of(path) for path in MODULES if "sqlite3" in imported(path)}
    readers = {name for name in users if not name.startswith("reference/")}
    assert readers == {"cli/doctor.py", "core.py", "store/stock_sqlite.py"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{name_of(path)} has no docstring"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
@pytest.mark.filterwarnings("default")
def test_a_module_is_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    if lines > FILE_LINES:
        warnings.warn(f"{name_of(path)} has {lines} lines", stacklevel=1)
    assert lines <= FILE_LINES * 1.5


def modules_after(statement: str) -> set[str]:
    """Top-level names that ``statement`` brings into a fresh interpreter."""
    program = (
        "import sys; before = set(sys.modules)\n"
        f"{statement}\n"
        "import json; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    names: list[str] = json.loads(answer.stdout)
    return set(names)


def test_importing_kolo_c_brings_nothing_of_third_parties() -> None:
    names = modules_after("import kolo_c")
    ours_or_standard = {"kolo_c", *sys.stdlib_module_names}
    strangers = {name.split(".")[0] for name in names} - ours_or_standard
    assert strangers - {"tomli", "__mp_main__"} == set()


def test_importing_kolo_c_leaves_the_reading_parts_alone() -> None:
    names = modules_after("import kolo_c")
    for part in ("cli", "store", "export", "web", "integrations"):
        loaded = {name for name in names if name.startswith(f"kolo_c.{part}")}
        assert loaded == set()


def test_importing_the_command_line_does_not_import_rich() -> None:
    names = modules_after("import kolo_c.cli.main")
    assert "rich" not in names
    assert "msgpack" not in names
