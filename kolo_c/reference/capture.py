"""The fields of each record, in wire order. Twin of src/trace/capture.c.

Each function writes one record, in a new block where it does not fit in the old one,
and returns False where it could not: the caller counts it.

Threads: the traced thread, with the session's lock.
Owns: nothing.
Fails: False.
"""

from __future__ import annotations

from kolo_c.reference.code import (
    ARGUMENT_SECRET,
    ARGUMENT_SELF,
    CO_ASYNC_GENERATOR,
    LOCALS_ALL,
    LOCALS_NONE,
    LOCALS_RAISE,
    arguments_of,
    locals_of,
    raised_at,
    yielded,
)
from kolo_c.reference.filter import copy_limits
from kolo_c.reference.status import Status
from kolo_c.reference.value import UNBOUND
from kolo_c.reference.value_state import Options
from kolo_c.reference.wire import Cursor
from kolo_c.wire import Kind, Mark, Tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType
    from typing import Any

    from kolo_c.reference.code import Code, Slot
    from kolo_c.reference.stack import Entry, Waiting, WaitingPlugin
    from kolo_c.reference.thread import Thread, ThreadStream, Unknown
    from kolo_c.reference.value import Values
    from kolo_c.reference.value_state import Limits


def _is_full(cursor: Cursor) -> bool:
    """Whether what was written did not fit."""
    return cursor.status is not Status.OK


class _Capture:
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
        if _is_full(cursor):
            return False
        commit(cursor)
        return True

    def values(self, cursor: Cursor) -> Values:
        """The encoder, with the budget of this record."""
        values = self.thread.tracer.values
        plugin = self.entry.plugin if self.entry is not None else None
        code = self.entry.code if self.entry is not None else None
        about = code if plugin is None else plugin
        values.begin_record(cursor, about.options if about is not None else None)
        return values


# ---- fields ----


def offset_of(frame: FrameType) -> int:
    """Where the frame stands, in code units; 0 before the first instruction."""
    lasti = frame.f_lasti
    return lasti // 2 if lasti > 0 else 0


def _write_optional(cursor: Cursor, number: int | None) -> None:
    if number is None:
        cursor.nil()
    else:
        cursor.uint(number)


def _write_site(cursor: Cursor, thread: Thread, entry: Entry) -> None:
    """Where the nearest kept caller of the same trace stands, or nil.

    Regions have no frame: who called from within one stands below it.
    """
    stack = thread.stack
    at = len(stack) - 1
    while stack[at] is not entry:
        at -= 1
    for caller in reversed(stack[:at]):
        if caller.stream is not entry.stream:
            break
        if caller.frame is not None and not caller.silent:
            cursor.uint(offset_of(caller.frame))
            return
    cursor.nil()


def _write_masked(values: Values, cursor: Cursor) -> None:
    """A value of a function whose every value is masked."""
    cursor.tag(Tag.MASKED, 1)
    cursor.nil()
    values.counters.masked_count += 1


def _write_slot(
    values: Values, cursor: Cursor, found: Mapping[str, Any], code: Code, slot: Slot
) -> None:
    value = found.get(slot.name, UNBOUND)
    if code.secret:
        _write_masked(values, cursor)
    elif slot.flags & ARGUMENT_SECRET:
        values.write_secret(cursor, value)
    elif slot.flags & ARGUMENT_SELF and value is not UNBOUND:
        values.write_ref(cursor, value)
    else:
        values.write(cursor, value)


def _write_slots(
    values: Values,
    cursor: Cursor,
    found: Mapping[str, Any],
    code: Code,
    slots: Iterable[Slot],
) -> None:
    for slot in slots:
        _write_slot(values, cursor, found, code, slot)


def _write_locals(values: Values, cursor: Cursor, entry: Entry) -> None:
    """All slots that are not arguments: their names are in the code row."""
    code = entry.code
    assert code is not None and entry.frame is not None
    found = locals_of(entry.frame)
    _write_slots(values, cursor, found, code, code.slots[code.argument_count :])


def _has_values(entry: Entry) -> bool:
    assert entry.code is not None
    return entry.code.values and not entry.stream.trace.limited


