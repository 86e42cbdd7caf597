"""What goes on beside or after a response: of two requests that take turns, each has its
own."""

from __future__ import annotations

import pytest

from tests.integration.plugins.recording import Recorded, record

TURNS = """
import asyncio, contextlib

def step(who, what): return who

class Turns:
    \"\"\"Lets the two go on together, again and again.\"\"\"
    def __init__(self): self.met, self.all = 0, asyncio.Event()
    async def meet(self):
        self.met += 1
        if self.met == 2:
            self.met, before = 0, self.all
            self.all = asyncio.Event()
            before.set()
        else:
            await self.all.wait()

turns = {}
def meet(what): return turns.setdefault(what, Turns()).meet()

async def ask(app, path):
    sent, begun = [], []
    async def receive():
        if not begun:
            begun.append(1)
            return {"type": "http.request", "body": b""}
        await asyncio.sleep(3600)
    async def send(message): sent.append(message)
    await app({"type": "http", "method": "GET", "path": path, "headers": [],
        "query_string": b"", "http_version": "1.1", "asgi": {"version": "3.0"},
        "server": ("x", 80), "client": ("x", 1), "scheme": "http", "root_path": ""},
        receive, send)
    return path, b"".join(message.get("body", b"") for message in sent)

async def both(app, path):
    return await asyncio.gather(*(ask(app, f"/{path}/{who}") for who in "ab"))
"""
STARLETTE = """
from turns import *
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

async def stream(request):
    who = request.path_params["who"]
    async def pieces():
        for n in range(3):
            await meet("stream")
            yield step(who, n)
    return StreamingResponse(pieces())

async def background(request):
    who = request.path_params["who"]
    async def later():
        for n in range(3):
            await meet("background")
            step(who, n)
    return PlainTextResponse(step(who, "view"), background=BackgroundTask(later))

kept = []
async def left(request):
    who = request.path_params["who"]
    async def later():
        for n in range(3):
            await meet("left")
            step(who, n)
    kept.append(asyncio.create_task(later()))
    return PlainTextResponse(step(who, "view"))

app = Starlette(routes=[Route(f"/{f.__name__}/{{who}}", f) for f in (stream, background, left)])

async def main():
    for name in "stream", "background", "left":
        print(*await both(app, name))
    await asyncio.gather(*kept)
    print(*await both(app, "stream"))  # what was left behind has ended by then

asyncio.run(main())
"""
DJANGO = """
from turns import *
import sys, django
from asgiref.sync import sync_to_async
from django.conf import settings
settings.configure(SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DATABASES={})
django.setup()
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from django.urls import path

def stream(request, who):
    return StreamingHttpResponse(step(who, n) for n in range(3))

async def later(request, who):
    for n in range(3):
        await meet("later")
        await sync_to_async(step, thread_sensitive=n % 2 == 0)(who, n)
    async def pieces():
        for n in range(3):
            await meet("pieces")
            yield step(who, n)
    return StreamingHttpResponse(pieces())

urlpatterns = [path("stream/<who>", stream), path("later/<who>", later)]

def main():
    application = get_wsgi_application()
    responses = [
        application(RequestFactory().get(f"/stream/{who}").environ, lambda *_: None)
        for who in "ab"
    ]
    print([list(pieces) for pieces in zip(*responses)])
    for response in responses:
        response.close()
    print(*asyncio.run(both(get_asgi_application(), "later")))
main()
"""


def steps(recorded: Recorded) -> dict[str, list[tuple[str, object]]]:
    """By name of a trace what was called in it; equal names come after one another."""
    found: dict[str, list[tuple[str, object]]] = {}
    for trace in recorded.traces():
        calls = [
            (call.arguments["who"], call.arguments["what"])
            for call in trace.calls("step")
        ]
        found.setdefault(trace.name, []).extend(calls)
        if trace.kind != "process":
            assert trace.status == "complete"
    return found


@pytest.mark.parametrize("core", ["c", "python"])
def test_streams_background_tasks_and_tasks_left_behind(core, tmp_path):
    pytest.importorskip("starlette")
    recorded = record(tmp_path, STARLETTE, core=core, files={"turns.py": TURNS})
    found = steps(recorded)
    for who in "ab":
        counted = [(who, n) for n in range(3)]
        assert found[f"GET /stream/{who} → 200"] == counted * 2
        assert found[f"GET /background/{who} → 200"] == [(who, "view")]
        assert found[f"GET /left/{who} → 200"] == [(who, "view")]
        after = {
            name: calls for name, calls in found.items() if name.startswith("after")
        }
        assert len(after) == 4
        for path in "background", "left":
            (name,) = [name for name in after if f"/{path}/{who}" in name]
            assert after[name] == counted


@pytest.mark.parametrize("core", ["c", "python"])
def test_streams_and_threads_of_django(core, tmp_path):
    pytest.importorskip("django")
    recorded = record(tmp_path, DJANGO, core=core, files={"turns.py": TURNS})
    found = steps(recorded)
    assert recorded.traced.stdout.startswith(
        "[[b'a', b'b'], [b'a', b'b'], [b'a', b'b']]"
    )
    for who in "ab":
        counted = [(who, n) for n in range(3)]
        assert found[f"GET /stream/{who} → 200"] == counted
        # Those of other threads come after those of the first.
        assert sorted(found[f"GET /later/{who} → 200"]) == sorted(counted * 2)
    assert found["program.py"] == []
