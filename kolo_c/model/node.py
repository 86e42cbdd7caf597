"""One node of a trace's tree: a call, or whatever else has a number, or a mark.

Threads: one at a time. Owns: its children. Fails: never.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kolo_c.store import records as r
from kolo_c.store.values import Value
from kolo_c.wire import Kind

UNKNOWN = 0
"""The number of a node that stands in for one that was lost."""


@dataclass(slots=True, eq=False)
class Node:
    """A call, or whatever else has a number; or a mark, which has none.

    ``begin`` is None where its first record was not read. ``continues`` is set on a
    stand-in for a call that began elsewhere and was resumed here.
    """

    thread: int
    number: int
    level: int
    parent: Node | None
    begin: r.Record | None
    code: int | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    end: r.Record | None = None
    end_kind: int | None = None
    end_sequence: int | None = None
    lost_end: bool = False
    continues: int | None = None
    """The ordinal of the thread in which a stand-in's call began."""
    site: int | None = None
    task: int = 0
    caller: Node | None = None
    """Who stood below it on the stack when it last ran."""
    children: list[Node] = field(default_factory=list)
    hidden: int = 0
    """Nodes below that were not kept."""
    resumed: int = 0
    suspended_ns: int = 0
    suspended_since: int | None = None
    waits_at: int | None = None
    """Where in its code it was suspended last."""
    raised_child: Node | None = None
    """The call below that an exception left last."""
    went_on: bool = False
    """Whether anything was seen to happen in it after that."""
    handled: Value = None
    """The exception that left it, where that was seen only later."""
    kept: bool = True
    running: bool = False
    """Whether it is on the stack."""

    @property
    def kind(self) -> Kind | None:
        """What began it; None where that was not read."""
        return self.begin.kind if self.begin is not None else None

    @property
    def is_open(self) -> bool:
        """Whether no end of it is known."""
        return self.end_kind is None and not self.lost_end

    @property
    def duration_ns(self) -> int | None:
        """From its start to its end, suspensions included; None where not known."""
        if self.start_ns is None or self.end_ns is None:
            return None
        return max(self.end_ns - self.start_ns, 0)

    def exception(self) -> Value:
        """The exception that left it; None where none did, or where it is not known."""
        end = self.end
        if isinstance(end, (r.Raise, r.RegionEnd, r.PluginEnd)) and (
            end.exception is not None
        ):
            return end.exception
        return self.handled

    @property
    def left_by_exception(self) -> bool:
        """Whether an exception ended it."""
        if self.end_kind == Kind.RAISE:
            return True
        ended = isinstance(self.end, (r.RegionEnd, r.PluginEnd))
        return ended and self.exception() is not None


def walk(roots: list[Node]) -> Iterator[Node]:
    """The nodes below and with ``roots``, parents first; deep trees are welcome."""
    pending = list(reversed(roots))
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(node.children))