def _write_withheld(cursor: Cursor) -> None:
    """A value that was not asked for."""
    cursor.tag(Tag.CUT, 2)
    cursor.nil()
    cursor.nil()


def _write_exception(
    values: Values, cursor: Cursor, exception: BaseException | None
) -> None:
    """An exception, or nil where there is none or its type is unknown."""
    if exception is None:
        cursor.nil()
    else:
        values.write_exception(cursor, exception)


def _began(entry: Entry) -> int:
    """A foreign node must not come to the closes: pretend that this block began it."""
    if not entry.foreign:
        return entry.began
    block = entry.stream.stream.block
    assert block is not None
    return int(block.sequence)


def _spend_less(code: Code, session: Limits) -> None:
    """A function whose values keep hitting the budget gets less of it.

    Half the items and bytes after every 64 cut records in a row, down to an eighth.
    """
    if code.options is None:
        code.options = Options(copy_limits(session), False, False)
    limits = code.options.limits
    if limits.record_bytes * 8 > session.record_bytes:
        if limits.items > 4:
            limits.items //= 2
        if limits.text_bytes > 64:
            limits.text_bytes //= 2
        limits.record_bytes //= 2
    code.truncated_run = 0


def _watch_budget(thread: Thread, code: Code, before: int) -> None:
    tracer = thread.tracer
    if tracer.values.counters.truncated_count == before:
        code.truncated_run = 0
        return
    code.truncated_run += 1
    if code.truncated_run >= 64:
        _spend_less(code, tracer.default_rules.options.limits)


# ---- calls begin ----


def call(thread: Thread, entry: Entry, now_ns: int) -> bool:
    """CALL, with the arguments of its frame; sets ``entry.open`` and ``.began``."""
    code, frame = entry.code, entry.frame
    assert code is not None and frame is not None
    truncated = thread.tracer.values.counters.truncated_count
    slots = code.slots[: code.argument_count] if _has_values(entry) else []
    found: Mapping[str, Any] = {}
    if slots:
        in_profile_function = thread.session.hook.PER_THREAD
        found = arguments_of(frame, code, in_profile_function=in_profile_function)
    stream = entry.stream.stream
    capture = _Capture(thread, entry.stream, entry, Kind.CALL, 2 + len(slots), now_ns)

    def fill(cursor: Cursor) -> None:
        cursor.uint(code.number)
        _write_site(cursor, thread, entry)
        if slots:
            _write_slots(capture.values(cursor), cursor, found, code, slots)

    def commit(cursor: Cursor) -> None:
        entry.open = stream.commit_push(cursor, now_ns)
        entry.began = entry.open.sequence

    if not capture.write(fill, commit):
        return False
    _watch_budget(thread, code, truncated)
    return True


def entered(thread: Thread, entry: Entry, offset: int, now_ns: int) -> bool:
    """ENTERED: a call met in its middle, at ``offset``."""
    code = entry.code
    assert code is not None
    stream = entry.stream.stream

    def fill(cursor: Cursor) -> None:
        cursor.uint(code.number)
        cursor.uint(offset)

    def commit(cursor: Cursor) -> None:
        entry.open = stream.commit_push(cursor, now_ns)
        entry.began = entry.open.sequence

    capture = _Capture(thread, entry.stream, entry, Kind.ENTERED, 2, now_ns)
    return capture.write(fill, commit)


def _again(
    capture: _Capture,
    waiting: Waiting | WaitingPlugin,
    rest: Callable[[Cursor], None] | None,
) -> bool:
    """RESUME and THROW: the node is on the stack again."""
    thread, entry, now_ns = capture.thread, capture.entry, capture.now_ns
    assert entry is not None
    if entry.plugin is not None:
        number = entry.plugin.kind_number
    else:
        assert entry.code is not None
        number = entry.code.number

    is_own = waiting.thread_number == thread.number

    def fill(cursor: Cursor) -> None:
        _write_optional(cursor, None if is_own else waiting.thread_number)
        cursor.uint(waiting.node)
        cursor.uint(number)
        _write_site(cursor, thread, entry)
        if rest is not None:
            rest(cursor)

    def commit(cursor: Cursor) -> None:
        entry.open = entry.stream.stream.commit_push_again(cursor, waiting.node, now_ns)
        entry.foreign = waiting.thread_number != thread.number
        entry.foreign_thread = waiting.thread_number
        entry.began = waiting.began

    return capture.write(fill, commit)


