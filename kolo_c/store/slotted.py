"""Small classes that hold fields: what a dataclass gives, without importing it.

Every command that reads a trace loads dozens of them, and must start as fast as it can:
making them as dataclasses took longer than reading the trace.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Slotted:
    """Equal where class and fields are; written as its constructor is called.

    Its fields are its ``__slots__``, after those of its bases. Nobody changes one that
    says it is frozen; nothing enforces it.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if self.__class__ is not other.__class__:
            return NotImplemented
        return _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash((self.__class__, *_values(self)))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in _names(self))
        return f"{self.__class__.__qualname__}({fields})"


def _names(item: object) -> Iterator[str]:
    for kind in reversed(type(item).__mro__):
        for name in kind.__dict__.get("__slots__", ()):
            if not name.startswith("_"):
                yield name


def _values(item: object) -> list[object]:
    return [getattr(item, name) for name in _names(item)]
