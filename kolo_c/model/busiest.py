"""The function that made most of a trace's calls, from a sample of its blocks.

Threads: one at a time. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.wire import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.store.reader import Trace

SAMPLE_BLOCKS = 12


def busiest(trace: Trace, sample: int = SAMPLE_BLOCKS) -> tuple[int, float] | None:
    """The code object that was called most often, and its share of the calls.

    Of ``sample`` blocks, evenly spread; None where they have no call.
    """
    places = [
        (stream, index)
        for stream in trace.streams
        for index in range(len(stream.blocks))
    ]
    step = max(len(places) / sample, 1.0)
    chosen = [places[int(step * at)] for at in range(min(sample, len(places)))]
    calls: dict[int, int] = {}
    for stream, index in chosen:
        for record in stream.decode(index).records:
            if record.kind == Kind.CALL:
                code = record.code  # type: ignore[attr-defined]
                calls[code] = calls.get(code, 0) + 1
    if not calls:
        return None
    code = max(calls, key=lambda number: calls[number])
    return code, calls[code] / sum(calls.values())
