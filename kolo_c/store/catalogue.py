"""What traces there are: those of every segment and mapping of a store.

A process that is dead is read once: the catalogue file has its traces from then on, as
long as its segments stay what they are. What has changed, and what lives, is read from
the segments, the newest first.

Threads: one at a time. Owns: the processes it opened, until close(). Fails: StoreError
where nothing at all can be read, TraceNotFound. A file that cannot be read hides its
own traces only; ``errors`` says so.
"""

from __future__ import annotations

import os
import time
from functools import partial
from heapq import merge
from itertools import pairwise

from kolo_c.errors import StoreError, TraceNotFound
from kolo_c.store.catalogue_file import CatalogueFile, CatalogueUnusable
from kolo_c.store.files import list_processes
from kolo_c.store.marks import read_hidden
from kolo_c.store.trace_info import TraceInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kolo_c.store.catalogue_file import CachedTrace, Known
    from kolo_c.store.files import AnyPath, ProcessFiles
    from kolo_c.store.path_map import PathMap
    from kolo_c.store.process import Process

    Wanted = Callable[[TraceInfo], bool]

SHORTEST_ENDING = 3
# As long as there are segments that nobody has read: of a million traces, hardly two
# end in the same eight characters.
_SAFE_ENDING = 8
_WHOLE_ID = 26
_PAGE = 64
_LARGEST_PAGE = 4096
_KEPT_OPEN = 4
_WORTH_SAVING = 8
"""So many processes are as soon read as the catalogue is."""
_ALWAYS_NS = 1 << 63


