"""What a trace did, as the lines above its tree, and as one word for a list.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import os

from kolo_c.cli.units import duration, plural
from kolo_c.errors import harmless
from kolo_c.plugins.shown import field_text, level_name, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.cli.screen import Line
    from kolo_c.model.boundary import Boundary
    from kolo_c.model.digest import Digest, Repeated
    from kolo_c.store.definitions import Definitions
    from kolo_c.store.reader import Trace

_REPEATED_SHOWN = 3
_STATEMENT_WIDTH = 80
_NOUNS = {"sql": "statement", "http": "request", "cache": "operation"}
_FIRST = ("sql", "http")
_SAID_OF = {
    "request": ("view", "route"),
    "test": ("phase", "outcome", "markers", "message"),
    "task": ("status", "queue", "id"),
}
"""What is shown of what a trace is about, beyond its name."""


def digest_lines(trace: Trace, digest: Digest, boundary: Boundary | None) -> list[Line]:
    """The lines; none where there is nothing to say."""
    lines: list[Line] = []
    if boundary is not None:
        said = _about(boundary, trace.definitions)
        if said:
            lines.append([(said, "red" if boundary.failed else "")])
    counts = _counts(digest)
    if counts:
        lines.append([(counts + _so_far(digest), "")])
    repeated = digest.repeated
    for one in repeated[:_REPEATED_SHOWN]:
        lines.append([(f"N+1: {_repeated(one, trace)}", "yellow")])
    if len(repeated) > _REPEATED_SHOWN:
        more = len(repeated) - _REPEATED_SHOWN
        lines.append([(f"N+1: {plural(more, 'statement')} more", "yellow")])
    return lines


def digest_json(digest: Digest) -> dict[str, Any]:
    """The same for programs."""
    return {
        "complete": digest.complete,
        "kinds": {
            name: {
                "label": tally.label, "count": tally.count, "ns": tally.ns,
                "failed": tally.failed,
            }
            for name, tally in digest.tallies.items()
        },
        "logs": {level_name(level): n for level, n in digest.levels.items()},
        "n_plus_one": [
            {
                "count": one.count, "ns": one.ns, "statement": one.shape,
                "file": one.path, "line": one.line, "thread": one.thread,
                "first_node": one.node,
            }
            for one in digest.repeated
        ],
    }  # fmt: skip


def short_place(path: str, line: int, root: str | None) -> str:
    """``shop/views.py:41``, from the project's root where it lies in it."""
    if root and path.startswith(root.rstrip(os.sep) + os.sep):
        path = path[len(root.rstrip(os.sep)) + 1 :]
    return f"{harmless(path)}:{line}"


def _about(boundary: Boundary, definitions: Definitions) -> str:
    parts = []
    for name in _SAID_OF.get(boundary.kind, ()):
        text = field_text(boundary.fields.get(name), definitions)
        if text and text != "[]":
            parts.append(f"{name} {text}")
    return " · ".join(parts)


def _counts(digest: Digest) -> str:
    parts = []
    first = [name for name in _FIRST if name in digest.tallies]
    for name in dict.fromkeys([*first, *digest.tallies]):
        tally = digest.tallies[name]
        noun = _NOUNS.get(name)
        count = plural(tally.count, noun) if noun else f"{tally.count:,}"
        failed = f", {tally.failed:,} failed" if tally.failed else ""
        label = harmless(tally.label)
        parts.append(f"{label} {count}, {duration(tally.ns)}{failed}")
    if digest.levels:
        parts.append(_logs(digest.levels))
    return " · ".join(parts)


def _logs(levels: dict[object, int]) -> str:
    total = plural(sum(levels.values()), "log line")
    worse = sorted(
        (level for level in levels if isinstance(level, int) and level >= 30),
        reverse=True,
    )
    said = ", ".join(f"{levels[level]:,} {level_name(level)}" for level in worse)
    return f"{total} ({said})" if said else total


def _so_far(digest: Digest) -> str:
    if digest.complete:
        return ""
    return (
        f" · of the first {digest.looked_at:,} of {digest.blocks:,} blocks, "
        "--kind reads all"
    )


def _repeated(one: Repeated, trace: Trace) -> str:
    place = short_place(one.path, one.line, trace.process.root)
    text = one_line(one.shape, _STATEMENT_WIDTH)
    where = one.node if one.thread == 1 else f"{one.thread}.{one.node}"
    return f"×{one.count:,} in {place}, {duration(one.ns)}, from {where}: {text}"
