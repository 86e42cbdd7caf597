"""The page's commands do what it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.place import ROOT, Place, make_python

PAGE = (ROOT / "docs" / "howto" / "everywhere.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (KOLO_C=1 python .*|kolo-c .*)$", PAGE, re.M)
SHOP = """\
import subprocess, sys
def total(prices):
    return sum(prices)
if __name__ == "__main__":
    print(total([1, 2]))
    if len(sys.argv) == 1:
        subprocess.run([sys.executable, "shop.py", "again"])
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    python = make_python(tmp_path / "installed")
    (python.parent / "kolo-c").write_text(
        f'#!/bin/sh\nexec {python} -m kolo_c "$@"\n', encoding="utf-8"
    )
    (python.parent / "kolo-c").chmod(0o755)
    return Place(tmp_path / "project", python, "auto")


def test_the_commands_record(place: Place) -> None:
    assert len(COMMANDS) == 5
    place.write(shop=SHOP)
    # Readers need msgpack, which the environment has from where the tests have it.
    packages = next(path for path in sys.path if Path(path, "msgpack").is_dir())
    path = f"{place.python.parent}:/usr/bin:/bin"
    said = []
    for command in COMMANDS:
        done = subprocess.run(
            command,
            shell=True,
            cwd=place.folder,
            env=place.environ(PATH=path, PYTHONPATH=packages),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    names = [trace.row.name for trace in place.traces()]
    assert names == [
        "shop.py",
        "shop.py",
        "shop",
        "shop.py",
        "-c",
        "shop.py",
        "shop.py",
    ]
    parents = [bool(trace.row.parent) for trace in place.traces()]
    assert parents == [False, True, False, True, False, False, True]
    assert said[-1].count("shop.py") == 5


def test_the_cell_shows_its_calls(tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    load, magic, call = re.search(
        r"^    (%load_ext .*)\n\n    (%%kolo_c .*)\n    (.*)$", PAGE, re.M
    ).groups()
    (tmp_path / "setup.py").touch()
    (tmp_path / "shop.py").write_text(SHOP)
    cells = ["import shop", load, f"{magic}\n{call}"]
    code = (
        "import sys, json\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "for cell in json.loads(sys.argv[1]): shell.run_cell(cell)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(cells)],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}:{tmp_path}", "HOME": str(tmp_path), "PATH": "/bin"},
        capture_output=True,
        text=True,
    )
    assert "total(prices=[1, 2]) → 3" in done.stdout, done
    assert "totals " in done.stdout
