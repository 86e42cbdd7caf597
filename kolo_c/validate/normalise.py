"""What may differ between two sides that recorded the same: every such thing is here.

A difference that is not listed here is a difference. Each entry says why it cannot be
the same, and for which Pythons; the report counts how many records it was applied to.
All but the first are tried only where two records are not equal already, those of the
hooks where two streams are not.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgpack

from kolo_c.validate import hook_facts
from kolo_c.validate.resolve import (
    Pairs,
    Record,
    is_address,
    map_values,
    pack,
    renumbered,
)
from kolo_c.wire import TAG_EXTENSION, Tag

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
    if (
        value.__class__ is int
        and _LEAST_ADDRESS <= value < _END_OF_ADDRESSES
        and value % _ALIGNMENT == 0
    ):
        return "<address>"
    return value


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
    return pack(map_values(value, lambda item: "@" if is_address(item) else item))


def _in_values(
    change: Callable[[Any, Numbers], Any],
) -> Callable[[Record, Numbers], Record]:
    def apply(record: Record, numbers: Numbers) -> Record:
        # Kind and time come first, and are no values.
        values = record[2:]
        return [
            *record[:2],
            *(map_values(value, lambda v: change(v, numbers)) for value in values),
        ]

    return apply


def _sets_in_order(record: Record, numbers: Numbers) -> Record:
    return renumbered(_in_values(_set_in_order)(record, numbers))


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


HOOK_FACTS = (  # the first: what makes the records of both those of the same events
    HookFact(
        "block-elsewhere",
        "A block begins with the task that is current. Where a number takes a byte "
        "more, or one side has records that the other cannot have, it begins "
        "elsewhere.",
        "3.10 and 3.11, setprofile and frame_eval; monitoring and another",
        hook_facts.fills_otherwise,
        hook_facts.without_repeated_tasks,
    ),
    HookFact(
        "handled-here",
        'With exceptions = "all" monitoring tells what a call handles itself; no other '
        "hook is told.",
        "3.12 and newer, monitoring and another hook",
        hook_facts.tells_handled,
        hook_facts.without_caught,
    ),
    HookFact(
        "hidden-exception",
        "setprofile is not told which exception leaves a frame, and on 3.10 not that "
        "one is thrown into a generator; HANDLED tells it later, as it is then, where "
        "somebody is seen handling it: its type is compared. Locals that "
        "were cut are not, as there is more room for them without the exception.",
        "3.10 and 3.11, setprofile and frame_eval",
        hook_facts.before_monitoring,
        hook_facts.without_hidden_exceptions,
    ),
    HookFact(
        "site-in-cache",
        "With setprofile a frame that has made a call stands behind the inline cache "
        "of its CALL, as the call is made within the interpreter's loop; with a frame "
        "evaluation function it is made outside, and it stands at the CALL itself. "
        "So with other instructions that call.",
        "3.11, setprofile and frame_eval",
        hook_facts.has_caches,
        hook_facts.without_cached_sites,
    ),
    HookFact(
        "cut-elsewhere",
        "Definitions are numbered as they are met. A hook that sees more exceptions "
        "meets types earlier: a number may take a byte more, and what does not fit is "
        "cut elsewhere.",
        "3.10 and 3.11, setprofile and frame_eval",
        hook_facts.before_monitoring,
        hook_facts.without_places_of_cuts,
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
