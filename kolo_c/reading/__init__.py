"""``kolo_c.open``: what was recorded, as typed objects, read when it is asked for.

    import kolo_c

    with kolo_c.open() as store:
        trace = store.latest()
        for call in trace.calls(function="cost"):
            print(call.arguments["name"], call.result, call.duration_ns)

Nothing is decoded before it is asked for, and only a few blocks of 64 KiB are kept, so
that a trace of millions of calls can be gone through in little memory. It works within
a program that is being recorded, too: what was recorded so far is saved first, and the
reading itself is not recorded.

Threads: a store serves one at a time. Owns: the open files, until ``close``.
Fails: KoloError: StoreNotFound, StoreError for a file that cannot be read,
TraceNotFound.
"""

from __future__ import annotations

from kolo_c.reading.calls import Call, Calls, Handled
from kolo_c.reading.events import Event
from kolo_c.reading.store import Store, open
from kolo_c.reading.traces import Note, Record, Source, Thread, Trace
from kolo_c.reading.values import (
    UNBOUND,
    Array,
    ClassRef,
    Cycle,
    EnumMember,
    FunctionRef,
    Instance,
    Masked,
    ModuleRef,
    Raised,
    Subclass,
    Truncated,
    Unbound,
    Unreadable,
    Value,
)

__all__ = [
    "UNBOUND",
    "Array",
    "Call",
    "Calls",
    "ClassRef",
    "Cycle",
    "EnumMember",
    "Event",
    "FunctionRef",
    "Handled",
    "Instance",
    "Masked",
    "ModuleRef",
    "Note",
    "Raised",
    "Record",
    "Source",
    "Store",
    "Subclass",
    "Thread",
    "Trace",
    "Truncated",
    "Unbound",
    "Unreadable",
    "Value",
    "open",
]
