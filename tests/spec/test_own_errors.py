"""An error of the Python core's own stays its own, whatever it strikes.

The C core has no such errors: what can fail there is asked for its status.
"""

from __future__ import annotations

import pytest

from tests.spec.faults import FAULTS, WORK


@pytest.fixture
def core(request):
    """The Python core alone."""
    if request.config.getoption("--core") == "c":
        pytest.skip("--core asks for the other one")
    return "python"


def test_an_error_in_any_function_of_ours_is_counted_and_told_and_not_the_programs(
    trace,
):
    traced = trace(
        FAULTS
        + WORK
        + """
kinds = [TypeError, MemoryError, sqlite3.OperationalError, AttributeError]
struck, found = sweep(work, kinds)
print(struck > 100, found)
def last(): pass
last()
""",
        clean=False,
    )
    assert traced.stdout == "True []\n"
    assert "last() -> None" in traced.calls(values=False)
    info = traced.infos()[0]
    assert info.counters["errors"] > 100
    said = " ".join(info.attributes["problems"])
    assert "the recorder: " in said and "injected" in said


def test_what_strikes_in_any_function_of_ours_but_is_no_error_reaches_the_program(
    trace,
):
    """A KeyboardInterrupt may be raised between any two lines."""
    traced = trace(
        FAULTS
        + WORK
        + """
struck, found = sweep(work, [KeyboardInterrupt])
print(struck > 100, found)
def last(): pass
last()
""",
        clean=False,
    )
    assert traced.stdout == "True []\n"
    assert "last() -> None" in traced.calls(values=False)


def test_a_thread_that_cannot_be_mended_is_recorded_no_further(trace):
    traced = trace(
        FAULTS
        + """
from kolo_c.reference import capture, interrupt, repair
mend, call = Fault(ValueError), Fault(KeyError)
interrupt.repair = _replace(interrupt.repair, mend)
capture.call = _replace(capture.call, call)
def f(n): return n
def in_thread():
    mend.left = call.left = 1
    print(f(2), f(3))
print(f(1))
thread = threading.Thread(target=in_thread)
thread.start()
thread.join()
print(f(4))
""",
        under=("-m", "kolo_c", "run"),
        clean=False,
    )
    assert traced.stdout == "1\n2 3\n4\n"
    assert "f(n=4) -> 4" in traced.calls()
    assert "f(n=3)" not in "".join(traced.threads().values())
    assert "a thread is recorded no further" in traced.stderr
