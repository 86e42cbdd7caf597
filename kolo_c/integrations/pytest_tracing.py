"""Record each test of a pytest run as a trace of its own.

The trace of a test begins before its fixtures are set up and ends after the last one is
torn down. While it runs, whatever has no trace of its own belongs to it: threads, a
server that a fixture started, an event loop that several tests share. Requests and
tasks within it join it.

A session that runs already (``kolo-c run pytest``, ``KOLO_C=1``) is used; otherwise one
is started, which records nothing outside tests. With pytest-xdist each worker has one.

Threads: the main one, as pytest calls. Owns: the session that it started.
Fails: ``begin`` with pytest.UsageError; later, what goes wrong is said at the end.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import pytest

from kolo_c.errors import KoloError, own_error
from kolo_c.plugins import emit
from kolo_c.plugins.builtin.tests import TEST
from kolo_c.scope import SCOPE, active_session
from kolo_c.session import Session
from kolo_c.within import Pause, current

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

PLUGIN_NAME = "kolo_c_tests"
_HELD_MOST = 128
"""Traces that wait for the end of the run: the recorder can have 256 open."""
_MESSAGE_CHARACTERS = 1000
_CAPTURED_CHARACTERS = 4000
_FILTERS = {"include_frames", "ignore_frames"}


def begin(config: pytest.Config, asked: Mapping[str, Any]) -> None:
    """Record the tests of this run, and tell of their traces at its end."""
    from kolo_c.integrations.pytest_report import Report  # noqa: PLC0415

    slowest = _slowest(asked["kolo_c_slowest"])
    report = Report(config, str(asked["kolo_c_out"] or ""))
    tracing = None
    if not _only_distributes(config):
        session, own = _session(config)
        tracing = Tests(
            session, own, bool(asked["kolo_c_only_failed"]), slowest, report
        )
        config.pluginmanager.register(tracing, PLUGIN_NAME)
    config.pluginmanager.register(report, f"{PLUGIN_NAME}_report")


def _slowest(text: object) -> int:
    if not text:
        return 0
    try:
        number = int(str(text))
    except ValueError:
        number = 0
    if not 1 <= number <= _HELD_MOST:
        raise pytest.UsageError(
            f"--kolo-c-slowest {text}: a whole number from 1 to {_HELD_MOST} is needed"
        )
    return number


def _only_distributes(config: pytest.Config) -> bool:
    """Whether this process runs no test itself: pytest-xdist's first one."""
    if hasattr(config, "workerinput"):
        return False
    return config.getoption("dist", "no") != "no" and bool(config.getoption("tx", None))


def _session(config: pytest.Config) -> tuple[Session, bool]:
    """The session that runs, or a new one, and whether it is that."""
    running = active_session()
    if running is not None:
        return running, False
    from kolo_c.config import load  # noqa: PLC0415 - for a session of our own
    from kolo_c.filter import Filter  # noqa: PLC0415
    from kolo_c.project import find_project  # noqa: PLC0415

    words = ("pytest", *config.invocation_params.args)
    try:
        project = find_project(config.rootpath)
        loaded = load(project.root)
        chosen = loaded.require()
        session = Session(
            chosen,
            project,
            Filter(chosen, project, loaded.origins),
            name=" ".join(str(word) for word in words),
            argv=[str(word) for word in words],
            problems=project.notes,
            whole=False,
        )
        session.start()
    except KoloError as error:
        raise pytest.UsageError(f"kolo_c records nothing: {error}") from error
    return session, True


