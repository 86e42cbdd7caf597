"""What a damaged segment still has, and a segment made of it.

Its tables are known by the shape of their rows, so that nothing has to be whole but the
pages that the rows are in. A block counts where both its header and its bytes are there
and the bytes can be decompressed; a trace whose row is gone takes it from the log of
definitions, or gets one that says so.

Threads: one at a time. Owns: nothing. Fails: OSError where the file cannot be read,
StoreError where the new one cannot be written.
"""

from __future__ import annotations

from kolo_c.errors import KoloError
from kolo_c.identifiers import ulid
from kolo_c.store.compression import expand
from kolo_c.store.definition_log import decode_definitions
from kolo_c.store.definitions import TraceDrop
from kolo_c.store.pages import Pages
from kolo_c.store.process import overlay
from kolo_c.store.rows import TraceRow
from kolo_c.store.trace_info import INTERRUPTED
from kolo_c.wire import BLOCK_BYTES, SCHEMA_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from kolo_c.store.pages import Row
    from kolo_c.store.rewrite import NewSegment

# n: NULL, which stands for the rowid; i, s, b: number, text, bytes; capitals: or NULL.
_WITH_ROWID = {
    "trace": "nsssSiiIsSss",
    "thread": "nSII",
    "definition": "iiiib",
    "block": "niiiiiiiiiiiiBB",
    "block_data": "nib",
    "file": "nsSS",
}
_WITHOUT_ROWID = {"process": "siiiiIIISs", "source": "siiib"}
_TYPES: dict[str, type] = {"i": int, "s": str, "b": bytes}
_BYTES_COLUMN = 12
_NAMELESS = "(its row was damaged)"


class Salvage:
    """What can be read of one damaged segment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, dict[Any, list[Any]]] = {
            name: {} for name in (*_WITH_ROWID, *_WITHOUT_ROWID)
        }
        with Pages(path) as pages:
            self.version = pages.user_version
            for row in pages.rows():
                self._sort(row)
            self.lost_rows = pages.lost_rows
        self.traces = self._traces()

    @property
    def is_newer(self) -> bool:
        """Whether it has a schema that we do not know."""
        return self.version > SCHEMA_VERSION

    @property
    def is_ours(self) -> bool:
        """Whether anything in it is of kolo_c."""
        kept = ("process", "trace", "block", "definition")
        return any(self.rows[table] for table in kept)

    def blocks(self) -> Iterator[tuple[list[Any], int, bytes]]:
        """The header, encoding and bytes of each block that is whole."""
        headers = dict(self.rows["block"])
        with Pages(self.path) as pages:
            for row in pages.rows():
                if _table_of(row) != "block_data":
                    continue
                columns: list[Any] = row[1]
                _, encoding, data = columns
                header = headers.get(row[0])
                if header is None or header[1] not in self.traces:
                    continue
                if _is_whole(encoding, data, header[_BYTES_COLUMN]):
                    del headers[row[0]]  # the first one of several counts
                    yield header, encoding, data

    def write(self, new: NewSegment) -> int:
        """Fill ``new`` with it; the number of blocks that were saved."""
        count = 0
        new.execute("BEGIN")
        for table in ("process", "thread", "definition", "file", "source"):
            for row in self.rows[table].values():
                new.insert(table, row)
        for trace in self.traces.values():
            new.insert("trace", [getattr(trace, name) for name in TraceRow.__slots__])
        for header, encoding, data in self.blocks():
            new.insert("block", header)
            new.insert("block_data", (header[0], encoding, data))
            count += 1
        new.execute("COMMIT")
        return count

    def _sort(self, row: Row) -> None:
        """Put a row where it belongs."""
        table = _table_of(row)
        if table is None or table == "block_data":  # too much to keep: see blocks()
            return
        rowid = row[0]
        columns: list[Any] = row[1]
        if table == "block" and min(columns[1:13]) < 0:
            return
        key: Any = columns[0] if rowid is None else rowid
        if table == "definition":
            key = (columns[0], columns[1])
        elif rowid is not None:
            columns[0] = rowid
        known = self.rows[table].get(key)
        # Of a row that moved, an older state may be left: that of a running trace.
        if known is None or (table == "trace" and known[7] is None):
            self.rows[table][key] = columns

    def _traces(self) -> dict[int, TraceRow]:
        """Their rows; of those that have none what else is known of them."""
        rows = {
            number: TraceRow(*columns) for number, columns in self.rows["trace"].items()
        }
        dropped: set[int] = set()
        for piece in sorted(self.rows["definition"].values(), key=lambda row: row[2]):
            found = [definition for _, definition in decode_definitions(piece[4])[0]]
            overlay(rows, found)
            dropped.update(each.trace for each in found if isinstance(each, TraceDrop))
        self._add_nameless(rows, dropped)
        for number, row in list(rows.items()):
            if number != _in_range(number):
                del rows[number]
            row.started_ns = _in_range(row.started_ns)
            row.started_utc_ns = _in_range(row.started_utc_ns)
            row.ended_ns = None if row.ended_ns is None else _in_range(row.ended_ns)
        return rows

    def _add_nameless(self, rows: dict[int, TraceRow], dropped: set[int]) -> None:
        """Rows for blocks of traces that nothing is known of."""
        offset_ns = 0
        for process in self.rows["process"].values():
            offset_ns = process[4] - process[3]
        for block in self.rows["block"].values():
            number, base_ns, last_ns = block[1], block[4], block[5]
            row = rows.get(number)
            if row is None and number not in dropped:
                rows[number] = TraceRow(
                    number, f"trc_{ulid()}", "process", _NAMELESS, None, base_ns,
                    base_ns + offset_ns, last_ns, INTERRUPTED, INTERRUPTED, "{}", "{}",
                )  # fmt: skip
            elif row is not None and row.name is _NAMELESS:
                row.started_ns = min(row.started_ns, base_ns)
                row.started_utc_ns = row.started_ns + offset_ns
                row.ended_ns = max(row.ended_ns or 0, last_ns)


def _in_range(number: int) -> int:
    """As SQLite can have it: the log has larger ones, and a sum may be one."""
    return max(min(number, (1 << 63) - 1), -1 << 63)


def _table_of(row: Row) -> str | None:
    """The table that a row of this shape is of."""
    rowid, columns = row
    tables = _WITHOUT_ROWID if rowid is None else _WITH_ROWID
    for table, kinds in tables.items():
        if len(kinds) == len(columns) and all(map(_is_kind, columns, kinds)):
            return table
    return None


def _is_kind(value: object, kind: str) -> bool:
    if value is None:
        return kind == "n" or kind.isupper()
    return kind != "n" and isinstance(value, _TYPES[kind.lower()])


def _is_whole(encoding: int, data: bytes, size: int) -> bool:
    try:
        plain = expand(encoding, data, size)
    except ValueError:
        return False
    except KoloError:
        return size <= BLOCK_BYTES  # nothing here can decompress it: another may
    return len(plain) == size <= BLOCK_BYTES
