"""``kolo-c doctor --trace``: what plugins took of the program's time.

Threads: one at a time. Owns: nothing.
Fails: never; of costs that cannot be read nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kolo_c.cli.findings import INFO, OK, WARNING, Finding
from kolo_c.cli.units import duration, plural
from kolo_c.errors import harmless
from kolo_c.process_info import PLUGIN_COSTS
from kolo_c.store.reader import Trace
from kolo_c.store.trace_info import TraceInfo, read_json

# Above one of these a plugin is slow, once it has taken more than a moment in all.
_HIGH_SHARE = 0.05
_HIGH_CALL_NS = 100_000
_MOMENT_NS = 1_000_000
_MOST = 12


class PluginCost(NamedTuple):
    """What one plugin's handlers took in one process."""

    name: str
    calls: int
    nanoseconds: int
    errors: int


def plugin_costs(trace: Trace) -> tuple[list[PluginCost], TraceInfo | None]:
    """Those of its process, the dearest first, and the trace that tells of them."""
    info: TraceInfo | None = trace.info
    if PLUGIN_COSTS not in trace.info.own:
        infos = trace.process.traces()
        info = next((info for info in infos if PLUGIN_COSTS in info.own), None)
    if info is None:
        return [], None
    text = info.own[PLUGIN_COSTS]
    known = read_json(text) if isinstance(text, str) else {}
    costs = [
        PluginCost(name, *row)
        for name, row in known.items()
        if isinstance(row, list)
        and len(row) == 3
        and all(type(number) is int for number in row)
    ]
    return sorted(costs, key=lambda cost: -cost.nanoseconds), info


def plugin_findings(trace: Trace) -> Iterator[Finding]:
    """A line for all of them, and one for each that took most."""
    costs, info = plugin_costs(trace)
    if info is None or not costs:
        return
    whole = sum(cost.nanoseconds for cost in costs)
    where = "" if info is trace.info else " in the whole process"
    yield Finding(
        OK,
        "plugins",
        f"{plural(len(costs), 'plugin')}, {plural(_calls(costs), 'call')}, "
        f"{duration(whole)}{where}{_share(whole, info)}",
    )
    for cost in costs[:_MOST]:
        yield _one(cost, info)
    rest = costs[_MOST:]
    if rest:
        yield Finding(
            INFO,
            "plugin",
            f"{len(rest)} more, {plural(_calls(rest), 'call')}, "
            f"{duration(sum(cost.nanoseconds for cost in rest))}",
        )


def _calls(costs: list[PluginCost]) -> int:
    return sum(cost.calls for cost in costs)


def _share(nanoseconds: int, info: TraceInfo) -> str:
    own = info.count("own_ns")
    return f", {min(nanoseconds / own, 1.0):.0%} of the recorder's cost" if own else ""


def _one(cost: PluginCost, info: TraceInfo) -> Finding:
    each = cost.nanoseconds // max(cost.calls, 1)
    text = (
        f"{harmless(cost.name)}: {plural(cost.calls, 'call')}, "
        f"{duration(cost.nanoseconds)}, {duration(each)} a call"
        f"{_share(cost.nanoseconds, info)}"
    )
    whole = info.duration_ns
    slow = cost.nanoseconds > _MOMENT_NS and (
        each > _HIGH_CALL_NS or (whole and cost.nanoseconds / whole > _HIGH_SHARE)
    )
    hints = []
    if cost.errors:
        text += f"; raised {cost.errors:,} times" if cost.errors > 1 else "; raised"
        hints.append(f"kolo-c doctor --trace {info.id[-6:]} says under problem what.")
    if slow:
        text += f"; slow: {cost.nanoseconds / max(whole, 1):.1%} of the duration"
        hints.append(
            "Do less in its handlers (docs/howto/plugins.md), or leave it out: "
            f'plugins = ["-{harmless(cost.name)}"].'
        )
    return Finding(WARNING if hints else OK, "plugin", text, " ".join(hints))
