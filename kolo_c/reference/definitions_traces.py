"""Definitions of threads, tasks and traces. Twin of src/session/definitions_traces.c.

Threads: any, with the session's lock. Owns: nothing. Fails: by number 0.
"""

from __future__ import annotations

from kolo_c.reference import text
from kolo_c.reference.status import Status
from kolo_c.wire import Definition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kolo_c.reference.stream import Stream
    from kolo_c.reference.traces import Trace
    from kolo_c.reference.wire import Cursor

ATTRIBUTES_MAX_BYTES = 16384
"""Half a record; Python sees to it (within.py)."""
_NAME_MAX_BYTES = 1024


def _name(cursor: Cursor, name: str | None, most: int = _NAME_MAX_BYTES) -> None:
    if name is None:
        cursor.nil()
    else:
        text.write(cursor, name, most)


def _fill_trace(cursor: Cursor, trace: Trace) -> None:
    cursor.uint(trace.number)
    cursor.text(trace.id)
    cursor.text(trace.kind)
    _name(cursor, trace.name)
    _name(cursor, trace.parent)
    cursor.uint(trace.started_ns)
    cursor.uint(trace.started_utc_ns)
    _name(cursor, trace.attributes, ATTRIBUTES_MAX_BYTES)


def trace_into(stream: Stream, trace: Trace) -> bool:
    """The same into ``stream``, which is none of the log's, as one without a number.

    False where there is no room.
    """
    cursor = stream.begin_plain()
    if cursor.status is Status.OK:
        cursor.array(10)
        cursor.uint(Definition.TRACE)
        cursor.uint(0)
        _fill_trace(cursor, trace)
    if cursor.status is not Status.OK:
        return False
    stream.commit(cursor, stream.last_ns)
    return True


class TraceDefinitions:
    """The part of ``Definitions`` that is about threads, tasks and traces."""

    def write(self, kind: int, fields: int, fill: Callable[[Cursor], None]) -> int:
        """See definitions.py."""
        raise NotImplementedError

    def thread(
        self, thread_number: int, name: str | None, ident: int, native_id: int
    ) -> int:
        """A thread, before its first record."""

        def fill(cursor: Cursor) -> None:
            cursor.uint(thread_number)
            _name(cursor, name)
            cursor.uint(ident)
            cursor.uint(native_id)

        return self.write(Definition.THREAD, 4, fill)

    def task(self, name: str | None, qualname: str | None) -> int:
        """An asyncio task, and what its coroutine is called."""

        def fill(cursor: Cursor) -> None:
            _name(cursor, name)
            _name(cursor, qualname)

        return self.write(Definition.TASK, 2, fill)

    def plugin_kind(self, kind: tuple[str, str, str, str]) -> int:
        """A plugin's kind: name, label, colour, summary."""

        def fill(cursor: Cursor) -> None:
            for word in kind:
                _name(cursor, word)

        return self.write(Definition.PLUGIN_KIND, 4, fill)

    def trace(self, trace: Trace) -> int:
        """A trace, before its first record."""

        return self.write(
            Definition.TRACE, 8, lambda cursor: _fill_trace(cursor, trace)
        )

    def trace_drop(self, number: int, segment: int) -> int:
        """It is not to be stored; ``segment`` is the first that may have blocks."""

        def fill(cursor: Cursor) -> None:
            cursor.uint(number)
            cursor.uint(segment)

        return self.write(Definition.TRACE_DROP, 2, fill)

    def trace_set(self, trace: Trace) -> int:
        """What the program says of it while it runs: name and attributes."""

        def fill(cursor: Cursor) -> None:
            cursor.uint(trace.number)
            _name(cursor, trace.name)
            _name(cursor, trace.attributes, ATTRIBUTES_MAX_BYTES)

        return self.write(Definition.TRACE_SET, 3, fill)

    def trace_end(self, trace: Trace, ended_ns: int, cause: str, counters: str) -> int:
        """Its end; ``counters`` is JSON text."""

        def fill(cursor: Cursor) -> None:
            cursor.uint(trace.number)
            cursor.uint(ended_ns)
            cursor.text(cause)
            cursor.text(counters)
            _name(cursor, trace.name)
            _name(cursor, trace.attributes, ATTRIBUTES_MAX_BYTES)

        return self.write(Definition.TRACE_END, 6, fill)
