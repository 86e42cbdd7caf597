"""What plugins and logging recorded in a trace, without building its tree.

Blocks are looked at one after the other; those in which nothing of it begins or ends
are told from their bytes and not decoded. Of each event it is known which line of kept
code it came from, also where the call stands in a block that was not decoded.

Threads: one at a time. Owns: the events that have not ended. Fails: StoreError from the
reader; what is damaged is left to it to say.
"""

from __future__ import annotations

import re
from collections import deque

from kolo_c.errors import StoreError
from kolo_c.model.fetches import FETCH, STATEMENT, Fetches
from kolo_c.store.record_decoding import make_record
from kolo_c.store.records import Call, Entered, Resume, Throw
from kolo_c.store.slotted import Slotted
from kolo_c.store.values import DICT, CutItems, Dict
from kolo_c.wire import END_KINDS, PUSH_KINDS, Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from typing import Any

    from kolo_c.model.fetches import Fetched
    from kolo_c.store.definitions import Definitions
    from kolo_c.store.reader import Stream, Trace
    from kolo_c.store.record_decoding import Fields
    from kolo_c.store.values import Value

    Key = tuple[int, int]
    Place = tuple[int, int | None]
    """An instruction of a code object."""

LOG = "log"
"""The kind of log lines, which no plugin's definition stands for."""

_INT = rb"(?:[\x00-\x7f]|\xcc.|\xcd..|\xce.{4}|\xcf.{8})"
_BEGINS = rb"(?:\x95[\x0c\x0d]|\x96\x0c)" + _INT
"""LOG and PLUGIN; a LOG of an older version has no site."""
_ENDS = rb"|\x94\x0e" + _INT
_MOST_WAITING = 5_000
_NO_CALL, _NOT_KNOWN = 0, -1
_CALLERS = 4


class Event(Slotted):
    """What a plugin saw, or a line of the log."""

    __slots__ = (
        "begin", "block", "caller", "callers", "end", "end_ns", "ended", "exception",
        "failed", "fetched", "level", "logger", "node", "plugin", "site", "start_ns",
        "stream", "text",
    )  # fmt: skip

    def __init__(self, stream: Stream, node: int, ns: int) -> None:
        self.stream = stream
        self.node = node
        self.start_ns = ns
        self.end_ns: int | None = None
        self.ended = False
        self.plugin = 0
        """The definition of its kind; 0: a line of the log."""
        self.begin: Value = None
        self.end: Value = None
        self.exception: Value = None
        self.failed = False
        """Whether an exception ended it, also one whose type is not known."""
        self.caller = 0
        """The code of the nearest call that it is in; 0: none."""
        self.site: int | None = None
        self.callers: tuple[Place, ...] = ()
        """Where it came from: instructions of calls, the nearest first, a few."""
        self.level: Value = None
        self.logger: Value = None
        self.text: Value = ""
        self.fetched: Fetched | None = None
        """Of a statement: what the program took of its rows."""
        self.block = 0
        """How many had been looked at when it began."""

    @property
    def definitions(self) -> Definitions:
        """What numbers stand for."""
        return self.stream.trace.definitions

    @property
    def kind(self) -> str:
        """The name of its kind."""
        return self.definitions.plugin(self.plugin).name if self.plugin else LOG

    @property
    def duration_ns(self) -> int | None:
        """From begin to end; None: a line of the log, or no end is known."""
        if self.end_ns is None or not self.plugin:
            return None
        return max(self.end_ns - self.start_ns, 0)

    @property
    def fields(self) -> dict[str, Value]:
        """What was said of it, at its begin and at its end."""
        found = merged(self.begin, self.end)
        if self.fetched is not None and self.fetched.seen:
            found.update(self.fetched.fields())
        return found

    def place(self, passing: Collection[Place] = frozenset()) -> tuple[str, int] | None:
        """File and line of the kept code that it came from, but for lines that are
        ``passing`` it on."""
        if self.plugin and self.kind == STATEMENT:
            fields = merged(self.begin, None)
            if awaited(fields):
                return awaited_at(self.definitions, fields)
        if passing:
            for caller, site in self.callers:
                if (caller, site) not in passing:
                    return place_of(self.definitions, caller, site)
        return place_of(self.definitions, self.caller, self.site)


def merged(begin: Value, end: Value) -> dict[str, Value]:
    """The fields of the two records of what a plugin saw."""
    found: dict[str, Value] = {}
    for part in (begin, end):
        pairs: Any = ()
        if isinstance(part, Dict):
            pairs = part.pairs
        elif isinstance(part, CutItems) and part.tag == DICT:
            pairs = zip(part.items[::2], part.items[1::2], strict=False)
        for key, value in pairs:
            found[key if key.__class__ is str else str(key)] = value
    return found