def resume(
    thread: Thread, entry: Entry, waiting: Waiting | WaitingPlugin, now_ns: int
) -> bool:
    """RESUME."""
    capture = _Capture(thread, entry.stream, entry, Kind.RESUME, 4, now_ns)
    return _again(capture, waiting, None)


def throw(
    thread: Thread,
    entry: Entry,
    waiting: Waiting,
    exception: BaseException | None,
    now_ns: int,
) -> bool:
    """THROW, with the exception (None: unknown)."""
    capture = _Capture(thread, entry.stream, entry, Kind.THROW, 5, now_ns)
    return _again(
        capture,
        waiting,
        lambda cursor: _write_exception(capture.values(cursor), cursor, exception),
    )


# ---- calls end: the top of the stack leaves ----


def _pop(capture: _Capture, fill: Callable[[Cursor], None]) -> bool:
    entry, now_ns = capture.entry, capture.now_ns
    assert entry is not None

    def commit(cursor: Cursor) -> None:
        entry.stream.stream.commit_pop(
            cursor, entry.open, _began(entry), capture.kind, now_ns
        )

    return capture.write(fill, commit)


def _local_count(entry: Entry, least: int) -> int:
    code = entry.code
    assert code is not None
    if code.locals < least or not _has_values(entry):
        return 0
    return len(code.slots) - code.argument_count


def _write_result(
    capture: _Capture, cursor: Cursor, value: object, local_count: int
) -> None:
    """A result, and what stands behind it."""
    entry = capture.entry
    assert entry is not None and entry.code is not None
    values = capture.values(cursor)
    if not _has_values(entry):
        _write_withheld(cursor)
    elif entry.code.secret:
        _write_masked(values, cursor)
    else:
        values.write(cursor, value)
    if local_count:
        _write_locals(values, cursor, entry)


def return_(thread: Thread, entry: Entry, value: object, now_ns: int) -> bool:
    """RETURN."""
    count = _local_count(entry, LOCALS_ALL)
    capture = _Capture(thread, entry.stream, entry, Kind.RETURN, 1 + count, now_ns)
    return _pop(capture, lambda cursor: _write_result(capture, cursor, value, count))


def yield_(thread: Thread, entry: Entry, value: object, now_ns: int) -> bool:
    """YIELD."""
    code, frame = entry.code, entry.frame
    assert code is not None and frame is not None
    if code.flags & CO_ASYNC_GENERATOR:
        value = yielded(value)
    capture = _Capture(thread, entry.stream, entry, Kind.YIELD, 2, now_ns)

    def fill(cursor: Cursor) -> None:
        _write_result(capture, cursor, value, 0)
        cursor.uint(offset_of(frame))

    return _pop(capture, fill)


def raise_(
    thread: Thread, entry: Entry, exception: BaseException | None, now_ns: int
) -> bool:
    """RAISE, with the exception (None: unknown)."""
    code, frame = entry.code, entry.frame
    assert code is not None and frame is not None
    count = _local_count(entry, LOCALS_RAISE)
    has_self = code.self_kind == 1 and code.locals != LOCALS_NONE and _has_values(entry)
    count += has_self
    capture = _Capture(thread, entry.stream, entry, Kind.RAISE, 2 + count, now_ns)

    def fill(cursor: Cursor) -> None:
        values = capture.values(cursor)
        _write_exception(values, cursor, exception)
        cursor.uint(offset_of(frame))
        if count == 0:
            return
        if has_self:  # with its fields: what it was like explains the exception
            _write_self(values, cursor, entry)
        _write_locals(values, cursor, entry)

    return _pop(capture, fill)


def _write_self(values: Values, cursor: Cursor, entry: Entry) -> None:
    code, frame = entry.code, entry.frame
    assert code is not None and frame is not None
    if code.secret:
        _write_masked(values, cursor)
    else:
        values.write(cursor, locals_of(frame).get(code.slots[0].name, UNBOUND))


