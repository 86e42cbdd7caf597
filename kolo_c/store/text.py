"""Values for a person: one line, bounded, and harmless to a terminal.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.errors import harmless
from kolo_c.store import values as v
from kolo_c.wire import Tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from kolo_c.store.definitions import Definitions

VALUE_WIDTH = 60
_DEEPEST = 16
_BRACKETS = {
    0: ("[", "]"),
    Tag.TUPLE: ("(", ")"),
    Tag.SET: ("{", "}"),
    Tag.FROZENSET: ("frozenset({", "})"),
    v.DICT: ("{", "}"),
}
_TIMES = ("datetime", "date", "time")


def shorten(text: str, width: int) -> str:
    """``text`` in at most ``width`` characters, its end given up for a …."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def value_text(
    value: v.Value, definitions: Definitions, width: int = VALUE_WIDTH
) -> str:
    """``value`` in at most ``width`` characters."""
    pieces: list[str] = []
    length = 0
    for piece in _Writer(definitions, width).pieces(value, 0):
        pieces.append(piece)
        length += len(piece)
        if length > width:
            break
    return shorten("".join(pieces), width)


class _Writer:
    """Gives a value piece by piece, so that the caller can stop when it has enough."""

    def __init__(self, definitions: Definitions, width: int) -> None:
        self._definitions = definitions
        self._width = width

    def pieces(self, value: v.Value, depth: int) -> Iterator[str]:
        if depth > _DEEPEST:
            yield "…"
            return
        write = _WRITERS.get(value.__class__)
        if write is None:
            yield _plain(value, self._width)
        else:
            yield from write(self, value, depth + 1)

    def name(self, type: int) -> str:
        """A class's name, without its module: a line has little room."""
        return harmless(self._definitions.type_name(type).qualname)

    def items(
        self, tag: int, items: Iterable[Any], more: int, depth: int
    ) -> Iterator[str]:
        opening, closing = _BRACKETS.get(tag, ("<", ">"))
        yield opening
        count = 0
        for item in items:
            if count:
                yield ", "
            count += 1
            yield from self.pieces(item, depth)
        if more > 0:
            yield f", … {more:,} more" if count else f"… {more:,}"
        elif count == 1 and tag == Tag.TUPLE:
            yield ","
        yield closing

    def pairs(self, pairs: v.Pairs, more: int, depth: int) -> Iterator[str]:
        yield "{"
        for index, (key, value) in enumerate(pairs):
            if index:
                yield ", "
            yield from self.pieces(key, depth)
            yield ": "
            yield from self.pieces(value, depth)
        if more > 0:
            yield f", … {more:,} more" if pairs else f"… {more:,}"
        yield "}"

    def fields(
        self, name: str, fields: v.Fields, depth: int, more: int = 0
    ) -> Iterator[str]:
        yield f"{name}("
        for index, (key, value) in enumerate(fields):
            if index:
                yield ", "
            yield f"{harmless(key)}="
            yield from self.pieces(value, depth)
        if more > 0:
            yield f", … {more:,} more" if fields else f"… {more:,}"
        yield ")"

    def dict(self, value: v.Dict, depth: int) -> Iterator[str]:
        return self.pairs(value.pairs, 0, depth)

    def list(self, value: list[Any], depth: int) -> Iterator[str]:
        return self.items(0, value, 0, depth)

    def container(self, value: v.Items, depth: int) -> Iterator[str]:
        if not value.items and value.tag != Tag.TUPLE:
            return iter(("set()" if value.tag == Tag.SET else "frozenset()",))
        return self.items(value.tag, value.items, 0, depth)

    def cut_items(self, value: v.CutItems, depth: int) -> Iterator[str]:
        if value.tag == v.DICT:
            pairs = tuple(zip(value.items[::2], value.items[1::2], strict=False))
            return self.pairs(pairs, value.length - len(pairs), depth)
        cut = value.as_fields()
        if cut is not None:
            type, fields = cut
            more = value.length - len(fields)
            return self.fields(self.name(type), fields, depth, more)
        return self.items(
            value.tag, value.items, value.length - len(value.items), depth
        )

    def dict_object(self, value: v.DictObject, depth: int) -> Iterator[str]:
        yield f"{self.name(value.type)}("
        yield from self.pairs(value.pairs, value.length - len(value.pairs), depth)
        yield ")"

    def object(self, value: v.Object, depth: int) -> Iterator[str]:
        if not value.fields:
            return iter((f"<{self.name(value.type)}>",))
        return self.fields(self.name(value.type), value.fields, depth)

    def namedtuple(self, value: v.NamedTuple, depth: int) -> Iterator[str]:
        return self.fields(self.name(value.type), value.fields, depth)

    def raised(self, value: v.Raised, depth: int) -> Iterator[str]:
        yield self.name(value.type)
        args = value.args
        if not isinstance(args, v.Items):
            yield "("
            yield from self.pieces(args, depth)
            yield ")"
            return
        yield "("
        for index, item in enumerate(args.items):
            if index:
                yield ", "
            yield from self.pieces(item, depth)
        yield ")"

    def subclass(self, value: v.Subclass, depth: int) -> Iterator[str]:
        yield f"{self.name(value.type)}("
        yield from self.pieces(value.value, depth)
        yield ")"

    def cut_text(self, value: v.CutText, depth: int) -> Iterator[str]:
        yield f"{_quoted(value.text, self._width)} … {value.length:,} characters"

    def cut_bytes(self, value: v.CutBytes, depth: int) -> Iterator[str]:
        yield f"{value.data[: self._width]!r} … {value.length:,} bytes"

    def cut(self, value: v.Cut, depth: int) -> Iterator[str]:
        if value.type is None:
            yield "<not kept>"
            return
        length = "" if value.length is None else f" of {value.length:,}"
        yield f"<{self.name(value.type)}{length} …>"

    def cut_int(self, value: v.CutInt, depth: int) -> Iterator[str]:
        yield f"<int of {value.bits:,} bits>"

    def file(self, value: v.File, depth: int) -> Iterator[str]:
        yield f"{self.name(value.type)}({_quoted(value.path, self._width)})"

    def member(self, value: v.Member, depth: int) -> Iterator[str]:
        if value.name:
            yield f"{self.name(value.type)}.{harmless(value.name)}"
            return
        yield f"{self.name(value.type)}("  # Flag(0), or bits that no member has
        yield from self.pieces(value.value, depth)
        yield ")"

    def ref(self, value: v.Ref, depth: int) -> Iterator[str]:
        yield f"<{self.name(value.type)}>"

    def function(self, value: v.Function, depth: int) -> Iterator[str]:
        yield f"<function {harmless(value.name)}>"

    def class_(self, value: v.Class, depth: int) -> Iterator[str]:
        yield f"<class {harmless(self._definitions.type_name(value.type).full)}>"

    def module(self, value: v.Module, depth: int) -> Iterator[str]:
        yield f"<module {harmless(value.name)}>"

    def array(self, value: v.Array, depth: int) -> Iterator[str]:
        shape = "×".join(map(str, value.shape)) or "scalar"
        yield f"<{self.name(value.type)} {shape} {harmless(value.dtype)}>"

    def cycle(self, value: v.Cycle, depth: int) -> Iterator[str]:
        yield f"<the container {value.levels} up>"

    def masked(self, value: v.Masked, depth: int) -> Iterator[str]:
        yield "<masked>" if value.length is None else f"<masked, {value.length:,} long>"

    def unbound(self, value: v.Unbound, depth: int) -> Iterator[str]:
        yield "<unbound>"

    def repr(self, value: v.Repr, depth: int) -> Iterator[str]:
        yield harmless(value.text[: self._width + 1])

    def view(self, value: v.View, depth: int) -> Iterator[str]:
        yield f"<{self.name(value.type)} of {value.length:,} bytes>"

    def failed(self, value: v.Failed, depth: int) -> Iterator[str]:
        yield f"<not recorded: {harmless(value.reason)}>"

    def broken(self, value: v.Broken, depth: int) -> Iterator[str]:
        yield f"<damaged value, tag {value.tag}>"


