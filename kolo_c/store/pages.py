"""A SQLite file without SQLite: the rows of every page that is whole.

For files that SQLite refuses, or stops reading in the middle of. It goes from its first
page from page to page; here each page is looked at by itself, as sqlite.org/fileformat2
describes it, so that one that is damaged costs what it holds and no more. Nothing that
a file says of itself is believed: a length, a page's number, a chain of pages.

What the WAL beside it has committed counts instead of what the file has, and pages on
the list of free ones are left out, as far as that list can be read.

Threads: one at a time. Owns: the open files, until close(). Fails: OSError.
"""

from __future__ import annotations

import os
import struct
from itertools import chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    Value = int | float | str | bytes | None
    Row = tuple[int | None, list[Value]]
    """Its rowid (None: it is of a table or an index without), and its columns."""

MAGIC = b"SQLite format 3\0"
PAGE_BYTES = 4096
"""Of the files that we write, for those that cannot tell any more."""
HEADER_BYTES = 100
_LEAF_TABLE, _LEAF_INDEX, _INTERIOR_INDEX = 0x0D, 0x0A, 0x02
_HEADER_OF_KIND = {_LEAF_TABLE: 8, _LEAF_INDEX: 8, _INTERIOR_INDEX: 12}
_WAL_MAGICS = {0x377F0682: "<", 0x377F0683: ">"}
_WAL_HEADER, _FRAME_HEADER = 32, 24
_MOST_COLUMNS = 64
_MOST_BYTES = 64 << 20
"""Of a row: no block and no source is as large."""
_MOST_TIMES = 4
"""So often a file's pages may be in rows that go on in others: of sound ones each is
once, of a damaged file pages of rows that were there before may be, too."""
_INT_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


class Unreadable(Exception):
    """There is no row here."""


class Pages:
    """The pages of one file and of its WAL."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._wal: BinaryIO | None = None
        self._file = open(self.path, "rb")  # noqa: SIM115 - close() does
        try:
            self.header = self._file.read(HEADER_BYTES)
            self._bytes = os.fstat(self._file.fileno()).st_size
            self.page_bytes, self._usable = _sizes(self.header)
            self._frames = self._read_wal()
            self._in_file = -(-self._bytes // self.page_bytes)
            self._most_bytes = (self._in_file + len(self._frames)) * self.page_bytes
            self._left_bytes = 0
            self._free = self._read_free()
        except BaseException:
            self.close()
            raise
        self.lost_rows = 0
        """Rows of readable pages that cannot be read themselves, so far."""

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        self._file.close()
        if self._wal is not None:
            self._wal.close()

    @property
    def user_version(self) -> int:
        """The schema's version, as far as the header can be trusted; otherwise 0."""
        first = self.page(1)
        return int.from_bytes(first[60:64], "big") if first.startswith(MAGIC) else 0

    def page(self, number: int) -> bytes:
        """One page, the first is 1; what is missing of it is zeros."""
        at = self._frames.get(number)
        if at is not None and self._wal is not None:
            self._wal.seek(at)
            data = self._wal.read(self.page_bytes)
        else:
            self._file.seek((number - 1) * self.page_bytes)
            data = self._file.read(self.page_bytes)
        return data.ljust(self.page_bytes, b"\0")

    def rows(self) -> Iterator[Row]:
        """Every row that can be read, page by page."""
        self.lost_rows = 0
        self._left_bytes = _MOST_TIMES * self._most_bytes
        # A frame may say that it is page two thousand million of a small file.
        further = sorted(number for number in self._frames if number > self._in_file)
        for number in chain(range(1, self._in_file + 1), further):
            if number in self._free:
                continue
            page = self.page(number)
            start = HEADER_BYTES if number == 1 else 0
            kind = page[start]
            if kind not in _HEADER_OF_KIND:
                continue
            count = int.from_bytes(page[start + 3 : start + 5], "big")
            first = start + _HEADER_OF_KIND[kind]
            if first + 2 * count > self._usable:
                continue  # no such page has room for so many
            for at in range(first, first + 2 * count, 2):
                cell = int.from_bytes(page[at : at + 2], "big")
                try:
                    yield self._row(page, kind, cell)
                except (Unreadable, IndexError):
                    self.lost_rows += 1

    # ---- rows ----

    def _row(self, page: bytes, kind: int, at: int) -> Row:
        rowid = None
        if kind == _INTERIOR_INDEX:
            at += 4  # the page to its left
        size, at = _varint(page, at)
        if kind == _LEAF_TABLE:
            rowid, at = _varint(page, at)
            most = self._usable - 35
            rowid -= (rowid >> 63) << 64
        else:
            most = (self._usable - 12) * 64 // 255 - 23
        return rowid, _columns(self._payload(page, at, size, most))

    def _payload(self, page: bytes, at: int, size: int, most: int) -> bytes:
        """The ``size`` bytes that begin at ``at``, and go on in other pages."""
        if size > min(_MOST_BYTES, self._most_bytes):
            raise Unreadable
        local = size
        if size > most:
            least = (self._usable - 12) * 32 // 255 - 23
            local = least + (size - least) % (self._usable - 4)
            local = local if local <= most else least
        if at + local > self._usable:
            raise Unreadable
        parts = [page[at : at + local]]
        left = size - local
        self._left_bytes -= left
        if self._left_bytes < 0:
            raise Unreadable
        following = int.from_bytes(page[at + local : at + local + 4], "big")
        while left > 0:
            # Each step takes its part of what is left: going in circles ends, too.
            if not self._has(following):
                raise Unreadable
            page = self.page(following)
            parts.append(page[4 : min(4 + left, self._usable)])
            left -= len(parts[-1])
            following = int.from_bytes(page[:4], "big")
        return b"".join(parts)

    def _has(self, number: int) -> bool:
        return 1 < number <= self._in_file or number in self._frames

    # ---- what is beside ----

    def _read_free(self) -> set[int]:
        """The pages that hold nothing any more."""
        free: set[int] = set()
        first = self.page(1)
        if not first.startswith(MAGIC):
            return free
        trunk = int.from_bytes(first[32:36], "big")
        while self._has(trunk) and trunk not in free:
            free.add(trunk)
            page = self.page(trunk)
            count = int.from_bytes(page[4:8], "big")
            if count > self.page_bytes // 4 - 2:
                break
            free.update(struct.unpack_from(f">{count}I", page, 8))
            trunk = int.from_bytes(page[:4], "big")
        return free

    def _read_wal(self) -> dict[int, int]:
        """Where in the WAL the last committed state of each page is."""
        try:
            wal = self._wal = open(f"{self.path}-wal", "rb")  # noqa: SIM115
        except OSError:
            return {}
        header = wal.read(_WAL_HEADER)
        if len(header) < _WAL_HEADER:
            return {}
        magic, _, page_bytes, _, *_ = struct.unpack(">8I", header)
        order = _WAL_MAGICS.get(magic)
        if order is None or not _is_page_size(page_bytes):
            return {}
        if not self.header.startswith(MAGIC):
            self.page_bytes = self._usable = page_bytes
        if page_bytes != self.page_bytes:
            return {}
        sums = _sum(order, header[:24], (0, 0))
        salts = header[16:24]
        committed: dict[int, int] = {}
        pending: dict[int, int] = {}
        while sums == struct.unpack(">II", header[-8:]):
            header = wal.read(_FRAME_HEADER)
            page = wal.read(page_bytes)
            if len(page) < page_bytes or header[8:16] != salts:
                break
            sums = _sum(order, page, _sum(order, header[:8], sums))
            number, total = struct.unpack(">II", header[:8])
            if sums != struct.unpack(">II", header[-8:]) or not 0 < number < 1 << 31:
                break
            pending[number] = wal.tell() - page_bytes
            if total:
                committed.update(pending)
                pending.clear()
        return committed


