"""Search the records of a trace, block by block, without an index.

``FastScanner`` is plain/scan of the extension: it collects the texts of a block that
were not met before, the pattern looks at those, and the records that hold a matching
one are the hits. ``SlowScanner`` decodes every record: the same hits, for a Python
without the extension.

Threads: one at a time. Owns: nothing. Fails: what fetching a block raises is a damaged
block, and said so.
"""

from __future__ import annotations

import fnmatch

from kolo_c.errors import StoreError
from kolo_c.extension import extension_for_reading
from kolo_c.store import records as r
from kolo_c.store.decoding import DAMAGE, unpacker_for
from kolo_c.store.definitions import Code
from kolo_c.store.leaves import Leaves
from kolo_c.store.record_decoding import decode_records, make_record
from kolo_c.wire import BLOCK_BYTES, END_KINDS, PUSH_KINDS, Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, NamedTuple, Protocol

    from kolo_c.store.matching import Matcher
    from kolo_c.store.trace import Stream, Trace
else:
    from collections import namedtuple

KINDS: dict[str, tuple[Kind, ...]] = {
    "call": (Kind.CALL, Kind.ENTERED),
    "return": (Kind.RETURN,),
    "yield": (Kind.YIELD,),
    "exception": (Kind.RAISE, Kind.THROW, Kind.HANDLED, Kind.CAUGHT),
    "region": (Kind.REGION, Kind.REGION_END),
    "note": (Kind.NOTE,),
    "log": (Kind.LOG,),
    "plugin": (Kind.PLUGIN, Kind.PLUGIN_END),
}
"""What ``--kind`` may ask for, besides the kinds of plugins (sql, http, …)."""
NAMES = {kind: name for name, kinds in KINDS.items() for kind in kinds}

if TYPE_CHECKING:

    class RawHit(NamedTuple):
        """A record with a match, as the scanners have it."""

        record: int
        """Its place in the block, from 0."""
        kind: int
        node: int
        """0: not known, because blocks are missing."""
        thread: int
        """The number of the thread whose node it is; 0: the stream's own."""
        code: int
        """The function that the record belongs to; 0: not known, or none."""

    class Hit(NamedTuple):
        """A record with a match."""

        trace: Trace
        stream: Stream
        block: int
        """Its index in the stream."""
        raw: RawHit

    class Found(NamedTuple):
        """What a block holds; ``hits`` are the first of ``total``."""

        total: int
        hits: list[Hit]
        calls: int
        damaged: bool

    class Scanner(Protocol):
        """Searches one block after the other."""

        def use(self, trace: Trace) -> None:
            """What comes next belongs to this trace."""

        def set_stack(self, opens: list[int]) -> None:
            """The calls that are open where the next block starts."""

        def scan(
            self, data: bytes, first_node: int, limit: int
        ) -> tuple[int, list[RawHit], list[RawHit], int, int, bool]:
            """Number of hits, the first of them, those whose function is not known,
            calls, depth of the stack after it, and whether it is damaged."""

else:
    RawHit = namedtuple("RawHit", "record kind node thread code")
    Hit = namedtuple("Hit", "trace stream block raw")
    Found = namedtuple("Found", "total hits calls damaged")


class Query:
    """What is searched for, and where."""

    __slots__ = ("function", "kinds", "matcher", "plugins")

    def __init__(
        self, matcher: Matcher, kinds: Iterable[str] = (), function: str | None = None
    ) -> None:
        """``kinds`` of KINDS and of plugins, none for all; ``function`` as ``show``
        takes it."""
        self.matcher = matcher
        names = list(kinds) or list(KINDS)
        self.plugins = frozenset(names) - KINDS.keys()
        """The kinds of plugins that are asked for, where not all of them are."""
        if "plugin" in names:
            self.plugins = frozenset()
        self.kinds = frozenset(
            kind for name in names for kind in KINDS.get(name, KINDS["plugin"])
        )
        self.function = function

    def wants(self, code: Code) -> bool:
        """Whether the calls of this function are asked for."""
        if self.function is None:
            return True
        if self.function in (code.qualname, code.name):
            return True
        return fnmatch.fnmatchcase(code.qualname, self.function)


