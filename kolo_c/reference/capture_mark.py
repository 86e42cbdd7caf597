"""What stands between the records of calls. Twin of src/trace/capture_mark.c.

Threads: the traced thread, with the session's lock.
Owns: nothing.
Fails: False.
"""

from __future__ import annotations

from kolo_c.reference.capture_record import plain
from kolo_c.reference.wire import Cursor
from kolo_c.wire import Kind, Mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.reference.code import Code
    from kolo_c.reference.thread import Thread, ThreadStream


def task(thread: Thread, stream: ThreadStream, now_ns: int) -> bool:
    """TASK: from here on the thread runs this task."""
    number = thread.task
    if not plain(
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

    if not plain(thread, stream, Kind.MARK, 3, now_ns, fill):
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

    return plain(thread, stream, Kind.MARK, 3, now_ns, fill)


def limit(thread: Thread, stream: ThreadStream, level: int, now_ns: int) -> bool:
    """MARK: the trace's limit; 1: values stop, 2: hot functions become counts."""

    def fill(cursor: Cursor) -> None:
        cursor.uint(Mark.LIMIT)
        cursor.uint(level)
        cursor.nil()

    return plain(thread, stream, Kind.MARK, 3, now_ns, fill)