def _is_page_size(size: int) -> bool:
    return 512 <= size <= 65536 and not size & (size - 1)


def _sizes(header: bytes) -> tuple[int, int]:
    """Bytes of a page, and of it those that are used."""
    size = int.from_bytes(header[16:18], "big")
    size = 65536 if size == 1 else size
    if not header.startswith(MAGIC) or len(header) < 21 or not _is_page_size(size):
        return PAGE_BYTES, PAGE_BYTES
    usable = size - header[20]
    return size, usable if usable >= 480 else size


def _sum(order: str, data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    """SQLite's checksum of a WAL, carried on over ``data``."""
    one, two = sums
    for left, right in struct.iter_unpack(f"{order}II", data):
        one = (one + left + two) & 0xFFFFFFFF
        two = (two + right + one) & 0xFFFFFFFF
    return one, two


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = 0
    for index in range(8):
        byte = data[at + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    return value << 8 | data[at + 8], at + 9


def _columns(payload: bytes) -> list[Value]:
    """The columns of a row."""
    end, at = _varint(payload, 0)
    if end > len(payload):
        raise Unreadable
    values: list[Value] = []
    body = end
    while at < end:
        kind, at = _varint(payload, at)
        value, size = _value(payload, body, kind)
        body += size
        values.append(value)
        if body > len(payload) or len(values) > _MOST_COLUMNS:
            raise Unreadable
    if body != len(payload):
        raise Unreadable
    return values


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind == 0:
        return None, 0
    if kind in _INT_BYTES:
        size = _INT_BYTES[kind]
        return int.from_bytes(payload[at : at + size], "big", signed=True), size
    if kind == 7:
        if at + 8 > len(payload):
            raise Unreadable
        return struct.unpack_from(">d", payload, at)[0], 8
    if kind in (8, 9):
        return kind - 8, 0
    if kind < 12:
        raise Unreadable
    size = (kind - 12) // 2
    data = payload[at : at + size]
    if kind % 2 == 0:
        return data, size
    try:
        return data.decode("utf-8", "surrogatepass"), size
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace"), size
