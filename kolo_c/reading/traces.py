"""One trace: what is known of it, and the way to its calls and records.

Threads: one at a time. Owns: the blocks that were decoded last.
Fails: StoreError where a file cannot be read, TraceNotFound for a call that is none.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from kolo_c.errors import TraceNotFound
from kolo_c.reading import notebook
from kolo_c.reading.calls import Call, Calls
from kolo_c.reading.events import Event, find_events
from kolo_c.reading.quiet import Steps, quietly
from kolo_c.reading.streams import Stream, Wanted
from kolo_c.reading.values import Value
from kolo_c.store import records as r
from kolo_c.store.trace import Trace as StoredTrace
from kolo_c.store.trace_info import TraceInfo


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread of a trace."""

    ordinal: int
    """1 is the trace's first."""
    name: str
    ident: int | None
    """As ``threading.get_ident()`` gave it."""
    native_id: int | None


@dataclass(frozen=True, slots=True)
class Source:
    """A piece of a file as it was when it ran; secrets of known shapes are masked."""

    path: str
    first_line: int
    text: str


@dataclass(frozen=True, slots=True)
class Record:
    """One record, as docs/reference/wire-format.md describes them."""

    kind: str
    """"call", "return", "raise", "yield", "note" and so on."""
    time_ns: int
    """On the clock of ``Call.started_ns``."""
    thread: Thread
    node: int | None
    """Its own number, where it has one."""
    fields: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Note:
    """What the program noted (``kolo_c.note``)."""

    text: str
    values: dict[str, Value]
    time_ns: int
    thread: Thread
    call: Call | None
    """Within which."""


