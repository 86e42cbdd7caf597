"""Start: the whole process of a command against that of ``python -c ''``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.cold import install_command, spend
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
python -c 'import kolo_c' without that of python -c ''. Wall times stand beside. \
Afterwards every trace of kolo-c run is looked for in the store."""
RUN_MOST = 3.5
LIST_MOST = 6.0
IMPORT_MOST_MS = 15.0
TRACES = 20


class _Place:
    """A project with an empty script, a store to list, and the installed command."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.listed = folder / "listed"
        for each in (self.project, self.listed):
            each.mkdir()
            (each / "setup.py").touch()
            (each / "empty.py").touch()
        self.script = install_command(folder)

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
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        names = list(commands)
        for number in range(rounds + 1):
            shift = number % len(names)
            for name in (*names[shift:], *names[:shift]):
                spent = spend(*commands[name])
                if number:  # the first round warms up
                    times[name].append(spent)
        with Store(place.project / ".kolo_c") as store:
            traces = store.traces()
        complete = sum(trace.status == "complete" for trace in traces)
    void = ""
    if complete != 2 * (rounds + 1):
        void = f"{complete} of {2 * (rounds + 1)} traces are complete in the store"
    rows = [
        _ratio("kolo-c run of an empty script", "run", times, RUN_MOST, void),
        _ratio("python -m kolo_c run of it", "module", times, RUN_MOST, void),
        _ratio(f"kolo-c list, {TRACES} traces", "list", times, LIST_MOST),
        _ratio("kolo-c list, two traces are new", "list new", times, LIST_MOST),
        _ratio("kolo-c --help", "help", times, None),
        _import(times),
    ]
    return Figure(NAME, TITLE, METHOD, rows)


def _ratio(
    text: str,
    name: str,
    times: Mapping[str, list[tuple[float, float]]],
    most: float | None,
    void: str = "",
) -> Row:
    pairs = list(zip(times[name], times["python"], strict=True))
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
