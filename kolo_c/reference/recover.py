"""Copy what a dead process left in its mapping into its segment. Twin of recover.c.

Safe to be killed at any point and run again, and to run twice at once: the mapping's
lock lets one in. The mapping is removed only after the commit. It makes no difference
which core wrote the mapping.

Threads: any, one call at a time per mapping. Owns: what it opens, until it returns.
Fails: by Status BUSY (owner lives, or another recovery), CORRUPT, STORE, IO; the reason
is in ``error``.
"""

from __future__ import annotations

import os

from kolo_c.reference import last_word
from kolo_c.reference.block import (
    BLOCK_DATA_BYTES,
    BLOCK_DEFINITIONS,
    BLOCK_FILLING,
    BLOCK_FULL,
    BLOCK_MAGIC,
    BLOCK_RECORDS,
    CLOSE_BYTES,
    OPEN_BYTES,
    Block,
)
from kolo_c.reference.mapping import Mapping
from kolo_c.reference.status import Status
from kolo_c.reference.store import Store, store_path, store_remove
from kolo_c.reference.store_definitions import save_definitions
from kolo_c.reference.store_drop import drop, drop_before
from kolo_c.reference.wire import Token, Walk
from kolo_c.wire import NODE_KINDS, Kind

INFO = "{}"  # of a process that died before it could say more
NUMBER_MOST = (1 << 63) - 1


class Recovered:
    """What a recovery did."""

    def __init__(self) -> None:
        self.blocks = 0  # copied into the segment
        self.records = 0
        self.definitions = 0  # pieces
        self.damaged = 0  # blocks that were not decodable to their committed end
        self.lost_records = 0
        self.error = ""


# ---- checking a copied block ----


def _clamp_counts(block: Block) -> bool:
    """Cut counts that lead outside the block; False where there were any."""
    size, closes = block.bytes(), block.close_count()
    sound = True
    if size > BLOCK_DATA_BYTES:
        size = BLOCK_DATA_BYTES
        sound = False
    if size + closes * CLOSE_BYTES > BLOCK_DATA_BYTES:
        closes = 0
        sound = False
    tail = closes * CLOSE_BYTES
    if size + tail + block.open_count * OPEN_BYTES > BLOCK_DATA_BYTES:
        block.open_count = 0
        sound = False
    if block.least_depth > block.start_depth:
        block.least_depth = block.start_depth
        sound = False
    block.committed = closes << 32 | size
    return sound


def _header_is_sound(block: Block, kind: int) -> bool:
    """Whether the numbers that say where the block belongs can be ours."""
    if block.magic != BLOCK_MAGIC or block.kind != kind:
        return False
    numbers = (block.sequence, block.base_ns, block.first_node, block.definition)
    return bool(max(numbers) <= NUMBER_MOST)


def _walk_item(walk: Walk) -> tuple[int, int] | None:
    """Step over one array that starts with two unsigned numbers.

    A record's kind and dt, a definition's kind and number.
    """
    inside = Walk(walk.data, walk.at, walk.end)
    if not walk.skip():
        return None
    array, first, second = inside.next(), inside.next(), inside.next()
    if array is None or array[0] is not Token.ARRAY or array[1] < 2:
        return None
    if first is None or second is None:
        return None
    if first[0] is not Token.UINT or second[0] is not Token.UINT:
        return None
    return first[1], second[1]


def check_records(block: Block) -> bool:
    """Count the copy's records anew and cut it behind the last whole one.

    Its header was written for the next record when the process died. False where it was
    damaged.
    """
    sound = _clamp_counts(block)
    data = bytes(block.data[: block.bytes()])
    walk = Walk(data)
    records = nodes = 0
    last_ns = block.base_ns
    while walk.at < walk.end:
        start = walk.at
        item = _walk_item(walk)
        if item is None or item[0] > Kind.CAUGHT or item[1] > NUMBER_MOST - last_ns:
            block.committed = block.close_count() << 32 | start
            sound = False
            break
        kind, dt = item
        last_ns += dt
        records += 1
        nodes += kind in NODE_KINDS
    block.last_ns = last_ns
    block.record_count = records
    block.node_count = nodes
    return sound


