"""Bring what dead processes left in their mappings into their segments.

Done at the start of each reading command, by the C extension or, without it, by its
twin in Python. Where neither can be had (no sqlite3) the mappings stay as they are.

Threads: any; processes too, as the mapping's lock lets one in. Owns: nothing.
Fails: never: a mapping that cannot be recovered is still read.
"""

from __future__ import annotations

import os
import sys
import time

from kolo_c.store.locate import SEGMENTS_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

COMPRESS_LEVEL = 1
_PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.005


def recover_dead(store: str | os.PathLike[str], extension: Any = None) -> list[str]:
    """Recover every mapping whose process is dead; what went wrong, one text each."""
    mappings = _mappings(store)
    if not mappings:  # most of the time: then nothing else is imported
        return []
    from kolo_c.store.liveness import is_owned  # noqa: PLC0415

    dead = [path for path in mappings if not is_owned(path)]
    if not dead:
        return []
    recover = _recover() if extension is None else extension.recover
    if recover is None:
        return []
    from kolo_c.wire import SCHEMA_VERSION  # noqa: PLC0415

    schema_path = os.path.join(os.path.dirname(__file__), "schema.sql")
    with open(schema_path, encoding="utf-8") as file:
        schema = file.read()
    problems = []
    for path in dead:
        try:
            _when_free(recover, path, schema, SCHEMA_VERSION, COMPRESS_LEVEL)
        except Exception as error:
            if os.path.exists(path):  # otherwise another command was faster
                why = str(error).replace(f"{path}: ", "")
                problems.append(f"{path}: not recovered: {why}")
    return problems


def _when_free(recover: Callable[..., object], *arguments: object) -> None:
    """Wait for another command that recovers it, or looks whether its process lives.

    One that takes long is left to itself: what it has not saved yet can be read.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            recover(*arguments)
            return
        except BlockingIOError:
            time.sleep(_PAUSE_SECONDS)


def _mappings(store: str | os.PathLike[str]) -> list[str]:
    directory = os.path.join(store, SEGMENTS_NAME)
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return sorted(os.path.join(directory, name) for name in names if _is_mapping(name))


def _is_mapping(name: str) -> bool:
    return name.endswith(".map")


def _recover() -> Any:
    # Only where something is to be done.
    from kolo_c.extension import extension_for_reading  # noqa: PLC0415

    extension = extension_for_reading()
    # A process that writes with Python's sqlite3 has to stay with it.
    if extension is not None and "kolo_c.reference.store" not in sys.modules:
        return extension.recover
    try:
        from kolo_c.reference.recover import recover_file  # noqa: PLC0415
    except ImportError:
        return None
    return recover_file
