"""Calls that can be passed over: begun and ended in a block, only calls between.

Where no more is to be shown, nothing of such a call matters to what is: no exception,
no suspension, no mark. Passing over them spares most of the work of a screen that shows
a hundred of a block's thousands of calls.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.wire import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.store.record_decoding import Fields


def simple_ends(raw: list[tuple[int, int, Fields]], start: int, stop: int) -> list[int]:
    """For each record from ``start`` to ``stop`` that begins a simple call, the index
    of the one that ends it; 0 for all others."""
    ends = [0] * len(raw)
    begun: list[int] = []
    call, end = int(Kind.CALL), int(Kind.RETURN)
    for at in range(start, stop):
        kind = raw[at][2][0]
        if kind == call:
            begun.append(at)
        elif kind == end:
            if begun:
                ends[begun.pop()] = at
        else:  # what it stands in is not simple
            begun.clear()
    return ends
