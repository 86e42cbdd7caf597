"""Values as the tracer wrote them, back as typed Python objects.

What has an exact Python counterpart becomes it (int, datetime, Decimal, …); the rest is
a small frozen class that says what was seen. Types stand in it by definition number:
text.py and jsonable.py look the names up when they are shown.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.store.slotted import Slotted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Value: TypeAlias = Any
else:
    Value = object
"""None, bool, int, float, complex, str, bytes, bytearray, range, list, the classes of
``datetime``, Decimal, UUID, or one of the classes below."""

Pairs = tuple[tuple[Value, Value], ...]
Fields = tuple[tuple[str, Value], ...]
DICT = 20
_HEADS = {21: 2, 23: 1}  # Tag.OBJECT: type and address; Tag.NAMEDTUPLE: type


class Dict(Slotted):
    """A dict, in its order; keys may be any value."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs


class Items(Slotted):
    """A tuple, set or frozenset."""

    __slots__ = ("tag", "items")

    def __init__(self, tag: int, items: tuple[Value, ...]) -> None:
        self.tag = tag
        self.items = items


class CutText(Slotted):
    """The beginning of a str of ``length`` characters."""

    __slots__ = ("text", "length")

    def __init__(self, text: str, length: int) -> None:
        self.text = text
        self.length = length


class CutBytes(Slotted):
    """The beginning of ``length`` bytes."""

    __slots__ = ("data", "length")

    def __init__(self, data: bytes, length: int) -> None:
        self.data = data
        self.length = length


class CutItems(Slotted):
    """The first items of a container; ``tag`` 0: a list, 20: a dict (key, value, …)."""

    __slots__ = ("tag", "length", "items")

    def __init__(self, tag: int, length: int, items: tuple[Value, ...]) -> None:
        self.tag = tag
        self.length = length
        self.items = items

    def as_fields(self) -> tuple[int, Fields] | None:
        """Type and first fields of an instance that was cut; None for a container."""
        head = _HEADS.get(self.tag)
        if head is None or len(self.items) < head or type(self.items[0]) is not int:
            return None
        names, values = self.items[head::2], self.items[head + 1 :: 2]
        if not all(type(name) is str for name in names):
            return None
        return self.items[0], tuple(zip(names, values, strict=False))


class Cut(Slotted):
    """A value that the budget left out, or (no type) that was not asked for."""

    __slots__ = ("type", "length")

    def __init__(self, type: int | None, length: int | None) -> None:
        self.type = type
        self.length = length


class CutInt(Slotted):
    """An int too big to be kept: its size in bits."""

    __slots__ = ("bits",)

    def __init__(self, bits: int) -> None:
        self.bits = bits


class File(Slotted):
    """A path object."""

    __slots__ = ("type", "path")

    def __init__(self, type: int, path: str) -> None:
        self.type = type
        self.path = path


class Member(Slotted):
    """A member of an Enum."""

    __slots__ = ("type", "name", "value")

    def __init__(self, type: int, name: str, value: Value) -> None:
        self.type = type
        self.name = name
        self.value = value


class DictObject(Slotted):
    """An instance of a subclass of dict."""

    __slots__ = ("type", "address", "length", "pairs")

    def __init__(self, type: int, address: int, length: int, pairs: Pairs) -> None:
        self.type = type
        self.address = address
        self.length = length
        self.pairs = pairs


class Object(Slotted):
    """An instance with its plain fields."""

    __slots__ = ("type", "address", "fields")

    def __init__(self, type: int, address: int, fields: Fields) -> None:
        self.type = type
        self.address = address
        self.fields = fields


class Ref(Slotted):
    """An object without its fields."""

    __slots__ = ("type", "address")

    def __init__(self, type: int, address: int) -> None:
        self.type = type
        self.address = address


class NamedTuple(Slotted):
    """A namedtuple."""

    __slots__ = ("type", "fields")

    def __init__(self, type: int, fields: Fields) -> None:
        self.type = type
        self.fields = fields


class Raised(Slotted):
    """An exception: its type, its address while it lived, its ``args``."""

    __slots__ = ("type", "address", "args")

    def __init__(self, type: int, address: int, args: Value) -> None:
        self.type = type
        self.address = address
        self.args = args


class Function(Slotted):
    """A function, by module and qualname."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Class(Slotted):
    """A class."""

    __slots__ = ("type",)

    def __init__(self, type: int) -> None:
        self.type = type


class Module(Slotted):
    """A module."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Array(Slotted):
    """A NumPy array, without its elements."""

    __slots__ = ("type", "shape", "dtype")

    def __init__(self, type: int, shape: tuple[int, ...], dtype: str) -> None:
        self.type = type
        self.shape = shape
        self.dtype = dtype


class Cycle(Slotted):
    """The container that stands ``levels`` further up."""

    __slots__ = ("levels",)

    def __init__(self, levels: int) -> None:
        self.levels = levels


class Masked(Slotted):
    """A secret that was not written."""

    __slots__ = ("length",)

    def __init__(self, length: int | None) -> None:
        self.length = length


class Unbound(Slotted):
    """A local or an argument without a value."""

    __slots__ = ()


class Subclass(Slotted):
    """An instance of a subclass of int, str, …, as its base."""

    __slots__ = ("type", "address", "value")

    def __init__(self, type: int, address: int, value: Value) -> None:
        self.type = type
        self.address = address
        self.value = value


class Repr(Slotted):
    """What the class's own ``__repr__`` said."""

    __slots__ = ("type", "address", "text")

    def __init__(self, type: int, address: int, text: str) -> None:
        self.type = type
        self.address = address
        self.text = text


class View(Slotted):
    """A memoryview and the like, contents not read."""

    __slots__ = ("type", "length")

    def __init__(self, type: int, length: int) -> None:
        self.type = type
        self.length = length


class Failed(Slotted):
    """A value that could not be written, and why."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Broken(Slotted):
    """Bytes that no version of the writer that we know writes."""

    __slots__ = ("tag", "items")

    def __init__(self, tag: int, items: tuple[Value, ...]) -> None:
        self.tag = tag
        self.items = items


class Mark(Slotted):
    """What opens a tagged array, where none is: damage."""

    __slots__ = ("tag",)

    def __init__(self, tag: int) -> None:
        self.tag = tag


def is_marked_tail(value: Value) -> bool:
    """Whether ``value`` is a mark outside a tagged array, which is damage."""
    return value.__class__ is Mark
