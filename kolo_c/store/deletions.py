"""Delete traces: hidden at once by a mark, their space freed when nobody writes to it.

A segment that holds nothing else is removed; another is written anew without them
(``rewrite``). Only segments of dead processes whose mapping has been recovered are
touched: who has no mapping can have no writer. One process at a time does this, under a
lock on the folder of the segments; who comes second finds it done, or does the rest.

Readers read the marks before they open files, so that a trace whose mark is removed
with its blocks is not seen again.

Threads: one at a time; any number of processes. Owns: the lock, while it works.
Fails: StoreError where a mark cannot be written. What cannot be freed stays hidden, and
is said in ``problems``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: two commands at once are not kept apart there
    fcntl = None  # type: ignore[assignment]

from kolo_c.errors import StoreError
from kolo_c.store.catalogue_file import CatalogueFile
from kolo_c.store.connection import IOERR, DatabaseError, connect
from kolo_c.store.files import list_processes
from kolo_c.store.locate import SEGMENTS_NAME
from kolo_c.store.marks import (
    DELETED,
    PINS,
    put_mark,
    read_marks,
    read_segment_marks,
    remove_mark,
)
from kolo_c.store.opening import database_error, reading_mode
from kolo_c.store.rewrite import NewSegment
from kolo_c.store.writers import may_have_writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from kolo_c.store.files import ProcessFiles
    from kolo_c.store.marks import Name

_BESIDE = ("-wal", "-shm", "-journal")
_TRY_SECONDS = 0.02
_SPARE_BYTES = 1 << 20


class Swept:
    """What freeing space did."""

    __slots__ = ("changed", "freed_bytes", "problems", "waiting")

    def __init__(self) -> None:
        self.freed_bytes = 0
        self.changed: set[str] = set()
        """The processes whose segments have changed."""
        self.waiting: set[Name] = set()
        """Deleted traces whose space is not free yet: their process lives, or is not
        recovered, or there was a problem."""
        self.problems: list[str] = []


def delete(
    store: Path, names: Iterable[Name], *, patience_seconds: float = 10.0
) -> Swept:
    """Hide these traces and free what can be freed; pins on them go."""
    unmarked: set[Name] = set()
    full: StoreError | None = None
    for name in names:
        try:
            put_mark(store, DELETED, name)
            if remove_mark(store, PINS, name):
                # A sweep in between took the pin for the later word.
                put_mark(store, DELETED, name)
        except StoreError as error:
            if error.name != "store-full":
                raise
            # No room for a mark: all the more reason to make some.
            full = error
            unmarked.add(name)
            remove_mark(store, PINS, name)
    swept = sweep(store, also=unmarked, patience_seconds=patience_seconds)
    if full is not None and unmarked & swept.waiting:
        raise full
    return swept


def sweep(
    store: Path, *, also: Collection[Name] = (), patience_seconds: float = 0.0
) -> Swept:
    """Free the space of what is marked as deleted, and of ``also``, as far as its
    owners are dead."""
    swept = Swept()
    marks = read_marks(store, DELETED)
    if not (marks or also or read_segment_marks(store, DELETED)):
        return swept
    fd = lock_store(store, patience_seconds)
    if fd is None:
        swept.waiting = marks.union(also)
        swept.problems.append(f"{store}: another command is changing it")
        return swept
    try:
        _sweep_locked(store, also, swept)
        if swept.changed:  # it has names and ids of what was deleted
            CatalogueFile(store).save((), swept.changed)
    finally:
        os.close(fd)
    return swept


def lock_store(store: Path, patience_seconds: float) -> int | None:
    """A descriptor to close, which keeps other commands from adding, removing and
    rewriting segments; None where another command has it."""
    folder = store / SEGMENTS_NAME
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(
            folder, f"cannot be read: {error.strerror}", "Check its permissions."
        ) from error
    deadline = time.monotonic() + patience_seconds
    while fcntl is not None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            if time.monotonic() >= deadline:
                os.close(fd)
                return None
            time.sleep(_TRY_SECONDS)
        except OSError:
            break  # a file system without locks on folders: do without
        else:
            break
    return fd


def _sweep_locked(store: Path, also: Collection[Name], swept: Swept) -> None:
    work: dict[str, _Work] = {}
    processes = {files.id: files for files in list_processes(store)}
    pins = read_marks(store, PINS)
    for name in read_marks(store, DELETED).union(also):
        if name in pins:
            _forget(store, name)  # pinned while it was being deleted
        elif name[1] not in processes:
            _forget(store, name)  # its segments are gone
        else:
            _work_of(work, processes[name[1]]).deleted.add(name)
    for segment in read_segment_marks(store, DELETED):
        process = segment.rpartition("-")[0]
        if process in processes:
            _work_of(work, processes[process]).shed.add(segment)
        else:
            _forget(store, segment)
    for todo in work.values():
        try:
            if _is_released(todo.files):
                _free_process(store, todo, pins, swept)
            else:
                swept.waiting |= todo.deleted
        except (DatabaseError, OSError, StoreError) as error:
            swept.waiting |= todo.deleted
            # What retention removes meanwhile is no problem: the next sweep sees it.
            if all(path.exists() for path in todo.files.segments):
                swept.problems.append(_problem(todo.files, error))


def _forget(store: Path, name: Name | str) -> None:
    """Take away a mark that means nothing, if that may be: it does no harm."""
    try:
        remove_mark(store, DELETED, name)
    except StoreError:
        pass


def _problem(files: ProcessFiles, error: Exception) -> str:
    if isinstance(error, StoreError):
        return error.message
    if isinstance(error, DatabaseError):
        return database_error(files.segments[0], error).message
    return f"{files.segments[0]}: {getattr(error, 'strerror', None) or error}"


class _Work:
    """What is to go from one process's segments."""

    __slots__ = ("deleted", "files", "shed")

    def __init__(self, files: ProcessFiles) -> None:
        self.files = files
        self.deleted: set[Name] = set()
        self.shed: set[str] = set()


