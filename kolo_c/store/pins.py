"""Pin traces: neither retention nor ``kolo-c delete`` takes them, until unpinned.

Threads: any; processes too. Owns: nothing. Fails: StoreError where the mark cannot be
written or removed.
"""

from __future__ import annotations

from kolo_c.store.marks import (
    PINS,
    put_mark,
    read_marks,
    read_segment_marks,
    remove_mark,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.store.marks import AnyPath, Name


def read_pins(store: AnyPath) -> set[Name]:
    """The traces that are pinned."""
    return read_marks(store, PINS)


def pin(store: AnyPath, name: Name, size: int) -> bool:
    """Pin a trace of ``size`` bytes; False where it was pinned already."""
    return put_mark(store, PINS, name, str(max(size, 0)))


def unpin(store: AnyPath, name: Name) -> bool:
    """Take the pin away; False where there was none."""
    removed = remove_mark(store, PINS, name)
    # Its segment holds a trace now that may go.
    for segment in read_segment_marks(store, PINS):
        if segment.rpartition("-")[0] == name[1]:
            remove_mark(store, PINS, segment)
    return removed
