"""Recorded values as Python's own, and stand-ins for what was not kept as a whole.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import datetime
import decimal
import pathlib
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kolo_c.store import values as v
from kolo_c.store.definitions import Definitions
from kolo_c.wire import Tag

Value: TypeAlias = Any
"""None, bool, int, float, complex, str, bytes, bytearray, range, list, tuple, set,
frozenset, dict, the classes of ``datetime``, Decimal, UUID, PurePosixPath, or one of
the classes below."""

_DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Truncated:
    """A value that is not there as a whole.

    >>> Truncated("The begin", 5000, "str")
    Truncated(value='The begin', length=5000, type='str')
    """

    value: Value
    """Its beginning, as it is; None where nothing of it was kept."""
    length: int | None
    """Of the whole: characters, bytes or items (bits of an int); None: not known."""
    type: str | None
    """The name of its class; None where values were not asked for."""


@dataclass(frozen=True, slots=True)
class Masked:
    """A secret, which was never written.

    >>> Masked(12)
    Masked(length=12)
    """

    length: int | None
    """Its characters or bytes; None where it is none of both."""


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of a class of the program's or a library's, with its plain fields.

    >>> Instance("shop.Cart", 0x7F00, {"total": 12}).fields["total"]
    12
    """

    type: str
    """The class, with its module."""
    address: int | None
    """Where it was: two at one address are one object only if they lived at once."""
    fields: dict[str, Value] = field(default_factory=dict)
    """Empty where they were not recorded."""
    text: str | None = None
    """Its own ``repr``, where that was asked for."""


@dataclass(frozen=True, slots=True)
class Subclass:
    """An instance of a subclass of dict, int, str and the like, as its base."""

    type: str
    address: int
    value: Value


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception.

    >>> str(Raised("builtins.KeyError", ("apple",), 0x7F00))
    "KeyError('apple')"
    """

    type: str | None
    """Its class, with its module; None: Python 3.10 and 3.11 did not tell it."""
    args: Value
    """Its ``args``: a tuple, unless they were truncated."""
    address: int | None

    @property
    def name(self) -> str:
        """The name of its class, without the module."""
        return (self.type or "?").rpartition(".")[2]

    def __str__(self) -> str:
        if self.type is None:
            return "an exception of unknown type"
        if not isinstance(self.args, tuple):
            return f"{self.name}({self.args!r})"
        return f"{self.name}({', '.join(map(repr, self.args))})"


@dataclass(frozen=True, slots=True)
class EnumMember:
    """A member of an Enum."""

    type: str
    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class FunctionRef:
    """A function, by module and qualified name."""

    name: str


@dataclass(frozen=True, slots=True)
class ClassRef:
    """A class, with its module."""

    name: str


@dataclass(frozen=True, slots=True)
class ModuleRef:
    """A module."""

    name: str


@dataclass(frozen=True, slots=True)
class Array:
    """A NumPy array, without its elements."""

    type: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Cycle:
    """The container that stands so many levels further up."""

    levels: int


@dataclass(frozen=True, slots=True)
class Unbound:
    """A local or an argument without a value."""


UNBOUND = Unbound()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A value that could not be recorded, or was damaged, and why."""

    reason: str


def to_python(value: v.Value, definitions: Definitions) -> Value:
    """A value of the store as one of this module."""
    return _Converter(definitions).convert(value, 0)


