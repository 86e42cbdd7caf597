"""kolo-c in an environment of its own, as pipx and uv make one: what it says there."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from kolo_c import tool_environment
from kolo_c.tool_environment import owner_of_environment, why_module_is_missing
from tests.spec.tracing import environment

RECEIPTS = {"pipx": "pipx_metadata.json", "uv": "uv-receipt.toml"}


@pytest.fixture(params=["pipx", "uv"])
def tool(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """This Python, as if the tool had made its environment."""
    name: str = request.param
    (tmp_path / RECEIPTS[name]).touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    return name


def test_an_environment_is_its_tool_s_by_what_lies_in_it(tool, tmp_path):
    assert owner_of_environment() == tool
    assert owner_of_environment(str(tmp_path / "other")) == ""


def test_uvx_leaves_nothing_but_has_a_folder_for_them():
    assert owner_of_environment("/home/me/.cache/uv/archive-v0/x8Jk") == "uv"
    assert owner_of_environment("/home/me/.cache/uv/builds-v0/.tmpA3jC") == ""


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'nowhere'", name="nowhere"),
        ModuleNotFoundError("No module named 'nowhere.at'", name="nowhere.at"),
        SystemExit("/usr/bin/python: No module named nowhere"),
        SystemExit(
            "/usr/bin/python: Error while finding module specification for 'nowhere.at' "
            "(ModuleNotFoundError: No module named 'nowhere')"
        ),
    ],
    ids=["import", "submodule", "-m", "-m submodule"],
)
def test_a_missing_module_is_explained_there(tool, error):
    what, how = why_module_is_missing(error)
    assert what.startswith("nowhere is not in this environment")
    assert tool in what
    assert sys.prefix in what
    assert "-m pip install kolo-c" in how
    assert "-m kolo_c run" in how
    assert tool in how


def test_the_active_environment_is_named(tool, monkeypatch):
    monkeypatch.setenv("VIRTUAL_ENV", "/projects/shop/.venv")
    how = why_module_is_missing(ModuleNotFoundError(name="nowhere"))[1]
    assert "/projects/shop/.venv/bin/python -m pip install kolo-c" in how
    assert "PYTHON" not in how


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError(name="json.nowhere"),
        ModuleNotFoundError("raised by hand"),
        ImportError("cannot import name 'x' from 'json'", name="json"),
        SystemExit("some other reason"),
        SystemExit(3),
        ValueError("nowhere"),
    ],
    ids=repr,
)
def test_another_end_is_not(tool, error):
    assert json
    assert why_module_is_missing(error) == []


def test_elsewhere_nothing_is_said(monkeypatch):
    monkeypatch.setattr(tool_environment, "owner_of_environment", lambda: "")
    assert why_module_is_missing(ModuleNotFoundError(name="nowhere")) == []


@pytest.fixture(scope="module")
def made_by_pipx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment like those of pipx; the package comes from where we have it."""
    folder = tmp_path_factory.mktemp("pipx") / "kolo-c"
    venv.create(folder, system_site_packages=True, with_pip=False)
    (folder / "pipx_metadata.json").write_text("{}", encoding="utf-8")
    return folder


def said_there(folder: Path, where: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [folder / "bin" / "python", "-m", "kolo_c", *words],
        cwd=where, env=environment(), text=True, timeout=60, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize("words", [("lost.py",), ("-m", "nowhere")], ids=["file", "-m"])
def test_a_run_says_why_a_module_is_missing(core, made_by_pipx, tmp_path, words):
    (tmp_path / "lost.py").write_text("import nowhere\n", encoding="utf-8")
    code, said = said_there(made_by_pipx, tmp_path, "run", *words)
    assert code == 1
    assert "No module named" in said
    assert "kolo-c: nowhere is not in this environment, which pipx made" in said
    code, said = said_there(made_by_pipx, tmp_path, "run", "--quiet", *words)
    assert code == 1
    assert "kolo-c:" not in said


def test_the_doctor_says_whose_environment_it_is(core, made_by_pipx, tmp_path):
    code, said = said_there(made_by_pipx, tmp_path, "doctor", "--json")
    assert code == 0, said
    findings = {each["topic"]: each for each in json.loads(said)["findings"]}
    assert findings["environment"]["level"] == "warning"
    assert "pipx" in findings["environment"]["text"]
    assert "pip install kolo-c" in findings["environment"]["hint"]
