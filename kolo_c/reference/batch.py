"""One batch of the writer: a try to save it. Twin of src/plain/batch.c.

The batch stands in the Writer (``batch``, ``definitions``, ``pending``), so that it
survives a try that failed, or that an exception of the program (a signal's handler)
ended.

Threads: one at a time; the writer sees to it.
Owns: nothing; the blocks of a batch are the writer's until they are given back.
Fails: ``try_save`` with False; the reason is in the writer's ``error_text``.
"""

from __future__ import annotations

import errno

from kolo_c.reference import clock, last_word, system
from kolo_c.reference.block import BLOCK_DEFINITIONS
from kolo_c.reference.status import Status
from kolo_c.reference.store import (
    BUSY,
    Store,
    make_directory,
    store_path,
    store_remove,
)
from kolo_c.reference.store_carry import carry
from kolo_c.reference.store_definitions import save_definitions
from kolo_c.reference.store_drop import drop, drop_before
from kolo_c.reference.store_restore import restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.reference.block import Block
    from kolo_c.reference.writer import Writer

DISK_CHECK_NS = 1_000_000_000
KILLS_NS = 1_000_000_000
ANCHOR_NS = 1_000_000_000  # a page more to write, each time
RUNNING, STOPPED, FAILED = 1, 2, 3


def set_state(writer: Writer, state: int, error: int) -> None:
    """What the mapping says of the writer."""
    header = writer.mapping.header
    header.writer_error = error & 0xFFFFFFFF
    header.writer_state = state


def note_failure(writer: Writer, text: str) -> None:
    """Remember why."""
    writer.error_text = text[:255]
    writer.failed_count += 1


def renew_anchor(writer: Writer) -> tuple[int, int]:
    """Both clocks now, and where a reader or a recovery finds them."""
    anchor_ns, anchor_utc_ns = clock.anchor()
    writer.mapping.header.anchor_ns = anchor_ns
    writer.mapping.header.anchor_utc_ns = anchor_utc_ns
    now_ns = clock.system_ns()
    if now_ns - writer.kills_noted_ns >= KILLS_NS:
        writer.kills_noted_ns = now_ns
        writer.mapping.header.kills = last_word.kills()
    return anchor_ns, anchor_utc_ns


def has_work(writer: Writer) -> bool:
    """Whether there is anything that SQLite does not have."""
    log = writer.definitions
    return bool(writer.batch) or (log is not None and log.bytes() != log.saved)


def try_save(writer: Writer) -> bool:
    """Save the batch and give its blocks back; False where that failed."""
    if not has_work(writer):
        renew_anchor(writer)
        writer.definitions = None
        writer.pending = False
        return True
    if _try_transaction(writer) is not Status.OK:
        # Another connection's lock passes by itself: that is a slow disk, no error.
        if writer.store.error_code & 0xFF != BUSY:
            note_failure(writer, writer.store.error)
            set_state(writer, FAILED, writer.store.error_code)
            writer.failing = True
        return False
    if writer.failing:
        set_state(writer, RUNNING, 0)
        writer.failing = False
    _release(writer)
    return True


def _has_disk(writer: Writer) -> bool:
    """Whether the disk is as it should be.

    Asked now and then, and at every try while failing.
    """
    now_ns = clock.system_ns()
    if not writer.failing and now_ns - writer.disk_checked_ns < DISK_CHECK_NS:
        return True
    writer.disk_checked_ns = now_ns
    return _has_room(writer) and restore_removed(writer)


def _has_room(writer: Writer) -> bool:
    """Whether the disk has what must stay free."""
    if writer.free_disk_min_bytes == 0:
        return True
    try:
        about = system.statvfs(writer.directory)
    except OSError:
        return True  # SQLite will say what is wrong
    free = about.f_bavail * about.f_frsize
    if free >= writer.free_disk_min_bytes:
        return True
    writer.store.error_code = errno.ENOSPC
    writer.store.error = (
        f"{free >> 20} MiB of the disk are free: make room, or lower "
        f"free_disk_min_bytes ({writer.free_disk_min_bytes >> 20} MiB)"
    )
    return False


def restore_removed(writer: Writer) -> bool:
    """Where somebody has removed the segment, write it anew; False where that fails."""
    if not _has_files(writer):
        return False
    if not _is_removed(writer):
        return True
    store = writer.store
    store.error_code = errno.ENOENT
    store.error = f"{writer.directory}: the folder was removed"
    if not _has_project(writer):
        return False
    try:
        make_directory(writer.directory)
    except OSError:
        return False
    if restore(store) is not Status.OK:
        return False
    writer.restored_count += 1
    return True


def _has_files(writer: Writer) -> bool:
    """Whether what we have open is ours still. Where the program has taken the numbers
    of its descriptors, go on with others."""
    store = writer.store
    return store.has_files() or (_has_room(writer) and restore(store) is Status.OK)


def _has_project(writer: Writer) -> bool:
    """Whether the folder that the store's folder is in is there."""
    return _is_there(writer.directory.rpartition("/")[0].rpartition("/")[0] or "/")


