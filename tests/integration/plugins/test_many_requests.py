"""Fifty at once: every request has a trace of its own, with exactly its own calls."""

from __future__ import annotations

import pytest

from tests.integration.plugins.recording import record

ASK = """
    def ask(n):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", f"/work/{n}")
        answer = connection.getresponse().read()
        connection.close()
        return int(answer)

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(ask, range(200))) == list(range(200))
"""
FLASK = (
    """
    import http.client, logging, threading, time
    from concurrent.futures import ThreadPoolExecutor
    from flask import Flask
    from werkzeug.serving import make_server
    from kolo_c.integrations.wsgi import KoloCMiddleware

    app = Flask(__name__)
    def step(n): return n
    @app.get("/work/<int:n>")
    def work(n):
        for _ in range(3):
            step(n); time.sleep(0.001)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(step, [n, n]))
        return str(step(n))
    app.wsgi_app = KoloCMiddleware(app.wsgi_app)
    logging.getLogger("werkzeug").disabled = True
    server = make_server("127.0.0.1", 0, app, threaded=True)
    port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
"""
    + ASK
    + """
    server.shutdown()
"""
)
FASTAPI = (
    """
    import asyncio, contextlib, http.client, socket, threading, time
    from concurrent.futures import ThreadPoolExecutor
    import uvicorn
    from fastapi import FastAPI
    from kolo_c.integrations.asgi import KoloCMiddleware

    app = FastAPI()
    def step(n): return n
    async def within(n):
        await asyncio.sleep(0)
        return step(n)
    @app.get("/work/{n}")
    async def work(n: int):
        for _ in range(3):
            step(n); await asyncio.sleep(0.001)
        await asyncio.gather(within(n), asyncio.to_thread(step, n))
        return step(n)
    app = KoloCMiddleware(app)
    class Server(uvicorn.Server):
        def install_signal_handlers(self): pass
        @contextlib.contextmanager
        def capture_signals(self): yield
    listening = socket.create_server(("127.0.0.1", 0), backlog=200)
    port = listening.getsockname()[1]
    server = Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    while not server.started: time.sleep(0.01)
"""
    + ASK
    + """
    server.should_exit = True
    thread.join()
"""
)


@pytest.mark.parametrize("core", ["c", "python"])
@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_each_of_many_requests_has_its_own_calls(framework, core, tmp_path):
    pytest.importorskip(framework)
    recorded = record(
        tmp_path,
        FLASK if framework == "flask" else FASTAPI,
        core=core,
        under=(),
        same=False,
    )
    traces = recorded.traces("request")
    assert len(traces) == 200
    for trace in traces:
        n = int(trace.attributes["path"].rpartition("/")[2])
        steps = [call.result for call in trace.calls() if call.function == "step"]
        assert steps == [n] * 6
        assert trace.status == "complete"
        assert trace.name == f"GET /work/{n} → 200"
