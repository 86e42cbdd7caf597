"""Write README.md's tables of costs and of peers from benchmarks/results/*.json.

``--check`` compares instead, and ends with 1 where the table is not up to date.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
# What each group of the peers' rows is about, in the order of the table.
GROUPS = {
    "empty": "an empty script, whole process",
    "skipped": "code that only uses the standard library",
    "kept": "small functions of one's own, called millions of times",
}

Result = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """A line of the table: what it says, and which row of which figure it shows."""

    text: str
    figure: str
    rows: tuple[str, ...] = ("",)
    """The beginning of the row's name: the first of these that there is."""
    value: str = ""
    """One of the row's further values instead of its own."""
    unit: str = ""
    digits: int = 2


def of_auto(row: str) -> tuple[str, ...]:
    """The row of the hook that ``auto`` takes."""
    return f"{row}, monitoring", f"{row}, frame_eval"


MEAN = ("geometric mean",)
SMALL = ("small",)
LINES = (
    Line(
        "code that is skipped, over untraced",
        "skipped",
        of_auto(*MEAN),
        "over_untraced",
        "x",
    ),
    Line("… with setprofile", "skipped", MEAN, "over_untraced", "x"),
    Line(
        "… for a no-op profiler (setprofile)",
        "skipped",
        MEAN,
        "floor_over_untraced",
        "x",
    ),
    Line(
        "kept call, above the untraced one",
        "kept",
        of_auto("small"),
        "entry_ns",
        " ns",
        0,
    ),
    Line("… with setprofile", "kept", SMALL, "entry_ns", " ns", 0),
    Line("… for a no-op profiler", "kept", SMALL, "noop_entry_ns", " ns", 0),
    Line(
        "kept call, over what the no-op profiler adds",
        "kept",
        of_auto("small"),
        "",
        "x",
    ),
    Line("… with setprofile", "kept", SMALL, "", "x"),
    Line("… the same for cProfile", "kept", SMALL, "cProfile_ratio", "x"),
    Line(
        "… for `sys.setprofile` with an empty function",
        "kept",
        SMALL,
        "setprofile_ratio",
        "x",
    ),
    Line("… for the Python core", "kept", ("small, Python core",), "", "x", 0),
    Line("rate beside the writer, over without it", "writer", unit="x"),
    Line("peak memory above the program's own", "memory", unit=" MiB", digits=1),
    Line("stored bytes for each kept call", "size", digits=1),
    Line("last call to readable trace", "readable", unit=" ms", digits=0),
    Line(
        "`kolo-c run` of an empty script, over `python -c ''`",
        "start",
        ("kolo-c run",),
        "",
        "x",
        1,
    ),
    Line(
        "`kolo-c list` with new traces, the same",
        "start",
        ("kolo-c list, two",),
        "",
        "x",
        1,
    ),
    Line(
        "page of a Django project with 150 calls of its own, over untraced",
        "page",
        ("page, monitoring over", "page, frame_eval over"),
        "",
        "x",
    ),
    Line(
        "… with the middleware installed and off",
        "page",
        ("page, middleware off",),
        "",
        "x",
    ),
    Line(
        "… bytes on disk for it",
        "page",
        ("page, monitoring, stored", "page, frame_eval, stored"),
        digits=0,
    ),
    Line(
        "gunicorn with 50 clients, requests a second over untraced",
        "serving",
        ("gunicorn, requests",),
        "",
        "x",
    ),
    Line(
        "uvicorn with 50 clients, the same", "serving", ("uvicorn, requests",), "", "x"
    ),
    Line(
        "a Django project's tests under `--kolo-c`, over without",
        "suite",
        ("suite, each",),
        "",
        "x",
    ),
)


def load(folder: Path) -> list[Result]:
    """Every result, by version and figure."""
    results = [
        json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")
    ]
    return sorted(results, key=lambda result: (_version(result), result["figure"]))


def table(results: Iterable[Result]) -> str:
    """The table, with where its numbers come from; a sentence where there are none."""
    versions: dict[tuple[int, ...], dict[str, Result]] = {}
    for result in results:
        versions.setdefault(_version(result), {})[result["figure"]] = result
    if not versions:
        return "No results yet: `python -m benchmarks` measures.\n"
    columns = sorted(versions)
    lines = [
        _line(["", *(_heading(versions[column]) for column in columns)]),
        _line(["---"] * (len(columns) + 1)),
    ]
    for line in LINES:
        cells = [_cell(versions[column], line) for column in columns]
        if any(cells):
            lines.append(_line([line.text, *cells]))
    origins = sorted(
        {
            _origin(result)
            for figures in versions.values()
            for result in figures.values()
        }
    )
    lines += ["", f"Medians, measured {'; '.join(origins)}.", ""]
    return "\n".join(lines)


