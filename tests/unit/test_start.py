"""What a start brings into the process: little, and nothing of others.

The figures are ``python -m benchmarks start``; here is what they rest on.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kolo_c.cli.defaults import defaults_of
from kolo_c.cli.main import COMMANDS, load_command
from kolo_c.cli.parser import build_parser
from kolo_c.cli.reading import open_store
from kolo_c.core import c_import_error
from kolo_c.project import create_store
from kolo_c.store.bounds import STAMP_NAME, keep_within_bounds, note_written

ROOT = Path(__file__).parents[2]
needs_core = pytest.mark.skipif(bool(c_import_error()), reason="no C core")

# 1 to 6 ms each with what they import: what a start does without is not to creep back.
HEAVY = frozenset(
    "argparse ast contextlib copy dataclasses datetime dis enum fnmatch gettext inspect "
    "ipaddress json linecache locale logging opcode pathlib platform re runpy shutil "
    "sqlite3 string struct subprocess tempfile textwrap tokenize tomllib traceback "
    "typing urllib uuid zipfile".split()
)
# argparse and what it imports, for formatting too; once there are options.
OF_ARGPARSE = frozenset(
    "argparse contextlib copy enum fnmatch gettext locale re shutil struct textwrap".split()
)
COMMAND = """\
import sys
from kolo_c.cli.main import main
if __name__ == "__main__":
    sys.exit(main())
