"""On a file system of another machine, where SQLite's WAL and our mapping cannot be."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spec.tracing import environment, trace_program

SOURCE = Path(__file__).parent / "no_shared_memory.c"
PROGRAM = """
    import os, subprocess, sys
    def f(n): return str(n) * 100
    for n in range(3000): f(n)
    from kolo_c.scope import active_session; active_session().flush()
    if 'read' in sys.argv:
        told = subprocess.run([sys.executable, '-m', 'kolo_c', 'list'], text=True,
                              capture_output=True, env={**os.environ, 'KOLO_C': ''})
        print(told.stdout, told.stderr)
    if 'die' in sys.argv: os._exit(0)
    for n in range(3000): f(n)
"""
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("cc"), reason="needs LD_PRELOAD, cc"
)


@pytest.fixture(scope="module")
def unshared(tmp_path_factory) -> dict[str, str]:
    """The environment of a program there."""
    library = tmp_path_factory.mktemp("unshared") / "unshared.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True
    )
    return {"LD_PRELOAD": str(library)}


def kolo(where: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kolo_c", *words], cwd=where, env=environment(**env),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_program_there_is_recorded_and_can_be_read_meanwhile(
    core, tmp_path, unshared
):
    """Without a WAL; the journal that stands in for it is gone at the end."""
    traced = trace_program(
        tmp_path / "project", core, "auto", PROGRAM, "read", env=unshared,
        under=("-m", "kolo_c", "run", "--no-follow"),
    )  # fmt: skip
    assert "running" in traced.stdout and "3,001" in traced.stdout
    assert "a killed process would lose its last records" in traced.stderr
    assert traced.infos()[0].calls == 6001
    (path,) = (traced.store / "segments").glob("*.db")
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA journal_mode").fetchall() == [("delete",)]
    db.close()
    assert not Path(f"{path}-journal").exists()
    there = kolo(traced.project, "show", **unshared)
    assert there.returncode == 0 and there.stderr == ""


def test_a_program_that_dies_there_leaves_what_was_saved(core, tmp_path, unshared):
    traced = trace_program(
        tmp_path / "project", core, "auto", PROGRAM, "die", env=unshared, clean=False
    )
    for env in (unshared, {}):
        listed = kolo(traced.project, "list", **env)
        assert listed.returncode == 0 and listed.stderr == ""
        assert "interrupted" in listed.stdout and "3,001" in listed.stdout


@pytest.mark.parametrize("core", ["c"], indirect=True)
def test_a_program_that_leaves_there_saves_before_it_goes(core, tmp_path, unshared):
    """By os._exit and the like; for a crash it is too late."""
    program = "import os\ndef f(n): return n\nfor n in range(100): f(n)\nos._exit(3)\n"
    traced = trace_program(
        tmp_path / "project", core, "auto", program, env=unshared, fails=True
    )
    assert traced.code == 3
    listed = kolo(traced.project, "list", **unshared)
    assert "interrupted" in listed.stdout and "  101  " in listed.stdout


def test_what_died_elsewhere_is_recovered_there(core, tmp_path, unshared):
    """With a WAL and a mapping: both can be read by who has them for himself."""
    traced = trace_program(tmp_path / "project", core, "auto", PROGRAM, "die")
    names = {path.suffix for path in (traced.store / "segments").iterdir()}
    assert {".map", ".db-wal"} <= names
    listed = kolo(traced.project, "list", KOLO_C_CORE=core, **unshared)
    assert listed.returncode == 0 and listed.stderr == ""
    assert "interrupted" in listed.stdout and "3,001" in listed.stdout


def test_a_wal_that_cannot_be_read_there_says_what_to_do(core, tmp_path, unshared):
    traced = trace_program(tmp_path / "project", core, "auto", PROGRAM, "die")
    (mapping,) = (traced.store / "segments").glob("*.map")
    mapping.unlink()
    (path,) = (traced.store / "segments").glob("*.db")
    before = Path(f"{path}-wal").read_bytes()
    for words in (("list",), ("show",), ("doctor", "--store")):
        done = kolo(traced.project, *words, **unshared)
        said = done.stdout + done.stderr
        assert done.returncode == 1
        assert str(path) in said and "kolo-c recover" in said and "shares no" in said
    assert Path(f"{path}-wal").read_bytes() == before
    done = kolo(traced.project, "recover", **unshared)
    assert done.returncode == 0 and "its WAL was folded in" in done.stdout
    assert kolo(traced.project, "list", **unshared).returncode == 0


def test_a_store_there_that_is_removed_is_written_anew(core, tmp_path, unshared):
    program = """
        import shutil, time
        def f(n): return str(n) * 100
        for n in range(3000): f(n)
        from kolo_c.scope import active_session; active_session().flush()
        shutil.rmtree('.kolo_c')
        time.sleep(1.1)
        for n in range(3000): f(n)
        """
    traced = trace_program(
        tmp_path / "project", core, "auto", program, env=unshared, clean=False,
        config={"ignore_frames": ["module:shutil"]},
    )  # fmt: skip
    assert traced.infos()[0].status == "complete"
    assert traced.infos()[0].count("lost") == 0
    assert len(traced.tree().find("f")) == 6000
