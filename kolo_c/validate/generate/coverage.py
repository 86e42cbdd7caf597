"""What many programs together must have made the tracer write.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.wire import Kind, Tag


def expected_kinds(version: tuple[int, int], hook: str) -> frozenset[Kind]:
    """Every kind, for now."""
    return frozenset(Kind)


def expected_tags(version: tuple[int, int]) -> frozenset[Tag]:
    """Every tag, for now."""
    return frozenset(Tag)
