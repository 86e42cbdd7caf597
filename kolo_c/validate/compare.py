"""Two recordings of one program: what is equal, what was normalised, what differs.

Threads: one at a time. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kolo_c.core_options import UNSEEN
from kolo_c.validate.normalise import (
    ADDRESSES,
    CHILD_ID,
    equal_when_normalised,
    normalised,
    without_hook_facts,
)
from kolo_c.validate.resolve import Record, pack
from kolo_c.wire import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kolo_c.validate.load import (
        Facts,
        Numbers,
        Recorded,
        RecordedStream,
        RecordedTrace,
    )

_MOST_DIFFERENCES = 100
# They count what is in records that one side does without.
_OF_VALUES = {"records", "masked", "truncated"}


@dataclass
class Difference:
    """Something that is not the same on both sides."""

    where: str
    """The trace and the thread, or what else was compared."""
    what: str
    first: Any
    """As the first side has it; None: it has nothing there."""
    second: Any
    index: int | None = None
    """Of the record in its stream; None where it is no record."""
    streams: tuple[RecordedStream, RecordedStream] | None = None
    program: str = ""
    """Of a batch; empty where it is of none."""


@dataclass
class Comparison:
    """Two sides, compared."""

    records: Counter[str] = field(default_factory=Counter)
    """Those that are equal, by kind."""
    normalised: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    difference_count: int = 0
    hook_facts: bool = False
    """Whether a hook could not tell something."""

    @property
    def equal(self) -> bool:
        """Whether no difference was found."""
        return self.difference_count == 0

    def add(self, difference: Difference) -> None:
        """Count it, and keep it if it is one of the first."""
        self.difference_count += 1
        if len(self.differences) < _MOST_DIFFERENCES:
            self.differences.append(difference)


def compare(
    first: Recorded, second: Recorded, hooks: tuple[str, str] = ("", "")
) -> Comparison:
    """Compare everything that two sides stored."""
    found = Comparison()
    found.normalised[ADDRESSES.name] += first.addresses
    for problem in first.problems:
        found.add(Difference("the first side by itself", problem, problem, None))
    for problem in second.problems:
        found.add(Difference("the second side by itself", problem, None, problem))
    keys = _keys(first.traces, second.traces)
    # The first is the process's own: its counters are of all traces.
    for key in sorted(keys, key=lambda key: key[1] == "process"):
        a, b = first.traces.get(key), second.traces.get(key)
        if a is None or b is None:
            there = a or b
            assert there is not None
            found.add(
                Difference(there.name, "a trace", _there(a), _there(b), program=key[0])
            )
        else:
            _compare_traces(a, b, hooks, found)
    _compare_facts("files of kept code", first.files, second.files, found)
    return found


def _compare_traces(
    a: RecordedTrace, b: RecordedTrace, hooks: tuple[str, str], found: Comparison
) -> None:
    program = a.program
    first, second = dict(a.facts), dict(b.facts)
    is_child = a.key[1] == "process" and first["parent"] and second["parent"]
    if is_child and first["id"] != second["id"]:
        first["id"] = second["id"] = None
        found.normalised[CHILD_ID.name] += 1
    # Of the process: they count for all its traces.
    whole = not found.hook_facts or "masked" not in first["counters"]
    for key in _keys(a.streams, b.streams):
        one, other = a.streams.get(key), b.streams.get(key)
        where = f"{a.name}, thread {key[0]}"
        if one is None or other is None:
            found.add(
                Difference(
                    where, "a thread", _there(one), _there(other), program=program
                )
            )
        else:
            whole &= _compare_streams(where, (a, one), (b, other), hooks, found)
    if hooks[0] != hooks[1]:
        first, second = _without_unseen(first), _without_unseen(second)
    if not whole:
        for facts in (first, second):
            left_out = dict.fromkeys(_OF_VALUES & facts["counters"].keys())
            facts["counters"] = {**facts["counters"], **left_out}
    _compare_facts(f"the row of {a.name}", first, second, found, program)


def _compare_streams(
    where: str,
    first: tuple[RecordedTrace, RecordedStream],
    second: tuple[RecordedTrace, RecordedStream],
    hooks: tuple[str, str],
    found: Comparison,
) -> bool:
    """Whether their blocks can be compared too: where records were left out they
    cannot."""
    (a_trace, a), (b_trace, b) = first, second
    program = a_trace.program
    numbers = a_trace.numbers, b_trace.numbers
    equal, applied = _count_equal(a.records, b.records, numbers)
    if equal < max(len(a.records), len(b.records)):
        facts: Counter[str] = Counter()
        one, other = without_hook_facts(a.records, b.records, hooks, facts)
        if facts:
            again, again_applied = _count_equal(one, other, numbers)
            if again == max(len(one), len(other)):
                found.hook_facts = True
                found.normalised += again_applied + facts
                found.records.update(Kind(record[0]).name for record in one)
                return False
            found.hook_facts = True
            found.normalised += again_applied
            found.records.update(Kind(record[0]).name for record in one[:again])
            found.add(
                Difference(
                    where,
                    f"record {_written(a.records, again) + 1}",
                    _shown(one, again, numbers[0]),
                    _shown(other, again, numbers[1]),
                    _written(a.records, again),
                    (a, b),
                    program,
                )
            )
            return True
    found.normalised += applied
    found.records.update(Kind(record[0]).name for record in a.records[:equal])
    if equal < max(len(a.records), len(b.records)):
        # What follows the first difference of a stream says little.
        found.add(
            Difference(
                where,
                f"record {equal + 1}",
                _shown(a.records, equal, numbers[0]),
                _shown(b.records, equal, numbers[1]),
                equal,
                (a, b),
                program,
            )
        )
        return True
    for one_header, other_header in zip(a.headers, b.headers, strict=False):
        block = f"{where}, header of block {one_header['sequence']}"
        _compare_facts(block, one_header, other_header, found, program)
    if len(a.headers) != len(b.headers):
        what = "the number of blocks"
        found.add(
            Difference(where, what, len(a.headers), len(b.headers), program=program)
        )
    return True


def _without_unseen(facts: dict[str, Any]) -> dict[str, Any]:
    """Without what a trace says of its hook, which is not the other side's."""
    attributes = dict(facts["attributes"])
    problems = [
        text for text in attributes.pop("problems", []) if not text.startswith(UNSEEN)
    ]
    if problems:
        attributes["problems"] = problems
    return {**facts, "attributes": attributes}


