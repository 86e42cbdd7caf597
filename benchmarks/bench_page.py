"""A page of a Django project: 50 rows, a join, a template, 150 calls of its own."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import wsgiref.util
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.child import measure_in_child
from benchmarks.recording import Recording, hooks, read_back
from benchmarks.results import Figure, Proof, Row, median, percentile, times
from benchmarks.rounds import run_rounds
from benchmarks.shop import copy_shop, missing
from benchmarks.variants import Noop, Recorded, Untraced, Variant
from kolo_c.config import Config
from kolo_c.store.reader import Store

NAME = "page"
TITLE = "A Django page under the recorder"
METHOD = """\
/orders/ of tests/programs/shop (SQLite, DEBUG off) through its WSGI handler, as a \
server calls it: 50 rows, one join, a template, some 160 calls of the project. For \
each hook a process of its own, with the default filters; windows of pages under each \
variant in turn, round after round; CPU time of the program's thread, per round; \
median. The value is kolo_c over untraced, for setprofile kolo_c over a no-op \
profiler. Afterwards everything is read from the store: each page has to have a trace \
of its own, and the traces the calls that a counter in Python saw, and records of \
plugins. The last row is the middleware in a process that records nothing, over the \
same without it."""
PATH = "/orders/"
MOST = {"monitoring": 1.05, "setprofile": 1.10, "frame_eval": 1.20}
STORED_MOST = 12_000
OFF_MOST = 1.02
MIDDLEWARE = "kolo_c.integrations.django"
# The request and its statement, at least.
_PLUGIN_RECORDS = 2
# The first pages of a window find code that has to be instrumented anew.
SETTLE = 3


def run(quick: bool) -> Figure:
    """Each hook; then the middleware that is off."""
    reason = missing()
    if reason:
        return Figure(NAME, TITLE, METHOD, [Row("page", "x", None, void=reason)])
    rounds, turns = (3, 4) if quick else (31, 25)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        project, told = copy_shop(Path(folder))
        job = {"project": str(project), "told": told, "turns": turns, "rounds": rounds}
        for hook in hooks():
            store = Path(folder) / hook / ".kolo_c"
            store.parent.mkdir()
            rows += _recorded({**job, "hook": hook, "store": str(store)})
        rows.append(_switched_off({**job, "hook": ""}))
    return Figure(NAME, TITLE, METHOD, rows)


def _recorded(job: dict[str, Any]) -> list[Row]:
    hook, store = job["hook"], Path(job["store"])
    answer = measure_in_child("bench_page", job)
    cpu, pages = answer["cpu_ns"], answer["windows"] * (job["turns"] + SETTLE)
    over = {
        name: [one / other for one, other in zip(cpu["kolo_c"], cpu[name], strict=True)]
        for name in ("untraced", "noop")
    }
    judged = over["noop" if hook == "setprofile" else "untraced"]
    read = read_back(store)
    calls = times({"CALL": answer["calls"], "RETURN": answer["calls"]}, pages)
    proof = Proof(calls, {kind: read.get(kind, 0) for kind in calls}, answer["lost"], 0)
    void = proof.objection() or _objection(store, read, pages)
    stored = answer["stored_bytes"] / pages
    base = "the no-op profiler" if hook == "setprofile" else "untraced"
    return [
        Row(
            f"page, {hook} over {base}",
            "x",
            median(judged),
            percentile(judged, 0.99),
            job["rounds"],
            most=MOST.get(hook),
            proof=proof,
            void=void,
            values={
                "over_untraced": median(over["untraced"]),
                "over_noop": median(over["noop"]),
                "page_ms": median(cpu["untraced"]) / job["turns"] / 1e6,
                "calls_a_page": answer["calls"],
            },
        ),
        Row(
            f"page, {hook}, stored",
            "bytes",
            stored,
            most=STORED_MOST,
            void=void,
        ),
    ]


def _objection(store: Path, read: dict[str, int], pages: int) -> str:
    """What is missing beside the calls: traces, and what plugins say."""
    with Store(store) as opened:
        requests = [info for info in opened.traces() if info.row.kind == "request"]
    complete = sum(info.status == "complete" for info in requests)
    if complete != pages:
        return f"{complete} of {pages} requests have a complete trace of their own"
    if read.get("PLUGIN", 0) < _PLUGIN_RECORDS * pages:
        return f"{read.get('PLUGIN', 0)} records of plugins in {pages} pages"
    return ""


