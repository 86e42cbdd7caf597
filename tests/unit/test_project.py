"""Where a program's root is, what is installed as editable, and where traces go."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from kolo_c import project as project_module
from kolo_c.errors import TracerError
from kolo_c.project import (
    MARKERS,
    choose_store,
    create_store,
    editable_sources,
    find_project,
    find_root,
    require_writable,
    standard_library,
    why_not_writable,
)
from kolo_c.reference.store import make_directory
from kolo_c.store.locate import command_for, locate_store, state_store
from kolo_c.store.private import make_folder


@pytest.fixture
def environ(tmp_path):
    return {"HOME": str(tmp_path / "home")}


def make(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("marker", MARKERS)
def test_a_marker_makes_a_root(tmp_path, environ, marker):
    root = make(tmp_path / "project", marker)
    start = make(root / "a" / "b")
    assert find_root(start, cwd=tmp_path, environ=environ) == (
        str(root),
        f"{marker} is in it",
    )


def test_the_nearest_marker_counts(tmp_path, environ):
    make(tmp_path / "outer", "pyproject.toml")
    inner = make(tmp_path / "outer" / "inner", "setup.py")
    start = make(inner / "pkg")
    assert find_root(start, cwd=tmp_path, environ=environ)[0] == str(inner)


def test_without_a_marker_it_is_the_working_directory(tmp_path, environ):
    start = make(tmp_path / "scripts")
    cwd = make(tmp_path / "cwd")
    root, reason = find_root(start, cwd=cwd, environ=environ)
    assert root == str(cwd)
    assert "working directory" in reason


def test_without_a_script_the_search_begins_in_the_working_directory(tmp_path, environ):
    root = make(tmp_path / "project", "setup.cfg")
    cwd = make(root / "sub")
    assert find_root(None, cwd=cwd, environ=environ)[0] == str(root)


def test_the_home_directory_is_never_the_root(tmp_path, environ):
    home = make(tmp_path / "home", ".git")
    scripts = make(home / "scripts")
    assert find_root(scripts, cwd=scripts, environ=environ)[0] == str(scripts)
    project = make(home / "project", ".git")
    assert find_root(project, cwd=scripts, environ=environ)[0] == str(project)


def test_nothing_under_the_prefix_is_a_root(tmp_path, environ, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    inside = make(tmp_path / "env" / "lib" / "pkg", "setup.py")
    cwd = make(tmp_path / "cwd")
    assert find_root(inside, cwd=cwd, environ=environ)[0] == str(cwd)


def test_a_linked_script_is_searched_from_the_link_then_from_its_target(
    tmp_path, environ
):
    real = make(tmp_path / "real", "pyproject.toml")
    make(real / "tools")
    (tmp_path / "link").symlink_to(real / "tools")
    found = find_root(tmp_path / "link", cwd=tmp_path, environ=environ)[0]
    assert found == str(real)
    make(tmp_path, "setup.py")
    found = find_root(tmp_path / "link", cwd=tmp_path, environ=environ)[0]
    assert found == str(tmp_path)


def test_a_project_knows_its_place(tmp_path, environ):
    root = make(tmp_path / "p", "setup.py")
    found = find_project(Path("."), cwd=root, environ=environ, path=[])
    assert (found.root, found.cwd, found.sources) == (str(root), str(root), ())
    assert found.store == str(root / ".kolo_c")
    assert found.notes == ()
    assert not os.path.exists(found.store)


def test_the_standard_library_is_where_its_modules_are():
    assert any(Path(json.__file__).is_relative_to(each) for each in standard_library())


def test_editable_installs_are_read_from_what_pip_left(tmp_path, monkeypatch):
    site = make(tmp_path / "site-packages")
    for name in ("by_path", "by_url", "by url 2", "by_finder", "by_link", "normal"):
        make(tmp_path / name)
    (tmp_path / "single.py").touch()
    (site / "a.pth").write_text(
        f"# {tmp_path}/normal\n{tmp_path}/by_path\n/absent\n\nimport os; os.x\n"
    )
    (site / "__editable__.b.pth").write_text(
        "import __editable___b_finder; __editable___b_finder.install()"
    )
    (site / "__editable___b_finder.py").write_text(
        "import sys\nraise SystemExit('never run')\n"
        f"MAPPING: dict[str, str] = {{'b': {str(tmp_path / 'by_finder')!r},"
        f" 'single': {str(tmp_path / 'single.py')!r}}}\n"
    )
    (site / "c.egg-link").write_text(f"{tmp_path}/by_link\n.")
    for name, editable in (("by_url", True), ("by%20url%202", True), ("normal", False)):
        info = make(site / f"{name}-1.0.dist-info")
        data = {"url": f"file://{tmp_path}/{name}", "dir_info": {"editable": editable}}
        (info / "direct_url.json").write_text(json.dumps(data))
    broken = make(site / "broken-1.0.dist-info")
    (broken / "direct_url.json").write_text("{")
    (site / "__editable__.x.pth").write_text("import __editable___x_finder")
    (site / "__editable___x_finder.py").write_text("MAPPING = (")
    found = {
        os.path.basename(each) for each in editable_sources([str(site), "/absent"])
    }
    assert found == {
        "by_path",
        "by_url",
        "by url 2",
        "by_finder",
        "single.py",
        "by_link",
    }


def test_KOLO_C_PATH_names_the_folder_with_the_store(tmp_path, environ):
    environ["KOLO_C_PATH"] = str(tmp_path / "elsewhere")
    root = make(tmp_path / "p")
    assert choose_store(root, environ) == (str(tmp_path / "elsewhere" / ".kolo_c"), ())


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_found_out(tmp_path):
    tmp_path.chmod(0o555)
    assert why_not_writable(tmp_path / ".kolo_c") == "is not writable"


def test_a_file_in_the_way_is_found_out(tmp_path):
    make(tmp_path, "file")
    reason = why_not_writable(tmp_path / "file" / ".kolo_c")
    assert reason.startswith("is not a folder")
    assert why_not_writable(tmp_path / "new" / ".kolo_c") == ""


def test_where_no_file_can_be_made_is_found_out():
    """Root may write everywhere, says /proc, and then makes nothing."""
    assert why_not_writable("/proc/y/.kolo_c")


@pytest.mark.parametrize("make_it", [make_folder, make_directory])
def test_a_folder_that_cannot_be_made_is_an_error(make_it):
    """What is missing after the folder above it was found was made again and again."""
    with pytest.raises(OSError, match="/proc/y"):
        make_it("/proc/y/.kolo_c/segments")


def test_an_unwritable_store_moves_to_the_state_folder_and_says_so(
    tmp_path, environ, monkeypatch
):
    root = make(tmp_path / "p")
    environ["XDG_STATE_HOME"] = str(tmp_path / "state")
    monkeypatch.setattr(
        project_module,
        "why_not_writable",
        lambda store: "" if "state" in store else "is not writable",
    )
    store, notes = choose_store(root, environ)
    assert store.startswith(str(tmp_path / "state" / "kolo_c"))
    assert os.path.basename(store) == ".kolo_c"
    other, _ = choose_store(make(tmp_path / "q"), environ)
    assert other != store
    assert store in notes[0]
    assert f"{root / '.kolo_c'} is not writable" in notes[0]


def test_where_neither_can_be_made_no_traces_are_said_to_go_there(tmp_path, environ):
    (tmp_path / "file").touch()
    environ["XDG_STATE_HOME"] = str(tmp_path / "file")
    environ["KOLO_C_PATH"] = str(tmp_path / "file")
    store, (note,) = choose_store(make(tmp_path / "p"), environ)
    assert store == str(tmp_path / "file" / ".kolo_c")
    assert note.startswith(f"{store} is not a folder (")
    assert note.count("is not a folder") == 2 and "traces go" not in note
    with pytest.raises(TracerError, match="is not a folder"):
        require_writable(store)


def test_a_store_keeps_itself_out_of_git(tmp_path):
    store = tmp_path / ".kolo_c"
    create_store(store)
    assert (store / ".gitignore").read_text() == "*\n"
    (store / ".gitignore").write_text("mine")
    create_store(store)
    assert (store / ".gitignore").read_text() == "mine"
    assert (store / "segments").is_dir()


def test_a_command_that_is_offered_reads_the_store_it_is_offered_for(tmp_path, environ):
    """`kolo-c show XXXXX` was, where it found another store or none: of a program in a
    project below, in a project with traces that has become read-only, and where
    KOLO_C_PATH cannot be used."""
    environ["XDG_STATE_HOME"] = str(tmp_path / "state dir")
    root, below = make(tmp_path / "p"), make(tmp_path / "p" / "sub" / "q")
    store, other = str(root / ".kolo_c"), str(below / ".kolo_c")
    assert command_for(store, str(root), environ) == "kolo-c"  # nothing is there
    create_store(other)
    assert command_for(other, str(below), environ) == "kolo-c"
    assert command_for(other, str(root), environ) == f"KOLO_C_PATH={below} kolo-c"
    moved = state_store(root, environ)
    create_store(moved)
    assert command_for(moved, str(root), environ) == "kolo-c"
    create_store(store)
    assert command_for(store, str(root / "sub"), environ) == "kolo-c"
    words = shlex.split(command_for(moved, str(root), environ))
    assert words[1:] == ["kolo-c"]
    environ["KOLO_C_PATH"] = words[0].partition("=")[2]
    assert locate_store(root, environ) == moved
    environ["KOLO_C_PATH"] = os.devnull
    assert command_for(store, str(root), environ) == f"KOLO_C_PATH={root} kolo-c"
