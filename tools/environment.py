"""What a recorded program gets of the environment that a tool was started in."""

from __future__ import annotations

import os
from pathlib import Path

import kolo_c


def environment(**more: str) -> dict[str, str]:
    """Without the shell's settings of kolo_c and Python, and with this kolo_c."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("KOLO_C", "PYTHON"))
    }
    return {**kept, "PYTHONPATH": str(Path(kolo_c.__file__).parent.parent), **more}
