"""The rows of a segment, as they are.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.store.slotted import Slotted


class ProcessRow(Slotted):
    """The process that wrote the segment."""

    __slots__ = (
        "id",
        "segment",
        "pid",
        "started_ns",
        "started_utc_ns",
        "ended_ns",
        "cause",
        "info",
    )

    def __init__(
        self,
        id: str,
        segment: int,
        pid: int,
        started_ns: int,
        started_utc_ns: int,
        ended_ns: int | None,
        cause: str | None,
        info: str,
    ) -> None:
        self.id = id
        self.segment = segment
        self.pid = pid
        self.started_ns = started_ns
        self.started_utc_ns = started_utc_ns
        self.ended_ns = ended_ns
        self.cause = cause
        self.info = info


class TraceRow(Slotted):
    """A trace as the segment has it."""

    __slots__ = (
        "number",
        "id",
        "kind",
        "name",
        "parent",
        "started_ns",
        "started_utc_ns",
        "ended_ns",
        "status",
        "cause",
        "attributes",
        "counters",
    )

    def __init__(
        self,
        number: int,
        id: str,
        kind: str,
        name: str,
        parent: str | None,
        started_ns: int,
        started_utc_ns: int,
        ended_ns: int | None,
        status: str,
        cause: str | None,
        attributes: str,
        counters: str,
    ) -> None:
        self.number = number
        self.id = id
        self.kind = kind
        self.name = name
        self.parent = parent
        self.started_ns = started_ns
        self.started_utc_ns = started_utc_ns
        self.ended_ns = ended_ns
        self.status = status
        self.cause = cause
        self.attributes = attributes
        self.counters = counters

    def ended(
        self, end_ns: int, cause: str | None, counters: str, name: str, attributes: str
    ) -> TraceRow:
        """The same trace, complete."""
        return TraceRow(
            self.number, self.id, self.kind, name, self.parent, self.started_ns,
            self.started_utc_ns, end_ns, "complete", cause, attributes, counters,
        )  # fmt: skip


class Sums(Slotted):
    """What the headers of a trace's blocks add up to."""

    __slots__ = ("blocks", "nodes", "bytes", "last_ns")

    def __init__(self, blocks: int, nodes: int, bytes: int, last_ns: int) -> None:
        self.blocks = blocks
        self.nodes = nodes
        self.bytes = bytes
        self.last_ns = last_ns