def _is_removed(writer: Writer) -> bool:
    """Whether the segment was removed.

    Where its folder cannot be found either, it was if the mapping was; else the program
    has another root now, and the file is well.
    """
    if _is_there(writer.store.path):
        return False
    if writer.mapping.has_file():
        removed = system.fstat(writer.mapping.fd).st_nlink == 0
        return removed or _is_there(writer.directory)
    return _has_project(writer)


def _is_there(path: str) -> bool:
    try:
        system.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass  # nobody can say
    return True


def _try_transaction(writer: Writer) -> Status:
    store = writer.store
    stored_bytes, mask_count = store.stored_bytes, store.mask_count
    if not _has_files(writer) or not _has_disk(writer):
        return Status.IO
    status = Status.IO
    now_ns = clock.system_ns()
    anchors = now_ns - writer.anchor_saved_ns >= ANCHOR_NS
    try:
        status = store.begin()
        if status is Status.OK:
            both = renew_anchor(writer)
            if anchors:
                status = store.anchor(*both)
        if status is Status.OK:
            status = _fill_transaction(writer)
        if status is Status.OK and not store.has_files():
            store.error_code = BUSY  # as a lock does, it passes by itself
            status = Status.IO
        if status is Status.OK:
            status = store.commit()
    finally:
        if status is not Status.OK:
            store.rollback()
            store.stored_bytes, store.mask_count = stored_bytes, mask_count
    if status is Status.OK:
        if anchors:
            writer.anchor_saved_ns = now_ns
        writer.stored_bytes += store.stored_bytes - stored_bytes
        writer.mask_count += store.mask_count - mask_count
        drop_before(
            store, writer.directory, writer.process_id, writer.segment, writer.schema,
            writer.schema_version,
        )  # fmt: skip
    return status


def _fill_transaction(writer: Writer) -> Status:
    """Definitions first: those of the batch, then the log's next block.

    What they drop comes last: of a trace that is dropped no block is in the queue any
    more, so what there is of it was saved before, or is in this batch.
    """
    status = Status.OK
    for block in writer.batch:
        if status is Status.OK and block.kind == BLOCK_DEFINITIONS:
            status = _save_definitions(writer, block, block.bytes())
    log = writer.definitions
    if status is Status.OK and log is not None:
        writer.definitions_to = log.bytes()
        status = _save_definitions(writer, log, writer.definitions_to)
    for block in writer.batch:
        discarded = block.bytes() == 0
        if status is Status.OK and block.kind != BLOCK_DEFINITIONS and not discarded:
            status = _pass_corrupt(writer, writer.store.block(block))
    return drop(writer.store) if status is Status.OK else status


def _save_definitions(writer: Writer, block: Block, end: int) -> Status:
    status = save_definitions(writer.store, block, block.saved, end)
    return _pass_corrupt(writer, status)


def _pass_corrupt(writer: Writer, status: Status) -> Status:
    """A block that is wrong in itself would be so at every try: go on without."""
    if status is not Status.CORRUPT:
        return status
    note_failure(writer, writer.store.error)
    return Status.OK


def _release(writer: Writer) -> None:
    """After the commit, and only then: SQLite has it, the blocks may be used again."""
    while writer.batch:
        block = writer.batch[-1]
        writer.raw_bytes += block.bytes()
        if block.kind == BLOCK_DEFINITIONS:
            writer.raw_bytes -= block.saved
            block.saved = block.bytes()
        writer.batch.pop()
        writer.mapping.give(block)
        writer.block_count += 1
    # Last: as long as a recovery would find blocks of a trace that was dropped, it also
    # finds that it was.
    log = writer.definitions
    if log is not None:
        writer.raw_bytes += writer.definitions_to - log.saved
        log.saved = writer.definitions_to
        writer.definitions = None
    writer.pending = False


# ---- rotation ----


def set_rotate_bytes(writer: Writer, size: int) -> None:
    """The size at which a segment rotates that has ``size`` bytes now.

    What rotation carried over must not make the next segment rotate at once.
    """
    least = size + writer.segment_max_bytes // 4
    writer.rotate_bytes = max(least, writer.segment_max_bytes)


def rotate_if_due(writer: Writer) -> None:
    """Go on in a new segment, where this one has grown past its limit."""
    if writer.segment_max_bytes == 0 or not writer.store.has_files():
        return
    size = writer.store.size()
    # What is free in it is used again, but not once nobody writes to it.
    if size >= writer.rotate_bytes and (
        size - min(writer.store.unused(), size) >= writer.rotate_bytes
    ):
        _rotate(writer, size)


def _rotate(writer: Writer, size: int) -> None:
    """Go on in a new segment. Where that fails the old one is as good, for a while."""
    path = store_path(writer.directory, writer.process_id, writer.segment + 1)
    following = Store()
    status = Status.IO
    try:
        status = following.open(path, writer.schema, writer.schema_version)
        if status is Status.OK:
            following.compress = writer.compress
            status = carry(following, writer.store)
    finally:
        if status is not Status.OK:
            note_failure(writer, following.error)
            following.close()
            store_remove(path)
            set_rotate_bytes(writer, size)
    if status is not Status.OK:
        return
    # From here on a recovery takes the new segment; until here it removes it.
    writer.segment += 1
    writer.mapping.header.segment = writer.segment
    before, writer.store = writer.store, following
    before.close()
    set_rotate_bytes(writer, following.size())
