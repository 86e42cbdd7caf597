"""Where a value of one call stands in the calls next to it.

An address may be used again, so two values with one address are said to be the same
object only within one record, which was written while both were alive; or where they
are an exception on its way. Elsewhere it is "at the same address".

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from itertools import islice

from kolo_c.store import records as r
from kolo_c.store import values as v

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kolo_c.model.node import Node
    from kolo_c.store.definitions import Definitions
    from kolo_c.store.values import Value

EQUAL = "equal"
SAME_ADDRESS = "same address"
SAME_OBJECT = "same object"

_MOST_CHILDREN = 30
_SMALLEST_NUMBER = 100
_SHORTEST_TEXT = 3
_WITH_ADDRESS = (v.Object, v.Ref, v.DictObject, v.Subclass, v.Repr)
_SAYS_NOTHING = (v.Cut, v.Masked, v.Unbound, v.Failed, v.Broken, v.Cycle, v.CutInt)


class Held:
    """A value, and what has it: ``argument basket`` of a call."""

    __slots__ = ("name", "node", "role", "value")

    def __init__(self, node: Node, role: str, name: str, value: Value) -> None:
        self.node = node
        self.role = role
        self.name = name
        self.value = value


class Match:
    """Another place that has a value, and how sure it is that it is the same."""

    __slots__ = ("held", "how")

    def __init__(self, held: Held, how: str) -> None:
        self.held = held
        self.how = how


def held_by(node: Node, definitions: Definitions) -> Iterator[Held]:
    """Arguments, locals, result and exception of ``node``."""
    code = definitions.code(node.code) if node.code is not None else None
    begin, end = node.begin, node.end
    if isinstance(begin, r.Call) and code is not None:
        for name, value in zip(code.arguments, begin.arguments):  # noqa: B905 - fewer
            yield Held(node, "argument", name, value)
    elif isinstance(begin, (r.Region, r.Note, r.Plugin)) and isinstance(
        begin.values, v.Dict
    ):
        for key, value in begin.values.pairs:
            yield Held(node, "value", str(key), value)
    if isinstance(end, r.PluginEnd) and isinstance(end.values, v.Dict):
        for key, value in end.values.pairs:
            yield Held(node, "value", str(key), value)
    if isinstance(end, (r.Return, r.Raise)) and code is not None:
        names = code.raise_names if isinstance(end, r.Raise) else code.locals
        for name, value in zip(names, end.locals):  # noqa: B905 - where they were kept
            yield Held(node, "local", name, value)
    if isinstance(end, r.Return):
        yield Held(node, "result", "", end.value)
    exception = node.exception() if node.left_by_exception else None
    if exception is not None:
        yield Held(node, "exception", "", exception)


def neighbours(node: Node) -> Iterator[Node]:
    """Caller, the calls before and after it there, and its own first ones."""
    if node.parent is not None:
        yield node.parent
        around = node.parent.children
        at = next((i for i, other in enumerate(around) if other is node), None)
        if at is not None:
            yield from around[max(at - 1, 0) : at]
            yield from around[at + 1 : at + 2]
    yield from islice(node.children, _MOST_CHILDREN)


def matches(held: Held, others: list[Held]) -> list[Match]:
    """The places among ``others`` that have the value too."""
    if is_trivial(held.value):
        return []
    found = []
    for other in others:
        how = _how_same(held, other)
        if how is not None:
            found.append(Match(other, how))
    return found


def is_trivial(value: Value) -> bool:
    """Whether a value is so common that meeting it twice says nothing."""
    if value is None or isinstance(value, (bool, *_SAYS_NOTHING)):
        return True
    if isinstance(value, (int, float)):
        return abs(value) < _SMALLEST_NUMBER and value == int(value)
    if isinstance(value, (str, bytes, bytearray)):
        return len(value) < _SHORTEST_TEXT
    if isinstance(value, v.Items):
        return not value.items
    if isinstance(value, v.Dict):
        return not value.pairs
    return isinstance(value, list) and not value


def _how_same(held: Held, other: Held) -> str | None:
    if held is other:
        return None
    one, two = held.value, other.value
    if isinstance(one, v.Raised) and isinstance(two, v.Raised):
        if (one.type, one.address) != (two.type, two.address):
            return None
        flies = held.role == other.role == "exception"
        return SAME_OBJECT if flies else SAME_ADDRESS
    if isinstance(one, _WITH_ADDRESS) and isinstance(two, _WITH_ADDRESS):
        if (one.type, one.address) != (two.type, two.address):
            return None
        together = held.node is other.node and held.role == other.role == "argument"
        return SAME_OBJECT if together else SAME_ADDRESS
    if held.node is other.node or one.__class__ is not two.__class__:
        return None
    return EQUAL if one == two else None
