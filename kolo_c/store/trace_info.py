"""A trace without its records: what lists show, from its segment or the catalogue.

Threads: one at a time. Owns: nothing. Fails: StoreError, where its process has to be
opened.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kolo_c.store.files import ProcessFiles
    from kolo_c.store.process import Process
    from kolo_c.store.rows import TraceRow

RUNNING = "running"
COMPLETE = "complete"
INTERRUPTED = "interrupted"
CUT_CAUSE = "exported while running"
"""The cause of a trace that is interrupted in its exported file alone."""


EXEC_CAUSE = "exec"
DOWN_CAUSE = "system down"
MEMORY_CAUSE = "out of memory?"
"""Of one whose process ended without closing it; else a signal's name, or
``os._exit(CODE)``, or ``interrupted``: nobody knows (src/plain/last_word.h)."""
WANTED_CAUSES = frozenset((EXEC_CAUSE, "os._exit(0)"))
"""With these it is interrupted as the program wanted it: it has not failed."""
USUAL_CAUSES = (None, "", "exit")
"""With these it has ended as it should, from what its process knows."""

WITH_OUTCOME = frozenset(("request", "test", "task", "command"))
"""The kinds of traces whose ``status`` or ``outcome`` says whether they went well."""
_FAILED = frozenset(("failed", "error", "failure"))
_FAILURE = "kolo_c.failure"  # failure.py has it; lists do not import that
_OWN = "kolo_c."
"""What the names of the recorder's own attributes begin with."""


def is_failure(status: object, outcome: object) -> bool:
    """Whether a request's status, or a test's outcome, is one of what failed."""
    if isinstance(status, int) and status >= 500:
        return True
    return any(
        isinstance(one, str) and one.lower() in _FAILED for one in (status, outcome)
    )


class TraceInfo:
    """A trace, without its records."""

    __slots__ = (
        "_attributes",
        "_calls",
        "_counters",
        "_open",
        "_own",
        "_settled",
        "bytes",
        "files",
        "last_ns",
        "nodes",
        "pid",
        "row",
        "status",
    )

    def __init__(
        self,
        row: TraceRow,
        *,
        status: str,
        nodes: int,
        last_ns: int,
        bytes: int,
        files: ProcessFiles,
        pid: int,
        open: Callable[[], Process],
        calls: int | None = None,
        settled: bool = True,
    ) -> None:
        self.row = row
        self.status = status
        self.nodes = nodes
        self.last_ns = last_ns
        self.bytes = bytes
        """On disk, its share of the segments."""
        self.files = files
        """Those of its process."""
        self.pid = pid
        self._open = open
        self._calls = calls
        self._settled = settled
        self._counters: dict[str, Any] | None = None
        self._attributes: dict[str, Any] | None = None
        self._own: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<TraceInfo {self.id} {self.status} {self.row.name!r}>"

    @property
    def id(self) -> str:
        """The identifier, with its ``trc_``."""
        return self.row.id

    @property
    def process(self) -> Process:
        """The process that recorded it; its files are opened when asked for."""
        return self._open()

    def reopen(self, open: Callable[[], Process]) -> None:
        """From here on ``open`` gives its process: the one that read it is closed."""
        self._open = open

    @property
    def counters(self) -> dict[str, Any]:
        """What the recorder counted."""
        if self._counters is None:
            self._counters = read_json(self.row.counters)
        return self._counters

    @property
    def attributes(self) -> dict[str, Any]:
        """What the program and its plugins said of it, and ``problems``."""
        if self._attributes is None:
            known = read_json(self.row.attributes)
            self._own = {name: known[name] for name in known if name.startswith(_OWN)}
            for name in self._own:
                del known[name]
            self._attributes = known
        return self._attributes

    @property
    def own(self) -> dict[str, Any]:
        """What the recorder leaves for its readers: ``kolo_c.failure`` and the like."""
        _ = self.attributes
        return self._own

    @property
    def duration_ns(self) -> int:
        """From its start to its end; to now, or to the last thing known of it."""
        if self.status == RUNNING:
            return max(time.time_ns() - self.row.started_utc_ns, 0)
        end = self.row.ended_ns if self.row.ended_ns is not None else self.last_ns
        return max(end - self.row.started_ns, 0)

    @property
    def calls(self) -> int:
        """The calls that were kept; while it runs, with notes and regions."""
        if self._calls is None:
            counted = "calls" in self.counters  # at its end
            self._calls = self.count("calls") if counted else self.nodes
        return self._calls

    @property
    def removed(self) -> int:
        """The calls that went with old segments, for the bounds of the store; of a
        trace that has not ended nobody has counted them."""
        if self.status != COMPLETE or not self._settled or not self.files.begins_late:
            return 0
        return max(self.calls - self.nodes, 0)

    @property
    def missing(self) -> int:
        """The calls of a trace of which nothing is left though nobody removed it: its
        file was damaged."""
        if self.nodes or self.files.begins_late or not self._settled:
            return 0  # that it has ended may be saved ahead of its blocks
        return 0 if self.count("lost") else self.count("calls")

    def count(self, name: str) -> int:
        """The counter ``name``; 0 where there is none."""
        value = self.counters.get(name, 0)
        return value if isinstance(value, int) else 0


def read_json(text: str) -> dict[str, Any]:
    """``text`` as an object; empty where it is none."""
    if text == "{}":
        return {}
    import json  # noqa: PLC0415 - a list reads none

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def has_failed(info: TraceInfo) -> bool:
    """Whether an exception ended it, its process died without meaning to, or it says
    so itself: a status from 500, a test that failed."""
    if info.status == RUNNING:
        return False
    if info.status == INTERRUPTED:
        return info.row.cause not in WANTED_CAUSES
    if info.row.cause not in USUAL_CAUSES:
        return True
    # Most have none: their JSON is not read for it.
    text = info.row.attributes
    if _FAILURE in text and _FAILURE in info.own:
        return True
    if info.row.kind not in WITH_OUTCOME or text == "{}":
        return False
    return is_failure(info.attributes.get("status"), info.attributes.get("outcome"))
