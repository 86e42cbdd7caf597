"""The Python core's value encoder with the interface of `_encode` (encode.c), and both
side by side.
"""

from __future__ import annotations

import time
from typing import Any

from kolo_c.reference import mask, value
from kolo_c.reference.status import Status
from kolo_c.reference.value_state import Limits, Options
from kolo_c.reference.wire import Cursor
from tests.unit.build_encode import load

BUFFER_BYTES = 65536
NAME_BYTES = 64


class Definitions:
    """Numbers types from 1, as the fake of encode.c does; shares its list."""

    def __init__(self, types: list[Any]) -> None:
        self.types = types
        self.refuses = False

    def type(self, cls: type) -> int:
        if self.refuses:
            return 0
        for number, known in enumerate(self.types, 1):
            if known is cls:
                return number
        self.types.append(cls)
        return len(self.types)


class PythonEncoder:
    """One Values, replaced by reset()."""

    def __init__(self, types: list[Any]) -> None:
        self.definitions = Definitions(types)
        self.types = types
        self.reset((), ())

    def reset(self, words: tuple[str, ...], exceptions: tuple[str, ...]) -> None:
        self.mask = mask.Mask(words, exceptions)
        self.values = value.Values(Limits(), self.mask, self.definitions)

    def encode(
        self,
        objects: tuple[Any, ...],
        how: str = "value",
        depth: int = 4,
        items: int = 32,
        text_bytes: int = 1024,
        record_bytes: int = 8192,
        repr: bool = False,
        self_fields: bool = False,
        room: int = BUFFER_BYTES,
        refuse: bool = False,
    ) -> bytes | int:
        """The bytes of one record's values, or the cursor's status."""
        options = Options(
            Limits(depth, items, text_bytes, record_bytes), repr, self_fields
        )
        cursor = Cursor(room)
        self.definitions.refuses = refuse
        self.values.begin_record(cursor, options)
        for each in objects:
            self._write(cursor, each, how)
        self.definitions.refuses = False
        if cursor.status is not Status.OK:
            return int(cursor.status)
        return bytes(cursor.data)

    def _write(self, cursor: Cursor, each: Any, how: str) -> None:
        if how == "ref":
            self.values.write_ref(cursor, each)
        elif how == "secret":
            self.values.write_secret(cursor, each)
        elif how == "exception":
            self.values.write_exception(cursor, each)
        elif how == "name":
            value.write_name(cursor, each, NAME_BYTES)
        elif how == "unbound":
            self.values.write(cursor, value.UNBOUND)
        else:
            self.values.write(cursor, each)

    def counters(self) -> tuple[int, int, int, int]:
        """(masked, truncated, errors, frames)"""
        counters = self.values.counters
        return (
            counters.masked_count,
            counters.truncated_count,
            counters.error_count,
            counters.frame_count,
        )

    def measure(self, each: Any, count: int) -> float:
        """Nanoseconds to write an object."""
        start = time.perf_counter_ns()
        for _ in range(count):
            cursor = Cursor(BUFFER_BYTES)
            self.values.begin_record(cursor)
            self.values.write(cursor, each)
        return (time.perf_counter_ns() - start) / count

    def hide(self, name: Any, value: Any) -> bool:
        """Whether the value under a name is a secret."""
        return self.values.hide(name, value)

    def mask_name(self, name: bytes) -> tuple[bool, str | None]:
        return self.mask.name(name)

    def mask_find(self, data: bytes, start: int = 0) -> Any:
        return mask.find(data, start)


class BothEncoders:
    """Asks C and Python, and holds them to the same bytes and counters."""

    def __init__(self) -> None:
        self.c = load()
        self.types: list[Any] = self.c.types
        self.python = PythonEncoder(self.types)
        self.reset((), ())

    def reset(self, words: tuple[str, ...], exceptions: tuple[str, ...]) -> None:
        self.c.reset(words, exceptions)
        self.python.reset(words, exceptions)

    def encode(self, objects: tuple[Any, ...], **how: Any) -> Any:
        first, second = self.c.counters(), self.python.counters()
        got = self.c.encode(objects, **how)
        assert self.python.encode(objects, **how) == got, how
        counted = [b - a for a, b in zip(first, self.c.counters(), strict=True)]
        after = self.python.counters()
        assert counted == [b - a for a, b in zip(second, after, strict=True)], how
        return got

    def hide(self, name: Any, value: Any) -> Any:
        got = self.c.hide(name, value)
        assert self.python.hide(name, value) == got, name
        return got

    def counters(self) -> Any:
        return self.c.counters()

    def measure(self, each: Any, count: int) -> Any:
        """C's: the time of the other is no matter of these tests."""
        return self.c.measure(each, count)

    def mask_name(self, name: bytes) -> Any:
        got = self.c.mask_name(name)
        assert self.python.mask_name(name) == got, name
        return got

    def mask_find(self, data: bytes, start: int = 0) -> Any:
        got = self.c.mask_find(data, start)
        assert self.python.mask_find(data, start) == got, (data, start)
        return got
