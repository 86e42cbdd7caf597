"""Where the program has paused its recording (kolo_c.pause). Twin of src/trace/pause.c.

A pause is a value of the scope variable: the thread has no stream, and calls leave at
the hook. Calls that were entered before are on the stack and end as always. A coroutine
that was entered before and is suspended within the pause is followed from step to step
all the same: what it calls after the pause has it as its caller, and its end is seen.

Threads: the traced thread.
Owns: nothing.
Fails: by not recording.
"""

from __future__ import annotations

from kolo_c.reference.code import CO_COROUTINE, CO_ITERABLE_COROUTINE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from kolo_c.reference.code import Code
    from kolo_c.reference.thread import Thread, ThreadStream

COROUTINE_FLAGS = CO_COROUTINE | CO_ITERABLE_COROUTINE


def stream_of(thread: Thread, number: int) -> ThreadStream | None:
    """The thread's stream of the open trace ``number``; None where there is none."""
    if number == 0 or not thread.announced:
        return None
    for trace in thread.session.traces:
        if trace.number == number and trace.open:
            return thread.stream_of(trace)
    return None


def leave(thread: Thread) -> None:
    """Out of it again; the scope is looked up with the next call."""
    thread.stream = None
    thread.scope_generation = thread.session.scope_generation - 1


def follow(thread: Thread, frame: FrameType, code: Code) -> bool:
    """A frame of ``code`` is entered within a pause: whether it is a coroutine to be
    followed. The thread is in its trace then, until ``leave``."""
    # A generator's values are not for the record now, and it has no end of its own.
    if (code.flags & COROUTINE_FLAGS) == 0:
        return False
    waiting = thread.session.waiting.borrow(frame, code)
    stream = stream_of(thread, waiting.trace_number) if waiting is not None else None
    if stream is not None:
        thread.stream = stream
    return stream is not None
