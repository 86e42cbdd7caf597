"""A trace that has ended, in one line: ``GET /orders/7 200 84 ms 53 SQL, N+1 ×50 …``.

Threads: any. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.cli.digest_lines import short_place
from kolo_c.cli.trace_row import status_text
from kolo_c.cli.units import duration, short_id
from kolo_c.errors import harmless
from kolo_c.model.boundary import boundary_of
from kolo_c.model.digest import Digest
from kolo_c.plugins.shown import one_line
from kolo_c.store.text import value_text
from kolo_c.store.trace_info import COMPLETE, has_failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.cli.screen import Line
    from kolo_c.model.boundary import Boundary
    from kolo_c.store.trace import Trace

_MOST_BLOCKS, _MOST_DECODED = 512, 24
"""Some 8,000 statements, a sixth of a second: others end meanwhile."""
_COUNTED = {"sql": "SQL", "http": "HTTP"}
_MESSAGE_WIDTH = 100
_CLIENT_ERROR = 400


class Finished:
    """What is said of a trace that has ended."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.digest = Digest(trace, _MOST_BLOCKS, _MOST_DECODED, None)
        self.boundary = boundary_of(trace, self.digest)
        self.failed = has_failed(trace.info) or (
            self.boundary is not None and self.boundary.failed
        )

    def line(self) -> Line:
        """For a person."""
        info = self.trace.info
        name, outcome = _name_and_outcome(self.trace, self.boundary)
        parts: Line = [(name, "bold")]
        if outcome:
            parts.append((f" {outcome}", self._style(outcome)))
        elif info.status != COMPLETE or self.failed:
            parts.append((f" {_how(self.trace)}", "red"))
        parts.append((f" {duration(info.duration_ns)}", "green"))
        counts = self._counts()
        if counts:
            parts.append((f" {counts}", ""))
        worst = self.digest.repeated[:1]
        for one in worst:
            place = short_place(one.path, one.line, self.trace.process.root)
            parts.append((f", N+1 ×{one.count:,} {place}", "yellow"))
        why = self._why()
        if why:
            parts.append((f" ✗ {why}", "red"))
        return [*parts, (f" · show {short_id(info.id)}", "dim")]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        from kolo_c.cli.digest_lines import digest_json  # noqa: PLC0415 - only here
        from kolo_c.cli.trace_row import trace_json  # noqa: PLC0415
        from kolo_c.store.jsonable import value_json  # noqa: PLC0415

        definitions = self.trace.definitions
        fields = self.boundary.fields if self.boundary is not None else {}
        return {
            **trace_json(self.trace.info),
            "failed": self.failed,
            "short_id": short_id(self.trace.info.id),
            "fields": {name: value_json(v, definitions) for name, v in fields.items()},
            "events": digest_json(self.digest),
        }

    def _counts(self) -> str:
        more = "" if self.digest.complete else "+"
        return ", ".join(
            f"{tally.count:,}{more} {_COUNTED[name]}"
            for name, tally in self.digest.tallies.items()
            if name in _COUNTED
        )

    def _style(self, outcome: str) -> str:
        if self.failed:
            return "red"
        known = outcome.isdigit() and int(outcome) >= _CLIENT_ERROR
        return "yellow" if known else "green"

    def _why(self) -> str:
        """Why it failed: what it said itself, or the exception."""
        if not self.failed or self.boundary is None:
            return ""
        lines = self.boundary.text("message").strip().splitlines()
        if lines:
            return one_line(lines[0], _MESSAGE_WIDTH)
        exception = self.boundary.exception
        if exception is None:
            from kolo_c.model.story import exception_of_failed  # noqa: PLC0415 - seldom

            exception = exception_of_failed(self.trace)
        if exception is not None:
            return value_text(exception, self.trace.definitions, _MESSAGE_WIDTH)
        return ""


def _name_and_outcome(trace: Trace, boundary: Boundary | None) -> tuple[str, str]:
    """The name without the outcome at its end, and the outcome."""
    name = harmless(trace.info.row.name) or harmless(trace.info.row.kind)
    if boundary is None:
        return name, ""
    found = boundary.fields.get("status", boundary.fields.get("outcome"))
    if not isinstance(found, (int, str)) or isinstance(found, bool):
        return name, ""
    outcome = one_line(str(found), 40)
    for ending in (f" → {outcome}", f" {outcome}"):
        name = name.removesuffix(ending)
    return name, outcome


def _how(trace: Trace) -> str:
    """How a trace ended that did not end well, without a plugin to say so."""
    if trace.info.status != COMPLETE:
        return status_text(trace.info)
    from kolo_c.model.exceptions import read_failure  # noqa: PLC0415 - seldom

    failure = read_failure(trace)
    if isinstance(failure.get("exit_code"), int):
        return f"exit code {failure['exit_code']}"
    chain = failure["chain"]
    return one_line(str(chain[0].get("type", "failed")), 60) if chain else "failed"