def check_definitions(block: Block) -> tuple[bool, int, int]:
    """Whether the copy is sound, and where its whole, unsaved definitions are."""
    sound = _clamp_counts(block)
    saved = block.saved
    walk = Walk(bytes(block.data[: block.bytes()]))
    start = 0 if saved == 0 else -1
    end = 0
    while walk.at < walk.end:
        if _walk_item(walk) is None:
            sound = False
            break
        end = walk.at
        if end == saved:
            start = saved
    if start < 0:  # `saved` lies: the whole block again is better than a part
        return False, 0, end
    return sound, start, end


# ---- copying ----


class _Recovery:
    def __init__(self, recovered: Recovered) -> None:
        self.recovered = recovered
        self.mapping = Mapping()
        self.store = Store()
        self.seen_ns = 0  # when the process was last known to live

    def _copies(self, kind: int) -> list[Block]:
        """The blocks of ``kind`` that are in use, in the order of their sequence.

        What is checked is what is saved: nobody changes a copy between.
        """
        found = []
        for index in range(self.mapping.block_count):
            block = self.mapping.block(index)
            if block.state not in (BLOCK_FILLING, BLOCK_FULL) or block.committed == 0:
                continue
            sound = _header_is_sound(block, BLOCK_RECORDS)
            if (
                kind == BLOCK_RECORDS
                and not sound
                and not _header_is_sound(block, BLOCK_DEFINITIONS)
            ):
                self.recovered.damaged += 1
            if _header_is_sound(block, kind):
                found.append(block)
        found.sort(key=lambda block: block.sequence)
        return [Block(memoryview(bytearray(block.memory))) for block in found]

    def _definitions(self) -> Status:
        for block in self._copies(BLOCK_DEFINITIONS):
            sound, start, end = check_definitions(block)
            if not sound:
                self.recovered.damaged += 1
            if start < end:
                status = save_definitions(self.store, block, start, end)
                if status is not Status.OK:
                    return status
                self.recovered.definitions += 1
        return Status.OK

    def _records(self) -> Status:
        status, highest = self.store.ask("SELECT max(last) FROM definition")
        if status is not Status.OK:
            return status
        for block in self._copies(BLOCK_RECORDS):
            before = self.store.block_count
            if not check_records(block):
                self.recovered.damaged += 1
            self.seen_ns = max(self.seen_ns, block.last_ns)
            if block.definition == 0:
                block.definition = highest  # it was never handed over
            if block.record_count == 0:
                continue
            status = self.store.block(block)
            if status is not Status.OK:
                return status
            if self.store.block_count != before:
                self.recovered.blocks += 1
                self.recovered.records += block.record_count
        return Status.OK

    def _process(self) -> Status:
        """A segment that was never created has no row of its process."""
        header = self.mapping.header
        status, rows = self.store.ask("SELECT count(*) FROM process")
        if status is Status.OK and rows == 0:
            status = self.store.process(
                header.process_id, header.segment, header.pid, header.started_ns,
                header.started_utc_ns, INFO,
            )  # fmt: skip
            if status is Status.OK:
                status = self.store.anchor(header.anchor_ns, header.anchor_utc_ns)
        return status

    def _drop(self) -> Status:
        return drop(self.store)

    def _end(self) -> Status:
        status, last_ns = self.store.ask("SELECT max(last_ns) FROM block")
        header = self.mapping.header
        cause = last_word.tell(header.last_word, header.system)
        if self.seen_ns < last_ns <= NUMBER_MOST:
            self.seen_ns = last_ns
        if status is Status.OK:
            status = self.store.interrupt(self.seen_ns, cause)
        if status is Status.OK:
            status = self.store.process_end(self.seen_ns, cause)
        return status

    def all(self) -> Status:
        """In one transaction."""
        anchor_ns = self.mapping.header.anchor_ns
        self.seen_ns = anchor_ns if anchor_ns <= NUMBER_MOST else 0
        steps = (
            self.store.begin, self._process, self._definitions, self._records,
            self._drop, self._end, self.store.commit,
        )  # fmt: skip
        status = Status.OK
        try:
            for step in steps:
                status = step()
                if status is not Status.OK:
                    break
        finally:
            self.store.rollback()  # where it was not committed
        return status


