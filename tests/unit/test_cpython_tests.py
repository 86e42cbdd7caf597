"""tools/cpython_tests: what it reads, compares and explains."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.cpython_tests import command
from tools.cpython_tests.compare import Difference, compare, explain
from tools.cpython_tests.known import Known, Side, unmet
from tools.cpython_tests.results import FileResult, read

JUNIT = """<testsuites tests="6" errors="1" failures="1"><testsuite>
<testcase name="test.test_a.T.test_ok" status="run" result="completed" />
<testcase name="test.test_a.T.test_bad" status="run" result="completed">
  <failure type="AssertionError">AssertionError: 1 != 2</failure></testcase>
<testcase name="test.test_a.T.test_err" status="run" result="completed">
  <error type="ValueError">ValueError: no</error></testcase>
<testcase name="test.test_a.T.test_skip" status="run" result="skipped">
  <skipped>not here</skipped></testcase>
<testcase name="&lt;f at 0x7f0012345678&gt;" status="run" result="completed" />
<testcase name="&lt;f at 0x7f0087654321&gt;" status="run" result="completed" />
<testcase />
</testsuite></testsuites>"""

OUTPUT = """test_ok (test.test_a.T.test_ok) ... ok
test_parts (test.test_a.T.test_parts) ...
======================================================================
FAIL: test_parts (test.test_a.T.test_parts) (i=3)
----------------------------------------------------------------------
AssertionError: 3 != 4

======================================================================
ERROR: setUpClass (test.test_a.Other)
----------------------------------------------------------------------
OSError: gone

----------------------------------------------------------------------
Ran 7 tests in 0.1s
Result: FAILURE
"""


def result(
    tmp_path: Path, output: str, code: int | None, junit: str = ""
) -> FileResult:
    path = tmp_path / "junit.xml"
    if junit:
        path.write_text(junit, encoding="utf-8")
    return read(path, output, code)


def test_every_test_has_an_outcome(tmp_path: Path) -> None:
    read = result(tmp_path, OUTPUT, 2, JUNIT)
    assert read.end == "failed"
    assert read.tests == {
        "test.test_a.T.test_ok": "passed",
        "test.test_a.T.test_bad": "failed",
        "test.test_a.T.test_err": "error",
        "test.test_a.T.test_skip": "skipped",
        "<f at 0x…>": "passed",
        "<f at 0x…> #2": "passed",
        "test.test_a.T.test_parts": "failed",
        "test.test_a.Other.setUpClass": "error",
    }
    assert read.says["test.test_a.T.test_bad"] == "AssertionError: 1 != 2"
    assert "3 != 4" in read.says["test.test_a.T.test_parts"]
    assert "gone" not in read.says["test.test_a.T.test_parts"]


@pytest.mark.parametrize(
    ("output", "code", "end"),
    [
        ("Tests result: SUCCESS\n", 0, "passed"),
        ("Result: SUCCESS\n", 0, "passed"),
        ("Result: ENV CHANGED\n", 3, "passed, but changed the environment"),
        ("Result: FAILURE, ENV CHANGED\n", 2, "failed"),
        ("Result: NO TESTS RAN\n", 4, "no test ran"),
        ("Result: SUCCESS\n", -11, "crashed (SIGSEGV)"),
        ("Result: SUCCESS\n", 120, "ended early (exit code 120)"),
        ("", 0, "ended early (exit code 0)"),
        ("Result: SUCCESS\n", None, "timed out"),
    ],
)
def test_how_the_file_ended_is_told(
    tmp_path: Path, output: str, code: int | None, end: str
) -> None:
    assert result(tmp_path, output, code).end == end


def test_a_crash_names_the_test_that_was_running(tmp_path: Path) -> None:
    """Before 3.11 the output names the class, and not the test, in parentheses."""
    output = "test_a (test.test_a.T) ... ok\ntest_b (test.test_a.T) ...\nFatal"
    read = result(tmp_path, output, -6)
    assert (read.end, read.at) == ("crashed (SIGABRT)", "test.test_a.T.test_b")


def test_the_same_results_do_not_differ() -> None:
    one = FileResult("failed", {"a": "passed", "b": "failed"})
    assert compare("test_x", one, one) == []


def test_a_test_that_fails_is_one_difference() -> None:
    """That the file failed as a whole follows from it."""
    before = FileResult("passed", {"a": "passed", "b": "skipped"})
    after = FileResult("failed", {"a": "failed", "b": "skipped"}, {"a": "why"})
    assert compare("test_x", before, after) == [
        Difference("a", "passed", "failed", "why")
    ]


def test_a_crash_is_one_difference() -> None:
    before = FileResult("passed", {"a": "passed", "b": "passed"})
    after = FileResult("crashed (SIGSEGV)", {}, {"test_x": "dump"}, at="a")
    assert compare("test_x", before, after) == [
        Difference("test_x", "passed", "crashed (SIGSEGV)", "dump", at="a")
    ]


def test_a_changed_environment_is_a_difference_of_the_file() -> None:
    before = FileResult("passed", {"a": "passed"})
    after = FileResult("passed, but changed the environment", {"a": "passed"})
    assert [each.test for each in compare("test_x", before, after)] == ["test_x"]


LINE = Known(
    "test.*.test_a", "1 != 2", "CPython's", hooks=("setprofile",), since=(3, 12)
)
DIFFERENCE = Difference("test.x.test_a", "passed", "failed", "Error: 1 != 2")


@pytest.mark.parametrize(
    ("difference", "witness", "explained"),
    [
        (DIFFERENCE, "failed", True),
        (DIFFERENCE, "passed", False),
        (Difference("test.x.test_b", "passed", "failed", "1 != 2"), "failed", False),
        (Difference("test.x.test_a", "passed", "failed", "other"), "failed", False),
    ],
)
def test_a_line_explains_what_an_empty_callback_does_too(
    difference: Difference, witness: str, explained: bool
) -> None:
    seen = FileResult("failed", {difference.test: witness})
    (found,) = explain([difference], [LINE], seen, "test_x")
    assert (found.known is LINE) == explained
    assert found.by_any == (witness == "failed")


def test_a_line_holds_for_its_versions_and_hooks() -> None:
    assert LINE.applies(Side("setprofile", "c"), (3, 12, 1))
    assert not LINE.applies(Side("setprofile", "c"), (3, 11, 7))
    assert not LINE.applies(Side("monitoring", "c"), (3, 12, 1))


def test_a_line_whose_test_does_not_differ_is_found() -> None:
    assert unmet([LINE], ["test.x.test_a"], []) == [LINE]
    assert unmet([LINE], ["test.x.test_a"], ["test.x.test_a"]) == []
    assert unmet([LINE], ["test.x.test_b"], []) == []


needs_tests = pytest.mark.skipif(
    not command.has_tests(), reason="this Python came without its tests"
)


@needs_tests
def test_an_unknown_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.parse(["test_nothing_of_the_kind"])
    assert ended.value.code == 2
    assert "has no test_nothing_of_the_kind" in capsys.readouterr().err
