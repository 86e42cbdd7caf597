"""The calls that an exception left, put together from records and its traceback.

The records of one thread show an exception on its way from call to caller. From a task
or thread to the one that waited for it there is a gap; and where types are not known
(3.10 and 3.11) another exception may look like the same one. The traceback, of which
the program kept the places (failure.py), closes the first and tells the second.

Threads: one at a time. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from itertools import chain

from kolo_c.model.ends import find_begin
from kolo_c.model.exceptions import flight, is_source
from kolo_c.model.tail import Tail, same_exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from kolo_c.model.node import Node
    from kolo_c.store.reader import Trace

    Place = tuple[str, int]

# An exception that a pool's thread raised: it is in one that was busy lately.
_MOST_OTHERS = 8
_BLOCKS_OF_OTHERS = 2


def route(
    trace: Trace, tail: Tail, outermost: Node, link: dict[str, Any], *, is_kept: bool
) -> list[Node]:
    """The calls that the exception of ``link`` left, ``outermost`` first.

    Where what raised ``is_kept``, it is looked for in other threads too.
    """
    traceback = Traceback(trace, link)
    frames = [n for n in reversed(flight(outermost).through) if traceback.may_have(n)]
    if is_raised_at(trace, frames[-1], link):
        return frames
    for end in chain((tail,), _ends_of_others(tail) if is_kept else ()):
        source = _source(trace, end, frames, link)
        if source is not None:
            return traceback.joined(frames, tail, source)
    return frames


def _ends_of_others(tail: Tail) -> Iterator[Tail]:
    """The last blocks of the threads that were busy last, one after the other."""
    others = [s for s in tail.stream.trace.streams if s is not tail.stream and s.blocks]
    others.sort(key=lambda stream: stream.blocks[-1].last_ns, reverse=True)
    for stream in others[:_MOST_OTHERS]:
        last = len(stream.blocks) - 1
        yield Tail(stream, last - _BLOCKS_OF_OTHERS + 1, last)


def is_raised_at(trace: Trace, node: Node, link: dict[str, Any]) -> bool:
    """Whether an exception left ``node`` from where ``link`` was raised."""
    return _raise_place(trace, node) == (link.get("file"), link.get("line"))


class Traceback:
    """Where an exception passed, if the program kept it; else it may be anywhere."""

    def __init__(self, trace: Trace, link: dict[str, Any]) -> None:
        self._trace = trace
        self._address = link["address"]
        self._codes: set[Place] = set()
        self._places: dict[Place, int] = {}
        """With their order: the outermost first."""
        entries = link.get("traceback")
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, list) and [type(e) for e in entry] == [str, int, int]:
                file, first_line, line = entry
                self._codes.add((file, first_line))
                self._places.setdefault((file, line), len(self._places))

    def may_have(self, node: Node) -> bool:
        """Whether it can be the exception that left ``node``."""
        if not same_exception(node, None, self._address):
            return False
        if node.exception() is not None or not self._codes:
            return True
        return self._code_place(node) in (None, *self._codes)

    def has_passed(self, node: Node) -> bool:
        """Whether it surely left ``node``, and did not end there."""
        if node.exception() is None:
            return self._order(node) >= 0
        return not self._codes or self._code_place(node) in self._codes

    def joined(self, frames: list[Node], tail: Tail, source: Node) -> list[Node]:
        """``frames``, the calls up to ``source``, and what was between them."""
        kept = [frames[0], *(node for node in frames[1:] if self.has_passed(node))]
        known = {id(node) for node in kept}
        end = [n for n in reversed(flight(source).through) if id(n) not in known]
        at = max(map(self._order, kept))
        last = self._order(end[0])
        between = []
        for node in reversed(tail.calls()):  # an exception leaves inner calls first
            if (node.end_ns or 0) < (end[0].end_ns or 0):
                break
            if (
                id(node) not in known
                and self.may_have(node)
                and at < self._order(node) < last
            ):
                between.append(node)
                at = self._order(node)
        return [*kept, *between, *end]

    def _code_place(self, node: Node) -> Place | None:
        find_begin(self._trace, node)
        if node.code is None:
            return None
        code = self._trace.definitions.code(node.code)
        return self._trace.definitions.path(code.file), code.first_line

    def _order(self, node: Node) -> int:
        place = _raise_place(self._trace, node)
        return -1 if place is None else self._places.get(place, -1)


def _source(
    trace: Trace, tail: Tail, frames: list[Node], link: dict[str, Any]
) -> Node | None:
    """The call of another task or thread that the exception came from.

    An address may be used again, so that it counts only where the place is right.
    """
    known = {id(node) for node in frames}
    for node in reversed(tail.calls()):
        if (
            id(node) not in known
            and is_source(node)
            and same_exception(node, None, link["address"])
            and is_raised_at(trace, node, link)
        ):
            return node
    return None


def _raise_place(trace: Trace, node: Node) -> Place | None:
    offset = getattr(node.end, "offset", None)
    find_begin(trace, node)
    if node.code is None or offset is None:
        return None
    line = trace.definitions.line(node.code, offset)
    code = trace.definitions.code(node.code)
    return None if line is None else (trace.definitions.path(code.file), line)