class _Converter:
    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    def convert(self, value: v.Value, depth: int) -> Value:
        convert = _CONVERTERS.get(value.__class__)
        if convert is None:
            known = value is None or value.__class__ in _PLAIN
            return value if known else Unreadable("damaged")
        if depth > _DEEPEST:
            return Truncated(None, None, None)
        return convert(self, value, depth + 1)

    def type(self, number: int) -> str:
        name = self._definitions.type_name(number)
        return f"{name.module}.{name.qualname}" if name.module else name.qualname

    def all(self, items: Iterable[v.Value], depth: int) -> list[Value]:
        return [self.convert(item, depth) for item in items]

    def fields(self, fields: v.Fields, depth: int) -> dict[str, Value]:
        return {name: self.convert(value, depth) for name, value in fields}

    def pairs(self, pairs: Iterable[tuple[Any, Any]], depth: int) -> Value:
        """A dict; a list of pairs where a key is nothing that a dict can have."""
        found = [(self.convert(k, depth), self.convert(i, depth)) for k, i in pairs]
        try:
            made = dict(found)
        except TypeError:
            return found
        return made if len(made) == len(found) else found

    def container(self, tag: int, items: list[Value]) -> Value:
        if tag == Tag.TUPLE:
            return tuple(items)
        if tag in (Tag.SET, Tag.FROZENSET):
            kind: Any = set if tag == Tag.SET else frozenset
            try:
                made = kind(items)
            except TypeError:
                return tuple(items)
            return made if len(made) == len(items) else tuple(items)
        return items

    def items(self, value: v.Items, depth: int) -> Value:
        return self.container(value.tag, self.all(value.items, depth))

    def cut_items(self, value: v.CutItems, depth: int) -> Truncated:
        name = _CONTAINERS.get(value.tag, "container")
        if value.tag == v.DICT:
            pairs = zip(value.items[::2], value.items[1::2], strict=False)
            return Truncated(self.pairs(pairs, depth), value.length, name)
        part = self.container(value.tag, self.all(value.items, depth))
        return Truncated(part, value.length, name)

    def cut(self, value: v.Cut, depth: int) -> Truncated:
        name = None if value.type is None else self.type(value.type)
        return Truncated(None, value.length, name)

    def dict_object(self, value: v.DictObject, depth: int) -> Subclass:
        inner = self.pairs(value.pairs, depth)
        if len(value.pairs) < value.length:
            inner = Truncated(inner, value.length, "dict")
        return Subclass(self.type(value.type), value.address, inner)

    def object(self, value: v.Object, depth: int) -> Instance:
        fields = self.fields(value.fields, depth)
        return Instance(self.type(value.type), value.address, fields)

    def namedtuple(self, value: v.NamedTuple, depth: int) -> Instance:
        return Instance(self.type(value.type), None, self.fields(value.fields, depth))

    def raised(self, value: v.Raised, depth: int) -> Raised:
        args = self.convert(value.args, depth)
        return Raised(self.type(value.type), args, value.address)


_PLAIN = frozenset(
    {
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        bytearray,
        range,
        datetime.datetime,
        datetime.date,
        datetime.time,
        datetime.timedelta,
        decimal.Decimal,
        uuid.UUID,
    }
)
_CONTAINERS = {
    0: "list",
    Tag.TUPLE: "tuple",
    Tag.SET: "set",
    Tag.FROZENSET: "frozenset",
    v.DICT: "dict",
}
_CONVERTERS: dict[type, Callable[[_Converter, Any, int], Value]] = {
    list: lambda c, value, depth: c.all(value, depth),
    v.Dict: lambda c, value, depth: c.pairs(value.pairs, depth),
    v.Items: _Converter.items,
    v.CutText: lambda c, value, depth: Truncated(value.text, value.length, "str"),
    v.CutBytes: lambda c, value, depth: Truncated(value.data, value.length, "bytes"),
    v.CutItems: _Converter.cut_items,
    v.Cut: _Converter.cut,
    v.CutInt: lambda c, value, depth: Truncated(None, value.bits, "int"),
    v.File: lambda c, value, depth: pathlib.PurePosixPath(value.path),
    v.Member: lambda c, value, depth: EnumMember(
        c.type(value.type), value.name, c.convert(value.value, depth)
    ),
    v.DictObject: _Converter.dict_object,
    v.Object: _Converter.object,
    v.Ref: lambda c, value, depth: Instance(c.type(value.type), value.address),
    v.NamedTuple: _Converter.namedtuple,
    v.Raised: _Converter.raised,
    v.Function: lambda c, value, depth: FunctionRef(value.name),
    v.Class: lambda c, value, depth: ClassRef(c.type(value.type)),
    v.Module: lambda c, value, depth: ModuleRef(value.name),
    v.Array: lambda c, value, depth: Array(
        c.type(value.type), value.shape, value.dtype
    ),
    v.Cycle: lambda c, value, depth: Cycle(value.levels),
    v.Masked: lambda c, value, depth: Masked(value.length),
    v.Unbound: lambda c, value, depth: UNBOUND,
    v.Subclass: lambda c, value, depth: Subclass(
        c.type(value.type), value.address, c.convert(value.value, depth)
    ),
    v.Repr: lambda c, value, depth: Instance(
        c.type(value.type), value.address, {}, value.text
    ),
    v.View: lambda c, value, depth: Truncated(None, value.length, c.type(value.type)),
    v.Failed: lambda c, value, depth: Unreadable(value.reason),
    v.Broken: lambda c, value, depth: Unreadable("damaged"),
}
