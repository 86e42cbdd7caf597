"""Bring what dead processes left in their mappings into their segments.

Done at the start of each reading command. Without the C extension the mappings stay as
they are, and readers show what they hold.

Threads: any; processes too, as the mapping's lock lets one in. Owns: nothing.
Fails: never: a mapping that cannot be recovered is still read.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from kolo_c.store.locate import SEGMENTS_NAME
from kolo_c.store.mapping import is_owned
from kolo_c.wire import SCHEMA_VERSION

COMPRESS_LEVEL = 1


def recover_dead(store: Path, extension: Any = None) -> list[str]:
    """Recover every mapping whose process is dead; what went wrong, one text each."""
    dead = [path for path in _mappings(store) if not is_owned(path)]
    if not dead:
        return []
    if extension is None:
        extension = _extension()
    recover = getattr(extension, "recover", None)
    if recover is None:
        return []
    schema = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
    problems = []
    for path in dead:
        try:
            recover(str(path), schema, SCHEMA_VERSION, COMPRESS_LEVEL)
        except Exception as error:
            if path.exists():  # otherwise another command was faster
                problems.append(f"{path}: not recovered: {error}")
    return problems


def _mappings(store: Path) -> list[Path]:
    try:
        return sorted((store / SEGMENTS_NAME).glob("*.map"))
    except OSError:
        return []


def _extension() -> Any:
    try:
        return importlib.import_module("kolo_c._kolo")
    except ImportError:
        return None
