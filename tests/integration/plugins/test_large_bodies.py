"""A hundred megabytes, sent and answered: they pass through, and are told by their size."""

from __future__ import annotations

import zlib

import pytest

from tests.integration.plugins.recording import record

SIZE = 100 << 20
SHARED = """
import asyncio, resource, zlib

SIZE = 100 << 20
PIECE = b"x" * (1 << 16)

def pieces():
    for _ in range(SIZE // len(PIECE)): yield PIECE

class Body:
    \"\"\"So many bytes, which are nowhere before they are read.\"\"\"
    left = SIZE
    def read(self, size=-1):
        size = self.left if size < 0 else min(size, self.left)
        self.left -= size
        return b"x" * size

def memory(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

async def ask(app, method, path):
    body, sent, ended = pieces() if method == "POST" else iter(()), [0, 0], []
    async def receive():
        if ended:
            await asyncio.sleep(3600)
        piece = next(body, None)
        if piece is None:
            ended.append(True)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}
    async def send(message):
        piece = message.get("body", b"")
        sent[:] = sent[0] + len(piece), zlib.crc32(piece, sent[1])
        if 0 < len(piece) < 99: print(piece.decode())
    headers = [(b"content-type", b"application/octet-stream")]
    if method == "POST": headers.append((b"content-length", str(SIZE).encode()))
    await app({"type": "http", "method": method, "path": path, "headers": headers,
        "query_string": b"", "http_version": "1.1", "asgi": {"version": "3.0"},
        "server": ("x", 80), "client": ("x", 1), "scheme": "http", "root_path": ""},
        receive, send)
    if sent[0] > 99: print(f"{sent[0]} {sent[1]:x}")

def finish(before):
    print("grown" if memory() - before > 30_000 else "not grown")
"""
STARLETTE = """
from large import *
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

async def up(request):
    found = size = 0
    async for piece in request.stream():
        found, size = zlib.crc32(piece, found), size + len(piece)
    return PlainTextResponse(f"{size} {found:x}")

async def down(request):
    return StreamingResponse(pieces(), media_type="text/plain")

app = Starlette(routes=[Route("/up", up, methods=["POST"]), Route("/down", down)])
# WRAP
asyncio.run(ask(app, "GET", "/nowhere"))
before = memory()
asyncio.run(ask(app, "POST", "/up"))
asyncio.run(ask(app, "GET", "/down"))
finish(before)
"""
DJANGO = """
from large import *
import django
from django.conf import settings
settings.configure(SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DATABASES={})
django.setup()
from django.core.asgi import get_asgi_application
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

def up(request):
    found = size = 0
    while piece := request.read(1 << 16):
        found, size = zlib.crc32(piece, found), size + len(piece)
    return HttpResponse(f"{size} {found:x}")

async def later():
    for piece in pieces(): yield piece

async def down(request):
    return StreamingHttpResponse(later(), content_type="text/plain")

urlpatterns = [path("up", up), path("down", down)]
app = get_asgi_application()
asyncio.run(ask(app, "GET", "/nowhere"))
before = memory()
asyncio.run(ask(app, "POST", "/up"))
asyncio.run(ask(app, "GET", "/down"))
finish(before)
"""
FLASK = """
from large import *
from flask import Flask, Response, request
from werkzeug.test import EnvironBuilder
app = Flask(__name__)

@app.post("/up")
def up():
    found = size = 0
    while piece := request.stream.read(1 << 16):
        found, size = zlib.crc32(piece, found), size + len(piece)
    return f"{size} {found:x}"

@app.get("/down")
def down():
    return Response(pieces(), mimetype="text/plain")

def ask_wsgi(method, path):
    environ = EnvironBuilder(path, method=method).get_environ()
    if method == "POST":
        environ.update({"wsgi.input": Body(), "CONTENT_LENGTH": str(SIZE),
            "CONTENT_TYPE": "application/octet-stream"})
    response = app(environ, lambda *_: None)
    found = size = 0
    for piece in response:
        found, size = zlib.crc32(piece, found), size + len(piece)
        if size < 99: print(piece.decode())
    if size > 99: print(f"{size} {found:x}")
    response.close()

# WRAP
ask_wsgi("GET", "/nowhere")
before = memory()
ask_wsgi("POST", "/up")
ask_wsgi("GET", "/down")
finish(before)
"""
ASGI = """
from kolo_c.integrations.asgi import KoloCMiddleware
app = KoloCMiddleware(app)
"""
WSGI = """
from kolo_c.integrations.wsgi import KoloCMiddleware
app.wsgi_app = KoloCMiddleware(app.wsgi_app)
"""
PROGRAMS = {"starlette": STARLETTE, "django": DJANGO, "flask": FLASK}


@pytest.mark.parametrize(
    ("framework", "core", "wrap"),
    [
        ("starlette", "c", ""),
        ("starlette", "c", ASGI),
        ("starlette", "python", ASGI),
        ("django", "c", ""),
        ("django", "python", ""),
        ("flask", "c", ""),
        ("flask", "c", WSGI),
    ],
    ids=lambda value: "middleware" if "kolo_c" in value else value,
)
def test_they_pass_through(framework, core, wrap, tmp_path):
    pytest.importorskip(framework)
    source = PROGRAMS[framework].replace("# WRAP\n", wrap)
    recorded = record(
        tmp_path, source, core=core, same=False, files={"large.py": SHARED}
    )
    whole = f"{SIZE} {zlib.crc32(b'x' * SIZE):x}"
    assert recorded.traced.stdout.splitlines()[-3:] == [whole, whole, "not grown"]
    up, down, *_ = recorded.traces("request")[1:]
    assert [up.name, down.name] == ["POST /up → 200", "GET /down → 200"]
    (asked,) = up.events("request")
    whole = "104,857,600 bytes, application/octet-stream"
    watched = framework == "starlette" and wrap == ""
    assert asked.fields["body_note"] == ("streamed" if watched else whole)
    if watched:  # only the middleware sees what is sent
        return
    said = [*down.events("request"), *down.events("response-body")]
    (told,) = [event.fields for event in said if "response_body_note" in event.fields]
    assert told["response_body_note"] == "cut: 104,857,600 bytes"
    assert set(told["response_body"]) == {"x"} and len(told["response_body"]) <= 4096
