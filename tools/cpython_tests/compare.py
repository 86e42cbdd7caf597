"""What differs between a file's run untraced and traced, and which of it is explained.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tools.cpython_tests.known import Known
from tools.cpython_tests.results import (
    ENDED_FAILED,
    ENDED_PASSED,
    MISSING,
    FileResult,
)


@dataclass(frozen=True)
class Difference:
    """One test, or the file as a whole, that went another way."""

    test: str
    untraced: str
    traced: str
    says: str = ""
    by_any: bool | None = None
    """Whether it is the same under an empty callback; None: nobody looked."""
    known: Known | None = None
    at: str = ""


def compare(test: str, untraced: FileResult, traced: FileResult) -> list[Difference]:
    """Every difference of ``test``, none of them explained yet."""
    found = [
        Difference(name, before, after, traced.says.get(name, ""))
        for name in sorted(untraced.tests.keys() | traced.tests.keys())
        if (before := untraced.tests.get(name, MISSING))
        != (after := traced.tests.get(name, MISSING))
    ]
    if traced.broke or untraced.broke:
        # The tests that it did not come to differ for this one reason.
        found = [each for each in found if MISSING not in (each.traced, each.untraced)]
    usual = {ENDED_PASSED, ENDED_FAILED}
    if untraced.end != traced.end and not (
        found and {untraced.end, traced.end} == usual
    ):
        found.append(
            Difference(
                test, untraced.end, traced.end, traced.says.get(test, ""), at=traced.at
            )
        )
    return found


def explain(
    differences: Iterable[Difference],
    lines: Iterable[Known],
    witness: FileResult | None,
    test: str,
) -> list[Difference]:
    """The same, with what an empty callback does, and the line that explains it."""
    lines = list(lines)
    explained = []
    for each in differences:
        by_any = None
        if witness is not None:
            seen = (
                witness.end
                if each.test == test
                else witness.tests.get(each.test, MISSING)
            )
            by_any = seen == each.traced
        known = next(
            (
                line
                for line in lines
                if line.explains(each.test, each.says)
                and (by_any is True or not line.by_any)
            ),
            None,
        )
        explained.append(
            Difference(
                each.test,
                each.untraced,
                each.traced,
                each.says,
                by_any,
                known,
                each.at,
            )
        )
    return explained
