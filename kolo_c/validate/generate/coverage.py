"""What many programs together must have made the tracer write.

A run in which one of these was never seen has not shown what it was to show: the
generator has lost a part, or the tracer a kind of record.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.wire import Kind, Tag

ENOUGH = 200
"""So many programs, from any seed on, should have it all."""

# What no program makes alone: collectors and plugins write these; a setting asks for
# the last one.
_NOT_OF_PROGRAMS = frozenset({Kind.LOG, Kind.PLUGIN, Kind.PLUGIN_END, Kind.CAUGHT})

# Numpy's arrays, texts of a program's own __repr__ (an option), and what went wrong.
_TAGS_NOT_OF_PROGRAMS = frozenset({Tag.NDARRAY, Tag.REPR, Tag.ERROR})

# Hooks that see the exception when it leaves a frame, on every version.
_TELLING_HOOKS = frozenset({"monitoring", "frame_eval"})


def expected_kinds(
    version: tuple[int, int], hook: str, *, caught: bool = False
) -> frozenset[Kind]:
    """The kinds of records that ``ENOUGH`` programs make under the hook; ``caught``:
    it was asked for what calls handle themselves, too."""
    expected = frozenset(Kind) - _NOT_OF_PROGRAMS
    if caught:
        expected |= {Kind.CAUGHT}
    if version >= (3, 12) or hook in _TELLING_HOOKS:
        # The exception stands in its RAISE: nothing is left to be told later.
        return expected - {Kind.HANDLED}
    if version < (3, 11):
        # Nothing tells a throw from a next().
        return expected - {Kind.THROW}
    return expected


def expected_tags() -> frozenset[Tag]:
    """The tags of values that ``ENOUGH`` programs make, on every version and hook."""
    return frozenset(Tag) - _TAGS_NOT_OF_PROGRAMS
