"""One program, run on every side and compared with the first.

Threads: one at a time; the sides run beside each other. Owns: nothing.
Fails: KoloError where the program does not end untraced, or a side stored nothing that
can be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kolo_c.errors import KoloError
from kolo_c.store.locate import SEGMENTS_NAME
from kolo_c.store.reader import Store
from kolo_c.store.recovery import recover_dead
from kolo_c.validate.compare import Comparison, Difference, compare
from kolo_c.validate.execute import Job, Outcome, Runs
from kolo_c.validate.load import Recorded, load
from kolo_c.validate.normalise import output_without_addresses
from kolo_c.validate.sides import Side


@dataclass
class Ran:
    """A side that has run."""

    side: Side
    outcome: Outcome
    recorded: Recorded
    store: Store


@dataclass
class Verdict:
    """Two sides of one program."""

    first: str
    second: str
    comparison: Comparison
    outputs: list[Difference] = field(default_factory=list)
    """What the program did differently outwardly."""

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.comparison.equal and not self.outputs


@dataclass
class Validated:
    """What came of a program."""

    ran: list[Ran] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    outputs: list[tuple[str, list[Difference]]] = field(default_factory=list)
    """Side by side, what it did differently from what it does untraced."""

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return all(each.equal for each in self.verdicts) and not any(
            differences for _, differences in self.outputs
        )

    def close(self) -> None:
        """Let go of the stores."""
        for ran in self.ran:
            ran.store.close()


def validate(sides: Sequence[Side], job: Job, folder: Path) -> Validated:
    """Run ``job`` untraced and on each side, below ``folder``, and compare."""
    with Runs() as runs:
        untraced = runs.untraced(job)
        recorded = [
            runs.on(side, job, folder / f"{number}-{side.file_name}")
            for number, side in enumerate(sides, 1)
        ]
        plain = untraced.result()
        _require_end(plain, job)
        outcomes = [run.result() for run in recorded]
    validated = Validated()
    for number, (side, outcome) in enumerate(zip(sides, outcomes, strict=True), 1):
        store = open_store(folder / f"{number}-{side.file_name}")
        validated.ran.append(Ran(side, outcome, load(store), store))
        differences = compare_outcomes(plain, outcome)
        validated.outputs.append((str(side), differences))
    first = validated.ran[0]
    for other in validated.ran[1:]:
        comparison = compare(
            first.recorded, other.recorded, (first.side.hook, other.side.hook)
        )
        verdict = Verdict(str(first.side), str(other.side), comparison)
        verdict.outputs = compare_outcomes(first.outcome, other.outcome)
        validated.verdicts.append(verdict)
    return validated


def _require_end(plain: Outcome, job: Job) -> None:
    """What is cut off somewhere, on each side, proves nothing."""
    if plain.code is None:
        raise KoloError(
            f"{job.target.name} took longer than {job.timeout:g} s untraced and was "
            "ended, so nothing can be compared",
            "--timeout gives it more.",
        )


def open_store(folder: Path) -> Store:
    """The store that a side left in ``folder``; what a dead one left is recovered."""
    store = folder / ".kolo_c"
    (store / SEGMENTS_NAME).mkdir(exist_ok=True)  # who did not start made none
    recover_dead(store)
    return Store(store)


def compare_outcomes(first: Outcome, second: Outcome) -> list[Difference]:
    """What two runs of a program did differently outwardly."""
    found = []
    if first.code != second.code:
        codes = (_code_of(first), _code_of(second))
        found.append(Difference("", "exit code", *codes))
    for name in ("stdout", "stderr"):
        one = _text(getattr(first, name))
        other = _text(getattr(second, name))
        if one != other:
            found.append(Difference("", name, *first_line_that_differs(one, other)))
    return found


def _code_of(outcome: Outcome) -> int | str:
    return "it took too long" if outcome.code is None else outcome.code


def _text(data: bytes) -> str:
    return output_without_addresses(data.decode("utf-8", "backslashreplace"))


def first_line_that_differs(first: str, second: str) -> tuple[str | None, str | None]:
    """Of two texts; None where one has ended."""
    one, other = first.splitlines(), second.splitlines()
    for at in range(max(len(one), len(other))):
        a = one[at] if at < len(one) else None
        b = other[at] if at < len(other) else None
        if a != b:
            return a, b
    return first[-80:], second[-80:]  # ends of lines
