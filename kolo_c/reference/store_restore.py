"""A segment whose file was removed is written anew. Twin of src/plain/store_restore.c.

Threads: the store's. Owns: nothing. Fails: as store.py says; the store is as it was,
then.
"""

from __future__ import annotations

from kolo_c.reference import system
from kolo_c.reference.status import Status
from kolo_c.reference.store import make_file, store_remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.reference.store import Store


def restore(store: Store) -> Status:
    """Write all that ``store`` has anew under the same name, and go on there.

    Its file was removed while it is open. Where the connection is closed, as around a
    fork, there is nothing left of it.
    """
    if not store.is_connected:
        store.error = f"{store.path}: was removed"
        return Status.STORE
    name = f"{store.path}.new"
    _remove(name)
    status = _copy(store, name)
    if status is not Status.OK:
        _remove(name)
        return status
    store.suspend()  # the next statement opens the new file
    if store.unshared:
        return Status.OK
    return store.run("PRAGMA journal_mode = WAL")


def _copy(store: Store, name: str) -> Status:
    """What the connection still has, in the file's place."""
    try:
        make_file(name)
    except OSError as error:
        return store.fail(error)
    status = store.run("VACUUM INTO ?", name)
    if status is Status.OK:
        store_remove(store.path)  # a WAL that was left beside it is of no other file
        try:
            system.rename(name, store.path)
        except OSError as error:
            store.error = f"{store.path}: {error}"
            return Status.IO
    return status


def _remove(name: str) -> None:
    try:
        system.unlink(name)
    except OSError:
        pass