class FastScanner:
    """Through the extension."""

    def __init__(self, query: Query, extension: Any) -> None:
        self._query = query
        self._slow = SlowScanner(query)
        self._process: object = None
        self._scan = extension.Scan(
            kinds=sum(1 << kind for kind in query.kinds),
            numbers=query.matcher.numbers,
            functions=query.function is not None,
        )

    def use(self, trace: Trace) -> None:
        """What comes next belongs to this trace."""
        if trace.process is not self._process:
            self._scan.forget_definitions()
            self._process = trace.process
        self._definitions = trace.definitions
        self._leaves = Leaves(trace.definitions, trace.process.root)
        self._slow.use(trace)

    def set_stack(self, opens: list[int]) -> None:
        """The calls that are open where the next block starts."""
        self._scan.set_stack([(node, 0) for node in opens])
        self._slow.set_stack(opens)

    def scan(
        self, data: bytes, first_node: int, limit: int
    ) -> tuple[int, list[RawHit], list[RawHit], int, int, bool]:
        """Search one block."""
        if len(data) > BLOCK_BYTES:  # no writer of ours has made it: take it slowly
            return self._slow.scan(data, first_node, limit)
        text, starts, raws, references, calls, read, depth = self._scan.walk(
            data, first_node
        )
        matcher = self._query.matcher
        count, hits, unsure = self._scan.settle(
            matcher.which(text, starts) if text else [],
            [index for index, raw in enumerate(raws) if self._matches_raw(raw)],
            self._matching(references) if references else [],
            self._wanted(references) if references else [],
            limit,
        )
        return (
            count, [RawHit(*hit) for hit in hits], [RawHit(*hit) for hit in unsure],
            calls, depth, read < len(data),
        )  # fmt: skip

    def _matching(self, references: list[tuple[int, bool]]) -> list[int]:
        any_of, texts = self._query.matcher.any_of, self._leaves.of_definition
        return [
            index
            for index, (number, local_names) in enumerate(references)
            if any_of(texts(number, local_names))
        ]

    def _wanted(self, references: list[tuple[int, bool]]) -> list[int]:
        if self._query.function is None:
            return []
        found = []
        for index, (number, _) in enumerate(references):
            code = self._definitions.get(number)
            if isinstance(code, Code) and self._query.wants(code):
                found.append(index)
        return found

    def _matches_raw(self, raw: bytes) -> bool:
        try:
            value = unpacker_for(raw).unpack()
        except DAMAGE:
            return False
        return self._query.matcher.any_of(self._leaves.of_value(value))


