"""Real programs, and the standard library at work: the trace has exactly their calls.

A profiler written in Python counts the same program in another process: every call, in
order. Generators are calls once, as in a trace.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from kolo_c.store.reader import Store
from kolo_c.wire import Kind
from tests.spec.replay import replay
from tests.spec.tracing import environment
from tests.spec.wellformed import check_trace

HERE = Path(__file__).parent
STDLIB = sysconfig.get_path("stdlib")
PROGRAMS = [
    ("calculator", []),
    ("elevator", []),
    ("sudoku", []),
    ("pipeline", []),
    ("pipeline", ["asyncio/"]),
    ("use_json", ["json/"]),
    ("use_difflib", ["difflib.py"]),
    ("use_ast", ["ast.py"]),
    ("use_unittest", ["unittest/"]),
]


def drive(folder: Path, *words: str) -> dict:
    done = subprocess.run(
        [sys.executable, str(HERE / "drive.py"), *words],
        cwd=folder, env=environment(KOLO_C_PATH=str(folder)), capture_output=True,
        text=True, timeout=120, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.parametrize(("name", "library"), PROGRAMS)
def test_a_trace_has_every_call_of_a_program_in_order(core, tmp_path, name, library):
    files = [f"{HERE}/{name}.py", *(f"{STDLIB}/{part}" for part in library)]
    counted = drive(tmp_path, "count", name, *files)
    recorded = drive(tmp_path, "record", name, *files)
    assert recorded["result"] == counted["result"]
    with Store(tmp_path / ".kolo_c") as store:
        trace = store.trace()
        check_trace(trace)
        codes = trace.definitions.code
        calls = [
            [codes(record.code).name, codes(record.code).first_line]
            for record in trace.stream(1).records()
            if record.kind == Kind.CALL
        ]
        assert len(calls) > 50
        assert calls == [list(call) for call in counted["calls"]]


@pytest.mark.parametrize("name", sorted({name for name, _ in PROGRAMS}))
def test_every_call_of_a_program_has_its_end(core, tmp_path, name):
    """Or it is a generator that was never exhausted."""
    drive(tmp_path, "record", name, str(HERE / f"{name}.py"))
    with Store(tmp_path / ".kolo_c") as store:
        trace = store.trace()
        check_trace(trace)
        for call in replay(trace.stream(1)).calls:
            assert not call.on_stack
            assert call.end or call.steps, f"{call.name} has no end"
