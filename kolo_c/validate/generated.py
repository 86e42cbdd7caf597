"""Generated programs: run in batches on every side, compared, the failing ones shrunk.

Threads: one at a time; the sides run beside each other, and the next batch beside the
comparison of the last. Owns: a folder for programs and stores, until it returns.
Fails: KoloError where a side cannot record at all.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from kolo_c.errors import KoloError
from kolo_c.target import Target as RunTarget
from kolo_c.target import TargetKind
from kolo_c.validate.compare import Comparison, Difference, compare
from kolo_c.validate.execute import Job, Outcome, Runs
from kolo_c.validate.generate import (
    LEAST_RECORDS,
    Program,
    Target,
    expected_kinds,
    generate,
    shrink,
)
from kolo_c.validate.load import Recorded, load
from kolo_c.validate.normalise import output_without_addresses
from kolo_c.validate.program import (
    compare_outcomes,
    first_line_that_differs,
    open_store,
)
from kolo_c.validate.sides import Side
from kolo_c.wire import Kind

BATCH = 100
COVERAGE_FROM = 100
"""A run of fewer programs need not meet every kind of record."""
_TOO_FEW = f"the number of records, which has to be {LEAST_RECORDS} or more"
_MOST_SHRUNK = 3
_REFUSED = "kolo-c: error: "
_TRIES = 150
_SHRINK_SECONDS = 90
_UNTRACED = "untraced"


@dataclass
class Failure:
    """A program whose sides differ, or that proves nothing."""

    program: Program | None
    """None: it is of a batch as a whole."""
    sides: tuple[str, str]
    difference: Difference
    shrunk: Program | None = None
    shrunk_difference: Difference | None = None
    shrunk_sides: tuple[str, str] = ("", "")


@dataclass
class Generated:
    """What came of all of them."""

    programs: int = 0
    seed: int = 0
    records: dict[str, Counter[str]] = field(default_factory=dict)
    """By pair of sides, the equal records by kind."""
    normalised: dict[str, Counter[str]] = field(default_factory=dict)
    features: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    unseen: dict[str, list[str]] = field(default_factory=dict)
    """By side, the kinds of records that no program made."""

    @property
    def good(self) -> bool:
        """Whether nothing differs, and everything was met."""
        return not self.failures and not self.unseen


@dataclass
class _Batch:
    """Programs that run in one process on each side."""

    programs: list[Program]
    folder: Path
    runs: dict[str, Future[Outcome]] = field(default_factory=dict)
    """By side's name and number, or untraced."""


