"""A page of a Django project: 50 rows, a join, a template, 150 calls of its own."""

from __future__ import annotations

import importlib
import sys
import tempfile
import wsgiref.util
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.recording import Recording, hooks, read_back
from benchmarks.results import Figure, Proof, Row, add, median, percentile, times
from benchmarks.shop import copy_shop, enter, missing, objection
from benchmarks.turns import take_turns
from benchmarks.variants import Noop
from kolo_c.config import Config

NAME = "page"
TITLE = "A Django page under the recorder"
METHOD = """\
/orders/ of tests/programs/shop (SQLite, DEBUG off) through its WSGI handler, as a \
server calls it: 50 rows, one join, a template, some 160 calls of the project; with \
the default filters. For each hook two processes untraced, two under a no-op profiler \
and two under kolo_c, which answer a page each in turn, hundreds of times; CPU time of \
the program's thread; the median over all pairs of pages of one round. The value is \
kolo_c over untraced, for setprofile kolo_c over the no-op profiler. Afterwards \
everything is read from the stores: each page has to have a trace of its own, and the \
traces the calls that a counter in Python saw, and records of plugins. The last row is \
the middleware in processes that record nothing, over the same without it."""
PATH = "/orders/"
MOST = {"monitoring": 1.05, "setprofile": 1.10, "frame_eval": 1.20}
STORED_MOST = 12_000
OFF_MOST = 1.02
MIDDLEWARE = "kolo_c.integrations.django"
# The request and its statement, at least.
_PLUGIN_RECORDS = 2
# So many processes are alike: where one's code and data happen to lie makes a percent.
ALIKE = 2


def run(quick: bool) -> Figure:
    """Each hook; then the middleware that is off."""
    reason = missing()
    if reason:
        return Figure(NAME, TITLE, METHOD, [Row("page", "x", None, void=reason)])
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        project, told = copy_shop(Path(folder))
        job = {"project": str(project), "told": told, "quick": quick}
        for hook in hooks():
            rows += _recorded(job, hook, Path(folder))
        rows.append(_switched_off(job))
    return Figure(NAME, TITLE, METHOD, rows)


def measure_pages(
    job: dict[str, Any], variants: Sequence[str], folder: Path, hook: str = ""
) -> tuple[dict[str, list[int]], dict[str, dict[str, Any]]]:
    """CPU time of each page by variant, those of processes that are alike one behind
    the other; and what each process says, by variant and number."""
    jobs = {
        f"{variant} {number}": {
            **job,
            "variant": variant,
            "hook": hook,
            "store": str(folder / f"{hook} {number}" / ".kolo_c"),
        }
        for number in range(ALIKE)
        for variant in variants
    }
    turns, warm_up = (12, 2) if job["quick"] else (600, 20)
    each, answers = take_turns("bench_page", jobs, turns, warm_up)
    return {variant: of_alike(each, variant) for variant in variants}, answers


def of_alike(cpu_ns: dict[str, list[int]], name: str) -> list[int]:
    """The times of the processes that are alike, one behind the other."""
    return [
        took_ns for number in range(ALIKE) for took_ns in cpu_ns[f"{name} {number}"]
    ]


def _recorded(job: dict[str, Any], hook: str, folder: Path) -> list[Row]:
    cpu, answers = measure_pages(job, ("untraced", "noop", "kolo_c"), folder, hook)
    found = [answers[f"kolo_c {number}"] for number in range(ALIKE)]
    over = {
        name: [one / other for one, other in zip(cpu["kolo_c"], cpu[name], strict=True)]
        for name in ("untraced", "noop")
    }
    judged = over["noop" if hook == "setprofile" else "untraced"]
    calls, pages = found[0]["calls"], sum(answer["pages"] for answer in found)
    made = times({"CALL": calls, "RETURN": calls}, pages)
    read: dict[str, int] = {}
    void = ""
    for answer in found:
        of_one = read_back(Path(answer["store"]))
        void = void or _objection(Path(answer["store"]), of_one, answer["pages"])
        read = add(read, of_one)
    lost = sum(answer["lost"] for answer in found)
    proof = Proof(made, {kind: read.get(kind, 0) for kind in made}, lost, 0)
    void = proof.objection() or void
    base = "the no-op profiler" if hook == "setprofile" else "untraced"
    return [
        Row(
            f"page, {hook} over {base}",
            "x",
            median(judged),
            percentile(judged, 0.99),
            len(judged),
            most=MOST.get(hook),
            proof=proof,
            void=void,
            values={
                "over_untraced": median(over["untraced"]),
                "over_noop": median(over["noop"]),
                "page_ms": median(cpu["untraced"]) / 1e6,
                "calls_a_page": calls,
            },
        ),
        Row(
            f"page, {hook}, stored",
            "bytes",
            sum(answer["stored_bytes"] for answer in found) / pages,
            most=STORED_MOST,
            void=void,
        ),
    ]


