"""Why a trace is empty, and what to change.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.cli.units import plural
from kolo_c.errors import harmless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.filter import Filter
    from kolo_c.project import Project
    from kolo_c.store.reader import Trace

_SKIPPED = {
    "outside": "outside the project's root",
    "ignore": "ignored by the settings",
    "site": "installed libraries",
    "venv": "a virtual environment",
}


def why_nothing_recorded(name: str, project: Project, chosen: Filter) -> list[str]:
    """The reasons that are known when the program has ended, and what to change."""
    root = f"the project's root is {project.root} ({project.reason})"
    skipped = {
        words: chosen.skipped[kind]
        for kind, words in _SKIPPED.items()
        if kind in chosen.skipped and chosen.skipped[kind].count
    }
    if not skipped:
        return [
            f"nothing was recorded: {name} called no function of its own; {root}",
            "if it should have: kolo-c doctor says what stops tracing here",
        ]
    lines = [f"nothing was recorded: all code of {name} was skipped; {root}"]
    for words, found in skipped.items():
        lines.append(f"skipped, {words}: {', '.join(found.examples)}")
    example = next(iter(skipped.values())).examples[0]
    lines.append(
        f"kolo-c explain {example} says why; kolo-c run --include PATTERN, or roots "
        "and include_frames in the settings, keep more"
    )
    return lines


def why_empty(trace: Trace) -> list[str]:
    """The reasons that the trace itself gives, the likeliest first."""
    # Here, as the end of a program passes by above, and imports no reader.
    from kolo_c.cli.header import problems  # noqa: PLC0415
    from kolo_c.store.trace_info import RUNNING  # noqa: PLC0415

    info = trace.info
    reasons: list[str] = []
    other = [text for text in problems(trace) if "profiler" in text.lower()]
    if other:
        reasons.append(f"Another profiler was in the way: {harmless(other[0])}")
        reasons.append("Stop it, or tell kolo_c to replace it, and record again.")
    skipped = info.count("skipped")
    if skipped:
        reasons.append(
            f"The filters skipped all the code that ran "
            f"({plural(skipped, 'function')}): only code under {_root(trace)} is kept."
        )
        reasons.append(
            "If that is the wrong root, start in the right directory; else name what "
            "you want in include_frames or roots under [tool.kolo_c] in "
            "pyproject.toml. kolo-c explain FILE says which rule decides."
        )
    if info.count("lost"):
        reasons.append(f"{plural(info.count('lost'), 'record')} could not be kept.")
    if not reasons and info.status == RUNNING:
        reasons.append("It is running, and nothing has been called yet.")
    if not reasons:
        reasons.append("No function was called while it was recorded: nothing ran.")
        reasons.append(
            "Was the script empty, or did the work happen in another process? "
            "kolo-c doctor says what would stop tracing here."
        )
    return reasons


def _root(trace: Trace) -> str:
    config = trace.process.info.get("config")
    root = config.get("root") if isinstance(config, dict) else None
    return harmless(str(root)) if root else "the project's root"