def _version(result: Result) -> tuple[int, ...]:
    return tuple(
        int(part) for part in re.findall(r"\d+", result["python"]["version"])[:3]
    )


def _heading(figures: dict[str, Result]) -> str:
    python = next(iter(figures.values()))["python"]
    return f"{python['version']}{', optimised' if 'PGO' in _words(python) else ''}"


def _words(python: dict[str, Any]) -> list[str]:
    build = str(python["build"])
    return [] if build.startswith("plain") else build.split()


def _cell(figures: dict[str, Result], line: Line) -> str:
    rows = figures.get(line.figure, {"rows": []})["rows"]
    for name in line.rows:
        for row in rows:
            if not row["name"].startswith(name):
                continue
            if row["void"]:
                return "void"
            value = row["values"].get(line.value) if line.value else row["value"]
            return "" if value is None else f"{value:.{line.digits}f}{line.unit}"
    return ""


def _origin(result: Result) -> str:
    machine = result["machine"]
    return f"{result['date']} on {machine['cores']} cores of {machine['cpu']}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def peers_table(results: Iterable[Result]) -> str:
    """The peers of the newest Python that they were measured on."""
    found = [result for result in results if result["figure"] == "peers"]
    if not found:
        return "No results yet: `python -m benchmarks peers` measures.\n"
    result = found[-1]
    rows = {row["name"]: row for row in result["rows"]}
    tools = [name.partition(": ")[2] for name in rows if name.startswith("empty: ")]
    lines = [_line(["over python alone", *tools]), _line(["---"] * (len(tools) + 1))]
    for group, text in GROUPS.items():
        cells = [_peer_cell(rows[f"{group}: {tool}"]) for tool in tools]
        lines.append(_line([text, *cells]))
    bytes_ = (
        rows[f"kept: {tool}"]["values"].get("small_bytes_a_call") for tool in tools
    )
    cells = ["" if value is None else f"{value:,.1f}" for value in bytes_]
    lines.append(_line(["… bytes on disk for each such call", *cells]))
    python = result["python"]
    lines += ["", f"CPython {python['version']}, measured {_origin(result)}.", ""]
    return "\n".join(lines)


def page_peers_table(results: Iterable[Result]) -> str:
    """The same of a Django page."""
    found = [result for result in results if result["figure"] == "page_peers"]
    if not found:
        return "No results yet: `python -m benchmarks page_peers` measures.\n"
    result = found[-1]
    rows = result["rows"]
    tools = [row["name"].partition(": ")[2] for row in rows]
    left = (row["values"].get("bytes_a_page") for row in rows)
    sizes = ["" if value is None else f"{value / 1000:,.0f} kB" for value in left]
    lines = [
        _line(["a Django page, over untraced", *tools]),
        _line(["---"] * (len(tools) + 1)),
        _line(["CPU time of the thread", *(_peer_cell(row, 2) for row in rows)]),
        _line(["on disk", *sizes]),
    ]
    python = result["python"]
    lines += ["", f"CPython {python['version']}, measured {_origin(result)}.", ""]
    return "\n".join(lines)


def _peer_cell(row: dict[str, Any], digits: int = 1) -> str:
    return "void" if row["void"] else f"{row['value']:.{digits}f}x"


def replaced(text: str, name: str, made: str) -> str:
    """``text`` with the table of this name between its two marks."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, first, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not first or not last:
        raise SystemExit(f"{README}: no {begin} … {end}")
    return f"{before}{begin}\n\n{made}\n{end}{after}"


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    args = parser.parse_args()
    text = README.read_text(encoding="utf-8")
    results = load(RESULTS)
    made = replaced(text, "costs", table(results))
    made = replaced(made, "peers", peers_table(results))
    made = replaced(made, "page_peers", page_peers_table(results))
    if made == text:
        return 0
    if args.check:
        print(f"{README} is not up to date: run `make generate`", file=sys.stderr)
        return 1
    README.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