def _work_of(work: dict[str, _Work], files: ProcessFiles) -> _Work:
    return work.setdefault(files.id, _Work(files))


def _is_released(files: ProcessFiles) -> bool:
    """Whether nobody writes to these segments any more."""
    if files.mapping is not None or not files.segments:
        return False
    last = files.segments[-1]
    # Again, after the listing: whoever has none by now has written all there is.
    if os.path.exists(last.parent / f"{files.id}.map"):
        return False
    return not may_have_writer(last)


def _free_process(store: Path, todo: _Work, pins: set[Name], swept: Swept) -> None:
    """Free the space in one process's segments; the marks go when all is done."""
    deleted = {trace for trace, _ in todo.deleted}
    pinned = {trace for trace, process in pins if process == todo.files.id}
    contents = {path: _Content(path) for path in todo.files.segments}
    # A block's trace may have its row in another segment of the process alone.
    ids = [item for each in contents.values() for item in each.ids.items()]
    dropped = {number for number, trace in ids if trace in deleted}
    kept = {number for number, trace in ids if trace in pinned}
    unpinned = set().union(*(each.numbers for each in contents.values())) - kept
    swept.changed.add(todo.files.id)
    plans = []
    for path, content in contents.items():
        goes = unpinned if path.name in todo.shed else dropped
        plans.append((not content.numbers <= goes, path, goes))
    # What goes altogether goes first: writing anew takes room.
    for stays, path, goes in sorted(plans, key=lambda plan: plan[0]):
        if not stays:
            swept.freed_bytes += remove_segment(path)
            continue
        if contents[path].numbers & goes:
            swept.freed_bytes += _rewrite(path, goes)
        if path.name in todo.shed:
            put_mark(store, PINS, path.name)
    done: list[Name | str] = [*todo.deleted, *todo.shed]
    for name in done:
        remove_mark(store, DELETED, name)


class _Content:
    """The traces of which a segment has anything."""

    __slots__ = ("ids", "numbers")

    def __init__(self, path: Path) -> None:
        with connect(path, reading_mode(path)) as db:
            self.ids: dict[int, str] = dict(db.execute("SELECT number, id FROM trace"))
            blocks = db.execute("SELECT DISTINCT trace FROM block")
        self.numbers = self.ids.keys() | {number for (number,) in blocks}


def _rewrite(path: Path, numbers: set[int]) -> int:
    """Write a segment anew without these traces; bytes freed."""
    if not fold_wal(path):
        raise StoreError(path, "is in use by another program", "Try again later.")
    before = path.stat()
    free = os.statvfs(path.parent)
    if free.f_bavail * free.f_frsize < _bytes_left(path, numbers):
        raise StoreError(path, "the disk is too full to write it anew")
    with NewSegment(path) as new:
        new.copy(path, numbers, keep=False)
        new.finish(overwrite=True, like=before)
    remove_beside(path)
    return before.st_size - path.stat().st_size


def _bytes_left(path: Path, numbers: set[int]) -> int:
    """About how large the new file will be: none is begun in vain, at each command."""
    total = left = 1
    with connect(path, reading_mode(path)) as db:
        for number, size in db.execute(
            "SELECT trace, SUM(bytes) FROM block GROUP BY trace"
        ):
            total += size
            left += 0 if number in numbers else size
    return path.stat().st_size * left // total + _SPARE_BYTES


def fold_wal(path: Path) -> bool:
    """Bring what a WAL holds into its file: it must not lie beside a new one."""
    wal = Path(f"{path}-wal")
    if not wal.exists():
        return True
    try:
        with connect(path, "rw") as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except DatabaseError as error:
        if error.code != IOERR:
            raise
        # Where processes share no memory it takes to have the file for oneself.
        with connect(path, "rw") as db:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = DELETE")
    return not wal.exists() or wal.stat().st_size == 0


def remove_segment(path: Path) -> int:
    """Remove a segment; the bytes that frees.

    The files beside it go after it: without the segment they mean nothing, the segment
    without them would be an older state of itself.
    """
    freed = sum(_size(name) for name in (path, Path(f"{path}-wal")))
    path.unlink(missing_ok=True)
    remove_beside(path)
    return freed


def remove_beside(path: Path) -> None:
    """Remove what SQLite has beside a segment."""
    for ending in _BESIDE:
        Path(f"{path}{ending}").unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
