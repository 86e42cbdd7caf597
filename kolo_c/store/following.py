"""Traces that end while one watches, of every process of a store.

The definitions log in a process's mapping says at once that a trace has ended; what was
saved between two looks, and what ends without a mapping, is seen in the segments. No
file is kept open but the mappings, so that nobody waits for us.

Threads: one at a time. Owns: the mappings of living processes, and the files of the
processes that the last look was about, until the next one or close(). Fails: StoreError
where the folder cannot be read; what is wrong with one process hides its traces only.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from functools import partial

from kolo_c.errors import StoreError
from kolo_c.store.connection import DatabaseError, connect
from kolo_c.store.definition_log import decode_definitions
from kolo_c.store.definitions import (
    Definitions,
    Piece,
    TraceBegin,
    TraceDrop,
    TraceFinish,
    TraceSet,
)
from kolo_c.store.files import list_processes
from kolo_c.store.liveness import is_owned
from kolo_c.store.locate import SEGMENTS_NAME
from kolo_c.store.mapping import used_blocks
from kolo_c.store.process import open_process
from kolo_c.store.recovery import recover_dead
from kolo_c.store.rows import TraceRow
from kolo_c.store.trace_info import COMPLETE, INTERRUPTED, RUNNING, TraceInfo
from kolo_c.wire import BLOCK_BYTES, BLOCK_HEADER_BYTES, MAPPING_HEADER_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.store.files import ProcessFiles
    from kolo_c.store.path_map import PathMap
    from kolo_c.store.process import Process

_HEAD = struct.Struct("<III")
_SEQUENCE = struct.Struct("<Q")
_COMMITTED = struct.Struct("<I")
_DEFINITIONS = 2
_SEQUENCE_AT, _COMMITTED_AT = 24, 56
_HELD_SEQUENCE = 1 << 62
"""The block with the names of held traces, which is none of the log's."""
_LIVENESS_SECONDS = 0.25
_SEGMENTS_SECONDS = 0.5
_NEVER = float("inf")
_SLACK_NS = 10_000_000_000
"""Ends are saved in about their order."""


class Following:
    """Looks for traces that have ended since the last look."""

    def __init__(
        self, store: str, path_map: PathMap | None = None, *, from_begin: bool = False
    ) -> None:
        """``from_begin``: what has ended by now is news as well."""
        self.store = store
        self._path_map = path_map
        self._directory = os.path.join(store, SEGMENTS_NAME)
        self._changed = -1
        self._followed: dict[str, _Followed] = {}
        self._finished: list[_Followed] = []
        """Whose last traces may still be read."""
        self._told: dict[str, set[int]] = {}
        """Of each process the numbers of the traces that were told of."""
        self._look_at_files(begin=not from_begin)

    def close(self) -> None:
        """Let go of all files."""
        for followed in (*self._followed.values(), *self._finished):
            followed.close()
        self._followed.clear()
        self._finished.clear()

    def rest(self) -> None:
        """Let go of what the last look has opened: whoever writes it may close it."""
        for followed in self._followed.values():
            followed.release()
        while self._finished:
            self._finished.pop().close()

    def poll(self) -> list[TraceInfo]:
        """The traces that ended since; they can be read until the next call, or
        ``rest``."""
        self.rest()
        self._look_at_files()
        found: list[TraceInfo] = []
        for id, followed in list(self._followed.items()):
            try:
                found += followed.poll()
            except (StoreError, OSError):
                followed.done = True
            if followed.done:
                self._finished.append(self._followed.pop(id))
        return sorted(found, key=lambda info: info.row.ended_ns or 0)

    def _look_at_files(self, *, begin: bool = False) -> None:
        try:
            changed = os.stat(self._directory).st_mtime_ns
        except OSError:
            return
        if changed == self._changed:
            return
        for files in list_processes(self.store):
            if files.id in self._followed:
                self._followed[files.id].files = files
            elif files.id not in self._told or files.has_mapping:
                told = self._told.setdefault(files.id, set())
                # What had ended before is no news.
                if files.has_mapping or not begin:
                    followed = _Followed(self.store, files, self._path_map, told)
                    self._followed[files.id] = followed
                    if begin:
                        followed.pass_over()
        self._changed = changed


