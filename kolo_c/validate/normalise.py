"""What may differ between two sides that recorded the same: every such thing is here.

A difference that is not listed here is a difference. Each entry says why it cannot be
the same, and for which Pythons; the report counts how many records it was applied to.
All but the first are tried only where two records are not equal already.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgpack

from kolo_c.validate.resolve import Pairs, Record, pack
from kolo_c.wire import TAG_EXTENSION, Tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from kolo_c.validate.load import Numbers

_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,16}\b")
_SET_HEADS = tuple(
    msgpack.ExtType(TAG_EXTENSION, bytes([tag])) for tag in (Tag.SET, Tag.FROZENSET)
)
_CUT_ITEMS = msgpack.ExtType(TAG_EXTENSION, bytes([Tag.CUT_ITEMS]))


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
        "The default repr of an object, and of what holds one, has its address in it.",
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
ALL = (*NORMALISATIONS, CHILD_ID)


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


def output_without_addresses(text: str) -> str:
    """What a program printed, without addresses in it."""
    return _ADDRESS.sub("0x…", text)
