"""Requests that Flask answers, by its own frames and by the WSGI middleware."""

from __future__ import annotations

import pytest

from tests.integration.plugins.recording import Recorded, record

pytest.importorskip("flask")

APP = """
    import http.client, json, os, sys, threading, time
    from concurrent.futures import ThreadPoolExecutor
    from flask import Flask, Response, jsonify, request, stream_with_context
    from werkzeug.serving import make_server

    app = Flask(__name__)
    SECRET = os.environ["GIVEN"]
    both = threading.Barrier(2, timeout=10)

    def step(who): return who

    @app.route("/meet/<who>")
    def meet(who):
        step(who); both.wait(); step(who); both.wait()
        return step(who)

    @app.post("/login")
    def login():
        form = request.form
        word = form["password"]
        step(word)
        return jsonify(name=form["name"], token=form["password"])

    @app.post("/echo")
    def echo():
        return str(len(request.get_data())), 201, {"X-Kind": "echo"}

    @app.route("/unread", methods=["POST"])
    def unread(): return "no"

    @app.route("/fail")
    def fail(): raise ValueError("no such order")

    def piece(n):
        return f"{n} "

    @app.route("/stream")
    def stream():
        def pieces():
            for n in range(3):
                yield piece(n)
        return Response(stream_with_context(pieces()), mimetype="text/plain")

    @app.route("/static/x.css")
    def css(): return step("css")

    # WRAP

    def ask(method, path, body=None, headers={}):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
        if type(body) is str:
            body = body.replace("@", SECRET)
        connection.request(method, path.replace("@", SECRET), body, headers)
        answer = connection.getresponse()
        told = answer.status, answer.read()
        connection.close()
        return told

    import logging
    logging.getLogger("werkzeug").disabled = True
    app.logger.disabled = True
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with ThreadPoolExecutor(2) as pool:
        print(list(pool.map(lambda who: ask("GET", "/meet/" + who), ["ann", "bob"])))
    form = {"Content-Type": "application/x-www-form-urlencoded",
        "Cookie": "session=" + SECRET}
    print(ask("POST", "/login?next=a&token=@", "name=Ann&password=@", form))
    print(ask("POST", "/echo", b"x" * 50_000, {"Content-Type": "text/plain"}))
    print(ask("POST", "/unread", b"abc"))
    print(ask("GET", "/fail")[0])
    print(ask("GET", "/stream"))
    print(ask("GET", "/static/x.css"))
    print(ask("GET", "/nowhere")[0])
    server.shutdown()
    server.server_close()
    time.sleep(0.05)
"""
MIDDLEWARE = """
    from kolo_c.integrations.wsgi import KoloCMiddleware
    app.wsgi_app = KoloCMiddleware(app.wsgi_app)
"""
WAYS = {
    "watched": ("", ("-m", "kolo_c", "run", "--quiet")),
    "middleware": (MIDDLEWARE, ()),
    "both": (MIDDLEWARE, ("-m", "kolo_c", "run", "--quiet")),
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
    return serve(tmp_path_factory.mktemp("flask"), *WAYS[request.param])


def request_of(recorded, path):
    """The trace and the fields of the request for a path."""
    for trace in recorded.traces("request"):
        (event,) = trace.events("request")
        fields = event.to_dict()["fields"]
        if fields["path"] == path:
            return trace, fields
    raise AssertionError(path)


def test_each_request_is_a_trace_with_its_name(recorded):
    assert sorted(trace.name for trace in recorded.traces("request")) == [
        "GET /fail → 500",
        "GET /meet/ann → 200",
        "GET /meet/bob → 200",
        "GET /nowhere → 404",
        "GET /stream → 200",
        "POST /echo → 201",
        "POST /login → 200",
        "POST /unread → 200",
    ]


@pytest.mark.parametrize("who", ["ann", "bob"])
def test_requests_at_once_have_their_own_calls(recorded, who):
    trace, fields = request_of(recorded, f"/meet/{who}")
    steps = [call for call in trace.calls() if call.function == "step"]
    assert [call.result for call in steps] == [who] * 3
    assert fields["route"] == "/meet/<who>"
    assert fields["view"] == "__main__.meet"
    assert trace.attributes["route"] == "/meet/<who>"
    assert fields["status"] == 200
    assert fields["response_body"] == who


def test_bodies_and_headers_are_there_and_secrets_are_not(recorded):
    _, fields = request_of(recorded, "/login")
    assert fields["body"]["name"] == "Ann"
    assert fields["query"]["next"] == "a"
    assert fields["response_body"]["name"] == "Ann"
    assert fields["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    assert not recorded.holds("hunter2")
    _, fields = request_of(recorded, "/echo")
    assert fields["body_note"] == "cut: 50,000 bytes"
    assert fields["response_headers"]["X-Kind"] == "echo"
    _, fields = request_of(recorded, "/unread")
    assert fields["body_note"] == "not read"


def test_a_failing_view_is_in_its_request(recorded):
    trace, fields = request_of(recorded, "/fail")
    assert fields["status"] == 500
    assert "no such order" in str(fields["exception"])
    assert any(call.function == "fail" for call in trace.calls())


def test_a_stream_keeps_its_request_s_trace_open(recorded):
    trace, _ = request_of(recorded, "/stream")
    assert sum(call.function == "piece" for call in trace.calls()) == 3
    assert trace.status == "complete"
    (sent,) = trace.events("response-body")
    assert sent.to_dict()["fields"]["response_body"] == "0 1 2 "


BROKEN = """
    from flask import Flask, Response
    from werkzeug.test import EnvironBuilder
    app = Flask(__name__)

    def broken():
        yield "a"
        raise OSError("stream broke")
    def whole():
        yield "a"
    @app.route("/broken")
    def of_broken(): return Response(broken())
    @app.route("/whole")
    def of_whole(): return Response(whole())

    # WRAP

    for path in "/broken", "/whole":
        environ = EnvironBuilder(path=path).get_environ()
        body = app(environ, lambda status, headers, error=None: None)
        try:
            print(list(body))
        except OSError as error:
            print(error)
        finally:
            body.close()
"""


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_that_breaks_has_failed(way, tmp_path):
    """Its request had a status long before, and was complete."""
    wrap, under = WAYS[way]
    source = BROKEN.replace("\n    # WRAP", wrap)
    recorded = record(tmp_path, source, same=not wrap, under=under)
    assert recorded.traced.stdout.splitlines() == ["stream broke", "[b'a']"]
    told = {trace.name: trace.cause for trace in recorded.traces("request")}
    assert told == {"GET /broken → 200": "exception", "GET /whole → 200": "exit"}


def test_the_middleware_has_settings(tmp_path):
    recorded = serve(
        tmp_path,
        """
    from kolo_c.integrations.wsgi import KoloCMiddleware
    app.wsgi_app = KoloCMiddleware(app.wsgi_app, errors_only=True, sample=1.0,
        ignore_request_paths=["/meet/*"], debug=True, wrong=1)
    """,
        (),
    )
    assert [trace.name for trace in recorded.traces("request")] == ["GET /fail → 500"]
    assert "KoloCMiddleware[" in recorded.traced.stderr