class Catalogue:
    """The traces of one store; each process is opened once, when it is needed."""

    def __init__(self, store: AnyPath, files: list[ProcessFiles] | None = None) -> None:
        """The traces of ``store``, or of ``files`` alone."""
        self.store = store
        self.errors: list[StoreError] = []
        self.path_map: PathMap | None = None
        # Before any file is looked at: see deletions.py.
        self._hidden = read_hidden(store) if files is None else set()
        self._file = CatalogueFile(store) if files is None else None
        found = list_processes(store) if files is None else files
        self._files = {each.id: each for each in found}
        self._opened: dict[str, Process] = {}
        self._cached: dict[str, Known] = {}
        """What the catalogue file has of processes whose files have not changed."""
        self._gone: list[str] = []
        self._unread: list[ProcessFiles] = []
        """What the file does not have, the last to be read first."""
        self._read: list[TraceInfo] = []
        self._unsaved: list[tuple[str, str, int, list[TraceInfo]]] = []
        self._sort_out()

    def close(self) -> None:
        """Let go of every file; what was read anew goes to the catalogue file."""
        for process in self._opened.values():
            process.close()
        self._opened.clear()
        if self._file is not None:
            if len(self._unsaved) >= _WORTH_SAVING or len(self._gone) >= _WORTH_SAVING:
                self._file.save(self._unsaved, self._gone)
            self._file.close()
        self._unsaved = []

    @property
    def complete(self) -> bool:
        """Whether every file has been read, now or for the catalogue file."""
        return not self._unread

    def latest(
        self,
        count: int | None = None,
        *,
        wanted: Wanted | None = None,
        since_utc_ns: int = 0,
        patience_seconds: float = 0.0,
    ) -> list[TraceInfo]:
        """The ``count`` traces that began last (all: None), the last one first.

        A trace cannot begin after its files were last written to, so that the files
        that are too old for the answer are not opened; unless ``patience_seconds``
        last, so that the catalogue file has them the next time.
        """
        how = (count, wanted, since_utc_ns)
        end = time.monotonic() + patience_seconds
        try:
            return self._latest(*how, end)
        except CatalogueUnusable:
            self._do_without_file()
            return self._latest(*how, end)

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
        try:
            matches = self._find(ending)
        except CatalogueUnusable:
            self._do_without_file()
            matches = self._find(ending)
        if len(matches) == 1:
            return matches[0]
        guess = "" if matches else self._guess(ending)
        raise _not_one(ending, matches, self.store, guess)

    def _guess(self, ending: str) -> str:
        """A sentence that names the trace that was probably meant, or nothing."""
        from kolo_c.settings import nearest  # noqa: PLC0415 - for what was mistyped

        newest = self.latest(_PAGE)
        for trace in newest:
            if ending.lower() in trace.row.name.lower():
                short = trace.id[-SHORTEST_ENDING - 2 :]
                return f"The newest trace of that name is {short}. "
        endings = {trace.id[-len(ending) :]: trace for trace in newest}
        found = nearest(ending.upper(), endings)
        return f"Did you mean {found}, {endings[found].row.name}? " if found else ""

    def count(self) -> int:
        """How many traces there are, as far as files have been read."""
        count = sum(known.traces for known in self._cached.values())
        try:
            count -= sum(
                process in self._cached and self._file.has(process, id)
                for id, process in self._hidden
                if self._file is not None
            )
        except CatalogueUnusable:
            self._do_without_file()
            count = 0
        return count + len(self._read)

    def endings(self, traces: Iterable[TraceInfo]) -> dict[str, int]:
        """For each of these, how many of its last characters tell it from all others;
        a few more than that as long as there are files that nobody has read."""
        # No two differ in capitals alone: whoever types one need not mind them.
        wanted = {trace.id: trace.id.upper() for trace in traces}
        try:
            cached = self._like(list(wanted))
        except CatalogueUnusable:
            self._do_without_file()
            cached = []
        read = [trace.id.upper() for trace in self._read]
        lengths = shortest_endings([*wanted.values(), *read, *cached])
        least = SHORTEST_ENDING if self.complete else _SAFE_ENDING
        return {id: max(lengths[upper], least) for id, upper in wanted.items()}

    # ---- the catalogue file ----

    def _sort_out(self) -> None:
        """Which processes the catalogue file has, and which are to be read."""
        known: dict[str, Known] = {}
        if self._file is not None:
            try:
                known = self._file.known()
            except CatalogueUnusable:
                pass
        for files in self._files.values():
            cached = None if files.has_mapping else known.get(files.id)
            if cached is not None and cached.identity == files.identity():
                self._cached[files.id] = cached
            else:
                self._unread.append(files)
        self._gone = [id for id in known if id not in self._files]
        self._unread.sort(key=_changed_ns)

    def _do_without_file(self) -> None:
        """Read from the segments what the catalogue file was to say."""
        self._unread.extend(self._files[id] for id in self._cached)
        self._unread.sort(key=_changed_ns)
        self._cached = {}
        self._gone = []

    def _info(self, cached: CachedTrace) -> TraceInfo:
        files = self._files[cached.process]
        return TraceInfo(
            cached.row,
            status=cached.row.status,
            nodes=cached.nodes,
            last_ns=cached.last_ns,
            bytes=cached.bytes,
            files=files,
            pid=self._cached[cached.process].pid,
            open=partial(self._open, files),
            calls=cached.calls,
        )

    def _from_file(self) -> Iterator[TraceInfo]:
        """The traces of cached processes, the last one first, page by page."""
        before: tuple[int, str] | None = None
        size = _PAGE
        while self._cached and self._file is not None:
            page = self._file.newest(size, before)
            yield from self._usable(page)
            if len(page) < size:
                return
            before = (page[-1].row.started_utc_ns, page[-1].row.id)
            size = min(size * 4, _LARGEST_PAGE)

    def _usable(self, found: list[CachedTrace]) -> Iterator[TraceInfo]:
        for cached in found:
            process = cached.process
            if process in self._cached and (cached.row.id, process) not in self._hidden:
                yield self._info(cached)

    def _like(self, ids: list[str]) -> list[str]:
        """Of the ids in the file at least those that end most like these."""
        if not self._cached or self._file is None:
            return []
        if len(ids) * _PAGE > sum(known.traces for known in self._cached.values()):
            return self._file.ids()
        return [other for id in ids for other in self._file.neighbours(id)]

    # ---- reading ----

    def _latest(
        self, count: int | None, wanted: Wanted | None, since_utc_ns: int, end: float
    ) -> list[TraceInfo]:
        found: list[TraceInfo] | None = None
        while self._unread:
            changed_ns = _changed_ns(self._unread[-1])
            if found is None and self._may_suffice(count, changed_ns, since_utc_ns):
                found = self._pick(count, wanted, since_utc_ns)
                if not _is_settled(found, count, changed_ns, since_utc_ns):
                    found = None
            if found is not None and time.monotonic() >= end:
                return found
            self._read_next()
        if found is None:
            found = self._pick(count, wanted, since_utc_ns)
        if not (found or self._read or self._cached) and self.errors:
            raise self.errors[0]
        return found

    def _may_suffice(
        self, count: int | None, changed_ns: int, since_utc_ns: int
    ) -> bool:
        """Whether it is worth looking if the rest of the files can be left closed."""
        if changed_ns < since_utc_ns:
            return True
        return count is not None and (bool(self._cached) or len(self._read) >= count)

    def _pick(
        self, count: int | None, wanted: Wanted | None, since_utc_ns: int
    ) -> list[TraceInfo]:
        """The latest of what has been read."""
        found: list[TraceInfo] = []
        read = sorted(self._read, key=_started, reverse=True)
        for trace in merge(read, self._from_file(), key=_started, reverse=True):
            if trace.row.started_utc_ns < since_utc_ns:
                break
            if wanted is None or wanted(trace):
                found.append(trace)
                if len(found) == count:
                    break
        return found

    def _find(self, ending: str) -> list[TraceInfo]:
        """The traces whose identifier ends so."""
        wanted = ending.upper()
        found: list[TraceInfo] = []
        if self._cached and self._file is not None:
            found.extend(self._usable(self._file.ending_in(wanted)))
        found.extend(each for each in self._read if each.id.upper().endswith(wanted))
        while self._unread and not (found and len(ending) >= _WHOLE_ID):
            traces = self._read_next()
            found.extend(each for each in traces if each.id.upper().endswith(wanted))
        return found

    def _read_next(self) -> list[TraceInfo]:
        """Read the traces of the process that was written to last."""
        files = self._unread.pop()
        identity = "" if files.has_mapping else files.identity()
        try:
            process = self._open(files)
            traces = process.traces()
        except StoreError as error:
            # What another command deleted since the listing is missed by nobody.
            if files.has_mapping or any(map(os.path.exists, files.segment_names)):
                self.errors.append(error)
            return []
        if identity and not (process.alive or process.problems):
            self._unsaved.append((files.id, identity, process.pid, traces))
        # A mapping is copied once, so that all that is read of it is of one moment.
        if not files.has_mapping and len(self._opened) > _KEPT_OPEN:
            self._opened.pop(files.id).close()
            for trace in traces:
                trace.reopen(partial(self._open, files))
        seen = [each for each in traces if (each.id, files.id) not in self._hidden]
        self._read.extend(seen)
        return seen

    def _open(self, files: ProcessFiles) -> Process:
        process = self._opened.get(files.id)
        if process is None:
            # Late: for most of what lists show, no segment is opened.
            from kolo_c.store.process import open_process  # noqa: PLC0415

            process = self._opened[files.id] = open_process(files)
            process.path_map = self.path_map
        return process


