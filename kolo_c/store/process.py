"""One process's part of the store: its segments and its mapping, as one.

The mapping is read first and SQLite after, so that what moves from one to the other in
between is seen twice rather than not at all; where both have a block, SQLite's is
taken.

Threads: one at a time. Owns: the open segments, until close(). Fails: StoreError only
where nothing of the process can be read; the rest is said in ``problems``.
"""

from __future__ import annotations

from functools import partial

from kolo_c.errors import StoreError
from kolo_c.store.liveness import is_owned, pid_lives
from kolo_c.store.segment import Segment
from kolo_c.store.trace_info import (
    COMPLETE,
    INTERRUPTED,
    RUNNING,
    TraceInfo,
    read_json,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from kolo_c.store.blocks import Block
    from kolo_c.store.definitions import Definitions, Thread
    from kolo_c.store.files import ProcessFiles
    from kolo_c.store.mapping import DefinitionsBlock, MappingCopy
    from kolo_c.store.path_map import PathMap
    from kolo_c.store.rows import ProcessRow, TraceRow

__all__ = [
    "COMPLETE",
    "INTERRUPTED",
    "RUNNING",
    "Process",
    "TraceInfo",
    "open_process",
    "read_json",
    "unsaved_definitions",
]

_Totals = tuple[int, int, int]
"""Nodes, bytes before compression, time of the last record."""


class Process:
    """The opened files of one process."""

    def __init__(
        self, files: ProcessFiles, *, alive: bool, copy: MappingCopy | None
    ) -> None:
        self.files = files
        self.alive = alive
        self.copy = copy
        self.segments: list[Segment] = []
        self.problems: list[str] = []
        self.row: ProcessRow | None = None
        self.path_map: PathMap | None = None
        self._info: dict[str, Any] | None = None
        self._definitions: Definitions | None = None

    @property
    def info(self) -> dict[str, Any]:
        """What the process said of itself."""
        if self._info is None:
            self._info = read_json(self.row.info) if self.row is not None else {}
        return self._info

    @property
    def root(self) -> str | None:
        """The project's root, as this machine has it."""
        config = self.info.get("config")
        root = config.get("root") if isinstance(config, dict) else None
        if not isinstance(root, str):
            return None
        return root if self.path_map is None else self.path_map.local(root)

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
            overlay(rows, unsaved_definitions(self.copy))
        totals, newest_ns = self._totals(rows)
        all_bytes = sum(size for _, size, _ in totals.values()) or 1
        disk = self.files.bytes()
        return [
            self._trace_info(row, *totals[number], disk / all_bytes, newest_ns)
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
        from kolo_c.store.definitions import Thread  # noqa: PLC0415 - not for lists

        found: dict[int, Thread] = {}
        for segment in self.segments:
            found.update((thread.number, thread) for thread in segment.threads())
        for definition in self._unsaved():
            if isinstance(definition, Thread):
                found[definition.number] = definition
        return found

    def definitions(self) -> Definitions:
        """What the process defined; decoded when asked for."""
        from kolo_c.store.definitions import Definitions  # noqa: PLC0415 - as above

        if self._definitions is None:
            self._definitions = Definitions(self.python)
            self._definitions.path_map = self.path_map
            for segment in self.segments:
                self._add_pieces(self._definitions, segment)
            for block in self.copy.definitions if self.copy is not None else ():
                self._definitions.add(block.first, _bytes_of(block))
        return self._definitions

    def use_definitions(self, definitions: Definitions) -> None:
        """Let numbers stand for what these say."""
        self._definitions = definitions

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

    def _totals(self, rows: dict[int, TraceRow]) -> tuple[dict[int, _Totals], int]:
        """Of each trace, and the time of the newest record that a segment has."""
        totals = {number: (0, 0, row.started_ns) for number, row in rows.items()}
        newest_ns = 0
        for segment in self.segments:
            for number, sums in segment.sums().items():
                _count(totals, number, sums.nodes, sums.bytes, sums.last_ns)
                newest_ns = max(newest_ns, sums.last_ns)
        for block in self.copy.blocks if self.copy is not None else ():
            if not any(segment.has_block(block) for segment in self.segments):
                _count(totals, block.trace, block.nodes, block.size, block.last_ns)
        return totals, newest_ns

    def _trace_info(
        self,
        row: TraceRow,
        nodes: int,
        size: int,
        last_ns: int,
        ratio: float,
        newest_ns: int,
    ) -> TraceInfo:
        status = row.status
        if status == RUNNING and not self.alive:
            status = INTERRUPTED
        # That a trace has ended may be saved before its last blocks are; what is handed
        # over later is saved after them.
        saved = not self.alive or (row.ended_ns or newest_ns) < newest_ns
        return TraceInfo(
            row,
            status=status,
            nodes=nodes,
            last_ns=last_ns,
            bytes=round(size * ratio),
            files=self.files,
            pid=self.pid,
            open=lambda: self,
            settled=saved and not self.problems,
        )


def open_process(files: ProcessFiles) -> Process:
    """Open what there is of a process."""
    alive = False
    problems: list[str] = []
    copy = None
    mapping = files.mapping_name
    if mapping is not None:
        from kolo_c.store.mapping import (  # noqa: PLC0415 - few have one
            BEING_RECOVERED,
            read_mapping,
        )

        alive = is_owned(mapping)
        try:
            copy = read_mapping(mapping)
            if copy is not None and copy.header.writer_state == BEING_RECOVERED:
                alive = False  # the lock is not the owner's
        except StoreError as error:
            problems.append(error.message)
            if not files.segment_names:
                raise
    process = Process(files, alive=alive, copy=copy)
    errors = _open_segments(process)
    if errors and not process.segments and copy is None:
        raise errors[0]
    problems.extend(error.message for error in errors)
    if mapping is None and process.row is not None:
        process.alive = process.row.ended_ns is None and _has_living_pid(process)
    if copy is not None and copy.damaged:
        problems.append(f"{copy.path}: {copy.damaged} damaged blocks were left out")
    process.problems = problems
    return process


def _has_living_pid(process: Process) -> bool:
    host = process.info.get("host")
    return pid_lives(process.pid, host if isinstance(host, str) else None)


def _open_segments(process: Process) -> list[StoreError]:
    """Open them, and take the process's row from the last one that has it."""
    errors = []
    for path in process.files.segment_names:
        try:
            segment = Segment(path, final=not process.files.has_mapping)
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
    from kolo_c.store.definition_log import decode_definitions  # noqa: PLC0415
    from kolo_c.store.mapping import definition_tail  # noqa: PLC0415

    found: list[Any] = []
    for data in definition_tail(copy):
        found.extend(definition for _, definition in decode_definitions(data)[0])
    return found


def overlay(rows: dict[int, TraceRow], definitions: Iterable[Any]) -> None:
    """Add to ``rows`` what the log says of traces."""
    from kolo_c.store.definitions import (  # noqa: PLC0415
        TraceBegin,
        TraceDrop,
        TraceFinish,
        TraceSet,
    )
    from kolo_c.store.rows import TraceRow  # noqa: PLC0415

    for definition in definitions:
        if isinstance(definition, TraceBegin) and definition.trace not in rows:
            rows[definition.trace] = TraceRow(
                definition.trace, definition.id, definition.kind, definition.name,
                definition.parent, definition.start_ns, definition.start_utc_ns,
                None, RUNNING, None, definition.attributes, "{}",
            )  # fmt: skip
        elif isinstance(definition, TraceSet) and definition.trace in rows:
            row = rows[definition.trace]
            if row.status == RUNNING:
                row.name = definition.name or row.name
                row.attributes = definition.attributes or row.attributes
        elif isinstance(definition, TraceFinish) and definition.trace in rows:
            row = rows[definition.trace]
            rows[definition.trace] = row.ended(
                definition.end_ns,
                definition.cause,
                definition.counters,
                definition.name or row.name,
                definition.attributes or row.attributes,
            )
        elif isinstance(definition, TraceDrop):
            rows.pop(definition.trace, None)


def _bytes_of(block: DefinitionsBlock) -> Any:
    return lambda: block.data


def _count(
    totals: dict[int, _Totals], trace: int, nodes: int, size: int, last_ns: int
) -> None:
    if trace in totals:
        old = totals[trace]
        totals[trace] = (old[0] + nodes, old[1] + size, max(old[2], last_ns))