class _Followed:
    """One process."""

    def __init__(
        self,
        store: str,
        files: ProcessFiles,
        path_map: PathMap | None,
        told: set[int],
    ) -> None:
        self.files = files
        self.done = False
        self._store = store
        self._path_map = path_map
        self._rows: dict[int, TraceRow] = {}
        self._told = told
        self._consumed: dict[int, int] = {}
        self._present: set[int] = set()
        self._block_left = False
        """Whether a block of the log has gone from the mapping since the last look."""
        self._view: mmap.mmap | None = None
        self._process: Process | None = None
        self._found: dict[int, Any] = {}
        self._lines: dict[int, Any] = {}
        self._read: set[tuple[str, int, int]] = set()
        self._looked_at_life = self._looked_at_segments = -_NEVER
        self._signature: tuple[Any, ...] = ()
        self._last_end_ns = 0

    def close(self) -> None:
        """Let go of its files."""
        self.release()
        if self._view is not None:
            self._view.close()
            self._view = None
        if self.done:
            self._tidy_up()

    def _tidy_up(self) -> None:
        """Remove the empty WAL of a process that closed its segment while we read it:
        as the last one to close it, it would have done so itself."""
        mapping = self.files.mapping_name
        if mapping is not None and os.path.exists(mapping):
            return
        for path in self.files.segment_names:
            try:
                if os.stat(f"{path}-wal").st_size == 0:
                    with connect(path, "rw") as database:
                        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except (OSError, DatabaseError):
                continue

    def release(self) -> None:
        """Let go of what the last look has opened."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def pass_over(self) -> None:
        """What has ended by now is no news."""
        try:
            self._new_definitions()
            self._told.update(n for n, row in self._all_rows().items() if row.ended_ns)
        except (StoreError, OSError):
            self._rows.clear()
        self._told.update(n for n, row in self._rows.items() if row.ended_ns)
        self.release()

    def poll(self) -> list[TraceInfo]:
        """The traces that ended since the last call."""
        self.release()
        ended = self._new_definitions()
        now = time.monotonic()
        gone = self._is_gone(now)
        if gone or self._block_left or self._segments_changed(now):
            ended += self._saved_ends(gone=gone)
        fresh = [number for number in dict.fromkeys(ended) if number not in self._told]
        self._told.update(fresh)
        if gone:
            self.done = True
        return [self._info(self._rows.pop(n)) for n in fresh if n in self._rows]

    # ---- the mapping ----

    def _new_definitions(self) -> list[int]:
        """Take the definitions that were written since; the traces that ended."""
        view = self._mapped()
        if view is None:
            return []
        ended: list[int] = []
        for sequence, data in sorted(self._new_bytes(view)):
            for _, definition in decode_definitions(data)[0]:
                ended += self._apply(definition)
            self._consumed[sequence] += len(data)
        return ended

    def _mapped(self) -> mmap.mmap | None:
        if self._view is None and self.files.mapping_name is not None:
            try:
                with open(self.files.mapping_name, "rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    if size >= MAPPING_HEADER_BYTES + BLOCK_BYTES:
                        self._view = mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ)
            except OSError:
                return None
        return self._view

    def _new_bytes(self, view: mmap.mmap) -> list[tuple[int, bytes]]:
        found = []
        present: set[int] = set()
        count = (len(view) - MAPPING_HEADER_BYTES) // BLOCK_BYTES
        for index in used_blocks(view, count, _DEFINITIONS):
            at = MAPPING_HEADER_BYTES + index * BLOCK_BYTES
            head = _HEAD.unpack_from(view, at)
            if head[1] != _DEFINITIONS:
                continue
            sequence = _SEQUENCE.unpack_from(view, at + _SEQUENCE_AT)[0]
            if sequence >= _HELD_SEQUENCE:
                continue
            present.add(sequence)
            used = _COMMITTED.unpack_from(view, at + _COMMITTED_AT)[0]
            known = self._consumed.setdefault(sequence, 0)
            if used <= known or used > BLOCK_BYTES - BLOCK_HEADER_BYTES:
                continue
            start = at + BLOCK_HEADER_BYTES
            data = view[start + known : start + used]
            # Taken for something else meanwhile? The segment has it then.
            if _HEAD.unpack_from(view, at)[1:] == head[1:]:
                found.append((sequence, data))
        # What was written to one after the last look, and saved by now, is not here.
        self._block_left = not self._present <= present
        self._present = present
        return found

    def _apply(self, definition: Any) -> list[int]:
        rows = self._rows
        if isinstance(definition, TraceBegin):
            rows[definition.trace] = TraceRow(
                definition.trace, definition.id, definition.kind, definition.name,
                definition.parent, definition.start_ns, definition.start_utc_ns,
                None, RUNNING, None, definition.attributes, "{}",
            )  # fmt: skip
        elif isinstance(definition, TraceSet) and definition.trace in rows:
            row = rows[definition.trace]
            row.name = definition.name or row.name
            row.attributes = definition.attributes or row.attributes
        elif isinstance(definition, TraceFinish) and definition.trace in rows:
            row = rows[definition.trace]
            rows[definition.trace] = row.ended(
                definition.end_ns, definition.cause, definition.counters,
                definition.name or row.name, definition.attributes or row.attributes,
            )  # fmt: skip
            return [definition.trace]
        elif isinstance(definition, TraceDrop):
            rows.pop(definition.trace, None)
        return []

    # ---- the segments ----

    def _is_gone(self, now: float) -> bool:
        """Whether the process has ended: everything is in its segments then."""
        mapping = self.files.mapping_name
        if mapping is not None and not os.path.exists(mapping):
            return True
        if now - self._looked_at_life < _LIVENESS_SECONDS:
            return False
        self._looked_at_life = now
        if mapping is None:
            return not self._opened().alive
        if is_owned(mapping):
            return False
        recover_dead(self._store)
        return True

    def _segments_changed(self, now: float) -> bool:
        if now - self._looked_at_segments < _SEGMENTS_SECONDS:
            return False
        self._looked_at_segments = now
        signature = []
        for name in self.files.segment_names[-2:]:
            for path in (name, f"{name}-wal"):
                try:
                    status = os.stat(path)
                except OSError:
                    continue
                signature.append((path, status.st_size, status.st_mtime_ns))
        changed = tuple(signature) != self._signature
        self._signature = tuple(signature)
        return changed

    def _saved_ends(self, *, gone: bool) -> list[int]:
        if gone:  # without its mapping, which says more than there is
            self.release()
            processes = list_processes(self._store)
            same = [files for files in processes if files.id == self.files.id]
            if not same:
                return []
            self.files = same[0]
        ended = []
        since_ns = max(self._last_end_ns - _SLACK_NS, 0)
        for number, row in self._all_rows(since_ns).items():
            if number in self._told:
                continue
            if row.ended_ns is not None or gone:
                self._rows[number] = row
                ended.append(number)
                self._last_end_ns = max(self._last_end_ns, row.ended_ns or 0)
        return ended

    def _all_rows(self, since_ns: int = 0) -> dict[int, TraceRow]:
        found: dict[int, TraceRow] = {}
        for segment in self._opened().segments:
            rows = segment.traces(since_ns)
            found.update((row.number, row) for row in rows)
        for number, row in found.items():
            if number not in self._told:
                self._rows.setdefault(number, row)
        return found

    # ---- to be read ----

    def _info(self, row: TraceRow) -> TraceInfo:
        status = COMPLETE if row.status == COMPLETE else INTERRUPTED
        return TraceInfo(
            row, status=status, nodes=0, last_ns=row.ended_ns or row.started_ns,
            bytes=0, files=self.files, pid=self._opened().pid, open=self._opened,
            settled=False,
        )  # fmt: skip

    def _opened(self) -> Process:
        """The process as of this look; what it defined is decoded once."""
        if self._process is None:
            process = self._process = open_process(self.files)
            process.path_map = self._path_map
            process.use_definitions(self._definitions(process))
        return self._process

    def _definitions(self, process: Process) -> Definitions:
        definitions = Definitions(process.python, found=self._found, lines=self._lines)
        definitions.path_map = self._path_map
        for segment in process.segments:
            pieces = segment.definition_pieces()
            last = max((sequence for _, sequence, _ in pieces), default=0)
            name = segment.name
            for first, sequence, start in pieces:
                key = (name, sequence, start)
                fetch = partial(segment.definition_data, sequence, start)
                piece = _NotedPiece(first, fetch, self._read, key)
                # The last ones may still grow.
                piece.grows = sequence >= last
                piece.read = key in self._read
                definitions.pieces.append(piece)
        for block in process.copy.definitions if process.copy is not None else ():
            definitions.pieces.append(Piece(block.first, partial(bytes, block.data)))
        definitions.pieces.sort(key=lambda piece: piece.first)
        return definitions


class _NotedPiece(Piece):
    """A piece of the log that need not be decoded again."""

    __slots__ = ("_all_read", "_fetch_it", "_key", "grows")

    def __init__(self, first: int, fetch: Any, all_read: Any, key: Any) -> None:
        super().__init__(first, self._note)
        self.grows = False
        self._all_read = all_read
        self._key = key
        self._fetch_it = fetch

    def _note(self) -> bytes:
        if not self.grows:
            self._all_read.add(self._key)
        data: bytes = self._fetch_it()
        return data
