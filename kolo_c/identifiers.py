"""Identifiers: ULIDs, text that sorts by time.

26 characters of Crockford's base 32: 48 bits of milliseconds since 1970, then 80 random
bits (https://github.com/ulid/spec). Two made in the same millisecond by one process
still differ and sort in the order they were made: the second is the first plus one.

``kolo-c validate`` sets KOLO_C_TICKING in the programs that it compares: a process that
no other one recorded then counts from 1, as does the clock of its records.

Threads: any (a lock), also in a signal's handler and in a forked child.
Owns: the last identifier. Fails: never.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import RLock  # threading is 0.5 ms more

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80
_RANDOM_BYTES = _RANDOM_BITS // 8
_AT_ONCE = 64 * _RANDOM_BYTES

TICKING = os.environ.get("KOLO_C_TICKING") == "1"

# The system's, for several: asking it for each takes a request's time.
_random = b""
_random_at = 0
_lock = RLock()
_last = 0
_pid = 0
# A process that was forked off or started by this one cannot know what it has given.
_counting_pid = os.getpid() if TICKING and "KOLO_C_PARENT" not in os.environ else 0


def ulid() -> str:
    """A new identifier, greater than every one this process has made before."""
    global _last, _lock, _pid, _random, _random_at
    core = sys.modules.get("kolo_c._kolo")
    if core is not None and not TICKING:  # in C a request waits less for it
        text: str = core.ulid(_last >> _RANDOM_BITS)
        return text
    pid = os.getpid()
    if pid != _pid:
        # A forked child: a thread that is not here may have the lock, and what its
        # parent would go on with is its parent's.
        _lock, _pid, _last, _random, _random_at = RLock(), pid, 0, b"", 0
    with _lock:
        number = 0 if _counting_pid == pid else _new()
        # No call from here on: a signal's handler would run there.
        if number >> _RANDOM_BITS <= _last >> _RANDOM_BITS:
            number = _last + 1
        _last = number
    return "".join([_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5)])


def _new() -> int:
    """The time, and bits that nobody else has."""
    global _random, _random_at
    if _random_at == len(_random):
        _random, _random_at = os.urandom(_AT_ONCE), 0
    at = _random_at
    _random_at += _RANDOM_BYTES
    random = int.from_bytes(_random[at : at + _RANDOM_BYTES], "big")
    return time.time_ns() // 1_000_000 << _RANDOM_BITS | random


def trace_id() -> str:
    """A new identifier for a trace."""
    return f"trc_{ulid()}"
