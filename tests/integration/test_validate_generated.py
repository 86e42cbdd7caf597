"""``kolo-c validate --generate``: batches of programs made from a seed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.spec.tracing import environment

pytest.importorskip("kolo_c._kolo")


def generate(folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON."""
    done = run(folder, *words)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """With ``--json``."""
    return subprocess.run(
        [sys.executable, "-m", "kolo_c", "validate", "--json", *words],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def test_generated_programs_are_equal_to_themselves(tmp_path: Path) -> None:
    code, found = generate(
        tmp_path, "--generate", "5", "--sides", "c/setprofile,c/setprofile"
    )
    assert (code, found["equal"], found["failures"]) == (0, True, [])
    assert found["programs"] == 5
    assert found["comparisons"][0]["records"]["CALL"] > 250
    assert found["features"]


@pytest.mark.skipif(not hasattr(sys, "monitoring"), reason="3.12 and newer")
def test_what_calls_handle_is_compared_where_both_sides_tell(tmp_path: Path) -> None:
    _, found = generate(
        tmp_path,
        *("--generate", "3", "--seed", "301"),
        *("--sides", "c/monitoring,python/monitoring"),
    )
    assert found["failures"] == []
    assert found["comparisons"][0]["records"]["CAUGHT"] > 20


def test_a_side_that_cannot_start_is_one_error(tmp_path: Path) -> None:
    done = run(tmp_path, "--generate", "3", "--set", "items=many")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("error") == 1
    assert (
        "nothing can be recorded on side 1-c-setprofile: argument items" in done.stderr
    )


def test_a_side_that_records_less_fails_and_the_program_is_kept(tmp_path: Path) -> None:
    """Nothing of the programs is kept, so each makes too few records."""
    code, found = generate(
        tmp_path,
        *("--generate", "1", "--sides", "c/setprofile,c/setprofile"),
        *("--ignore", "qualname:*", "--output", "kept"),
    )
    assert code == 1
    assert "number of records" in found["failures"][0]["difference"]["what"]
    assert (tmp_path / "kept" / "p0.py").read_text() == found["failures"][0]["source"]
