"""What traces there are: those of every segment and mapping of a store.

Threads: one at a time. Owns: the processes it opened, until close(). Fails: StoreError
where nothing at all can be read, TraceNotFound. A file that cannot be read hides its
own traces only; ``errors`` says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from kolo_c.errors import StoreError, TraceNotFound
from kolo_c.store.files import ProcessFiles, list_processes
from kolo_c.store.marks import read_hidden
from kolo_c.store.process import Process, TraceInfo, open_process

SHORTEST_ENDING = 3
PREFIX = "trc_"


class Catalogue:
    """The traces of one store; each process is opened once, when it is needed."""

    def __init__(self, store: Path, files: list[ProcessFiles] | None = None) -> None:
        """The traces of ``store``, or of ``files`` alone."""
        self.store = store
        self.errors: list[StoreError] = []
        # Before any file is looked at: see deletions.py.
        self._hidden = read_hidden(store) if files is None else set()
        self._files = list_processes(store) if files is None else files
        self._opened: dict[str, Process | None] = {}

    def close(self) -> None:
        """Let go of every file."""
        for process in self._opened.values():
            if process is not None:
                process.close()

    def latest(self, count: int | None = None) -> list[TraceInfo]:
        """The ``count`` traces that began last (all: None), the last one first.

        A trace cannot begin after its files were last written to, so that the files
        that are too old for the answer are not opened.
        """
        found: list[TraceInfo] = []
        ordered = sorted(
            self._files, key=lambda files: files.changed_ns(), reverse=True
        )
        for files in ordered:
            if count is not None and len(found) >= count:
                found.sort(key=_newest_first)
                if found[count - 1].row.started_utc_ns > files.changed_ns():
                    break
            found.extend(self._traces(files))
        if not found and self.errors:
            raise self.errors[0]
        found.sort(key=_newest_first)
        return found if count is None else found[:count]

    def find(self, ending: str | None) -> TraceInfo:
        """The trace whose identifier ends so; the latest for None."""
        if ending is None:
            latest = self.latest(1)
            if latest:
                return latest[0]
            raise TraceNotFound(
                f"no traces in {self.store}", "Record one: kolo-c run script.py"
            )
        if len(ending) < SHORTEST_ENDING:
            raise TraceNotFound(
                f"'{ending}' is too short for a trace",
                f"Give {SHORTEST_ENDING} or more of its last characters (kolo-c list).",
            )
        wanted = ending.upper()
        traces = self.latest()
        matches = [trace for trace in traces if trace.id.upper().endswith(wanted)]
        if len(matches) == 1:
            return matches[0]
        raise _not_one(ending, matches, self.store)

    def _traces(self, files: ProcessFiles) -> Iterator[TraceInfo]:
        if files.id not in self._opened:
            self._opened[files.id] = None
            try:
                self._opened[files.id] = open_process(files)
            except StoreError as error:
                self.errors.append(error)
        process = self._opened[files.id]
        if process is None:
            return
        try:
            for trace in process.traces():
                if (trace.id, files.id) not in self._hidden:
                    yield trace
        except StoreError as error:
            self.errors.append(error)


def shortest_endings(ids: list[str]) -> dict[str, int]:
    """For each id, how many of its last characters tell it from the others."""
    backwards = sorted(set(ids), key=lambda id: id[::-1])
    lengths = dict.fromkeys(backwards, SHORTEST_ENDING)
    for one, other in pairwise(backwards):
        length = _common_ending(one, other) + 1
        lengths[one] = max(lengths[one], length)
        lengths[other] = max(lengths[other], length)
    return lengths


def _common_ending(one: str, other: str) -> int:
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count


def _newest_first(trace: TraceInfo) -> tuple[int, str]:
    return (-trace.row.started_utc_ns, trace.id)


def _not_one(ending: str, matches: list[TraceInfo], store: Path) -> TraceNotFound:
    if not matches:
        return TraceNotFound(
            f"no trace ends in '{ending}' in {store}",
            "kolo-c list shows what is there.",
        )
    names = ", ".join(trace.id for trace in matches[:5])
    more = f" and {len(matches) - 5} more" if len(matches) > 5 else ""
    return TraceNotFound(
        f"'{ending}' is the ending of {len(matches)} traces: {names}{more}",
        "Give more of its last characters.",
    )
