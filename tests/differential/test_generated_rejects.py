"""A run of generated programs fails where they prove too little."""

from __future__ import annotations

import sys

import pytest

from kolo_c.validate import generated
from kolo_c.validate.generate import LEAST_RECORDS, Program, Target, expected_kinds
from kolo_c.validate.generated import Generated, Runner
from kolo_c.validate.report import generated_lines
from kolo_c.validate.sides import available_sides
from kolo_c.wire import Kind

CALLS = "def f(): pass\ndef main():\n    for _ in range({}): f()\n"


def run(
    monkeypatch: pytest.MonkeyPatch, count: int, programs: int = 1
) -> tuple[str, Generated]:
    """Programs of ``count`` calls each, on one side twice; its name and the result."""
    side = available_sides()[0]
    source = CALLS.format(count)
    monkeypatch.setattr(
        generated, "generate", lambda seed, target: Program(seed, target, source)
    )
    runner = Runner([side, side], (), 60.0)
    return str(side), runner.run(programs, 0, lambda done, count: None)


def test_a_program_of_fewer_records_than_it_needs_fails_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(generated, "_MOST_SHRUNK", 0)
    # A call is two records; the calls of main and the module are there as well.
    side, found = run(monkeypatch, (LEAST_RECORDS - 6) // 2)
    assert not found.good
    (failure,) = found.failures
    assert failure.difference.what == generated._TOO_FEW
    assert failure.difference.second < LEAST_RECORDS
    assert failure.sides[1] == side


def test_a_program_of_records_enough_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, found = run(monkeypatch, LEAST_RECORDS // 2)
    assert found.good
    assert not found.unseen  # one program need not make every kind


def test_a_kind_of_record_that_no_program_made_fails_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From so many programs on; every kind that is not met is named."""
    monkeypatch.setattr(generated, "COVERAGE_FROM", 2)
    side, found = run(monkeypatch, LEAST_RECORDS, programs=2)
    assert found.failures == []
    assert not found.good
    hook = available_sides()[0].hook
    expected = {Kind(kind).name for kind in expected_kinds(Target.here().version, hook)}
    assert set(found.unseen[side]) == expected - {"CALL", "RETURN"}
    assert {"RAISE", "YIELD", "TASK"} <= set(found.unseen[side])


def test_a_run_of_a_hundred_programs_is_enough_to_ask_for_every_kind() -> None:
    assert generated.COVERAGE_FROM <= 100


@pytest.mark.parametrize(
    ("does", "what"),
    [("sys.stderr.write('more\\n')", "stderr"), ("atexit.register(os._exit, 3)", "exit code")],
)  # fmt: skip
def test_a_process_that_ends_otherwise_than_untraced_fails_the_run(
    does: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though each of its programs has ended, and recorded the same."""
    traced = "import atexit, os, sys\nif 'KOLO_C_PATH' in os.environ:\n    "
    monkeypatch.setattr(sys.modules[__name__], "CALLS", f"{traced}{does}\n{CALLS}")
    _, found = run(monkeypatch, LEAST_RECORDS)
    assert not found.good
    (failure,) = found.failures
    assert failure.program is None
    assert failure.difference.what == what
    assert failure.sides[0] == "untraced"
    said = list(generated_lines(found))
    assert any("the process of the batch" in line for line in said)
    assert said[-1] == "0 of 1 programs failed, and the batch as a whole"