# ---- records that neither push nor pop ----


def _plain(
    thread: Thread,
    stream: ThreadStream,
    kind: Kind,
    fields: int,
    now_ns: int,
    fill: Callable[[Cursor], None],
) -> bool:
    """Publish it as it is."""
    capture = _Capture(thread, stream, None, kind, fields, now_ns)
    return capture.write(fill, lambda cursor: stream.stream.commit(cursor, now_ns))


def handled(
    thread: Thread, unknown: Unknown, exception: BaseException, now_ns: int
) -> bool:
    """HANDLED: what an earlier RAISE with nil raised."""
    capture = _Capture(thread, unknown.stream, None, Kind.HANDLED, 3, now_ns)

    def fill(cursor: Cursor) -> None:
        cursor.nil()
        cursor.uint(unknown.node)
        _write_exception(capture.values(cursor), cursor, exception)

    stream = unknown.stream.stream
    return capture.write(fill, lambda cursor: stream.commit(cursor, now_ns))


def caught(
    thread: Thread, entry: Entry, exception: BaseException, at: int, now_ns: int
) -> bool:
    """CAUGHT: ``exception`` comes to the handler at ``at``; -1: it goes on from one."""
    capture = _Capture(thread, entry.stream, entry, Kind.CAUGHT, 5, now_ns)
    stream = entry.stream.stream

    def fill(cursor: Cursor) -> None:
        _write_optional(cursor, entry.foreign_thread if entry.foreign else None)
        cursor.uint(entry.open.node)
        _write_optional(cursor, raised_at(exception, entry.frame))
        _write_optional(cursor, at if at >= 0 else None)
        _write_exception(capture.values(cursor), cursor, exception)

    return capture.write(fill, lambda cursor: stream.commit(cursor, now_ns))


def task(thread: Thread, stream: ThreadStream, now_ns: int) -> bool:
    """TASK: from here on the thread runs this task."""
    number = thread.task
    if not _plain(
        thread, stream, Kind.TASK, 1, now_ns, lambda cursor: cursor.uint(number)
    ):
        return False
    stream.task = number
    return True


def lost(thread: Thread, stream: ThreadStream, now_ns: int) -> bool:
    """MARK: records that could not be written here."""

    def fill(cursor: Cursor) -> None:
        cursor.uint(Mark.LOST)
        cursor.uint(stream.lost_pending)
        cursor.uint(stream.stream.depth)

    if not _plain(thread, stream, Kind.MARK, 3, now_ns, fill):
        return False
    stream.lost_told += stream.lost_pending
    stream.lost_pending = 0
    return True


def counted(thread: Thread, stream: ThreadStream, code: Code, now_ns: int) -> bool:
    """MARK with what a function did since its last such mark."""

    def fill(cursor: Cursor) -> None:
        cursor.uint(Mark.COUNTED)
        cursor.array(3)
        cursor.uint(code.number)
        cursor.uint(code.counted_calls)
        cursor.uint(code.counted_ns)
        cursor.nil()

    return _plain(thread, stream, Kind.MARK, 3, now_ns, fill)


def limit(thread: Thread, stream: ThreadStream, level: int, now_ns: int) -> bool:
    """MARK: the trace's limit; 1: values stop, 2: hot functions become counts."""

    def fill(cursor: Cursor) -> None:
        cursor.uint(Mark.LIMIT)
        cursor.uint(level)
        cursor.nil()

    return _plain(thread, stream, Kind.MARK, 3, now_ns, fill)


# ---- what plugins say ----


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    """What a handler gave without what is its own."""
    own = {key for key in given if type(key) is str and key[:1] == "_"}
    if not own:
        return given
    return {key: value for key, value in given.items() if key not in own}