def shortest_endings(ids: list[str]) -> dict[str, int]:
    """For each id, how many of its last characters tell it from the others."""
    backwards = sorted(set(ids), key=_backwards)
    lengths = dict.fromkeys(backwards, SHORTEST_ENDING)
    for one, other in pairwise(backwards):
        length = _common_ending(one, other) + 1
        lengths[one] = max(lengths[one], length)
        lengths[other] = max(lengths[other], length)
    return lengths


def _backwards(id: str) -> str:
    return id[::-1]


def _common_ending(one: str, other: str) -> int:
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count


def _started(trace: TraceInfo) -> tuple[int, str]:
    return (trace.row.started_utc_ns, trace.row.id)


def _changed_ns(files: ProcessFiles) -> int:
    # What is written through a mapping does not show in its time.
    return _ALWAYS_NS if files.has_mapping else files.changed_ns()


def _is_settled(
    found: list[TraceInfo], count: int | None, changed_ns: int, since_utc_ns: int
) -> bool:
    """Whether no file that was last written to at ``changed_ns`` can add to it."""
    if changed_ns < since_utc_ns:
        return True
    full = count is not None and len(found) >= count
    return full and found[-1].row.started_utc_ns > changed_ns


def _not_one(
    ending: str, matches: list[TraceInfo], store: AnyPath, guess: str
) -> TraceNotFound:
    if not matches:
        return TraceNotFound(
            f"no trace ends in '{ending}' in {store}",
            f"{guess}kolo-c list shows what is there.",
        )
    names = ", ".join(trace.id for trace in matches[:5])
    more = f" and {len(matches) - 5} more" if len(matches) > 5 else ""
    return TraceNotFound(
        f"'{ending}' is the ending of {len(matches)} traces: {names}{more}",
        "Give more of its last characters.",
    )
