"""Tests: the record of one, and a trace for each that unittest runs.

pytest's are recorded by its plugin (kolo_c/integrations/pytest_plugin.py), also those
that are a ``unittest.TestCase``.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Kind, Plugin
from kolo_c.scope import PAUSED, SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType
    from typing import Any

TEST = Kind("test", "TEST", "green", "{runner} {nodeid}[ {outcome}]")
_PYTESTS_RESULT = "TestCaseFunction"
_LISTS = (
    ("errors", "error"),
    ("failures", "failed"),
    ("unexpectedSuccesses", "failed"),
    ("expectedFailures", "xfailed"),
    ("skipped", "skipped"),
)
"""Where a result keeps what did not simply pass, the worst first."""
_EVENTS = {
    "addError": "error",
    "addFailure": "failed",
    "addUnexpectedSuccess": "failed",
    "addExpectedFailure": "xfailed",
    "addSkip": "skipped",
}
"""The same for one that keeps the names of what it was told, and the values, to tell
them to another: that of Django's workers (``--parallel``)."""
_MESSAGE_CHARACTERS = 1000


class UnitTest(Plugin):
    """``TestCase.run`` is a test, under any runner of unittest's kind."""

    kind = TEST
    boundary = True
    takes_all = True  # a test's event loop, its server threads
    attributes = ("nodeid", "outcome")

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """It begins; None for pytest's."""
        result = local(frame, "result")
        if type(result).__name__ == _PYTESTS_RESULT:
            return None
        case = local(frame, "self")
        kind = type(case)
        method = vars(case).get("_testMethodName", "run")
        return {
            "runner": "unittest",
            "nodeid": f"{kind.__module__}.{kind.__qualname__}.{method}",
            "_result": result,
            "_counts": _counts(result),
        }

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> dict[str, Any]:
        """It has ended: its result has more in one of its lists, or it has passed."""
        result = started["_result"]
        if result is None:  # TestCase() was called without one, and made its own
            result = value
        before, after = started["_counts"], _counts(result)
        told = dict(_told(result, before["events"])) if "events" in before else {}
        for name, outcome in _LISTS:
            if after.get(name, 0) > before.get(name, 0):
                text = _text(getattr(result, name)[-1])
            elif outcome in told:
                text = told[outcome]
            else:
                continue
            found: dict[str, Any] = {"outcome": outcome}
            if text and outcome != "xfailed":
                found["message"] = text
            return found
        return {"outcome": "passed" if exception is None else "error"}


class Fixture(UnitTest):
    """What failed before or after a test, of its class or module (``setUpClass``): the
    suite tells the result of it, and runs no test where it was before."""

    takes_all = False

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """The result is about to be told."""
        text, result = local(frame, "errorName"), local(frame, "result")
        if not isinstance(text, str):
            return None
        name, _, of = text.partition(" (")  # setUpClass (shop.tests.Case)
        return {
            "runner": "unittest",
            "nodeid": f"{of.rstrip(')')}.{name}",
            "_result": result,
            "_counts": _counts(result),
            "_within": SCOPE.get(),
        }

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> dict[str, Any]:
        """It has been told. Its calls are in the trace of the process, and over: its
        own has the exception, so that it can be said where that was raised."""
        session, error, own = SCOPE.session, local(frame, "exception"), SCOPE.get()
        found = super().finish(frame, value, exception, started)
        skipped = found["outcome"] == "skipped"
        # Within a test that runs tests itself it has no trace of its own.
        if session is not None and own != started["_within"] and not skipped:
            session.ended_by(error, own)
        return found


class MadeTraceback(Plugin):
    """tblib makes a traceback of what it was sent by running, for each entry, code that
    raises under the name and file of the program's function: no call of it is one."""

    def start(self, frame: FrameType) -> Mapping[str, Any]:
        """It begins."""
        return {"_token": SCOPE.set(PAUSED)}

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> None:
        """It is made."""
        SCOPE.reset(started["_token"])


def _counts(result: Any) -> dict[str, int]:
    names = ("events", *(name for name, _ in _LISTS))
    lists = {name: getattr(result, name, None) for name in names}
    return {name: len(each) for name, each in lists.items() if isinstance(each, list)}


def _told(result: Any, first: int) -> Iterator[tuple[str, str]]:
    """What became of a test and in which words, by the events from ``first`` on."""
    for event in result.events[first:]:
        if not isinstance(event, tuple) or not event or not isinstance(event[0], str):
            continue
        outcome, last = _EVENTS.get(event[0]), event[-1]
        text = last if isinstance(last, str) else ""
        if isinstance(last, tuple) and len(last) == 3:  # sys.exc_info()
            text = _words(last[1])
            if event[0] == "addSubTest":
                expected = issubclass(type(last[1]), AssertionError)
                outcome = "failed" if expected else "error"
        if outcome is not None:
            yield outcome, text


def _words(error: BaseException) -> str:
    """The exception's line, as a traceback would have it."""
    from kolo_c.plugins.builtin.logs import said  # noqa: PLC0415 - seldom

    kind, text = type(error), said(error)
    name = kind.__qualname__
    if kind.__module__ != "builtins":
        name = f"{kind.__module__}.{name}"
    return (f"{name}: {text}" if text else name)[:_MESSAGE_CHARACTERS]


def _text(entry: Any) -> str:
    """The exception's line of a traceback, or why a test was skipped."""
    text = entry[1] if isinstance(entry, tuple) and len(entry) == 2 else None
    if not isinstance(text, str):
        return ""
    lines = text.strip().splitlines()
    if not lines:
        return ""
    # The exception begins at the last line that is not set in, and may go on below it.
    first = len(lines) - 1
    for at, line in enumerate(lines):
        if line.startswith("Traceback ("):
            first = at
        elif at > first and line and not line.startswith(" "):
            return "\n".join(lines[at:])[:_MESSAGE_CHARACTERS]
    return lines[-1][:_MESSAGE_CHARACTERS]
