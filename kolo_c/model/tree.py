"""Records become a tree of nodes, by the stack rules of the wire format.

A builder takes a stream's blocks in order, or any of them: where it begins in the
middle the header says which calls are open, and those it has not seen stand in as nodes
without a beginning. A generator is one node; what it calls after a resume joins its
children.

Threads: one at a time. Owns: the nodes. Fails: StoreError from the reader; records that
contradict each other are counted in ``unmatched``.
"""

from __future__ import annotations

from kolo_c.model.ends import fill_ends
from kolo_c.model.exceptions import is_source
from kolo_c.model.node import UNKNOWN, Node
from kolo_c.model.simple import simple_ends
from kolo_c.store import records as r
from kolo_c.store.record_decoding import make_record
from kolo_c.wire import Kind, Mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from kolo_c.store.trace import Raw, Stream

    Wanted: TypeAlias = Callable[[Node], bool]
    Needed: TypeAlias = Callable[[int], bool]
    """Whether a block may have something that is looked for, by its index."""


class TreeBuilder:
    """Builds the nodes of one stream."""

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
        self.read_nodes = 0
        self.exceptions = 0
        """Exceptions that were raised, each counted where it first left a call."""
        self.sources: list[Node] = []
        """Kept nodes in which an exception was raised."""
        self.decoded = 0
        """Blocks that were decoded."""
        self.hid_blocks = False
        self.unmatched = 0
        self.next_block = 0
        self.foreign: list[tuple[int, int, Node]] = []
        """(thread number, node, stand-in): calls of other streams that ran here."""
        self.foreign_handled: list[r.Handled] = []
        self._max_level = max_level
        self._wanted = wanted
        self._suspended: dict[int, Node] = {}
        self.task = 0
        """The task that runs; 0 where none does, or where that is not known."""
        self.follows_tasks = False
        """Whether no block is left out that switches tasks."""
        self._jumped = False
        self._passed_over = 0
        """The first node that ``max_nodes`` left out."""

    @property
    def finished(self) -> bool:
        """Whether every block has been read or left out."""
        return not self.first_unread

    @property
    def first_unread(self) -> int:
        """The number of the first node that was not taken; 0 where there is none."""
        blocks = self.stream.blocks
        if self._passed_over or self.next_block >= len(blocks):
            return self._passed_over
        return max(blocks[self.next_block].first_node, 1)

    def open_nodes(self) -> list[Node]:
        """What has not ended yet: on the stack, or suspended."""
        return [*self.stack, *self._suspended.values()]

    def step(self, max_nodes: int | None = None) -> None:
        """Take the next block; leave it out where nothing in it would be kept. When
        ``max_nodes`` are shown, take of the rest only what matters to them."""
        index = self.next_block
        self.next_block = index + 1
        if self._leaves_out(index, self._base(index)):
            self.read_nodes += self.stream.blocks[index].nodes
            self.hid_blocks = True
            self._jumped = True
            return
        self._position(index)
        self.decoded += 1
        if max_nodes is not None:
            self._take_front(index, max_nodes)
            return
        for record in self.stream.decode(index).records:
            self.apply(record)

    def _take_front(self, index: int, max_nodes: int) -> None:
        """Take a block's records until ``max_nodes`` are shown, and of the rest those
        that are of no simple call."""
        raw = self.stream.skim(index)
        if len(raw) != self.stream.blocks[index].records:  # decode() says what is wrong
            for record in self.stream.decode(index).records:
                self.apply(record)
            return
        self._take_until(raw, 0, max_nodes)

    def _take_until(self, raw: list[Raw], at: int, max_nodes: int) -> None:
        while at < len(raw) and self.shown < max_nodes:
            self._take(raw[at])
            at += 1
        self._skim(raw, at, len(raw))

    def _take(self, raw: Raw) -> None:
        record = make_record(*raw)
        if record is not None:
            self.apply(record)

    def step_to(self, number: int) -> None:
        """Take of the next block what comes before node ``number``, but simple calls,
        and then the rest."""
        index = self.next_block
        self.next_block = index + 1
        self._position(index)
        raw = self.stream.skim(index)
        nodes = (at for at, (_, node, _) in enumerate(raw) if node == number)
        at = next(nodes, len(raw))
        self._skim(raw, 0, at)
        self._passed_over = 0
        for each in raw[at:]:
            self._take(each)

    def _skim(self, raw: list[Raw], at: int, stop: int) -> None:
        """Take these records, but not those of simple calls, which no node shows."""
        # What is too deep to be shown is counted call by call.
        ends = simple_ends(raw, at, stop) if self._max_level is None else []
        while at < stop:
            end = ends[at] if ends else 0
            if end:
                if self.stack:
                    self.stack[-1].went_on = True
                self._passed_over = self._passed_over or raw[at][1]
                self.read_nodes += (end - at + 1) // 2
                at = end
            else:
                self._take(raw[at])
            at += 1

    def start_at(self, index: int) -> None:
        """Let block ``index`` be the next."""
        self.next_block = index
        self._position(index, jumped=True)

    def start_within(self, number: int, count: int | None = None) -> int:
        """Take a block from node ``number`` on: all of it, or ``count`` nodes and of
        the rest only what matters to them. What ``shown`` is then, if it has so many.
        """
        index = self.stream.find_block(number)
        raw = self.stream.skim(index) if index is not None else []
        begins = (at for at, (_, node, _) in enumerate(raw) if node == number)
        at = next(begins, None)
        if index is None or at is None:  # it is damaged, or changing
            self.start_at(max(index or 0, 0))
            return self.shown + (count or 0)
        self.next_block = index + 1
        self.decoded += 1
        self._let_run(self.stream.opens_before(index, number))
        most = self.shown + (len(raw) if count is None else count)
        self._take_until(raw, at, most)
        return most

    def fill_ends(self) -> None:
        """Take the ends of open calls from the headers of blocks that were not read."""
        first = 0 if self.hid_blocks else self.next_block
        fill_ends(self.stream, self.nodes.values(), first)

    def apply(self, record: r.Record) -> None:
        """Take one record."""
        _APPLY[record.kind](self, record)

    def _base(self, index: int) -> int | None:
        """How many of the calls that are open at a block stand above the first that is
        kept; None where none of them is."""
        if self._wanted is None:
            return 0
        stack = self.stack
        if self._jumped:
            stack = [
                self.nodes[n] for n in self.stream.opens_at(index) if n in self.nodes
            ]
        for node in stack:
            if node.kept:
                return self._depth_of(index, node)
        return None

    def _depth_of(self, index: int, node: Node) -> int:
        opens = self.stream.opens_at(index)
        return opens.index(node.number) if node.number in opens else 0

    def _leaves_out(self, index: int, base: int | None) -> bool:
        """Whether all of a block is deeper than what is kept; then it is counted."""
        if self._max_level is None or base is None or self._suspended:
            return False
        block = self.stream.blocks[index]
        deepest = base + self._max_level
        if min(block.start_depth, block.least_depth) < deepest:
            return False
        opens = self.stream.opens_at(index)
        at = self.nodes.get(opens[deepest - 1]) if len(opens) >= deepest else None
        if at is not None:
            at.hidden += block.nodes
        return True

    def _position(self, index: int, *, jumped: bool = False) -> None:
        """Let the stack be what it was at the start of a block."""
        if not (jumped or self._jumped or self.stream.begins_after_gap(index)):
            return
        self._jumped = False
        if not self.follows_tasks:
            self.task = 0
        self._let_run(self.stream.opens_at(index))

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
        self.read_nodes += 1
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

    def on_leaf(self, record: r.Record) -> None:
        node = self._begin(record)
        node.end_ns = record.ns
        node.end_kind = record.kind
        self._ended(node)

    def on_end(self, record: r.Record) -> None:
        self._finish(record)

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
        node.code = record.code
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


_APPLY: dict[Kind, Callable[[TreeBuilder, Any], None]] = {
    Kind.CALL: TreeBuilder.on_call,
    Kind.RETURN: TreeBuilder.on_end,
    Kind.RAISE: TreeBuilder.on_raise,
    Kind.YIELD: TreeBuilder.on_yield,
    Kind.RESUME: TreeBuilder.on_resume,
    Kind.THROW: TreeBuilder.on_resume,
    Kind.ENTERED: TreeBuilder.on_entered,
    Kind.HANDLED: TreeBuilder.on_handled,
    Kind.TASK: TreeBuilder.on_task,
    Kind.REGION: TreeBuilder.on_begin,
    Kind.REGION_END: TreeBuilder.on_end,
    Kind.NOTE: TreeBuilder.on_leaf,
    Kind.LOG: TreeBuilder.on_leaf,
    Kind.PLUGIN: TreeBuilder.on_begin,
    Kind.PLUGIN_END: TreeBuilder.on_end,
    Kind.MARK: TreeBuilder.on_mark,
}
