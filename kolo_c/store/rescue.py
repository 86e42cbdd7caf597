"""Save what can be saved of a store, and set aside what it was saved from.

A damaged file is never written to: it gets a second name in ``.kolo_c/damaged``, what
can be read of it becomes a new segment beside it, and that takes its place in one step.
Whatever is interrupted in between, both are still there, and the next time goes on.

Threads: one at a time; processes too, under the lock on the store's segments. Owns: the
lock, while it works. Fails: StoreError; the file is then as it was.
"""

from __future__ import annotations

import os
import shutil
import struct
from itertools import count
from pathlib import Path

from kolo_c.errors import StoreError
from kolo_c.store.checkup import (
    BAD,
    DAMAGED,
    OK,
    UNREADABLE,
    Checked,
    check_mapping,
    check_segment,
    is_written,
)
from kolo_c.store.connection import DatabaseError
from kolo_c.store.deletions import fold_wal, lock_store, remove_beside
from kolo_c.store.files import list_processes
from kolo_c.store.mapping import whole_header
from kolo_c.store.opening import database_error
from kolo_c.store.placing import file_error, put_in_place, unfinished_name
from kolo_c.store.private import make_file, make_folder, refuse_link
from kolo_c.store.recovery import recover_dead
from kolo_c.store.rewrite import NewSegment
from kolo_c.store.salvage import Salvage
from kolo_c.store.trace_info import INTERRUPTED
from kolo_c.wire import BLOCK_BYTES, MAPPING_HEADER_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.store.files import ProcessFiles

DAMAGED_NAME = "damaged"
"""The folder of what is set aside; nothing reads it, and nothing removes it."""
_PATIENCE_SECONDS = 30.0
_MOST_BLOCKS = 65536
"""As in src/plain/mapping.c: what has more is refused."""
_WITH_SEGMENT = ("", "-wal", "-journal")


class Saved:
    """What was done about one file."""

    __slots__ = ("aside", "blocks", "known", "path", "problem", "said", "traces")

    def __init__(
        self,
        path: Path,
        said: str,
        *,
        aside: Path | None = None,
        traces: int = 0,
        blocks: int = 0,
        known: int = 0,
        problem: bool = False,
    ) -> None:
        self.path = path
        self.said = said
        self.aside = aside
        """Where the damaged file is now."""
        self.traces = traces
        self.blocks = blocks
        self.known = known
        """Of so many blocks that it must have had."""
        self.problem = problem
        """Whether it is as bad as it was."""


def recover_store(store: Path) -> list[Saved]:
    """Save what can be saved of each process that is dead."""
    fd = lock_store(store, _PATIENCE_SECONDS)
    if fd is None:
        raise StoreError(
            store,
            "another command is changing it",
            "Try again when that has finished.",
            slug="store-locked",
        )
    try:
        saved = []
        for files in list_processes(store):
            saved += _recover_process(store, files)
    finally:
        os.close(fd)
    unsaved = [files.mapping for files in list_processes(store) if files.mapping]
    for problem in recover_dead(store):
        name, _, said = problem.partition(": ")
        saved.append(Saved(Path(name), said, problem=True))
    for path in unsaved:
        if not path.exists():
            saved.append(Saved(path, "brought into its segment"))
    return saved


def _recover_process(store: Path, files: ProcessFiles) -> list[Saved]:
    alive = is_written(files)
    saved = []
    for path in files.segments:
        checked = check_segment(path, alive=alive)
        if alive:
            if checked.state in BAD:
                said = f"{checked.said}; its program still runs: when it has ended"
                saved.append(Saved(path, said, problem=True))
        elif checked.state in (OK, UNREADABLE) and os.path.exists(f"{path}-wal"):
            # A mapping's recovery, which comes later, does that on its own.
            saved += [] if files.has_mapping else _fold(path)
        elif checked.state in BAD:
            saved.append(_recover_segment(store, checked, files.has_mapping))
    if files.mapping is not None and not alive:
        checked = check_mapping(files.mapping)
        if checked.state == DAMAGED:
            saved.append(_recover_mapping(store, checked))
    return saved


def _fold(path: Path) -> list[Saved]:
    """Bring a WAL that was left behind into its segment."""
    try:
        if fold_wal(path):
            remove_beside(path)
            return [Saved(path, "its WAL was folded in")]
        return [Saved(path, "is in use by another program", problem=True)]
    except DatabaseError as error:
        said = database_error(path, error).message.removeprefix(f"{path}: ")
        return [Saved(path, said, problem=True)]