class Trace:
    """A trace: one run of a program, or a part of it that has a trace of its own."""

    def __init__(self, info: TraceInfo) -> None:
        self._info = info

    @property
    def id(self) -> str:
        """``trc_`` and 26 characters."""
        return self._info.id

    @property
    def name(self) -> str:
        """What it is called."""
        return self._info.row.name

    @property
    def kind(self) -> str:
        """ "process", "region", "boundary", "request", "test", "task"."""
        return self._info.row.kind

    @property
    def status(self) -> Literal["running", "complete", "interrupted"]:
        """Interrupted: its process died."""
        return self._info.status  # type: ignore[return-value]

    @property
    def cause(self) -> str | None:
        """Why it ended: "exit", "exception" and so on."""
        return self._info.row.cause

    @property
    def parent_id(self) -> str | None:
        """The trace that it was begun in, or forked from."""
        return self._info.row.parent

    @property
    def started_at(self) -> datetime.datetime:
        """When it began, in UTC."""
        return self.moment(self._info.row.started_ns)

    @property
    def duration_ns(self) -> int:
        """From its begin to its end; to now, or to the last thing known of it."""
        return self._info.duration_ns

    @property
    def attributes(self) -> dict[str, Any]:
        """What the program said of it, and ``problems`` if there were any."""
        return dict(self._info.attributes)

    @property
    def counters(self) -> dict[str, Any]:
        """What the recorder counted: calls, bytes, masked, truncated, lost, …"""
        return dict(self._info.counters)

    @property
    def call_count(self) -> int:
        """How many calls were recorded; while it runs, with notes and regions."""
        calls = self._info.counters.get("calls")
        return calls if isinstance(calls, int) else self._info.calls

    @property
    @quietly
    def process(self) -> dict[str, Any]:
        """Of its process: pid, argv, cwd, host, python, git_commit, config, …"""
        return {"pid": self._info.pid, **self._info.process.info}

    @property
    def threads(self) -> list[Thread]:
        """Those with records, in the order of their first."""
        return [stream.thread for stream in self._streams]

    @property
    @quietly
    def problems(self) -> list[str]:
        """What a reader should know: what was lost, what is damaged."""
        known = self._info.attributes.get("problems", [])
        said = [str(problem) for problem in known] if isinstance(known, list) else []
        return [*said, *self._info.process.problems, *self._stored.damage]

    # ---- calls and records ----

    def calls(
        self,
        function: str | None = None,
        *,
        module: str | None = None,
        thread: str | Thread | None = None,
    ) -> Calls:
        """The calls, thread by thread, each thread's in the order they began.

        ``function`` is a name (``cost``), a qualified one (``Cart.cost``), with the
        module before it if need be, or a pattern with ``*`` and ``?``; so is
        ``module``. ``thread`` is a thread's name, or one of ``threads``.
        """
        asked = {"function": function, "module": module, "thread": thread}
        words = [f"{k}={v!r}" for k, v in asked.items() if v is not None]
        what = " ".join([f"of {self.id}", *words])

        def find() -> Iterator[Call]:
            wanted = None
            if function is not None or module is not None:
                wanted = Wanted(self._stored.definitions, function, module)
            for stream in self._chosen(thread):
                yield from stream.calls(wanted)

        return Calls(what, find)

    @property
    def roots(self) -> Calls:
        """The calls that no recorded call made: where to begin, going down."""

        def find() -> Iterator[Call]:
            for stream in self._streams:
                yield from stream.roots()

        return Calls(f"at the top of {self.id}", find)

    def exceptions(self) -> Calls:
        """The calls in which exceptions were raised, each where it was raised first.

        ``Call.exception`` is what, ``Call.raised_line`` is where.
        """

        def find() -> Iterator[Call]:
            for stream in self._streams:
                yield from stream.raising()

        return Calls(f"that raised, of {self.id}", find)

    @quietly
    def call(self, node: int, thread: int = 1) -> Call:
        """The call with this number, in the thread with this ordinal.

        Raises TraceNotFound where that is no call.
        """
        if 1 <= thread <= len(self._streams):
            stream = self._streams[thread - 1]
            place = stream.place_of(node)
            view = stream.views.get(place) if place is not None else None
            if view is not None and isinstance(view.begins[node], (r.Call, r.Entered)):
                assert place is not None
                return Call(stream, place, view, node)
        raise TraceNotFound(
            f"{self.id} has no call {node} in thread {thread}",
            "kolo-c show lists them, with their numbers.",
        )

    def notes(self) -> Iterator[Note]:
        """What the program noted, thread by thread."""
        return Steps(self._find_notes())

    def events(
        self, kind: str | None = None, *, thread: str | Thread | None = None
    ) -> Iterator[Event]:
        """What plugins recorded, and lines of the log, thread by thread: all, or those
        of a kind ("sql", "http", "log"), which may be a pattern."""
        return Steps(find_events(self, self._chosen(thread), kind))

    def records(self, thread: str | Thread | None = None) -> Iterator[Record]:
        """Everything that was recorded, as it was recorded."""
        return Steps(self._find_records(thread))

    def to_dict(self) -> dict[str, Any]:
        """What is known of it without its records, as JSON can have it."""
        return {
            "id": self.id,
            "name": self.name,
            "kind": self.kind,
            "status": self.status,
            "cause": self.cause,
            "parent": self.parent_id,
            "started_at": self.started_at.isoformat(),
            "duration_ns": self.duration_ns,
            "calls": self.call_count,
            "attributes": self.attributes,
            "counters": self.counters,
        }

    # ---- for the rest of this package ----

    def moment(self, ns: int) -> datetime.datetime:
        """A time of its process as UTC."""
        row = self._info.row
        utc_ns = row.started_utc_ns + ns - row.started_ns
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return epoch + datetime.timedelta(microseconds=utc_ns // 1000)

    def stream_of(self, number: int) -> Stream | None:
        """The stream of the thread with this number of the process's."""
        return next((s for s in self._streams if s.number == number), None)

    @cached_property
    @quietly
    def _stored(self) -> StoredTrace:
        return StoredTrace(self._info)

    @cached_property
    @quietly
    def _streams(self) -> list[Stream]:
        return [
            Stream(
                self,
                stored,
                Thread(
                    stored.ordinal,
                    stored.name,
                    stored.thread.ident if stored.thread is not None else None,
                    stored.thread.native_id if stored.thread is not None else None,
                ),
            )
            for stored in self._stored.streams
        ]

    def _chosen(self, thread: str | Thread | None) -> list[Stream]:
        if thread is None:
            return self._streams
        if isinstance(thread, Thread):
            return [s for s in self._streams if s.thread == thread]
        return [s for s in self._streams if s.thread.name == thread]

    def _find_notes(self) -> Iterator[Note]:
        for stream in self._streams:
            for record in stream.stored.records():
                if not isinstance(record, r.Note):
                    continue
                place = stream.place_of(record.node)
                call = None
                if place is not None:
                    view = stream.views.get(place)
                    call = Call(stream, place, view, record.node).parent
                values = stream.value(record.values)
                yield Note(
                    record.text,
                    values if isinstance(values, dict) else {},
                    record.ns,
                    stream.thread,
                    call,
                )

    def _find_records(self, thread: str | Thread | None) -> Iterator[Record]:
        for stream in self._chosen(thread):
            for record in stream.stored.records():
                fields = {
                    name: stream.value(getattr(record, name))
                    for name in type(record).__slots__
                }
                yield Record(
                    record.kind.name.lower(),
                    record.ns,
                    stream.thread,
                    record.node or None,
                    fields,
                )

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, Trace) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return notebook.trace_text(self)

    @quietly
    def _repr_html_(self) -> str:
        return notebook.trace_html(self)

    @quietly
    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        lines = notebook.tree_text(self.roots)
        printer.text("\n".join([notebook.trace_text(self), *lines]))
