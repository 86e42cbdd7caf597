"""The command: which sides, which files, progress, and what is printed in the end.

Threads: one. Owns: nothing. Fails: exit code 1 where something differs for no known
reason, 2 for wrong words.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kolo_c.config import KINDS
from kolo_c.errors import harmless
from tools.cpython_tests.compare import Difference, compare, explain
from tools.cpython_tests.known import Known, Side, applying, unmet
from tools.cpython_tests.results import FileResult
from tools.cpython_tests.run import EVERYTHING, Limits, probe, run_file

DEFAULT = (
    "test_generators",
    "test_contextlib",
    "test_functools",
    "test_dataclasses",
    "test_json",
    "test_exceptions",
    "test_with",
)
# What else is worth a run now and then: what looks at frames, threads and tracers.
MORE = (
    "test_asyncgen test_asyncio test_bdb test_class test_code test_compile "
    "test_copy test_coroutines test_cprofile test_decorators test_deque test_descr "
    "test_enum test_except_star test_frame test_gc test_generator_stop test_genexps "
    "test_inspect test_listcomps test_monitoring test_named_expressions "
    "test_patma test_pickle test_profile test_property test_raise test_scope "
    "test_super test_sys test_sys_setprofile test_sys_settrace test_threading "
    "test_threading_local test_trace test_traceback test_types test_typing "
    "test_unittest test_unpack test_weakref test_yield_from test_zipimport"
).split()

VERSION = sys.version_info[:3]


@dataclass
class Compared:
    """One file on one side."""

    test: str
    side: Side
    untraced: FileResult
    traced: FileResult
    differences: list[Difference]
    unsteady: list[Difference] = field(default_factory=list)
    """What differed once, and did not when it was run again."""

    @property
    def unexplained(self) -> list[Difference]:
        """Those that no line of known.py explains."""
        return [each for each in self.differences if each.known is None]


def has_tests() -> bool:
    """Whether this Python came with its tests."""
    return find_spec("test") is not None and find_spec("test.test_with") is not None


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.cpython_tests",
        description="Run CPython's own tests, of this interpreter, with and without "
        "tracing, with everything kept, and say what differs and why.",
        epilog="Ends with 1 where a difference has no known reason "
        "(tools/cpython_tests/known.py has those that do).",
    )
    parser.add_argument(
        "tests",
        nargs="*",
        metavar="TEST",
        help=f"files of the test package; none: {' '.join(DEFAULT)}",
    )
    parser.add_argument(
        "--more", action="store_true", help=f"besides: {' '.join(MORE)}"
    )
    parser.add_argument(
        "--hook",
        action="append",
        choices=_choices("hook"),
        help="trace with this hook, which may be given again; none: all there are",
    )
    parser.add_argument(
        "--core",
        action="append",
        choices=_choices("core"),
        help="trace with this core, which may be given again; none: all there are",
    )
    parser.add_argument(
        "--match", action="append", metavar="PATTERN", help="only tests like this"
    )
    parser.add_argument(
        "--include",
        action="append",
        metavar="PATTERN",
        help=f"keep this code, which may be given again; none: {EVERYTHING}",
    )
    parser.add_argument(
        "--seconds", type=float, default=600.0, help="the most a run may take (600)"
    )
    parser.add_argument(
        "--trace-mib", type=int, default=256, help="the most a trace may take (256)"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="leave output and traces there"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(words)
    if not has_tests():
        parser.error(
            f"{sys.executable} has no test package; Debian has it in "
            f"libpython{VERSION[0]}.{VERSION[1]}-testsuite"
        )
    for test in args.tests:
        if find_spec(f"test.{test}") is None:
            parser.error(f"this Python's test package has no {test}")
    lists = [*(args.tests or DEFAULT), *(MORE if args.more else ())]
    args.tests = [test for test in dict.fromkeys(lists) if find_spec(f"test.{test}")]
    return args


def main(words: Sequence[str] | None = None) -> int:
    """Run all, print the report."""
    args = parse(words)
    sides = choose_sides(args.hook, args.core)
    if not sides:
        return 2
    compared: list[Compared] = []
    for number, test in enumerate(args.tests, 1):
        compared += _compare_file(f"[{number}/{len(args.tests)}]", test, sides, args)
    stale = _stale(compared)
    if args.json:
        print(json.dumps(as_json(compared, stale), indent=2))
    else:
        print("\n".join(harmless(line) for line in report(compared, stale)))
    return 1 if any(each.unexplained for each in compared) else 0


def choose_sides(
    hooks: Sequence[str] | None, cores: Sequence[str] | None
) -> list[Side]:
    """Those asked for, or all that there are; none where one asked for is refused."""
    asked = bool(hooks or cores)
    sides = []
    refused = []
    for core in cores or _choices("core"):
        for hook in hooks or _choices("hook"):
            side = Side(hook, core)
            problem = probe(side)
            if problem:
                refused.append(side)
                _say(f"not {side}: {problem}")
            else:
                sides.append(side)
    if hooks and cores and refused:
        return []
    if not sides:
        _say("nothing can be traced here" + (" with that" if asked else ""))
    return sides


def _choices(key: str) -> list[str]:
    return [name for name in KINDS[key].choices if name != "auto"]


def _say(text: str) -> None:
    print(harmless(text), file=sys.stderr, flush=True)


def _compare_file(
    number: str, test: str, sides: Sequence[Side], args: argparse.Namespace
) -> list[Compared]:
    include = tuple(args.include or (EVERYTHING,))
    limits = Limits(args.seconds, args.trace_mib << 20, include)
    words = [word for each in args.match or () for word in ("-m", each)]

    def run(side: Side | None, name: str, witness: bool = False) -> FileResult:
        keep = args.keep and args.keep / test / name
        return run_file(test, side, limits, witness=witness, arguments=words, keep=keep)

    untraced = run(None, "untraced")
    found = []
    for side in sides:
        name = f"{side.hook}-{side.core}"
        traced = run(side, name)
        each = Compared(test, side, untraced, traced, [])
        each.differences = compare(test, untraced, traced)
        if each.differences:
            witness = run(side, f"{name}-witness", witness=True)
            lines = applying(side, VERSION)
            each.differences = explain(each.differences, lines, witness, test)
            if each.unexplained:
                _again(each, run(None, "untraced-again"), run(side, f"{name}-again"))
        found.append(each)
        _say(f"{number} {_line(each)}")
    return found


def _again(each: Compared, untraced: FileResult, traced: FileResult) -> None:
    """Set aside what is another way now. What broke off once did break off."""
    second = {found.test for found in compare(each.test, untraced, traced)}
    steady = []
    for found in each.differences:
        broke = found.test == each.test
        if found.known is not None or broke or found.test in second:
            steady.append(found)
        else:
            each.unsteady.append(found)
    each.differences = steady


def _stale(compared: Sequence[Compared]) -> list[tuple[Side, Known]]:
    """Lines of known.py that say too much."""
    found = []
    for side in dict.fromkeys(each.side for each in compared):
        ran = [each for each in compared if each.side == side]
        tests = [test for each in ran for test in (*each.untraced.tests, each.test)]
        differ = [found.test for each in ran for found in each.differences]
        found += [
            (side, known) for known in unmet(applying(side, VERSION), tests, differ)
        ]
    return found


def _line(each: Compared) -> str:
    unexplained = len(each.unexplained)
    known = len(each.differences) - unexplained
    said = []
    if unexplained:
        said.append(f"{unexplained} DIFFER")
    if known:
        said.append(f"{known} known to differ")
    if each.unsteady:
        said.append(f"{len(each.unsteady)} unsteady")
    return (
        f"{each.test} {each.side}: {len(each.untraced.tests)} tests, "
        f"{', '.join(said) or 'the same'}; {each.traced.calls:,} calls, "
        f"{each.untraced.seconds:.1f} s untraced, {each.traced.seconds:.1f} s traced"
    )


# ---- what is printed in the end ----


def report(
    compared: Sequence[Compared], stale: Sequence[tuple[Side, Known]]
) -> list[str]:
    """The report for a person."""
    lines: list[str] = []
    for each in compared:
        for found in each.unexplained:
            lines += ["", f"{each.side} {found.test}"]
            lines += _difference(found)
        lines += [
            f"{each.side} {found.test}: unsteady ({found.untraced}; once "
            f"{found.traced})"
            for found in each.unsteady
        ]
        lines += [f"{each.side} {each.test}: {note}" for note in each.traced.notes]
    lines += _known_lines(compared)
    lines += [
        f"{side} {known.test}: listed in known.py, and does not differ"
        for side, known in stale
    ]
    unexplained = sum(len(each.unexplained) for each in compared)
    differ = sum(len(each.differences) for each in compared)
    tests = sum(len(each.untraced.tests) for each in compared)
    files = len({each.test for each in compared})
    lines += [
        "",
        f"Python {'.'.join(map(str, VERSION))}: {tests} tests compared, of {files} "
        f"files; {differ} differ, {differ - unexplained} of them for a known reason",
    ]
    return lines


def _difference(found: Difference) -> list[str]:
    lines = [f"    untraced {found.untraced}, traced {found.traced}"]
    if found.at:
        lines.append(f"    while it ran {found.at}")
    if found.by_any is not None:
        says = "the same" if found.by_any else "not so"
        lines.append(f"    under a callback that does nothing: {says}")
    lines += [f"    | {line}" for line in found.says.strip().splitlines()[-12:]]
    return lines


def _known_lines(compared: Sequence[Compared]) -> list[str]:
    by_line: dict[tuple[str, str], list[tuple[Side, Difference]]] = {}
    for each in compared:
        for found in each.differences:
            if found.known is not None:
                key = (found.known.test, found.known.reason)
                by_line.setdefault(key, []).append((each.side, found))
    lines = []
    for (test, reason), rows in by_line.items():
        sides = ", ".join(dict.fromkeys(str(side) for side, _ in rows))
        count = f" ({len(rows)})" if len(rows) > 1 else ""
        lines += ["", f"known: {test}{count}, {sides}", f"    {reason}"]
    return lines


def as_json(
    compared: Sequence[Compared], stale: Sequence[tuple[Side, Known]]
) -> dict[str, Any]:
    """The report for a machine."""
    return {
        "python": ".".join(map(str, VERSION)),
        "runs": [_run_json(each) for each in compared],
        "stale": [
            {"hook": side.hook, "core": side.core, "test": known.test}
            for side, known in stale
        ],
        "unexplained": sum(len(each.unexplained) for each in compared),
    }


def _run_json(each: Compared) -> dict[str, Any]:
    return {
        "test": each.test,
        "hook": each.side.hook,
        "core": each.side.core,
        "tests": len(each.untraced.tests),
        "end": {"untraced": each.untraced.end, "traced": each.traced.end},
        "seconds": {"untraced": each.untraced.seconds, "traced": each.traced.seconds},
        "calls": each.traced.calls,
        "notes": list(each.traced.notes),
        "differences": [_difference_json(found) for found in each.differences],
        "unsteady": [_difference_json(found) for found in each.unsteady],
    }


def _difference_json(found: Difference) -> dict[str, Any]:
    return {
        "test": found.test,
        "untraced": found.untraced,
        "traced": found.traced,
        "at": found.at,
        "says": found.says,
        "by_any": found.by_any,
        "known": None if found.known is None else found.known.reason,
    }
