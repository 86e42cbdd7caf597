"""What stands above a trace's tree: whose it is, what it holds, what is missing.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.cli.empty import REMOVED
from kolo_c.cli.trace_row import status_style, status_text, trace_json
from kolo_c.cli.units import duration, moment, plural
from kolo_c.errors import harmless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.cli.screen import Line
    from kolo_c.model.digest import Digest
    from kolo_c.store.jsonable import Json
    from kolo_c.store.process import TraceInfo
    from kolo_c.store.reader import Trace


def header_lines(trace: Trace, raised: str, digest: Digest | None = None) -> list[Line]:
    """The lines; ``raised`` says how many exceptions were seen."""
    info = trace.info
    lines: list[Line] = [
        [
            (harmless(info.row.name) or info.row.kind, "bold"),
            (f"  {harmless(info.id)}", "dim"),
            (f"  {moment(info.row.started_utc_ns)}  ", "dim"),
            (status_text(info), status_style(info)),
        ],
        [(_numbers(info, raised), "")],
    ]
    if digest is not None:
        from kolo_c.cli.digest_lines import digest_lines  # noqa: PLC0415 - see show
        from kolo_c.model.boundary import boundary_of  # noqa: PLC0415

        lines.extend(digest_lines(trace, digest, boundary_of(trace, digest)))
    missing = _missing(info)
    removed = _removed(trace)
    if removed:
        lines.append([(removed, "yellow")])
    if missing:
        lines.append([(missing, "yellow")])
    lines.extend([(f"· {harmless(text)}", "yellow")] for text in problems(trace))
    return lines


def problems(trace: Trace) -> list[str]:
    """What went wrong while recording or reading, as texts."""
    found = trace.process.info.get("problems")
    texts = [str(text) for text in found] if isinstance(found, list) else []
    texts.extend(trace.process.problems)
    texts.extend(trace.damage)
    texts.extend(trace.definitions.damage)
    return texts


def header_json(trace: Trace, digest: Digest | None = None) -> dict[str, Json]:
    """The same for programs."""
    info = trace.info
    events = {}
    if digest is not None:
        from kolo_c.cli.digest_lines import digest_json  # noqa: PLC0415 - as above

        events["events"] = digest_json(digest)
    return {
        **trace_json(info),
        **events,
        "threads": [
            {"thread": stream.ordinal, "name": stream.name, "nodes": stream.last_node}
            for stream in trace.streams
        ],
        "problems": problems(trace),
        "process_info": trace.process.info,
    }


def _numbers(info: TraceInfo, raised: str) -> str:
    parts = [plural(info.calls, "call"), duration(info.duration_ns), raised]
    for name in ("masked", "truncated"):
        if info.count(name):
            parts.append(f"{info.count(name):,} {name}")
    if info.count("own_ns"):
        parts.append(f"own cost {duration(info.count('own_ns'))}")
    return " · ".join(part for part in parts if part)


def _removed(trace: Trace) -> str:
    """What the bounds of the store have taken."""
    info = trace.info
    if not (info.nodes and info.files.begins_late):
        return ""  # why_empty says more
    if info.removed:
        return f"the first {plural(info.removed, 'call')} {REMOVED}"
    if any(stream.begins_after_gap(0) for stream in trace.streams):
        return f"the first calls {REMOVED}"
    return ""


def _missing(info: TraceInfo) -> str:
    parts = []
    lost = info.count("lost")
    if info.status != "complete" and info.process.copy is not None:
        lost = max(lost, info.process.copy.header.lost_records)
    if lost:
        parts.append(f"{plural(lost, 'record')} lost")
    if info.count("values_off"):
        parts.append("values were left out at the trace's limit")
    if info.count("waited_ns"):
        parts.append(f"waited {duration(info.count('waited_ns'))} for the disk")
    if info.count("errors"):
        parts.append(f"{plural(info.count('errors'), 'error')} of our own (kolo_c.log)")
    return " · ".join(parts)
