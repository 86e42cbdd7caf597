"""One process's part of the store: its segments and its mapping, as one.

The mapping is read first and SQLite after, so that what moves from one to the other in
between is seen twice rather than not at all; where both have a block, SQLite's is
taken.

Threads: one at a time. Owns: the open segments, until close(). Fails: StoreError only
where nothing of the process can be read; the rest is said in ``problems``.
"""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kolo_c.errors import StoreError
from kolo_c.store.blocks import Block
from kolo_c.store.definition_log import decode_definitions
from kolo_c.store.definitions import (
    Definitions,
    Thread,
    TraceBegin,
    TraceFinish,
)
from kolo_c.store.files import ProcessFiles
from kolo_c.store.mapping import (
    DefinitionsBlock,
    MappingCopy,
    definition_tail,
    is_owned,
    read_mapping,
)
from kolo_c.store.rows import ProcessRow, TraceRow
from kolo_c.store.segment import Segment

RUNNING = "running"
COMPLETE = "complete"
INTERRUPTED = "interrupted"


@dataclass(slots=True)
class TraceInfo:
    """A trace, without its records."""

    row: TraceRow
    process: Process
    counters: dict[str, Any]
    attributes: dict[str, Any]
    status: str
    nodes: int
    last_ns: int
    bytes: int
    """On disk, its share of the segments."""

    @property
    def id(self) -> str:
        """The identifier, with its ``trc_``."""
        return self.row.id

    @property
    def duration_ns(self) -> int:
        """From its start to its end; to now, or to the last thing known of it."""
        if self.status == RUNNING:
            return max(time.time_ns() - self.row.started_utc_ns, 0)
        end = self.row.ended_ns if self.row.ended_ns is not None else self.last_ns
        return max(end - self.row.started_ns, 0)

    @property
    def calls(self) -> int:
        """The calls that were kept."""
        return self.count("calls") or self.nodes

    def count(self, name: str) -> int:
        """The counter ``name``; 0 where there is none."""
        value = self.counters.get(name, 0)
        return value if isinstance(value, int) else 0


@dataclass(slots=True)
class Process:
    """The opened files of one process."""

    files: ProcessFiles
    alive: bool
    copy: MappingCopy | None
    segments: list[Segment]
    problems: list[str] = field(default_factory=list)
    row: ProcessRow | None = None
    info: dict[str, Any] = field(default_factory=dict)
    _definitions: Definitions | None = None

    @property
    def python(self) -> str:
        """The version of the traced Python."""
        return str(self.info.get("python", ""))

    @property
    def pid(self) -> int:
        """The process's number, as the system had it."""
        if self.row is not None:
            return self.row.pid
        return self.copy.header.pid if self.copy is not None else 0

    def close(self) -> None:
        """Let go of the segments."""
        for segment in self.segments:
            segment.close()

    def traces(self) -> list[TraceInfo]:
        """Every trace of the process, in the order they began."""
        rows: dict[int, TraceRow] = {}
        for segment in self.segments:  # a later one has what an earlier one had, newer
            rows.update((row.number, row) for row in segment.traces())
        if self.copy is not None:
            _overlay(rows, self.copy)
        totals = self._totals(rows)
        all_bytes = sum(size for _, size, _ in totals.values()) or 1
        disk = self.files.bytes()
        return [
            self._trace_info(row, *totals[number], disk / all_bytes)
            for number, row in sorted(rows.items())
        ]

    def blocks(self, trace: int) -> list[Block]:
        """The headers of a trace's blocks, by thread and sequence."""
        found: dict[tuple[int, int], Block] = {}
        if self.copy is not None:
            for block in self.copy.blocks:
                if block.trace == trace:
                    found[block.thread, block.sequence] = block
        for segment in self.segments:
            for block in segment.blocks(trace):
                found[block.thread, block.sequence] = block
        return [found[key] for key in sorted(found)]

    def threads(self) -> dict[int, Thread]:
        """The threads of the process, by number."""
        found: dict[int, Thread] = {}
        for segment in self.segments:
            for row in segment.threads():
                found[row.number] = Thread(
                    row.number, row.name, row.ident, row.native_id
                )
        for definition in self._unsaved():
            if isinstance(definition, Thread):
                found[definition.number] = definition
        return found

    def definitions(self) -> Definitions:
        """What the process defined; decoded when asked for."""
        if self._definitions is None:
            self._definitions = Definitions(self.python)
            for segment in self.segments:
                self._add_pieces(self._definitions, segment)
            for block in self.copy.definitions if self.copy is not None else ():
                self._definitions.add(block.first, _bytes_of(block))
        return self._definitions

    def source(self, path: str) -> bytes | None:
        """The text of a file as it was when its code ran, if it was kept."""
        for segment in reversed(self.segments):
            text = segment.source(path)
            if text is not None:
                return text
        return None

    def _add_pieces(self, definitions: Definitions, segment: Segment) -> None:
        for first, sequence, start in segment.definition_pieces():
            fetch = partial(segment.definition_data, sequence, start)
            definitions.add(first, fetch)

    def _unsaved(self) -> list[Any]:
        return unsaved_definitions(self.copy) if self.copy is not None else []

    def _totals(self, rows: dict[int, TraceRow]) -> dict[int, tuple[int, int, int]]:
        """For each trace: nodes, bytes before compression, time of the last record."""
        totals = {number: (0, 0, row.started_ns) for number, row in rows.items()}
        if self.copy is not None:  # few traces, and blocks may stand in both
            for number in totals:
                for block in self.blocks(number):
                    _count(totals, number, block.nodes, block.size, block.last_ns)
            return totals
        for segment in self.segments:
            for number, sums in segment.sums().items():
                if number in totals:
                    _count(totals, number, sums.nodes, sums.bytes, sums.last_ns)
        return totals

    def _trace_info(
        self, row: TraceRow, nodes: int, size: int, last_ns: int, ratio: float
    ) -> TraceInfo:
        status = row.status
        if status == RUNNING and not self.alive:
            status = INTERRUPTED
        return TraceInfo(
            row=row,
            process=self,
            counters=read_json(row.counters),
            attributes=read_json(row.attributes),
            status=status,
            nodes=nodes,
            last_ns=last_ns,
            bytes=round(size * ratio),
        )


