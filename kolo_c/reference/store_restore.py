"""A segment whose file was removed is written anew, and one whose descriptors the
program has taken is gone on with in a copy. Twin of src/plain/store_restore.c.

Threads: the store's. Owns: nothing. Fails: as store.py says; the store is as it was,
then.
"""

from __future__ import annotations

import mmap
import sqlite3
from _sqlite3 import connect  # as in store.py
from contextlib import closing
from os import O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY

from kolo_c.reference import system
from kolo_c.reference.descriptor import keep_for_ever
from kolo_c.reference.status import Status
from kolo_c.reference.store import make_file, store_remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.reference.store import Store


def restore(store: Store) -> Status:
    """Write all that ``store`` has anew under the same name, and go on there.

    Its file was removed while it is open; or it has lost its descriptors, and what is
    on the disk is written. Where the connection is closed, as around a fork, there is
    nothing left of it.
    """
    lost = not store.has_files()
    if not store.is_connected and not lost:
        store.error = f"{store.path}: was removed"
        return Status.STORE
    name = f"{store.path}.new"
    store_remove(name)
    status = _duplicate(store, name) if lost else _copy(store, name)
    if status is not Status.OK:
        store_remove(name)
        return status
    store.suspend()  # the next statement opens the new file
    store.lost = False
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


def _duplicate(store: Store, name: str) -> Status:
    """What is on the disk, in the file's place.

    First the logs: what another process may fold into the segment meanwhile is then in
    both of them. What was copied is there until the copy has its name: the old logs
    change nothing in it, so they may go later.
    """
    try:
        for ending in ("-wal", "-journal"):
            try:
                _copy_file(store.path + ending, name + ending)
            except FileNotFoundError:
                pass  # only one of the logs is there, if any
        _copy_file(store.path, name)
        # The last one to close it folds the log in.
        with closing(connect(name, isolation_level=None)) as copy:
            copy.execute("SELECT count(*) FROM sqlite_master").fetchall()
        _keep_inode(store.path)
        system.rename(name, store.path)
    except (OSError, ValueError, sqlite3.Error, MemoryError) as error:
        return store.fail(error)
    for ending in ("-wal", "-shm", "-journal"):
        try:
            system.unlink(store.path + ending)
        except OSError:
            pass
    return Status.OK


def _copy_file(path: str, name: str) -> None:
    source = system.open(path, O_RDONLY | O_NOFOLLOW)
    try:
        target = system.open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
        try:
            while data := system.read(source, 1 << 20):
                while data:
                    data = data[system.write(target, data) :]
            system.fsync(target)
        finally:
            system.close(target)
    finally:
        system.close(source)


def _keep_inode(path: str) -> None:
    """SQLite remembers the lost file by its number in the file system, which must not
    become that of another one: it stays in use for as long as the process lives. What
    is mapped needs no descriptor, which might be taken as well."""
    fd = system.open(path, O_RDONLY | O_NOFOLLOW)
    try:
        keep_for_ever(mmap.mmap(fd, 1, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ))
    finally:
        system.close(fd)
