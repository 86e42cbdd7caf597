"""The validator is validated: it finds each of many faults that a core could have.

Each is put into the Python core of the second side alone (faulty/), and the same small
program is compared. What differs without any fault counts for none.
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kolo_c.core import choose_core
from tests.spec.tracing import PACKAGE_PARENT, environment

HERE = Path(__file__).resolve().parent
FAULTS = re.findall(
    r"^@fault\ndef (\w+)", (HERE / "faulty" / "faults.py").read_text(), re.MULTILINE
)
SIDES = "c/setprofile,python/setprofile"
# What monitoring alone tells, where it is asked for.
OF_CAUGHT = {fault for fault in FAULTS if "caught" in fault}
SIDES_OF_CAUGHT = "c/monitoring,python/monitoring"

if choose_core("c").name != "c" or choose_core("python").name != "python":
    pytest.skip("both cores are compared", allow_module_level=True)


def compare(fault: str, of_caught: bool = False) -> dict[str, Any]:
    """What validate says of the program, with this fault in the second side."""
    sides = ["--sides", SIDES]
    if of_caught:
        sides = ["--sides", SIDES_OF_CAUGHT, "--set", "exceptions=all"]
    paths = os.pathsep.join([str(HERE / "faulty"), PACKAGE_PARENT])
    done = subprocess.run(
        [sys.executable, "-m", "kolo_c", "validate", "--json", "--ignore", "faulty/",
         *sides,
         "program.py"],
        cwd=HERE,
        env={**environment(), "PYTHONPATH": paths, "FAULT": fault},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if found["equal"] else 1)
    return found


def differences(found: dict[str, Any]) -> set[str]:
    """Each as text."""
    result = found["comparisons"][0]
    return {json.dumps(each) for each in result["differences"]}


@functools.cache
def without_fault(of_caught: bool = False) -> dict[str, Any]:
    """What is said of the cores as they are."""
    return compare("", of_caught)


def test_the_cores_are_equal_without_a_fault() -> None:
    found = without_fault()
    assert sum(found["comparisons"][0]["records"].values()) > 1000
    assert found["equal"], differences(found)


def test_there_are_faults_enough() -> None:
    assert len(FAULTS) == len(set(FAULTS)) >= 30


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str) -> None:
    of_caught = fault in OF_CAUGHT
    if of_caught and not hasattr(sys, "monitoring"):
        pytest.skip("nobody tells what is handled")
    found = compare(fault, of_caught)
    assert not found["equal"]
    assert differences(found) - differences(without_fault(of_caught))
    # The fault is in what is recorded; the program runs as ever.
    assert not any(side["differences"] for side in found["untraced"])
