"""From an instruction's offset to its line, with the line table of the traced Python.

3.10 has pairs of (bytes, lines); 3.11 and later have one entry of variable length for
each run of instructions. Offsets are in code units, 2 bytes each.

Threads: any. Owns: nothing. Fails: never: a table that cannot be read has no lines.
"""

from __future__ import annotations

from bisect import bisect_right

from kolo_c.store.slotted import Slotted

NO_LINE_3_10 = -128
_MOST_BITS = 36


class LineTable(Slotted):
    """Where each run of instructions begins, and its line (None: it has none)."""

    __slots__ = ("first_line", "starts", "lines", "end")

    def __init__(self, first_line: int) -> None:
        self.first_line = first_line
        self.starts: list[int] = []
        self.lines: list[int | None] = []
        self.end = 0

    def line(self, offset: int | None) -> int | None:
        """The line of the instruction at ``offset``; None where that is not known."""
        if offset is None or not 0 <= offset < self.end:
            return None
        return self.lines[bisect_right(self.starts, offset) - 1]

    def _add(self, units: int, line: int | None) -> None:
        if units <= 0:
            return
        if not self.lines or self.lines[-1] != line:
            self.starts.append(self.end)
            self.lines.append(line)
        self.end += units


def read_line_table(table: bytes, first_line: int, python: str) -> LineTable:
    """Decode ``table``, the ``co_linetable`` of a code object of Python ``python``."""
    result = LineTable(first_line)
    try:
        if _version(python) < (3, 11):
            _read_pairs(table, result)
        else:
            _read_locations(table, result)
    except IndexError:  # it ends in the middle of an entry, say: keep what was read
        pass
    return result


def _version(python: str) -> tuple[int, ...]:
    parts = python.split(".")[:2]
    if len(parts) == 2 and all(map(_is_small, parts)):
        return tuple(int(part) for part in parts)
    return (3, 11)  # the format that has stayed


def _is_small(text: str) -> bool:
    return len(text) < 4 and text.isascii() and text.isdigit()


def _read_pairs(table: bytes, result: LineTable) -> None:
    line = result.first_line
    for at in range(0, len(table) - 1, 2):
        delta = table[at + 1] - 256 if table[at + 1] > 127 else table[at + 1]
        if delta != NO_LINE_3_10:
            line += delta
        result._add(table[at] // 2, None if delta == NO_LINE_3_10 else line)


def _read_locations(table: bytes, result: LineTable) -> None:
    line = result.first_line
    at = 0
    while at < len(table):
        form = table[at] >> 3 & 15
        units = (table[at] & 7) + 1
        at += 1
        if form == 15:  # no location
            result._add(units, None)
            continue
        if form == 14:  # line, end line, column, end column
            delta, at = _signed(table, at)
            for _ in range(3):
                _, at = _unsigned(table, at)
        elif form == 13:  # line only
            delta, at = _signed(table, at)
        elif form >= 10:  # line delta in the form, two bytes of columns
            delta = form - 10
            at += 2
        else:  # same line, one byte of columns
            delta = 0
            at += 1
        line += delta
        result._add(units, line)


def _unsigned(table: bytes, at: int) -> tuple[int, int]:
    value = 0
    shift = 0
    while True:
        byte = table[at]
        at += 1
        value |= (byte & 63) << shift
        if not byte & 64:
            return value, at
        shift += 6
        if shift > _MOST_BITS:
            raise IndexError("no line and no column is so large")


def _signed(table: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned(table, at)
    return (-(value >> 1) if value & 1 else value >> 1), at
