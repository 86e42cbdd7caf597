"""A thread's records in one trace, with what their numbers stand for.

Threads: one at a time. Owns: the views of its blocks. Fails: StoreError.
"""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kolo_c.reading.calls import Call
from kolo_c.reading.replay import Key, Views
from kolo_c.reading.values import Value, to_python
from kolo_c.store.definitions import Code, Definitions
from kolo_c.store.trace import Stream as StoredStream
from kolo_c.store.values import Value as StoredValue
from kolo_c.wire import Kind

if TYPE_CHECKING:
    from kolo_c.reading.traces import Source, Thread, Trace

_CALLS = (Kind.CALL, Kind.ENTERED)


class Stream:
    """One thread of a trace."""

    def __init__(self, trace: Trace, stored: StoredStream, thread: Thread) -> None:
        self.trace = trace
        self.stored = stored
        self.thread = thread
        self.number = stored.number
        self.views = Views(stored)
        self._sources: dict[int, Source | None] = {}
        self._outermost = (0, False)

    @property
    def definitions(self) -> Definitions:
        """What numbers stand for."""
        return self.stored.trace.definitions

    def address(self, node: int) -> str:
        """How commands name a node of it."""
        ordinal = self.stored.ordinal
        place = str(node) if ordinal == 1 else f"{ordinal}.{node}"
        return f"{self.trace.id}/{place}"

    def value(self, value: StoredValue) -> Value:
        """A value of a record."""
        return to_python(value, self.definitions)

    def named(
        self, names: Sequence[str], values: Sequence[StoredValue]
    ) -> dict[str, Value]:
        """Values by name; fewer where they were left out."""
        pairs = zip(names, values, strict=False)
        return {name: self.value(value) for name, value in pairs}

    def told_later(self, node: int, index: int) -> StoredValue:
        """The exception that left ``node`` in block ``index``, where it was not told
        there: it is seen when it is handled, which is soon or never."""
        last = min(index + 2, len(self.stored.blocks))
        for later in range(index, last):
            found = self.views.get(later).handled.get((self.number, node))
            if found is not None:
                return found
        return None

    def place_of(self, node: int) -> int | None:
        """The block that ``node`` began in, if it is there."""
        index = self.stored.find_block(node)
        if index is None or node not in self.views.get(index).begins:
            return None
        return index

    def blocks_of(
        self, node: int, index: int, above: set[Key], resumes: bool
    ) -> Iterator[int]:
        """The blocks from ``index`` on in which something may happen right below one of
        ``above`` (``node`` and the regions in it); by the headers of the others."""
        yield index
        for later in range(index + 1, len(self.stored.blocks)):
            opens = self.stored.opens_at(later)
            block = self.stored.blocks[later]
            places = [
                at for at, open in enumerate(opens) if (self.number, open) in above
            ]
            if not places and not resumes:
                return  # it has ended
            depth = min(block.start_depth, block.least_depth)
            if resumes or depth <= max(places) + 1:
                yield later

    def calls(self, wanted: Wanted | None) -> Iterator[Call]:
        """Its calls, block by block."""
        for index in range(len(self.stored.blocks)):
            found = [
                record.node
                for record in self.stored.decode(index).records
                if record.kind in _CALLS and (wanted is None or wanted(record))
            ]
            if found:
                view = self.views.get(index)
                for node in found:
                    yield Call(self, index, view, node)

    def roots(self) -> Iterator[Call]:
        """Its calls that no recorded call made."""
        for index in range(len(self.stored.blocks)):
            if self._is_below_a_call(index):
                continue
            view = self.views.get(index)
            for node, record in view.begins.items():
                if record.kind in _CALLS:
                    call = Call(self, index, view, node)
                    if call._parent is None or call.parent is None:
                        yield call

    def _is_below_a_call(self, index: int) -> bool:
        """Whether the outermost of what is open is a call, all through a block."""
        block = self.stored.blocks[index]
        opens = self.stored.opens_at(index)
        if not opens or min(block.start_depth, block.least_depth) < 1:
            return False
        outermost = opens[0]
        if self._outermost[0] != outermost:
            place = self.place_of(outermost)
            kind = (
                None if place is None else self.views.get(place).begins[outermost].kind
            )
            self._outermost = (outermost, kind in _CALLS)
        return self._outermost[1]

    def raising(self) -> Iterator[Call]:
        """The calls that exceptions were raised in."""
        for index in range(len(self.stored.blocks)):
            for node in self.views.get(index).sources:
                place = self.place_of(node)
                if place is not None:
                    yield Call(self, place, self.views.get(place), node)

    def source(self, code: Code) -> Source | None:
        """The text of a function."""
        if code.number not in self._sources:
            if len(self._sources) >= 256:
                self._sources.clear()
            self._sources[code.number] = self._read_source(code)
        return self._sources[code.number]

    def _read_source(self, code: Code) -> Source | None:
        from kolo_c.reading.traces import Source  # noqa: PLC0415 - it imports us

        recorded = self.definitions.recorded_path(code.file)
        text = self.stored.trace.process.source(recorded)
        if text is None:
            return None
        lines = text.decode("utf-8", "replace").splitlines(keepends=True)
        first = max(code.first_line, 1)
        if code.name != "<module>":
            lines = _block(lines[first - 1 :])
        return Source(self.definitions.path(code.file), first, "".join(lines))


def _block(lines: list[str]) -> list[str]:
    """The function that begins with the first line."""
    try:
        return inspect.getblock(lines)
    except (SyntaxError, IndentationError):
        return lines[:1]


class Wanted:
    """Whether a call is of a function that a pattern names; asked once a function."""

    def __init__(
        self, definitions: Definitions, function: str | None, module: str | None
    ) -> None:
        self._definitions = definitions
        self._function = function
        self._module = module
        self._known: dict[int, bool] = {}

    def __call__(self, record: object) -> bool:
        number: int = record.code  # type: ignore[attr-defined]
        known = self._known.get(number)
        if known is None:
            known = self._known[number] = self._decide(self._definitions.code(number))
        return known

    def _decide(self, code: Code) -> bool:
        if self._module is not None and not fnmatch.fnmatchcase(
            code.module or "", self._module
        ):
            return False
        names = (code.qualname, code.name, f"{code.module}.{code.qualname}")
        return self._function is None or any(
            fnmatch.fnmatchcase(name, self._function) for name in names
        )