def _objection(store: Path, read: dict[str, int], pages: int) -> str:
    """What is missing beside the calls: traces, and what plugins say."""
    void = objection(store, PATH, pages)
    if not void and read.get("PLUGIN", 0) < _PLUGIN_RECORDS * pages:
        return f"{read.get('PLUGIN', 0)} records of plugins in {pages} pages"
    return void


def _switched_off(job: dict[str, Any]) -> Row:
    name = "page, middleware off over without it"
    if importlib.util.find_spec(MIDDLEWARE) is None:
        return Row(name, "x", None, most=OFF_MOST, void=f"there is no {MIDDLEWARE}")
    cpu, answers = measure_pages(job, ("untraced", "off"), Path(job["project"]))
    pairs = zip(cpu["off"], cpu["untraced"], strict=True)
    ratios = [one / other for one, other in pairs]
    stored = any(answer["stored_bytes"] for answer in answers.values())
    return Row(
        name,
        "x",
        median(ratios),
        percentile(ratios, 0.99),
        len(ratios),
        most=OFF_MOST,
        void="it was on" if stored else "",
    )


class Page:
    """The workload: the page, asked for again and again."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def turn(self) -> None:
        """One request, begun and ended as a server does it."""
        environ: dict[str, Any] = {"PATH_INFO": PATH, "REMOTE_ADDR": "127.0.0.1"}
        wsgiref.util.setup_testing_defaults(environ)
        said: list[str] = []
        response = self._handler(environ, lambda status, headers: said.append(status))
        try:
            body = b"".join(response)
        finally:
            response.close()
        if said != ["200 OK"] or body.count(b"<tr>") != 50:
            raise RuntimeError(f"{PATH} answers {said}: {body[:500]!r}")


class Pages:
    """The page under one variant, in the shop's own process."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._page = Page(_handler(with_middleware=job["variant"] == "off"))
        for _ in range(3):  # templates, connections and patterns of URLs are there
            self._page.turn()
        self._job = job
        self._calls = _count_calls(self._page, job["project"])
        self._count = 0
        self._recording: Recording | None = None
        if job["variant"] == "noop":
            Noop().attach()
        elif job["variant"] == "kolo_c":
            self._recording = _record(job)

    def turn(self) -> None:
        """A page."""
        self._page.turn()
        self._count += 1

    def end(self) -> dict[str, Any]:
        """What there was of it."""
        lost = 0
        stored = sum(1 for _ in Path(self._job["project"]).glob(".kolo_c/segments/*"))
        if self._recording is not None:
            self._recording.detach()
            summary, stats = self._recording.finish()
            lost, stored = summary.lost, stats["stored_bytes"]
        return {
            "calls": self._calls,
            "pages": self._count,
            "lost": lost,
            "stored_bytes": stored,
            "store": self._job["store"],
        }


def begin(job: dict[str, Any]) -> Pages:
    """The page, as ``job`` wants it."""
    enter(job["project"], job["told"])
    return Pages(job)


def _record(job: dict[str, Any]) -> Recording:
    store = Path(job["store"])
    store.parent.mkdir(parents=True)
    recording = Recording(
        store, keep=True, config=Config(hook=job["hook"]), root=Path(job["project"])
    )
    recording.start()
    recording.attach()
    return recording


def _handler(*, with_middleware: bool) -> Any:
    wsgi: Any = importlib.import_module("django.core.handlers.wsgi")
    settings: Any = importlib.import_module("django.conf").settings
    if with_middleware:
        settings.MIDDLEWARE = [f"{MIDDLEWARE}.KoloCMiddleware", *settings.MIDDLEWARE]
    return wsgi.WSGIHandler()


def _count_calls(page: Page, project: str) -> int:
    """Calls of the project's functions in one page, by the interpreter's own events."""
    count = 0

    def note(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        if event == "call" and frame.f_code.co_filename.startswith(project):
            count += 1

    sys.setprofile(note)
    try:
        page.turn()
    finally:
        sys.setprofile(None)
    return count
