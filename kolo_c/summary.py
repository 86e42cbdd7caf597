"""What a session recorded, for the closing line and for who stopped it.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any


class Summary(Frozen):
    """What a session recorded: counts, and what a person should know of it."""

    trace_id: str
    store: str
    duration_ns: int
    problems: tuple[str, ...]
    calls: int
    records: int
    bytes: int
    skipped: int
    masked: int
    truncated: int
    lost: int
    waited_ns: int
    errors: int
    own_ns: int

    @classmethod
    def of(cls, counters: Mapping[str, int], **facts: Any) -> Summary:
        """From the core's counters, 0 where there are none, and the other fields."""
        counts: dict[str, Any] = {
            name: int(counters.get(name, 0)) for name in cls._names if name not in facts
        }
        return cls(**facts, **counts)

    @property
    def path(self) -> Path:
        """The store."""
        from pathlib import Path  # noqa: PLC0415 - 2.5 ms

        return Path(self.store)
