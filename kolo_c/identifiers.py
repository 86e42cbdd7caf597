"""Identifiers: ULIDs, text that sorts by time.

26 characters of Crockford's base 32: 48 bits of milliseconds since 1970, then 80 random
bits (https://github.com/ulid/spec). Two made in the same millisecond by one process
still differ and sort in the order they were made: the second is the first plus one.

``kolo-c validate`` sets KOLO_C_TICKING in the programs that it compares: a process that
no other one recorded then counts from 1, as does the clock of its records.

Threads: any (a lock). Owns: the last identifier. Fails: never.
"""

from __future__ import annotations

import os
import time
from _thread import allocate_lock  # threading is 0.5 ms more

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_RANDOM_BITS = 80

TICKING = os.environ.get("KOLO_C_TICKING") == "1"

_lock = allocate_lock()
_last = 0
# A process that was forked off or started by this one cannot know what it has given.
_counting_pid = os.getpid() if TICKING and "KOLO_C_PARENT" not in os.environ else 0


def ulid() -> str:
    """A new identifier, greater than every one this process has made before."""
    global _last
    if _counting_pid and os.getpid() == _counting_pid:
        number = 0
    else:
        number = time.time_ns() // 1_000_000 << _RANDOM_BITS
        number |= int.from_bytes(os.urandom(_RANDOM_BITS // 8), "big")
    with _lock:
        if number >> _RANDOM_BITS <= _last >> _RANDOM_BITS:
            number = _last + 1
        _last = number
    pairs = _PAIRS  # two characters at a time: a request has an identifier
    return "".join([pairs[number >> shift & 1023] for shift in range(120, -1, -10)])


def trace_id() -> str:
    """A new identifier for a trace."""
    return f"trc_{ulid()}"
