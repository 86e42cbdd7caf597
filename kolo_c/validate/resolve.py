"""A block's bytes become records in which every number says what it stands for.

The shape stays msgpack's: a record is the list that was written, and in it definition
numbers have become what they define, threads their names, addresses the order in which
they appear within the record. Two streams that are equal here are equal byte for byte,
those three things aside: ``resolve_block`` also packs again what it unpacked, and finds
bytes that another encoder would not have written.

Threads: one at a time. Owns: nothing. Fails: never on wrong bytes: ``Resolved.damage``
says what is wrong with them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgpack

from kolo_c.store.decoding import DAMAGE
from kolo_c.store.definitions import (
    Code,
    Definitions,
    PluginKind,
    Task,
    Thread,
    TypeName,
)
from kolo_c.wire import TAG_EXTENSION, Kind, Mark, Tag

if TYPE_CHECKING:
    from collections.abc import Callable

Record = list[Any]
_CONTAINER_HEADS = {Tag.OBJECT: "TA", Tag.NAMEDTUPLE: "T"}
# What stands after the tag: T a type, A an address, "." as it is, v a value; what comes
# after these is values.
_SHAPES: dict[int, str] = {
    Tag.CUT: "T.",
    Tag.CUT_STR: "..",
    Tag.CUT_BYTES: "..",
    Tag.PATH: "T.",
    Tag.ENUM: "T.v",
    Tag.DICT: "TA.",
    Tag.OBJECT: "TA",
    Tag.REF: "TA",
    Tag.NAMEDTUPLE: "T",
    Tag.EXCEPTION: "TAv",
    Tag.CLASS: "T",
    Tag.NDARRAY: "T..",
    Tag.SUBCLASS: "TAv",
    Tag.REPR: "TA.",
    Tag.VIEW: "T.",
}
# The same for the fields of a record after its time: C a code object, N a thread, K a
# task, P a plugin's kind, S what can be suspended: one of C and P.
_RECORDS: dict[int, str] = {
    Kind.CALL: "C.",
    Kind.RETURN: "v",
    Kind.RAISE: "v.",
    Kind.YIELD: "v.",
    Kind.RESUME: "N.S.",
    Kind.THROW: "N.S.v",
    Kind.ENTERED: "C.",
    Kind.HANDLED: "N.v",
    Kind.CAUGHT: "N...v",
    Kind.TASK: "K",
    Kind.REGION: ".v",
    Kind.REGION_END: "v",
    Kind.NOTE: ".v",
    Kind.LOG: "v...",
    Kind.PLUGIN: "Pv.",
    Kind.PLUGIN_END: "vv",
    Kind.MARK: "...",
}


class Pairs(dict[Any, Any]):
    """A map as it was written: pairs in their order, whatever the keys are."""

    def __init__(self, pairs: list[tuple[Any, Any]]) -> None:
        super().__init__()
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def items(self) -> Any:
        """For msgpack, which packs what this gives."""
        return self.pairs

    def __repr__(self) -> str:
        return f"Pairs({self.pairs!r})"


@dataclass
class Resolved:
    """The records of a block, and what is wrong with it."""

    records: list[Record] = field(default_factory=list)
    damage: str = ""
    addresses: int = 0
    """How many were written."""


def pack(value: Any) -> bytes:
    """The one way to write ``value``: equal bytes, equal values, types included."""
    packed: bytes = msgpack.packb(
        value, use_bin_type=True, unicode_errors="surrogatepass"
    )
    return packed


class Resolver:
    """Resolves the blocks of one process."""

    def __init__(self, definitions: Definitions, threads: dict[int, Thread]) -> None:
        self._definitions = definitions
        self._threads = threads
        self._names: dict[tuple[str, int], Any] = {}
        self._addresses: dict[int, str] = {}
        self._address_count = 0
        self._highest = 0

    def resolve_block(self, data: bytes, highest: int) -> Resolved:
        """The records in ``data``, whose header needs definitions up to ``highest``."""
        resolved = Resolved()
        unpacker = msgpack.Unpacker(
            None,
            max_buffer_size=max(len(data), 1),
            strict_map_key=False,
            unicode_errors="surrogatepass",
            object_pairs_hook=Pairs,
        )
        unpacker.feed(data)
        self._highest = self._address_count = 0
        written = bytearray()
        try:
            for fields in unpacker:
                written += pack(fields)
                resolved.records.append(self._record(fields))
        except DAMAGE as error:
            at = unpacker.tell()
            resolved.damage = f"no record before byte {at} of {len(data)}: {error!r}"
        else:
            if bytes(written) != data:
                resolved.damage = _first_difference(bytes(written), data)
            elif self._highest > highest:
                resolved.damage = (
                    f"its header needs definitions up to {highest}, its records one "
                    f"of number {self._highest}"
                )
        resolved.addresses = self._address_count
        return resolved

    def thread(self, number: int) -> str:
        """What a thread is called."""
        found = self._threads.get(number)
        return found.name or "?" if found is not None else f"<thread {number}>"

    # ---- records ----

    def _record(self, fields: list[Any]) -> Record:
        kind = fields[0]
        shape = _RECORDS[kind]
        self._addresses = {}
        if kind == Kind.MARK and fields[2] == Mark.COUNTED:
            code, calls, ns = fields[3]
            counted = [self._code(code), calls, ns]
            return [*fields[:3], counted, *fields[4:]]
        return [kind, fields[1], *self._fields(fields, 2, shape)]

    def _fields(self, fields: list[Any], start: int, shape: str) -> list[Any]:
        found = []
        for role, value in zip(shape, fields[start:], strict=False):
            if role == "." or value is None:
                found.append(value)
            elif role == "v":
                found.append(self._value(value))
            else:
                found.append(_ROLES[role](self, value))
        found += map(self._value, fields[start + len(shape) :])
        return found

    # ---- values ----

    def _value(self, value: Any) -> Any:
        kind = value.__class__
        if kind is list:
            if value and value[0].__class__ is msgpack.ExtType:
                return self._tagged(value)
            return [self._value(item) for item in value]
        if kind is Pairs:
            return Pairs([(self._value(k), self._value(v)) for k, v in value.pairs])
        return value

    def _tagged(self, value: list[Any]) -> list[Any]:
        code, data = value[0]
        if code != TAG_EXTENSION or len(data) != 1:
            raise ValueError(f"extension {code} is not ours")
        tag = data[0]
        if tag == Tag.CUT_ITEMS:
            head = _CONTAINER_HEADS.get(value[1], "")
            return [*value[:3], *self._fields(value, 3, head)]
        return [value[0], *self._fields(value, 1, _SHAPES.get(tag, ""))]

    # ---- what numbers stand for ----

    def _address(self, address: int) -> str:
        self._address_count += 1
        return self._addresses.setdefault(address, f"@{len(self._addresses) + 1}")

    def _named(self, role: str, number: int, name: Any) -> Any:
        if number.__class__ is not int:
            raise ValueError(f"a definition's number was expected, not {number!r}")
        self._highest = max(self._highest, number)
        key = (role, number)
        if key not in self._names:
            self._names[key] = name(number)
        return self._names[key]

    def _code(self, number: int) -> str:
        return str(self._named("C", number, self._name_code))

    def _name_code(self, number: int) -> str:
        code = self._definitions.get(number)
        if not isinstance(code, Code):
            raise ValueError(f"definition {number} is no code object: {code!r}")
        path = self._definitions.recorded_path(code.file)
        everything = [
            path, code.qualname, code.module, code.first_line, code.flags,
            list(code.arguments), list(code.locals), code.line_table, code.self_kind,
            code.name,
        ]  # fmt: skip
        digest = hashlib.blake2b(pack(everything), digest_size=4).hexdigest()
        return f"{code.qualname} {path}:{code.first_line} {digest}"

    def _type(self, number: int) -> Any:
        return self._named("T", number, self._name_type)

    def _name_type(self, number: int) -> list[str | None]:
        found = self._definitions.get(number)
        if not isinstance(found, TypeName):
            raise ValueError(f"definition {number} is no type: {found!r}")
        return [found.module, found.qualname]

    def _task(self, number: int) -> Any:
        return None if number == 0 else self._named("K", number, self._name_task)

    def _name_task(self, number: int) -> list[str | None]:
        found = self._definitions.get(number)
        if not isinstance(found, Task):
            raise ValueError(f"definition {number} is no task: {found!r}")
        return [found.name, found.coroutine]

    def _plugin(self, number: int) -> Any:
        return self._named("P", number, self._name_plugin)

    def _name_plugin(self, number: int) -> list[str]:
        found = self._definitions.get(number)
        if not isinstance(found, PluginKind):
            raise ValueError(f"definition {number} is no plugin's kind: {found!r}")
        return [found.name, found.label, found.colour, found.summary]

    def _suspended(self, number: int) -> Any:
        if isinstance(self._definitions.get(number), PluginKind):
            return self._plugin(number)
        return self._code(number)


_ROLES: dict[str, Any] = {
    "A": Resolver._address,
    "C": Resolver._code,
    "T": Resolver._type,
    "N": Resolver.thread,
    "K": Resolver._task,
    "P": Resolver._plugin,
    "S": Resolver._suspended,
}


def _first_difference(written: bytes, data: bytes) -> str:
    pairs = zip(written, data, strict=False)
    at = next(
        (i for i, (a, b) in enumerate(pairs) if a != b), min(map(len, (written, data)))
    )
    return f"byte {at} of {len(data)} is not how msgpack writes shortest"


# ---- what is resolved, changed ----


def is_address(value: Any) -> bool:
    return value.__class__ is str and value[:1] == "@" and value[1:].isdigit()


def map_values(value: Any, change: Callable[[Any], Any]) -> Any:
    """``value`` with everything in it, and then itself, changed."""
    kind = value.__class__
    if kind is list:
        return change([map_values(item, change) for item in value])
    if kind is Pairs:
        return Pairs(
            [(map_values(k, change), map_values(v, change)) for k, v in value.pairs]
        )
    return change(value)


def renumbered(record: Record) -> Record:
    """Addresses counted anew, in the order that values stand in now."""
    seen: dict[str, str] = {}

    def change(value: Any) -> Any:
        if is_address(value):
            return seen.setdefault(value, f"@{len(seen) + 1}")
        return value

    return [map_values(value, change) for value in record]
