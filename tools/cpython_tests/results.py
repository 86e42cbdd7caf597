"""What a run of ``python -m test`` says of each test, and of the file as a whole.

The JUnit file has each test's outcome; what it leaves out (tests that fail in a subtest
alone, a class that cannot be set up) and why a test failed stand in the verbose output.

Threads: any. Owns: nothing. Fails: never; what cannot be read is how the file ended.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

PASSED = "passed"
FAILED = "failed"
ERROR = "error"
SKIPPED = "skipped"
MISSING = "not run"

ENDED_PASSED = "passed"
ENDED_FAILED = "failed"

# Exit codes of regrtest, by version; what stands at the end of its output.
_ENDS = {
    "SUCCESS": ENDED_PASSED,
    "FAILURE": ENDED_FAILED,
    "ENV CHANGED": "passed, but changed the environment",
    "NO TEST RUN": "no test ran",
    "NO TESTS RAN": "no test ran",
    "INTERRUPTED": "interrupted",
}
_END = re.compile(
    r"^(?:Tests result|Result|== Tests result): ([A-Z, ]+?)(?: ==)?$", re.M
)
_STARTED = re.compile(r"^(\w+) \(([\w.<>]+)\)(?= \.\.\.|$)", re.M)
_TROUBLE = re.compile(
    r"^(FAIL|ERROR): (\w+) \(([^)\s]+)\)[^\n]*\n(.*?)(?=^=====|^Ran \d+ test|\Z)",
    re.M | re.S,
)
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")


@dataclass
class FileResult:
    """How a test file went on one side."""

    end: str
    """How all of it ended: "passed", "failed", "crashed (SIGSEGV)", …"""
    tests: dict[str, str] = field(default_factory=dict)
    says: dict[str, str] = field(default_factory=dict)
    """Of tests that failed, the text about it."""
    seconds: float = 0.0
    at: str = ""
    """The test that was running when it crashed, or ran out of time."""
    calls: int = 0
    notes: tuple[str, ...] = ()
    """What the recorder said of the run."""

    @property
    def broke(self) -> bool:
        """Whether it ended in the middle."""
        return self.end not in _ENDS.values()


def read(junit: Path, output: str, code: int | None) -> FileResult:
    """The result of a run that ended with exit ``code``; None: it ran out of time."""
    tests, says = _read_junit(junit)
    for kind, name, where, text in _TROUBLE.findall(output):
        test = _identify(name, where)
        says.setdefault(test, text)
        if test not in tests:
            tests[test] = FAILED if kind == "FAIL" else ERROR
    end = _end(output, code)
    result = FileResult(end, tests, says)
    if result.broke:
        started = _STARTED.findall(output)
        result.at = _identify(*started[-1]) if started else ""
    return result


def _end(output: str, code: int | None) -> str:
    if code is None:
        return "timed out"
    if code < 0:
        try:
            return f"crashed ({signal.Signals(-code).name})"
        except ValueError:
            return f"crashed (signal {-code})"
    found = _END.findall(output)
    if found and ("SUCCESS" in found[-1]) == (code == 0):
        for word in found[-1].split(", "):
            if word in _ENDS:
                return _ENDS[word]
        return str(found[-1])
    return f"ended early (exit code {code})"


def _identify(name: str, where: str) -> str:
    """The test's id: before 3.11 the output names the class alone."""
    return where if where.endswith(f".{name}") else f"{where}.{name}"


def _read_junit(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    tests: dict[str, str] = {}
    says: dict[str, str] = {}
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return tests, says
    for case in root.iter("testcase"):
        name = case.get("name")
        if name is None:
            continue  # it failed in subtests alone: the output has it
        name = _again(tests, _ADDRESS.sub("0x…", name))
        tests[name] = _outcome(case)
        for child in case:
            if child.tag in (FAILED, "failure", ERROR):
                says[name] = child.text or ""
    return tests, says


def _outcome(case: ElementTree.Element) -> str:
    tags = {child.tag for child in case}
    if "error" in tags:
        return ERROR
    if "failure" in tags:
        return FAILED
    if "skipped" in tags:
        return SKIPPED
    if "output" in tags:
        return "failed as expected"
    if "outcome" in tags:
        return "passed unexpectedly"
    return PASSED


def _again(tests: dict[str, str], name: str) -> str:
    """Several tests may have one id, such as those that a loop makes."""
    count = 1
    unique = name
    while unique in tests:
        count += 1
        unique = f"{name} #{count}"
    return unique
