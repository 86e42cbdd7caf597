"""What a program fetched of its SQL statements, as a part of these.

A statement's record ends when the database has answered. What was fetched of it, then
or much later, are records of their own with the statement's number: rows and time are
summed, and the first rows put together.

Threads: one at a time. Owns: the statements that were met, within bounds. Fails: never.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kolo_c.store.values import Value

STATEMENT, FETCH = "sql", "fetch"
_MOST = 10_000


class Fetched:
    """Of one statement."""

    __slots__ = ("columns", "ns", "rows", "sample", "seen")

    def __init__(self) -> None:
        self.rows = 0
        self.ns = 0
        self.columns: Value = None
        self.seen = False
        self.sample: list[Value] = []

    def add(self, fields: Mapping[str, Value], duration_ns: int) -> None:
        """One more record."""
        self.seen = True
        rows, ns = fields.get("rows"), fields.get("fetch_ns")
        self.rows += rows if isinstance(rows, int) else 0
        self.ns += ns if isinstance(ns, int) else duration_ns
        sample = fields.get("rows_sample")
        if isinstance(sample, list):
            self.sample.extend(sample)
        if self.columns is None:
            self.columns = fields.get("columns")

    def fields(self) -> dict[str, Value]:
        """As the statement itself would have them."""
        found: dict[str, Value] = {"rows": self.rows, "fetch_ns": self.ns}
        if self.sample:
            found["columns"] = self.columns
            found["rows_sample"] = self.sample
        return found


class Fetches:
    """Of all statements of a trace, by their numbers."""

    def __init__(self) -> None:
        self._by_number: dict[int, Fetched] = {}

    def statement(self, fields: Mapping[str, Value]) -> Fetched | None:
        """A statement begins: where to look for what is fetched of it."""
        number = fields.get("number")
        if not isinstance(number, int):
            return None
        if len(self._by_number) >= _MOST:
            self._by_number.clear()
        found = self._by_number[number] = Fetched()
        return found

    def add(self, fields: Mapping[str, Value], duration_ns: int) -> None:
        """Something was fetched."""
        number = fields.get("number")
        if isinstance(number, int) and number in self._by_number:
            self._by_number[number].add(fields, duration_ns)
