"""How often each function was called, from a sample of a trace's blocks.

Threads: one at a time. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.wire import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.store.reader import Trace

SAMPLE_BLOCKS = 12


class CallSample:
    """The calls in some of a trace's blocks, by code object."""

    def __init__(self, trace: Trace, most: int = SAMPLE_BLOCKS) -> None:
        """Of at most ``most`` blocks, evenly spread."""
        places = [
            (stream, index)
            for stream in trace.streams
            for index in range(len(stream.blocks))
        ]
        self.whole = len(places) <= most
        """Whether these are all calls of the trace."""
        step = max(len(places) / most, 1.0)
        self.calls: dict[int, int] = {}
        for at in range(min(most, len(places))):
            stream, index = places[int(step * at)]
            for record in stream.decode(index).records:
                if record.kind == Kind.CALL:
                    code: int = record.code  # type: ignore[attr-defined]
                    self.calls[code] = self.calls.get(code, 0) + 1

    @property
    def total(self) -> int:
        """The calls in the sample."""
        return sum(self.calls.values())

    def busiest(self) -> tuple[int, float] | None:
        """The code object that was called most often, and its share of the calls."""
        if not self.calls:
            return None
        code = max(self.calls, key=lambda number: self.calls[number])
        return code, self.calls[code] / self.total
