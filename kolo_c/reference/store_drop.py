"""What is deleted of traces that are not to be stored. Twin of src/plain/store_drop.c.

Threads: the store's. Owns: nothing. Fails: as store.py says.
"""

from __future__ import annotations

import os

from kolo_c.reference import row
from kolo_c.reference.status import Status
from kolo_c.reference.store import Store, store_path


def drop(store: Store) -> Status:
    """The last step of a transaction: delete what its definitions dropped.

    They stay in ``drops`` until the next one begins.
    """
    return _delete(store, [trace for trace, _ in store.drops])


def _delete(store: Store, traces: list[int]) -> Status:
    for trace in traces:
        for sql in (row.DROP_DATA, row.DROP_BLOCKS, row.DROP_TRACE):
            status = store.run(sql, row.signed(trace))
            if status is not Status.OK:
                return status
    return Status.OK


def drop_before(
    store: Store,
    directory: str,
    process_id: str,
    segment: int,
    schema: str,
    version: int,
) -> None:
    """After the commit: delete what earlier segments, those below ``segment``, have of
    the dropped traces, and give the disk back what that leaves unused.

    What cannot be done there (a reader is in the way) is left: no reader shows it.
    """
    first = min((since for _, since in store.drops), default=segment)
    for earlier in range(first, segment):
        path = store_path(directory, process_id, earlier)
        traces = [trace for trace, since in store.drops if since <= earlier]
        if os.path.exists(path):
            _delete_in_segment(path, traces, schema, version)


def _delete_in_segment(path: str, traces: list[int], schema: str, version: int) -> None:
    store = Store()
    if store.open(path, schema, version) is not Status.OK:
        return
    try:
        status = store.begin()
        if status is Status.OK:
            status = _delete(store, traces)
        if status is Status.OK and store.commit() is Status.OK:
            _shrink(store)
    finally:
        store.rollback()  # where it was not committed
        store.close()


def _shrink(store: Store) -> None:
    """Nobody writes to an earlier segment again: what is free in it stays so.

    Written anew where that is more than half of it, so the work is never more than what
    it gives.
    """
    status, pages = store.ask("PRAGMA page_count")
    counted, unused = store.ask("PRAGMA freelist_count")
    if status is counted is Status.OK and unused > pages // 2:
        store.run("VACUUM")
