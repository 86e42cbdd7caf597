"""Values as JSON: what JSON has as itself, the rest as an object with the key ``$``.

``{"$": "tuple", "items": […]}``, ``{"$": "ref", "type": "shop.Cart", "address": …}``
and so on; a dict whose keys are all str, none of them ``$``, is a JSON object.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import math

from kolo_c.store import values as v
from kolo_c.wire import Tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    from kolo_c.store.definitions import Definitions

    Json: TypeAlias = Any
    _Convert = Callable[["_Converter", Any, int], Json]
else:
    Json = object

_DEEPEST = 100
_CONTAINERS = {
    0: "list",
    Tag.TUPLE: "tuple",
    Tag.SET: "set",
    Tag.FROZENSET: "frozenset",
    v.DICT: "dict",
}


def value_json(value: v.Value, definitions: Definitions) -> Json:
    """``value`` as something that json.dumps takes."""
    return _Converter(definitions).convert(value, 0)


class _Converter:
    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    def convert(self, value: v.Value, depth: int) -> Json:
        kind = value.__class__
        if value is None or kind in (bool, str):
            return value
        if kind is int:
            # Longer ones cannot be read back by most, and take quadratic time to write.
            return (
                value if value.bit_length() <= 4096 else _marked("int", hex=hex(value))
            )
        if kind is float:
            return (
                value if math.isfinite(value) else _marked("float", value=repr(value))
            )
        if depth > _DEEPEST:
            return _marked("cut")
        convert = _CONVERTERS.get(kind)
        if convert is None and kind.__module__ in _LIBRARY_MODULES:
            convert = _LIBRARY.get(kind.__name__)
        if convert is None:
            return _marked("damaged")
        return convert(self, value, depth + 1)

    def type(self, number: int) -> str:
        return self._definitions.type_name(number).full

    def all(self, items: Iterable[v.Value], depth: int) -> list[Json]:
        return [self.convert(item, depth) for item in items]

    def pairs(self, pairs: v.Pairs, depth: int) -> list[Json]:
        return [
            [self.convert(key, depth), self.convert(value, depth)]
            for key, value in pairs
        ]

    def fields(self, fields: v.Fields, depth: int) -> dict[str, Json]:
        return {name: self.convert(value, depth) for name, value in fields}

    def dict(self, value: v.Dict, depth: int) -> Json:
        if all(key.__class__ is str and key != "$" for key, _ in value.pairs):
            return {key: self.convert(item, depth) for key, item in value.pairs}
        return _marked("dict", items=self.pairs(value.pairs, depth))

    def list(self, value: list[Any], depth: int) -> Json:
        return self.all(value, depth)

    def container(self, value: v.Items, depth: int) -> Json:
        return _marked(_CONTAINERS[value.tag], items=self.all(value.items, depth))

    def cut_items(self, value: v.CutItems, depth: int) -> Json:
        items: list[Json]
        found = value.as_fields()
        if found is not None:
            return _marked(
                "object",
                type=self.type(found[0]),
                length=value.length,
                fields=self.fields(found[1], depth),
                cut=True,
            )
        if value.tag == v.DICT:
            pairs = tuple(zip(value.items[::2], value.items[1::2], strict=False))
            items = self.pairs(pairs, depth)
        else:
            items = self.all(value.items, depth)
        name = _CONTAINERS.get(value.tag, "container")
        return _marked(name, length=value.length, items=items, cut=True)

    def dict_object(self, value: v.DictObject, depth: int) -> Json:
        return _marked(
            "dict",
            type=self.type(value.type),
            address=hex(value.address),
            length=value.length,
            items=self.pairs(value.pairs, depth),
        )

    def object(self, value: v.Object, depth: int) -> Json:
        return _marked(
            "object",
            type=self.type(value.type),
            address=hex(value.address),
            fields=self.fields(value.fields, depth),
        )

    def namedtuple(self, value: v.NamedTuple, depth: int) -> Json:
        fields = self.fields(value.fields, depth)
        return _marked("namedtuple", type=self.type(value.type), fields=fields)

    def raised(self, value: v.Raised, depth: int) -> Json:
        return _marked(
            "exception",
            type=self.type(value.type),
            address=hex(value.address),
            args=self.convert(value.args, depth),
        )

    def subclass(self, value: v.Subclass, depth: int) -> Json:
        return _marked(
            "subclass",
            type=self.type(value.type),
            address=hex(value.address),
            value=self.convert(value.value, depth),
        )

    def member(self, value: v.Member, depth: int) -> Json:
        return _marked(
            "enum",
            type=self.type(value.type),
            name=value.name,
            value=self.convert(value.value, depth),
        )

    def cut(self, value: v.Cut, depth: int) -> Json:
        if value.type is None:
            return _marked("withheld")
        return self.typed("cut", value, length=value.length)

    def typed(self, kind: str, value: Any, **more: Json) -> Json:
        return _marked(kind, type=self.type(value.type), **more)


def _marked(kind: str, **fields: Json) -> Json:
    return {"$": kind, **fields}


def _base64(data: bytes) -> str:
    import base64  # noqa: PLC0415 - few values need it

    return base64.b64encode(data).decode("ascii")


def _iso(kind: str) -> _Convert:
    return lambda c, value, depth: _marked(kind, value=value.isoformat())


_CONVERTERS: dict[type, _Convert] = {
    list: _Converter.list,
    bytes: lambda c, value, depth: _marked("bytes", base64=_base64(value)),
    bytearray: lambda c, value, depth: _marked("bytearray", base64=_base64(value)),
    complex: lambda c, value, depth: _marked("complex", value=repr(value)),
    range: lambda c, value, depth: _marked(
        "range", start=value.start, stop=value.stop, step=value.step
    ),
    v.Dict: _Converter.dict,
    v.Items: _Converter.container,
    v.CutText: lambda c, value, depth: _marked(
        "str", value=value.text, length=value.length, cut=True
    ),
    v.CutBytes: lambda c, value, depth: _marked(
        "bytes", base64=_base64(value.data), length=value.length, cut=True
    ),
    v.CutItems: _Converter.cut_items,
    v.Cut: _Converter.cut,
    v.CutInt: lambda c, value, depth: _marked("int", bits=value.bits, cut=True),
    v.File: lambda c, value, depth: c.typed("path", value, path=value.path),
    v.Member: _Converter.member,
    v.DictObject: _Converter.dict_object,
    v.Object: _Converter.object,
    v.Ref: lambda c, value, depth: c.typed("ref", value, address=hex(value.address)),
    v.NamedTuple: _Converter.namedtuple,
    v.Raised: _Converter.raised,
    v.Function: lambda c, value, depth: _marked("function", name=value.name),
    v.Class: lambda c, value, depth: c.typed("class", value),
    v.Module: lambda c, value, depth: _marked("module", name=value.name),
    v.Array: lambda c, value, depth: c.typed(
        "array", value, shape=list(value.shape), dtype=value.dtype
    ),
    v.Cycle: lambda c, value, depth: _marked("cycle", levels=value.levels),
    v.Masked: lambda c, value, depth: _marked("masked", length=value.length),
    v.Unbound: lambda c, value, depth: _marked("unbound"),
    v.Subclass: _Converter.subclass,
    v.Repr: lambda c, value, depth: c.typed(
        "repr", value, address=hex(value.address), text=value.text
    ),
    v.View: lambda c, value, depth: c.typed("view", value, length=value.length),
    v.Failed: lambda c, value, depth: _marked("failed", reason=value.reason),
    v.Broken: lambda c, value, depth: _marked("damaged", tag=value.tag),
}
# By name: where none of these is met, their modules are not imported.
_LIBRARY_MODULES = {"datetime", "decimal", "uuid"}
_LIBRARY: dict[str, _Convert] = {
    "datetime": _iso("datetime"),
    "date": _iso("date"),
    "time": _iso("time"),
    "timedelta": lambda c, value, depth: _marked(
        "timedelta",
        days=value.days,
        seconds=value.seconds,
        microseconds=value.microseconds,
    ),
    "Decimal": lambda c, value, depth: _marked("decimal", value=str(value)),
    "UUID": lambda c, value, depth: _marked("uuid", value=str(value)),
}
