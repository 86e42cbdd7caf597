"""The texts that a record is made of, each by itself: what a search looks at.

A text is a string of a value, a number as Python prints it, the name of a function, an
argument, a type or a field, or the path of a file. ``src/plain/scan.c`` is the twin of
this and finds the same.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import datetime
import decimal
import os
import uuid

from kolo_c.store import records as r
from kolo_c.store import values as v
from kolo_c.store.definitions import Code, Definitions, PluginKind, TypeName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

_ESCAPED = {
    byte: f"\\x{byte:02x}" for byte in range(256) if not 0x20 <= byte < 0x7F
} | {9: "\\t", 10: "\\n", 13: "\\r", 0x5C: "\\\\"}
_ESCAPED_BYTES = [_ESCAPED.get(byte, chr(byte)) for byte in range(256)]


class Leaves:
    """Takes the records of one process apart."""

    __slots__ = ("_definitions", "_root")

    def __init__(self, definitions: Definitions, root: str | None) -> None:
        """``root`` of the project: paths of files in it begin there."""
        self._definitions = definitions
        self._root = root.rstrip(os.sep) + os.sep if root else ""

    def path(self, code: Code) -> str:
        """The file of ``code``, from the project's root where it lies in it."""
        path = self._definitions.path(code.file)
        inside = self._root and path.startswith(self._root)
        return path[len(self._root) :] if inside else path

    def of_definition(self, number: int, local_names: bool = False) -> Iterable[str]:
        """The texts of what ``number`` stands for, or of that function's locals."""
        found = self._definitions.get(number)
        if isinstance(found, Code):
            if local_names:
                return found.locals
            return (found.qualname, self.path(found), *found.arguments)
        if local_names:
            return ()
        if isinstance(found, TypeName):
            return (found.full,)
        if isinstance(found, PluginKind):
            return (found.name, found.label)
        return ()

    def of_value(self, value: v.Value) -> Iterator[str]:
        """The texts of a value and of everything in it."""
        pending = [value]
        while pending:
            value = pending.pop()
            kind = value.__class__
            if kind is str:
                yield value
            elif kind in _WRITTEN:
                text = _WRITTEN[kind](value)
                if text is not None:
                    yield text
            elif kind in _TYPED and value.type is not None:
                yield from self.of_definition(value.type)
            inside = _INSIDE.get(kind)
            if inside is not None:
                pending.extend(reversed(inside(value)))

    def of_record(self, record: r.Record, code: int) -> Iterator[str]:
        """All texts of a record that belongs to a call of the function ``code``."""
        if isinstance(record, (r.Call, r.Entered)):
            yield from self.of_definition(record.code)
        elif isinstance(record, r.Plugin):
            yield from self.of_definition(record.plugin)
        elif isinstance(record, (r.Return, r.Raise)) and record.locals:
            yield from self.of_definition(code, local_names=True)
        for value in parts(record):
            yield from self.of_value(value)


def parts(record: r.Record) -> list[v.Value]:
    """The values of a record, without those that are not there."""
    if isinstance(record, r.Call):
        return record.arguments
    if isinstance(record, r.Return):
        return [record.value, *record.locals]
    if isinstance(record, r.Yield):
        return [record.value]
    if isinstance(record, r.Raise):
        return [*_known(record.exception), *record.locals]
    if isinstance(record, (r.Throw, r.Handled, r.RegionEnd)):
        return _known(record.exception)
    if isinstance(record, r.Caught):  # what goes on was told before
        return [] if record.offset is None else _known(record.exception)
    if isinstance(record, r.Region):
        return [record.name, record.values]
    if isinstance(record, r.Note):
        return [record.text, record.values]
    if isinstance(record, r.Log):
        return _known(record.level, record.logger, record.text)
    if isinstance(record, r.Plugin):
        return [record.values]
    if isinstance(record, r.PluginEnd):
        return _known(record.values, record.exception)
    return []


def _known(*values: v.Value) -> list[v.Value]:
    return [value for value in values if value is not None]


def _int_text(value: int) -> str | None:
    try:
        return str(value)
    except ValueError:  # more digits than Python will write
        return None


def _bytes_text(value: bytes | bytearray) -> str:
    return "".join([_ESCAPED_BYTES[byte] for byte in value])


_WRITTEN: dict[type, Callable[[Any], str | None]] = {
    type(None): str,
    bool: str,
    int: _int_text,
    float: repr,
    complex: str,
    range: str,
    bytes: _bytes_text,
    bytearray: _bytes_text,
    datetime.datetime: str,
    datetime.date: str,
    datetime.time: str,
    datetime.timedelta: str,
    decimal.Decimal: str,
    uuid.UUID: str,
    v.CutText: lambda value: value.text,
    v.CutBytes: lambda value: _bytes_text(value.data),
    v.Function: lambda value: value.name,
    v.Module: lambda value: value.name,
    v.Failed: lambda value: value.reason,
}
_TYPED = frozenset(
    {
        v.File, v.Member, v.DictObject, v.Object, v.Ref, v.NamedTuple, v.Raised,
        v.Class, v.Array, v.Subclass, v.Repr, v.View, v.Cut,
    }
)  # fmt: skip
_INSIDE: dict[type, Callable[[Any], list[Any]]] = {
    list: lambda value: value,
    v.Dict: lambda value: [one for pair in value.pairs for one in pair],
    v.Items: lambda value: list(value.items),
    v.CutItems: lambda value: list(value.items),
    v.File: lambda value: [value.path],
    v.Member: lambda value: [value.name, value.value],
    v.DictObject: lambda value: [one for pair in value.pairs for one in pair],
    v.Object: lambda value: [one for pair in value.fields for one in pair],
    v.NamedTuple: lambda value: [one for pair in value.fields for one in pair],
    v.Raised: lambda value: [value.args],
    v.Array: lambda value: [value.dtype],
    v.Subclass: lambda value: [value.value],
    v.Repr: lambda value: [value.text],
}
