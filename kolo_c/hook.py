"""Which hook the tracer uses here, and why.

Threads: any. Owns: nothing. Fails: ``choose_hook`` never; ``load_hook`` raises
TracerError where the wish cannot be granted.
"""

from __future__ import annotations

import sys

from kolo_c.errors import TracerError
from kolo_c.frozen import Frozen

NAMES = ("setprofile", "monitoring", "frame_eval")
"""Every hook there is, the one that works everywhere first."""

_REASONS = {
    "monitoring": "code that is skipped costs nothing with it",
    "frame_eval": "it costs least before Python 3.12, and tells exceptions",
    "setprofile": "it works everywhere",
}

TOOL_IDS = (4, 3)
"""Of ``sys.monitoring``, in this order; programs use the others."""


class Choice(Frozen):
    """A hook and, for ``kolo-c doctor``, the reason it was chosen."""

    name: str
    """One of ``NAMES``, or "" where the one asked for cannot be had."""
    reason: str


def tool_holders() -> str:
    """Who has both tool ids; empty where we can have one."""
    get_tool = sys.monitoring.get_tool  # type: ignore[attr-defined,unused-ignore]
    holders = [(number, get_tool(number)) for number in TOOL_IDS]
    if any(holder in (None, "kolo_c") for _, holder in holders):
        return ""
    return " and ".join(f"{number} by {holder}" for number, holder in holders)


def choose_hook(asked: str = "auto", core: str = "c") -> Choice:
    """Decide between the hooks that this Python and ``core`` have.

    An explicit request is obeyed or refused, never quietly replaced.
    """
    refusals = {
        "monitoring": _why_no_monitoring(),
        "frame_eval": _why_no_frame_eval(core),
        "setprofile": "",
    }
    if asked != "auto":
        refused = refusals[asked]
        return Choice("", refused) if refused else Choice(asked, "it was asked for")
    for name, refused in refusals.items():
        if not refused:
            return Choice(name, _REASONS[name])
    raise AssertionError("setprofile is never refused")


def load_hook(asked: str = "auto", core: str = "c") -> str:
    """The name of the hook; TracerError where the one asked for cannot be had."""
    choice = choose_hook(asked, core)
    if choice.name:
        return choice.name
    raise TracerError(
        f'nothing can be recorded: hook = "{asked}": {choice.reason}',
        'Set hook = "auto" (KOLO_C_HOOK=auto), which takes what there is.',
    )


def _why_no_frame_eval(core: str) -> str:
    """Why frame_eval cannot be had; empty where it can."""
    if core != "c":
        return "it is of the C core alone"
    if hasattr(sys, "monitoring"):
        return "it is for Python 3.10 and 3.11; this one has sys.monitoring"
    from kolo_c import _kolo  # noqa: PLC0415 - asked where the C core was chosen

    if not _kolo.frame_eval_is_free():
        return "another tool, such as a debugger, runs the frames of this process"
    return ""


def _why_no_monitoring() -> str:
    """Why monitoring cannot be had; empty where it can."""
    if not hasattr(sys, "monitoring"):
        version = ".".join(map(str, sys.version_info[:2]))
        return f"Python {version} has no sys.monitoring, which came with 3.12"
    holders = tool_holders()
    if holders:
        return f"no tool id of sys.monitoring is free: {holders}"
    return ""
