"""What may differ between two sides that recorded the same: every such thing is here.

A difference that is not listed here is a difference. Each entry says why it cannot be
the same, and for which Pythons; the report counts how many records it was applied to.
All but the first are tried only where two records are not equal already, those of the
hooks where two streams are not.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgpack

from kolo_c.validate.resolve import Pairs, Record, pack
from kolo_c.wire import END_KINDS, NODE_KINDS, PUSH_KINDS, TAG_EXTENSION, Kind, Tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from kolo_c.validate.load import Numbers

# In a repr whatever it is; elsewhere a number of the size that addresses have.
_ADDRESS = re.compile(r"(?<=\bat )0x[0-9a-f]{6,16}\b|\b0x0{0,4}[1-9a-f][0-9a-f]{11}\b")
_LEAST_ADDRESS, _END_OF_ADDRESSES = 1 << 44, 1 << 48  # of what is not linked in
_ALIGNMENT = 8
_DESCRIPTOR = "<descriptor>"
_SET_HEADS = tuple(
    msgpack.ExtType(TAG_EXTENSION, bytes([tag])) for tag in (Tag.SET, Tag.FROZENSET)
)
_CUTS = tuple(
    msgpack.ExtType(TAG_EXTENSION, bytes([tag]))
    for tag in (Tag.CUT_STR, Tag.CUT_BYTES, Tag.CUT_ITEMS, Tag.CUT)
)
_CUT_TEXTS = _CUTS[:2]
_CUT = _CUTS[3]


@dataclass(frozen=True)
class Normalisation:
    """One thing that may differ."""

    name: str
    reason: str
    apply: Callable[[Record, Numbers], Record] | None = None
    """The record without it; None where it is done while records are resolved."""
    pythons: str = "all"
    """The versions that it is for."""
    bug: str = ""
    """The number of CPython's issue, where it is one."""


def _text_without_address(value: Any, numbers: Numbers) -> Any:
    return _ADDRESS.sub("0x…", value) if value.__class__ is str else value


def _without_process_id(value: Any, numbers: Numbers) -> Any:
    if value.__class__ is int and value == numbers.pid:
        return "<process id>"
    return value


def _number_without_address(value: Any, numbers: Numbers) -> Any:
    is_address = (
        value.__class__ is int
        and _LEAST_ADDRESS <= value < _END_OF_ADDRESSES
        and value % _ALIGNMENT == 0
    )
    return "<address>" if is_address else value


def _without_descriptors(value: Any, numbers: Numbers) -> Any:
    if value.__class__ is not list or len(value) < 2 or value[1].__class__ is not list:
        return value
    type = value[1]
    if type[:1] != ["selectors"]:
        return value
    found = [value[0], type]
    for name, item in pairwise(value[1:]):  # a field's name stands before it
        if type[-1] == "SelectorKey" and name in ("fileobj", "fd"):
            item = _DESCRIPTOR if item.__class__ is int else item
        elif name == "_fd_to_key" and item.__class__ is Pairs:
            item = Pairs([(_DESCRIPTOR, key) for _, key in item.pairs])
        found.append(item)
    return found


def _without_thread_ident(value: Any, numbers: Numbers) -> Any:
    if value.__class__ is int and value in numbers.threads:
        return f"<ident of {numbers.threads[value]}>"
    return value


def _set_in_order(value: Any, numbers: Numbers) -> Any:
    if value.__class__ is list and value and value[0] in _SET_HEADS:
        return [value[0], *sorted(value[1:], key=_order)]
    return value


def _order(value: Any) -> bytes:
    return pack(_map(value, lambda item: "@" if _is_address(item) else item))


def _is_address(value: Any) -> bool:
    return value.__class__ is str and value[:1] == "@" and value[1:].isdigit()


