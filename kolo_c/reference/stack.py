"""The kept calls that are open on a thread, and the generators that wait. Twin of
src/session/stack.c.

A thread's stack is a list of entries (``Thread.stack``). An entry holds its frame, so
that the frame of the nearest kept caller can be asked where it stands without walking
the interpreter's frames. The reference is let go when the call's end is reported,
before the interpreter clears the frame: nothing of the program lives longer for it.

A generator that yields leaves the stack and waits in a table keyed by its frame. So
does every call of a greenlet while another one runs. A frame object stays the same from
a call's first event to its end.

Threads: the stack by its own thread; the table by any, each operation is one of a dict.
Owns: each frame on the stack; none of waiting generators (their frames are compared).
Fails: never; the table by False, when it is full.
"""

from __future__ import annotations

from kolo_c.reference.stream import Open

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from kolo_c.reference.code import Code
    from kolo_c.reference.plugin_match import Plugin
    from kolo_c.reference.thread import ThreadStream

OPEN_NOWHERE = 0xFFFFFFFFFFFFFFFF
"""The sequence of a call that is in no block yet."""

WAITING_MOST = 1 << 20


class Entry:
    """A call, or a region, on a thread's stack."""

    __slots__ = (
        "began",
        "boundary",
        "code",
        "counted",
        "depth_limit",
        "foreign",
        "foreign_thread",
        "found",
        "frame",
        "open",
        "outer",
        "plugin",
        "plugin_count",
        "silent",
        "special",
        "started",
        "stream",
        "unwritten",
    )

    def __init__(
        self,
        stream: ThreadStream,
        depth_limit: int,
        frame: FrameType | None = None,
        code: Code | None = None,
    ) -> None:
        """A region has neither frame nor code, a plugin's node at most the code."""
        self.frame = frame
        self.code = code
        self.stream = stream
        """Whose stream has the call."""
        self.open = Open(0, OPEN_NOWHERE)
        self.began = 0
        """Sequence of the block with its first record."""
        self.unwritten = False
        """The record of its beginning was lost: so is its end."""
        self.counted = False
        """Past the trace's limit: no record, ``began`` is its start in ns."""
        self.foreign = False
        """Its node belongs to another stream …"""
        self.foreign_thread = 0
        """… of this thread."""
        self.found = False
        """Its frame still runs, after a blind time."""
        self.depth_limit = depth_limit
        """The thread's, before this call set its own."""
        self.boundary = 0
        """Number of the trace that this call opened; 0: none."""
        self.outer = 0
        """The scope around it."""
        self.special = False
        """Its end is more than one record: a boundary, or watched."""
        self.silent = False
        """A call that is watched, and not recorded itself: no caller."""
        self.plugin_count = 0
        """So many entries below it are its plugins' nodes."""
        self.plugin: Plugin | None = None
        """Of a plugin's node …"""
        self.started: dict[str, Any] | None = None
        """… what its handler gave."""


class WaitingPlugin:
    """A plugin's node of a generator that has yielded."""

    __slots__ = ("began", "node", "plugin", "started", "thread_number", "unwritten")

    def __init__(self, entry: Entry, node: int, thread_number: int) -> None:
        assert entry.plugin is not None
        self.plugin = entry.plugin
        self.started = entry.started
        self.node = node
        self.began = entry.began
        self.thread_number = entry.foreign_thread if entry.foreign else thread_number
        self.unwritten = entry.unwritten


class Waiting:
    """A generator that has yielded, or a call of a greenlet while another one runs."""

    __slots__ = (
        "began",
        "boundary",
        "code",
        "frame",
        "node",
        "outer",
        "paused",
        "plugins",
        "silent",
        "switched",
        "thread_number",
        "trace_number",
        "unwritten",
    )

    def __init__(
        self, entry: Entry, thread_number: int, *, paused: bool, switched: bool
    ) -> None:
        """What is to be known of ``entry``, the top of the stack, when it goes on.

        ``paused``: a boundary that was suspended within a pause. ``switched``: another
        greenlet runs.
        """
        assert entry.code is not None
        self.frame = id(entry.frame)
        self.code = entry.code.key
        self.trace_number = entry.stream.trace.number
        self.thread_number = entry.foreign_thread if entry.foreign else thread_number
        self.node = entry.open.node
        self.began = entry.began
        self.boundary = entry.boundary
        self.outer = entry.outer
        self.unwritten = entry.unwritten
        self.silent = entry.silent
        self.paused = paused
        self.switched = switched
        self.plugins: list[WaitingPlugin] = []


class WaitingTable:
    """The generators of all threads that have yielded, by frame."""

    __slots__ = ("slots",)

    def __init__(self) -> None:
        self.slots: dict[int, Waiting] = {}

    def add(self, waiting: Waiting) -> bool:
        """Remember ``waiting``; one with the same frame is replaced."""
        if len(self.slots) >= WAITING_MOST and waiting.frame not in self.slots:
            return False
        self.slots[waiting.frame] = waiting
        return True

    def take(self, frame: FrameType, code: Code) -> Waiting | None:
        """Take the generator of ``frame`` out; None where there is none."""
        waiting = self.slots.pop(id(frame), None)
        # Another code object: the frame's address was used again for something else.
        if waiting is None or waiting.code != code.key:
            return None
        return waiting

    def borrow(self, frame: FrameType, code: Code) -> Waiting | None:
        """The generator of ``frame``, which stays; None where there is none."""
        waiting = self.slots.get(id(frame))
        return waiting if waiting is not None and waiting.code == code.key else None
