"""Our tool of sys.monitoring (3.12 and newer). Twin of src/trace/monitoring.c.

The tool id is 4, else 3; never taken from another tool, never 0, 1, 2 or 5, which
programs use. The tool is the process's: a forked child goes on with its parent's.

Threads: any.
Owns: the tool id, between acquire and release.
Fails: as each function says.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

TOOL_NAME = "kolo_c"
TOOL_IDS = (4, 3)
EVENTS = (
    "PY_START", "PY_RESUME", "PY_RETURN", "PY_YIELD", "PY_THROW", "PY_UNWIND",
    "EXCEPTION_HANDLED",
)  # fmt: skip

_monitoring: Any = getattr(sys, "monitoring", None)
DISABLE: Any = getattr(_monitoring, "DISABLE", None)
"""What a callback returns to hear no more of this place."""

_tool = -1


def _is_ours(tool: int) -> bool:
    return tool >= 0 and _monitoring.get_tool(tool) == TOOL_NAME


def acquire() -> bool:
    """Take a tool id; False where both are taken, or there is no sys.monitoring."""
    global _tool
    if _monitoring is None:
        return False
    if _is_ours(_tool):
        return True  # in the child of a fork
    for tool in TOOL_IDS:
        try:
            _monitoring.use_tool_id(tool, TOOL_NAME)
        except ValueError:
            continue
        _tool = tool
        return True
    _tool = -1
    return False


def tool() -> int:
    """The id that is ours; -1 for none."""
    return _tool


def describe_holders() -> str:
    """Who has both ids, for a message."""
    return ", ".join(f"{tool} by {_monitoring.get_tool(tool)!r}" for tool in TOOL_IDS)


def release() -> None:
    """Give the id back, with all callbacks and events."""
    global _tool
    if _is_ours(_tool):
        set_events(())
        for event in EVENTS:
            _monitoring.register_callback(_tool, _number(event), None)
        _monitoring.free_tool_id(_tool)
    _tool = -1


def _number(event: str) -> int:
    return int(getattr(_monitoring.events, event))


def _numbers(events: tuple[str, ...]) -> int:
    return sum(_number(event) for event in events)


def listen(event: str, callback: Callable[..., Any]) -> None:
    """Have ``event`` call ``callback``."""
    _monitoring.register_callback(_tool, _number(event), callback)


def set_events(events: tuple[str, ...]) -> None:
    """Have these events everywhere."""
    _monitoring.set_events(_tool, _numbers(events))


def set_local(code: CodeType, events: tuple[str, ...]) -> None:
    """Have these events in ``code`` as well."""
    _monitoring.set_local_events(_tool, code, _numbers(events))


def restart() -> None:
    """What was disabled by a callback, of any tool, is told again."""
    _monitoring.restart_events()
