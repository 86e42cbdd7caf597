"""A page of a Django project under kolo_c and its peers, in one run."""

from __future__ import annotations

import importlib
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import peers, shop
from benchmarks.bench_page import ALIKE, PATH, Page, of_alike
from benchmarks.peers import Peer, settle_kolo
from benchmarks.results import Figure, Row, median, percentile
from benchmarks.turns import take_turns
from kolo_c._version import __version__

NAME = "page_peers"
TITLE = "A Django page under kolo_c and its peers, over untraced"
METHOD = """\
/orders/ of tests/programs/shop (SQLite) through its WSGI handler: 50 rows, one join, \
a template, some 160 calls of the project. DEBUG is on, which Kolo asks for. Each tool \
is in an environment of its own (kolo_c is this tree), of the same Python, and \
switched on as its users do: kolo_c, Kolo and django-silk by their middleware, \
VizTracer around all requests. Two processes of each, and two untraced, answer a page \
each in turn, a hundred times; the CPU time of the program's thread, the median over \
all pairs of pages of one round. Beside it that of the whole process, with what other \
threads do. Kolo's rendering of traces in a process of its own is off. VizTracer \
leaves C functions out, and writes its file at the end, which is not measured."""
# What the shop needs, and kolo_c, by the names that pip knows.
DJANGO = ("django", "djangorestframework", "celery", "httpx", "requests", "msgpack")
_LEAST_BYTES = 500

UNTRACED = Peer("untraced", "", beside=DJANGO)
KOLO_C = Peer("kolo_c", "", leaves=".kolo_c", beside=DJANGO)
PEERS = (
    KOLO_C,
    Peer("VizTracer, with values", "viztracer", beside=DJANGO),
    Peer("VizTracer, times only", "viztracer", beside=DJANGO),
    Peer("Kolo", "kolo", leaves=".kolo", prepare=settle_kolo, beside=DJANGO),
    Peer("django-silk", "django-silk", leaves="../shop.sqlite3", beside=DJANGO),
)
MIDDLEWARE = {
    "kolo_c": "kolo_c.integrations.django.KoloCMiddleware",
    "Kolo": "kolo.middleware.KoloMiddleware",
    "django-silk": "silk.middleware.SilkyMiddleware",
}


def run(quick: bool) -> Figure:
    """Every tool's ratio."""
    reason = shop.missing()
    if reason:
        return Figure(NAME, TITLE, METHOD, [Row("page", "x", None, void=reason)])
    turns, warm_up = (6, 2) if quick else (100, 10)
    with tempfile.TemporaryDirectory() as folder:
        jobs = {
            f"{peer.name} {number}": job_for(
                peer, peers.interpreter(peer), Path(folder, f"{peer.name} {number}")
            )
            for peer in (UNTRACED, *PEERS)
            for number in range(ALIKE)
        }
        cpu_ns, answers = compare(jobs, turns, warm_up)
        rows = [_row(peer, cpu_ns, answers, objection(peer, answers)) for peer in PEERS]
    return Figure(NAME, TITLE, METHOD, rows)


def compare(
    jobs: dict[str, dict[str, Any]], turns: int, warm_up: int
) -> tuple[dict[str, list[int]], dict[str, dict[str, Any]]]:
    """By the names of ``jobs``: the CPU time of each page, and what there is when the
    processes have ended."""
    cpu_ns, answers = take_turns("bench_page_peers", jobs, turns, warm_up)
    for name, answer in answers.items():
        answer["leaves"] = jobs[name]["leaves"]
        answer["bytes"] = _size(answer["leaves"]) - jobs[name]["bytes_before"]
    return cpu_ns, answers


def job_for(peer: Peer, python: str, folder: Path) -> dict[str, Any]:
    """A shop and a database of its own, with what the tool wants of them."""
    folder.mkdir()
    project, told = shop.copy_shop(folder)
    peer.prepare(project)
    told["SHOP_DEBUG"] = "1"
    told["SHOP_MIDDLEWARE"] = MIDDLEWARE.get(peer.name, "")
    told["SHOP_APPS"] = "silk" if peer.name == "django-silk" else ""
    leaves = str(project / peer.leaves) if peer.leaves else ""
    return {
        "python": python,
        "project": str(project),
        "told": told,
        "tool": peer.name,
        "leaves": leaves,
        "bytes_before": _size(leaves),
    }


