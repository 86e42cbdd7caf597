"""What a program asks for by HTTP, of a server that answers in every way."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.integration.plugins.recording import Recorded, record

pytest.importorskip("pytest_httpserver")
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

LONG = "long " * 20_000
EVENTS = [b"data: 1\n\ndata", b": 2\n", b"\ndata: 3\n\n"]
SECRETS = {"GIVEN": "hunter2"}
NAMES = ("requests", "urllib3", "urllib", "httpx", "httpx_async", "aiohttp")


def pieces(parts: list[bytes], seconds: float = 0.0) -> Iterator[bytes]:
    for part in parts:
        yield part
        time.sleep(seconds)


@pytest.fixture(scope="module")
def site():
    """Where it answers."""
    with HTTPServer(host="127.0.0.1", port=0, threaded=True) as http_server:
        yield answering(http_server)


def answering(http_server) -> str:
    def add(path, answer):
        http_server.expect_request(path).respond_with_handler(answer)

    def packed(request: Request) -> Response:
        text = json.dumps({"user": "Ann", "api_token": "hunter2", "n": [1, 2]})
        return Response(
            gzip.compress(text.encode()),
            content_type="application/json",
            headers={"Content-Encoding": "gzip", "Set-Cookie": "sessionid=hunter2"},
        )

    def moved(request: Request) -> Response:
        return Response(status=302, headers={"Location": "/packed?token=hunter2"})

    def echo(request: Request) -> Response:
        return Response(f"{request.method} {len(request.get_data())}", status=201)

    def chunked(request: Request) -> Response:
        return Response(pieces([b"one ", b"two ", b"three"]), content_type="text/plain")

    def events(request: Request) -> Response:
        return Response(pieces(EVENTS, 0.01), content_type="text/event-stream")

    add("/packed", packed)
    add("/moved", moved)
    add("/echo", echo)
    add("/chunked", chunked)
    add("/events", events)
    add("/long", lambda request: Response(LONG, content_type="text/html"))
    add("/missing", lambda request: Response("gone", status=404))
    add("/slow", lambda request: (time.sleep(0.2), Response("late"))[1])
    return http_server.url_for("").rstrip("/")


@pytest.fixture(scope="module")
def dropping():
    """A server that hangs up on whoever asks."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.recv(1000)
            connection.close()

    threading.Thread(target=answer, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.close()


PROGRAMS = {
    "requests": """
        import os, requests, sys
        site, dropping = sys.argv[1:]
        password = os.environ["GIVEN"]
        session = requests.Session()
        def run():
            print(session.get(site + "/packed", params={"q": "x", "token": password},
                headers={"Authorization": "Bearer " + password}).json()["user"])
            print(session.get(site + "/moved").url[-6:])
            print(session.post(site + "/echo", json={"a": 1, "password": password}).text)
            print(session.put(site + "/echo", data=iter([b"streamed"])).status_code)
            print(session.get(site + "/chunked").text, session.get(site + "/missing").text)
            print(len(session.get(site + "/long").text))
            with session.get(site + "/events", stream=True) as response:
                for line in response.iter_lines():
                    print(line)
            with session.get(site + "/long", stream=True) as response:
                print(next(response.iter_content(1000))[:9])
            try:
                requests.get(dropping + "/x", timeout=5)
            except requests.ConnectionError as error:
                print(type(error).__name__)
        run()
    """,
    "urllib3": """
        import os, sys, urllib3
        site, dropping = sys.argv[1:]
        password = os.environ["GIVEN"]
        http = urllib3.PoolManager()
        def run():
            print(http.request("GET", site + "/packed", fields={"q": "x", "token": password},
                headers={"Authorization": "Bearer " + password}).json()["user"])
            print(http.request("GET", site + "/moved").status)
            print(http.request("POST", site + "/echo", body=b'{"a": 1, "password": "%s"}'
                % password.encode(), headers={"Content-Type": "application/json"}).data)
            print(http.request("PUT", site + "/echo", body=iter([b"streamed"])).status)
            print(http.request("GET", site + "/chunked").data)
            print(http.request("GET", site + "/missing").data)
            print(len(http.request("GET", site + "/long").data))
            response = http.request("GET", site + "/events", preload_content=False)
            for piece in response.stream(7):
                print(piece)
            response.release_conn()
            response = http.request("GET", site + "/long", preload_content=False)
            print(response.read(1000)[:9])
            response.close()
            try:
                http.request("GET", dropping + "/x", retries=1)
            except urllib3.exceptions.MaxRetryError as error:
                print(type(error).__name__)
        run()
    """,
    "urllib": """
        import gzip, json, os, sys
        from urllib import error, request
        site, dropping = sys.argv[1:]
        password = os.environ["GIVEN"]
        class Put(request.Request):
            def get_method(self): return "PUT"
        def run():
            asked = request.Request(site + "/packed?q=x&token=" + password,
                headers={"Authorization": "Bearer " + password})
            with request.urlopen(asked) as response:
                print(json.loads(gzip.decompress(response.read()))["user"])
            print(request.urlopen(site + "/moved").url[-6:])
            body = json.dumps({"a": 1, "password": password}).encode()
            print(request.urlopen(request.Request(site + "/echo", data=body,
                headers={"Content-Type": "application/json"})).read())
            print(request.urlopen(Put(site + "/echo", data=iter([b"streamed"]),
                headers={"Content-Length": "8"})).status)
            print(request.urlopen(site + "/chunked").read())
            try:
                request.urlopen(site + "/missing")
            except error.HTTPError as found:
                print(found.code, found.read())
            print(len(request.urlopen(site + "/long").read()))
            with request.urlopen(site + "/events") as response:
                for line in response:
                    print(line)
            with request.urlopen(site + "/long") as response:
                print(response.read(1000)[:9])
            try:
                request.urlopen(dropping + "/x")
            except Exception as found:
                print(type(found).__name__)
        run()
    """,
    "httpx": """
        import httpx, os, sys
        site, dropping = sys.argv[1:]
        password = os.environ["GIVEN"]
        def run(http):
            print(http.get(site + "/packed", params={"q": "x", "token": password},
                headers={"Authorization": "Bearer " + password}).json()["user"])
            print(str(http.get(site + "/moved", follow_redirects=True).url)[-6:])
            print(http.post(site + "/echo", json={"a": 1, "password": password}).text)
            print(http.put(site + "/echo", content=iter([b"streamed"])).status_code)
            print(http.get(site + "/chunked").text, http.get(site + "/missing").text)
            print(len(http.get(site + "/long").text))
            with http.stream("GET", site + "/events") as response:
                for line in response.iter_lines():
                    print(line)
            with http.stream("GET", site + "/long") as response:
                for piece in response.iter_bytes(1000):
                    print(piece[:9])
                    break
            try:
                http.get(dropping + "/x")
            except httpx.HTTPError as error:
                print(type(error).__name__)
        with httpx.Client() as http:
            run(http)
    """,
    "httpx_async": """
        import asyncio, httpx, os, sys
        site, dropping = sys.argv[1:]
        password = os.environ["GIVEN"]
        async def body(): yield b"streamed"
        async def run():
          async with httpx.AsyncClient() as http:
            print((await http.get(site + "/packed", params={"q": "x", "token": password},
                headers={"Authorization": "Bearer " + password})).json()["user"])
            print(str((await http.get(site + "/moved", follow_redirects=True)).url)[-6:])
            print((await http.post(site + "/echo", json={"a": 1, "password": password})).text)
            print((await http.put(site + "/echo", content=body())).status_code)
            print((await http.get(site + "/chunked")).text)
            print((await http.get(site + "/missing")).text)
            print(len((await http.get(site + "/long")).text))
            async with http.stream("GET", site + "/events") as response:
                async for line in response.aiter_lines():
                    print(line)
            async with http.stream("GET", site + "/long") as response:
                async for piece in response.aiter_bytes(1000):
                    print(piece[:9])
                    break
            try:
                await http.get(dropping + "/x")
            except httpx.HTTPError as error:
                print(type(error).__name__)
        asyncio.run(run())
    """,
    "aiohttp": """
        import aiohttp, asyncio, os, sys
        site, dropping = sys.argv[1:]
        password = os.environ["GIVEN"]
        async def body(): yield b"streamed"
        async def run():
          async with aiohttp.ClientSession() as http:
            async with http.get(site + "/packed?q=x&token=" + password,
                    headers={"Authorization": "Bearer " + password}) as response:
                print((await response.json())["user"])
            async with http.get(site + "/moved") as response:
                print(response.url.path)
            async with http.post(site + "/echo", json={"a": 1, "password": password}) as response:
                print(await response.text())
            async with http.put(site + "/echo", data=body()) as response:
                print(response.status)
            async with http.get(site + "/chunked") as response:
                print(await response.text())
            async with http.get(site + "/missing") as response:
                print(await response.text())
            async with http.get(site + "/long") as response:
                print(len(await response.read()))
            async with http.get(site + "/events") as response:
                async for line in response.content:
                    print(line)
            async with http.get(site + "/long") as response:
                print((await response.content.readexactly(1000))[:9])
            try:
                await http.get(dropping + "/x")
            except aiohttp.ClientError as error:
                print(type(error).__name__)
        asyncio.run(run())
    """,
}


@pytest.fixture(scope="module")
def run(site, dropping, tmp_path_factory):
    """What a library's program recorded; each runs once."""
    done: dict[tuple[str, str], Recorded] = {}

    def recorded(name: str, core: str = "c") -> Recorded:
        pytest.importorskip(name.removesuffix("_async"))
        if (name, core) not in done:
            done[name, core] = record(
                tmp_path_factory.mktemp(name), PROGRAMS[name], site, dropping,
                core=core, env=SECRETS,
            )  # fmt: skip
        return done[name, core]

    return recorded


@pytest.mark.parametrize("name", NAMES)
def test_a_request_and_its_answer_are_one_record(name, run, site):
    recorded = run(name)
    found = recorded.fields("http")
    bodies = recorded.fields("http-body")
    path = [at["url"].removeprefix(site) for at in found]
    by = {}
    for place, fields in zip(path, found, strict=True):
        by.setdefault((fields["method"], place), fields)

    packed = by["GET", "/packed?q=x&token=***"]
    assert packed["status"] == 200
    assert packed["host"] == site.removeprefix("http://")
    assert "hunter2" not in str(found) + str(bodies)
    assert not recorded.holds("hunter2")

    posted = by["POST", "/echo"]
    assert posted["status"] == 201
    assert posted["request_body"]["a"] == 1
    put = by["PUT", "/echo"]
    assert put["request_body_note"] == "streamed"
    assert by["GET", "/missing"]["status"] == 404

    (failed,) = [event for event in recorded.events("http") if event.exception]
    assert failed.to_dict()["fields"]["url"].endswith("/x")
    assert "status" not in failed.to_dict()["fields"]
    assert {event.path.rpartition("/")[2] for event in recorded.events("http")} == {
        "program.py"
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_body_is_what_the_program_has_read_of_it(name, run, site):
    recorded = run(name)

    def bodies(path):
        found = [*recorded.fields("http"), *recorded.fields("http-body")]
        return [
            at
            for at in found
            if at["url"].startswith(site + path) and "response_body" in at
        ]

    (packed,) = bodies("/packed?q")
    assert packed["response_body"]["user"] == "Ann"
    assert packed["response_body"]["n"] == [1, 2]
    assert [at["response_body"] for at in bodies("/chunked")] == ["one two three"]
    assert [at["response_body"] for at in bodies("/missing")] == ["gone"]
    (events,) = bodies("/events")
    assert events["events"] == 3
    assert events["response_body"] == "data: 1\n\ndata: 2\n\ndata: 3\n\n"
    assert "complete" not in events
    whole, begun = bodies("/long")
    assert whole["response_body_note"] == "cut: 100,000 bytes"
    assert begun["complete"] is False
    assert begun["size"] < 100_000


@pytest.mark.parametrize("name", ["requests", "httpx_async"])
def test_the_python_core_records_the_same(name, run):
    recorded = run(name, "python")
    assert len(recorded.fields("http")) == 10
    assert len(recorded.fields("http-body")) == 2


@pytest.mark.parametrize("name", ["requests", "httpx", "aiohttp"])
def test_redirects_that_are_followed_belong_to_one_record(name, run, site):
    recorded = run(name)
    (moved,) = [at for at in recorded.fields("http") if at["url"] == site + "/moved"]
    assert moved["status"] == 200
    assert moved["redirects"] == [f"302 {site}/moved"]


def test_requests_over_urllib3_is_one_record(run):
    recorded = run("requests")
    assert len(recorded.events("http")) == 10


def test_a_slow_answer_takes_its_time(tmp_path, site):
    recorded = record(
        tmp_path,
        """
        import sys, requests
        def ask(): print(requests.get(sys.argv[1] + "/slow").text)
        ask()
        """,
        site,
    )
    (event,) = recorded.events("http")
    assert event.duration_ns >= 200_000_000
    assert event.summary == f"GET {site}/slow → 200"


def test_a_response_that_is_dropped_unread_goes_away_as_without_us(tmp_path, site):
    """Its connection is closed then, whatever the library."""
    record(
        tmp_path,
        """
        import gc, sys, weakref
        import aiohttp, asyncio, httpx, requests, urllib3
        from urllib import request
        site = sys.argv[1] + "/long"
        def gone(response):
            watch = weakref.ref(response)
            del response
            return watch
        def run():
            http = urllib3.PoolManager()
            client = httpx.Client()
            for watch in [
                gone(request.urlopen(site)),
                gone(requests.get(site, stream=True).raw),
                gone(http.request("GET", site, preload_content=False)),
                gone(client.send(client.build_request("GET", site), stream=True)),
            ]:
                gc.collect()
                print(watch() is None)
        async def later():
            async with aiohttp.ClientSession() as session:
                async with session.get(site) as response:
                    watch = weakref.ref(response)
                del response
                gc.collect()
                print(watch() is None)
        run()
        asyncio.run(later())
        """,
        site,
    )