class Test:
    """One test while it runs, and until its fate is decided."""

    def __init__(self, nodeid: str, number: int, trace_id: str) -> None:
        self.nodeid = nodeid
        self.number = number
        self.trace_id = trace_id
        self.token: Any = None
        self.record: Any = None
        self.captured: dict[str, str] = {}
        self.exception: BaseException | None = None
        self.outcome = ""
        self.message = ""
        self.durations: dict[str, float] = {}

    @property
    def failed(self) -> bool:
        """In any of its phases, or its end was not waited for (Ctrl-C)."""
        return self.outcome in ("failed", "error", "interrupted", "")

    @property
    def seconds(self) -> float:
        """What its phases took together."""
        return sum(self.durations.values())

    def see(self, report: pytest.TestReport) -> None:
        """A phase is over."""
        self.durations[report.when] = report.duration
        expected = hasattr(report, "wasxfail")
        if report.failed:
            self.outcome = "failed" if report.when == "call" else "error"
            self.message = self.message or _message(report)
        elif self.outcome in ("failed", "error"):
            pass
        elif report.skipped:
            self.outcome = "xfailed" if expected else "skipped"
        elif report.when == "call":
            self.outcome = "xpassed" if expected else "passed"


class Tests:
    """Hooks: a trace around each test."""

    def __init__(
        self,
        session: Session,
        own: bool,
        only_failed: bool,
        slowest: int,
        report: Any,
    ) -> None:
        self.session = session
        self._own = own
        self._only_failed = only_failed
        self._slowest = slowest
        self._report = report
        self._running: Test | None = None
        self._waiting: list[tuple[float, int, Test]] = []
        """The slowest so far, a heap: its first is to go when a slower one comes."""

    # ---- hooks ----

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, None]:
        """The whole of a test: set-up, call, tear-down."""
        if not self._is_active():
            yield
            return
        if _is_marked_off(item):
            with Pause():
                yield
            return
        test = self._running = self._begin(item)
        try:
            made = yield
            if test is not None and made.excinfo is not None and self._is_active():
                self._interrupt(test, made.excinfo[1])
        finally:
            self._running = None
            if test is not None and self._is_active():
                self._end(test)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, Any, None]:
        """Its fixtures are made."""
        yield from self._phase("setup")

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, Any, None]:
        """Its function runs."""
        yield from self._phase("call")

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, Any, None]:
        """Its fixtures are torn down."""
        yield from self._phase("teardown")

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, None]:
        """What became of a phase."""
        made = yield
        test = self._running
        if test is None or made.excinfo is not None or not self._is_active():
            return
        report: pytest.TestReport = made.get_result()
        test.see(report)
        # Attributes of a report go to the first process of pytest-xdist, too.
        report.kolo_c_trace = test.trace_id  # type: ignore[attr-defined]
        if report.failed and call.excinfo is not None and test.exception is None:
            test.exception = call.excinfo.value
            self.session.ended_by(call.excinfo.value, test.number)
        if report.when == "teardown":
            for name in ("stdout", "stderr"):
                text = getattr(report, f"cap{name}", "")
                if text:
                    test.captured[name] = text[-_CAPTURED_CHARACTERS:]
            self._describe(test)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """All tests have run: what waits is to be stored."""
        if self._is_active():
            while self._waiting:
                self._decide(heapq.heappop(self._waiting)[2], stored=True)
            if not self._own:
                self.session.flush()
        if self._own:
            self._report.problems.extend(self.session.stop("exit").problems)
        self._report.write_files()

    def pytest_unconfigure(self) -> None:
        """The run ends before its tests began, or by an error."""
        if self._own:
            self.session.stop("exit")

    # ---- a test ----

    def _is_active(self) -> bool:
        return active_session() is self.session

    def _begin(self, item: pytest.Item) -> Test | None:
        marker = item.get_closest_marker("kolo_c")
        try:
            settings = {} if marker is None else self._settings(item, marker)
            number, trace_id = self.session.begin_boundary(
                f"pytest {item.nodeid}",
                "test",
                settings,
                held=self._only_failed or self._slowest > 0,
            )
        except Exception as wrong:  # a marker has any values: the others run
            error = own_error(wrong)
            said = ". ".join(filter(None, (error.message, error.hint)))
            self._report.problem(f"{item.nodeid} is not recorded: {said}")
            return None
        test = Test(item.nodeid, number, trace_id)
        test.token = SCOPE.set(number)
        self.session.default_boundary(number)
        fields: dict[str, Any] = {"runner": "pytest", "nodeid": item.nodeid}
        markers = ", ".join(dict.fromkeys(mark.name for mark in item.iter_markers()))
        if markers:
            fields["markers"] = markers
        current().set(**{key: fields[key] for key in fields.keys() - {"runner"}})
        callspec = getattr(item, "callspec", None)
        if callspec is not None:
            fields["params"] = dict(callspec.params)
        test.record = emit.begin(TEST, fields)
        return test

    def _settings(self, item: pytest.Item, marker: pytest.Mark) -> dict[str, Any]:
        given = marker.kwargs
        takes = f"it takes {', '.join(sorted(_FILTERS))}"
        for name in given.keys() - _FILTERS - {"enabled"}:
            self._report.problem(
                f"{item.nodeid}: the marker kolo_c has no {name}; {takes}"
            )
        for value in (*marker.args, given.get("enabled", True)):
            if not isinstance(value, bool):
                self._report.problem(
                    f"{item.nodeid}: the marker kolo_c takes True or False, "
                    f"not {value!r}; by name {takes}"
                )
        return {name: given[name] for name in _FILTERS & given.keys()}

    def _phase(self, name: str) -> Generator[None, Any, None]:
        test = self._running
        if test is None or not self._is_active():
            yield
            return
        region = self.session.region_begin(name)
        made = yield
        if self._is_active():
            self.session.region_end(region, made.excinfo and made.excinfo[1])

    def _interrupt(self, test: Test, error: BaseException) -> None:
        """Ctrl-C or ``pytest.exit()``: none of its phases is waited for any more."""
        if test.outcome not in ("failed", "error"):
            test.outcome = "interrupted"
        if test.exception is None:
            test.exception = error
            self.session.ended_by(error, test.number)
        self._describe(test)

    def _describe(self, test: Test) -> None:
        """Its last phase is over: what is known of it goes to its trace."""
        trace = current()
        phases = {
            f"{phase}_ns": round(seconds * 1e9)
            for phase, seconds in test.durations.items()
        }
        trace.set(outcome=test.outcome, **phases)
        if test.message:
            trace.set(message=test.message[:_MESSAGE_CHARACTERS])
        if test.outcome != "passed":
            trace.name = f"pytest {test.nodeid} {test.outcome}"

    def _end(self, test: Test) -> None:
        fields: dict[str, Any] = {
            "outcome": test.outcome or "interrupted",
            **test.captured,
        }
        if test.message:
            fields["message"] = test.message
        exception, test.exception = test.exception, None
        emit.finish(test.record, fields, exception)
        try:
            SCOPE.reset(test.token)
        except ValueError:
            SCOPE.set(0)  # a plugin has moved pytest to another context
        self.session.default_boundary(0)
        if self._slowest == 0:
            self._decide(test, stored=test.failed or not self._only_failed)
            return
        self.session.close_boundary(test.number)
        heapq.heappush(self._waiting, (test.seconds, test.number, test))
        if len(self._waiting) > self._slowest:
            faster = heapq.heappop(self._waiting)[2]
            self._decide(faster, stored=self._only_failed and faster.failed)

    def _decide(self, test: Test, *, stored: bool) -> None:
        cause = "exception" if test.failed else "exit"
        if stored:
            self.session.end_boundary(test.number, cause)
            self._report.stored(test.nodeid, test.trace_id)
        else:
            self.session.end_boundary(test.number, cause, stored=False)


def _is_marked_off(item: pytest.Item) -> bool:
    """``@pytest.mark.kolo_c(False)``."""
    marker = item.get_closest_marker("kolo_c")
    if marker is None:
        return False
    values = (*marker.args[:1], marker.kwargs.get("enabled"))
    return any(isinstance(value, int) and not value for value in values)


def _message(report: pytest.TestReport) -> str:
    """The exception in one line or several, as pytest's summary has it."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = getattr(crash, "message", None)
    if isinstance(text, str):
        return text
    lines = str(report.longrepr).strip().splitlines()
    return lines[-1] if lines else ""