# ---- opening ----


def recover(
    map_path: str, schema: str, schema_version: int, compress: int
) -> tuple[Status, Recovered]:
    """Recover ``map_path`` (<directory>/<process id>.map).

    ``schema`` as for Store.open: a segment that was never created is created.
    """
    recovered = Recovered()
    recovery = _Recovery(recovered)
    status = _open_mapping(recovery, map_path)
    if status is not Status.OK:
        return status, recovered
    try:
        status = _recover_open(recovery, map_path, schema, schema_version, compress)
    except BaseException:
        status = Status.IO
        raise
    finally:
        recovery.mapping.destroy(status is Status.OK)
    return status, recovered


def recover_file(
    map_path: str, schema: str, schema_version: int, compress: int
) -> dict[str, int]:
    """``recover`` with the face that the extension's has: raises OSError."""
    status, recovered = recover(map_path, schema, schema_version, compress)
    if status is Status.BUSY:
        raise BlockingIOError(f"{map_path}: its process is running")
    if status is not Status.OK:
        raise OSError(f"{map_path}: {recovered.error}")
    return {
        "blocks": recovered.blocks,
        "records": recovered.records,
        "definitions": recovered.definitions,
        "damaged": recovered.damaged,
        "lost": recovered.lost_records,
    }


def _open_mapping(recovery: _Recovery, path: str) -> Status:
    status, number = recovery.mapping.open_dead(path)
    if status is Status.BUSY:
        why = "its process lives, or is being recovered"
    elif status is Status.CORRUPT:
        why = "not a mapping of this version"
    else:
        why = f"cannot be opened (errno {number})"
    if status is not Status.OK:
        recovery.recovered.error = f"{path}: {why}"
    return status


def _recover_open(
    recovery: _Recovery, map_path: str, schema: str, schema_version: int, compress: int
) -> Status:
    header = recovery.mapping.header
    recovered = recovery.recovered
    segment = header.segment
    recovered.lost_records = header.lost_records
    directory, name = os.path.split(map_path)
    if name != f"{header.process_id}.map":
        recovered.error = f"{map_path}: does not bear its process's name"
        return Status.CORRUPT
    directory = directory or "."
    path = store_path(directory, header.process_id, segment)
    following = store_path(directory, header.process_id, segment + 1)
    status = recovery.store.open(path, schema, schema_version)
    try:
        if status is Status.OK:
            recovery.store.compress = compress
            status = recovery.all()
        if status is Status.OK:
            drop_before(
                recovery.store, directory, header.process_id, segment, schema,
                schema_version,
            )  # fmt: skip
        if status is not Status.OK:
            recovered.error = recovery.store.error
    finally:
        recovery.store.close()
    if status is Status.OK:
        _remove_stillborn(following, schema, schema_version)
    return status


def _remove_stillborn(path: str, schema: str, schema_version: int) -> None:
    """A rotation that did not come to its end left a copy of what the segment has.

    No block can be in it; if there is one the header lies, and nothing is removed.
    """
    if not os.path.exists(path):
        return
    store = Store()
    status = store.open(path, schema, schema_version)
    blocks = 1
    if status is Status.OK:
        status, blocks = store.ask("SELECT count(*) FROM block")
    store.close()
    if status is Status.OK and blocks == 0:
        store_remove(path)
