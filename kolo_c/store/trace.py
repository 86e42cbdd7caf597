"""One trace: its streams, the blocks of each, decoded when they are asked for.

Threads: one at a time. Owns: the blocks it decoded last. Fails: StoreError,
TraceNotFound.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict

from kolo_c.errors import StoreError, TraceNotFound
from kolo_c.store.record_decoding import (
    Decoded,
    decode_records,
    make_record,
    skim_records,
)
from kolo_c.store.records import MarkRecord, Resume, Throw, Yield
from kolo_c.wire import END_KINDS, PUSH_KINDS, Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from kolo_c.store.blocks import Block, Close
    from kolo_c.store.definitions import Definitions, Thread
    from kolo_c.store.record_decoding import Fields
    from kolo_c.store.records import Record
    from kolo_c.store.trace_info import TraceInfo

    Raw = tuple[int, int, Fields]
    Ending = tuple[Record | None, int]

_KEPT_BLOCKS = 8
_KEPT_SKIMMED = 4
_KEPT_OPENS = 16
_MOVING_KINDS = frozenset({Kind.YIELD, Kind.RESUME, Kind.THROW, Kind.MARK})
_DEEPEST = 1 << 20  # deeper than any recursion: a damaged header


class Trace:
    """One trace: its streams, and what its records refer to."""

    def __init__(self, info: TraceInfo) -> None:
        self.info = info
        self.process = info.process
        self.file = ""
        """The file that was named for it (``--db``), for commands that are offered."""
        self.decoded_blocks = 0
        self.damage: list[str] = []
        self.threads = info.process.threads()
        self.streams = self._streams()

    @property
    def id(self) -> str:
        """The identifier, with its ``trc_``."""
        return self.info.id

    @property
    def definitions(self) -> Definitions:
        """What numbers in its records stand for."""
        return self.process.definitions()

    def stream(self, ordinal: int) -> Stream:
        """The stream of the trace's ``ordinal``-th thread, from 1."""
        if 1 <= ordinal <= len(self.streams):
            return self.streams[ordinal - 1]
        raise TraceNotFound(
            f"{self.id} has no thread {ordinal}, it has {len(self.streams)}",
            "kolo-c show lists them.",
        )

    def utc_ns(self, ns: int) -> int:
        """The wall clock at ``ns``, as of the trace's start."""
        return self.info.row.started_utc_ns + ns - self.info.row.started_ns

    def _streams(self) -> list[Stream]:
        grouped: dict[int, list[Block]] = {}
        for block in self.process.blocks(self.info.row.number):
            grouped.setdefault(block.thread, []).append(block)
        # A thread that joins a trace later comes after those that were there, whatever
        # its number, so that a node's address stays what it was.
        ordered = sorted(
            grouped.items(), key=lambda item: (item[1][0].base_ns, item[0])
        )
        return [
            Stream(self, ordinal, self.threads.get(number), number, blocks)
            for ordinal, (number, blocks) in enumerate(ordered, 1)
        ]


