"""Writes every object that the collector knows of with both cores; run as a program.

Prints how many there were; exit code 1 where one differs.
"""

from __future__ import annotations

import gc
import importlib
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from kolo_c.reference import instance, value, value_secret, value_state
from tests.unit import reference_encoder

MODULES = (
    "array ast asyncio bz2 csv ctypes dataclasses decimal email.message fractions"
    " hashlib http.client inspect json logging lzma mmap multiprocessing pathlib pickle"
    " queue random re selectors socket sqlite3 ssl statistics string subprocess tempfile"
    " threading typing unittest urllib.request uuid xml.etree.ElementTree zlib zoneinfo"
).split()
BUDGETS: list[dict[str, Any]] = [
    {},
    {"depth": 2, "items": 5, "text_bytes": 100, "record_bytes": 300},
]
OURS = {
    id(cls)
    for module in (reference_encoder, value, value_state, value_secret, instance)
    for cls in (*vars(module).values(), type(value.UNBOUND))
    if type(cls) is type
}
"""The encoders' own state changes while it is written."""


def holds_ours(each: Any, levels: int = 4) -> bool:
    """Whether there is anything of the encoders in what would be written."""
    if id(type(each)) in OURS:
        return True
    if levels == 0 or type(each) is type(sys) or isinstance(each, type):
        return False
    return any(holds_ours(below, levels - 1) for below in gc.get_referents(each)[:40])


def main() -> int:
    """The exit code."""
    for name in MODULES:
        importlib.import_module(name)
    both = reference_encoder.BothEncoders()
    both.reset(("password", "token"), ())
    objects = gc.get_objects()
    differ = []
    for each in objects[:12_000]:
        try:
            for how in BUDGETS:
                both.encode((each,), **how)
        except AssertionError:
            if not holds_ours(each):
                differ.append(each)
    print(len(objects), *(f"{type(each)}: {str(each)[:200]}" for each in differ[:5]))
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
