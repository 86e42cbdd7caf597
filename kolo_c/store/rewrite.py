"""A new segment made of parts of others: for deletion, export and import.

It grows under a name that nobody reads, is brought to the disk, and only then takes its
place in one step: a crash in the middle leaves what was there, and a reader that has
the old file open goes on reading it.

Threads: one at a time. Owns: the unfinished file, which goes when the block ends before
``finish``. Fails: StoreError.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import msgpack

from kolo_c.errors import StoreError
from kolo_c.store.connection import (
    FULL,
    IOERR,
    READONLY,
    DatabaseError,
    connect,
    uri_of,
)
from kolo_c.store.decoding import DAMAGE
from kolo_c.store.opening import database_error, reading_mode
from kolo_c.store.placing import file_error, put_in_place, unfinished_name
from kolo_c.store.private import make_file
from kolo_c.wire import SCHEMA_VERSION, Definition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from kolo_c.store.connection import Value

_TRACE_KINDS = (
    Definition.TRACE,
    Definition.TRACE_END,
    Definition.TRACE_SET,
    Definition.TRACE_DROP,
)
_TABLES = ("process", "trace", "thread", "file", "source")


class NewSegment:
    """A segment that is being written."""

    def __init__(self, path: Path) -> None:
        """For ``path``, which stays as it is before ``finish``."""
        self.path = path
        self._unfinished = unfinished_name(path)
        self._open = False
        try:
            os.close(make_file(self._unfinished))
        except OSError as error:
            raise file_error(path, error) from error
        self._open = True
        try:
            self._db = connect(self._unfinished, "rw")
            self._prepare()
        except BaseException as error:
            self.discard()
            if isinstance(error, DatabaseError):
                raise database_error(path, error) from error
            raise

    def __enter__(self) -> NewSegment:
        return self

    def __exit__(self, *raised: object) -> None:
        self.discard()

    def discard(self) -> None:
        """Remove what is not finished; harmless after ``finish``."""
        if not self._open:
            return
        self._open = False
        if hasattr(self, "_db"):
            self._db.close()
        try:
            os.unlink(self._unfinished)
        except OSError:
            pass

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        """Run one statement on it."""
        try:
            return self._db.execute(sql, values)
        except DatabaseError as error:
            raise database_error(self.path, error) from error

    def insert(self, table: str, row: Sequence[Value]) -> None:
        """Add a row; texts may hold what is no UTF-8."""
        marks = ", ".join(
            "CAST(? AS TEXT)" if isinstance(value, str) else "?" for value in row
        )
        values = [
            value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
            for value in row
        ]
        self.execute(f"INSERT OR IGNORE INTO main.{table} VALUES ({marks})", values)

    def copy(self, source: Path, numbers: Iterable[int], *, keep: bool) -> None:
        """Copy from ``source``: of its traces those of ``numbers`` alone, or with
        ``keep`` False all but those. What is here already stays."""
        mode = reading_mode(source)
        self.execute("ATTACH ? AS old", (uri_of(source, mode),))
        try:
            self._choose(numbers)
            chosen = f"{'' if keep else 'NOT '}IN (SELECT number FROM temp.chosen)"
            self.execute("BEGIN")
            self._copy_tables(chosen)
            self._copy_blocks(chosen)
            self._copy_definitions(keep=keep)
            self.execute("COMMIT")
        except StoreError as error:
            raise _about(source, error) from error
        finally:
            for statement in ("ROLLBACK", "DETACH old"):
                try:
                    self._db.execute(statement)
                except DatabaseError:
                    pass  # it was committed; or what failed is being raised

    def add_definitions(
        self, sequence: int, start: int, data: bytes, kept: set[int]
    ) -> None:
        """Add a piece of the definitions log, without what it says of traces that are
        not among ``kept``."""
        data, first, last = _sift(data, lambda number: number in kept)
        if data:
            self.insert("definition", (sequence, start, first, last, data))

    def finish(self, *, overwrite: bool, like: os.stat_result | None = None) -> None:
        """Bring it to the disk and to its place; ``like`` says whose owner, mode and
        time it takes. Where there is a file now and ``overwrite`` is False: StoreError
        with the slug ``file-exists``."""
        try:
            self._db.close()
            with open(self._unfinished, "rb") as file:
                os.fsync(file.fileno())
            if like is not None:
                _take_after(self._unfinished, like)
            put_in_place(self._unfinished, self.path, overwrite=overwrite)
        except OSError as error:
            raise file_error(self.path, error) from error
        self._open = False

    def _prepare(self) -> None:
        # Whatever goes wrong, this file is thrown away: it needs no journal on the disk
        # (none at all is nothing that a careful SQLite allows), and is brought there
        # once, at the end.
        for pragma in (
            "page_size = 4096", "journal_mode = MEMORY", "synchronous = OFF",
            "temp_store = MEMORY", "secure_delete = ON",
            f"user_version = {SCHEMA_VERSION}",
        ):  # fmt: skip
            self._db.execute(f"PRAGMA {pragma}")
        schema = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
        for statement in re.sub(r"--[^\n]*", "", schema).split(";"):
            if statement.strip():
                self._db.execute(statement)
        self._db.execute("CREATE TEMP TABLE chosen (number INTEGER PRIMARY KEY)")

    def _choose(self, numbers: Iterable[int]) -> None:
        self.execute("BEGIN")
        self.execute("DELETE FROM temp.chosen")
        for number in numbers:
            self.execute("INSERT OR IGNORE INTO temp.chosen VALUES (?)", (number,))
        self.execute("COMMIT")

    def _columns(self, table: str) -> str:
        rows = self.execute(f"PRAGMA main.table_info({table})")
        return ", ".join(row[1] for row in rows)

    def _copy_tables(self, chosen: str) -> None:
        for table in _TABLES:
            columns = self._columns(table)
            where = f" WHERE number {chosen}" if table == "trace" else ""
            self.execute(
                f"INSERT OR IGNORE INTO main.{table} ({columns}) "
                f"SELECT {columns} FROM old.{table}{where}"
            )

    def _copy_blocks(self, chosen: str) -> None:
        """With keys after those that are there: each segment counts its own."""
        base = self.execute("SELECT COALESCE(MAX(id), 0) FROM main.block")[0][0]
        columns = self._columns("block").partition(", ")[2]
        self.execute(
            f"INSERT OR IGNORE INTO main.block (id, {columns}) "
            f"SELECT id + ?, {columns} FROM old.block WHERE trace {chosen}",
            (base,),
        )
        self.execute(
            "INSERT INTO main.block_data (id, encoding, data) "
            "SELECT new.id, encoding, data FROM main.block AS new "
            "JOIN old.block_data AS bytes ON bytes.id = new.id - ? WHERE new.id > ?",
            (base, base),
        )

    def _copy_definitions(self, *, keep: bool) -> None:
        numbers = {row[0] for row in self.execute("SELECT number FROM temp.chosen")}
        keys = self.execute("SELECT sequence, start FROM old.definition ORDER BY first")
        for key in keys:
            rows = self.execute(
                "SELECT first, last, data FROM old.definition "
                "WHERE sequence = ? AND start = ?",
                key,
            )
            for first, last, data in rows:
                if not isinstance(data, bytes):
                    continue
                sifted, _, _ = _sift(data, lambda number: (number in numbers) is keep)
                if sifted:
                    self.insert("definition", (*key, first, last, sifted))


def _sift(data: bytes, wanted: Any) -> tuple[bytes, int, int]:
    """A piece of the log without what it defines of traces that are not ``wanted``;
    its lowest and highest number."""
    kept = []
    numbers = []
    at = 0
    unpacker = msgpack.Unpacker(
        None, raw=True, strict_map_key=False, max_buffer_size=max(len(data), 1)
    )
    unpacker.feed(data)
    try:
        while at < len(data):
            fields = unpacker.unpack()
            end = unpacker.tell()
            if fields[0] not in _TRACE_KINDS or wanted(fields[2]):
                numbers.append(int(fields[1]))
                kept.append(data[at:end])
            at = end
    except DAMAGE:
        kept.append(data[at:])  # not to be read, but not ours to throw away
    return b"".join(kept), min(numbers, default=0), max(numbers, default=0)


def _take_after(path: str, like: os.stat_result) -> None:
    os.chmod(path, stat.S_IMODE(like.st_mode))
    try:
        os.chown(path, like.st_uid, like.st_gid)
    except OSError:
        pass  # only root may give a file away, and for the others it is theirs
    # Its age is that of what it holds: retention goes by it.
    os.utime(path, ns=(like.st_atime_ns, like.st_mtime_ns))


def _about(source: Path, error: StoreError) -> StoreError:
    """What failed while reading is the fault of what was read, not of the new file."""
    if error.name in {f"sqlite-{code}" for code in (FULL, IOERR, READONLY)}:
        return error
    _, _, said = error.message.partition(": ")
    return StoreError(source, said, error.hint, slug=error.name)
