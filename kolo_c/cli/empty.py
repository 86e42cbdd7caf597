"""Why a trace is empty, and what to change.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.cli.header import problems
from kolo_c.cli.units import plural
from kolo_c.errors import harmless
from kolo_c.store.process import RUNNING
from kolo_c.store.reader import Trace


def why_empty(trace: Trace) -> list[str]:
    """The reasons that the trace itself gives, the likeliest first."""
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