def objection(peer: Peer, answers: dict[str, dict[str, Any]]) -> str:
    """What the tool did not do; empty where it did everything."""
    for number in range(ALIKE):
        answer = answers[f"{peer.name} {number}"]
        pages = answer["pages"]
        if peer is KOLO_C:
            found = shop.objection(Path(answer["leaves"]), PATH, pages)
            if found:
                return found
        elif peer.leaves and answer["bytes"] < _LEAST_BYTES * pages:
            return f"it left {answer['bytes']:,} bytes of {pages} pages"
        elif not peer.leaves and answer["entries"] < pages * shop.CALLS_LEAST:
            return f"it has {answer['entries']:,} entries of {pages} pages"
    return ""


def _row(
    peer: Peer,
    cpu_ns: dict[str, list[int]],
    answers: dict[str, dict[str, Any]],
    void: str,
) -> Row:
    pairs = zip(
        of_alike(cpu_ns, peer.name), of_alike(cpu_ns, UNTRACED.name), strict=True
    )
    ratios = [one / other for one, other in pairs]

    def total(tool: str, what: str) -> float:
        of_each = [answers[f"{tool} {number}"][what] for number in range(ALIKE)]
        return float(sum(of_each))

    spent = total(peer.name, "cpu_s"), total(UNTRACED.name, "cpu_s")
    values = {"process_x": spent[0] / spent[1]}
    if peer.leaves:
        left, pages = total(peer.name, "bytes"), total(peer.name, "pages")
        values["bytes_a_page"] = left / pages
    version = __version__ if peer is KOLO_C else peers.version(peer)
    return Row(
        f"page: {peer.name} {version}",
        "x",
        median(ratios),
        percentile(ratios, 0.99),
        len(ratios),
        void=void,
        values=values,
    )


class Pages:
    """The page under one tool, in the shop's own process."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._tracer = _viztracer(job) if job["tool"].startswith("VizTracer") else None
        wsgi: Any = importlib.import_module("django.core.handlers.wsgi")
        # Its middleware begins here.
        self._page = Page(wsgi.WSGIHandler())
        self._count = 0
        self._began_s = time.process_time()

    def turn(self) -> None:
        """A page."""
        self._page.turn()
        self._count += 1

    def end(self) -> dict[str, Any]:
        """What there was of it."""
        cpu_s = time.process_time() - self._began_s
        entries = 0
        if self._tracer is not None:
            self._tracer.stop()
            entries = self._tracer.parse()
        return {"pages": self._count, "cpu_s": cpu_s, "entries": entries}


def begin(job: dict[str, Any]) -> Pages:
    """The page, as ``job`` wants it."""
    shop.enter(job["project"], job["told"])
    if job["tool"] == "django-silk":
        _add_silk()
    return Pages(job)


def _add_silk() -> None:
    """Its tables, and its pages, without which it records nothing."""
    management: Any = importlib.import_module("django.core.management")
    management.call_command("migrate", "silk", verbosity=0)
    urls: Any = importlib.import_module("shop.urls")
    to: Any = importlib.import_module("django.urls")
    urls.urlpatterns.append(to.path("silk/", to.include("silk.urls", namespace="silk")))


def _viztracer(job: dict[str, Any]) -> Any:
    """Its tracer, with the options of its command in bench_peers."""
    viztracer: Any = importlib.import_module("viztracer")
    with_values = job["tool"].endswith("values")
    tracer = viztracer.VizTracer(
        verbose=0,
        ignore_c_function=True,
        log_func_args=with_values,
        log_func_retval=with_values,
    )
    tracer.start()
    return tracer


def _size(path: str) -> int:
    """Of a file with those beside it that begin with its name, or of a folder."""
    if not path:
        return 0
    place = Path(path)
    if place.is_dir():
        paths = place.rglob("*")
    else:
        paths = place.resolve().parent.glob(f"{place.name}*")
    return sum(each.lstat().st_size for each in paths)
