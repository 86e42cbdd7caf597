"""A trace as lists and headers show it: its status, and its row for programs.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.errors import harmless
from kolo_c.store.trace_info import INTERRUPTED, RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.store.trace_info import TraceInfo

STATUS_STYLES = {RUNNING: "yellow", INTERRUPTED: "red"}
_FAILURE = "kolo_c.failure"  # failure.py has it; lists do not import that
_USUAL = (None, "", "exit")


def status_text(info: TraceInfo) -> str:
    """The status, and why where that is not plain."""
    cause = info.row.cause
    known = (*_USUAL, info.status)
    return info.status if cause in known else f"{info.status} ({harmless(str(cause))})"


def has_failed(info: TraceInfo) -> bool:
    """Whether an exception ended it, or its process died."""
    if info.status == RUNNING:
        return False
    if info.status == INTERRUPTED or info.row.cause not in _USUAL:
        return True
    # Most have none: their JSON is not read for it.
    return _FAILURE in info.row.attributes and _FAILURE in info.attributes


def trace_json(info: TraceInfo) -> dict[str, Any]:
    """A trace's row for programs."""
    return {
        "id": info.id,
        "name": info.row.name,
        "kind": info.row.kind,
        "status": info.status,
        "cause": info.row.cause,
        "failed": has_failed(info),
        "started_utc_ns": info.row.started_utc_ns,
        "duration_ns": info.duration_ns,
        "calls": info.calls,
        "size_bytes": info.bytes,
        "parent": info.row.parent,
        "attributes": info.attributes,
        "counters": info.counters,
        "process": info.files.id,
        "pid": info.pid,
    }
