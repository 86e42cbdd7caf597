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
import sys
import time
from _random import Random  # random itself is 5 ms more
from _thread import allocate_lock  # threading is 0.5 ms more

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_RANDOM_BITS = 80

TICKING = os.environ.get("KOLO_C_TICKING") == "1"

# Seeded by the system, once a process: asking it for each takes a request's time.
_random = Random()
_random_pid = 0
_lock = allocate_lock()
_last = 0
# A process that was forked off or started by this one cannot know what it has given.
_counting_pid = os.getpid() if TICKING and "KOLO_C_PARENT" not in os.environ else 0


def ulid() -> str:
    """A new identifier, greater than every one this process has made before."""
    global _last, _random_pid
    pid = os.getpid()
    if _counting_pid == pid:
        number = 0
    else:
        if pid != _random_pid:  # a forked child must not go on as its parent does
            _random.seed(int.from_bytes(os.urandom(32), "big"))
            _random_pid = pid
        number = time.time_ns() // 1_000_000 << _RANDOM_BITS
        number |= _random.getrandbits(_RANDOM_BITS)
    with _lock:
        if number >> _RANDOM_BITS <= _last >> _RANDOM_BITS:
            number = _last + 1
        _last = number
    core = sys.modules.get("kolo_c._kolo")
    if core is not None:  # a request has an identifier, and this takes less of it
        text: str = core.ulid_text(number.to_bytes(16, "big"))
        return text
    pairs = _PAIRS
    return "".join([pairs[number >> shift & 1023] for shift in range(120, -1, -10)])


def trace_id() -> str:
    """A new identifier for a trace."""
    return f"trc_{ulid()}"
