"""Traces as a table: one line each, as wide as the screen.

Where the screen is narrow, the id shrinks to the part that names it, then the name, and
then columns go that tell least.

Threads: one at a time. Owns: nothing. Fails: what writing raises.
"""

from __future__ import annotations

import time

from kolo_c.cli.cells import cells, fit
from kolo_c.cli.trace_row import status_style, status_text
from kolo_c.cli.units import age, duration, size
from kolo_c.errors import harmless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.cli.screen import Line, Screen
    from kolo_c.store.marks import Name
    from kolo_c.store.trace_info import TraceInfo

    Row = dict[str, Line]

_COLUMNS = ("age", "name", "duration", "calls", "size", "status", "id", "short")
_RIGHT = {"duration", "calls", "size"}
_GAP = 2
_WIDEST_NAME = 48
_NARROWEST_NAME = 12
_LEAST_TELLING = ("size", "calls", "status", "duration")
_LEAST_OF_ID = 6


def write_table(
    screen: Screen,
    traces: list[TraceInfo],
    endings: dict[str, int],
    pins: set[Name],
) -> None:
    """Write the table."""
    now_ns = time.time_ns()
    rows: list[Row] = [{name: [(name, "dim")] for name in _COLUMNS}]
    for trace in traces:
        pinned = (trace.id, trace.files.id) in pins
        rows.append(_row(screen, trace, endings[trace.id], now_ns, pinned=pinned))
    columns = [name for name in _COLUMNS if name != "short" or not screen.coloured]
    widths = {name: max(_width(row[name]) for row in rows) for name in columns}
    if screen.width is not None:
        _fit(rows, widths, screen.width)
    for row in rows:
        screen.line(_line(row, widths))


def _row(
    screen: Screen, trace: TraceInfo, ending: int, now_ns: int, *, pinned: bool
) -> Row:
    name = harmless(trace.row.name) or trace.row.kind
    name = fit(name, _WIDEST_NAME)
    identifier = harmless(trace.id)
    status = status_text(trace) + (", pinned" if pinned else "")
    style = status_style(trace)
    row: Row = {
        "age": [(age(trace.row.started_utc_ns, now_ns), "")],
        "name": [(name, "")],
        "duration": [(duration(trace.duration_ns), "green")],
        "calls": [(f"{trace.calls:,}", "")],
        "size": [(size(trace.bytes), "")],
        "status": [(status, style)],
        "id": [(identifier[:-ending], "dim"), (identifier[-ending:], "cyan")],
        "short": [(identifier[-ending:], "")],
    }
    if screen.plain:
        for parts in row.values():
            parts[:] = [(screen.encodable(text), style) for text, style in parts]
    return row


def _fit(rows: list[Row], widths: dict[str, int], width: int) -> None:
    """Make the table as narrow as ``width``."""
    if _over(widths, width) > 0:
        for row in rows[1:]:
            (before, dim), (ending, style) = row["id"]
            row["id"] = [(before[len(ending) - _LEAST_OF_ID :], dim), (ending, style)]
            if len(ending) >= _LEAST_OF_ID:
                row["id"] = [("", dim), (ending, style)]
        widths["id"] = max(_width(row["id"]) for row in rows)
        widths.pop("short", None)
    _shrink_name(rows, widths, width)
    for name in _LEAST_TELLING:
        if _over(widths, width) <= 0:
            break
        del widths[name]
        _shrink_name(rows, widths, width)


def _shrink_name(rows: list[Row], widths: dict[str, int], width: int) -> None:
    widest = max(_width(row["name"]) for row in rows)
    widths["name"] = widest
    room = widest - max(_over(widths, width), 0)
    widths["name"] = min(max(room, _NARROWEST_NAME), widest)


def _over(widths: dict[str, int], width: int) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1) - width


def _line(row: Row, widths: dict[str, int]) -> Line:
    line: Line = []
    for name, width in widths.items():
        parts = row[name]
        if name == "name" and _width(parts) > width:
            parts = [(fit(text, width), style) for text, style in parts]
        space = " " * (width - _width(parts))
        gap = (" " * _GAP, "")
        line += [(space, ""), *parts, gap] if name in _RIGHT else [
            *parts, (space, ""), gap,
        ]  # fmt: skip
    return line[:-1]


def _width(parts: Line) -> int:
    return sum([cells(text) for text, _ in parts])
