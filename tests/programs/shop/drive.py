"""Starts the shop under a server, asks it for everything at once, checks the answers.

    python drive.py --server gunicorn --visits 50 --concurrency 50

A visit is what one person does: a request, or some in a row with cookies between. Each
request has a number of its own (``?r=17``), by which the answer, the statements of the
database and the questions to the other service are known to be its.

As a library::

    with prepared(folder) as environment, serving("uvicorn", environment) as site:
        answers = drive(site.url, visits=50)

Threads: one, and that of the other service. Owns: the processes that it started, which
it stops, with everything that those started. Fails: DriveError, with the server's log.
All is bounded in number and time, and goes to 127.0.0.1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

HERE = Path(__file__).resolve().parent
SERVERS = ("runserver", "gunicorn", "uvicorn", "daphne")
START_SECONDS = 60
STOP_SECONDS = 20
DRIVE_SECONDS = 180
MOST_VISITS = 2000
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class DriveError(Exception):
    """A server that does not start or stop, or an answer that is not what it must be."""


# -- the shop and its servers


@dataclass
class Site:
    """A server that answers. ``status``: how it ended, when it has."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    status: int | None = None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def manage(*words: str, environment: dict[str, str], folder: Path = HERE) -> str:
    """``manage.py WORDS…``; its output."""
    ended = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DRIVE_SECONDS,
        check=False,
    )
    if ended.returncode != 0:
        raise DriveError(f"manage.py {' '.join(words)} failed:\n{ended.stdout}")
    return ended.stdout


def prepare(
    place: Path, environment: dict[str, str] | None = None, *, folder: Path = HERE
) -> dict[str, str]:
    """A filled database: the one ``environment`` names, or SQLite's, in ``place``."""
    environment = {"SHOP_MEDIA": str(place / "media"), **(environment or {})}
    if environment.get("SHOP_DATABASE", "sqlite") == "sqlite":
        environment.setdefault("SHOP_DATABASE_NAME", str(place / "shop.sqlite3"))
    manage("seed", "--migrate", environment=environment, folder=folder)
    return environment


def command_of(server: str, port: int, workers: int, threads: int) -> list[str]:
    """How Python is told to serve."""
    where = f"127.0.0.1:{port}"
    if server == "runserver":
        return ["manage.py", "runserver", where, "--noreload"]
    if server == "reloading runserver":
        return ["manage.py", "runserver", where]
    if server == "gunicorn":
        options = f"--workers {workers} --threads {threads} --worker-class gthread"
        options += f" --bind {where} --log-level warning --graceful-timeout 10"
        return ["-m", "gunicorn", *options.split(), "shop.wsgi:application"]
    if server == "uvicorn":
        options = f"--host 127.0.0.1 --port {port} --lifespan off --log-level warning"
        if workers > 1:
            options += f" --workers {workers}"
        return ["-m", "uvicorn", *options.split(), "shop.asgi:application"]
    if server == "daphne":
        options = f"-b 127.0.0.1 -p {port} -v 0"
        return ["-m", "daphne", *options.split(), "shop.asgi:application"]
    raise DriveError(f"no server {server} ({', '.join(SERVERS)})")


@contextlib.contextmanager
def serving(
    server: str,
    environment: dict[str, str],
    *,
    folder: Path = HERE,
    python: Sequence[str] = (sys.executable,),
    workers: int = 1,
    threads: int = 16,
) -> Iterator[Site]:
    """The shop under ``server``, which answers. ``python``: what runs ``-m MODULE``."""
    port = free_port()
    command = [*python, *command_of(server, port, workers, threads)]
    with tempfile.NamedTemporaryFile("wb", suffix=".log", delete=False) as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    site = Site(f"http://127.0.0.1:{port}", process, Path(output.name))
    try:
        wait_for_answer(site)
        yield site
    finally:
        stop(site, interrupt="runserver" in server)
        site.log.unlink()


