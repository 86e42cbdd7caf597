"""``Frozen``: named values that do not change, at the price of a plain class.

What ``@dataclass(frozen=True)`` gives, for the modules that every start passes:
``dataclasses`` brings inspect, ast and dis along, 5 ms of a start where Python itself
takes 10, and compiles methods for each class on top of that.

Threads: any. Owns: nothing. Fails: TypeError for wrong arguments, AttributeError for
a change.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_options):
        """Says to a type checker alone that subclasses are like dataclasses."""
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class Frozen:
    """Base of a class whose annotations are its fields, and class values defaults."""

    _names: ClassVar[tuple[str, ...]] = ()
    _aside: ClassVar[tuple[str, ...]] = ()
    """Fields that say nothing about equality."""

    def __init_subclass__(cls) -> None:
        cls._names = tuple(name for name in cls.__annotations__ if name[0] != "_")

    # A field may have the name `self`.
    def __init__(self, /, *values: Any, **named: Any) -> None:
        names = self._names
        state = self.__dict__
        state.update(zip(names, values))  # noqa: B905 - too many are found below
        state.update(named)
        if len(state) != len(values) + len(named) or named.keys() - names:
            raise TypeError(f"{type(self).__name__} takes {', '.join(names)}")
        if len(state) == len(names):
            return
        for name in names:
            if name not in state:
                try:
                    state[name] = getattr(type(self), name)
                except AttributeError:
                    message = f"{type(self).__name__} lacks {name}"
                    raise TypeError(message) from None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} does not change: use with_()")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} does not change")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={self.__dict__[name]!r}" for name in self._names)
        return f"{type(self).__name__}({fields})"

    def _compared(self) -> tuple[Any, ...]:
        values = self.__dict__
        return tuple(values[name] for name in self._names if name not in self._aside)

    def with_(self, /, **changes: Any) -> Self:
        """The same with some values changed."""
        return type(self)(**{**self.__dict__, **changes})

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, as they are."""
        return {name: self.__dict__[name] for name in self._names}
