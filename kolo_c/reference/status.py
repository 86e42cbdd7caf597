"""How the functions of the Python core fail: the statuses of ``src/plain/status.h``.

Threads: none. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """What became of it."""

    OK = 0
    FULL = 1
    """No room: in the record, the block, the pool or the queue."""
    CLOSED = 2
    """The other side has stopped."""
    NO_MEMORY = 3
    """An allocation was refused."""
    IO = 4
    """A system call failed."""
    STORE = 5
    """SQLite refused."""
    CORRUPT = 6
    """Bytes that no writer of ours can have written."""
    TIMEOUT = 7
    BUSY = 8
    """Its owner lives."""
