"""One SQLite segment: opened, filled block by block, closed. Twin of src/plain/store.c.

Writer and recovery share it. All of a batch goes into one transaction: definitions
first, then blocks, so that what a block needs is never younger than the block.
Definitions are read in store_definitions.py, as far as they are rows of their own; what
a new segment takes over from the one before is in store_carry.py.

Python's ``sqlite3`` writes. A process that has loaded this module reads its store with
it, too (kolo_c.store.connection): two copies of SQLite in one process drop each other's
locks. Blocks are compressed where Python brings zstd along (3.14 and newer), else
stored as they are: the schema has both. A connection is closed while the process forks
(``suspend``), and opened again by the next statement.

Threads: one at a time. Owns: the connection.
Fails: by Status STORE, NO_MEMORY or CORRUPT; ``error`` says why. A failed transaction
is rolled back: nothing of it is saved, and it may be tried again.
"""

from __future__ import annotations

import sqlite3
from _sqlite3 import connect  # of sqlite3 it may be what our own plugin put there
from errno import ELOOP
from functools import lru_cache
from importlib import import_module
from os import O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY
from stat import S_ISLNK

from kolo_c.reference import row, system
from kolo_c.reference.block import (
    BLOCK_BYTES,
    BLOCK_DATA_BYTES,
    CLOSE_BYTES,
    OPEN_BYTES,
)
from kolo_c.reference.descriptor import Descriptor, find_descriptor, keep_for_ever
from kolo_c.reference.status import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kolo_c.reference.block import Block

_UNSHARED = (
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = TRUNCATE",
    "PRAGMA locking_mode = NORMAL",
)
_NEW = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
BUSY_SECONDS = 0.25
"""Readers hold no lock for long; the writer tries again."""
# Larger pages waste half a page a block, and take longer to fold in at the end.
PAGE_BYTES = 4096
BUSY = 5
"""SQLite's primary code where another connection has the lock."""
IOERR = 10
SCHEMA = 17
RAW, ZSTD = 0, 1
NOMEM = 7

# 3.10 has the message alone.
_CODE_OF_TEXT = (
    ("is locked", BUSY),
    ("readonly", 8),
    ("disk I/O", 10),
    ("malformed", 11),
    ("is full", 13),
    ("unable to open", 14),
    ("not a database", 26),
)


def make_directory(directory: str) -> None:
    """Make the folder of the segments where it is missing; OSError.

    And beside it a .gitignore that keeps the store out of git.
    """
    store = directory.rpartition("/")[0]
    _make_folders(directory)
    for path in (directory, store):
        _refuse_link(path)
    try:
        fd = system.open(store + "/.gitignore", _NEW, 0o600)
    except OSError:
        return
    try:
        system.write(fd, b"*\n")
    finally:
        system.close(fd)


def _make_folders(path: str) -> None:
    """``path``, whose parents are made first where they are missing."""
    try:
        _make_one(path)
    except FileNotFoundError:
        above = path.rpartition("/")[0]
        if not above:
            raise
        _make_folders(above)
        _make_one(path)  # that in /proc is missing still: it cannot be made


def _make_one(path: str) -> None:
    try:
        system.mkdir(path, 0o700)
    except FileExistsError:
        pass


def _refuse_link(path: str) -> None:
    if S_ISLNK(system.lstat(path).st_mode):
        raise OSError(ELOOP, "is a symbolic link", path)


def make_file(path: str) -> None:
    """An empty file for SQLite to fill, and its owner's alone: what SQLite keeps beside
    it gets the same mode. SQLite would go where a link leads."""
    try:
        # Nobody has it open: to close it drops no lock of SQLite's.
        system.close(system.open(path, _NEW, 0o600))
    except FileExistsError:
        _refuse_link(path)
    except OSError:
        pass  # SQLite says what is wrong


def store_path(directory: str, process_id: str, segment: int) -> str:
    """Where a process's segment is."""
    return f"{directory}/{process_id}-{segment}.db"


def store_remove(path: str) -> None:
    """Remove a segment that nobody has open."""
    for ending in ("-wal", "-shm", "-journal", ""):
        try:
            system.unlink(path + ending)
        except OSError:
            pass


