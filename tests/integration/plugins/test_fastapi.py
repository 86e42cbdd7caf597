"""Requests that FastAPI answers under uvicorn, by Starlette's own frames and by the ASGI
middleware."""

from __future__ import annotations

import pytest

from kolo_c.errors import StoreNotFound
from tests.integration.plugins.recording import Recorded, record

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

APP = """
    import asyncio, contextlib, http.client, json, os, sys, threading, time
    from concurrent.futures import ThreadPoolExecutor
    import uvicorn
    from fastapi import BackgroundTasks, FastAPI, Request, WebSocket
    from fastapi.responses import StreamingResponse

    SECRET = os.environ["GIVEN"]
    began = []

    @contextlib.asynccontextmanager
    async def lifespan(app):
        began.append("start")
        yield
        began.append("end")

    app = FastAPI(lifespan=lifespan)
    met = {}

    def step(who): return who

    @app.get("/meet/{who}")
    async def meet(who: str):
        step(who)
        met.setdefault(who, asyncio.Event()).set()
        for other in ("ann", "bob"):
            await met.setdefault(other, asyncio.Event()).wait()
        await asyncio.sleep(0.01)
        step(who)
        return {"who": step(who)}

    @app.get("/thread/{who}")
    def in_thread(who: str): return step(who)

    @app.post("/login")
    async def login(request: Request):
        form = await request.form()
        word = form["password"]
        step(word)
        return {"name": form["name"], "token": form["password"]}

    @app.post("/echo")
    async def echo(request: Request): return len(await request.body())

    @app.post("/unread")
    async def unread(): return "no"

    @app.get("/fail")
    async def fail(): raise ValueError("no such order")

    def piece(n): return f"{n} "

    @app.get("/stream")
    async def stream():
        async def pieces():
            for n in range(3):
                await asyncio.sleep(0)
                yield piece(n)
        return StreamingResponse(pieces(), media_type="text/plain")

    def later(n): return step(n)

    @app.get("/background")
    async def background(tasks: BackgroundTasks):
        tasks.add_task(later, "one")
        tasks.add_task(later, "two")
        return "soon"

    kept = []
    async def left_behind():
        await asyncio.sleep(0.03)
        step("left")

    @app.get("/left")
    async def left():
        kept.append(asyncio.create_task(left_behind()))
        return "gone on"

    @app.websocket("/socket/{who}")
    async def socket(websocket: WebSocket, who: str):
        await websocket.accept()
        for n in range(2):
            await websocket.send_text(step(await websocket.receive_text()))
        await websocket.close(code=1000)

    # WRAP

    class Server(uvicorn.Server):
        def install_signal_handlers(self): pass
        @contextlib.contextmanager
        def capture_signals(self): yield

    import socket as sockets
    listening = sockets.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    while not server.started: time.sleep(0.01)

    def ask(method, path, body=None, headers={}):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        if type(body) is str:
            body = body.replace("@", SECRET)
        connection.request(method, path.replace("@", SECRET), body, headers)
        answer = connection.getresponse()
        told = answer.status, answer.read().decode().replace(SECRET, "@")
        connection.close()
        return told

    with ThreadPoolExecutor(2) as pool:
        print(list(pool.map(lambda who: ask("GET", "/meet/" + who), ["ann", "bob"])))
    print(ask("GET", "/thread/eve"))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    print(ask("POST", "/login?next=a&token=@", "name=Ann&password=@", form))
    print(ask("POST", "/echo", b"x" * 50_000, {"Content-Type": "text/plain"}))
    print(ask("POST", "/unread", b"abc"))
    print(ask("GET", "/fail")[0])
    print(ask("GET", "/stream"))
    print(ask("GET", "/background"))
    print(ask("GET", "/left"))
    print(ask("GET", "/nowhere")[0])

    from websockets.sync.client import connect
    with connect(f"ws://127.0.0.1:{port}/socket/ann") as one:
        with connect(f"ws://127.0.0.1:{port}/socket/bob") as two:
            for n in range(2):
                for who, connection in (("ann", one), ("bob", two)):
                    connection.send(who)
                    print(connection.recv())
    time.sleep(0.1)
    server.should_exit = True
    thread.join()
    print(began)
"""
MIDDLEWARE = """
    from kolo_c.integrations.asgi import KoloCMiddleware
    app.add_middleware(KoloCMiddleware)
"""
WAYS = {
    "watched": ("", ("-m", "kolo_c", "run", "--quiet")),
    "middleware": (MIDDLEWARE, ()),
    "both": (MIDDLEWARE, ("-m", "kolo_c", "run", "--quiet")),
    "around": (
        MIDDLEWARE.replace("app.add_middleware(KoloCMiddleware)", "")
        + "    app = KoloCMiddleware(app)\n",
        (),
    ),
}


