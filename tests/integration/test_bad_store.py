"""Stores that cannot be used: each gives an error that names the file and what to do."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spec.tracing import Traced, environment, trace_program

PROGRAM = "def f(n): return n\nfor n in range(20): f(n)"


def kolo(where: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kolo_c", *words],
        cwd=where, env=environment(**env), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def recorded(trace) -> Traced:
    return trace(PROGRAM)


def segment(traced: Traced) -> Path:
    (path,) = (traced.store / "segments").glob("*.db")
    return path


def assert_said(done, *texts: str) -> None:
    """Code 1, no traceback, and every text in what was said."""
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    for text in texts:
        assert text in done.stderr, done.stderr


@pytest.mark.parametrize("command", ["list", "show", "dump"])
def test_no_store_at_all(tmp_path, command):
    done = kolo(tmp_path, command)
    assert_said(done, str(tmp_path), "kolo-c run")


@pytest.mark.parametrize("command", ["show", "dump"])
def test_an_unknown_id(recorded, command):
    done = kolo(recorded.project, command, "NOTTHERE")
    assert_said(done, "NOTTHERE", "kolo-c list")


def test_an_id_that_is_too_short(recorded):
    assert_said(kolo(recorded.project, "show", "Z"), "too short")


def test_an_unknown_node(recorded):
    trace_id = recorded.infos()[0].id
    done = kolo(recorded.project, "show", f"{trace_id}/999999")
    assert_said(done, "999999")


@pytest.mark.parametrize("command", ["list", "show", "dump"])
def test_a_segment_that_is_no_database(recorded, command):
    path = segment(recorded)
    path.write_bytes(b"this is not a database at all, " * 100)
    assert_said(kolo(recorded.project, command), str(path))


def test_a_segment_that_is_empty_hides_nothing_else(recorded):
    (recorded.store / "segments" / "01ARZ3NDEKTSV4RRFFQ69G5FAV-0001.db").write_bytes(
        b""
    )
    done = kolo(recorded.project, "show", "--no-fold")
    assert done.returncode == 0
    assert "f(n=19)" in done.stdout


@pytest.mark.parametrize("command", ["list", "show", "dump"])
def test_a_segment_of_a_newer_version(recorded, command):
    path = segment(recorded)
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 999")
    database.close()
    assert_said(kolo(recorded.project, command), str(path), "999")


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_a_segment_with_damaged_bytes(recorded, at):
    """Whatever of it can be read is shown; nothing crashes."""
    path = segment(recorded)
    data = bytearray(path.read_bytes())
    start = int(len(data) * at)
    data[start : start + 600] = os.urandom(600)
    path.write_bytes(data)
    for command in ("list", "show", "dump"):
        done = kolo(recorded.project, command)
        assert done.returncode in (0, 1)
        assert "Traceback" not in done.stderr


def test_one_damaged_segment_hides_its_own_traces_only(trace, recorded):
    path = segment(recorded)
    whole = trace(PROGRAM)
    path.write_bytes(b"x" * 5000)
    done = kolo(whole.project, "list")
    assert done.returncode == 0
    assert str(path) in done.stderr
    assert "program.py" in done.stdout


def test_a_mapping_that_is_cut_short(recorded):
    """What a disk error can leave of a dead process."""
    name = segment(recorded).name.rpartition("-")[0]
    path = recorded.store / "segments" / f"{name}.map"
    path.write_bytes(b"KOLOMAP1" + b"\x00" * 100)
    done = kolo(recorded.project, "show", "--no-fold")
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)


def test_a_locked_segment_can_be_read(recorded):
    """A lock of somebody else's does not keep readers out for long, nor for ever."""
    database = sqlite3.connect(segment(recorded), isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE")
        done = kolo(recorded.project, "show", "--no-fold")
    finally:
        database.close()
    assert done.returncode == 0
    assert "f(n=19)" in done.stdout


def test_a_segment_that_is_locked_against_reading_is_read_or_named(recorded):
    path = segment(recorded)
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("BEGIN EXCLUSIVE")
        done = kolo(recorded.project, "show", "--no-fold")
    finally:
        database.close()
    if done.returncode:
        assert_said(done, str(path))
    else:
        assert "f(n=19)" in done.stdout


def test_a_store_that_is_a_file(core, tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / ".kolo_c").write_text("not a folder")
    traced = trace_program(
        tmp_path / "project", core, "auto", PROGRAM, fails=True,
        under=("-m", "kolo_c", "run"), env={"XDG_STATE_HOME": str(tmp_path / "state")},
    )  # fmt: skip
    moved = list((tmp_path / "state").rglob("*.db"))
    assert moved or traced.code == 1
    assert ".kolo_c" in traced.stderr
    assert "Traceback" not in traced.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_project_that_is_read_only(core, tmp_path):
    project = tmp_path / "project"
    trace_program(project, core, "auto", PROGRAM)
    shutil.rmtree(project / ".kolo_c")
    project.chmod(0o555)
    try:
        done = kolo(
            project, "run", "program.py", XDG_STATE_HOME=str(tmp_path / "state")
        )
    finally:
        project.chmod(0o755)
    assert done.returncode == 0
    assert str(tmp_path / "state") in done.stderr
    assert list((tmp_path / "state").rglob("*.db"))


def test_hostile_texts_do_nothing_to_the_terminal(trace):
    hostile = "\x1b]0;owned\x07\x1b[2J\r\x00\x9b31m\u202eabc"
    traced = trace(
        f"""
        def f(a): return a
        def g(): raise ValueError({hostile!r})
        class Box: pass
        Box.__qualname__ = Box.__name__ = {hostile!r}.replace(chr(0), '')
        f({hostile!r})
        f(Box())
        f({{ {hostile!r}: {hostile!r} }})
        try: g()
        except ValueError: f(1)
        """
    )
    for command in ("show", "list", "dump"):
        done = kolo(traced.project, command)
        assert done.returncode == 0
        for char in ("\x1b", "\x07", "\x9b", "\x00", "\u202e", "\r"):
            assert char not in done.stdout, (command, char)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_loses_nothing_without_a_word(core, tmp_path):
    """On a file system of 8 MiB: the program goes on, and it is said what is missing."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("cannot mount a tmpfs")
    try:
        traced = trace_program(
            disk / "project", core, "auto",
            """
            def f(n, text): return n
            for n in range(60_000): f(n, str(n) * 100)
            print('went on')
            """,
            config={"compress": 0, "wait_max": 0.2, "free_disk_min_bytes": 0},
            under=("-m", "kolo_c", "run"), clean=False,
        )  # fmt: skip
        assert traced.stdout == "went on\n"
        assert "lost" in traced.stderr or "disk" in traced.stderr
        assert "Traceback" not in traced.stderr
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