@contextlib.contextmanager
def working(
    environment: dict[str, str],
    *,
    folder: Path = HERE,
    python: Sequence[str] = (sys.executable,),
    pool: str = "prefork",
    processes: int = 2,
) -> Iterator[Site]:
    """A celery worker that is ready."""
    options = f"-A shop worker --pool {pool} --concurrency {processes} --loglevel INFO"
    options += " --without-mingle --without-gossip"
    with tempfile.NamedTemporaryFile("wb", suffix=".log", delete=False) as output:
        process = subprocess.Popen(
            [*python, "-m", "celery", *options.split()],
            cwd=folder,
            # As root celery asks whether that is meant.
            env={**os.environ, "C_FORCE_ROOT": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    site = Site("", process, Path(output.name))
    try:
        deadline = time.monotonic() + START_SECONDS
        while " ready." not in said(site):
            give_up(site, deadline)
            time.sleep(0.05)
        yield site
    finally:
        stop(site)
        site.log.unlink()


def said(site: Site) -> str:
    return site.log.read_text(errors="replace")


def give_up(site: Site, deadline: float) -> None:
    """Nothing, unless the process has ended or takes too long."""
    status = site.process.poll()
    if status is not None or time.monotonic() > deadline:
        what = "does not answer" if status is None else f"ended with {status}"
        raise DriveError(f"{site.process.args} {what}:\n{said(site)[-4000:]}")


def wait_for_answer(site: Site) -> None:
    """Listening is enough for what only queues; the first answer may take a while."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{site.url}/health/", timeout=START_SECONDS).text == "well":
                return
        give_up(site, deadline)
        time.sleep(0.05)


def stop(site: Site, *, interrupt: bool = False) -> None:
    """As a supervisor does it, or as Ctrl-C; nothing of it is left in any case."""
    process = site.process
    with contextlib.suppress(ProcessLookupError):
        if interrupt:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.terminate()
    try:
        site.status = process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        raise DriveError(
            f"{process.args} does not stop:\n{said(site)[-4000:]}"
        ) from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


# -- the other service


class Rates(BaseHTTPRequestHandler):
    """Says what shipping costs, and notes who asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        number = int(asked.get("r", ["0"])[0])
        self.server.asked.append(number)  # type: ignore[attr-defined]
        body = json.dumps({"rate": "4.90", "for": number}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not on the screen."""


class RatesServer(ThreadingHTTPServer):
    """``asked``: the numbers of the requests of the shop that it was asked for."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Rates)
        self.asked: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


@contextlib.contextmanager
def shipping_service() -> Iterator[RatesServer]:
    """It answers while the block runs: its URL is for SHOP_SHIPPING_URL."""
    with RatesServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


# -- visits


@dataclass
class Answer:
    """What the shop said to request ``number``. ``queries``: statements it made."""

    number: int
    kind: str
    method: str
    path: str
    status: int
    headers: dict[str, str]
    body: bytes
    queries: int
    seconds: float

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Driven:
    """All answers, and what nobody but the shop must keep.

    ``secrets`` are passwords and ids of sessions; ``tokens`` are those of forms.
    """

    answers: list[Answer] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)

    def of_kind(self, kind: str) -> list[Answer]:
        return [answer for answer in self.answers if answer.kind == kind]


class Visit:
    """One person with a browser."""

    def __init__(self, client, driven, numbers, place) -> None:
        self.client = client
        self.driven = driven
        self.numbers = numbers
        self.place = place  # among the visits: so that they do not all do the same

    async def ask(self, method, path, kind, *, status=200, query=None, **more):
        """A request and its answer, which has to be to this request."""
        number = next(self.numbers)
        began = time.monotonic()
        answer = await self.client.request(
            method, path, params={**(query or {}), "r": number}, **more
        )
        seconds = time.monotonic() - began
        if answer.status_code != status:
            raise DriveError(
                f"{method} {path} (r={number}): {answer.status_code}, not {status}:\n"
                f"{answer.text[:2000]}"
            )
        if answer.headers.get("X-Shop-Marker") != str(number):
            raise DriveError(f"{method} {path}: the answer is not to r={number}")
        queries = int(answer.headers["X-Shop-Queries"])
        if ended := re.search(rb"queries=(\d+)\n\Z", answer.content):
            queries = int(ended[1])  # a stream, which counts to its end
        for name, value in self.client.cookies.items():
            known = self.driven.secrets if name == "sessionid" else self.driven.tokens
            known.add(value)
        self.driven.answers.append(
            Answer(
                number,
                kind,
                method,
                path,
                status,
                dict(answer.headers),
                answer.content,
                queries,
                seconds,
            )
        )
        return self.driven.answers[-1]

    async def fill_in(self, path, kind, data, *, status=302):
        """Get a form, fill it in, and send it."""
        form = await self.ask("GET", path, f"{kind}-form")
        found = CSRF.search(form.text)
        if found is None:
            raise DriveError(f"GET {path}: no form in it")
        token = found[1]
        self.driven.tokens.add(token)
        data = {**data, "csrfmiddlewaretoken": token}
        return await self.ask("POST", path, kind, status=status, data=data)

    def secret(self, text):
        """``text``, which nobody may find anywhere."""
        self.driven.secrets.add(text)
        return text


def must(condition, answer):
    """A fact that an answer is expected to show."""
    if not condition:
        raise DriveError(
            f"{answer.method} {answer.path} (r={answer.number}) has an answer that is "
            f"not to it, or not by {answer.queries} queries:\n{answer.body[:2000]!r}"
        )


def must_ask(queries, answer):
    """How many statements; once a process MariaDB is asked what it is, which is one more."""
    must(answer.queries in (queries, queries + 1), answer)


async def see_home(visit):
    answer = await visit.ask("GET", "/", "home")
    must("60 products" in answer.text or "products, " in answer.text, answer)


async def see_orders(visit):
    answer = await visit.ask("GET", "/orders/", "orders")
    must(answer.text.count("<tr>") == 50, answer)
    must_ask(1, answer)


async def see_order(visit):
    pk = 1 + visit.place % 400
    answer = await visit.ask("GET", f"/orders/{pk}/", "order")
    must(f"<h1>O-2026-{pk:05d}" in answer.text, answer)
    must_ask(3, answer)


async def see_no_order(visit):
    answer = await visit.ask("GET", "/orders/999999/", "no-order", status=404)
    must_ask(1, answer)


async def see_customers(visit):
    answer = await visit.ask("GET", "/reports/customers/", "customers")
    must_ask(41, answer)


async def see_status(visit):
    answer = await visit.ask("GET", "/reports/status/", "status")
    must(sum(json.loads(answer.body).values()) >= 400, answer)


async def see_product(visit):
    sku = f"{['LAM', 'CHA', 'TAB', 'MUG', 'BOW'][visit.place % 5]}-2"
    answer = await visit.ask("GET", f"/catalogue/{sku}/", "product")
    must("3 reviews" in answer.text, answer)
    must_ask(3, answer)


async def see_export(visit):
    answer = await visit.ask("GET", "/orders/export.csv", "export")
    must(answer.text.count("O-2026-") >= 400, answer)
    must_ask(1, answer)


async def see_prices(visit):
    answer = await visit.ask("GET", "/catalogue/prices.csv", "prices")
    must(answer.text.count(";") >= 60, answer)
    must_ask(1, answer)


async def see_stock(visit):
    answer = await visit.ask("GET", "/catalogue/stock/", "stock")
    must(len(json.loads(answer.body)["best"]) == 5, answer)
    must_ask(3, answer)


async def see_rates(visit):
    answer = await visit.ask("GET", "/catalogue/rates/", "rates")
    rates = json.loads(answer.body)["rates"]
    must([rate["for"] for rate in rates] == [answer.number] * 2, answer)


async def see_shipping(visit):
    # A kind of its own each time, as rates are kept for a while.
    answer = await visit.ask(
        "GET", "/orders/7/shipping/", "shipping", query={"kind": f"k{visit.place}"}
    )
    must(json.loads(answer.body)["kind"] == f"k{visit.place}", answer)


async def see_broken(visit):
    answer = await visit.ask("GET", "/broken/", "broken", status=500)
    must_ask(2, answer)


async def see_missing(visit):
    await visit.ask("GET", "/missing/", "missing", status=404, query={"wanted": "cat"})


async def list_products(visit):
    answer = await visit.ask("GET", "/api/products/", "api-list", query={"page": 2})
    must(len(json.loads(answer.body)["results"]) == 20, answer)
    must_ask(3, answer)


def new_product(sku, price):
    return {
        "sku": sku,
        "name": "thing",
        "category": "Lamp",
        "supplier": "Adler & Co.",
        "tags": ["red"],
        "price": price,
        "stock": 1,
    }


async def add_product(visit):
    sku = f"NEW-{visit.place}"
    answer = await visit.ask(
        "POST",
        "/api/products/",
        "api-add",
        status=201,
        json=new_product(sku, "3.50"),
    )
    must(json.loads(answer.body)["sku"] == sku, answer)


async def add_bad_product(visit):
    answer = await visit.ask(
        "POST",
        "/api/products/",
        "api-bad",
        status=400,
        json=new_product("LAM-1", "-1"),
    )
    must(sorted(json.loads(answer.body)) == ["price", "sku"], answer)


async def order_something(visit):
    data = {"email": "customer3@example.org", "sku": "MUG-1", "quantity": 1}
    answer = await visit.fill_in("/orders/new/", "new-order", data)
    must(re.search(r"/orders/\d+/", answer.headers["location"]), answer)


async def order_too_much(visit):
    data = {"email": "customer4@example.org", "sku": "LAM-0", "quantity": 9}
    answer = await visit.fill_in("/orders/new/", "too-much", data, status=400)
    must("only 3 of LAM-0 left" in answer.text, answer)


async def pay(visit):
    pk = 1 + visit.place % 400
    answer = await visit.ask(
        "POST", f"/orders/{pk}/pay/", "pay", data={"card_number": "4000123412341234"}
    )
    must(json.loads(answer.body)["task"], answer)


async def upload(visit):
    content = b"%07d" % visit.place * 6000
    answer = await visit.ask(
        "POST",
        "/orders/invoices/",
        "upload",
        data={"order": 5},
        files={"file": ("invoice.bin", content)},
    )
    must(json.loads(answer.body)["size"] == len(content), answer)


async def log_in(visit):
    user = visit.place % 10
    password = visit.secret(f"secret-of-user-{user}-c3a9")
    data = {"username": f"user{user}", "password": password}
    await visit.fill_in("/accounts/login/", "log-in", data)
    answer = await visit.ask("GET", "/accounts/profile/", "profile")
    must(f"<h1>user{user}</h1>" in answer.text, answer)


async def log_in_wrongly(visit):
    data = {"username": "user1", "password": visit.secret(f"guess-{visit.place}-e17b")}
    await visit.fill_in("/accounts/login/", "wrong-password", data, status=200)


async def sign_up(visit):
    name = f"new{visit.place}"
    password = visit.secret(f"password-of-{name}-77aa")
    data = {
        "username": name,
        "email": f"{name}@example.org",
        "first_name": "New",
        "last_name": "Comer",
        "password": password,
        "password_again": password,
    }
    await visit.fill_in("/accounts/sign-up/", "sign-up", data)
    answer = await visit.ask("GET", "/accounts/profile/", "profile")
    must(f"<h1>{name}</h1>" in answer.text, answer)


VISITS = [
    see_home,
    see_orders,
    see_order,
    see_no_order,
    see_customers,
    see_status,
    see_product,
    see_export,
    see_prices,
    see_stock,
    see_rates,
    see_shipping,
    see_broken,
    see_missing,
    list_products,
    add_product,
    add_bad_product,
    order_something,
    order_too_much,
    pay,
    upload,
    log_in,
    log_in_wrongly,
    sign_up,
]


async def drive_all(url, visits, concurrency, kinds) -> Driven:
    """All visits, ``concurrency`` of them at any time."""
    driven, numbers = Driven(), count(1)
    turns = asyncio.Semaphore(concurrency)

    async def one(place):
        async with (
            turns,
            httpx.AsyncClient(base_url=url, timeout=DRIVE_SECONDS) as client,
        ):
            await kinds[place % len(kinds)](Visit(client, driven, numbers, place))

    await asyncio.wait_for(
        asyncio.gather(*(one(place) for place in range(visits))), DRIVE_SECONDS
    )
    return driven


def drive(
    url: str, *, visits: int = 50, concurrency: int = 50, kinds: Sequence = VISITS
) -> Driven:
    """Visit the shop. Every answer is checked."""
    if not url.startswith("http://127.0.0.1:") or not 0 < visits <= MOST_VISITS:
        raise DriveError(f"1 to {MOST_VISITS} visits, on this machine alone")
    return asyncio.run(drive_all(url, visits, concurrency, kinds))


def report(driven: Driven) -> str:
    """A line a kind."""
    kinds = Counter((answer.kind, answer.status) for answer in driven.answers)
    lines = [f"{len(driven.answers)} requests"]
    for (kind, status), number in sorted(kinds.items()):
        of_kind = driven.of_kind(kind)
        queries = sorted({answer.queries for answer in of_kind})
        slowest = max(answer.seconds for answer in of_kind) * 1000
        lines.append(
            f"{number:5} {kind:20} {status}  SQL {'/'.join(map(str, queries)):8}"
            f" up to {slowest:6.0f} ms"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=SERVERS, default="gunicorn")
    parser.add_argument("--visits", type=int, default=50)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=16)
    options = parser.parse_args()
    told = {name: value for name, value in os.environ.items() if "SHOP_" in name}
    try:
        with (
            tempfile.TemporaryDirectory() as place,
            shipping_service() as rates,
        ):
            environment = prepare(Path(place), told)
            environment["SHOP_SHIPPING_URL"] = rates.url
            with serving(
                options.server,
                environment,
                workers=options.workers,
                threads=options.threads,
            ) as site:
                driven = drive(
                    site.url, visits=options.visits, concurrency=options.concurrency
                )
    except DriveError as error:
        print(f"drive: {error}", file=sys.stderr)
        return 1
    print(report(driven))
    print(f"{options.server} ended with {site.status}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
