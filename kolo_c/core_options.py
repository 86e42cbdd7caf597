"""The settings in the words of the core's ``Session``.

Threads: any. Owns: nothing. Fails: OSError where the package's own schema is missing.
"""

from __future__ import annotations

import os
import sys

from kolo_c import masking
from kolo_c._version import SCHEMA_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.config import Config
    from kolo_c.filter import FunctionOptions

BLIND = "another profiler took the tracer's place for a while"
UNSEEN = 'exceptions = "all" needs the monitoring hook'
_LOCALS = {"none": 0, "raise": 1, "all": 2}


def options_of(config: Config) -> dict[str, Any]:
    """What settings decide of the core's session."""
    return {
        "schema": _schema(),
        "schema_version": SCHEMA_VERSION,
        "compress": config.compress,
        "segment_bytes": config.segment_max_bytes,
        "free_disk_bytes": config.free_disk_min_bytes,
        "max_trace_bytes": config.max_trace_bytes,
        "wait_max_ns": int(config.wait_max * 1e9),
        "drop": config.overflow == "drop",
        "caught": config.exceptions == "all",
        "rules": {
            "locals": _LOCALS[config.locals],
            "user_repr": config.repr == "user",
            "self_fields": config.self == "fields",
            "depth": config.depth,
            "items": config.items,
            "text_bytes": config.text_bytes,
            "record_bytes": config.record_bytes,
        },
        "mask_words": (*masking.DEFAULT_WORDS, *config.mask_words),
        "mask_exceptions": (*masking.DEFAULT_EXCEPTIONS, *config.mask_exceptions),
    }


def rules_of(options: FunctionOptions) -> dict[str, Any]:
    """What is different for one function."""
    rules: dict[str, Any] = {
        "locals": _LOCALS[options.locals],
        "values": options.values,
        "user_repr": options.repr == "user",
        "self_fields": options.self == "fields",
        "shallow": options.shallow,
        "boundary": options.boundary,
        "mask": options.mask,
    }
    if options.max_depth is not None:
        rules["max_depth"] = options.max_depth
    return rules


def unseen(config: Config, hook: str) -> list[str]:
    """What was asked for and ``hook`` does not tell."""
    if config.exceptions == "leaving" or hook in ("monitoring", ""):
        return []
    return [
        f"{UNSEEN} (Python 3.12 and newer): the {hook} hook does not tell which are "
        "handled where they were raised"
    ]


def problems_of(stats: dict[str, Any], said: list[str]) -> list[str]:
    """What a person should know of the core's session, from its ``stats()``, besides
    what was ``said``: the end may have named the writer's reason."""
    found = []
    if stats.get("mapping_errno"):
        reason = os.strerror(stats["mapping_errno"])
        found.append(f"a killed process would lose its last records: {reason}")
    if stats.get("restored"):
        found.append(
            "the store was removed while the program ran: what it was writing to was "
            "written anew, and a killed process would lose its last records"
        )
    if stats.get("error"):
        found.append(stats["error"])
    writer = stats.get("writer_error")
    if writer and not any(writer in text for text in said):
        found.append(f"the writer: {writer}")
    if stats.get("blind"):
        found.append(BLIND)
    if sys.version_info >= (3, 12) and stats.get("tool_id") == -1:
        found.append("no sys.monitoring tool id is free: exceptions have no type")
    return found


def _schema() -> str:
    path = os.path.join(os.path.dirname(__file__), "store", "schema.sql")
    with open(path, encoding="utf-8") as file:
        return file.read()
