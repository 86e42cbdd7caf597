"""What a validation found, as text for a person and as plain data for JSON.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from kolo_c.errors import harmless
from kolo_c.validate.describe import narrow, record_json, source_line
from kolo_c.validate.normalise import ALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kolo_c.validate.compare import Comparison, Difference
    from kolo_c.validate.generated import Failure, Generated
    from kolo_c.validate.load import Recorded
    from kolo_c.validate.program import Validated, Verdict

_BEFORE = 3
_WIDEST = 600


def validated_lines(validated: Validated) -> Iterator[str]:
    """Everything, for a person."""
    for side, differences in validated.outputs:
        for difference in differences:
            yield from ("", *_outcome_lines("untraced", side, difference))
    for verdict in validated.verdicts:
        yield from ("", *verdict_lines(verdict))


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """Two sides: counts, normalisations, the first difference."""
    comparison = verdict.comparison
    yield f"{verdict.first} and {verdict.second}"
    yield from count_lines(comparison.records, comparison.normalised)
    for difference in verdict.outputs:
        yield from _outcome_lines(verdict.first, verdict.second, difference)
    if verdict.equal:
        yield "  no difference"
        return
    if comparison.differences:
        count = comparison.difference_count
        more = "" if count == 1 else f", the first of {count}"
        yield f"  they differ{more}:"
        shown = comparison.differences[0]
        yield from difference_lines(shown, verdict.first, verdict.second)


def count_lines(records: Counter[str], normalised: Counter[str]) -> Iterator[str]:
    """The records that are equal, by kind, and what was normalised in them."""
    yield f"  {sum(records.values()):,} records are equal"
    if records:
        counts = (f"{kind} {count:,}" for kind, count in records.most_common())
        yield f"    {', '.join(counts)}"
    applied = [(each, normalised[each.name]) for each in ALL if normalised[each.name]]
    if applied:
        yield "  normalised"
        for each, count in applied:
            bug = f" ({each.bug})" if each.bug else ""
            yield f"    {each.name:<17} {count:>7,}{bug}"


def difference_lines(difference: Difference, first: str, second: str) -> Iterator[str]:
    """One difference: where, what came before it, what each side has."""
    width = max(len(first), len(second), 6)
    yield f"    {harmless(difference.where)}: {harmless(difference.what)}"
    for record in _before(difference):
        yield f"      {'before':<{width}}  {_shown(record)}"
    is_record = difference.index is not None
    for side, value in ((first, difference.first), (second, difference.second)):
        shown = "nothing" if value is None else _shown(value, is_record)
        yield f"      {side:<{width}}  {shown}"
    if is_record and difference.first and difference.second:
        yield from _place_lines(difference, first, second, width)
    for line in _sources(difference):
        yield f"      {'source':<{width}}  {harmless(line)}"


def _place_lines(
    difference: Difference, first: str, second: str, width: int
) -> Iterator[str]:
    """Where within a long record it is."""
    place, one, other = narrow(
        record_json(difference.first), record_json(difference.second)
    )
    if not place or max(len(json.dumps(one)), len(json.dumps(other))) > _WIDEST:
        return
    yield f"      {'at':<{width}}  {harmless(place.lstrip('.'))}"
    for side, value in ((first, one), (second, other)):
        yield f"        {side:<{width}}  {_shown(value, is_record=False)}"


def _before(difference: Difference) -> list[Any]:
    if difference.streams is None or difference.index is None:
        return []
    start = max(difference.index - _BEFORE, 0)
    return difference.streams[0].records[start : difference.index]


def _sources(difference: Difference) -> list[str]:
    """Where it came about; both, if the sides do not agree."""
    if difference.streams is None or difference.index is None:
        return []
    found = [
        source_line(stream.source, difference.index)
        for stream in difference.streams
        if difference.index < len(stream.records)
    ]
    return [line for line in dict.fromkeys(found) if line]


def _shown(value: Any, is_record: bool = True) -> str:
    if is_record:
        value = record_json(value)
        kind = value.pop("kind")
        text = f"{kind} {json.dumps(value, ensure_ascii=False)}"
    elif isinstance(value, str):
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False, default=repr)
    text = harmless(text)
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}… ({len(text):,})"


def _outcome_lines(first: str, second: str, difference: Difference) -> Iterator[str]:
    width = max(len(first), len(second))
    yield f"  the program behaves differently: {difference.what}"
    for side, value in ((first, difference.first), (second, difference.second)):
        shown = "nothing" if value is None else harmless(str(value))
        yield f"      {side:<{width}}  {shown}"


def generated_lines(found: Generated) -> Iterator[str]:
    """Generated programs: what is equal on each pair of sides, and what failed."""
    for pair, records in found.records.items():
        yield from ("", pair)
        yield from count_lines(records, found.normalised[pair])
    for side, kinds in found.unseen.items():
        yield from ("", f"{side}: no program made a record of {', '.join(kinds)}")
    for failure in found.failures:
        yield from ("", *_failure_lines(failure))
    yield ""
    count = sum(failure.program is not None for failure in found.failures)
    failed = f"{count:,} of {found.programs:,} programs failed"
    if len(found.failures) > count:
        failed += ", and the batch as a whole"
    yield failed if found.failures else "no difference"


def _failure_lines(failure: Failure) -> Iterator[str]:
    if failure.program is None:
        yield "the batch, whatever program"
        yield from difference_lines(failure.difference, *failure.sides)
        return
    seed = failure.program.seed
    yield f"program {seed} (kolo-c validate --generate 1 --seed {seed})"
    yield from difference_lines(failure.difference, *failure.sides)
    if failure.shrunk is None or failure.shrunk_difference is None:
        return
    yield "    shrunk to"
    for line in failure.shrunk.source.splitlines():
        yield f"      | {harmless(line)}"
    yield from difference_lines(failure.shrunk_difference, *failure.shrunk_sides)


# ---- JSON ----


def validated_json(validated: Validated) -> dict[str, Any]:
    """Everything, for a program."""
    return {
        "equal": validated.equal,
        "untraced": [
            {"side": side, "differences": [_outcome_json(each) for each in found]}
            for side, found in validated.outputs
        ],
        "comparisons": [verdict_json(each) for each in validated.verdicts],
    }


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Two sides."""
    return {
        "first": verdict.first,
        "second": verdict.second,
        "equal": verdict.equal,
        **comparison_json(verdict.comparison),
        "outputs": [_outcome_json(each) for each in verdict.outputs],
    }