def place_of(
    definitions: Definitions, caller: int, site: int | None
) -> tuple[str, int] | None:
    """File and line of an instruction of a code object; None: there is none."""
    if not caller:
        return None
    line = definitions.line(caller, site)
    path = definitions.path(definitions.code(caller).file)
    return (path, line) if line is not None and path else None


def awaited(fields: Mapping[str, Value]) -> bool:
    """Whether a statement says itself which line awaits it: what stands below it in its
    thread has nothing to do with it."""
    return "line" in fields


def awaited_at(
    definitions: Definitions, fields: Mapping[str, Value]
) -> tuple[str, int] | None:
    """File and line that it says; None: they are not known."""
    path, line = fields.get("file"), fields.get("line")
    if not isinstance(path, str) or not isinstance(line, int):
        return None
    return definitions.local_path(path), line


class Events:
    """The events of one trace, of the kinds that are wanted."""

    def __init__(
        self,
        trace: Trace,
        wanted: Callable[[str], bool] = lambda kind: True,
        *,
        most_blocks: int | None = None,
        most_decoded: int | None = None,
        most_empty: int | None = None,
    ) -> None:
        """``wanted`` by the kind's name; of a huge trace ``most_blocks`` are looked at
        and ``most_decoded`` of them decoded, or ``most_empty`` looked at where none of
        them had anything."""
        self._trace = trace
        self._wanted = wanted
        self._known: dict[int, tuple[bool, str]] = {}
        """Of each kind whether it is wanted, and its name."""
        self._most_blocks = most_blocks
        self._most_decoded = most_decoded
        self._most_empty = most_empty
        self._open: dict[Key, Event] = {}
        self._waiting: deque[Event] = deque()
        self._fetches = Fetches()
        self.looked_at = 0
        self.decoded = 0
        self.blocks = sum(len(stream.blocks) for stream in trace.streams)

    @property
    def complete(self) -> bool:
        """Whether all of the trace was looked at."""
        return self.looked_at >= self.blocks

    def __iter__(self) -> Iterator[Event]:
        """Thread by thread, in the order that they began; those without an end that is
        known stand last where very many came after them."""
        for stream in self._trace.streams:
            walk = _Walk(self, stream)
            for index in range(len(stream.blocks)):
                if self._has_enough():
                    break
                self.looked_at += 1
                walk.block(index)
                yield from self._finished()
        yield from self._waiting
        self._waiting.clear()
        self._open.clear()

    def _has_enough(self) -> bool:
        blocks, decoded = self._most_blocks, self._most_decoded
        if not self.decoded and self._most_empty is not None:
            blocks = self._most_empty
        return (blocks is not None and self.looked_at >= blocks) or (
            decoded is not None and self.decoded >= decoded
        )

    def _finished(self) -> Iterator[Event]:
        waiting = self._waiting
        while waiting and waiting[0].ended and not self._may_grow(waiting[0]):
            yield waiting.popleft()
        if len(waiting) > _MOST_WAITING:
            rest = [event for event in waiting if not event.ended]
            yield from [event for event in waiting if event.ended]
            self._waiting = deque(rest)

    def _may_grow(self, event: Event) -> bool:
        """Whether it is a statement of the last block: the next may have its rows."""
        return event.fetched is not None and event.block == self.looked_at

    # ---- for _Walk ----

    def wants(self, plugin: int) -> bool:
        """Whether events of a kind, by its definition, are asked for."""
        return self._kind(plugin)[0]

    def follows(self, plugin: int) -> bool:
        """Whether what was fetched is a part of what is asked for."""
        return self._kind(plugin)[1] == FETCH and self._wanted(STATEMENT)

    def _kind(self, plugin: int) -> tuple[bool, str]:
        found = self._known.get(plugin)
        if found is None:
            name = self._trace.definitions.plugin(plugin).name if plugin else LOG
            found = self._known[plugin] = (self._wanted(name), name)
        return found

    def begin(self, event: Event) -> None:
        """An event begins; a line of the log ends as well."""
        if event.plugin:
            self._open[event.stream.number, event.node] = event
            wanted, kind = self._kind(event.plugin)
            if not wanted:
                return
            if kind == STATEMENT:
                event.block = self.looked_at
                event.fetched = self._fetches.statement(merged(event.begin, None))
        self._waiting.append(event)

    def end(self, key: Key, ns: int, fields: Fields) -> None:
        """What is on the stack ends, if it is an event."""
        event = self._open.pop(key, None)
        if event is not None:
            event.end_ns = ns
            event.ended = True
            event.end = fields[2]
            event.failed = fields[3] is not None
            event.exception = None if fields[3] is True else fields[3]
            if self._kind(event.plugin)[1] == FETCH:
                self._fetches.add(event.fields, event.duration_ns or 0)

    @property
    def has_open(self) -> bool:
        """Whether the end of an event is looked for."""
        return bool(self._open)