class Stream:
    """The records of one thread in one trace."""

    def __init__(
        self,
        trace: Trace,
        ordinal: int,
        thread: Thread | None,
        number: int,
        blocks: list[Block],
    ) -> None:
        self.trace = trace
        self.ordinal = ordinal
        self.thread = thread
        self.number = number
        self.blocks = blocks
        self._decoded: OrderedDict[int, Decoded] = OrderedDict()
        self._skimmed: OrderedDict[int, list[Raw]] = OrderedDict()
        self._begun: tuple[int, list[Record] | list[Raw]] = (-1, [])
        """A block and the first records of its nodes."""
        self._opens: OrderedDict[int, list[int]] = OrderedDict()
        self._endings: OrderedDict[int, dict[int, Ending]] = OrderedDict()
        self._first_nodes = [block.first_node for block in blocks]

    @property
    def name(self) -> str:
        """The thread's name."""
        name = self.thread.name if self.thread is not None else None
        return name or f"thread {self.number}"

    @property
    def last_node(self) -> int:
        """The highest number of a node in it."""
        if not self.blocks:
            return 0
        return self.blocks[-1].first_node + self.blocks[-1].nodes - 1

    def records(self, start: int = 0) -> Iterator[Record]:
        """All records from block ``start`` on."""
        for index in range(start, len(self.blocks)):
            yield from self.decode(index).records

    def decode(self, index: int) -> Decoded:
        """The records of one block; the last few blocks are kept."""
        if index in self._decoded:
            self._decoded.move_to_end(index)
            return self._decoded[index]
        block = self.blocks[index]
        self.trace.decoded_blocks += index not in self._skimmed
        try:
            decoded = decode_records(
                block.fetch_data(), block.base_ns, block.first_node
            )
        except StoreError as error:
            decoded = Decoded(damage=error.message)
        if decoded.damage:
            where = f"block {block.sequence} of thread {self.ordinal}"
            message = f"{where} is damaged: {decoded.damage}"
            if message not in self.trace.damage:
                self.trace.damage.append(message)
        self._decoded[index] = decoded
        while len(self._decoded) > _KEPT_BLOCKS:
            self._decoded.popitem(last=False)
        return decoded

    def skim(self, index: int) -> list[Raw]:
        """(time, number of the node or 0, fields) of each record of a block, for who
        looks for one; what is damaged is left to ``decode`` to say. The last few blocks
        are kept."""
        if index not in self._skimmed:
            block = self.blocks[index]
            self.trace.decoded_blocks += index not in self._decoded
            try:
                data = block.fetch_data()
            except StoreError:
                data = b""
            found = list(skim_records(data, block.base_ns, block.first_node))
            self._skimmed[index] = found
        self._skimmed.move_to_end(index)
        while len(self._skimmed) > _KEPT_SKIMMED:
            self._skimmed.popitem(last=False)
        return self._skimmed[index]

    def first_record(self, node: int) -> Record | None:
        """The record that began ``node``; None where there is none."""
        index = self.find_block(node)
        if index is None:
            return None
        block = self.blocks[index]
        known = index in self._skimmed or index in self._decoded
        if not known and (node - block.first_node) * 8 < block.nodes:
            # Near the block's beginning: most callers of what a screen shows are.
            self.trace.decoded_blocks += 1
            data = block.fetch_data()
            for raw in skim_records(data, block.base_ns, block.first_node):
                if raw[1] == node:
                    return make_record(*raw)
            return None
        begun = self._first_records(index)
        at = node - block.first_node  # numbers follow each other
        found = begun[at] if at < len(begun) else None
        return make_record(*found) if isinstance(found, tuple) else found

    def _first_records(self, index: int) -> list[Record] | list[Raw]:
        """Those of a block's nodes, made or not; of the last block they are kept."""
        if self._begun[0] != index:
            if index in self._decoded:
                made = [each for each in self._decoded[index].records if each.node]
                self._begun = (index, made)
            else:
                self._begun = (index, [raw for raw in self.skim(index) if raw[1]])
        return self._begun[1]

    def endings(self, index: int) -> dict[int, Ending]:
        """For each call that an earlier block began and this one ended: the record that
        ended it, and the last number that was given before."""
        if index not in self._endings:
            self._endings[index] = self._find_endings(index)
            while len(self._endings) > _KEPT_BLOCKS:
                self._endings.popitem(last=False)
        return self._endings[index]

    def _find_endings(self, index: int) -> dict[int, Ending]:
        wanted = {close.node for close in self.blocks[index].closes()}
        found: dict[int, Ending] = {}
        stack = self.opens_at(index)
        last = self.blocks[index].first_node - 1
        for raw in self.skim(index):
            kind = raw[2][0]
            if kind == 0:  # CALL, and RETURN below: nine of ten
                last = raw[1]
                stack.append(last)
                continue
            if kind == 1:
                ended = stack.pop() if stack else 0
            else:
                last = raw[1] or last
                ended = self._move(stack, raw)
            if ended in wanted:
                found[ended] = (make_record(*raw), last)
                if len(found) == len(wanted):
                    break
        return found

    def opens_before(self, index: int, number: int) -> list[int]:
        """The calls that are open where a node of a block begins, outermost first."""
        stack = self.opens_at(index)
        for raw in self.skim(index):
            if raw[1] == number:
                break
            self._move(stack, raw)
        return stack

    def _move(self, stack: list[int], raw: Raw) -> int:
        """Let the stack be what a record makes of it; the call that it ended, or 0."""
        kind = raw[2][0]
        if kind in PUSH_KINDS:
            stack.append(raw[1])
        elif kind in END_KINDS:
            return stack.pop() if stack else 0
        elif kind in _MOVING_KINDS:
            record = make_record(*raw)
            if isinstance(record, (Resume, Throw)):
                own = record.thread is None or record.thread == self.number
                stack.append(record.resumed if own else 0)
            elif isinstance(record, Yield):
                del stack[-1:]
            elif isinstance(record, MarkRecord) and record.depth is not None:
                del stack[record.depth :]
        return 0

    def find_block(self, node: int) -> int | None:
        """The index of the block that has ``node``'s first record."""
        index = bisect_right(self._first_nodes, node) - 1
        if index < 0 or node < 1:
            return None
        block = self.blocks[index]
        last = index == len(self.blocks) - 1
        inside = node < block.first_node + block.nodes or (last and not block.full)
        return index if inside else None

    def begins_after_gap(self, index: int) -> bool:
        """Whether blocks are missing before this one."""
        before = self.blocks[index - 1].sequence if index else -1
        return self.blocks[index].sequence != before + 1

    def opens_at(self, index: int) -> list[int]:
        """The calls that are open where a block starts, outermost first; from headers.

        0 stands for a call that is not known, because blocks are missing.
        """
        if index not in self._opens:
            self._opens[index] = self._find_opens(index)
        self._opens.move_to_end(index)
        while len(self._opens) > _KEPT_OPENS:
            self._opens.popitem(last=False)
        return list(self._opens[index])

    def _find_opens(self, index: int) -> list[int]:
        """Backwards from ``index``: each block before it says which calls it left open,
        above those that it left as they were. Only of blocks that left one that is
        still open at ``index`` more is read than the numbers in their header."""
        found = [0] * _depth(self.blocks[index])
        limit = len(found)  # what is below it is not known yet
        for at in range(index - 1, -1, -1):
            if at + 1 in self._opens:
                found[:limit] = _fit(self._opens[at + 1], limit)
                return found
            if not limit:
                break
            block = self.blocks[at]
            base = min(block.least_depth, _depth(block))
            if base < limit:
                found[base:limit] = _fit(block.opens(), limit - base)
                limit = base
        return found

    def closes_from(self, index: int) -> Iterator[Close]:
        """The closes in the headers from block ``index`` on, in order."""
        for block in self.blocks[index:]:
            yield from block.closes()

    def closes_of(self, numbers: Collection[int], index: int) -> Iterator[Close]:
        """The closes of these calls in the headers from block ``index`` on, in order.

        Whoever asks takes what is found out of ``numbers``; those that are on the stack
        at ``index`` are looked for only where the stack became less deep than that.
        """
        opens = self.opens_at(index) if index < len(self.blocks) else []
        stacked = [
            (depth, node) for depth, node in enumerate(opens, 1) if node in numbers
        ]
        # Off the stack, they may end in any block.
        loose = set(numbers).difference(node for _, node in stacked)
        for block in self.blocks[index:]:
            while stacked and stacked[-1][0] > block.least_depth:
                loose.add(stacked.pop()[1])
            if not loose:
                continue
            for close in block.closes():
                if close.node in loose:
                    yield close
            loose.intersection_update(numbers)
            if not loose and not stacked:
                return


def _depth(block: Block) -> int:
    return min(block.start_depth, _DEEPEST)


def _fit(opens: list[int], depth: int) -> list[int]:
    """``opens`` as deep as the header says, which rules where blocks are missing."""
    return [*opens[:depth], *([0] * (depth - len(opens)))]
