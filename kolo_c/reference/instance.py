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
- Members of types made in C may be C numbers or strings. C sees that; here a member of
  such a type counts as an object where the garbage collector is told of it.
- What has nothing but such members, none of them an object, is written as REF. (C does
  so by type; objects that are not there yet make it an OBJECT without fields.)

An instance dict that no descriptor gives (a few types made in C, as asyncio.Future; one
whose class calls something else `__dict__`) is read by neither core.

Threads: any. Owns: the names of slots; no class. Fails: never.
"""

from __future__ import annotations

import gc
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

HEAPTYPE = 1 << 9
IMMUTABLETYPE = 1 << 8
HAVE_GC = 1 << 14
_INLINE_VALUES = 1 << 2 if sys.version_info >= (3, 13) else 0
"""The collector is told of each attribute, beside the dict."""

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
_NUMBERS = frozenset(map(id, (bool, int, float, str, type(None))))
"""By address: a class may have an __eq__ of its own."""


def is_dunder(name: str) -> bool:
    """Whether ``name`` is one that Python keeps for itself: __name__."""
    return len(name) > 4 and name[:2] == "__" and name[-2:] == "__"


def borrow_entry(entries: Any, wanted: str) -> Any:
    """The entry of a dict, or None; no key but exact strings is compared: others may
    have an __eq__ of their own."""
    items = dict.items(entries) if isinstance(entries, dict) else entries.items()
    for name, entry in list(items):
        if type(name) is str and name == wanted:
            return entry
    return None


class Slots:
    """Where the fields of a type's instances are."""

    __slots__ = ("list", "dict_at", "has_dict", "only_c", "odd", "state")

    def __init__(self, cls: type) -> None:
        """Gather the slots of ``cls`` and its bases, those of the furthest base
        first."""
        bases = type_mro(cls)
        self.list: list[tuple[int, str, bool]] = []
        """Index of the base, name, and whether it is a member of a type made in C."""
        self.odd = False
        """Whether a dict of them has keys that are no exact strings."""
        self.dict_at = -1
        """Which base's descriptor gives the instance's dict; -1 for none."""
        for at in range(len(bases) - 1, -1, -1):
            if issubclass(type(bases[at]), type):
                self._add(at, bases[at])
        self.has_dict = self.dict_at >= 0
        if _dict_offset is not None:
            self.has_dict = _dict_offset(cls) != 0
        slots_in_c = [made_in_c for _, _, made_in_c in self.list]
        self.only_c = not self.has_dict and bool(slots_in_c) and all(slots_in_c)
        """Whether all that there may be are members of types made in C."""
        self.state = state_of(cls)

    def _add(self, at: int, base: type) -> None:
        made_in_c = borrow_entry(type_dict(base), "__slots__") is None
        for name, entry in list(type_dict(base).items()):
            self.odd = self.odd or type(name) is not str
            if type(name) is str and name == "__dict__":
                # From 3.15 on all classes have the same one, of object.
                if _is_giver(entry) and (
                    entry.__objclass__ is base or entry.__objclass__ is object
                ):
                    self.dict_at = at
            elif _is_slot(base, entry) and len(self.list) < _SLOTS_MAX:
                self.list.append((at, entry.__name__, made_in_c))


def _entry_of(base: type, name: str, slots: Slots) -> Any:
    """The entry of a base of the type that has ``slots``."""
    entries = type_dict(base)
    return borrow_entry(entries, name) if slots.odd else entries.get(name)


def _is_giver(entry: Any) -> bool:
    """Whether ``entry`` is what Python or C made for `__dict__`."""
    return type(entry) is _MEMBER or type(entry) is _GETSET


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
        try:
            for name, field in dict.items(entries):
                if type(name) is str and not is_dunder(name):
                    yield name, field
        except RecursionError:
            raise
        except RuntimeError:  # changed meanwhile: no more of it
            return


def instance_dict(value: Any, slots: Slots) -> dict[Any, Any] | None:
    """The dict of ``value`` (made, where there was none)."""
    base = type_mro(type(value))[slots.dict_at]
    giver = _entry_of(base, "__dict__", slots)
    if not _is_giver(giver):
        return None
    entries = giver.__get__(value)
    return entries if issubclass(type(entries), dict) else None


def _slot_fields(value: Any, slots: Slots) -> list[tuple[str, Any]]:
    bases = type_mro(type(value))
    found = []
    has_members = False
    for at, name, made_in_c in slots.list:
        base = bases[at]
        entry = _entry_of(base, name, slots)
        if not _is_slot(base, entry):
            continue  # deleted since
        try:
            found.append((name, entry.__get__(value), made_in_c))
        except AttributeError:
            continue  # unbound
        has_members = has_members or made_in_c
    if has_members:
        found = _only_objects(value, slots, found)
    return [(name, field) for name, field, _ in found]


def _only_objects(
    value: Any, slots: Slots, found: list[tuple[str, Any, bool]]
) -> list[tuple[str, Any, bool]]:
    """Without members that are C numbers or strings, of which Python makes objects."""
    held: list[Any] = []
    if type_flags(type(value)) & HAVE_GC:
        held = gc.get_referents(value)
        for _, field, made_in_c in found:
            if not made_in_c:
                _take(held, field)
        if type_flags(type(value)) & _INLINE_VALUES:
            for field in list(dict.values(instance_dict(value, slots) or {})):
                _take(held, field)
    return [
        entry
        for entry in found
        if not entry[2]
        or id(type(entry[1])) not in _NUMBERS
        or type(value) is range
        or _take(held, entry[1])
    ]


def _take(held: list[Any], field: Any) -> bool:
    """Whether ``held`` has that very object; once for each time."""
    for at, item in enumerate(held):
        if item is field:
            del held[at]
            return True
    return False


def borrow(value: Any, slots: Slots, wanted: str) -> Any:
    """The field ``wanted``, or None."""
    for name, field in fields(value, slots):
        if name == wanted:
            return field
    return None
