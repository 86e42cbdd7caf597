"""``KOLO_C``: the one variable that switches recording on, or everything off.

``KOLO_C=1`` records a Python process from its start (kolo_c.integrations.startup).
``KOLO_C=0`` switches off whatever would record: ``kolo-c run``, ``kolo_c.trace``,
middleware, plugins of test runners. Without it each does what it is told.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import os

VARIABLE = "KOLO_C"
OFF_HINT = f"{VARIABLE} is 0 in the environment, which switches kolo_c off"
_OFF = ("0", "false", "no", "off")
_ON = ("1", "true", "yes", "on")


def is_on() -> bool:
    """Whether the environment asks to record this process from its start."""
    word = os.environ.get(VARIABLE, "").strip().lower()
    return bool(word) and word not in _OFF


def is_off() -> bool:
    """Whether the environment forbids to record anything."""
    return os.environ.get(VARIABLE, "").strip().lower() in _OFF


def problem() -> str:
    """What is wrong with the variable's value; it counts as 1 then."""
    text = os.environ.get(VARIABLE, "")
    if not text.strip() or text.strip().lower() in (*_OFF, *_ON):
        return ""
    return f"environment {VARIABLE} must be 1 or 0, not {text!r}; it counts as 1"
