"""Start: the whole process of a command against that of ``python -c ''``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.cold import install_command, install_python, spend
from benchmarks.results import Figure, Row, median, percentile
from kolo_c.store.reader import Store

NAME = "start"
TITLE = "What a command's whole process takes, over python's own start"
METHOD = """\
Processes in turn, round after round: python -c '', kolo-c as pip installs it, \
python -m kolo_c. The CPU time of each, user and system, the writer's thread included, \
as the kernel counts it (wait4), over that of python -c '' of the same round; median \
of the rounds. All run in a project's folder, with compiled modules in the page cache, \
kolo-c list over a store of its own. The time of import kolo_c is that of \
python -c 'import kolo_c' without that of python -c ''. The rows of KOLO_C=1 are \
of a virtual environment that kolo_c is installed in, over its python -c ''; that one \
without the variable is over an environment without kolo_c. Wall times stand beside. \
Afterwards every trace of kolo-c run is looked for in the store."""
RUN_MOST = 3.5
VARIABLE_MOST = 2.0
LIST_MOST = 6.0
IMPORT_MOST_MS = 15.0
TRACES = 20


class _Place:
    """A project with an empty script, a store to list, and the installed command."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.listed = folder / "listed"
        self.variable = folder / "variable"
        for each in (self.project, self.listed, self.variable):
            each.mkdir()
            (each / "setup.py").touch()
            (each / "empty.py").touch()
        self.script = install_command(folder)
        self.installed = install_python(folder / "installed")
        self.without = install_python(folder / "without")
        for path in (folder / "without").rglob("kolo_c.pth"):
            path.unlink()

    def fill(self) -> None:
        """Traces for kolo-c list, and modules compiled."""
        for _ in range(TRACES):
            spend(self.listed, [self.script, "run", "-q", "empty.py"])


def run(quick: bool) -> Figure:
    """Every command once in every round."""
    rounds = 5 if quick else 41
    with tempfile.TemporaryDirectory() as folder:
        place = _Place(Path(folder))
        place.fill()
        kolo = place.script
        commands = {
            "python": (place.project, ["-c", ""]),
            "import": (place.project, ["-c", "import kolo_c"]),
            "run": (place.project, [kolo, "run", "empty.py"]),
            "module": (place.project, ["-m", "kolo_c", "run", "empty.py"]),
            "list": (place.listed, [kolo, "list"]),
            "list new": (place.project, [kolo, "list"]),
            "help": (place.project, [kolo, "--help"]),
        }
        pythons = {
            "without": (place.without, [], {}),
            "unset": (place.installed, [], {}),
            "variable": (place.installed, [], {"KOLO_C": "1"}),
            "variable script": (place.installed, ["empty.py"], {"KOLO_C": "1"}),
        }
        names = [*commands, *pythons]
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for number in range(rounds + 1):
            shift = number % len(names)
            for name in (*names[shift:], *names[:shift]):
                if name in commands:
                    spent = spend(*commands[name])
                else:
                    python, words, variables = pythons[name]
                    words = words or ["-c", ""]
                    spent = spend(place.variable, words, python, **variables)
                if number:  # the first round warms up
                    times[name].append(spent)
        with Store(place.project / ".kolo_c") as store:
            traces = store.traces()
        complete = sum(trace.status == "complete" for trace in traces)
        with Store(place.variable / ".kolo_c") as store:
            recorded = [trace.row.name for trace in store.traces()]
    void = ""
    if recorded != ["empty.py"] * (rounds + 1):
        void = f"KOLO_C=1 recorded {len(recorded)} of {rounds + 1} scripts"
    if complete != 2 * (rounds + 1):
        void = f"{complete} of {2 * (rounds + 1)} traces are complete in the store"
    rows = [
        _ratio("kolo-c run of an empty script", "run", times, RUN_MOST, void),
        _ratio("python -m kolo_c run of it", "module", times, RUN_MOST, void),
        _ratio(f"kolo-c list, {TRACES} traces", "list", times, LIST_MOST),
        _ratio("kolo-c list, two traces are new", "list new", times, LIST_MOST),
        _ratio("kolo-c --help", "help", times, None),
        _import(times),
        _ratio(
            "KOLO_C=1 python -c ''", "variable", times, VARIABLE_MOST, void, "unset"
        ),
        _ratio(
            "KOLO_C=1 python, an empty script, recorded",
            "variable script",
            times,
            RUN_MOST,
            void,
            "unset",
        ),
        _ratio(
            "python -c '' with kolo_c installed, off",
            "unset",
            times,
            None,
            "",
            "without",
        ),
    ]
    return Figure(NAME, TITLE, METHOD, rows)


def _ratio(
    text: str,
    name: str,
    times: Mapping[str, list[tuple[float, float]]],
    most: float | None,
    void: str = "",
    over: str = "python",
) -> Row:
    pairs = list(zip(times[name], times[over], strict=True))
    ratios = [own[1] / python[1] for own, python in pairs]
    return Row(
        text,
        "x",
        median(ratios),
        percentile(ratios, 0.99),
        len(ratios),
        most=most,
        void=void,
        values={
            "cpu_ms": median(own[1] for own, _ in pairs),
            "wall_ms": median(own[0] for own, _ in pairs),
            "wall_ratio": median(own[0] / python[0] for own, python in pairs),
            "python_cpu_ms": median(python[1] for _, python in pairs),
        },
    )


def _import(times: Mapping[str, list[tuple[float, float]]]) -> Row:
    pairs = zip(times["import"], times["python"], strict=True)
    series = [own[1] - python[1] for own, python in pairs]
    return Row(
        "import kolo_c",
        "ms",
        median(series),
        percentile(series, 0.99),
        len(series),
        most=IMPORT_MOST_MS,
    )
