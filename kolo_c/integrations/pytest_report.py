"""What a pytest run says of the traces that it stored: at the end, and as files.

A failed test has a section below its traceback: how to see its trace, and the calls
before the failure. With pytest-xdist the workers store, and the first process tells.

Threads: the main one, as pytest calls. Owns: nothing.
Fails: never; what cannot be read is left out, what cannot be written is said.
"""

from __future__ import annotations

import gc
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from kolo_c.errors import KoloError, harmless

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from kolo_c.store.reader import Store

_CALLS = 6
_TOLD_MOST = 20
"""Failures that are told with their last calls; of more only where the trace is."""
_NAME_CHARACTERS = 120
_WORKER_KEY = "kolo_c"


class Report:
    """Hooks: the end of a run."""

    def __init__(self, config: pytest.Config, out: str) -> None:
        self._config = config
        self._out = out
        self._kept: list[tuple[str, str]] = []
        """Node id and trace of what was stored."""
        self._written = 0
        """Files."""
        self.problems: list[str] = []

    def stored(self, nodeid: str, trace_id: str) -> None:
        """A test's trace is stored."""
        self._kept.append((nodeid, trace_id))

    def problem(self, text: str) -> None:
        """Something to be told at the end, once."""
        if text not in self.problems:
            self.problems.append(text)

    # ---- hooks ----

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """A worker of pytest-xdist tells the first process."""
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[_WORKER_KEY] = {
                "kept": self._kept,
                "written": self._written,
                "problems": self.problems,
            }

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker has ended; one that was interrupted is told of twice."""
        found = getattr(node, "workeroutput", {}).pop(_WORKER_KEY, None)
        if found:
            self._kept.extend((nodeid, trace) for nodeid, trace in found["kept"])
            self._written += found["written"]
            for text in found["problems"]:
                self.problem(text)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_terminal_summary(
        self, terminalreporter: Any
    ) -> Generator[None, Any, None]:
        """Sections for failures before they are printed, a line or two after."""
        try:
            self._add_sections(terminalreporter)
        except Exception as error:  # never instead of what the tests have to say
            self.problem(f"{type(error).__name__}: {error}")
        yield
        for line in self._closing():
            terminalreporter.write_line(line)

    # ---- failures ----

    def _add_sections(self, terminalreporter: Any) -> None:
        stored = {trace for _, trace in self._kept}
        reports = [
            report
            for category in ("failed", "error")
            for report in terminalreporter.stats.get(category, ())
            if getattr(report, "kolo_c_trace", None) in stored
        ]
        if not reports or self._config.getoption("tbstyle", "auto") == "no":
            return
        start = self._config.invocation_params.dir
        with _reading(self._config) as store:
            for number, report in enumerate(reports):
                lines = _story(store, report.kolo_c_trace, start, number < _TOLD_MOST)
                report.sections.append(("kolo_c", "\n".join(lines)))

    def _closing(self) -> list[str]:
        lines = [f"kolo_c: {harmless(text)}" for text in self.problems]
        count = len(self._kept)
        if count == 0:
            return [*lines, "kolo_c: no test's trace was stored"]
        traces = "1 test's trace" if count == 1 else f"{count:,} tests' traces"
        see = "kolo-c list"
        if self._written == count:
            see += f"; files in {self._out}"
        elif self._written:
            files = "1 file" if self._written == 1 else f"{self._written:,} files"
            see += f"; {files} in {self._out}"
        return [*lines, f"kolo_c: {traces} stored; see {see}"]

    # ---- files ----

    def write_files(self) -> None:
        """A file for each stored trace, where that was asked for."""
        if not self._out or not self._kept:
            return
        try:
            with _reading(self._config) as store:
                for nodeid, trace_id in self._kept:
                    self._write_file(store, nodeid, trace_id)
                    self._written += 1
        except (KoloError, OSError) as error:
            self.problem(f"--kolo-c-out {self._out}: {error}")

    def _write_file(self, store: Store, nodeid: str, trace_id: str) -> None:
        from kolo_c.export.segment import export_segment  # noqa: PLC0415

        folder = self._config.invocation_params.dir / self._out
        folder.mkdir(parents=True, exist_ok=True)
        info = store.catalogue.find(trace_id)
        export_segment([info], folder / file_name(nodeid, trace_id), overwrite=True)


def file_name(nodeid: str, trace_id: str) -> str:
    """A name for a test's file: its words, and an ending of the trace's id."""
    words = re.sub(r"[^\w.-]+", "-", nodeid.replace("::", "-")).strip("-.")
    return f"{words[:_NAME_CHARACTERS]}-{trace_id[-6:]}.kolo"


@contextmanager
def _reading(config: pytest.Config) -> Iterator[Store]:
    """The store, for reading."""
    from kolo_c.project import find_project  # noqa: PLC0415 - for failures and files
    from kolo_c.scope import active_session  # noqa: PLC0415
    from kolo_c.store.reader import Store  # noqa: PLC0415

    session = active_session()
    path: Path | str
    if session is not None:
        session.flush()
        path = session.project.store
    else:
        path = find_project(config.rootpath).store
    collecting = gc.isenabled()
    gc.disable()  # many objects that all stay
    try:
        with Store(path) as store:
            yield store
    finally:
        if collecting:
            gc.enable()


def _story(store: Store, trace_id: str, start: Path, told: bool) -> list[str]:
    """How to see the trace of a failed test, and the last calls before it failed."""
    from kolo_c.cli.story import StoryText  # noqa: PLC0415 - for failures
    from kolo_c.cli.units import short_id  # noqa: PLC0415
    from kolo_c.model.story import tell  # noqa: PLC0415
    from kolo_c.store.locate import command_for  # noqa: PLC0415

    short = short_id(trace_id)
    command = harmless(command_for(os.fspath(store.path), os.fspath(start)))
    lines = [
        f"its trace: {command} show {short}, and how it came to it: "
        f"{command} why {short}"
    ]
    if not told:
        return lines
    try:
        story = tell(store.trace(trace_id))
        text = StoryText(story, calls=_CALLS, value_width=40)
        lines += ["".join(part for part, _ in line) for line in text.last_calls()]
    except Exception as error:  # the failure itself is what matters
        lines.append(f"its last calls cannot be read: {harmless(str(error))}")
    return [line.rstrip() for line in lines]
