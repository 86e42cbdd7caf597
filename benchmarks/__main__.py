"""``python -m benchmarks [NAME…]``: measure, print, and write benchmarks/results."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.machine import describe

NAMES = (
    "skipped",
    "kept",
    "exceptions",
    "writer",
    "memory",
    "size",
    "readable",
    "start",
    "reader",
    "grep",
    "page",
    "tail",
    "suite",
    "serving",
)
# Only when named: it installs other people's packages.
NAMED = ("peers", "page_peers")


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What recording costs, on this Python and this machine.",
        epilog="Ends with 1 where a row is void or misses its limit.",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(NAMES + NAMED)}; none: all but {', '.join(NAMED)}",
    )
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="few rounds of small programs; nothing is written but with --results",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--results", type=Path, metavar="DIR", help="where to write")
    args = parser.parse_args(words)
    allowed = NAMES + NAMED
    unknown = [name for name in args.names if name not in allowed]
    if unknown:
        parser.error(
            f"no benchmark is named {', '.join(unknown)}: {', '.join(allowed)}"
        )
    return args


def main(words: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    args = parse(words)
    names = args.names or NAMES
    modules = [importlib.import_module(f"benchmarks.bench_{name}") for name in names]
    if args.list:
        for module in modules:
            print(f"{module.NAME:10} {module.TITLE}")
        return 0
    folder = args.results or (None if args.quick else report.RESULTS)
    results = []
    failed = False
    for module in modules:
        origin = describe()
        figure = module.run(args.quick)
        results.append(report.as_dict(figure, origin))
        failed |= any(row.verdict in ("fail", "void") for row in figure.rows)
        if folder is not None:
            report.save(results[-1], folder)
        if not args.json:
            if len(results) == 1:
                print(_heading(origin), flush=True)
            print("\n".join(report.lines(figure)), flush=True)
    if args.json:
        print(json.dumps(results, indent=1))
    return int(failed)


def _heading(origin: dict[str, object]) -> str:
    python, machine = origin["python"], origin["machine"]
    assert isinstance(python, dict) and isinstance(machine, dict)
    return (
        f"{origin['date']}, CPython {python['version']} {python['build']}, "
        f"{machine['cores']} cores of {machine['cpu']}"
    )


if __name__ == "__main__":
    sys.exit(main())
