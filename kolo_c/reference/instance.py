"""The plain fields of an instance: its slots and what its dict holds; twin of
``src/trace/instance.c``.

No user code runs: types are asked by `type`'s own descriptors, slots are read through
the descriptors that `__slots__` made, and the dict by the one that Python made for it,
whatever the class defines under these names. Names that begin and end with two
underscores are Python's own and left out.

What C does and Python cannot:

- C reads attributes that lie in the instance itself (3.11 and newer). Python has to ask
  for the dict, which makes one where there was none: on 3.11 and 3.12 the instance is
  64 bytes larger from then on, and its attributes are slower to read. There is no other
  way to the names; it is tolerated here alone.
- Members of types made in C may be C numbers. C sees that; here a member counts as an
  object where the garbage collector is told of it. An object that the type holds twice,
  one of them as a number, cannot be told apart.
- An instance dict that no descriptor gives (a few types made in C; a class that has a
  dict of its own and calls something else `__dict__`) is not read.

Threads: any. Owns: the names of slots; no class. Fails: never.
"""

from __future__ import annotations

import gc
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

HEAPTYPE = 1 << 9
IMMUTABLETYPE = 1 << 8
HAVE_GC = 1 << 14

_SLOTS_MAX = 256
"""More slots than any class has; the rest is not read."""


def _reader(name: str) -> Callable[[type], Any]:
    """Reads what `type` itself calls ``name``, past any metaclass."""
    get: Callable[[type], Any] = type.__dict__[name].__get__
    return get


type_dict = _reader("__dict__")
type_mro = _reader("__mro__")
type_flags = _reader("__flags__")
_dict_offset = _reader("__dictoffset__") if "__dictoffset__" in type.__dict__ else None

_MEMBER = types.MemberDescriptorType
_GETSET = types.GetSetDescriptorType
_DICT_GIVERS = (_MEMBER, _GETSET)
_NUMBERS = (bool, int, float, str, type(None))


def is_dunder(name: str) -> bool:
    """Whether ``name`` is one that Python keeps for itself: __name__."""
    return len(name) > 4 and name[:2] == "__" and name[-2:] == "__"


class Slots:
    """Where the fields of a type's instances are."""

    __slots__ = ("list", "dict_at", "has_dict", "state")

    def __init__(self, cls: type) -> None:
        """Gather the slots of ``cls`` and its bases, those of the furthest base
        first."""
        bases = type_mro(cls)
        self.list: list[tuple[int, str, bool]] = []
        """Index of the base, name, and whether it is a member of a type made in C."""
        self.dict_at = -1
        """Which base's descriptor gives the instance's dict; -1 for none."""
        for at in range(len(bases) - 1, -1, -1):
            if issubclass(type(bases[at]), type):
                self._add(at, bases[at])
        self.has_dict = self.dict_at >= 0
        if _dict_offset is not None:
            self.has_dict = _dict_offset(cls) != 0
        self.state = state_of(cls)

    def _add(self, at: int, base: type) -> None:
        entries = type_dict(base)
        made_in_c = "__slots__" not in entries
        for name, entry in entries.items():
            if name == "__dict__" and type(entry) in _DICT_GIVERS:
                if entry.__objclass__ is base:
                    self.dict_at = at
            elif _is_slot(base, entry) and len(self.list) < _SLOTS_MAX:
                self.list.append((at, entry.__name__, made_in_c))


def _is_slot(base: type, entry: Any) -> bool:
    """Whether ``entry`` of the dict of ``base`` is a slot of it: a class may hold a
    descriptor of another one."""
    return (
        type(entry) is _MEMBER
        and entry.__objclass__ is base
        and not is_dunder(entry.__name__)
    )


def state_of(cls: type) -> tuple[int, ...]:
    """What changes when slots of ``cls`` come, or its bases change."""
    state = []
    for base in type_mro(cls):
        state += [id(base), len(type_dict(base))]
    return tuple(state)


def fields(value: Any, slots: Slots) -> Iterator[tuple[str, Any]]:
    """Names and values, as they are when each is asked for."""
    if slots.list:
        yield from _slot_fields(value, slots)
    if slots.dict_at >= 0:
        entries = instance_dict(value, slots)
        if entries is None:
            return
        items = iter(dict.items(entries))
        while True:
            try:
                name, field = next(items)
            except (StopIteration, RuntimeError):  # changed meanwhile: no more of it
                return
            if type(name) is str and not is_dunder(name):
                yield name, field


def instance_dict(value: Any, slots: Slots) -> dict[Any, Any] | None:
    """The dict of ``value`` (made, where there was none)."""
    base = type_mro(type(value))[slots.dict_at]
    giver = type_dict(base).get("__dict__")
    if type(giver) not in _DICT_GIVERS:
        return None
    entries = giver.__get__(value)
    return entries if issubclass(type(entries), dict) else None


def _slot_fields(value: Any, slots: Slots) -> Iterator[tuple[str, Any]]:
    bases = type_mro(type(value))
    held: list[Any] | None = None
    for at, name, made_in_c in slots.list:
        base = bases[at]
        entry = type_dict(base).get(name)
        if not _is_slot(base, entry):
            continue  # deleted since
        try:
            field = entry.__get__(value)
        except AttributeError:
            continue  # unbound
        if made_in_c:
            if held is None:
                held = gc.get_referents(value)
            if not _is_held(value, field, held):
                continue
        yield name, field


def _is_held(value: Any, field: Any, held: list[Any]) -> bool:
    """Whether ``field`` is an object in ``value``, not a C number made into one."""
    if type_flags(type(value)) & HAVE_GC:
        return any(item is field for item in held)
    return type(value) is range or type(field) not in _NUMBERS


def borrow(value: Any, slots: Slots, wanted: str) -> Any:
    """The field ``wanted``, or None."""
    for name, field in fields(value, slots):
        if name == wanted:
            return field
    return None
