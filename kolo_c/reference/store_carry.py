"""What a new segment takes over from the one before. Twin of src/plain/store_carry.c.

Threads: the store's. Owns: nothing. Fails: as store.py says.
"""

from __future__ import annotations

import sqlite3

from kolo_c.reference import row
from kolo_c.reference.block import BLOCK_DATA_BYTES
from kolo_c.reference.status import Status
from kolo_c.reference.wire import Token, Walk
from kolo_c.wire import Definition as Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.reference.store import Store

CARRY_ROWS = (
    "INSERT OR REPLACE INTO main.process "
    "SELECT id, segment + 1, pid, started_ns, started_utc_ns, anchor_ns, "
    "anchor_utc_ns, ended_ns, cause, info FROM old.process",
    "INSERT OR REPLACE INTO main.trace SELECT * FROM old.trace "
    "WHERE status = 'running' OR number IN "
    "(SELECT number FROM old.trace WHERE status <> 'running' "
    "ORDER BY ended_ns DESC LIMIT 1000)",
    "INSERT OR REPLACE INTO main.thread SELECT * FROM old.thread "
    "WHERE number <= 1000 "
    "OR number > (SELECT max(number) FROM old.thread) - 1000 "
    "OR number IN (SELECT thread FROM old.block)",
    "INSERT OR REPLACE INTO main.file SELECT * FROM old.file",
    "INSERT OR REPLACE INTO main.source SELECT * FROM old.source",
)
_ROWS = (Kind.TRACE, Kind.TRACE_END, Kind.TRACE_SET, Kind.TRACE_DROP, Kind.THREAD)
_TASKS = 10_000  # of the first numbers, and of the last


def carry(store: Store, old: Store) -> Status:
    """Copy process, threads, definitions, files and sources of ``old`` into ``store``.

    It is new, and this a transaction of its own. Of the traces those that run are
    copied and the thousand that ended last, whose blocks may still be on their way; of
    the threads the first thousand and the last, and those that ``old`` has blocks of.
    Definitions of both stay behind, as do tasks but those whose numbers are among the
    first and the last ten thousand. Segments of a process that serves requests, each on
    a thread or task of its own, would grow without bound.
    """
    status = store.run("ATTACH ? AS old", old.path)
    if status is not Status.OK:
        return status
    try:
        status = store.begin()
        for sql in CARRY_ROWS:
            if status is Status.OK:
                status = store.run(sql)
        if status is Status.OK:
            status = _carry_definitions(store)
        if status is Status.OK:
            status = store.commit()
    finally:
        store.rollback()  # where it was not committed
    store.run_aside("DETACH old")
    return status


def _carry_definitions(store: Store) -> Status:
    try:
        ((last,),) = store.db().execute("SELECT max(last) FROM old.definition")
        pieces = store.db().execute(
            "SELECT sequence, start, first, last, data FROM old.definition"
        )
        for *place, data in pieces.fetchall():
            if len(data) > BLOCK_DATA_BYTES:
                continue  # none of ours is longer than a block
            kept = _sift(data, last or 0)
            if kept:
                store.db().execute(row.DEFINITION, (*place, kept))
    except (sqlite3.Error, MemoryError) as error:
        return store.fail(error)
    return Status.OK


def _sift(data: bytes, last: int) -> bytes:
    """The definitions of one piece that go along: traces and threads are rows; ``last``
    is the highest number."""
    kept = []
    walk = Walk(data)
    while walk.at < walk.end:
        start = walk.at
        if not walk.skip():
            walk.at = walk.end  # not to be read, but not ours to throw away
        if _goes_along(Walk(data, start), last):
            kept.append(data[start : walk.at])
    return b"".join(kept)


def _goes_along(inside: Walk, last: int) -> bool:
    array, kind, number = inside.next(), inside.next(), inside.next()
    if array is None or kind is None or kind[0] is not Token.UINT:
        return True
    if kind[1] == Kind.TASK and number is not None and number[0] is Token.UINT:
        return bool(number[1] <= _TASKS or last - number[1] < _TASKS)
    return kind[1] not in _ROWS
