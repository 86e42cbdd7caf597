"""One monotonic clock in nanoseconds. Twin of src/plain/clock.c.

The values are those of CLOCK_MONOTONIC, as in C, which reads them from the TSC where
that is safe. ``clock_gettime_ns`` is asked, as libraries that stop the time for a test
replace ``time.monotonic_ns`` in every module; one that changes the C function itself
(time-machine) is believed, for the wall clock.

For the comparison of cores and hooks the clock may be set to tick: it then stands at 0,
and each record is one nanosecond later than the one before it in its stream
(``after``). The first record of a stream is at 1, whatever other threads do.

Threads: any; ``set_ticking`` before any other. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from time import CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime_ns

SYSTEM = 0
TICKING = 2

source = SYSTEM
tick_ns = 0  # from a record to the next where time stands: 0, or 1


def ns() -> int:
    """The time of an event."""
    if source == TICKING:
        return 0
    return clock_gettime_ns(CLOCK_MONOTONIC)


def after(last_ns: int, now_ns: int) -> int:
    """The time of a record that was begun at ``now_ns``, behind one of ``last_ns``.

    A clock that steps back never makes it earlier than that.
    """
    return now_ns if now_ns > last_ns else last_ns + tick_ns


def system_ns() -> int:
    """CLOCK_MONOTONIC: for what is waited for."""
    return clock_gettime_ns(CLOCK_MONOTONIC)


def utc_ns() -> int:
    """CLOCK_REALTIME."""
    return clock_gettime_ns(CLOCK_REALTIME)


def anchor() -> tuple[int, int]:
    """This clock and the wall clock read together."""
    return ns(), utc_ns()


def set_ticking(ticking: bool) -> None:
    """Count records instead of time."""
    global source, tick_ns
    tick_ns = 1 if ticking else 0
    source = TICKING if ticking else SYSTEM
