"""The closing lines: what was recorded, where, how to see it; or why there is nothing.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.filter import Filter
    from kolo_c.project import Project
    from kolo_c.session import Summary

# The end of a trace's name: enough to be the only one, and `show` takes any ending.
_SHORT_ID = 5
# Time that the program was held is worth a line from here on.
_WAITED_NS = 100_000_000
_WORDS = {
    "stdlib": "the standard library",
    "site": "installed libraries",
    "venv": "a virtual environment",
    "frozen": "the interpreter's own modules",
    "generated": "generated code",
    "outside": "outside the project's root",
    "ignore": "ignored by the settings",
}


def closing_lines(
    summary: Summary, name: str, project: Project, chosen: Filter
) -> list[str]:
    """What to tell after a program has ended, most important first."""
    if summary.calls == 0:
        lines = why_empty(name, project, chosen)
    else:
        calls = "1 call" if summary.calls == 1 else f"{summary.calls:,} calls"
        lines = [
            f"recorded {calls} of {name} in {_seconds(summary.duration_ns)}, "
            f"{_bytes(summary.bytes)} in {project.store}; "
            f"see it with: kolo-c show {summary.trace_id[-_SHORT_ID:]}"
        ]
    if summary.lost:
        lines.append(
            f"{summary.lost:,} records were lost; the trace marks where. "
            'overflow = "wait" and a larger wait_max lose less'
        )
    if summary.errors:
        lines.append(
            f"{summary.errors:,} errors while recording; "
            f"{project.store}/kolo_c.log has the first of each"
        )
    if summary.waited_ns >= _WAITED_NS:
        waited = _seconds(summary.waited_ns)
        lines.append(f"the program was held for {waited} because the disk was slower")
    # A reason may be known to several of them.
    lines.extend(
        dict.fromkeys((*project.notes, *chosen.problems, *summary.problems)).keys()
    )
    return lines


def why_empty(name: str, project: Project, chosen: Filter) -> list[str]:
    """The most likely reasons for a trace without a call, and what to change."""
    root = f"the project's root is {project.root} ({project.reason})"
    skipped = {
        kind: found
        for kind, found in chosen.skipped.items()
        if kind in ("outside", "ignore", "site", "venv") and found.count
    }
    if not skipped:
        return [
            f"nothing was recorded: {name} called no function of its own; {root}",
            "if it should have: kolo-c doctor says what stops tracing here",
        ]
    lines = [f"nothing was recorded: all code of {name} was skipped; {root}"]
    for kind, found in skipped.items():
        lines.append(f"skipped, {_WORDS[kind]}: {', '.join(found.examples)}")
    example = next(iter(skipped.values())).examples[0]
    lines.append(
        f"kolo-c explain {example} says why; kolo-c run --include PATTERN, or roots "
        "and include_frames in the settings, keep more"
    )
    return lines


def _seconds(duration_ns: int) -> str:
    seconds = duration_ns / 1e9
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    return f"{int(seconds // 60)} min {seconds % 60:.0f} s"


def _bytes(count: int) -> str:
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
