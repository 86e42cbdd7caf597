"""``kolo-c dump``: every record of a trace as JSON lines.

Threads: one at a time. Owns: nothing after run(). Fails: KoloError.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from kolo_c.cli.header import header_json
from kolo_c.cli.nodes_json import locals_json, record_json
from kolo_c.cli.reading import add_store_option, open_store, warn_of_errors
from kolo_c.store import records as r
from kolo_c.store.jsonable import value_json
from kolo_c.store.reader import Stream, Trace
from kolo_c.wire import END_KINDS, PUSH_KINDS, Kind

Object = dict[str, Any]


class DumpCommand:
    """Print every record of a trace as JSON lines.

    The first line is the trace itself ("kind": "trace"); then come the records, thread
    by thread in the order they were written, with names, files and lines in place of
    numbers.
    """

    name = "dump"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "trace", nargs="?", metavar="TRACE", help="the ending of its id; the latest"
        )
        add_store_option(parser)
        parser.add_argument(
            "--json", action="store_true", help="JSON lines, which they are anyway"
        )

    def run(self, args: argparse.Namespace) -> int:
        """Print them."""
        with open_store(db=args.db) as store:
            trace = store.trace(args.trace)
            warn_of_errors(store)
            for found in dump(trace):
                sys.stdout.write(json.dumps(found) + "\n")
            for message in trace.damage:
                print(f"kolo-c: {message}", file=sys.stderr)
        return 0


COMMAND = DumpCommand()


def dump(trace: Trace) -> Iterator[Object]:
    """The trace and its records, for programs; one block is held at a time."""
    header = header_json(trace)
    yield {**header, "kind": "trace", "trace_kind": header["kind"]}
    for stream in trace.streams:
        yield from _StreamDump(stream).records()


class _StreamDump:
    """Follows the stack, which offsets and ends belong to."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._definitions = stream.trace.definitions
        self._stack: list[tuple[int, int | None]] = []  # node, code

    def records(self) -> Iterator[Object]:
        for index, block in enumerate(self._stream.blocks):
            if self._stream.begins_after_gap(index):
                opens = self._stream.opens_at(index)
                known = dict(self._stack)
                self._stack = [(node, known.get(node)) for node in opens]
                yield {
                    "kind": "gap",
                    "thread": self._stream.ordinal,
                    "before_block": block.sequence,
                }
            for record in self._stream.decode(index).records:
                yield self._record(record, block.sequence)

    def _record(self, record: r.Record, sequence: int) -> Object:
        found = {
            "thread": self._stream.ordinal,
            "block": sequence,
            **record_json(record, self._definitions),
        }
        found["utc_ns"] = self._stream.trace.utc_ns(record.ns)
        if isinstance(record, (r.Call, r.Entered, r.Resume, r.Throw)):
            found.update(self._place(record))
        elif isinstance(record, (r.Plugin, r.Log)):
            found["called_from_line"] = self._line(self._caller(), record.site)
        elif isinstance(record, (r.Return, r.Raise, r.Yield)):
            found.update(self._outcome(record))
        elif isinstance(record, r.Handled):
            found["raised_in"] = record.raised
            found["raised_thread"] = self._ordinal(record.thread)
            found["exception"] = value_json(record.exception, self._definitions)
        elif isinstance(record, r.Caught):
            found.update(self._caught(record))
        self._follow(record, found)
        return found

    def _caught(self, record: r.Caught) -> Object:
        numbers = [number for number, _ in self._stack]
        code = None
        if record.caught_in in numbers:
            code = self._stack[numbers.index(record.caught_in)][1]
        return {
            "caught_in": record.caught_in,
            "caught_thread": self._ordinal(record.thread),
            "exception": value_json(record.exception, self._definitions),
            "raised_line": self._line(code, record.raised),
            "handled_line": None
            if code is None
            else self._definitions.handler_line(code, record.offset),
            "goes_on": record.offset is None,
        }

    def _place(self, record: r.Call | r.Entered | r.Resume | r.Throw) -> Object:
        found = self._what(record.code)
        if isinstance(record, r.Entered):
            found["at_line"] = self._definitions.line(record.code, record.offset)
            return found
        found["called_from_line"] = self._line(self._caller(), record.site)
        if isinstance(record, (r.Resume, r.Throw)):
            found["resumed"] = record.resumed
            found["resumed_thread"] = self._ordinal(record.thread)
        if isinstance(record, r.Throw):
            found["exception"] = value_json(record.exception, self._definitions)
        return found

    def _what(self, number: int) -> Object:
        if not self._definitions.is_code(number):
            return {"plugin": self._definitions.plugin(number).name}
        code = self._definitions.code(number)
        return {
            "name": code.qualname,
            "module": code.module,
            "file": self._definitions.path(code.file),
            "line": code.first_line,
        }

    def _outcome(self, record: r.Return | r.Raise | r.Yield) -> Object:
        code = self._stack[-1][1] if self._stack else None
        found: Object = {}
        if isinstance(record, r.Raise):
            found["exception"] = value_json(record.exception, self._definitions)
            found["raised_line"] = self._line(code, record.offset)
        else:
            found["value"] = value_json(record.value, self._definitions)
        if isinstance(record, r.Yield):
            found["line"] = self._line(code, record.offset)
        elif code is not None:
            row = self._definitions.code(code)
            found.update(locals_json(record, row, self._definitions))
        return found

    def _follow(self, record: r.Record, found: Object) -> None:
        """Move the stack on; what ends or suspends a node names it."""
        if record.kind in PUSH_KINDS:
            code = record.code if isinstance(record, (r.Call, r.Entered)) else None
            self._stack.append((record.node, code))
        elif isinstance(record, (r.Resume, r.Throw)):
            known = self._definitions.is_code(record.code)
            self._stack.append((record.resumed, record.code if known else None))
        elif record.kind == Kind.YIELD or record.kind in END_KINDS:
            if self._stack:
                found["of_node"] = self._stack.pop()[0]
        elif isinstance(record, r.MarkRecord) and record.depth is not None:
            del self._stack[record.depth :]

    def _caller(self) -> int | None:
        """The code of the nearest call on the stack."""
        return next(
            (code for _, code in reversed(self._stack) if code is not None), None
        )

    def _line(self, code: int | None, offset: int | None) -> int | None:
        return None if code is None else self._definitions.line(code, offset)

    def _ordinal(self, thread: int | None) -> int | None:
        """The place in the trace of the thread with this number; its own for None."""
        if thread is None:
            return self._stream.ordinal
        for stream in self._stream.trace.streams:
            if stream.number == thread:
                return stream.ordinal
        return None
