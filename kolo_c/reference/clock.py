"""One monotonic clock in nanoseconds. Twin of src/plain/clock.c.

The values are those of CLOCK_MONOTONIC, as in C, which reads them from the TSC where
that is safe. ``clock_gettime_ns`` is asked, as libraries that stop the time for a test
replace ``time.monotonic_ns`` in every module; one that changes the C function itself
(time-machine) is believed, for the wall clock.

For tests and for the comparison of cores the clock may be set to tick: every read then
returns one more than the one before.

Threads: any; the ticking clock is for one at a time. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from time import CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime_ns

SYSTEM = 0
TICKING = 2

source = SYSTEM
ticks = 0


def ns() -> int:
    """The time of an event."""
    if source == TICKING:
        return slow_ns()
    return clock_gettime_ns(CLOCK_MONOTONIC)


def slow_ns() -> int:
    """System or ticking, asked each time."""
    global ticks
    if source == TICKING:
        ticks += 1
        return ticks
    return system_ns()


def system_ns() -> int:
    """CLOCK_MONOTONIC: for what is waited for."""
    return clock_gettime_ns(CLOCK_MONOTONIC)


def utc_ns() -> int:
    """CLOCK_REALTIME."""
    return clock_gettime_ns(CLOCK_REALTIME)


def anchor() -> tuple[int, int]:
    """This clock and the wall clock read together; a ticking clock does not tick."""
    now_ns = ticks if source == TICKING else system_ns()
    return now_ns, utc_ns()


def set_ticking(ticking: bool) -> None:
    """Count reads instead of time, from 0."""
    global source, ticks
    ticks = 0
    source = TICKING if ticking else SYSTEM
