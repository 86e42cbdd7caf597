"""Look at every file of a store: what is wrong with it, and what of it can be saved.

Nothing is written. A segment is read in full: SQLite's own check, and each block.

Threads: one at a time. Owns: nothing. Fails: StoreError where the store's folder cannot
be read; what is wrong with a file is in what is said of it.
"""

from __future__ import annotations

import os
from pathlib import Path

from kolo_c.errors import StoreError
from kolo_c.store.connection import DatabaseError, connect
from kolo_c.store.files import list_names, list_processes
from kolo_c.store.liveness import is_owned
from kolo_c.store.locate import SEGMENTS_NAME
from kolo_c.store.mapping import read_mapping
from kolo_c.store.opening import reading_mode
from kolo_c.store.salvage import Salvage
from kolo_c.store.segment import Segment
from kolo_c.store.writers import may_live
from kolo_c.wire import BLOCK_BYTES, MAPPING_HEADER_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kolo_c.store.files import ProcessFiles
    from kolo_c.store.mapping import MappingCopy

OK, RUNNING, UNSAVED, STRAY = "ok", "running", "unsaved", "stray"
DAMAGED, FOREIGN, NEWER, UNREADABLE = "damaged", "foreign", "newer", "unreadable"
BAD = (DAMAGED, FOREIGN, NEWER, UNREADABLE)
_SLUGS = {
    "store-newer": NEWER,
    "store-foreign": FOREIGN,
    "store-empty": STRAY,
    "store-corrupt": DAMAGED,
}
RECOVER = "kolo-c recover saves what can be read of it, and sets the file aside."
_BESIDE = ("-wal", "-shm", "-journal")


class Checked:
    """What a file of the store is like."""

    __slots__ = ("hint", "path", "salvage", "said", "state")

    def __init__(
        self,
        path: str | os.PathLike[str],
        state: str,
        said: str,
        hint: str = "",
        salvage: Salvage | None = None,
    ) -> None:
        self.path = Path(path)
        self.state = state
        self.said = said
        self.hint = hint
        self.salvage = salvage
        """What is left of a damaged segment."""


def check_store(store: Path) -> Iterator[Checked]:
    """Every file of its segments' folder, by process."""
    for files in list_processes(store):
        alive = is_written(files)
        for path in files.segments:
            yield check_segment(path, alive=alive)
        if files.mapping is not None:
            yield check_mapping(files.mapping)
    yield from _strays(store)


def is_written(files: ProcessFiles) -> bool:
    """Whether the process lives, as far as what is left of its files tells."""
    if files.mapping is not None:
        return is_owned(files.mapping)
    for path in reversed(files.segments):
        try:
            with connect(path, reading_mode(path)) as db:
                rows = db.execute("SELECT pid, ended_ns, info FROM process")
        except DatabaseError:
            try:
                salvaged = Salvage(path).rows["process"].values()
            except OSError:
                continue
            rows = [(row[2], row[7], row[9]) for row in salvaged]
        if rows:
            return any(
                ended is None and may_live(pid, info) for pid, ended, info in rows
            )
    return False


def check_segment(path: Path, *, alive: bool = False) -> Checked:
    """One segment."""
    try:
        blocks = _read_all(path, alive=alive)
    except StoreError as error:
        said = error.message.removeprefix(f"{path}: ")
        state = _SLUGS.get(error.name, UNREADABLE)
        # A file of ours with a damaged first page is no database to SQLite.
        if state not in (DAMAGED, FOREIGN) or not path.is_file() or path.is_symlink():
            return Checked(path, state, said, error.hint)
        return _look_for_rest(path, Checked(path, state, said, error.hint))
    if alive:
        return Checked(path, RUNNING, "its program runs", "")
    return Checked(path, OK, blocks)


def _look_for_rest(path: Path, checked: Checked) -> Checked:
    try:
        salvage = Salvage(path)
    except OSError as error:
        return Checked(path, UNREADABLE, f"cannot be read: {error.strerror}")
    if salvage.is_newer:
        return Checked(
            path, NEWER, f"{checked.said}, and has schema version {salvage.version}",
            "It was written by a newer kolo-c, which may know more: pip install -U "
            "kolo-c",
        )  # fmt: skip
    if checked.state == FOREIGN and not salvage.is_ours:
        return checked
    return Checked(path, DAMAGED, checked.said, RECOVER, salvage)


def _read_all(path: Path, *, alive: bool) -> str:
    """Read all of it; raises where something is not as it should be."""
    segment = Segment(path, final=not alive)
    try:
        with connect(path, reading_mode(path)) as db:
            found = str(db.execute("PRAGMA integrity_check(1)")[0][0])
            lost = db.execute(
                "SELECT COUNT(*) FROM block WHERE id NOT IN (SELECT id FROM block_data)"
            )[0][0]
        if found != "ok" or lost:
            what = found.splitlines()[-1]
            if found == "ok":
                what = f"{lost:,} of its blocks have lost their bytes"
            raise StoreError(path, f"is damaged: {what}", slug="store-corrupt")
        segment.process()
        traces = segment.traces()
        segment.threads()
        blocks = 0
        for number in {trace.number for trace in traces} | segment.sums().keys():
            for block in segment.blocks(number):
                block.fetch_data()
                blocks += 1
        return f"{len(traces):,} traces, {blocks:,} blocks"
    except DatabaseError as error:
        raise segment.error(error) from error
    finally:
        segment.close()


def check_mapping(path: Path) -> Checked:
    """One mapping."""
    alive = is_owned(path)
    try:
        copy = read_mapping(path)
    except StoreError as error:
        said = error.message.removeprefix(f"{path}: ")
        if error.name == "store-newer":
            return Checked(path, NEWER, said, error.hint)
        return Checked(path, DAMAGED, said, RECOVER)
    if copy is None:
        return Checked(path, OK, "went to its segment at this moment")
    if alive:
        return Checked(path, RUNNING, "its program runs")
    whole = MAPPING_HEADER_BYTES + copy.header.blocks * BLOCK_BYTES
    if os.path.getsize(path) < whole:
        return Checked(
            path, DAMAGED, f"is cut short: it should have {whole:,} bytes", RECOVER
        )
    if copy.header.process != path.stem:
        return Checked(path, DAMAGED, "bears the name of another process", RECOVER)
    what = f"{_records(copy):,} records of a program that died"
    if copy.damaged:
        what += f"; {copy.damaged} of its blocks are damaged"
    return Checked(path, UNSAVED, what, "The next command brings them in.")


def _records(copy: MappingCopy) -> int:
    return sum(block.records for block in copy.blocks)


def _strays(store: Path) -> Iterator[Checked]:
    """Files that belong to no segment."""
    folder = store / SEGMENTS_NAME
    names = set(list_names(str(folder)))
    known = {path.name for files in list_processes(store) for path in files.segments}
    for name in sorted(names):
        ending = next((end for end in (*_BESIDE, ".new") if name.endswith(end)), "")
        path = folder / name
        if ending == ".new":
            yield Checked(
                path, STRAY, "was never finished",
                "Goes by itself, a day after whoever began it.",
            )  # fmt: skip
        elif ending and name.removesuffix(ending) not in names:
            yield Checked(
                path, STRAY, "belongs to a segment that is gone", "It may be removed."
            )
        elif not ending and name not in known and not name.endswith(".map"):
            yield Checked(
                path, STRAY, "is none of kolo_c's", "Move it out of the folder."
            )