class Runner:
    """Runs generated programs on these sides."""

    def __init__(
        self, sides: Sequence[Side], options: Sequence[str], timeout: float
    ) -> None:
        self._sides = list(sides)
        self._names = [
            f"{number}-{side.file_name}" for number, side in enumerate(sides, 1)
        ]
        # No other hook tells what is handled: where one is to be compared, it is off.
        self._caught = all(side.hook == "monitoring" for side in sides) and not any(
            "exceptions=" in option for option in options
        )
        self._target = Target.here(
            profiled=any(str(side) == "python/setprofile" for side in sides)
        )
        asked = ("--set", "exceptions=all") if self._caught else ()
        self._options = (*asked, *options)
        self._timeout = timeout
        self._seen: dict[str, set[int]] = {str(side): set() for side in sides}
        self._found = Generated()
        self._batches = 0
        self._folder = Path()
        self._runs: Runs

    def run(
        self, count: int, seed: int, progress: Callable[[int, int], None]
    ) -> Generated:
        """Run ``count`` programs from ``seed`` on; ``progress`` hears how many."""
        self._found = Generated(count, seed)
        with tempfile.TemporaryDirectory(prefix="kolo-c-validate-") as folder:
            self._folder = Path(folder)
            with Runs() as self._runs:
                self._run_all(count, seed, progress)
                self._shrink_failures()
        if count >= COVERAGE_FROM:
            self._find_unseen()
        return self._found

    def _run_all(
        self, count: int, seed: int, progress: Callable[[int, int], None]
    ) -> None:
        waiting = [
            list(range(start, min(start + BATCH, seed + count)))
            for start in range(seed, seed + count, BATCH)
        ]
        done = 0
        started: list[_Batch] = []
        while waiting or started:
            while waiting and len(started) < 2:
                programs = [generate(each, self._target) for each in waiting.pop(0)]
                started.append(self._start(programs))
            batch = started.pop(0)
            rest = self._finish(batch)
            if rest:
                waiting.insert(0, [program.seed for program in rest])
            done += len(batch.programs) - len(rest)
            progress(done, count)

    def _find_unseen(self) -> None:
        version = sys.version_info[:2]
        for side in self._sides:
            expected = expected_kinds(version, side.hook, caught=self._caught)
            missing = sorted(set(expected) - self._seen[str(side)])
            if missing:
                names = [Kind(kind).name for kind in missing]
                self._found.unseen[str(side)] = names

    # ---- one batch ----

    def _start(self, programs: list[Program]) -> _Batch:
        self._batches += 1
        folder = self._folder / f"batch{self._batches}"
        project = folder / "project"
        project.mkdir(parents=True)
        (project / "pyproject.toml").write_text("", encoding="utf-8")
        files = []
        for program in programs:
            path = project / f"{name_of(program)}.py"
            path.write_text(program.source, encoding="utf-8")
            files.append(path.name)
        target = RunTarget(
            TargetKind.MODULE, "kolo_c.validate.batch", ("-m", *files), "batch", None
        )
        job = Job(target, self._options, cwd=project, timeout=self._timeout)
        batch = _Batch(programs, folder)
        batch.runs[_UNTRACED] = self._runs.untraced(job)
        for side, name in zip(self._sides, self._names, strict=True):
            batch.runs[name] = self._runs.on(side, job, folder / name)
        return batch

    def _finish(self, batch: _Batch) -> list[Program]:
        """Compare what it recorded; the programs that it did not come to."""
        outcomes = {name: run.result() for name, run in batch.runs.items()}
        outputs = {name: _outputs(outcome) for name, outcome in outcomes.items()}
        whole = min(len(found) for found in outputs.values())
        programs, rest = batch.programs[:whole], batch.programs[whole:]
        if rest:
            self._failed_to_end(rest[0], outcomes, outputs)
        else:
            self._compare_ends(outcomes)
        self._compare_outputs(programs, outputs)
        self._compare_records(batch, programs)
        for program in programs:
            self._found.features.update(program.features)
        shutil.rmtree(batch.folder)
        return rest[1:]

    def _failed_to_end(
        self,
        program: Program,
        outcomes: dict[str, Outcome],
        outputs: dict[str, dict[str, str]],
    ) -> None:
        """Some side's process ended, or took too long, while it ran this one."""
        name = name_of(program)
        ends = {
            side: "ended" if name in outputs[side] else _end_of(outcome)
            for side, outcome in outcomes.items()
        }
        other = next(side for side, end in ends.items() if end != "ended")
        if not outputs[_UNTRACED] and outcomes[_UNTRACED].code:
            raise KoloError(
                f"no generated program could be run: {ends[_UNTRACED]}",
                "kolo-c doctor says what is missing.",
            )
        for side, outcome in outcomes.items():
            _, refused, why = outcome.stderr.decode(errors="replace").partition(
                _REFUSED
            )
            if refused and not outputs[side]:
                message, _, hint = why.partition("\n")
                raise KoloError(
                    f"nothing can be recorded on side {side}: {message}", hint.strip()
                )
        difference = Difference(
            name, "how it ended", ends[_UNTRACED], ends[other], program=name
        )
        self._fail(program, (_UNTRACED, other), difference)

    def _compare_ends(self, outcomes: dict[str, Outcome]) -> None:
        """All programs have ended: how did the process, and what did it complain of?"""
        for side in self._names:
            for difference in compare_outcomes(outcomes[_UNTRACED], outcomes[side]):
                if difference.what != "stdout":  # it is each program's
                    difference.where = "the process of the batch"
                    self._fail_batch((_UNTRACED, side), difference)

    def _compare_outputs(
        self, programs: list[Program], outputs: dict[str, dict[str, str]]
    ) -> None:
        for program in programs:
            name = name_of(program)
            plain = output_without_addresses(outputs[_UNTRACED][name])
            for side in self._names:
                text = output_without_addresses(outputs[side][name])
                if text != plain:
                    lines = first_line_that_differs(plain, text)
                    difference = Difference(name, "output", *lines, program=name)
                    self._fail(program, (_UNTRACED, side), difference)

    def _compare_records(self, batch: _Batch, programs: list[Program]) -> None:
        names = {name_of(program): program for program in programs}
        recorded = [self._load(batch.folder / name, names) for name in self._names]
        first = recorded[0]
        for side, other in zip(self._sides[1:], recorded[1:], strict=True):
            pair = f"{self._sides[0]} and {side}"
            comparison = compare(first, other, (self._sides[0].hook, side.hook))
            self._count(pair, comparison)
            self._take_differences((str(self._sides[0]), str(side)), comparison, names)
        for side, found in zip(self._sides, recorded, strict=True):
            self._see(side, found, names)

    def _load(self, folder: Path, names: dict[str, Program]) -> Recorded:
        with open_store(folder) as store:
            return load(store, names)

    def _count(self, pair: str, comparison: Comparison) -> None:
        self._found.records.setdefault(pair, Counter()).update(comparison.records)
        normalised = self._found.normalised.setdefault(pair, Counter())
        normalised.update(comparison.normalised)

    def _take_differences(
        self,
        sides: tuple[str, str],
        comparison: Comparison,
        names: dict[str, Program],
    ) -> None:
        for difference in comparison.differences:
            program = names.get(difference.program)
            if program is not None:
                self._fail(program, sides, difference)
            else:
                self._fail_batch(sides, difference)

    def _see(self, side: Side, found: Recorded, names: dict[str, Program]) -> None:
        made: Counter[str] = Counter()
        for trace in found.traces.values():
            for stream in trace.streams.values():
                made[trace.program] += len(stream.records)
                self._seen[str(side)].update(record[0] for record in stream.records)
        for name, program in names.items():
            if made[name] < LEAST_RECORDS:
                difference = Difference(name, _TOO_FEW, None, made[name], program=name)
                self._fail(program, ("", str(side)), difference)

    # ---- failures ----

    def _fail(
        self, program: Program, sides: tuple[str, str], difference: Difference
    ) -> None:
        """The first difference of a program is enough."""
        failed = (each.program.seed for each in self._found.failures if each.program)
        if program.seed not in failed:
            self._found.failures.append(Failure(program, sides, difference))

    def _fail_batch(self, sides: tuple[str, str], difference: Difference) -> None:
        """The first difference that is of no program is enough."""
        if all(each.program for each in self._found.failures):
            self._found.failures.append(Failure(None, sides, difference))

    def _shrink_failures(self) -> None:
        for failure in self._found.failures[:_MOST_SHRUNK]:
            if failure.program is None:
                continue
            shrunk, last = self._shrink(failure.program, failure)
            if last is not None:  # else it needs those that ran before it
                failure.shrunk = shrunk
                failure.shrunk_difference = last.difference
                failure.shrunk_sides = last.sides

    def _shrink(
        self, program: Program, first: Failure
    ) -> tuple[Program, Failure | None]:
        """A smaller program that fails too, and how; None: alone it does not."""
        last: Failure | None = None

        def fails(tried: Program) -> bool:
            nonlocal last
            found = self._failure_alone(tried)
            # Without what it needs it may do something else where it is recorded.
            same = found is not None and found.sides == first.sides
            last = found if same else last
            return same

        try:
            shrunk = shrink(program, fails, tries=_TRIES, seconds=_SHRINK_SECONDS)
        except ValueError:  # it does not fail
            return program, None
        return shrunk, self._failure_alone(shrunk) or last

    def _failure_alone(self, program: Program) -> Failure | None:
        alone = Runner(self._sides, self._options, min(self._timeout, 60.0))
        alone._folder, alone._runs = self._folder, self._runs
        alone._batches = self._batches
        alone._finish(alone._start([program]))
        self._batches = alone._batches
        wanted = [
            each
            for each in alone._found.failures
            if each.program and each.difference.what != _TOO_FEW
        ]
        return wanted[0] if wanted else None


def name_of(program: Program) -> str:
    """The name of its module, and of its trace."""
    return f"p{program.seed}"


def _outputs(outcome: Outcome) -> dict[str, str]:
    """By program, what it printed; those that ended."""
    found = {}
    for line in outcome.stdout.decode("utf-8", "replace").splitlines():
        try:
            said = json.loads(line)
            found[said["program"]] = said["output"]
        except (ValueError, TypeError, KeyError):
            continue  # written past sys.stdout
    return found


def _end_of(outcome: Outcome) -> str:
    said = outcome.stderr.decode("utf-8", "backslashreplace").strip().splitlines()
    last = f": {said[-1]}" if said else ""
    if outcome.code is None:
        return f"took too long{last}"
    return f"the process ended with {outcome.code}{last}"