def _switched_off(job: dict[str, Any]) -> Row:
    name = "page, middleware off over without it"
    if importlib.util.find_spec(MIDDLEWARE) is None:
        return Row(name, "x", None, most=OFF_MOST, void=f"there is no {MIDDLEWARE}")
    answer = measure_in_child("bench_page", job)
    cpu = answer["cpu_ns"]
    pairs = zip(cpu["off"], cpu["untraced"], strict=True)
    ratios = [one / other for one, other in pairs]
    return Row(
        name,
        "x",
        median(ratios),
        percentile(ratios, 0.99),
        job["rounds"],
        most=OFF_MOST,
        void="" if answer["stored_bytes"] == 0 else "it was on",
    )


class Pages:
    """The workload: the page, asked for again and again."""

    def __init__(self, handlers: dict[str, Any]) -> None:
        self.handlers = handlers
        self.handler = handlers["plain"]

    def ask(self) -> bytes:
        """One request, begun and ended as a server does it."""
        environ: dict[str, Any] = {"PATH_INFO": PATH, "REMOTE_ADDR": "127.0.0.1"}
        wsgiref.util.setup_testing_defaults(environ)
        said: list[str] = []
        response = self.handler(environ, lambda status, headers: said.append(status))
        try:
            body = b"".join(response)
        finally:
            response.close()
        if said != ["200 OK"] or body.count(b"<tr>") != 50:
            raise RuntimeError(f"{PATH} answers {said}: {body[:500]!r}")
        return body

    def run(self, turns: int) -> None:
        """So many pages."""
        for _ in range(turns):
            self.ask()


class Off(Untraced):
    """With a middleware that has nothing to do."""

    name = "off"

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def attach(self) -> None:
        self._pages.handler = self._pages.handlers["middleware"]

    def detach(self) -> None:
        self._pages.handler = self._pages.handlers["plain"]


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """The page under every variant, in the shop's own process."""
    os.environ.update(job["told"])
    os.chdir(job["project"])
    sys.path.insert(0, job["project"])
    django: Any = importlib.import_module("django")
    django.setup()
    pages = Pages(_handlers(with_middleware=not job["hook"]))
    pages.run(3)  # templates, connections and patterns of URLs are there
    calls = _count_calls(pages, job["project"])
    variants: list[Variant] = [Untraced()]
    if not job["hook"]:
        variants.append(Off(pages))
        found, windows = run_rounds(
            pages, job["turns"], job["rounds"], variants, SETTLE
        )
        lost = stored = 0
        stored = sum(1 for _ in Path(job["project"]).glob(".kolo_c/segments/*"))
    else:
        recording = Recording(
            Path(job["store"]),
            keep=True,
            config=Config(hook=job["hook"]),
            root=Path(job["project"]),
        )
        recording.start()
        variants += [Noop(), Recorded(recording)]
        found, windows = run_rounds(
            pages, job["turns"], job["rounds"], variants, SETTLE
        )
        summary, stats = recording.finish()
        lost, stored = summary.lost, stats["stored_bytes"]
    return {
        "cpu_ns": {name: series.cpu_ns for name, series in found.items()},
        "windows": windows,
        "calls": calls,
        "lost": lost,
        "stored_bytes": stored,
    }


def _handlers(*, with_middleware: bool) -> dict[str, Any]:
    wsgi: Any = importlib.import_module("django.core.handlers.wsgi")
    settings: Any = importlib.import_module("django.conf").settings
    found = {"plain": wsgi.WSGIHandler()}
    if with_middleware:
        settings.MIDDLEWARE = [f"{MIDDLEWARE}.KoloCMiddleware", *settings.MIDDLEWARE]
        found["middleware"] = wsgi.WSGIHandler()
    return found


def _count_calls(pages: Pages, project: str) -> int:
    """Calls of the project's functions in one page, by the interpreter's own events."""
    count = 0

    def note(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        if event == "call" and frame.f_code.co_filename.startswith(project):
            count += 1

    sys.setprofile(note)
    try:
        pages.ask()
    finally:
        sys.setprofile(None)
    return count
