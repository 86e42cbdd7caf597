"""Calls and times as speedscope reads them: one evented profile for each thread.

In such a profile what opens last closes first, and time never goes back. A generator or
coroutine that is suspended therefore closes where it yields and opens again where it is
resumed, under whoever resumed it; what is open at the end closes there. Values are left
out; what a plugin saw is named by its statement or path without them. The format: https://www.speedscope.app/file-format-schema.json

Written as it is read, block by block: no trace is too big. Profiles come first in the
file, the frames that they number after them.

Threads: one at a time. Owns: the unfinished file while it writes. Fails: StoreError;
FILE is then as it was.
"""

from __future__ import annotations

import json
import os

from kolo_c._version import __version__
from kolo_c.errors import KoloError
from kolo_c.model.events import merged
from kolo_c.model.statement import shape
from kolo_c.plugins.shown import summary_text
from kolo_c.store.placing import file_error, put_in_place, unfinished_name
from kolo_c.store.private import make_file
from kolo_c.store.reader import Trace
from kolo_c.wire import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any, TextIO

    from kolo_c.store.reader import Stream
    from kolo_c.store.trace_info import TraceInfo
    from kolo_c.store.values import Value

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"
_LOST = "(not recorded)"
_OPEN, _CLOSE = "O", "C"
_MOST_FRAMES = 5_000
_WIDEST_NAME = 100