def generated_json(found: Generated) -> dict[str, Any]:
    """Generated programs."""
    return {
        "equal": found.good,
        "programs": found.programs,
        "seed": found.seed,
        "comparisons": [
            {
                "sides": pair,
                "records": dict(records.most_common()),
                "normalised": normalised_json(found.normalised[pair]),
            }
            for pair, records in found.records.items()
        ],
        "features": dict(found.features.most_common()),
        "unseen": found.unseen,
        "failures": [failure_json(each) for each in found.failures],
    }


def failure_json(failure: Failure) -> dict[str, Any]:
    """A generated program that failed."""
    shrunk = failure.shrunk
    difference = failure.shrunk_difference
    return {
        "seed": failure.program and failure.program.seed,
        "sides": failure.sides,
        "difference": difference_json(failure.difference),
        "source": failure.program and failure.program.source,
        "shrunk": None if shrunk is None else shrunk.source,
        "shrunk_sides": failure.shrunk_sides,
        "shrunk_difference": difference and difference_json(difference),
    }


def normalised_json(normalised: Counter[str]) -> dict[str, Any]:
    """What was normalised, how often, and why it may be."""
    return {
        each.name: {
            "count": normalised[each.name],
            "reason": each.reason,
            "pythons": each.pythons,
            "bug": each.bug or None,
        }
        for each in ALL
        if normalised[each.name]
    }


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """What is equal, what was normalised, what differs."""
    return {
        "records": dict(comparison.records.most_common()),
        "normalised": normalised_json(comparison.normalised),
        "difference_count": comparison.difference_count,
        "differences": [difference_json(each) for each in comparison.differences],
    }


def difference_json(difference: Difference) -> dict[str, Any]:
    """One difference, both sides decoded."""
    is_record = difference.index is not None

    def side(value: Any) -> Any:
        return record_json(value) if is_record and value is not None else value

    return {
        "where": difference.where,
        "what": difference.what,
        "record": difference.index,
        "before": [record_json(record) for record in _before(difference)],
        "first": side(difference.first),
        "second": side(difference.second),
        "source": _sources(difference),
    }


def _outcome_json(difference: Difference) -> dict[str, Any]:
    return {
        "what": difference.what,
        "first": difference.first,
        "second": difference.second,
    }


def recorded_json(recorded: Recorded) -> dict[str, Any]:
    """All that a side recorded, as it was compared; equal sides make equal files."""
    return {
        "traces": [
            {
                "kind": kind,
                "name": name,
                "facts": trace.facts,
                "threads": [
                    {
                        "name": stream.name,
                        "blocks": stream.headers,
                        "records": [record_json(record) for record in stream.records],
                    }
                    for stream in trace.streams.values()
                ],
            }
            for (_, kind, name, _), trace in recorded.traces.items()
        ],
        "files": recorded.files,
        "problems": recorded.problems,
    }
