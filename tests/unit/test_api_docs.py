"""The API's examples are run, its names are complete, and its types hold."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import kolo_c
from kolo_c import reading
from kolo_c.core import c_import_error
from tests.spec.tracing import environment

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"
MODULES = ("kolo_c.within", "kolo_c.reading.values")
SAMPLE = Path(__file__).parents[1] / "typing" / "api_sample.py"

RUN = """
import doctest, importlib, sys
sys.path.insert(0, '.')
failed = tried = 0
for name in sys.argv[2:]:
    result = doctest.testmod(importlib.import_module(name))
    failed, tried = failed + result.failed, tried + result.attempted
result = doctest.testfile(sys.argv[1], module_relative=False)
print(failed + result.failed, tried, result.attempted)
"""


@pytest.mark.skipif(bool(c_import_error()), reason="no C core")
def test_the_examples_do_what_they_say(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(r"```python\n# shop.py\n(.*?)```", text, re.DOTALL)
    assert found
    (tmp_path / "shop.py").write_text(found[1])
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "examples.py").write_text(RUN)
    done = subprocess.run(
        [sys.executable, "examples.py", str(PAGE), *MODULES],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    failed, tried, on_page = map(int, done.stdout.split()[-3:])
    assert failed == 0, done.stdout
    assert tried >= 8
    assert on_page >= 20


def test_every_name_is_offered_documented_and_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    assert set(kolo_c.__all__) <= set(dir(kolo_c))
    for name in kolo_c.__all__:
        thing = getattr(kolo_c, name)
        if name.startswith("__"):
            continue
        assert thing.__doc__, name
        assert re.search(rf"\b{name}\b", text), name
    for name in reading.__all__:
        assert hasattr(reading, name)
        if name not in ("UNBOUND", "Value"):
            assert getattr(reading, name).__doc__, name


@pytest.mark.parametrize(
    "kind",
    [kolo_c.CurrentTrace, reading.Store, reading.Trace, reading.Call, reading.Calls],
    ids=lambda kind: kind.__name__,
)
def test_everything_public_of_a_class_is_documented(kind):
    text = PAGE.read_text(encoding="utf-8")
    for name, member in vars(kind).items():
        if name.startswith("_") or name in ("moment", "stream_of"):
            continue
        if inspect.isfunction(member) or isinstance(member, property):
            assert inspect.getdoc(member), name
        assert re.search(rf"\b{name}\b", text), f"{kind.__name__}.{name}"


def test_the_types_are_what_they_say():
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("no mypy")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-incremental"),
            *("--config-file=", "--python-version=3.11", str(SAMPLE)),
        ],
        env={**environment(), "MYPYPATH": str(Path(kolo_c.__file__).parents[1])},
        cwd=SAMPLE.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    errors = [line for line in done.stdout.splitlines() if "api_sample.py" in line]
    assert errors == [], done.stdout
    assert done.stderr == ""


def test_the_sample_runs(tmp_path):
    if c_import_error() or sys.version_info < (3, 11):
        pytest.skip("no C core, or no assert_type")
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "sample.py").write_text(SAMPLE.read_text(encoding="utf-8"))
    done = subprocess.run(
        [sys.executable, "sample.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