def _recover_segment(store: Path, checked: Checked, has_mapping: bool) -> Saved:
    path = checked.path
    if checked.state != DAMAGED:
        hint = f". {checked.hint}" if checked.hint else ""
        return Saved(path, f"{checked.said}{hint}", problem=True)
    aside = _set_aside(store, path, _WITH_SEGMENT)
    salvage = Salvage(aside)
    if not salvage.is_ours:
        for ending in _WITH_SEGMENT:
            Path(f"{path}{ending}").unlink(missing_ok=True)
        remove_beside(path)
        return Saved(path, f"{checked.said}: nothing of it could be read", aside=aside)
    with NewSegment(path) as new:
        blocks = salvage.write(new)
        _complete(new, path, has_mapping=has_mapping)
        like = aside.stat()
        # The old WAL must not lie beside the new file. It has its name in `aside`.
        remove_beside(path)
        new.finish(overwrite=True, like=like)
    return Saved(
        path, checked.said, aside=aside, traces=len(salvage.traces), blocks=blocks,
        known=len(salvage.rows["block"]),
    )  # fmt: skip


def _complete(new: NewSegment, path: Path, *, has_mapping: bool) -> None:
    """A row of the process where none could be read; and none of it lives."""
    process, _, segment = path.stem.rpartition("-")
    if not new.execute("SELECT 1 FROM process"):
        new.execute(
            "INSERT INTO process SELECT ?, ?, 0, COALESCE(MIN(started_ns), 0), "
            "COALESCE(MIN(started_utc_ns), 0), NULL, NULL, NULL, NULL, '{}' FROM trace",
            (process, int(segment)),
        )
    if has_mapping:
        return  # its recovery, which comes next, says when all of it ended
    new.execute(
        "UPDATE process SET cause = COALESCE(cause, ?), ended_ns = COALESCE("
        "ended_ns, (SELECT MAX(last_ns) FROM block), started_ns)",
        (INTERRUPTED,),
    )
    new.execute(
        "UPDATE trace SET status = ?1, cause = ?1, ended_ns = COALESCE((SELECT "
        "MAX(last_ns) FROM block WHERE trace = number), started_ns) "
        "WHERE status = 'running'",
        (INTERRUPTED,),
    )


def _recover_mapping(store: Path, checked: Checked) -> Saved:
    """Give a mapping whose header is damaged another: its blocks speak for themselves.
    The recovery that comes next takes what is whole of them."""
    path = checked.path
    aside = _set_aside(store, path, ("",))
    blocks = (aside.stat().st_size - MAPPING_HEADER_BYTES) // BLOCK_BYTES
    blocks = min(blocks, _MOST_BLOCKS)
    if blocks < 1:
        path.unlink()
        return Saved(path, f"{checked.said}: it has no block", aside=aside)
    new = unfinished_name(path)
    try:
        with open(make_file(new), "wb") as file, open(aside, "rb") as old:
            segments = [each for each in list_processes(store) if each.id == path.stem]
            names = segments[0].segments if segments else ()
            number = int(names[-1].stem.rpartition("-")[2]) if names else 0
            file.write(whole_header(blocks, path.stem, number))
            old.seek(MAPPING_HEADER_BYTES)
            shutil.copyfileobj(old, file)
            os.fsync(file.fileno())
        put_in_place(new, path, overwrite=True)
    except (OSError, struct.error) as error:
        Path(new).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise file_error(path, error) from error
        return Saved(path, f"{checked.said}: its name is none of ours", problem=True)
    return Saved(path, f"{checked.said}: looked for blocks without it", aside=aside)


def _set_aside(store: Path, path: Path, endings: tuple[str, ...]) -> Path:
    """A second name for a file, and for those beside it, among the damaged ones."""
    folder = store / DAMAGED_NAME
    try:
        make_folder(folder)
        refuse_link(folder)
        for number in count():
            name = folder / (path.name if number == 0 else f"{path.name}.{number}")
            if name.exists() and not os.path.samefile(name, path):
                continue
            for ending in endings:
                _second_name(f"{path}{ending}", f"{name}{ending}")
            return name
    except OSError as error:
        raise file_error(folder, error) from error
    raise AssertionError


def _second_name(path: str, name: str) -> None:
    """Nothing where there is no such file, or where it has that name already."""
    if not os.path.exists(path) or os.path.exists(name):
        return
    try:
        os.link(path, name)
    except OSError:  # a file system without links
        with open(make_file(name), "wb") as new, open(path, "rb") as old:
            shutil.copyfileobj(old, new)
            os.fsync(new.fileno())