def _map(value: Any, change: Callable[[Any], Any]) -> Any:
    """``value`` with everything in it, and then itself, changed."""
    kind = value.__class__
    if kind is list:
        return change([_map(item, change) for item in value])
    if kind is Pairs:
        return Pairs([(_map(k, change), _map(v, change)) for k, v in value.pairs])
    return change(value)


def _in_values(
    change: Callable[[Any, Numbers], Any],
) -> Callable[[Record, Numbers], Record]:
    def apply(record: Record, numbers: Numbers) -> Record:
        # Kind and time come first, and are no values.
        values = [_map(value, lambda v: change(v, numbers)) for value in record[2:]]
        return [*record[:2], *values]

    return apply


def _renumbered(record: Record) -> Record:
    """Addresses counted anew, in the order that values stand in now."""
    seen: dict[str, str] = {}

    def change(value: Any) -> Any:
        if _is_address(value):
            return seen.setdefault(value, f"@{len(seen) + 1}")
        return value

    return [_map(value, change) for value in record]


def _sets_in_order(record: Record, numbers: Numbers) -> Record:
    return _renumbered(_in_values(_set_in_order)(record, numbers))


ADDRESSES = Normalisation(
    "address",
    "Where an object lies depends on everything that was allocated before it. Within a "
    "record addresses are counted in the order they appear, so that the same object is "
    "still the same.",
)
NORMALISATIONS = (
    ADDRESSES,
    Normalisation(
        "address-in-text",
        "The default repr of an object, and of what holds one, has its address in it; "
        "hex(id()) is one.",
        _in_values(_text_without_address),
    ),
    Normalisation(
        "process-id",
        "Each side is a process of its own: a value that is its number is named.",
        _in_values(_without_process_id),
    ),
    Normalisation(
        "thread-ident",
        "The system gives the numbers of threads: a value that is one is named.",
        _in_values(_without_thread_ident),
    ),
    Normalisation(
        "address-as-number",
        "id() of an object is its address; copy.deepcopy keeps such numbers in a dict "
        "that it shows to a class.",
        _in_values(_number_without_address),
    ),
    Normalisation(
        "descriptor",
        "A new file has the lowest number that is free, and the recorder opens and "
        "closes files at times of its own: those in a selector, such as an event "
        "loop's, are named.",
        _in_values(_without_descriptors),
    ),
    Normalisation(
        "set-order",
        "A set of objects that hash by address has an order that depends on where they "
        "lie. Its items are sorted, addresses aside.",
        _sets_in_order,
    ),
)
CHILD_ID = Normalisation(
    "child-id",
    "A child process draws its identifiers at random, as it cannot know which of them "
    "others have given.",
)

# ---- what CPython itself tells one hook and not another ----

# Where an offset stands in a record.
_OFFSETS = {
    Kind.CALL: 3,
    Kind.RESUME: 5,
    Kind.THROW: 5,
    Kind.RAISE: 3,
    Kind.YIELD: 3,
    Kind.ENTERED: 3,
}


@dataclass(frozen=True)
class HookFact:
    """Something that a hook cannot tell."""

    name: str
    reason: str
    pythons: str
    applies: Callable[[str, str], bool]
    """To these two hooks, on this Python."""
    apply: Callable[
        [list[Record], list[Record]], tuple[list[Record], list[Record], int]
    ]
    """Both streams without it, and in how many records it was; setprofile's first."""
    bug: str = ""


def _before_monitoring(first: str, second: str) -> bool:
    return {first, second} == {"setprofile", "frame_eval"}


def _has_caches(first: str, second: str) -> bool:
    return _before_monitoring(first, second) and sys.version_info >= (3, 11)


