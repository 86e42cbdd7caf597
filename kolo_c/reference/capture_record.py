"""How one record gets into its stream; for capture*.py alone. Twin of
src/trace/capture_record.h.

Threads: the traced thread, with the session's lock.
Owns: nothing.
Fails: False.
"""

from __future__ import annotations

from kolo_c.reference.status import Status
from kolo_c.reference.wire import Cursor
from kolo_c.wire import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from kolo_c.reference.stack import Entry
    from kolo_c.reference.thread import Thread, ThreadStream
    from kolo_c.reference.value import Values


def is_full(cursor: Cursor) -> bool:
    """Whether what was written did not fit."""
    return cursor.status is not Status.OK


class Record:
    """A record about to be written: what its fields are made of."""

    __slots__ = ("entry", "fields", "kind", "now_ns", "stream", "thread")

    def __init__(
        self,
        thread: Thread,
        stream: ThreadStream,
        entry: Entry | None,
        kind: Kind,
        fields: int,
        now_ns: int,
    ) -> None:
        self.thread = thread
        self.stream = stream
        self.entry = entry
        """None where no call is concerned."""
        self.kind = kind
        self.fields = fields
        self.now_ns = now_ns

    def write(
        self, fill: Callable[[Cursor], None], commit: Callable[[Cursor], None]
    ) -> bool:
        """Have ``fill`` write the fields, and ``commit`` publish the record; in the
        next block where it does not fit into this one."""
        thread = self.thread
        for attempt in range(2):
            if self._try(fill, commit):
                return True
            if attempt != 0 or not thread.next_block(self.stream, self.now_ns):
                return False
            if self.entry is not None and self.entry.unwritten:
                return False  # the call's block was lost: so is its end
        return False

    def _try(
        self, fill: Callable[[Cursor], None], commit: Callable[[Cursor], None]
    ) -> bool:
        cursor = self.stream.stream.begin(self.now_ns, self.kind, self.fields)
        if cursor.status is not Status.OK:
            return False
        self.thread.writing = True
        fill(cursor)
        self.thread.writing = False
        if is_full(cursor):
            return False
        commit(cursor)
        return True

    def values(self, cursor: Cursor) -> Values:
        """The encoder, with the budget of this record."""
        values = self.thread.tracer.values
        plugin = self.entry.plugin if self.entry is not None else None
        code = self.entry.code if self.entry is not None else None
        about = code if plugin is None else plugin
        options = about.options if about is not None else None
        values.begin_record(cursor, options, self.stream.trace)
        return values


def offset_of(frame: FrameType) -> int:
    """Where the frame stands, in code units; 0 before the first instruction."""
    lasti = frame.f_lasti
    return lasti // 2 if lasti > 0 else 0


def write_optional(cursor: Cursor, number: int | None) -> None:
    if number is None:
        cursor.nil()
    else:
        cursor.uint(number)


def write_site(cursor: Cursor, thread: Thread, entry: Entry) -> None:
    """Where the nearest kept caller of the same trace stands, or nil.

    Regions have no frame: who called from within one stands below it.
    """
    stack = thread.stack
    at = len(stack) - 1
    while stack[at] is not entry:
        at -= 1
    write_site_below(cursor, thread, entry.stream, at)


def write_site_below(
    cursor: Cursor, thread: Thread, stream: ThreadStream, depth: int
) -> None:
    """The same, of what has ``depth`` entries below it."""
    for caller in reversed(thread.stack[:depth]):
        if caller.stream is not stream:
            break
        if caller.frame is not None and not caller.silent:
            cursor.uint(offset_of(caller.frame))
            return
    cursor.nil()


def write_exception(
    values: Values, cursor: Cursor, exception: BaseException | None
) -> None:
    """An exception, or nil where there is none or its type is unknown."""
    if exception is None:
        cursor.nil()
    else:
        values.write_exception(cursor, exception)


def began_of(entry: Entry) -> int:
    """A foreign node must not come to the closes: pretend that this block began it."""
    if not entry.foreign:
        return entry.began
    block = entry.stream.stream.block
    assert block is not None
    return int(block.sequence)


def pop(capture: Record, fill: Callable[[Cursor], None]) -> bool:
    entry, now_ns = capture.entry, capture.now_ns
    assert entry is not None

    def commit(cursor: Cursor) -> None:
        entry.stream.stream.commit_pop(
            cursor, entry.open, began_of(entry), capture.kind, now_ns
        )

    return capture.write(fill, commit)


def plain(
    thread: Thread,
    stream: ThreadStream,
    kind: Kind,
    fields: int,
    now_ns: int,
    fill: Callable[[Cursor], None],
) -> bool:
    """Publish it as it is."""
    capture = Record(thread, stream, None, kind, fields, now_ns)
    return capture.write(fill, lambda cursor: stream.stream.commit(cursor, now_ns))
