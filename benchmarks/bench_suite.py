"""The tests of a Django project, each recorded; and with a plugin that is off."""

from __future__ import annotations

import sys
import tempfile
from importlib.metadata import entry_points
from pathlib import Path

from benchmarks.programs import Ran, run_measured
from benchmarks.results import Figure, Row, median, percentile
from benchmarks.shop import copy_shop, environment, missing
from kolo_c.store.reader import Store

NAME = "suite"
TITLE = "A test suite with the pytest plugin"
METHOD = """\
The 65 tests of tests/programs/shop by pytest (pytest-django, SQLite), in processes in \
turn, round after round: without our plugin, with it and no option, with --kolo-c. \
The CPU time of each, user and system, the writer's included, over that of the run \
without it of the same round; median of the rounds. Wall times stand beside. \
Afterwards each test has to have a complete trace in the store."""
TESTS = 65
ON_MOST = 1.10
OFF_MOST = 1.02
PLUGIN = "kolo_c.integrations.pytest_plugin"


def run(quick: bool) -> Figure:
    """Every way in every round."""
    reason = missing("pytest_django", "pytest_asyncio")
    if reason:
        return Figure(NAME, TITLE, METHOD, [Row("suite", "x", None, void=reason)])
    rounds = 2 if quick else 15
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    installed = any(each.name == "kolo_c" for each in entry_points(group="pytest11"))
    loaded = [] if installed else ["-p", PLUGIN]
    ways = {
        "without": [*pytest, *(["-p", "no:kolo_c"] if installed else [])],
        "off": [*pytest, *loaded],
        "on": [*pytest, *loaded, "--kolo-c"],
    }
    spent: dict[str, list[Ran]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        project, told = copy_shop(Path(folder))
        # What else there is must not change it; modules are compiled once.
        told = {**environment(told), "PYTHONDONTWRITEBYTECODE": ""}
        for number in range(rounds + 1):
            names = list(ways)
            shift = number % len(names)
            for name in (*names[shift:], *names[:shift]):
                ran = run_measured([sys.executable, *ways[name]], project, told)
                if number:  # the first round warms up
                    spent[name].append(ran)
        with Store(project / ".kolo_c") as store:
            tests = [info for info in store.traces() if info.row.kind == "test"]
    complete = sum(info.status == "complete" for info in tests)
    wanted = TESTS * (rounds + 1)
    void = "" if complete == wanted else f"{complete} of {wanted} tests have a trace"
    rows = [
        _ratio("suite, each test recorded", "on", spent, ON_MOST, void),
        _ratio("suite, the plugin off", "off", spent, OFF_MOST, ""),
    ]
    return Figure(NAME, TITLE, METHOD, rows)


def _ratio(
    text: str, name: str, spent: dict[str, list[Ran]], most: float, void: str
) -> Row:
    pairs = list(zip(spent[name], spent["without"], strict=True))
    ratios = [one.cpu_s / other.cpu_s for one, other in pairs]
    return Row(
        text,
        "x",
        median(ratios),
        percentile(ratios, 0.99),
        len(ratios),
        most=most,
        void=void,
        values={
            "cpu_s": median(one.cpu_s for one, _ in pairs),
            "without_cpu_s": median(other.cpu_s for _, other in pairs),
            "wall_ratio": median(one.wall_s / other.wall_s for one, other in pairs),
        },
    )