"""
# Tells what is there when it begins, and each import from then to the process's end.
PROGRAM = """\
import os, sys
file = os.open(os.environ["TOLD"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def tell(*names): os.write(file, "".join(f"{name}\\n" for name in names).encode())
tell(*sys.modules)
sys.addaudithook(lambda event, args: event == "import" and tell(args[0]))
"""


def modules(folder: Path, *words: str) -> set[str]:
    """What a python with these words has imported when it ends."""
    told = folder / "told"
    told.unlink(missing_ok=True)
    environ = {name: text for name, text in os.environ.items() if name[:6] != "KOLO_C"}
    environ |= {"PYTHONPATH": str(ROOT), "TOLD": str(told)}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(told.read_text().split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kolo-c").write_text(COMMAND)
    project = tmp_path / "project"
    project.mkdir()
    (project / "setup.py").touch()
    (project / "program.py").write_text(PROGRAM)
    return project


def top(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_importing_kolo_c_brings_itself_alone(folder: Path) -> None:
    bare = modules(folder, "program.py")
    (folder / "program.py").write_text("import kolo_c\n" + PROGRAM)
    assert modules(folder, "program.py") - bare == {
        "__future__",
        "kolo_c",
        "kolo_c.own_builtins",
    }


@needs_core
def test_run_brings_nothing_heavy_and_nothing_of_others(folder: Path) -> None:
    bare = modules(folder, "program.py")
    own = ["program.py", "-x", "--accessToken=hunter22"]
    found = modules(folder, "../kolo-c", "run", *own) - bare
    assert "kolo_c.session" in found
    assert not top(found) & HEAVY
    assert top(found) - sys.stdlib_module_names == {"kolo_c"}


@needs_core
def test_options_bring_argparse_and_nothing_of_others(folder: Path) -> None:
    bare = modules(folder, "program.py")
    words = ["--name", "mine", "--locals=all", "--set", "depth=2", "program.py"]
    found = modules(folder, "../kolo-c", "run", *words) - bare
    assert not top(found) & HEAVY - OF_ARGPARSE
    assert top(found) - sys.stdlib_module_names == {"kolo_c"}


@needs_core
def test_run_by_python_m_brings_runpy_and_no_more(folder: Path) -> None:
    bare = modules(folder, "-m", "program")
    found = modules(folder, "-m", "kolo_c", "run", "program.py") - bare
    assert not top(found) & HEAVY
    assert top(found) - sys.stdlib_module_names == {"kolo_c"}


@needs_core
def test_settings_in_a_file_bring_a_parser_and_nothing_of_others(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.kolo_c]\ndepth = 2\n")
    found = modules(folder, "../kolo-c", "run", "program.py")
    others = top(found - modules(folder, "program.py")) - sys.stdlib_module_names
    assert others <= {"kolo_c", "tomli"}
    assert "tomli" not in others or sys.version_info < (3, 11)


@needs_core
def test_a_pyproject_that_says_nothing_of_us_is_not_parsed(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert not top(modules(folder, "../kolo-c", "run", "program.py")) & {
        "tomllib",
        "tomli",
    }


# ---- options without argparse ----


@pytest.mark.parametrize("name", COMMANDS)
def test_defaults_are_those_of_argparse(name: str) -> None:
    command = load_command(name)
    found = defaults_of(command.configure)
    try:
        expected = vars(build_parser(command).parse_args([]))
    except SystemExit:
        assert found is None
    else:
        assert vars(found) == expected


@pytest.mark.parametrize("name", ["run", "list", "show", "why"])
def test_without_options_argparse_is_not_asked(name: str) -> None:
    assert defaults_of(load_command(name).configure) is not None


# ---- where Python is another ----


def test_a_python_without_thresholds_for_garbage_reads(monkeypatch, tmp_path):
    """PyPy has none, and every reading command ended there with a traceback."""
    create_store(tmp_path / ".kolo_c")
    monkeypatch.delattr(gc, "set_threshold")
    monkeypatch.delenv("KOLO_C_PATH", raising=False)
    assert open_store(tmp_path).catalogue is not None


# ---- the bounds of the store, not at every start ----


@pytest.fixture
def applied(monkeypatch) -> list[dict[str, object]]:
    calls: list[dict[str, object]] = []
    monkeypatch.setattr(
        "kolo_c.store.retention.apply_retention",
        lambda store, **bounds: calls.append(bounds),
    )
    return calls


@pytest.fixture
def store(tmp_path: Path) -> str:
    path = tmp_path / ".kolo_c"
    create_store(path)
    (path / "segments" / "x-0.db").touch()
    return str(path)


def test_the_bounds_are_applied_once_in_five_minutes(store, applied) -> None:
    for _ in range(3):
        keep_within_bounds(store, 1 << 30, 14.0)
    assert len(applied) == 1
    before = time.time() - 400
    os.utime(Path(store) / STAMP_NAME, (before, before))
    keep_within_bounds(store, 1 << 30, 14.0)
    assert len(applied) == 2


def test_other_bounds_are_applied_at_once(store, applied) -> None:
    keep_within_bounds(store, 1 << 30, 14.0)
    keep_within_bounds(store, 1 << 30, 1.0)
    assert [bounds["keep_days"] for bounds in applied] == [14.0, 1.0]


def test_a_clock_that_was_set_back_does_not_stop_them(store, applied) -> None:
    keep_within_bounds(store, 1 << 30, 14.0)
    later = time.time() + 86_400
    os.utime(Path(store) / STAMP_NAME, (later, later))
    keep_within_bounds(store, 1 << 30, 14.0)
    assert len(applied) == 2


def test_a_mark_that_cannot_be_written_stops_no_session(store, applied) -> None:
    """In a store that users share, the first one's mark kept all others out."""
    (Path(store) / STAMP_NAME).mkdir()
    for _ in range(2):
        keep_within_bounds(store, 1 << 30, 14.0)
    assert len(applied) == 2
    note_written(store, 1 << 30, 1 << 30)


def test_a_new_store_has_nothing_to_bound(tmp_path, applied) -> None:
    create_store(tmp_path / ".kolo_c")
    keep_within_bounds(str(tmp_path / ".kolo_c"), 1 << 30, 14.0)
    assert applied == []


@needs_core
def test_a_session_that_wrote_much_lets_the_next_one_look(folder: Path) -> None:
    (folder / "much.py").write_text(
        "def work(text): return text\nfor n in range(400): work(str(n) * 200)\n"
    )
    stamp = folder / ".kolo_c" / STAMP_NAME
    for name, stays in (("program.py", True), ("much.py", False)):
        done = subprocess.run(
            [sys.executable, "-m", "kolo_c", "run", "-q", name],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TOLD": os.devnull,
                "KOLO_C_MAX_BYTES": "1MiB",
            },
            check=False,
        )
        assert done.returncode == 0
        assert stamp.exists() is stays


# ---- a program's folder with names of the library ----

NAMES = (
    "argparse ast bisect collections contextlib dataclasses datetime enum fcntl fnmatch "
    "functools heapq inspect itertools json locale operator pathlib platform re shutil "
    "sqlite3 string struct tempfile textwrap threading typing zipfile zlib".split()
)


@needs_core
@pytest.mark.parametrize("due", [False, True], ids=["", "bounds are due"])
def test_modules_of_the_program_are_never_imported_for_us(
    folder: Path, due: bool
) -> None:
    for name in NAMES:
        (folder / f"{name}.py").write_text(f"print('mine: {name}')\n")
    (folder / "failing.py").write_text(
        "import sys, json\n"
        "sys.modules['pathlib'] = None\n"
        "def fails(secret): raise ValueError('no \\u2028 \"such\"')\n"
        "fails([1, 'two'])\n"
    )
    environ = {
        name: text for name, text in os.environ.items() if name[:6] != "KOLO_C"
    } | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": ""}

    def run(*words: str) -> tuple[str, str, int]:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout, done.stderr, done.returncode

    if due:
        (folder / ".kolo_c" / "segments").mkdir(parents=True)
        (folder / ".kolo_c" / "segments" / "x-0.db").touch()
    plain = run("failing.py")
    stdout, stderr, code = run("../kolo-c", "run", "--set", "depth=3", "failing.py")
    assert (stdout, code) == (plain[0], plain[2])
    assert plain[0].startswith("mine: json\n")
    told = stderr.removeprefix(plain[1])
    assert told != stderr
    assert "ValueError" in told
    assert "recorded " in told