class SlowScanner:
    """In Python: what the extension does, record by record."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._stack: list[tuple[int, int, int]] = []  # node, thread, code

    def use(self, trace: Trace) -> None:
        """What comes next belongs to this trace."""
        self._definitions = trace.definitions
        self._leaves = Leaves(trace.definitions, trace.process.root)

    def set_stack(self, opens: list[int]) -> None:
        """The calls that are open where the next block starts."""
        self._stack = [(node, 0, 0) for node in opens]

    def scan(
        self, data: bytes, first_node: int, limit: int
    ) -> tuple[int, list[RawHit], list[RawHit], int, int, bool]:
        """Search one block."""
        decoded = decode_records(data, 0, first_node)
        hits: list[RawHit] = []
        unsure: list[RawHit] = []
        calls = count = 0
        for index, record in enumerate(decoded.records):
            calls += isinstance(record, (r.Call, r.Entered))
            node, thread, code = self._follow(record)
            if record.kind not in self._query.kinds:
                continue
            if not self._query.matcher.any_of(self._leaves.of_record(record, code)):
                continue
            hit = RawHit(index, int(record.kind), node, thread, code)
            if self._query.function is not None:
                if code == 0:
                    unsure.append(hit)
                    continue
                row = self._definitions.get(code)
                if not isinstance(row, Code) or not self._query.wants(row):
                    continue
            count += 1
            if len(hits) < limit:
                hits.append(hit)
        return count, hits, unsure, calls, len(self._stack), bool(decoded.damage)

    def _follow(self, record: r.Record) -> tuple[int, int, int]:
        """Move the stack on; the node, thread and function that the record is of."""
        stack = self._stack
        top = stack[-1] if stack else (0, 0, 0)
        if isinstance(record, (r.Call, r.Entered)):
            top = (record.node, 0, record.code)
        elif isinstance(record, (r.Resume, r.Throw)):
            top = (record.resumed, record.thread or 0, record.code)
            stack.append(top)
            return top
        elif isinstance(record, r.Handled):
            return (record.raised, record.thread or 0, 0)
        elif isinstance(record, r.Caught):
            place = record.caught_in, record.thread or 0
            code = next((top[2] for top in reversed(stack) if top[:2] == place), 0)
            return (*place, code)
        elif record.node:  # a region, a note: of the call that it is in
            top = (record.node, 0, top[2])
        if record.kind in PUSH_KINDS:
            stack.append(top)
        elif record.kind == Kind.YIELD or record.kind in END_KINDS:
            del stack[-1:]
        elif isinstance(record, r.MarkRecord) and record.depth is not None:
            del stack[record.depth :]
        return top


def new_scanner(query: Query) -> Scanner:
    """The fastest there is here."""
    extension = extension_for_reading()
    return SlowScanner(query) if extension is None else FastScanner(query, extension)


def scan_trace(
    trace: Trace, query: Query, scanner: Scanner, limit: int
) -> Iterator[Found]:
    """What each block of ``trace`` holds, with at most ``limit`` hits in all."""
    scanner.use(trace)
    for stream in trace.streams:
        depth = -1
        for index, block in enumerate(stream.blocks):
            if depth != block.start_depth or stream.begins_after_gap(index):
                scanner.set_stack(stream.opens_at(index))
            try:
                count, hits, unsure, calls, depth, damaged = scanner.scan(
                    block.fetch_data(),
                    block.first_node,
                    BLOCK_BYTES if query.plugins else limit,
                )
            except StoreError:
                stream.decode(index)  # says what is wrong, in the trace's damage
                depth = -1
                yield Found(0, [], 0, True)
                continue
            if damaged:
                stream.decode(index)
                depth = -1
            if unsure:
                sure = [hit for hit in unsure if _is_wanted(stream, hit, query)]
                count += len(sure)
                hits = sorted([*hits, *sure])
            if query.plugins:
                hits = [hit for hit in hits if _is_of_plugins(stream, hit, query)]
                count = len(hits)
            hits = hits[:limit]
            limit -= len(hits)
            found = [Hit(trace, stream, index, hit) for hit in hits]
            yield Found(count, found, calls, damaged)


def stream_of(stream: Stream, hit: RawHit) -> Stream | None:
    """The stream whose node the record is of; None where it is not there."""
    if hit.thread in (0, stream.number):
        return stream
    for other in stream.trace.streams:
        if other.number == hit.thread:
            return other
    return None


def code_of(stream: Stream, hit: RawHit) -> int:
    """The function that a record is of, looked for if need be; 0 for none.

    What a plugin saw and that goes on (RESUME) stands in the place of a function.
    """
    owner = stream_of(stream, hit)
    if hit.code:
        return hit.code if stream.trace.definitions.is_code(hit.code) else 0
    if owner is None:
        return 0
    record = owner.first_record(hit.node)
    return record.code if isinstance(record, (r.Call, r.Entered)) else 0


def record_of(hit: Hit) -> r.Record | None:
    """The record of a hit, without those before it; None where it cannot be read."""
    try:
        unpacker = unpacker_for(hit.stream.blocks[hit.block].fetch_data())
        for _ in range(hit.raw.record):
            unpacker.skip()
        fields = unpacker.unpack()
    except (StoreError, *DAMAGE):
        return None
    return make_record(0, hit.raw.node, fields)


def _is_of_plugins(stream: Stream, hit: RawHit, query: Query) -> bool:
    """Whether a record of a plugin is of one of the kinds that are asked for."""
    if hit.kind not in KINDS["plugin"]:
        return True
    owner = stream_of(stream, hit)
    record = None if owner is None else owner.first_record(hit.node)
    if not isinstance(record, r.Plugin):
        return False
    return stream.trace.definitions.plugin(record.plugin).name in query.plugins


def _is_wanted(stream: Stream, hit: RawHit, query: Query) -> bool:
    code = code_of(stream, hit)
    return code != 0 and query.wants(stream.trace.definitions.code(code))