def _plain(value: v.Value, width: int) -> str:
    kind = value.__class__
    if kind is str:
        return _quoted(value, width)
    if kind is int and value.bit_length() > 4096:  # beyond what int.__str__ will do
        return f"<int of {value.bit_length():,} bits>"
    if kind in (bytes, bytearray):
        return repr(value[: width + 1])
    if kind.__module__ == "datetime" and kind.__name__ in _TIMES:
        return str(value)
    if v.is_marked_tail(value):
        return "<damaged value>"
    return harmless(repr(value))


def _quoted(text: str, width: int) -> str:
    return repr(text[: width + 1])


_WRITERS: dict[type, Callable[[_Writer, Any, int], Iterator[str]]] = {
    list: _Writer.list,
    v.Dict: _Writer.dict,
    v.Items: _Writer.container,
    v.CutText: _Writer.cut_text,
    v.CutBytes: _Writer.cut_bytes,
    v.CutItems: _Writer.cut_items,
    v.Cut: _Writer.cut,
    v.CutInt: _Writer.cut_int,
    v.File: _Writer.file,
    v.Member: _Writer.member,
    v.DictObject: _Writer.dict_object,
    v.Object: _Writer.object,
    v.Ref: _Writer.ref,
    v.NamedTuple: _Writer.namedtuple,
    v.Raised: _Writer.raised,
    v.Function: _Writer.function,
    v.Class: _Writer.class_,
    v.Module: _Writer.module,
    v.Array: _Writer.array,
    v.Cycle: _Writer.cycle,
    v.Masked: _Writer.masked,
    v.Unbound: _Writer.unbound,
    v.Subclass: _Writer.subclass,
    v.Repr: _Writer.repr,
    v.View: _Writer.view,
    v.Failed: _Writer.failed,
    v.Broken: _Writer.broken,
}
