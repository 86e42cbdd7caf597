"""Stores, traces and calls as text, and as HTML for notebooks.

Bounded: a tree shows its first levels and so many lines. What comes from the traced
program is made harmless for a terminal, and escaped for a page.

Threads: any. Owns: nothing. Fails: StoreError where a file cannot be read.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from kolo_c.errors import harmless
from kolo_c.store import records as r
from kolo_c.store.text import value_text

if TYPE_CHECKING:
    from kolo_c.reading.calls import Call
    from kolo_c.reading.store import Store
    from kolo_c.reading.traces import Trace

MOST_TRACES = 20
MOST_ROOTS = 10
MOST_CHILDREN = 20
MOST_LINES = 60
DEEPEST = 4
_WIDTH = 40
_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1000, "µs"))


def duration_text(duration_ns: int | None) -> str:
    """Three digits and a unit."""
    if duration_ns is None:
        return "…"
    for size, unit in _UNITS:
        if duration_ns >= size:
            return f"{duration_ns / size:.3g} {unit}"
    return f"{duration_ns} ns"


def call_text(call: Call) -> str:
    """A call in one line: what it was given, what came of it."""
    definitions = call._stream.definitions
    begin, code = call._begin, call._code
    given = begin.arguments if isinstance(begin, r.Call) else []
    arguments = ", ".join(
        f"{harmless(name)}={value_text(value, definitions, _WIDTH)}"
        for name, value in zip(code.arguments, given, strict=False)
    )
    end = call._ending()
    outcome = call.status
    if isinstance(end, r.Return):
        words = f"-> {value_text(end.value, definitions, _WIDTH)}"
    elif outcome == "raised":
        words = f"raised {harmless(str(call.exception))}"
    else:
        words = {"open": "running", "lost": "end not recorded"}.get(outcome, outcome)
    spent = duration_text(call.duration_ns)
    return f"{harmless(call.function)}({arguments}) {words}  {spent}"


def trace_text(trace: Trace) -> str:
    """A trace in one line."""
    when = trace.started_at.strftime("%Y-%m-%d %H:%M:%S")
    return (
        f"<trace {trace.id} {harmless(trace.name)!r} {when} UTC, {trace.status}, "
        f"{trace.call_count:,} calls, {duration_text(trace.duration_ns)}>"
    )


def store_text(store: Store) -> str:
    """The newest traces, a line each."""
    traces = store.traces(MOST_TRACES)
    lines = [f"<store {harmless(str(store.path))}>", *map(trace_text, traces)]
    return "\n".join(lines)


class _Tree:
    """The first lines of a tree, by level."""

    def __init__(self) -> None:
        self.lines = 0

    def walk(self, calls: Iterable[Call], level: int) -> Iterator[tuple[int, str]]:
        most = MOST_CHILDREN if level else MOST_ROOTS
        calls = iter(calls)
        for call in islice(calls, most):
            if self.lines >= MOST_LINES:
                yield level, "…"
                return
            self.lines += 1
            yield level, call_text(call)
            if level + 1 < DEEPEST:
                yield from self.walk(call.children, level + 1)
            elif call.children.first() is not None:
                yield level + 1, "…"
        if next(calls, None) is not None:
            yield level, "…"


def tree_text(calls: Iterable[Call]) -> list[str]:
    """The calls and what they made, indented."""
    return [f"{'  ' * level}{text}" for level, text in _Tree().walk(calls, 0)]


def tree_html(calls: Iterable[Call]) -> str:
    """The same as nested lists."""
    parts: list[str] = []
    depth = -1
    for level, text in _Tree().walk(calls, 0):
        if level > depth:  # by one: nothing is left out on the way down
            parts.append("<ul>")
        else:
            parts.append("</li>" + "</ul></li>" * (depth - level))
        depth = level
        parts.append(f"<li><code>{html.escape(text)}</code>")
    parts.append("</li></ul>" * (depth + 1))
    return "".join(parts) if depth >= 0 else "<p>no calls</p>"


def trace_html(trace: Trace) -> str:
    """What is known of a trace, and its first calls."""
    attributes = "".join(
        f"<dt>{_escape(key)}</dt><dd>{_escape(value)}</dd>"
        for key, value in trace.attributes.items()
    )
    head = f"<p><b>{_escape(trace.name)}</b> {_escape(trace_text(trace))}</p>"
    more = f"<dl>{attributes}</dl>" if attributes else ""
    return f"{head}{more}{tree_html(trace.roots)}"


def store_html(store: Store) -> str:
    """The newest traces as a table."""
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{_escape(cell)}</td>"
            for cell in (
                trace.id,
                trace.started_at.strftime("%Y-%m-%d %H:%M:%S"),
                trace.name,
                trace.status,
                f"{trace.call_count:,}",
                duration_text(trace.duration_ns),
            )
        )
        + "</tr>"
        for trace in store.traces(MOST_TRACES)
    )
    titles = ("trace", "began (UTC)", "name", "status", "calls", "time")
    heads = "".join(f"<th>{title}</th>" for title in titles)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _escape(value: object) -> str:
    return html.escape(harmless(str(value)))