def plugin(thread: Thread, entry: Entry, started: dict[str, Any], now_ns: int) -> bool:
    """PLUGIN, with what start() gave."""
    from kolo_c.reference.plugin import kind_number  # noqa: PLC0415 - a circle

    assert entry.plugin is not None
    number = kind_number(thread.session, entry.plugin)
    if number == 0:
        return False
    fields = _fields(started)
    stream = entry.stream
    capture = _Capture(thread, stream, entry, Kind.PLUGIN, 3, now_ns)

    def fill(cursor: Cursor) -> None:
        cursor.uint(number)
        capture.values(cursor).write(cursor, fields)
        _write_site(cursor, thread, entry)

    def commit(cursor: Cursor) -> None:
        entry.open = stream.stream.commit_push(cursor, now_ns)
        stream.other_nodes += 1
        entry.began = entry.open.sequence

    return capture.write(fill, commit)


def plugin_end(
    thread: Thread,
    entry: Entry,
    finished: dict[str, Any] | None,
    failed: bool,
    exception: BaseException | None,
    now_ns: int,
) -> bool:
    """PLUGIN_END, with what finish() gave. ``failed``: left by ``exception``, or by one
    of unknown type."""
    fields = _fields(finished) if finished is not None else None
    capture = _Capture(thread, entry.stream, entry, Kind.PLUGIN_END, 2, now_ns)

    def fill(cursor: Cursor) -> None:
        values = capture.values(cursor)
        if fields is None:
            cursor.map(0)
        else:
            values.write(cursor, fields)
        if failed and exception is None:
            cursor.bool(True)
        else:
            _write_exception(values, cursor, exception)

    return _pop(capture, fill)


def plugin_yield(thread: Thread, entry: Entry, offset: int, now_ns: int) -> bool:
    """YIELD of such a node, with its generator's."""
    capture = _Capture(thread, entry.stream, entry, Kind.YIELD, 2, now_ns)

    def fill(cursor: Cursor) -> None:
        cursor.nil()
        cursor.uint(offset)

    return _pop(capture, fill)


def log(
    thread: Thread,
    stream: ThreadStream,
    level: int,
    logger: str,
    text: str,
    now_ns: int,
) -> bool:
    """LOG: a leaf."""
    capture = _Capture(thread, stream, None, Kind.LOG, 3, now_ns)

    def fill(cursor: Cursor) -> None:
        values = capture.values(cursor)
        cursor.uint(level)
        values.write(cursor, logger)
        values.write(cursor, text)

    def commit(cursor: Cursor) -> None:
        stream.other_nodes += 1
        stream.stream.commit_node(cursor, now_ns)

    return capture.write(fill, commit)


# ---- what the program says itself ----


def _write_note(
    capture: _Capture, cursor: Cursor, text: object, given: dict[str, Any] | None
) -> None:
    """REGION and NOTE: a text and what the program gave with it."""
    values = capture.values(cursor)
    values.write(cursor, text)
    if given is None:
        cursor.map(0)
    else:
        values.write(cursor, given)


def region(
    thread: Thread, entry: Entry, name: str, given: dict[str, Any] | None, now_ns: int
) -> bool:
    """REGION."""
    stream = entry.stream
    capture = _Capture(thread, stream, entry, Kind.REGION, 2, now_ns)

    def commit(cursor: Cursor) -> None:
        entry.open = stream.stream.commit_push(cursor, now_ns)
        stream.other_nodes += 1
        entry.began = entry.open.sequence

    return capture.write(
        lambda cursor: _write_note(capture, cursor, name, given), commit
    )


def region_end(
    thread: Thread, entry: Entry, exception: BaseException | None, now_ns: int
) -> bool:
    """REGION_END."""
    capture = _Capture(thread, entry.stream, entry, Kind.REGION_END, 1, now_ns)
    return _pop(
        capture,
        lambda cursor: _write_exception(capture.values(cursor), cursor, exception),
    )


def note(
    thread: Thread,
    stream: ThreadStream,
    text: str,
    given: dict[str, Any] | None,
    now_ns: int,
) -> bool:
    """NOTE."""
    capture = _Capture(thread, stream, None, Kind.NOTE, 2, now_ns)

    def commit(cursor: Cursor) -> None:
        stream.other_nodes += 1
        stream.stream.commit_node(cursor, now_ns)

    return capture.write(
        lambda cursor: _write_note(capture, cursor, text, given), commit
    )
