"""What plugins and the program itself say. Twin of src/trace/capture_said.c.

Threads: the traced thread, with the session's lock.
Owns: nothing.
Fails: False.
"""

from __future__ import annotations

from kolo_c.reference.capture_record import (
    Record,
    pop,
    write_exception,
    write_site,
    write_site_below,
)
from kolo_c.reference.wire import Cursor
from kolo_c.wire import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.reference.stack import Entry
    from kolo_c.reference.thread import Thread, ThreadStream


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
    capture = Record(thread, stream, entry, Kind.PLUGIN, 3, now_ns)

    def fill(cursor: Cursor) -> None:
        cursor.uint(number)
        capture.values(cursor).write(cursor, fields)
        write_site(cursor, thread, entry)

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
    capture = Record(thread, entry.stream, entry, Kind.PLUGIN_END, 2, now_ns)

    def fill(cursor: Cursor) -> None:
        values = capture.values(cursor)
        if fields is None:
            cursor.map(0)
        else:
            values.write(cursor, fields)
        if failed and exception is None:
            cursor.bool(True)
        else:
            write_exception(values, cursor, exception)

    return pop(capture, fill)


def plugin_yield(thread: Thread, entry: Entry, offset: int, now_ns: int) -> bool:
    """YIELD of such a node, with its generator's."""
    capture = Record(thread, entry.stream, entry, Kind.YIELD, 2, now_ns)

    def fill(cursor: Cursor) -> None:
        cursor.nil()
        cursor.uint(offset)

    return pop(capture, fill)


def log(
    thread: Thread,
    stream: ThreadStream,
    level: int,
    logger: str,
    text: str,
    now_ns: int,
) -> bool:
    """LOG: a leaf."""
    capture = Record(thread, stream, None, Kind.LOG, 4, now_ns)

    def fill(cursor: Cursor) -> None:
        values = capture.values(cursor)
        cursor.uint(level)
        values.write(cursor, logger)
        values.write(cursor, text)
        write_site_below(cursor, thread, stream, len(thread.stack))

    def commit(cursor: Cursor) -> None:
        stream.other_nodes += 1
        stream.stream.commit_node(cursor, now_ns)

    return capture.write(fill, commit)


# ---- what the program says itself ----


def _write_note(
    capture: Record, cursor: Cursor, text: object, given: dict[str, Any] | None
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
    capture = Record(thread, stream, entry, Kind.REGION, 2, now_ns)

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
    capture = Record(thread, entry.stream, entry, Kind.REGION_END, 1, now_ns)
    return pop(
        capture,
        lambda cursor: write_exception(capture.values(cursor), cursor, exception),
    )


def note(
    thread: Thread,
    stream: ThreadStream,
    text: str,
    given: dict[str, Any] | None,
    now_ns: int,
) -> bool:
    """NOTE."""
    capture = Record(thread, stream, None, Kind.NOTE, 2, now_ns)

    def commit(cursor: Cursor) -> None:
        stream.other_nodes += 1
        stream.stream.commit_node(cursor, now_ns)

    return capture.write(
        lambda cursor: _write_note(capture, cursor, text, given), commit
    )