def export_speedscope(infos: list[TraceInfo], target: Path, *, overwrite: bool) -> None:
    """Write these traces to ``target``."""
    unfinished = unfinished_name(target)
    try:
        fd = make_file(unfinished)
        with open(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
            traces = [Trace(info) for info in infos]
            if not _write(file, traces):
                raise KoloError(
                    f"{infos[0].id} has no calls to export",
                    "kolo-c show says why.",
                    slug="no-calls",
                )
            file.flush()
            os.fsync(file.fileno())
        put_in_place(unfinished, target, overwrite=overwrite)
    except OSError as error:
        raise file_error(target, error) from error
    finally:
        try:
            os.unlink(unfinished)
        except OSError:
            pass  # it is in its place


def _write(file: TextIO, traces: list[Trace]) -> int:
    """The whole file; how many profiles it has."""
    head = {
        "$schema": _SCHEMA,
        "exporter": f"kolo_c {__version__}",
        "name": traces[0].info.row.name or traces[0].id,
        "activeProfileIndex": 0,
    }
    file.write(json.dumps(head)[:-1])
    file.write(', "profiles": [')
    profiles = 0
    start_ns = min(trace.info.row.started_utc_ns for trace in traces)
    every: list[dict[str, Any]] = []
    for trace in traces:
        frames = _Frames(trace, every)
        shift_ns = trace.utc_ns(0) - start_ns
        for stream in trace.streams:
            if not stream.blocks:
                continue
            file.write(",\n" if profiles else "\n")
            profile = _Profile(file, frames, shift_ns)
            profile.write(stream, _name(stream, alone=len(traces) == 1))
            profiles += 1
    file.write('\n], "shared": {"frames": [\n')
    for number, frame in enumerate(every):
        file.write(f"{',' if number else ''}{json.dumps(frame)}\n")
    file.write("]}}\n")
    return profiles


def _name(stream: Stream, *, alone: bool) -> str:
    return stream.name if alone else f"{stream.trace.info.row.name}: {stream.name}"


class _Frames:
    """The frames of one trace, numbered in ``every`` as they are met."""

    def __init__(self, trace: Trace, every: list[dict[str, Any]]) -> None:
        self._definitions = trace.definitions
        self._every = every
        self._numbers: dict[object, int] = {}

    def code(self, number: int) -> int:
        """The frame of a code object."""
        found = self._numbers.get(number)
        if found is None:
            code = self._definitions.code(number)
            module = f"{code.module}." if code.module not in (None, "__main__") else ""
            frame: dict[str, Any] = {"name": f"{module}{code.qualname}"}
            path = self._definitions.path(code.file)
            if path:
                frame["file"] = path
                frame["line"] = max(code.first_line, 1)
            found = self._add(number, frame)
        return found

    def named(self, name: str) -> int:
        """The frame of what is no code: a region, a plugin's record."""
        found = self._numbers.get(name)
        return self._add(name, {"name": name}) if found is None else found

    def plugin(self, number: int, values: Value = None) -> int:
        """The frame of what a plugin saw: its kind, and what it was but for values."""
        kind = self._definitions.plugin(number)
        name = kind.label or kind.name
        fields = merged(values, None)
        if fields and len(self._every) < _MOST_FRAMES:
            text = summary_text(kind, fields, self._definitions, _WIDEST_NAME)
            name = f"{name} {shape(text)}".rstrip()
        return self.named(name)

    def resumed(self, number: int) -> int:
        """The frame of what goes on, by its definition."""
        is_code = self._definitions.is_code(number)
        return self.code(number) if is_code else self.plugin(number)

    def _add(self, key: object, frame: dict[str, Any]) -> int:
        self._every.append(frame)
        self._numbers[key] = len(self._every) - 1
        return self._numbers[key]


class _Profile:
    """Writes one thread's events."""

    def __init__(self, file: TextIO, frames: _Frames, shift_ns: int) -> None:
        self._file = file
        self._frames = frames
        self._shift_ns = shift_ns
        self._stack: list[tuple[int, int]] = []  # node, frame
        self._codes: dict[int, int] = {}  # of calls that are open or suspended
        self._last = 0
        self._comma = ""

    def write(self, stream: Stream, name: str) -> None:
        """The whole profile."""
        self._last = start = max(stream.blocks[0].base_ns + self._shift_ns, 0)
        head = {"type": "evented", "name": name, "unit": "nanoseconds"}
        self._file.write(json.dumps(head)[:-1])
        self._file.write(f', "startValue": {start}, "events": [')
        for index in range(len(stream.blocks)):
            if index == 0 or stream.begins_after_gap(index):
                self._start_at(stream.opens_at(index), stream.blocks[index].base_ns)
            for record in stream.decode(index).records:
                handle = _HANDLERS.get(record.kind)
                if handle is not None:
                    handle(self, record)
        self._close_to(0, stream.blocks[-1].last_ns)
        self._file.write(f'], "endValue": {self._last}}}')

    def _event(self, kind: str, frame: int, ns: int) -> None:
        at = ns + self._shift_ns
        if at < self._last:
            at = self._last
        self._last = at
        self._file.write(
            f'{self._comma}\n{{"type":"{kind}","frame":{frame},"at":{at}}}'
        )
        self._comma = ","

    def _open(self, node: int, frame: int, ns: int) -> None:
        self._stack.append((node, frame))
        self._event(_OPEN, frame, ns)

    def _close_to(self, depth: int, ns: int) -> None:
        while len(self._stack) > depth:
            self._event(_CLOSE, self._stack.pop()[1], ns)

    def _start_at(self, opens: list[int], ns: int) -> None:
        """Let the stack be what a block's header says, where blocks are missing."""
        same = 0
        for (node, _), wanted in zip(self._stack, opens, strict=False):
            if node != wanted:
                break
            same += 1
        self._close_to(same, ns)
        for node in opens[same:]:
            frame = self._codes.get(node)
            self._open(node, self._frames.named(_LOST) if frame is None else frame, ns)

    def _call(self, record: Any) -> None:
        self._begin(record, self._frames.code(record.code))

    def _region(self, record: Any) -> None:
        self._begin(record, self._frames.named(record.name))

    def _plugin(self, record: Any) -> None:
        self._begin(record, self._frames.plugin(record.plugin, record.values))

    def _resume(self, record: Any) -> None:
        frame = self._codes.get(record.resumed)
        if frame is None or record.thread is not None:
            frame = self._frames.resumed(record.code)
        self._open(record.resumed, frame, record.ns)

    def _yield(self, record: Any) -> None:
        if self._stack:
            self._event(_CLOSE, self._stack.pop()[1], record.ns)

    def _end(self, record: Any) -> None:
        if self._stack:
            node, frame = self._stack.pop()
            self._codes.pop(node, None)
            self._event(_CLOSE, frame, record.ns)

    def _mark(self, record: Any) -> None:
        if record.depth is not None:
            self._close_to(record.depth, record.ns)

    def _begin(self, record: Any, frame: int) -> None:
        self._codes[record.node] = frame
        self._open(record.node, frame, record.ns)


# Of the others nothing is shown.
_HANDLERS: dict[int, Callable[[_Profile, Any], None]] = {
    Kind.CALL: _Profile._call,
    Kind.ENTERED: _Profile._call,
    Kind.RETURN: _Profile._end,
    Kind.RAISE: _Profile._end,
    Kind.YIELD: _Profile._yield,
    Kind.RESUME: _Profile._resume,
    Kind.THROW: _Profile._resume,
    Kind.REGION: _Profile._region,
    Kind.REGION_END: _Profile._end,
    Kind.PLUGIN: _Profile._plugin,
    Kind.PLUGIN_END: _Profile._end,
    Kind.MARK: _Profile._mark,
}
