"""``kolo-c show --kind sql``: a line for each of what plugins recorded, and log lines.

Threads: one at a time. Owns: nothing; the trace stays open. Fails: TraceNotFound for a
thread that is not there; StoreError from the reader.
"""

from __future__ import annotations

from itertools import islice

from kolo_c.cli.cells import cells, fit, fit_end
from kolo_c.cli.choice import choose_streams
from kolo_c.cli.digest_lines import short_place
from kolo_c.cli.labels import DIM, ERROR, TIME, level_style
from kolo_c.cli.screen import Screen, cut
from kolo_c.cli.tree_lines import address
from kolo_c.cli.units import duration
from kolo_c.cli.view import FILE_LINES, SCREEN_LINES
from kolo_c.errors import harmless
from kolo_c.model.digest import Digest
from kolo_c.model.events import Events
from kolo_c.plugins.shown import level_name, one_line, style_of, summary_text
from kolo_c.store.definitions import PluginKind
from kolo_c.store.text import value_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TextIO

    from kolo_c.cli.choice import Options
    from kolo_c.cli.screen import Line
    from kolo_c.model.events import Event, Place
    from kolo_c.store.reader import Trace

_TIME_WIDTH = 8
_WIDEST_PLACE = 32
_NARROWEST_WITH_PLACE = 60
_ERROR_LEVEL = 40
_UNKNOWN = "an exception, type unknown"
_MEASURED = 200
"""Lines that tell how wide the columns are; a longer place later is shortened."""


class KindView:
    """The events of some kinds on their way to a screen."""

    def __init__(self, trace: Trace, kinds: list[str], options: Options) -> None:
        self.trace = trace
        self._kinds = kinds
        self._options = options
        self._threads = {s.ordinal for s in choose_streams(trace, options.thread)}
        self._root = trace.process.root
        self._passing: set[Place] = set()
        if "sql" in kinds:
            self._passing = Digest(trace).passing()

    def write(self, file: TextIO) -> None:
        """Write a line for each."""
        screen = Screen(file, self._options.width, self._options.colour)
        limit = self._options.max_lines
        if limit is None:
            limit = SCREEN_LINES if screen.terminal else FILE_LINES
        found = self._found()
        first = list(islice(found, min(limit or _MEASURED, _MEASURED)))
        if not first:
            screen.wrapped(self._nothing())
            return
        columns = _Columns(screen, [self._cells(event) for event in first])
        written = 0
        for event in first:
            columns.write(*self._cells(event))
            written += 1
        for event in found:
            if limit and written >= limit:
                screen.text("… more: --max-lines 0 shows all", DIM)
                return
            columns.write(*self._cells(event))
            written += 1

    def write_json(self, file: TextIO) -> None:
        """Write them for programs."""
        import json  # noqa: PLC0415 - only here

        from kolo_c.cli.header import header_json  # noqa: PLC0415

        header = json.dumps(header_json(self.trace))
        file.write(f'{{"trace": {header},\n"events": [')
        separator = "\n"
        limit = self._options.max_lines or None
        for event in islice(self._found(), limit):
            place = event.place(self._not_named(event))
            file.write(separator + json.dumps(event_json(event, place)))
            separator = ",\n"
        file.write("\n]}\n")

    def _found(self) -> Iterator[Event]:
        least, errors = self._options.min_ns, self._options.errors
        for event in Events(self.trace, self._kinds.__contains__):
            if event.stream.ordinal not in self._threads:
                continue
            if least is not None and (event.duration_ns or 0) < least:
                continue
            if not errors or _is_error(event):
                yield event

    def _cells(self, event: Event) -> tuple[str, Line, str, str]:
        """Node, what it was, how long, where it came from."""
        place = event.place(self._not_named(event))
        where = "" if place is None else short_place(*place, self._root)
        return (
            address(event.stream, event.node), event_line(event),
            duration(event.duration_ns), where,
        )  # fmt: skip

    def _not_named(self, event: Event) -> set[Place]:
        """The lines that are not named for it: those that pass statements on."""
        return self._passing if event.kind == "sql" else set()

    def _nothing(self) -> str:
        known = {kind.name for _, kind in self.trace.definitions.all(PluginKind)}
        names = ", ".join(sorted(harmless(name) for name in known))
        wanted = " or ".join(harmless(kind) for kind in self._kinds)
        if self._options.min_ns is not None or self._options.errors:
            return f"no {wanted} of that in this trace"
        has = f"this process recorded {names}" if names else "no plugin saw anything"
        return f"no {wanted} in this trace; {has}"