def _without_cached_sites(
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


def _without_hidden_exceptions(
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
    exception, rest = _renumbered([record[2]]), _renumbered(record[3:])
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


def _tells_handled(first: str, second: str) -> bool:
    return (first == "monitoring") != (second == "monitoring")


def _fills_otherwise(first: str, second: str) -> bool:
    return _before_monitoring(first, second) or _tells_handled(first, second)


def _without_caught(
    first: list[Record], second: list[Record]
) -> tuple[list[Record], list[Record], int]:
    one = [record for record in first if record[0] != Kind.CAUGHT]
    other = [record for record in second if record[0] != Kind.CAUGHT]
    return one, other, len(first) - len(one) + len(second) - len(other)


def _without_places_of_cuts(
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


def _without_repeated_tasks(
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


HOOK_FACTS = (  # the first: what makes the records of both those of the same events
    HookFact(
        "block-elsewhere",
        "A block begins with the task that is current. Where a number takes a byte "
        "more, or one side has records that the other cannot have, it begins "
        "elsewhere.",
        "3.10 and 3.11, setprofile and frame_eval; monitoring and another",
        _fills_otherwise,
        _without_repeated_tasks,
    ),
    HookFact(
        "handled-here",
        'With exceptions = "all" monitoring tells what a call handles itself; no other '
        "hook is told.",
        "3.12 and newer, monitoring and another hook",
        _tells_handled,
        _without_caught,
    ),
    HookFact(
        "hidden-exception",
        "setprofile is not told which exception leaves a frame, and on 3.10 not that "
        "one is thrown into a generator; HANDLED tells it later, as it is then, where "
        "somebody is seen handling it: its type is compared. Locals that "
        "were cut are not, as there is more room for them without the exception.",
        "3.10 and 3.11, setprofile and frame_eval",
        _before_monitoring,
        _without_hidden_exceptions,
    ),
    HookFact(
        "site-in-cache",
        "With setprofile a frame that has made a call stands behind the inline cache "
        "of its CALL, as the call is made within the interpreter's loop; with a frame "
        "evaluation function it is made outside, and it stands at the CALL itself. "
        "So with other instructions that call.",
        "3.11, setprofile and frame_eval",
        _has_caches,
        _without_cached_sites,
    ),
    HookFact(
        "cut-elsewhere",
        "Definitions are numbered as they are met. A hook that sees more exceptions "
        "meets types earlier: a number may take a byte more, and what does not fit is "
        "cut elsewhere.",
        "3.10 and 3.11, setprofile and frame_eval",
        _before_monitoring,
        _without_places_of_cuts,
    ),
)


ALL = (*NORMALISATIONS, CHILD_ID, *HOOK_FACTS)


def without_hook_facts(
    first: list[Record],
    second: list[Record],
    hooks: tuple[str, str],
    applied: Counter[str],
) -> tuple[list[Record], list[Record]]:
    """Both streams without what one of these two hooks cannot tell."""
    if hooks[1] == "setprofile" != hooks[0]:
        return without_hook_facts(second, first, hooks[::-1], applied)[::-1]
    for fact in HOOK_FACTS:
        if fact.applies(*hooks):
            first, second, count = fact.apply(first, second)
            applied[fact.name] += count
    return first, second


def equal_when_normalised(
    first: tuple[Record, Numbers],
    second: tuple[Record, Numbers],
    applied: Counter[str],
) -> bool:
    """Whether two records are equal but for what may differ; counts what did."""
    (a, a_numbers), (b, b_numbers) = first, second
    used = []
    for each in NORMALISATIONS:
        if each.apply is None:
            continue
        before = pack(a), pack(b)
        a, b = each.apply(a, a_numbers), each.apply(b, b_numbers)
        after = pack(a), pack(b)
        if before != after:
            used.append(each.name)
        if after[0] == after[1]:
            applied.update(used)
            return True
    return False


def normalised(record: Record, numbers: Numbers) -> Record:
    """A record without anything that may differ."""
    for each in NORMALISATIONS:
        if each.apply is not None:
            record = each.apply(record, numbers)
    return record


def output_without_addresses(text: str) -> str:
    """What a program printed, without addresses in it."""
    return _ADDRESS.sub("0x…", text)
