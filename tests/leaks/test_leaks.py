"""Many sessions, and many connections, in one process: references, memory and files
stay what they were.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kolo_c.core import choose_core
from tests.spec.tracing import environment

HERE = Path(__file__).parent
WARM_UP = 8


@pytest.fixture(scope="module", params=["steady", "queries"])
def rounds(request: pytest.FixtureRequest) -> list[tuple[int, ...]]:
    if not choose_core("c").name:
        pytest.skip("no C core")
    done = subprocess.run(
        [sys.executable, "-m", f"tests.leaks.{request.param}", "40"],
        cwd=HERE.parent.parent,
        # A wheel of msgpack is built for release builds: what it counts is missing in a
        # debug build's total.
        env=environment(MSGPACK_PUREPYTHON="1"),
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    lines = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(lines) == 40
    return lines[WARM_UP:]


def test_the_reference_total_is_steady(rounds):
    """On a debug build."""
    totals = [total for total, _, _ in rounds]
    if not any(totals):
        pytest.skip("this build does not count references")
    half = len(totals) // 2
    growth = (min(totals[half:]) - min(totals[:half])) / half
    assert growth < 0.5, totals


def test_resident_memory_is_steady(rounds):
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("AddressSanitizer keeps what is freed for a while")
    sizes = [size for _, size, _ in rounds]
    half = len(sizes) // 2
    # The interpreter may take one more arena, of 1 MiB, at any time; a leak takes many.
    assert min(sizes[half:]) - min(sizes[:half]) <= 1024, sizes


def test_no_file_stays_open(rounds):
    assert len({files for _, _, files in rounds}) == 1, rounds