class _Columns:
    """Writes lines in columns."""

    def __init__(self, screen: Screen, rows: list[tuple[str, Line, str, str]]) -> None:
        self._screen = screen
        self._digits = max(*(len(row[0]) for row in rows), 3)
        widest = max(cells(row[3]) for row in rows)
        width = screen.width
        if width is not None:
            enough = width >= _NARROWEST_WITH_PLACE
            widest = min(widest, _WIDEST_PLACE, width // 4) if enough else 0
        self._place_width = widest

    def write(self, number: str, what: Line, time: str, place: str) -> None:
        """One line: number, time, place, what."""
        ends: Line = [
            (f"{number:>{self._digits}}  ", DIM),
            (" " * (_TIME_WIDTH - cells(time)) + time + "  ", TIME),
        ]
        width = self._screen.width
        if width is None or self._place_width:
            shown = fit_end(place, self._place_width) if width is not None else place
            filled = shown + " " * max(self._place_width - cells(shown), 0)
            ends.append((f"{filled}  ", DIM))
        if width is not None:
            room = max(width - sum(cells(text) for text, _ in ends), 16)
            what = cut(_fitted(what, room), room, "…")
        self._screen.line([*ends, *what])


def _fitted(what: Line, room: int) -> Line:
    """The middle part shortened, so that an exception at the end is seen."""
    over = sum(cells(text) for text, _ in what) - room
    if over <= 0 or len(what) < 3:
        return what
    head, (text, style), *rest = what
    return [head, (fit(text, max(cells(text) - over, 16)), style), *rest]


def _is_error(event: Event) -> bool:
    level = event.level
    if isinstance(level, int) and level >= _ERROR_LEVEL:
        return True
    if event.failed:
        return True
    status = event.fields.get("status") if event.plugin else None
    return isinstance(status, int) and status >= 400 and event.kind != "subprocess"


def event_line(event: Event) -> Line:
    """What it was, without where and how long."""
    definitions = event.definitions
    if not event.plugin:
        logger = harmless(str(event.logger))
        return [
            (f"{harmless(level_name(event.level))} ", level_style(event.level)),
            (one_line(str(event.text), 400), ""),
            (f"  {logger}", DIM),
        ]
    kind = definitions.plugin(event.plugin)
    text = summary_text(kind, event.fields, definitions, 400)
    parts: Line = [(f"{harmless(kind.label)} ", style_of(kind)), (text, "")]
    if event.failed:
        known = event.exception is not None
        text = value_text(event.exception, definitions) if known else _UNKNOWN
        parts.append((f" ✗ {text}", ERROR))
    elif not event.ended:
        parts.append((" … not ended", "yellow"))
    return parts


def event_json(event: Event, place: tuple[str, int] | None) -> dict[str, Any]:
    """One event for programs."""
    from kolo_c.store.jsonable import value_json  # noqa: PLC0415 - only here

    definitions = event.definitions
    found: dict[str, Any] = {
        "node": event.node,
        "thread": event.stream.ordinal,
        "kind": event.kind,
        "start_ns": event.start_ns,
        "utc_ns": event.stream.trace.utc_ns(event.start_ns),
        "file": None if place is None else place[0],
        "line": None if place is None else place[1],
    }
    if not event.plugin:
        found["log_level"] = value_json(event.level, definitions)
        found["level"] = level_name(event.level)
        found["logger"] = value_json(event.logger, definitions)
        found["text"] = value_json(event.text, definitions)
        return found
    kind = definitions.plugin(event.plugin)
    fields = event.fields
    return {
        **found,
        "label": kind.label,
        "summary": summary_text(kind, fields, definitions),
        "duration_ns": event.duration_ns,
        "ended": event.ended,
        "values": {name: value_json(one, definitions) for name, one in fields.items()},
        "failed": event.failed,
        "exception": value_json(event.exception, definitions),
    }