class _Walk:
    """Follows the stack of one stream through the blocks that are decoded."""

    def __init__(self, events: Events, stream: Stream) -> None:
        self._events = events
        self._stream = stream
        self._nodes: list[Key] = []
        self._codes: list[int] = []
        self._sites: list[int | None] = []
        """Where in the call below it each was made."""
        self._next = 0
        self._begins = re.compile(_BEGINS, re.DOTALL)
        self._any = re.compile(_BEGINS + _ENDS, re.DOTALL)

    def block(self, index: int) -> None:
        """Look at a block, and decode it if there is something in it."""
        stream = self._stream
        pattern = self._any if self._events.has_open else self._begins
        try:
            data = stream.blocks[index].fetch_data()
        except StoreError:
            stream.decode(index)  # says what is wrong, in the trace's damage
            return
        if pattern.search(data) is None:
            return
        if index != self._next or stream.begins_after_gap(index):
            opens = stream.opens_at(index)
            self._nodes = [(stream.number, node) for node in opens]
            self._codes = [_NOT_KNOWN] * len(opens)
            self._sites = [None] * len(opens)
        self._next = index + 1
        self._events.decoded += 1
        self._replay(index)

    def _replay(self, index: int) -> None:
        nodes, codes, sites = self._nodes, self._codes, self._sites
        number = self._stream.number
        for ns, node, fields in self._stream.skim(index):
            kind = fields[0]
            if kind == Kind.CALL or kind == Kind.ENTERED:
                nodes.append((number, node))
                codes.append(fields[2])
                sites.append(fields[3] if kind == Kind.CALL else None)
            elif kind == Kind.PLUGIN:
                self._begin(ns, node, fields)
                nodes.append((number, node))
                codes.append(_NO_CALL)
                sites.append(None)
            elif kind == Kind.LOG:
                self._log(ns, node, fields)
            elif kind in PUSH_KINDS:
                nodes.append((number, node))
                codes.append(_NO_CALL)
                sites.append(None)
            elif kind in END_KINDS or kind == Kind.YIELD:
                if nodes:
                    key = nodes.pop()
                    codes.pop()
                    sites.pop()
                    if kind == Kind.PLUGIN_END:
                        self._events.end(key, ns, fields)
            elif kind == Kind.RESUME or kind == Kind.THROW:
                self._resume(ns, fields)
            elif kind == Kind.MARK and fields[4].__class__ is int:
                del nodes[fields[4] :]
                del codes[fields[4] :]
                del sites[fields[4] :]

    def _resume(self, ns: int, fields: Fields) -> None:
        record = make_record(ns, 0, fields)
        if not isinstance(record, (Resume, Throw)):
            return
        thread = self._stream.number if record.thread is None else record.thread
        is_code = self._stream.trace.definitions.is_code(record.code)
        self._nodes.append((thread, record.resumed))
        self._codes.append(record.code if is_code else _NO_CALL)
        self._sites.append(record.site)

    def _begin(self, ns: int, node: int, fields: Fields) -> None:
        plugin: Any = fields[2]
        if plugin.__class__ is not int:
            return
        if not self._events.wants(plugin) and not self._events.follows(plugin):
            return
        event = Event(self._stream, node, ns)
        event.plugin = plugin
        event.begin = fields[3]
        event.site = fields[4] if fields[4].__class__ is int else None
        event.callers = tuple(self._callers(event.site))
        event.caller = event.callers[0][0] if event.callers else 0
        self._events.begin(event)

    def _log(self, ns: int, node: int, fields: Fields) -> None:
        if not self._events.wants(0):
            return
        event = Event(self._stream, node, ns)
        event.level, event.logger, event.text = fields[2:5]
        if len(fields) > 5 and fields[5].__class__ is int:
            event.site = fields[5]
        event.callers = tuple(self._callers(event.site))
        event.caller = event.callers[0][0] if event.callers else 0
        event.end_ns, event.ended = ns, True
        self._events.begin(event)

    def _callers(self, site: int | None) -> Iterator[Place]:
        """The calls on the stack from the top, each with where it stood."""
        found = 0
        for at in range(len(self._codes) - 1, -1, -1):
            if self._codes[at] == _NOT_KNOWN:
                self._look_up(at)
            if self._codes[at]:
                yield self._codes[at], site
                site = self._sites[at]
                found += 1
                if found == _CALLERS:
                    return

    def _look_up(self, at: int) -> None:
        """What began in a block that was not decoded."""
        node = self._nodes[at][1]
        record = self._stream.first_record(node) if node else None
        self._codes[at] = _NO_CALL
        if isinstance(record, (Call, Entered)):
            self._codes[at] = record.code
        if isinstance(record, Call):
            self._sites[at] = record.site
