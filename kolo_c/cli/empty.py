"""Why a trace is empty, and what to change.

Told twice: when the program has ended, and by whatever shows the trace later, from what
the session left in its attributes.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import os

from kolo_c.cli.units import plural
from kolo_c.errors import harmless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from kolo_c.filter import Filter
    from kolo_c.project import Project
    from kolo_c.store.reader import Trace

_PROFILER = "profiler"
_BLIND = (
    'Run it without that tool, or with hook = "monitoring" (Python 3.12 and newer) or '
    '"frame_eval" (3.10 and 3.11), whose place it does not take.'
)
_REFUSED = "nothing could be recorded: "
"""What the core says where the store could not be made when it was needed."""
_ELSEWHERE = "Make the store writable, or set KOLO_C_PATH to a directory that is."
REMOVED = "went with old segments of its process (max_bytes, keep_days)"
LOST = "were recorded and are lost: their file was damaged"
_KEEP = "A larger max_bytes or keep_days keeps more; kolo-c pin keeps a trace."
_LIBRARIES = ("site", "venv", "stdlib", "frozen", "generated")


def why_nothing_recorded(
    name: str, project: Project, chosen: Filter, problems: Iterable[str] = ()
) -> list[str]:
    """The reason, as it is known when the program has ended, and what to change."""
    skipped = {kind: found.about() for kind, found in chosen.skipped.items()}
    root = f"{project.root} ({project.reason})"
    reason, change = _reason(harmless(name), root, skipped, problems)
    return [f"nothing was recorded: {reason}", change]


def why_empty(trace: Trace) -> list[str]:
    """The reasons that the trace itself gives, the likeliest first."""
    # Here, as the end of a program passes by above, and imports no reader.
    from kolo_c.cli.header import problems  # noqa: PLC0415
    from kolo_c.core_options import BLIND  # noqa: PLC0415
    from kolo_c.store.trace_info import COMPLETE, RUNNING  # noqa: PLC0415

    info = trace.info
    if info.removed:
        return [f"{plural(info.removed, 'call')} {REMOVED}.", _KEEP]
    if info.files.begins_late and info.status != COMPLETE:
        return [f"No call of it is here; any that it had made {REMOVED}.", _KEEP]
    if info.missing:
        return [
            f"{plural(info.missing, 'call')} of it {LOST}.",
            "kolo-c doctor --store says where damaged files are kept.",
        ]
    if info.status == RUNNING:
        return ["It is running, and no function of its own has been called yet."]
    reasons: list[str] = []
    if info.count("lost"):
        reasons.append(f"{plural(info.count('lost'), 'record')} could not be kept.")
    skipped = _read_skipped(info.own)
    known = list(problems(trace))
    if info.count("blind"):
        known.append(BLIND)
    if not known and not skipped and info.count("skipped"):
        return [*reasons, *_unknown_skipped(trace)]
    name = harmless(info.row.name) or info.row.kind
    reason, change = _reason(name, _root(trace), skipped, known)
    return [*reasons, f"Nothing was recorded: {reason}.", change]


def _reason(
    name: str,
    root: str,
    skipped: Mapping[str, Mapping[str, Any]],
    problems: Iterable[str],
) -> tuple[str, str]:
    """What was in the way, and the setting to change; the likeliest of what may be."""
    problems = list(problems)
    other = [text for text in problems if _PROFILER in text.lower()]
    if other:
        return harmless(other[0]), _BLIND
    for text in problems:
        if text.startswith(_REFUSED):
            return harmless(text[len(_REFUSED) :]), _ELSEWHERE
    for kind in ("ignore", "outside"):
        if kind in skipped:
            return _skipped(name, root, kind, skipped[kind])
    found = [skipped[kind] for kind in _LIBRARIES if kind in skipped]
    files = [file for about in found for file in about["files"] if file[:1] != "<"]
    if files:
        return (
            f"{name} called no function of its own, nothing but libraries; the "
            f"project's root is {root}",
            "To record a library: include_frames, or kolo-c run --include PATTERN; "
            f"kolo-c explain {harmless(files[0])} says which rule decides.",
        )
    return (
        f"{name} called no function of its own: nothing ran; the project's root is "
        f"{root}",
        "Was the script empty, or is the work done by another process (kolo-c list "
        "shows those that were followed)? kolo-c doctor says what stops tracing here.",
    )


def _skipped(
    name: str, root: str, kind: str, about: Mapping[str, Any]
) -> tuple[str, str]:
    files = [harmless(file) for file in about["files"]]
    files.sort(key=lambda file: file[:1] == "<")  # <frozen os> explains little
    example = files[0] if files else "FILE"
    shown = ", ".join(files)
    if kind == "ignore":
        return (
            f"all code of {name} was skipped: {harmless(about['why'])}, which matches "
            f"{shown}",
            "Change ignore_frames, or keep it nevertheless with include_frames or "
            f"kolo-c run --include PATTERN; kolo-c explain {example} says why.",
        )
    return (
        f"all code of {name} was skipped: it is outside the project's root {root}: "
        f"{shown}",
        "If that is the wrong root, start it in the folder of the project; else add "
        f'the folder: roots = ["{os.path.dirname(example)}"] under [tool.kolo_c] in '
        f"pyproject.toml, or KOLO_C_ROOTS. kolo-c explain {example} says why.",
    )


def _read_skipped(attributes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What was skipped, by kind of rule, as the session has left it."""
    import json  # noqa: PLC0415 - not at the end of a program

    from kolo_c.process_info import SKIPPED  # noqa: PLC0415

    try:
        found = json.loads(attributes.get(SKIPPED, "{}"))
        return {
            str(kind): {
                "why": str(about["why"]),
                "files": [str(file) for file in about["files"]],
            }
            for kind, about in found.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def _unknown_skipped(trace: Trace) -> list[str]:
    """For a trace whose process was killed, which has left no reasons."""
    count = plural(trace.info.count("skipped"), "function")
    return [
        f"The filters skipped all the code that ran ({count}): only code under "
        f"{_root(trace)} is kept.",
        "If that is the wrong root, start in the right directory; else name what "
        "you want in include_frames or roots under [tool.kolo_c] in "
        "pyproject.toml. kolo-c explain FILE says which rule decides.",
    ]


def _root(trace: Trace) -> str:
    config = trace.process.info.get("config")
    root = config.get("root") if isinstance(config, dict) else None
    return harmless(str(root)) if root else "the project's root"
