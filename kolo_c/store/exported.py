"""A file that ``kolo-c export`` wrote, or a segment on its own: is it one, is it whole?

What is wrong with it is said in the words of a person who was given a file, not of one
who looks after a store.

Threads: one at a time. Owns: nothing. Fails: StoreError, with the slugs
``file-missing``, ``store-foreign``, ``store-newer``, ``file-cut``, ``store-corrupt``.
"""

from __future__ import annotations

import os
from pathlib import Path

from kolo_c.errors import StoreError
from kolo_c.store.connection import DatabaseError, connect
from kolo_c.store.opening import database_error, reading_mode
from kolo_c.store.reader import Store
from kolo_c.wire import SCHEMA_VERSION

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_TABLES = {
    "process", "trace", "thread", "definition", "block", "block_data", "file", "source",
}  # fmt: skip
_MAKE = "kolo-c export TRACE FILE makes such a file."
AGAIN = "It was copied in part, or damaged on the way: get it again."


def open_exported(path: Path) -> Store:
    """The file as a store of its own, for reading."""
    check_exported(path)
    return Store.of_file(Path(os.path.realpath(path)))


def check_exported(path: Path, *, thorough: bool = False) -> None:
    """Raise where ``path`` is no whole file of ours; ``thorough`` reads all of it."""
    _check_header(path)
    try:
        with connect(path, reading_mode(path)) as db:
            version = db.execute("PRAGMA user_version")[0][0]
            # Virtual tables are tables, too, and run code of their own.
            rows = db.execute(
                "SELECT name FROM sqlite_master "
                "WHERE type = 'table' AND sql LIKE 'CREATE TABLE%'"
            )
            tables = {row[0] for row in rows}
            _check_schema(path, version, tables)
            if thorough:
                found = db.execute("PRAGMA integrity_check(1)")[0][0]
                if found != "ok":
                    raise _damaged(path, str(found))
    except DatabaseError as error:
        raise database_error(path, error) from error


def _check_header(path: Path) -> None:
    if os.path.exists(f"{path}-wal"):
        # In use, maybe by this process: to close a file that its SQLite has open, too,
        # would drop its locks. What the header could tell, a query tells.
        return
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise StoreError(
                path, "is a pipe or a device, not a file",
                "Write what comes from it to a file first.", slug="file-missing",
            )  # fmt: skip
        with open(path, "rb") as file:
            header = file.read(_HEADER_BYTES)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise StoreError(path, "is not there", _MAKE, slug="file-missing") from None
    except IsADirectoryError:
        raise StoreError(
            path,
            "is a directory, not a file",
            "To read the store in a directory, go there or set KOLO_C_PATH to it.",
            slug="file-missing",
        ) from None
    except OSError as error:
        raise StoreError(
            path, f"cannot be read: {error.strerror}", "Check its permissions.",
            slug="store-unreadable",
        ) from error  # fmt: skip
    if not size:
        raise StoreError(path, "is empty", AGAIN, slug="file-cut")
    if header[: len(_MAGIC)] != _MAGIC[: len(header)]:
        raise StoreError(path, "is not a database", _MAKE, slug="store-foreign")
    whole = max(_whole_size(header), _HEADER_BYTES)
    if size < whole and not os.path.exists(f"{path}-wal"):
        raise StoreError(
            path,
            f"is cut short: it has {size:,} of {whole:,} bytes",
            AGAIN,
            slug="file-cut",
        )


def _whole_size(header: bytes) -> int:
    """How long the file must be, as its header says."""
    page = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    # Written by an old SQLite, the count may be a leftover: it counts where the change
    # counter beside it agrees.
    valid = header[24:28] == header[92:96]
    return (65536 if page == 1 else page) * pages if valid else 0


def _check_schema(path: Path, version: int, tables: set[str]) -> None:
    if not tables and version == 0:
        raise StoreError(
            path, "has nothing in it: its writing was never finished", AGAIN,
            slug="file-cut",
        )  # fmt: skip
    if not tables >= _TABLES:
        raise StoreError(
            path, "is a database, but none of kolo_c", _MAKE, slug="store-foreign"
        )
    if version > SCHEMA_VERSION:
        raise StoreError(
            path,
            f"has schema version {version}, this kolo-c reads up to {SCHEMA_VERSION}",
            "It was written by a newer kolo-c. Upgrade: pip install -U kolo-c",
            slug="store-newer",
        )
    if version < 1:
        raise StoreError(
            path, f"has schema version {version}, which there never was", AGAIN,
            slug="store-foreign",
        )  # fmt: skip


def _damaged(path: Path, found: str) -> StoreError:
    return StoreError(path, f"is damaged: {found}", AGAIN, slug="store-corrupt")
