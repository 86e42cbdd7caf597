"""The nodes of one stream, as its records come: the stack rules of the wire format.

A generator is one node; what it calls after a resume joins its children. A call whose
beginning was not seen has a stand-in.

Threads: one at a time. Owns: the nodes. Fails: never; records that contradict each
other are counted in ``unmatched``.
"""

from __future__ import annotations

from kolo_c.model.exceptions import is_source, note_caught
from kolo_c.model.node import UNKNOWN, Node
from kolo_c.store import records as r
from kolo_c.wire import Kind, Mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from kolo_c.store.trace import Stream

    Wanted: TypeAlias = Callable[[Node], bool]


class Forest:
    """Takes records one by one and has the nodes that they make."""

    def __init__(
        self,
        stream: Stream,
        *,
        max_level: int | None = None,
        wanted: Wanted | None = None,
    ) -> None:
        """Keep nodes down to ``max_level``; with ``wanted`` only those that it takes
        and what is below them, each of them a root of its own."""
        self.stream = stream
        self.roots: list[Node] = []
        self.nodes: dict[int, Node] = {}
        self.stack: list[Node] = []
        self.shown = 0
        """Nodes that were kept."""
        self.exceptions = 0
        """Exceptions that were raised, each counted where it first left a call."""
        self.sources: list[Node] = []
        """Kept nodes in which an exception was raised."""
        self.unmatched = 0
        self.foreign: list[tuple[int, int, Node]] = []
        """(thread number, node, stand-in): calls of other streams that ran here."""
        self.foreign_handled: list[r.Handled] = []
        self._max_level = max_level
        self._wanted = wanted
        self._suspended: dict[int, Node] = {}
        self.task = 0
        """The task that runs; 0 where none does, or where that is not known."""
        self._passed_over = 0
        """The first node that ``max_nodes`` left out."""

    def open_nodes(self) -> list[Node]:
        """What has not ended yet: on the stack, or suspended."""
        return [*self.stack, *self._suspended.values()]

    def apply(self, record: r.Record) -> None:
        """Take one record."""
        _APPLY[record.kind](self, record)

    def _let_run(self, numbers: list[int]) -> None:
        """Let the calls of these numbers be on the stack."""
        # Ends that stand in blocks that were left out are known from their headers.
        known = {node.number: node for node in self.open_nodes()}
        stack: list[Node] = []
        for node in self.stack:
            node.running = False
        for number in numbers:
            found = known.pop(number, None) or self.nodes.get(number)
            # A damaged header may name one twice, or one that has ended.
            if found is None or number == UNKNOWN or found.running or not found.is_open:
                found = self._stand_in(number, stack[-1] if stack else None)
            found.running = True
            stack.append(found)
        self.stack = stack

    def _stand_in(self, number: int, parent: Node | None) -> Node:
        node = self._node(number, parent, None)
        self._keep(node)
        if number != UNKNOWN:
            self.nodes.setdefault(number, node)
        return node

    def _node(self, number: int, parent: Node | None, begin: r.Record | None) -> Node:
        level = parent.level + 1 if parent is not None else 1
        return Node(self.stream.ordinal, number, level, parent, begin, self.task)

    def _keep(self, node: Node) -> None:
        """Decide whether ``node`` is kept, and put it under its parent if so."""
        parent = node.parent
        if self._passed_over:  # what stands between is not there: it would look next
            node.kept = False
            return
        if self._wanted is not None and (parent is None or not parent.kept):
            node.kept = self._wanted(node)
            node.level = 1
            if node.kept:
                self.shown += 1
                self.roots.append(node)
            elif parent is None:
                node.level = 0
            return
        node.kept = self._max_level is None or node.level <= self._max_level
        if not node.kept:
            # Parents may be a thousand deep: each knows who counts what is below it.
            if parent is not None:
                node.counted_by = parent if parent.kept else parent.counted_by
            if node.counted_by is not None:
                node.counted_by.hidden += 1
            return
        self.shown += 1
        (parent.children if parent is not None else self.roots).append(node)

    def _begin(self, record: r.Record, code: int | None = None) -> Node:
        parent = self.stack[-1] if self.stack else None
        if parent is not None:
            parent.went_on = True
        node = self._node(record.node, parent, record)
        node.code = code
        self._keep(node)
        return node

    def _push(self, node: Node) -> None:
        self.nodes[node.number] = node
        node.running = True
        self.stack.append(node)

    def _pop(self, record: r.Record) -> Node | None:
        if not self.stack:
            self.unmatched += 1
            return None
        node = self.stack.pop()
        node.running = False
        node.caller = self.stack[-1] if self.stack else None
        if not node.kept and record.kind != Kind.YIELD:
            self.nodes.pop(node.number, None)
        return node

    def _finish(self, record: r.Record) -> Node | None:
        node = self._pop(record)
        if node is not None:
            node.end = record
            node.end_ns = record.ns
            node.end_kind = record.kind
            if record.kind != Kind.RAISE:
                self._ended(node)
        return node

    def _ended(self, node: Node) -> None:
        """For who wants to know that a node is complete."""

    def on_call(self, record: r.Call) -> None:
        node = self._begin(record, record.code)
        node.site = record.site
        self._push(node)

    def on_entered(self, record: r.Entered) -> None:
        self._push(self._begin(record, record.code))

    def on_begin(self, record: r.Record) -> None:
        self._push(self._begin(record))

    def on_plugin(self, record: r.Plugin) -> None:
        node = self._begin(record)
        node.plugin = record.plugin
        node.site = record.site
        self._push(node)

    def on_leaf(self, record: r.Record) -> None:
        node = self._begin(record)
        if isinstance(record, r.Log):
            node.site = record.site
        node.end_ns = record.ns
        node.end_kind = record.kind
        self._ended(node)

    def on_end(self, record: r.Record) -> None:
        node = self._finish(record)
        if node is None or node.raised_child is None or node.went_on:
            return
        # The exception of a call in it went on through it.
        if node.left_by_exception and node.caller is not None:
            node.caller.raised_child = node
            node.caller.went_on = False

    def on_raise(self, record: r.Raise) -> None:
        node = self._finish(record)
        if node is None:
            return
        if is_source(node):
            self.exceptions += 1
            if node.kept:
                self.sources.append(node)
            elif node.counted_by is not None:
                node.counted_by.hidden_sources += 1
        if node.caller is not None:
            node.caller.raised_child = node
            node.caller.went_on = False
        self._ended(node)

    def on_yield(self, record: r.Yield) -> None:
        node = self._pop(record)
        if node is not None:
            node.suspended_since = record.ns
            node.waits_at = record.offset
            node.went_on = True
            self._suspended[id(node)] = node

    def on_resume(self, record: r.Resume | r.Throw) -> None:
        node = None
        own = record.thread is None or record.thread == self.stream.number
        if own:
            node = self.nodes.get(record.resumed)
        if node is not None and (node.running or not node.is_open):
            # Damage: it cannot run twice. Followed, callers would go round in circles.
            self.unmatched += 1
            node = None
        if node is None:
            node = self._resume_elsewhere(record, own=own)
        else:
            self._suspended.pop(id(node), None)
            if node.suspended_since is not None:
                node.suspended_ns += max(record.ns - node.suspended_since, 0)
        node.suspended_since = None
        node.running = True
        node.resumed += 1
        node.caller = self.stack[-1] if self.stack else None
        if node.caller is not None:
            node.caller.went_on = True
        self.stack.append(node)

    def _resume_elsewhere(self, record: r.Resume | r.Throw, *, own: bool) -> Node:
        """A stand-in for a call whose beginning was not read here."""
        node = self._node(record.resumed, self.stack[-1] if self.stack else None, None)
        if self.stream.trace.definitions.is_code(record.code):
            node.code = record.code
        else:
            node.plugin = record.code
        node.site = record.site
        node.start_ns = record.ns
        node.continues = self.stream.ordinal
        if not own:
            node.continues = 0
            for stream in self.stream.trace.streams:
                if stream.number == record.thread:
                    node.continues = stream.ordinal
            self.foreign.append((record.thread or 0, record.resumed, node))
        self._keep(node)
        if own:
            self.nodes.setdefault(record.resumed, node)
        return node

    def on_handled(self, record: r.Handled) -> None:
        if record.thread is not None and record.thread != self.stream.number:
            self.foreign_handled.append(record)
            return
        node = self.nodes.get(record.raised)
        if node is not None:
            node.handled = record.exception

    def on_caught(self, record: r.Caught) -> None:
        own = record.thread is None or record.thread == self.stream.number
        for node in reversed(self.stack):
            is_own = node.continues in (None, self.stream.ordinal)
            if node.number == record.caught_in and is_own == own:
                note_caught(node, record)
                return
        self.unmatched += 1

    def on_task(self, record: r.TaskSwitch) -> None:
        self.task = record.task

    def on_mark(self, record: r.MarkRecord) -> None:
        if record.depth is not None:
            while len(self.stack) > record.depth:
                node = self._pop(record)
                if node is not None:
                    node.lost_end = True
        if record.mark != Mark.CLOCK:
            node = self._node(UNKNOWN, self.stack[-1] if self.stack else None, record)
            self._keep(node)
            self._ended(node)


_APPLY: dict[Kind, Callable[[Forest, Any], None]] = {
    Kind.CALL: Forest.on_call,
    Kind.RETURN: Forest.on_end,
    Kind.RAISE: Forest.on_raise,
    Kind.YIELD: Forest.on_yield,
    Kind.RESUME: Forest.on_resume,
    Kind.THROW: Forest.on_resume,
    Kind.ENTERED: Forest.on_entered,
    Kind.HANDLED: Forest.on_handled,
    Kind.CAUGHT: Forest.on_caught,
    Kind.TASK: Forest.on_task,
    Kind.REGION: Forest.on_begin,
    Kind.REGION_END: Forest.on_end,
    Kind.NOTE: Forest.on_leaf,
    Kind.LOG: Forest.on_leaf,
    Kind.PLUGIN: Forest.on_plugin,
    Kind.PLUGIN_END: Forest.on_end,
    Kind.MARK: Forest.on_mark,
}
