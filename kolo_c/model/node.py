"""One node of a trace's tree: a call, or whatever else has a number, or a mark.

Threads: one at a time. Owns: its children. Fails: never.
"""

from __future__ import annotations

from kolo_c.store import records as r
from kolo_c.wire import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kolo_c.model.exceptions import Caught
    from kolo_c.model.fetches import Fetched
    from kolo_c.store.values import Value

UNKNOWN = 0
"""The number of a node that stands in for one that was lost."""


class Node:
    """A call, or whatever else has a number; or a mark, which has none.

    ``begin`` is None where its first record was not read. ``continues`` is set on a
    stand-in for a call that began elsewhere and was resumed here.
    """

    __slots__ = (
        "begin", "caller", "caught", "children", "code", "continues", "counted_by",
        "end", "end_kind", "end_ns", "end_sequence", "fetched", "handled", "hidden",
        "hidden_sources", "holds", "kept", "level", "lost_end", "number", "parent",
        "plugin", "raised_child", "resumed", "running", "site", "stands_in", "start_ns",
        "suspended_ns", "suspended_since", "task", "thread", "waits_at", "went_on",
    )  # fmt: skip

    def __init__(
        self,
        thread: int,
        number: int,
        level: int,
        parent: Node | None,
        begin: r.Record | None,
        task: int = 0,
    ) -> None:
        self.thread = thread
        self.number = number
        self.level = level
        self.parent = parent
        self.begin = begin
        self.stands_in = begin is None
        """Whether its beginning was not read in its place; its task is not known."""
        self.task = task
        self.code: int | None = None
        self.plugin: int | None = None
        """The definition of its kind, where it is what a plugin saw."""
        self.start_ns: int | None = begin.ns if begin is not None else None
        self.end_ns: int | None = None
        self.end: r.Record | None = None
        self.end_kind: int | None = None
        self.end_sequence: int | None = None
        self.fetched: Fetched | None = None
        """Of an SQL statement: what siblings of it tell of its rows."""
        self.lost_end = False
        self.continues: int | None = None
        """The ordinal of the thread in which a stand-in's call began."""
        self.site: int | None = None
        self.caller = parent
        """Who stood below it on the stack when it last ran."""
        self.children: list[Node] = []
        self.hidden = 0
        """Nodes below that were not kept."""
        self.hidden_sources = 0
        """Exceptions that were raised in them, as far as they were read."""
        self.counted_by: Node | None = None
        """In whose ``hidden`` it is counted, where it was too deep to be kept."""
        self.holds = False
        """Whether something below that was not kept was worth keeping."""
        self.resumed = 0
        self.suspended_ns = 0
        self.suspended_since: int | None = None
        self.waits_at: int | None = None
        """Where in its code it was suspended last."""
        self.raised_child: Node | None = None
        """The call below that an exception left last."""
        self.went_on = False
        """Whether anything was seen to happen in it after that."""
        self.handled: Value = None
        """The exception that left it, where that was seen only later."""
        self.caught: list[Caught] | None = None
        """What it handled, with ``exceptions = "all"``; None: nothing."""
        self.kept = True
        self.running = False
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
            end.exception is not None and end.exception is not True
        ):
            return end.exception
        return self.handled

    @property
    def left_by_exception(self) -> bool:
        """Whether an exception ended it."""
        if self.end_kind == Kind.RAISE:
            return True
        if not isinstance(self.end, (r.RegionEnd, r.PluginEnd)):
            return False
        return self.end.exception is not None or self.handled is not None


def walk(roots: list[Node]) -> Iterator[Node]:
    """The nodes below and with ``roots``, parents first; deep trees are welcome."""
    pending = list(reversed(roots))
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(node.children))
