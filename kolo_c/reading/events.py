"""What plugins recorded: SQL, HTTP, templates, and lines of the log.

Threads: one at a time. Owns: nothing. Fails: StoreError where a file cannot be read.
"""

from __future__ import annotations

import datetime
import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kolo_c.model.events import Event as StoredEvent
from kolo_c.model.events import Events
from kolo_c.plugins.shown import level_name, summary_text
from kolo_c.reading.calls import Call
from kolo_c.reading.values import Raised, Value

if TYPE_CHECKING:
    from kolo_c.reading.streams import Stream
    from kolo_c.reading.traces import Thread, Trace


@dataclass(frozen=True, slots=True)
class Event:
    """What a plugin saw, or a line of the log (its kind is "log")."""

    id: str
    """Its address, for ``kolo-c show``."""
    node: int
    kind: str
    """"sql", "http", "template", "log" and so on."""
    label: str
    summary: str
    """One line, as the views show it."""
    fields: dict[str, Value]
    exception: Raised | None
    """What ended it, if that was one."""
    started_at: datetime.datetime
    """In UTC."""
    duration_ns: int | None
    """None: it has no end, or takes no time."""
    path: str | None
    line: int | None
    """The line of recorded code that it came from."""
    call: Call | None
    """Within which."""
    thread: Thread

    def to_dict(self) -> dict[str, Any]:
        """All of it but the call's own, as JSON can have it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "label": self.label,
            "summary": self.summary,
            "fields": {name: _plain(value) for name, value in self.fields.items()},
            "exception": None if self.exception is None else str(self.exception),
            "started_at": self.started_at.isoformat(),
            "duration_ns": self.duration_ns,
            "path": self.path,
            "line": self.line,
            "thread": self.thread.name,
        }


def find_events(
    trace: Trace, streams: list[Stream], pattern: str | None
) -> Iterator[Event]:
    """Those of a kind, by its name or a pattern, thread by thread."""
    stored = streams[0].stored.trace if streams else None
    if stored is None:
        return
    chosen = {stream.number: stream for stream in streams}

    def wanted(kind: str) -> bool:
        return pattern is None or fnmatch.fnmatchcase(kind, pattern)

    for event in Events(stored, wanted):
        stream = chosen.get(event.stream.number)
        if stream is not None:
            yield _event(trace, stream, event)


def _event(trace: Trace, stream: Stream, event: StoredEvent) -> Event:
    definitions = event.definitions
    place = event.place()
    exception = stream.value(event.exception)
    if event.failed and not isinstance(exception, Raised):
        exception = Raised(None, (), None)
    label, summary = "log", str(event.text)
    if event.plugin:
        kind = definitions.plugin(event.plugin)
        label, summary = kind.label, summary_text(kind, event.fields, definitions)
        fields = {name: stream.value(value) for name, value in event.fields.items()}
    else:
        fields = {
            "level": stream.value(event.level),
            "level_name": level_name(event.level),
            "logger": stream.value(event.logger),
            "text": stream.value(event.text),
        }
    return Event(
        id=stream.address(event.node),
        node=event.node,
        kind=event.kind,
        label=label,
        summary=summary,
        fields=fields,
        exception=exception if isinstance(exception, Raised) else None,
        started_at=trace.moment(event.start_ns),
        duration_ns=event.duration_ns,
        path=None if place is None else place[0],
        line=None if place is None else place[1],
        call=_call(stream, event.node),
        thread=stream.thread,
    )


def _call(stream: Stream, node: int) -> Call | None:
    """The recorded call that a node stands in."""
    place = stream.place_of(node)
    if place is None:
        return None
    return Call(stream, place, stream.views.get(place), node).parent


def _plain(value: Value) -> Any:
    """A value as JSON has it; what it has not as its text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return repr(value)