def open_process(files: ProcessFiles) -> Process:
    """Open what there is of a process."""
    alive = files.mapping is not None and is_owned(files.mapping)
    problems: list[str] = []
    copy = None
    if files.mapping is not None:
        try:
            copy = read_mapping(files.mapping)
        except StoreError as error:
            problems.append(error.message)
            if not files.segments:
                raise
    process = Process(files, alive, copy, [], problems)
    errors = _open_segments(process)
    if errors and not process.segments and copy is None:
        raise errors[0]
    problems.extend(error.message for error in errors)
    if process.row is not None:
        process.info = read_json(process.row.info)
    if files.mapping is None and process.row is not None:
        process.alive = process.row.ended_ns is None and _pid_lives(process)
    if copy is not None and copy.damaged:
        problems.append(f"{copy.path}: {copy.damaged} damaged blocks were left out")
    return process


def _open_segments(process: Process) -> list[StoreError]:
    """Open them, and take the process's row from the last one that has it."""
    errors = []
    for path in process.files.segments:
        try:
            segment = Segment(path, final=process.files.mapping is None)
        except StoreError as error:
            # A file without tables is what a process leaves that dies while opening it.
            if error.name != "store-empty":
                errors.append(error)
            continue
        try:
            process.row = segment.process() or process.row
        except StoreError as error:
            segment.close()
            errors.append(error)
        else:
            process.segments.append(segment)
    return errors


def unsaved_definitions(copy: MappingCopy) -> list[Any]:
    """The definitions that only the mapping has."""
    found: list[Any] = []
    for data in definition_tail(copy):
        found.extend(definition for _, definition in decode_definitions(data)[0])
    return found


def read_json(text: str) -> dict[str, Any]:
    """``text`` as an object; empty where it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _overlay(rows: dict[int, TraceRow], copy: MappingCopy) -> None:
    for definition in unsaved_definitions(copy):
        if isinstance(definition, TraceBegin) and definition.trace not in rows:
            rows[definition.trace] = TraceRow(
                definition.trace, definition.id, definition.kind, definition.name,
                definition.parent, definition.start_ns, definition.start_utc_ns,
                None, RUNNING, None, definition.attributes, "{}",
            )  # fmt: skip
        elif isinstance(definition, TraceFinish) and definition.trace in rows:
            row = rows[definition.trace]
            rows[definition.trace] = row.ended(
                definition.end_ns,
                definition.cause,
                definition.counters,
                definition.name or row.name,
                definition.attributes or row.attributes,
            )


def _bytes_of(block: DefinitionsBlock) -> Any:
    return lambda: block.data


def _count(
    totals: dict[int, tuple[int, int, int]],
    trace: int,
    nodes: int,
    size: int,
    last: int,
) -> None:
    old = totals[trace]
    totals[trace] = (old[0] + nodes, old[1] + size, max(old[2], last))


def _pid_lives(process: Process) -> bool:
    """Whether a process that could not have a mapping lives, as far as one can tell."""
    assert process.row is not None
    host = process.info.get("host")
    if host is not None and host != socket.gethostname():
        return False
    try:
        os.kill(process.row.pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return process.row.pid > 0