class Store:
    """See the module."""

    def __init__(self) -> None:
        self.path = ""
        self.unshared = False
        """No WAL: on this file system processes share no memory."""
        self.compress = 1
        """The zstd level; 0 stores raw."""
        self.drops: list[tuple[int, int]] = []
        """Traces that this transaction's definitions dropped, and the first segment
        that may have blocks of each: store_drop.py."""
        self.block_count = 0  # inserted; all three count what is rolled back, too
        self.stored_bytes = 0
        self.mask_count = 0  # secrets masked in sources
        self.error_code = 0  # SQLite's, of the last failure
        self.error = ""
        self._db: sqlite3.Connection | None = None
        self._files: list[Descriptor] | None = None
        """The descriptors that SQLite has; None until it has opened them all."""
        self.lost = False
        """A connection that had lost them was put away: the file must not be opened
        again, as SQLite remembers it with what that connection held."""

    # ---- life ----

    def open(self, path: str, schema: str, version: int) -> Status:
        """Open or create the segment at ``path``.

        ``schema`` is the text of schema.sql, executed in a new file; ``version`` is its
        number: another one in an existing file is STORE with a message.
        """
        self.path = path
        try:
            make_file(path)
            status = self._connect(schema, version)
        except (sqlite3.Error, MemoryError, OSError) as error:
            status = self.fail(error)
        if status is not Status.OK:
            self.close()
        return status

    def _connect(self, schema: str, version: int) -> Status:
        """And again, where a WAL may be what fails: it needs memory that processes
        share, which some file systems do not have (of other machines, of virtual ones).
        Who has the file for itself needs none: so a WAL is folded in, and from then on
        there is none."""
        try:
            return self._prepare(schema, version)
        except sqlite3.Error as error:
            self.fail(error)
            if self.error_code & 0xFF != IOERR:
                raise
        self.suspend()
        self.unshared = True
        return self._prepare(schema, version)

    def _prepare(self, schema: str, version: int) -> Status:
        """A file without tables gets the schema, one of another version is refused."""
        found = self._ask("PRAGMA user_version")
        if self._ask("SELECT count(*) FROM sqlite_master") != 0:
            if found == version:
                return Status.OK
            self.error = (
                f"{self.path}: has schema version {found}, "
                f"this kolo_c writes version {version}"
            )
            self.error_code = SCHEMA
            return Status.STORE
        db = self.db()
        # An empty segment lost with the machine's power is no loss: do not wait for the
        # disk before there is something in it.
        db.execute("PRAGMA synchronous = OFF")
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        if not self.unshared:
            db.execute("PRAGMA journal_mode = WAL").fetchall()
        db.executescript(
            f"BEGIN IMMEDIATE; {schema}; PRAGMA user_version = {version}; COMMIT"
        )
        db.execute("PRAGMA synchronous = NORMAL")
        return Status.OK

    def db(self) -> sqlite3.Connection:
        """The connection, made where there is none."""
        if self.lost:
            raise sqlite3.OperationalError("the program has its descriptors")
        if self._db is None:
            db = connect(
                self.path,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            self._db = db
            self._files = None
            # What does not fit into memory would go to a folder that is none of ours.
            db.execute("PRAGMA temp_store = MEMORY")
            for pragma in _UNSHARED if self.unshared else ():
                db.execute(pragma).fetchall()
            db.execute("PRAGMA synchronous = NORMAL")
        return self._db

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self._db is not None

    def suspend(self) -> None:
        """Close the connection, if there is one; the next statement opens another.

        A child of a fork must not have it, nor even close it.
        """
        if not self.has_files():
            self.lost = True
            keep_for_ever(self.abandon())
        db, self._db = self._db, None
        try:
            if db is not None:
                db.close()
        except sqlite3.Error:
            pass  # PyPy: a signal's exception left a statement there, for good

    def close(self) -> None:
        """Close; the last connection folds the WAL into the file."""
        if self.unshared and self.has_files():
            # It is there for as long as the file is written to: kolo_c/store/opening.py
            self.run_aside("PRAGMA journal_mode = DELETE")
        self.suspend()

    def abandon(self) -> sqlite3.Connection | None:
        """Forget the connection without closing it; whoever gets it keeps it."""
        db, self._db = self._db, None
        return db

    def has_files(self) -> bool:
        """Whether the descriptors that SQLite has are its files' still.

        Where the program has closed them, or they are files of its own by now, nothing
        must be done with the connection any more, and ``close`` does nothing with it.
        """
        if self._db is None:
            return not self.lost
        return all(file.is_ours() for file in self._files or ())

    def _note_files(self) -> None:
        """Remember which they are."""
        names = [self.path + ending for ending in ("", "-wal", "-shm", "-journal")]
        found = [find_descriptor(name) for name in names]
        self._files = [file for file in found if file is not None]

    # ---- statements ----

    def fail(self, error: BaseException) -> Status:
        """Keep what SQLite says of its failure."""
        if isinstance(error, MemoryError):
            self.error_code = NOMEM
            self.error = f"{self.path}: out of memory"
            return Status.NO_MEMORY
        text = str(error)
        code: int | None = getattr(error, "sqlite_errorcode", None)
        if code is None:
            code = next((code for says, code in _CODE_OF_TEXT if says in text), 1)
        self.error_code = code
        self.error = f"{self.path}: {text}"
        return Status.STORE

    def run(self, sql: str, *values: Any) -> Status:
        """Run one statement that gives no rows."""
        try:
            self.db().execute(sql, values)
        except (sqlite3.Error, MemoryError) as error:
            return self.fail(error)
        return Status.OK

    def _ask(self, sql: str) -> int:
        rows = self.db().execute(sql).fetchall()
        return rows[0][0] or 0 if rows else 0

    def ask(self, sql: str) -> tuple[Status, int]:
        """One number from ``sql`` (0 where there is no row, or NULL)."""
        try:
            return Status.OK, self._ask(sql)
        except (sqlite3.Error, MemoryError) as error:
            return self.fail(error), 0

    def ask_row(self, sql: str, *values: Any) -> tuple[Status, bool]:
        """Whether ``sql`` gives a row."""
        try:
            rows = self.db().execute(sql, values).fetchall()
        except (sqlite3.Error, MemoryError) as error:
            return self.fail(error), False
        return Status.OK, bool(rows)

    def run_aside(self, sql: str) -> None:
        """Run one statement whose failure is none of the store's."""
        try:
            self.db().execute(sql)
        except sqlite3.Error:
            pass

    def begin(self) -> Status:
        """Begin a transaction."""
        self.drops.clear()
        status = self.run(row.BEGIN)
        if self._files is None and status is Status.OK:
            self._note_files()
        return status

    def commit(self) -> Status:
        """End it."""
        return self.run(row.COMMIT)

    def rollback(self) -> None:
        """Take it back; the first error is the one to tell."""
        try:
            if self._db is not None and self.has_files() and self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            pass

    # ---- rows ----

    def process(
        self,
        process_id: str,
        segment: int,
        pid: int,
        started_ns: int,
        started_utc_ns: int,
        info: str,
    ) -> Status:
        """The process's row (REPLACE). ``info`` is JSON."""
        return self.run(
            row.PROCESS, process_id, row.signed(segment), pid, row.signed(started_ns),
            row.signed(started_utc_ns), row.mend_text(info.encode(*_UTF8)),
        )  # fmt: skip

    def process_end(self, ended_ns: int, cause: str) -> Status:
        """How the process ended (the first to say so is right)."""
        return self.run(row.PROCESS_END, row.signed(ended_ns), cause)

    def anchor(self, anchor_ns: int, anchor_utc_ns: int) -> Status:
        """The clocks read together."""
        return self.run(row.ANCHOR, row.signed(anchor_ns), row.signed(anchor_utc_ns))

    def interrupt(self, ended_ns: int, cause: str) -> Status:
        """What still runs ended with the process: those traces are `interrupted`."""
        return self.run(row.INTERRUPT, row.signed(ended_ns), cause)

    def block(self, block: Block) -> Status:
        """Save a block of records with its header.

        A block that is there already is left. CORRUPT where the header's counts lead
        outside the block.
        """
        size, closes, opens = block.bytes(), block.close_count(), block.open_count
        if size + closes * CLOSE_BYTES + opens * OPEN_BYTES > BLOCK_DATA_BYTES:
            self.error = f"{self.path}: a block's counts are wrong"
            return Status.CORRUPT
        data = bytes(block.data)
        closes_end = BLOCK_DATA_BYTES - closes * CLOSE_BYTES
        closes_tail = _turned_round(data, BLOCK_DATA_BYTES, closes, CLOSE_BYTES)
        opens_tail = _turned_round(data, closes_end, opens, OPEN_BYTES)
        try:
            done = self.db().execute(
                row.BLOCK,
                (
                    block.trace_number, block.thread_number, row.signed(block.sequence),
                    row.signed(block.base_ns), row.signed(block.last_ns),
                    row.signed(block.first_node), block.node_count, block.record_count,
                    block.start_depth, block.least_depth, row.signed(block.definition),
                    size, closes_tail, opens_tail,
                ),
            )  # fmt: skip
            if done.rowcount == 0:
                return Status.OK  # a recovery before us had it
            encoding, stored = self.pack(data[:size])
            self.db().execute(row.BLOCK_DATA, (done.lastrowid, encoding, stored))
        except (sqlite3.Error, MemoryError) as error:
            return self.fail(error)
        self.stored_bytes += len(closes_tail or b"") + len(opens_tail or b"")
        self.stored_bytes += len(stored)
        self.block_count += 1
        return Status.OK

    def pack(self, data: bytes) -> tuple[int, bytes]:
        """Encoding and bytes: compressed where that can be done and is shorter."""
        compress = _zstd() if self.compress != 0 else None
        if compress is not None:
            short = compress(data, self.compress)
            if len(short) < len(data):
                return ZSTD, short
        return RAW, data

    def unused(self) -> int:
        """How much of its size is free for what comes."""
        status, pages = self.ask("PRAGMA freelist_count")
        return pages * PAGE_BYTES if status is Status.OK else 0

    def size(self) -> int:
        """Bytes on disk: main file and WAL."""
        size = 0
        for ending in ("", "-wal"):
            try:
                size += system.stat(self.path + ending).st_size
            except OSError:
                pass
        return size


_UTF8 = ("utf-8", "surrogatepass")
assert BLOCK_BYTES == 65536  # what the schema and every reader take for granted


def _turned_round(data: bytes, end: int, count: int, size: int) -> bytes | None:
    """``count`` items of ``size`` bytes before ``end``, in the order they happened."""
    starts = range(end - size, end - (count + 1) * size, -size)
    return b"".join(data[at : at + size] for at in starts) if count else None


@lru_cache(maxsize=1)
def _zstd() -> Callable[[bytes, int], bytes] | None:
    """What compresses, where Python brings it along."""
    try:
        found: Callable[[bytes, int], bytes] = import_module(
            "compression.zstd"
        ).compress
    except ImportError:
        return None
    return found
