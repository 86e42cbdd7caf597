"""A page of a Django project under real servers, asked for by fifty at once."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.bench_page import PATH
from benchmarks.results import Figure, Row, median, percentile
from benchmarks.shop import copy_shop, environment, missing, objection
from kolo_c.hook import choose_hook

NAME = "serving"
TITLE = "Requests a second and their slowest, 50 clients"
METHOD = """\
/orders/ of tests/programs/shop (SQLite, DEBUG off) under gunicorn (4 workers of 4 \
threads) and uvicorn (one process); each twice at once, as it is and by kolo-c run \
with default settings. 50 clients (aiohttp, in one process on the same machine) ask \
one of the two, each for its next page when it has one, then the other, in turn, round \
after round. Requests a second, and p99 of a request's time: the ratio of each round, \
median. Afterwards each request has to have a complete trace of its own in the store, \
with the page's calls, and nothing be lost."""
CLIENTS = 50
SERVERS = {"gunicorn": (4, 4), "uvicorn": (1, 1)}
"""Workers, and threads of each."""
# Required of sys.monitoring alone.
RATE_LEAST = 0.95
SLOWEST_MOST = 1.05
_SECONDS = 300.0


@dataclass
class Load:
    """What one of the two did."""

    rates: list[float] = field(default_factory=list)
    """Requests a second, of each round."""
    slowest: list[float] = field(default_factory=list)
    """p99 of the seconds of its requests, of each round."""
    middle: list[float] = field(default_factory=list)
    """Their median."""


def run(quick: bool) -> Figure:
    """Both servers."""
    reason = missing("gunicorn", "uvicorn", "aiohttp")
    if reason:
        return Figure(NAME, TITLE, METHOD, [Row("serving", "x", None, void=reason)])
    rounds, each = (2, 2) if quick else (24, 4)
    rows: list[Row] = []
    for server in SERVERS:
        with tempfile.TemporaryDirectory() as folder:
            project, told = copy_shop(Path(folder))
            loads = _measure(server, project, told, rounds, each)
            asked = CLIENTS * each * (rounds + 1)
            void = objection(project / ".kolo_c", PATH, asked)
        rows += _rows(server, loads, void)
    return Figure(NAME, TITLE, METHOD, rows)


def _measure(
    server: str, project: Path, told: dict[str, str], rounds: int, each: int
) -> dict[str, Load]:
    loads = {"untraced": Load(), "kolo_c": Load()}
    with (
        _serving(server, project, told, recorded=False) as plain,
        _serving(server, project, told, recorded=True) as traced,
    ):
        urls = {"untraced": plain, "kolo_c": traced}
        for number in range(rounds + 1):
            names = list(urls) if number % 2 else list(reversed(urls))
            for name in names:
                rate, seconds = asyncio.run(
                    asyncio.wait_for(_ask_all(urls[name] + PATH, each), _SECONDS)
                )
                if number:  # the first round warms up
                    loads[name].rates.append(rate)
                    loads[name].slowest.append(percentile(seconds, 0.99))
                    loads[name].middle.append(median(seconds))
    return loads


@contextlib.contextmanager
def _serving(
    server: str, project: Path, told: dict[str, str], *, recorded: bool
) -> Iterator[str]:
    drive: Any = importlib.import_module("tests.programs.shop.drive")
    workers, threads = SERVERS[server]
    python = [sys.executable, *(["-m", "kolo_c", "run", "--quiet"] * recorded)]
    with drive.serving(
        server,
        environment(told),
        folder=project,
        python=python,
        workers=workers,
        threads=threads,
    ) as site:
        yield site.url


async def _ask_all(url: str, each: int) -> tuple[float, list[float]]:
    """All clients at once: requests a second, and the seconds of each."""
    aiohttp: Any = importlib.import_module("aiohttp")
    seconds: list[float] = []

    async def client(session: Any) -> None:
        for _ in range(each):
            began = time.perf_counter()
            async with session.get(url) as response:
                body = await response.read()
            seconds.append(time.perf_counter() - began)
            if response.status != 200 or body.count(b"<tr>") != 50:
                raise RuntimeError(f"{url} answers {response.status}: {body[:500]!r}")

    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(connector=connector) as session:
        began = time.perf_counter()
        await asyncio.gather(*(client(session) for _ in range(CLIENTS)))
        return len(seconds) / (time.perf_counter() - began), seconds


def _rows(server: str, loads: dict[str, Load], void: str) -> list[Row]:
    plain, traced = loads["untraced"], loads["kolo_c"]
    required = choose_hook("auto").name == "monitoring"
    rates = [one / other for one, other in zip(traced.rates, plain.rates, strict=True)]
    slowest = [
        one / other for one, other in zip(traced.slowest, plain.slowest, strict=True)
    ]
    return [
        Row(
            f"{server}, requests a second",
            "x",
            median(rates),
            percentile(rates, 0.01),
            len(rates),
            least=RATE_LEAST if required else None,
            void=void,
            values={
                "untraced_a_second": median(plain.rates),
                "kolo_c_a_second": median(traced.rates),
            },
        ),
        Row(
            f"{server}, p99 of a request",
            "x",
            median(slowest),
            percentile(slowest, 0.99),
            len(slowest),
            most=SLOWEST_MOST if required else None,
            void=void,
            values={
                "untraced_p99_ms": median(plain.slowest) * 1e3,
                "kolo_c_p99_ms": median(traced.slowest) * 1e3,
                "untraced_median_ms": median(plain.middle) * 1e3,
                "kolo_c_median_ms": median(traced.middle) * 1e3,
            },
        ),
    ]
