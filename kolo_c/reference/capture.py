"""The fields of each record, in wire order. Twin of src/trace/capture.c.

Each function writes one record, in a new block where it does not fit in the old one,
and returns False where it could not: the caller counts it.

Threads: the traced thread, with the session's lock.
Owns: nothing.
Fails: False.
"""

from __future__ import annotations

from kolo_c.reference.capture_record import (
    Record,
    offset_of,
    pop,
    write_exception,
    write_optional,
    write_site,
)
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
from kolo_c.reference.value import UNBOUND
from kolo_c.reference.value_state import Options
from kolo_c.reference.wire import Cursor
from kolo_c.wire import Kind, Tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from kolo_c.reference.code import Code, Slot
    from kolo_c.reference.stack import Entry, Waiting, WaitingPlugin
    from kolo_c.reference.thread import Thread, Unknown
    from kolo_c.reference.value import Values
    from kolo_c.reference.value_state import Limits


# ---- fields ----


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


def _learn_slots(
    values: Values, found: Mapping[str, Any], slots: Iterable[Slot]
) -> None:
    """What stands under secret names is known before the rest of the record is written:
    an exception, a result, another argument may quote it."""
    for slot in slots:
        if slot.flags & ARGUMENT_SECRET and slot.name in found:
            values.learn(found[slot.name])


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
    capture = Record(thread, entry.stream, entry, Kind.CALL, 2 + len(slots), now_ns)

    def fill(cursor: Cursor) -> None:
        cursor.uint(code.number)
        write_site(cursor, thread, entry)
        if slots:
            values = capture.values(cursor)
            if code.secret_slots:
                _learn_slots(values, found, slots)
            _write_slots(values, cursor, found, code, slots)

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

    capture = Record(thread, entry.stream, entry, Kind.ENTERED, 2, now_ns)
    return capture.write(fill, commit)


def _again(
    capture: Record,
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
        write_optional(cursor, None if is_own else waiting.thread_number)
        cursor.uint(waiting.node)
        cursor.uint(number)
        write_site(cursor, thread, entry)
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
    capture = Record(thread, entry.stream, entry, Kind.RESUME, 4, now_ns)
    return _again(capture, waiting, None)


def throw(
    thread: Thread,
    entry: Entry,
    waiting: Waiting,
    exception: BaseException | None,
    now_ns: int,
) -> bool:
    """THROW, with the exception (None: unknown)."""
    capture = Record(thread, entry.stream, entry, Kind.THROW, 5, now_ns)
    return _again(
        capture,
        waiting,
        lambda cursor: write_exception(capture.values(cursor), cursor, exception),
    )


# ---- calls end: the top of the stack leaves ----


def _local_count(entry: Entry, least: int) -> int:
    code = entry.code
    assert code is not None
    if code.locals < least or not _has_values(entry):
        return 0
    return len(code.slots) - code.argument_count


def _is_secret_result(value: object) -> bool:
    """Of a function whose name says that its result is a secret, such as get_password:
    a text is one, or several in a container; an object is not."""
    if issubclass(type(value), (str, bytes)):
        return True
    return type(value) in (tuple, list, dict, set, frozenset)


def _write_result(
    capture: Record, cursor: Cursor, value: object, local_count: int
) -> None:
    """A result, and what stands behind it."""
    entry = capture.entry
    assert entry is not None and entry.code is not None
    values = capture.values(cursor)
    if local_count and entry.code.secret_slots:
        assert entry.frame is not None
        _learn_slots(values, locals_of(entry.frame), entry.code.slots)
    if not _has_values(entry):
        _write_withheld(cursor)
    elif entry.code.secret:
        _write_masked(values, cursor)
    elif entry.code.secret_result and _is_secret_result(value):
        values.write_secret(cursor, value)
    else:
        values.write(cursor, value)
    if local_count:
        _write_locals(values, cursor, entry)


def return_(thread: Thread, entry: Entry, value: object, now_ns: int) -> bool:
    """RETURN."""
    count = _local_count(entry, LOCALS_ALL)
    capture = Record(thread, entry.stream, entry, Kind.RETURN, 1 + count, now_ns)
    return pop(capture, lambda cursor: _write_result(capture, cursor, value, count))


def yield_(thread: Thread, entry: Entry, value: object, now_ns: int) -> bool:
    """YIELD."""
    code, frame = entry.code, entry.frame
    assert code is not None and frame is not None
    if code.flags & CO_ASYNC_GENERATOR:
        value = yielded(value)
    capture = Record(thread, entry.stream, entry, Kind.YIELD, 2, now_ns)

    def fill(cursor: Cursor) -> None:
        _write_result(capture, cursor, value, 0)
        cursor.uint(offset_of(frame))

    return pop(capture, fill)


def raise_(
    thread: Thread, entry: Entry, exception: BaseException | None, now_ns: int
) -> bool:
    """RAISE, with the exception (None: unknown)."""
    code, frame = entry.code, entry.frame
    assert code is not None and frame is not None
    count = _local_count(entry, LOCALS_RAISE)
    has_self = code.self_kind == 1 and code.locals != LOCALS_NONE and _has_values(entry)
    count += has_self
    capture = Record(thread, entry.stream, entry, Kind.RAISE, 2 + count, now_ns)

    def fill(cursor: Cursor) -> None:
        values = capture.values(cursor)
        if code.secret_slots:
            _learn_slots(values, locals_of(frame), code.slots)
        write_exception(values, cursor, exception)
        cursor.uint(offset_of(frame))
        if count == 0:
            return
        if has_self:  # with its fields: what it was like explains the exception
            _write_self(values, cursor, entry)
        _write_locals(values, cursor, entry)

    return pop(capture, fill)


def _write_self(values: Values, cursor: Cursor, entry: Entry) -> None:
    code, frame = entry.code, entry.frame
    assert code is not None and frame is not None
    if code.secret:
        _write_masked(values, cursor)
    else:
        values.write(cursor, locals_of(frame).get(code.slots[0].name, UNBOUND))


# ---- records that neither push nor pop ----


def handled(
    thread: Thread, unknown: Unknown, exception: BaseException, now_ns: int
) -> bool:
    """HANDLED: what an earlier RAISE with nil raised."""
    capture = Record(thread, unknown.stream, None, Kind.HANDLED, 3, now_ns)

    def fill(cursor: Cursor) -> None:
        cursor.nil()
        cursor.uint(unknown.node)
        write_exception(capture.values(cursor), cursor, exception)

    stream = unknown.stream.stream
    return capture.write(fill, lambda cursor: stream.commit(cursor, now_ns))


def caught(
    thread: Thread, entry: Entry, exception: BaseException, at: int, now_ns: int
) -> bool:
    """CAUGHT: ``exception`` comes to the handler at ``at``; -1: it goes on from one."""
    code, frame = entry.code, entry.frame
    assert code is not None and frame is not None
    capture = Record(thread, entry.stream, entry, Kind.CAUGHT, 5, now_ns)
    stream = entry.stream.stream

    def fill(cursor: Cursor) -> None:
        write_optional(cursor, entry.foreign_thread if entry.foreign else None)
        cursor.uint(entry.open.node)
        write_optional(cursor, raised_at(exception, frame))
        write_optional(cursor, at if at >= 0 else None)
        values = capture.values(cursor)
        if code.secret_slots:
            _learn_slots(values, locals_of(frame), code.slots)
        write_exception(values, cursor, exception)

    return capture.write(fill, lambda cursor: stream.commit(cursor, now_ns))
