"""CPython's own tests pass, fail and are skipped alike with and without tracing.

A few files that are quick; ``python -m tools.cpython_tests`` has the rest.
"""

from __future__ import annotations

import json
import platform
import sys

import pytest

from tools.cpython_tests import command

pytestmark = [
    pytest.mark.skipif(
        platform.python_implementation() != "CPython", reason="they are CPython's"
    ),
    pytest.mark.skipif(
        not command.has_tests(), reason="this Python came without its tests"
    ),
]


@pytest.mark.parametrize("test", ["test_generators", "test_contextlib", "test_with"])
def test_cpythons_tests_end_alike(
    core: str, hook: str, test: str, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted = sys.version_info >= (3, 15) and test == "test_with"
    if interrupted and core == "python" and hook == "setprofile":
        # 3.15 lets no signal in between __enter__ and the block: but in a profile
        # function in Python, which is told of the return of __enter__.
        pytest.skip("a signal may strike in the profile function")
    words = ["--json", "--core", core, "--hook", hook]
    if core == "python":  # a hundred times slower
        words += ["--include", f"module:test.{test}"]
    code = command.main([*words, test])
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert code == 0, run["differences"]
    assert run["tests"] > 20
    assert run["calls"] > 50
    assert run["end"]["untraced"] == "passed"
    if core == "c":  # whose list of known differences has none in these files
        assert run["differences"] == []
        assert run["end"]["traced"] == "passed"
        assert run["notes"] == []


def test_a_difference_is_found_and_ends_with_1(
    core: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """sys.getprofile() tells: without the list it has no reason."""
    if command.VERSION < (3, 12):
        pytest.skip("the test came with 3.12")
    words = ["--core", core, "--hook=setprofile", "test_threading"]
    words += ["--match", "test_getprofile_all_threads"]
    if core == "python":  # a hundred times slower
        words += ["--include", "module:test.test_threading"]
    monkeypatch.setattr(command, "applying", lambda *_: [])
    assert command.main(words) == 1
    said = capsys.readouterr().out
    assert "untraced passed, traced failed" in said
    assert "under a callback that does nothing: the same" in said
