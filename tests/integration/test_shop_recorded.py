"""The shop, recorded, under real servers: it answers as ever, and nothing is lost.

Visited by all kinds of people at once (tests/programs/shop/drive.py), each answer of
which is checked, and each request has a number that is found in what was recorded.
"""

from __future__ import annotations

import re
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("django")
pytest.importorskip("httpx")

import kolo_c
from kolo_c.store.reader import Store, Trace
from tests.programs.shop.drive import (
    HERE,
    VISITS,
    Driven,
    drive,
    prepare,
    serving,
    shipping_service,
    working,
)
from tests.servers import PASSWORD, MailServer, Server

ROOT = Path(__file__).parent.parent.parent
RUN = [sys.executable, "-m", "kolo_c", "run", "--quiet"]
SESSION = re.compile(r"[a-z0-9]{32}")
# Of transactions, and what Django asks MariaDB and tells it on a new connection.
OWN = re.compile(r"(BEGIN|COMMIT|ROLLBACK)$|\s*SELECT VERSION\(\)|SET SESSION TRANS")
# They are called with the parameters of every statement, of sessions' too: which of
# those are secret is not to be seen there.
IGNORED = "qualname:mark_statement,qualname:Marker.mark"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled SQLite database, to be copied."""
    place = tmp_path_factory.mktemp("filled")
    prepare(place)
    return place / "shop.sqlite3"


@pytest.fixture(scope="module")
def filled_postgresql(
    postgresql_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The name of a filled PostgreSQL database, to be copied."""
    told = postgresql_server.shop_environment()
    prepare(tmp_path_factory.mktemp("filled"), told)
    return told["SHOP_DATABASE_NAME"]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A copy of the shop: its traces are its own."""
    ignored = shutil.ignore_patterns("__pycache__", ".kolo_c", "*.sqlite3*", "media")
    return shutil.copytree(HERE, tmp_path / "shop", ignore=ignored)


def told_of(request: pytest.FixtureRequest, database: str, place: Path) -> dict:
    """What the shop is told, so that it has a database of its own."""
    told = {"SHOP_MEDIA": str(place / "media"), "PYTHONPATH": str(ROOT)}
    told["KOLO_C_IGNORE_FRAMES"] = IGNORED
    if database == "sqlite":
        shutil.copyfile(request.getfixturevalue("filled"), place / "shop.sqlite3")
        return {**told, "SHOP_DATABASE_NAME": str(place / "shop.sqlite3")}
    server = request.getfixturevalue("postgresql_server")
    name = server.fresh_database(like=request.getfixturevalue("filled_postgresql"))
    return {**told, **server.shop_environment(name)}


def stored(store: Path) -> bytes:
    """Everything in the store, as it is in the files, and unpacked."""
    found = [path.read_bytes() for path in store.rglob("*") if path.is_file()]
    with Store(store) as opened:
        for info in opened.traces():
            trace = Trace(info)
            found += [b.fetch_data() for each in trace.streams for b in each.blocks]
    return b"\n".join(found)


def check_secrets(driven: Driven, store: Path) -> None:
    """No password is anywhere, no session's id, not the database's password."""
    everything = stored(store)
    secrets = list(driven.secrets)
    assert sum(SESSION.fullmatch(each) is not None for each in secrets) >= 4
    assert sum(each.startswith(("guess-", "secret-")) for each in secrets) >= 4
    assert [each for each in secrets if each.encode() in everything] == []
    assert PASSWORD.encode() not in everything
    assert b"customer3@example.org" in everything, "it is looked for as it is written"


def check_numbers(driven: Driven, shop: Path) -> None:
    """Each request was seen once, with its number."""
    seen: Counter[int] = Counter()
    with kolo_c.open(shop) as store:
        for trace in store.traces():
            assert trace.counters.get("lost", 0) == 0
            assert trace.problems == []
            for call in trace.calls("Marker.__init__", module="shop.markers"):
                seen[call.arguments["number"]] += 1
    assert seen == Counter(answer.number for answer in driven.answers)


def number_of(text: object) -> int | None:
    """The number in a statement, whose end may be cut off; None: it has none."""
    found = re.search(r"/\* r=(\d+) \*/", str(getattr(text, "value", text)))
    return int(found[1]) if found else None


def check_requests(driven: Driven, shop: Path) -> None:
    """Each has a trace of its own, with its statements, all of them and no others."""
    by_number = {answer.number: answer for answer in driven.answers}
    found = set()
    with kolo_c.open(shop) as store:
        for trace in store.traces(wanted=lambda each: each.kind == "request"):
            request = next(iter(trace.events("request"))).fields
            if request["path"] == "/health/":
                continue
            answer = by_number[int(request["query"]["r"])]
            assert answer.number not in found, f"{trace.name} has two traces"
            found.add(answer.number)
            assert trace.name == f"{answer.method} {answer.path} → {answer.status}"
            assert trace.status == "complete"
            assert request["status"] == answer.status
            statements = list(trace.events("sql"))
            numbers = [number_of(each.fields["text"]) for each in statements]
            marked = [number for number in numbers if number is not None]
            assert marked == [answer.number] * answer.queries, trace.name
            for number, each in zip(numbers, statements, strict=True):
                # These are no statements that anybody could put a comment to.
                if number is None:
                    assert OWN.match(each.fields["text"])
    assert found == by_number.keys()


@pytest.mark.parametrize(
    ("server", "database"),
    [
        ("runserver", "sqlite"),
        ("gunicorn", "postgresql"),
        ("uvicorn", "postgresql"),
        ("daphne", "sqlite"),
    ],
)
def test_every_request_has_a_trace_of_its_own_with_its_own_statements(
    server: str, database: str, shop: Path, request: pytest.FixtureRequest
) -> None:
    told = told_of(request, database, shop.parent)
    with shipping_service() as rates:
        told["SHOP_SHIPPING_URL"] = rates.url
        with serving(server, told, folder=shop, python=RUN) as site:
            driven = drive(site.url, visits=2 * len(VISITS))
    # As without us: uvicorn says goodbye with the signal that it was asked with.
    assert site.status == (-signal.SIGTERM if server == "uvicorn" else 0)
    check_numbers(driven, shop)
    check_requests(driven, shop)
    check_secrets(driven, shop / ".kolo_c")
    kinds = {answer.kind for answer in driven.answers}
    assert len(kinds) == len(VISITS) + 6


def test_a_payment_s_receipt_is_a_task_that_names_its_request(
    mariadb_server: Server,
    redis_server: Server,
    mail_server: MailServer,
    shop: Path,
) -> None:
    """A worker of celery, recorded too: what is done later is not lost among requests."""
    place = shop.parent
    told = prepare(
        place,
        {
            "SHOP_MEDIA": str(place / "media"),
            "PYTHONPATH": str(ROOT),
            **mariadb_server.shop_environment(),
            **redis_server.shop_environment(),
            "SHOP_MAIL": f"{mail_server.host}:{mail_server.port}",
        },
    )
    told["KOLO_C_IGNORE_FRAMES"] = IGNORED
    with (
        shipping_service() as rates,
        working(told, folder=shop, python=RUN) as worker,
    ):
        told["SHOP_SHIPPING_URL"] = rates.url
        with serving("gunicorn", told, folder=shop, python=RUN) as site:
            driven = drive(site.url, visits=2 * len(VISITS))
            paid = len(driven.of_kind("pay"))
            deadline = time.monotonic() + 20
            while len(mail_server.messages) < paid and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(0.1)  # the task has sent its mail, and goes on
    assert (site.status, worker.status) == (0, 0)
    assert paid == len(mail_server.messages) > 0
    check_requests(driven, shop)
    check_secrets(driven, shop / ".kolo_c")
    with kolo_c.open(shop) as store:
        requests = {}
        for trace in store.traces(wanted=lambda each: each.kind == "request"):
            for event in trace.events("enqueue"):
                assert trace.name.endswith("/pay/ → 200"), trace.name
                requests[trace.id] = event.fields["id"]
        tasks = list(store.traces(wanted=lambda each: each.kind == "task"))
        assert len(tasks) == len(requests) == paid
        for task in tasks:
            assert task.name == "task shop.orders.tasks.send_receipt → SUCCESS"
            assert task.status == "complete"
            assert requests.pop(task.attributes["enqueued_by"]) == task.attributes["id"]
            assert [call.function for call in task.calls()][:1] == ["send_receipt"]
            written = [event.fields["operation"] for event in task.events("sql")]
            assert written.count("INSERT") == 1 and "SELECT" in written
            (mail,) = task.events("email")
            assert mail.fields["sent"] == 1
            assert any("receipt for order" in str(e) for e in task.events("log"))
