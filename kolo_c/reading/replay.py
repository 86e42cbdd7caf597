"""What happened in one block: who called whom, what ended how; and the blocks' cache.

A block decodes alone: its header says which calls are open where it starts. So any of
them can be looked at without the ones before.

Threads: one at a time. Owns: the views of the last few blocks. Fails: StoreError.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from kolo_c.store import records as r
from kolo_c.store.trace import Stream
from kolo_c.store.values import Raised, Value
from kolo_c.wire import END_KINDS, PUSH_KINDS, Kind

UNKNOWN = 0
_KEPT_VIEWS = 8
_MEANWHILE = (Kind.TASK, Kind.MARK)

Key = tuple[int, int]
"""A node: the number of its thread, and its own in that thread's stream."""


@dataclass(slots=True)
class View:
    """One block, replayed."""

    begins: dict[int, r.Record] = field(default_factory=dict)
    parents: dict[int, Key | None] = field(default_factory=dict)
    tasks: dict[int, int] = field(default_factory=dict)
    ends: dict[int, r.Record] = field(default_factory=dict)
    """The last record of each of the stream's own nodes that ends here."""
    handled: dict[Key, Value] = field(default_factory=dict)
    """Exceptions that were named later than they were raised."""
    caught: dict[Key, list[r.Caught]] = field(default_factory=dict)
    """What came to the handlers of calls, and what went on from there."""
    sources: list[int] = field(default_factory=list)
    """Nodes that an exception left which came from none of their recorded calls."""
    lost: set[int] = field(default_factory=set)
    """Nodes whose end was not seen."""
    yields: dict[int, list[r.Yield]] = field(default_factory=dict)
    stack: list[Key] = field(default_factory=list)
    """What is open where it ends."""


class Views:
    """The views of a stream's blocks."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._kept: OrderedDict[int, View] = OrderedDict()

    def get(self, index: int) -> View:
        """Block ``index``, replayed; the last few are kept."""
        view = self._kept.get(index)
        if view is None:
            view = self._kept[index] = _replay(self.stream, index)
            while len(self._kept) > _KEPT_VIEWS:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(index)
        return view

    def end_of(self, node: int, index: int) -> tuple[r.Record, int] | None:
        """The record that ended ``node``, which began in block ``index``, and where.

        Between those two blocks only headers are looked at.
        """
        found = self.get(index).ends.get(node)
        if found is not None:
            return found, index
        for later in range(index + 1, len(self.stream.blocks)):
            block = self.stream.blocks[later]
            if any(close.node == node for close in block.closes()):
                found = self.get(later).ends.get(node)
                return None if found is None else (found, later)
        return None

    def is_open(self, node: int) -> bool:
        """Whether ``node``, which has no end, is on the stack where the record ends."""
        last = len(self.stream.blocks) - 1
        return (self.stream.number, node) in self.get(last).stack


class _Replay:
    """The stack, while a block is gone through."""

    def __init__(self, stream: Stream, index: int) -> None:
        self.view = View()
        self.number = stream.number
        self.stack = [(stream.number, node) for node in stream.opens_at(index)]
        self.raised: dict[Key, Any] = {}
        """Who has just been left by a call with an exception, and which."""
        self.task = 0
        self._look_back(stream, index)

    def _look_back(self, stream: Stream, index: int) -> None:
        """An exception may be on its way over the border of two blocks."""
        records = stream.decode(index).records
        first = next((x for x in records if x.kind not in _MEANWHILE), None)
        if index == 0 or not self.stack or not isinstance(first, r.Raise):
            return
        before = reversed(stream.decode(index - 1).records)
        last = next((x for x in before if x.kind not in _MEANWHILE), None)
        if isinstance(last, r.Raise):
            self.raised[self.stack[-1]] = _identity(last.exception)

    def top(self) -> Key | None:
        return self.stack[-1] if self.stack else None

    def pop(self) -> Key | None:
        return self.stack.pop() if self.stack else None

    def begin(self, record: r.Record) -> None:
        view = self.view
        parent = self.top()
        if parent is not None:
            self.raised.pop(parent, None)
        view.begins[record.node] = record
        view.parents[record.node] = parent
        if self.task:
            view.tasks[record.node] = self.task
        if record.kind in PUSH_KINDS:
            self.stack.append((self.number, record.node))

    def end(self, record: r.Record) -> None:
        top = self.pop()
        if top is None:
            return
        source = self.raised.pop(top, None)
        if top[0] == self.number:
            self.view.ends[top[1]] = record
        if not isinstance(record, r.Raise):
            caller = self.top()
            if source is not None and caller is not None and _goes_on(record):
                self.raised[caller] = source
            return
        identity = _identity(record.exception)
        known = source is not None and _UNKNOWN not in (source, identity)
        if top[0] == self.number and (source is None or (known and source != identity)):
            self.view.sources.append(top[1])
        caller = self.top()
        if caller is not None:
            self.raised[caller] = identity

    def resume(self, record: r.Resume | r.Throw) -> None:
        caller = self.top()
        if caller is not None:
            self.raised.pop(caller, None)
        thread = self.number if record.thread is None else record.thread
        self.stack.append((thread, record.resumed))

    def suspend(self, record: r.Yield) -> None:
        top = self.pop()
        if top is not None:
            self.raised.pop(top, None)
            self.view.yields.setdefault(top[1], []).append(record)

    def mark(self, record: r.MarkRecord) -> None:
        while record.depth is not None and len(self.stack) > record.depth:
            thread, node = self.stack.pop()
            if thread == self.number:
                self.view.lost.add(node)


_UNKNOWN = "unknown"


def _goes_on(end: r.Record) -> bool:
    """Whether an exception left a region, or what a plugin saw."""
    if isinstance(end, (r.RegionEnd, r.PluginEnd)):
        return end.exception is not None
    return False


def _identity(exception: Value) -> Any:
    """What tells one exception from another while they live."""
    if isinstance(exception, Raised):
        return exception.type, exception.address
    return _UNKNOWN


def _replay(stream: Stream, index: int) -> View:
    replay = _Replay(stream, index)
    for record in stream.decode(index).records:
        kind = record.kind
        if record.node:
            replay.begin(record)
        elif kind in END_KINDS:
            replay.end(record)
        elif isinstance(record, r.Yield):
            replay.suspend(record)
        elif isinstance(record, (r.Resume, r.Throw)):
            replay.resume(record)
        elif isinstance(record, r.MarkRecord):
            replay.mark(record)
        elif isinstance(record, r.TaskSwitch):
            replay.task = record.task
        elif isinstance(record, r.Handled):
            thread = stream.number if record.thread is None else record.thread
            replay.view.handled[thread, record.raised] = record.exception
        elif isinstance(record, r.Caught):
            thread = stream.number if record.thread is None else record.thread
            key = thread, record.caught_in
            replay.view.caught.setdefault(key, []).append(record)
    replay.view.stack = replay.stack
    return replay.view
