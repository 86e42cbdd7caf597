"""The shop under real servers, asked by fifty at once: each request has a trace of its
own, complete, with exactly its own statements; and nobody's secret is in the store.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("django")
pytest.importorskip("httpx")

import kolo_c
from kolo_c.reading import Event, Trace
from kolo_c.store.reader import Store
from kolo_c.store.reader import Trace as StoredTrace
from tests.programs.shop.drive import (
    HERE,
    VISITS,
    Answer,
    Driven,
    drive,
    prepare,
    serving,
    shipping_service,
)

ROOT = Path(__file__).parents[3]
RUN = (sys.executable, "-m", "kolo_c", "run", "--quiet")
MARK = re.compile(r"/\* r=(\d+) \*/")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled database, to be copied."""
    place = tmp_path_factory.mktemp("filled")
    prepare(place)
    return place / "shop.sqlite3"


@pytest.fixture
def shop(tmp_path: Path, filled: Path) -> tuple[Path, dict[str, str]]:
    """A copy of the shop, and what it is told."""
    ignored = shutil.ignore_patterns("__pycache__", ".kolo_c", "*.sqlite3*", "media")
    folder = shutil.copytree(HERE, tmp_path / "shop", ignore=ignored)
    shutil.copyfile(filled, tmp_path / "shop.sqlite3")
    told = {
        "SHOP_MEDIA": str(tmp_path / "media"),
        "SHOP_DATABASE_NAME": str(tmp_path / "shop.sqlite3"),
        "PYTHONPATH": str(ROOT),
        # They are called with the parameters of every statement, of sessions' too:
        # which of those are secret is not to be seen there.
        "KOLO_C_IGNORE_FRAMES": "qualname:mark_statement,qualname:Marker.mark",
    }
    return folder, told


MIDDLEWARE = {
    "SHOP_MIDDLEWARE": "kolo_c.integrations.django.KoloCMiddleware",
    "SHOP_DEBUG": "1",
}


@pytest.mark.parametrize(
    ("server", "python", "told"),
    [
        ("runserver", RUN, {}),
        ("gunicorn", (sys.executable,), MIDDLEWARE),
        ("uvicorn", (sys.executable,), MIDDLEWARE),
        ("daphne", RUN, {}),
    ],
    ids=["runserver", "gunicorn-middleware", "uvicorn-middleware", "daphne"],
)
def test_each_of_fifty_at_once_has_its_own_trace(
    server: str, python, told: dict[str, str], shop: tuple[Path, dict[str, str]]
) -> None:
    folder, environment = shop
    environment |= told
    with shipping_service() as rates:
        environment["SHOP_SHIPPING_URL"] = rates.url
        with serving(server, environment, folder=folder, python=python) as site:
            driven = drive(site.url, visits=2 * len(VISITS), concurrency=50)
    with kolo_c.open(folder) as store:
        traces = store.traces()
        check_traces(driven, traces)
        if told:
            assert {trace.kind for trace in traces} == {"request"}
            check_headers(driven, traces)
    check_secrets(driven, folder / ".kolo_c")


def check_traces(driven: Driven, traces: list[Trace]) -> None:
    by_number: dict[int, tuple[Trace, Event]] = {}
    for trace in traces:
        assert trace.counters.get("lost", 0) == 0
        assert trace.problems == []
        if trace.kind == "request":
            assert trace.status == "complete", trace.name
            (request,) = trace.events(kind="request")
            number = int(request.fields.get("query", {}).get("r", 0))
            assert number not in by_number or number == 0
            by_number[number] = trace, request
    for answer in driven.answers:
        check_trace(answer, *by_number.pop(answer.number))
    assert set(by_number) <= {0}, "what has no number asked whether the server is there"


def check_trace(answer: Answer, trace: Trace, request: Event) -> None:
    name = f"{answer.method} {answer.path} → {answer.status}"
    assert trace.name == name
    assert request.fields["status"] == answer.status
    marks = Counter(
        int(mark[1])
        for event in trace.events(kind="sql")
        if (mark := MARK.search(str(event.fields["text"])))
    )
    assert marks == ({answer.number: answer.queries} if answer.queries else {}), name
    if answer.kind == "profile":
        assert isinstance(request.fields["user"], int)
    if answer.status == 500:
        assert "ZeroDivisionError" in str(request.fields["exception"])
    calls = Counter(call.function for call in trace.calls())
    assert calls["Marker.__init__"] == 1


def check_headers(driven: Driven, traces: list[Trace]) -> None:
    names = {trace.id: trace.name for trace in traces}
    for answer in driven.answers:
        trace_id = answer.headers["x-kolo-c-trace"]
        assert names[trace_id].startswith(f"{answer.method} {answer.path} →")


def check_secrets(driven: Driven, store: Path) -> None:
    found = [path.read_bytes() for path in store.rglob("*") if path.is_file()]
    with Store(store) as opened:
        for info in opened.traces():
            trace = StoredTrace(info)
            found += [b.fetch_data() for each in trace.streams for b in each.blocks]
    everything = b"\n".join(found)
    assert b"customer3@example.org" in everything, "it is looked for as it is written"
    assert len(driven.secrets) >= 10
    told = [secret for secret in driven.secrets if secret.encode() in everything]
    assert told == []
