"""What a segment says of its process, and JSON without the library's."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kolo_c.config import Config, plain
from kolo_c.process_info import git_commit, process_info, read_counters, to_json
from kolo_c.project import Project

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_json_is_as_the_library_writes_it(value) -> None:
    assert to_json(value) == json.dumps(value)


def test_a_subclass_is_written_as_what_it_is() -> None:
    class Odd(int):
        def __repr__(self) -> str:
            return "odd"

    assert to_json([Odd(3), math.inf]) == "[3, Infinity]"


def test_counters_are_read_as_they_are_written() -> None:
    text = (
        '{"calls": 12, "own_ns": 18446744073709551615, "values_off": false, "x": true}'
    )
    assert read_counters(text) == json.loads(text)


@given(st.lists(st.sampled_from(["a", "b", ".", "..", "", "c d"]), min_size=1))
def test_a_path_is_as_pathlib_has_it(parts) -> None:
    path = "/".join(parts)
    if not path.startswith("//"):
        assert plain(path) == str(Path(path))
    if path.lstrip("/"):
        assert plain("/" + path.lstrip("/")) == str(Path("/" + path.lstrip("/")))


def project(root: Path) -> Project:
    return Project(
        root=str(root),
        reason="",
        cwd=str(root),
        sources=(),
        stdlib=(),
        store=str(root / ".kolo_c"),
    )


def test_a_process_says_where_and_with_what_it_runs(tmp_path) -> None:
    info = process_info(
        Config(depth=2),
        project(tmp_path),
        ["prog", "--password=hunter22", "x"],
        ["a problem"],
        None,
        str.upper,
        core="c",
        hook="setprofile",
    )
    assert (info["core"], info["hook"]) == ("c", "setprofile")
    assert info["host"] == platform.node()
    assert info["python"] == platform.python_version()
    assert info["argv"] == ["PROG", "--PASSWORD=***", "X"]
    assert info["config"]["depth"] == 2
    assert info["config"]["root"] == str(tmp_path)
    assert info["problems"] == ["a problem"]
    assert json.loads(to_json(info)) == info


@pytest.fixture
def repository(tmp_path) -> Path:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull},
        )

    try:
        git("init", "-q")
    except FileNotFoundError:
        pytest.skip("no git")
    git("commit", "-q", "--allow-empty", "-m", "first")
    git("worktree", "add", "-q", "-b", "side", "tree")
    return tmp_path


def head(folder: Path) -> str:
    words = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_is_what_git_says(repository) -> None:
    commit = head(repository)
    below = repository / "a" / "b"
    below.mkdir(parents=True)
    assert git_commit(repository) == git_commit(below) == commit
    assert git_commit(repository / "tree") == commit
    subprocess.run(["git", "pack-refs", "--all"], cwd=repository, check=True)
    assert git_commit(repository) == git_commit(repository / "tree") == commit
    subprocess.run(["git", "checkout", "-q", commit], cwd=repository, check=True)
    assert git_commit(repository) == commit


def test_without_git_or_with_a_broken_one_there_is_no_commit(tmp_path) -> None:
    assert git_commit(tmp_path) is None
    (tmp_path / ".git").write_text("nonsense")
    assert git_commit(tmp_path) is None
