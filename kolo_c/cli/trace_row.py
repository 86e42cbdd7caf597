"""A trace as lists and headers show it: its status, and its row for programs.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.errors import harmless
from kolo_c.store.trace_info import (
    COMPLETE,
    USUAL_CAUSES,
    WITH_OUTCOME,
    has_failed,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.store.trace_info import TraceInfo


def status_text(info: TraceInfo) -> str:
    """The status, and why where that is not plain; of a request or test that is there
    as a whole, but failed, that."""
    if info.status == COMPLETE and info.row.kind in WITH_OUTCOME and has_failed(info):
        return "failed"
    cause = info.row.cause
    said = [] if cause in (*USUAL_CAUSES, info.status) else [harmless(str(cause))]
    if info.removed:
        said.append("first calls removed" if info.nodes else "calls removed")
    return f"{info.status} ({', '.join(said)})" if said else info.status


def status_style(info: TraceInfo) -> str:
    """How a screen marks it."""
    if has_failed(info):
        return "red"
    return "green" if info.status == COMPLETE else "yellow"


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
        "calls_removed": info.removed,
        "size_bytes": info.bytes,
        "parent": info.row.parent,
        "attributes": info.attributes,
        "counters": info.counters,
        "process": info.files.id,
        "pid": info.pid,
    }
