"""Traces of another machine, whose folders lie elsewhere here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import kolo_c
from kolo_c.cli.main import main
from kolo_c.store.path_map import PathMap
from tests.unit.store_builder import ProcessBuilder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a trace that a container recorded in /app."""
    process = ProcessBuilder()
    trace = process.trace("shop.py")
    stream = trace.stream(process.thread("MainThread"))
    stream.call(process.code(process.file("/app/shop.py"), "main", ("n",)), 3)
    stream.ret(None)
    trace.end()
    process.write(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    for key in [key for key in os.environ if key.startswith("KOLO_C_")]:
        monkeypatch.delenv(key)
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    """Where the call in the trace is, as ``show --json`` has it."""
    assert main(["show", "--json"]) == 0
    nodes = json.loads(capsys.readouterr().out)["nodes"]
    return str(nodes[0]["file"])


def test_the_longest_folder_that_fits_is_taken() -> None:
    paths = PathMap([("/app", "/here"), ("/app/lib", "/there")])
    assert paths.local("/app/shop.py") == "/here/shop.py"
    assert paths.local("/app/lib/x.py") == "/there/x.py"
    assert paths.local("/app") == "/here"
    assert paths.local("/application/x.py") == "/application/x.py"
    assert paths.local("<string>") == "<string>"


def test_without_the_setting_paths_are_as_recorded(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(capsys) == "/app/shop.py"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pyproject.toml", '[tool.kolo_c]\npath_map = ["/app=/home/me/shop"]\n'),
        (".kolo_c/config.toml", 'path_map = ["/app/ = /home/me/shop/"]\n'),
    ],
)
def test_the_setting_is_read_from_the_project(
    project: Path, capsys: pytest.CaptureFixture[str], file: str, text: str
) -> None:
    (project / file).write_text(text)
    assert shown(capsys) == "/home/me/shop/shop.py"


def test_the_environment_sets_it_too(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KOLO_C_PATH_MAP", "/app=~/shop,/srv=/mnt")
    monkeypatch.setenv("HOME", "/home/you")
    assert shown(capsys) == "/home/you/shop/shop.py"


def test_an_entry_that_is_none_is_said(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "pyproject.toml").write_text('[tool.kolo_c]\npath_map = ["app"]\n')
    assert main(["show"]) == 1
    message = capsys.readouterr().err
    assert "/app=~/shop" in message
    assert "pyproject.toml" in message


def test_the_api_has_it_too(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[tool.kolo_c]\npath_map = ["/app=/home/me"]\n'
    )
    with kolo_c.open() as store:
        (call,) = store.latest().calls()
        assert call.path == "/home/me/shop.py"
