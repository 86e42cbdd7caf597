"""What one hook cannot tell and another can: how two streams become equal without it.

``kolo_c.validate.normalise`` lists these, with the reason and the versions of each.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import sys
from typing import Any

import msgpack

from kolo_c.validate.resolve import Pairs, Record, pack, renumbered
from kolo_c.wire import END_KINDS, NODE_KINDS, PUSH_KINDS, TAG_EXTENSION, Kind, Tag

_CUTS = tuple(
    msgpack.ExtType(TAG_EXTENSION, bytes([tag]))
    for tag in (Tag.CUT_STR, Tag.CUT_BYTES, Tag.CUT_ITEMS, Tag.CUT)
)
_CUT_TEXTS = _CUTS[:2]
_CUT = _CUTS[3]

# Where an offset stands in a record.
_OFFSETS = {
    Kind.CALL: 3,
    Kind.RESUME: 5,
    Kind.THROW: 5,
    Kind.RAISE: 3,
    Kind.YIELD: 3,
    Kind.ENTERED: 3,
    Kind.PLUGIN: 4,
}


def before_monitoring(first: str, second: str) -> bool:
    """Whether they are the two hooks of 3.10 and 3.11."""
    return {first, second} == {"setprofile", "frame_eval"}


def has_caches(first: str, second: str) -> bool:
    """Whether they are those, and the instructions have inline caches."""
    return before_monitoring(first, second) and sys.version_info >= (3, 11)


def without_cached_sites(
    first: list[Record], second: list[Record]
) -> tuple[list[Record], list[Record], int]:
    """Offsets that an inline cache is between are setprofile's, the first's."""
    changed = []
    count = 0
    for one, other in zip(first, second, strict=False):
        at = _OFFSETS.get(one[0])
        if at is not None and one[0] == other[0] and _is_cached(one[at], other[at]):
            other = [*other[:at], one[at], *other[at + 1 :]]
            count += 1
        changed.append(other)
    return first, changed + second[len(changed) :], count


def _is_cached(one: Any, other: Any) -> bool:
    return None not in (one, other) and one - other in _CACHES


_CACHES = (1, 2, 4)
"""So many code units has a cache of an instruction that calls."""
_THROW_IS_HIDDEN = sys.version_info < (3, 11)
"""3.11 does not tell what was thrown, 3.10 not even that something was."""


def without_hidden_exceptions(
    first: list[Record], second: list[Record]
) -> tuple[list[Record], list[Record], int]:
    """HANDLED goes to the RAISE that it explains; what is unknown to one is to both."""
    one, one_late = _explained(first)
    other, other_late = _explained(second)
    late = one_late | other_late
    handled = len(first) - len(one) + len(second) - len(other)
    count = 0
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a[0] == Kind.RAISE == b[0] and (a[2] is None) != (b[2] is None):
            one[at], other[at] = _cut_alike(_unknown(a), _unknown(b))
            count += 1
        elif at in late and a[0] == Kind.RAISE == b[0]:
            one[at], other[at] = _cut_alike(_of_type(a), _of_type(b))
        elif a[0] == Kind.PLUGIN_END == b[0] and None not in (a[3], b[3]):
            hidden = (a[3] is True) != (b[3] is True)
            if hidden:
                one[at], other[at] = [*a[:3], True], [*b[:3], True]
            count += hidden
        elif a[0] == Kind.THROW == b[0] and None in (a[6], b[6]):
            one[at], other[at] = a[:6], b[:6]
            count += a[6] is not b[6]
        elif _THROW_IS_HIDDEN and {a[0], b[0]} == {Kind.THROW, Kind.RESUME}:
            one[at] = [Kind.RESUME, *a[1:6]]
            other[at] = [Kind.RESUME, *b[1:6]]
            count += 1
    return one, other, count + handled


def _explained(records: list[Record]) -> tuple[list[Record], set[int]]:
    """Without HANDLED, whose exceptions stand in the RAISE of their nodes, and in which
    of them they do."""
    late = set()
    known = {
        record[3]: record[4]
        for record in records
        if record[0] == Kind.HANDLED and record[2] is None
    }
    stack: list[int] = []
    node = 0
    found: list[Record] = []
    for record in records:
        kind = record[0]
        if kind == Kind.HANDLED:
            continue
        if kind in NODE_KINDS:
            node += 1
            if kind in PUSH_KINDS:
                stack.append(node)
        elif kind in (Kind.RESUME, Kind.THROW):
            stack.append(record[3] if record[2] is None else 0)
        elif kind in END_KINDS or kind == Kind.YIELD:
            left = stack.pop() if stack else 0
            if kind == Kind.RAISE and record[2] is None and left in known:
                record = [*record[:2], known[left], *record[3:]]
                late.add(len(found))
        found.append(_apart(record) if kind == Kind.RAISE else record)
    return found, late


def _apart(record: Record) -> Record:
    """A RAISE whose exception counts its addresses for itself, as in a HANDLED."""
    exception, rest = renumbered([record[2]]), renumbered(record[3:])
    return [*record[:2], *exception, *rest]


def _of_type(record: Record) -> Record:
    """A RAISE without what its exception held: that may have changed by the time it
    was seen."""
    return [*record[:2], record[2][:2], *record[3:]]


def _cut_alike(a: Record, b: Record) -> tuple[Record, Record]:
    """Two RAISE without locals that were cut, where they differ: what the exception
    took of the record was not there for them."""
    if pack(a) == pack(b) or not (_is_cut(a[4:]) or _is_cut(b[4:])):
        return a, b
    return a[:4], b[:4]


def _is_cut(value: Any) -> bool:
    """Whether something in it was cut."""
    if value.__class__ is list:
        return (bool(value) and value[0] in _CUTS) or any(map(_is_cut, value))
    if value.__class__ is Pairs:
        return any(_is_cut(part) for pair in value.pairs for part in pair)
    return False


def _unknown(record: Record) -> Record:
    """A RAISE without its exception."""
    return [*record[:2], None, *record[3:]]


def tells_handled(first: str, second: str) -> bool:
    """Whether one of them alone tells of what a call handles itself."""
    return (first == "monitoring") != (second == "monitoring")


def fills_otherwise(first: str, second: str) -> bool:
    """Whether blocks may end elsewhere under one of them."""
    return before_monitoring(first, second) or tells_handled(first, second)


def without_caught(
    first: list[Record], second: list[Record]
) -> tuple[list[Record], list[Record], int]:
    """Without CAUGHT, which monitoring alone can have."""
    one = [record for record in first if record[0] != Kind.CAUGHT]
    other = [record for record in second if record[0] != Kind.CAUGHT]
    return one, other, len(first) - len(one) + len(second) - len(other)


def without_places_of_cuts(
    first: list[Record], second: list[Record]
) -> tuple[list[Record], list[Record], int]:
    """What was cut in a value is as long as in the one of both that has less of it."""
    one, other = list(first), list(second)
    count = 0
    for at, (a, b) in enumerate(zip(first, second, strict=False)):
        if a[0] == b[0] and (_is_cut(a) or _is_cut(b)) and pack(a) != pack(b):
            changed = [_cut_same(x, y) for x, y in zip(a, b, strict=False)]
            one[at] = [x for x, _ in changed] + a[len(changed) :]
            other[at] = [y for _, y in changed] + b[len(changed) :]
            count += 1
    return one, other, count


def without_repeated_tasks(
    first: list[Record], second: list[Record]
) -> tuple[list[Record], list[Record], int]:
    """Without the TASK that begins a block and tells the task of the one before."""
    one, other = _tasks_once(first), _tasks_once(second)
    return one, other, len(first) - len(one) + len(second) - len(other)


def _tasks_once(records: list[Record]) -> list[Record]:
    task = None
    found = []
    for record in records:
        if record[0] == Kind.TASK:
            if record[2] == task:
                continue
            task = record[2]
        found.append(record)
    return found


def _cut_same(a: Any, b: Any) -> tuple[Any, Any]:
    if a.__class__ is Pairs and b.__class__ is Pairs and len(a.pairs) == len(b.pairs):
        both = [
            _cut_same(list(x), list(y)) for x, y in zip(a.pairs, b.pairs, strict=True)
        ]
        return Pairs([(*x,) for x, _ in both]), Pairs([(*y,) for _, y in both])
    if a.__class__ is not list or b.__class__ is not list or not a or not b:
        return a, b
    if a[0] in _CUTS or b[0] in _CUTS:
        if a[0] != b[0]:
            return "<cut>", "<cut>"  # just here
        a, b = a[: len(b)], b[: len(a)]
        if a[0] == _CUT and None in (a[-1], b[-1]):
            return a[:-1], b[:-1]  # there was no room for one's length
        if a[0] in _CUT_TEXTS:
            return [_until(x, y) for x, y in zip(a, b, strict=True)], [
                _until(y, x) for x, y in zip(a, b, strict=True)
            ]
    if len(a) != len(b):
        return a, b
    both = [_cut_same(x, y) for x, y in zip(a, b, strict=True)]
    return [x for x, _ in both], [y for _, y in both]


def _until(text: Any, other: Any) -> Any:
    return text[: len(other)] if text.__class__ in (str, bytes) else text
