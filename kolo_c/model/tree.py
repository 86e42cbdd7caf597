"""A stream's blocks become its tree of nodes; what is not needed stays unread.

A builder takes a stream's blocks in order, or any of them: where it begins in the
middle the header says which calls are open, and those it has not seen stand in as nodes
without a beginning.

Threads: one at a time. Owns: the nodes. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.model.ends import fill_ends
from kolo_c.model.forest import Forest
from kolo_c.model.simple import simple_ends
from kolo_c.store.record_decoding import make_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.model.forest import Wanted
    from kolo_c.model.node import Node
    from kolo_c.store.trace import Raw, Stream


class TreeBuilder(Forest):
    """Builds the nodes of one stream."""

    def __init__(
        self,
        stream: Stream,
        *,
        max_level: int | None = None,
        wanted: Wanted | None = None,
    ) -> None:
        """As ``Forest``."""
        super().__init__(stream, max_level=max_level, wanted=wanted)
        self.decoded = 0
        """Blocks that were decoded."""
        self.hid_blocks = False
        self.next_block = 0
        self.follows_tasks = False
        """Whether no block is left out that switches tasks."""
        self._jumped = False

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

    def step(self, max_nodes: int | None = None) -> None:
        """Take the next block; leave it out where nothing in it would be kept. When
        ``max_nodes`` are shown, take of the rest only what matters to them."""
        index = self.next_block
        self.next_block = index + 1
        if self._leaves_out(index, self._base(index)):
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