def serve(tmp_path, wrap, under, **options) -> Recorded:
    return record(
        tmp_path,
        APP.replace("\n    # WRAP", wrap),
        same=not wrap,
        under=under,
        env={"GIVEN": "hunter2"},
        **options,
    )


@pytest.fixture(scope="module", params=WAYS)
def recorded(request, tmp_path_factory) -> Recorded:
    return serve(tmp_path_factory.mktemp("fastapi"), *WAYS[request.param])


def request_of(recorded, path):
    """The trace and the fields of the request for a path."""
    for trace in recorded.traces("request"):
        (event,) = trace.events("request")
        fields = event.to_dict()["fields"]
        if fields["path"] == path:
            return trace, fields
    raise AssertionError(path)


def steps(trace):
    return [call.result for call in trace.calls() if call.function == "step"]


def test_each_request_is_a_trace_with_its_name(recorded):
    names = sorted(trace.name for trace in recorded.traces("request"))
    assert [name.replace(" → 101", "") for name in names] == [
        "GET /background → 200",
        "GET /fail → 500",
        "GET /left → 200",
        "GET /meet/ann → 200",
        "GET /meet/bob → 200",
        "GET /nowhere → 404",
        "GET /stream → 200",
        "GET /thread/eve → 200",
        "POST /echo → 200",
        "POST /login → 200",
        "POST /unread → 200",
        "WEBSOCKET /socket/ann",
        "WEBSOCKET /socket/bob",
    ]


@pytest.mark.parametrize("who", ["ann", "bob"])
def test_requests_at_once_have_their_own_calls(recorded, who):
    trace, fields = request_of(recorded, f"/meet/{who}")
    assert steps(trace) == [who] * 3
    assert fields["route"] == "/meet/{who}"
    assert fields["view"] == "__main__.meet"
    assert fields["view_kwargs"] == {"who": who}
    assert fields["response_body"] == {"who": who}


@pytest.mark.parametrize("who", ["ann", "bob"])
def test_a_websocket_is_one_trace(recorded, who):
    trace, fields = request_of(recorded, f"/socket/{who}")
    assert steps(trace) == [who] * 2
    assert fields["route"] == "/socket/{who}"


def test_bodies_and_headers_are_there_and_secrets_are_not(recorded):
    _, fields = request_of(recorded, "/login")
    assert fields["body"]["name"] == "Ann"
    assert fields["query"]["next"] == "a"
    assert fields["response_body"]["name"] == "Ann"
    _, fields = request_of(recorded, "/echo")
    assert fields["body_note"] == "cut: 50,000 bytes"
    for trace in recorded.traces("request"):
        for event in trace.events("request"):
            assert "hunter2" not in str(event.to_dict())
        assert "hunter2" not in str(trace.to_dict())
        assert "hunter2" not in str([call.to_dict() for call in trace.calls()])


def test_a_failing_view_is_in_its_request(recorded):
    trace, fields = request_of(recorded, "/fail")
    assert fields["status"] == 500
    (event,) = trace.events("request")
    assert "no such order" in str(fields["exception"])
    assert event.exception is not None


def test_a_stream_keeps_its_request_s_trace_open(recorded):
    trace, fields = request_of(recorded, "/stream")
    assert sum(call.function == "piece" for call in trace.calls()) == 3
    assert fields["route"] == "/stream"


def test_tasks_after_the_response_have_a_trace_that_names_the_request(recorded):
    asked, _ = request_of(recorded, "/background")
    assert steps(asked) == []
    (trace,) = [at for at in recorded.traces("background") if at.parent_id == asked.id]
    assert trace.name == "after GET /background"
    assert trace.parent_id == asked.id
    assert trace.attributes["request_trace"] == asked.id
    assert steps(trace) == ["one", "two"]
    assert trace.status == "complete"


def test_a_task_left_behind_goes_on_in_a_trace_of_its_own(recorded):
    asked, _ = request_of(recorded, "/left")
    assert steps(asked) == []
    (trace,) = [at for at in recorded.traces("background") if at.parent_id == asked.id]
    assert steps(trace) == ["left"]
    assert trace.name.startswith("after GET /left")


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ("errors_only=True", ["GET /fail → 500"]),
        ("slow_ms=10_000", ["GET /fail → 500"]),
        ("sample=0", []),
        ("enabled=False", []),
        (
            'ignore_request_paths=["/meet", "/s*", "/e", "/l", "/u", "/n", "/t"]',
            ["GET /background → 200", "GET /fail → 500"],
        ),
    ],
)
def test_the_middleware_has_settings(settings, names, tmp_path):
    wrap = MIDDLEWARE.replace("ware)", f"ware, {settings})")
    if settings == "enabled=False":
        with pytest.raises(StoreNotFound):
            serve(tmp_path, wrap, ())
        return
    recorded = serve(tmp_path, wrap, ())
    found = sorted(trace.name for trace in recorded.traces("request"))
    assert [name for name in found if not name.startswith("WEBSOCKET")] == names