def _written(records: list[Record], at: int) -> int:
    """Where a record is among those that were written, those included that
    not every hook writes."""
    for index, record in enumerate(records):
        if record[0] not in (Kind.HANDLED, Kind.CAUGHT):
            if at == 0:
                return index
            at -= 1
    return len(records)


def _count_equal(
    first: list[Record], second: list[Record], numbers: tuple[Numbers, Numbers]
) -> tuple[int, Counter[str]]:
    """How many records are equal before the first that is not, and what was applied."""
    applied: Counter[str] = Counter()
    equal = 0
    for one, other in zip(first, second, strict=False):
        if pack(one) != pack(other) and not equal_when_normalised(
            (one, numbers[0]), (other, numbers[1]), applied
        ):
            break
        equal += 1
    return equal, applied


def _compare_facts(
    where: str, first: Facts, second: Facts, found: Comparison, program: str = ""
) -> None:
    for name in _keys(first, second):
        a, b = first.get(name), second.get(name)
        if json.dumps(a) != json.dumps(b):  # 1 is not True here
            found.add(Difference(where, str(name), a, b, program=program))


def _keys(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> Iterable[Any]:
    """Those of both, in the order of the first."""
    return dict.fromkeys([*first, *second])


def _shown(records: list[Record], index: int, numbers: Numbers) -> Record | None:
    """Without what may differ: what is left of it is why two differ."""
    return normalised(records[index], numbers) if index < len(records) else None


def _there(value: object) -> str | None:
    return None if value is None else "is there"
