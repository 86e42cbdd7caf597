"""KoloCMiddleware: alone in a process, with every setting, and where it is not used."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("django")

from tests.integration.django.small_site import (
    Site,
    run_site,
    site_of,
    site_program,
)
from tests.spec.tracing import Traced, trace_program

MIDDLEWARE = "kolo_c.integrations.django.KoloCMiddleware"
SOURCE = """
import asyncio, logging, os

def outside():
    return 1

def cost(n):
    return n * 2

def page(request):
    logging.getLogger("shop").warning("asked")
    return HttpResponse(str(cost(4)))

def slow(request):
    import time
    time.sleep(0.6)
    return HttpResponse("slow")

def broken(request):
    raise ValueError("no")

async def later(request):
    await asyncio.sleep(0)
    return HttpResponse(str(cost(5)))

urlpatterns = [path("page/", page), path("slow/", slow), path("broken/", broken),
               path("later/", later), path("static/a.css", page),
               path("health/", page)]
outside()
c = client()
"""
ASK = """
for name in ASKED:
    response = c.get(name)
    print(response.status_code, response.content.decode()[:5], sep="|")
    print(sorted(name for name in response.headers if name[:2] in ("X-", "Se")))
"""
ALONE = {"DEBUG": True, "MIDDLEWARE": [MIDDLEWARE]}


def ask(
    folder: Path, *names: str, more: str = "", core: str = "c", env=None, **settings
) -> Traced:
    """A process with the middleware, which is asked for some pages."""
    source = f"{SOURCE}\nASKED = {list(names)}\n{ASK}\n{more}"
    program = site_program(source, repr({**ALONE, **settings}))
    return trace_program(folder, core, "auto", program, under=(), env=env)


def asked(folder: Path, *names: str, **options) -> Site:
    return site_of(ask(folder, *names, **options))


def test_alone_it_records_requests_and_nothing_else(tmp_path: Path, core: str) -> None:
    site = asked(tmp_path, "/page/", "/later/", core=core)
    assert site.names() == ["GET /page/ → 200", "GET /later/ → 200"]
    assert len(site.traces) == 2, "the process has none"
    assert site.calls("GET /page/ → 200") == ["page", "cost"]
    assert site.calls("GET /later/ → 200") == ["later", "cost"]


def test_alone_it_follows_a_stream_to_its_end(tmp_path: Path, core: str) -> None:
    """Closing it is seen from outside every trace, and ends the one it belongs to."""
    more = """
def piece(n): return str(n)
def pieces():
    try:
        for n in range(3): yield piece(n)
    finally:
        cost(1)
urlpatterns.append(path("stream/", lambda r: StreamingHttpResponse(pieces())))
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory
application = get_wsgi_application()
for count in 9, 1, 0:
    environ = RequestFactory().get("/stream/").environ
    response = application(environ, lambda status, headers: None)
    print([piece for piece, _ in zip(response, range(count))])
    response.close()
"""
    site = asked(tmp_path, more=more, core=core)
    assert site.names() == ["GET /stream/ → 200"] * 3
    assert [site.calls_of(trace) for trace, _ in site.requests] == [
        ["<lambda>", "pieces", "piece", "piece", "piece", "cost"],
        ["<lambda>", "pieces", "piece", "piece", "cost"],
        ["<lambda>", "pieces", "piece", "cost"],
    ]
    assert all(trace.status == "complete" for trace in site.traces)
    assert len(site.traces) == 3


def test_with_debug_a_response_says_where_its_trace_is(tmp_path: Path) -> None:
    more = (
        "print(response.headers['X-Kolo-C-Trace'], response.headers['Server-Timing'])"
    )
    site = asked(tmp_path, "/page/", more=more)
    said = site.traced.stdout.splitlines()
    assert said[1] == "['Server-Timing', 'X-Kolo-C-Trace']"
    trace_id, timing = said[2].split()
    assert trace_id == site.traces[0].id
    assert re.fullmatch(r"app;dur=\d+\.\d", timing)


def test_asynchronous_requests_are_answered_by_it_too(tmp_path: Path) -> None:
    more = """
async def main():
    from django.core.asgi import get_asgi_application
    application = get_asgi_application()
    async def ask(path):
        sent, done = [], asyncio.Event()
        first = [{"type": "http.request", "body": b""}]
        async def receive():
            if first:
                return first.pop()
            await done.wait()
            return {"type": "http.disconnect"}
        async def send(message):
            sent.append(message)
        await application({"type": "http", "method": "GET", "path": path,
            "headers": [], "query_string": b"", "http_version": "1.1"}, receive, send)
        done.set()
        names = dict(sent[0]["headers"])
        print(sent[0]["status"], names.get(b"X-Kolo-C-Trace", b"").decode()[:4])
    await asyncio.gather(*(ask(path) for path in ["/later/", "/page/"] * 3))

asyncio.run(main())
"""
    site = asked(tmp_path, more=more)
    assert site.traced.stdout.splitlines() == ["200 trc_"] * 6
    assert sorted(site.names()) == ["GET /later/ → 200"] * 3 + ["GET /page/ → 200"] * 3
    for trace, event in site.requests:
        view = event.fields["view"].split(".")[-1]
        assert [call.function for call in trace.calls()] == [view, "cost"]


def test_where_debug_is_false_it_is_not_there(tmp_path: Path) -> None:
    done = ask(tmp_path, "/page/", DEBUG=False)
    assert done.stdout == "200|8\n[]\n"
    assert not done.store.exists()


def test_it_may_be_allowed_in_production(tmp_path: Path) -> None:
    site = asked(tmp_path, "/page/", DEBUG=False, KOLO_C={"enabled": True})
    assert site.traced.stdout == "200|8\n[]\n", "no headers for strangers"
    assert "kolo_c.W002" in site.traced.stderr
    assert site.names() == ["GET /page/ → 200"]


def test_it_may_be_forbidden(tmp_path: Path) -> None:
    for number, options in enumerate(
        [{"KOLO_C": {"enabled": False}}, {"env": {"KOLO_C": "0"}}]
    ):
        done = ask(tmp_path / str(number), "/page/", **options)
        assert done.stdout == "200|8\n[]\n"
        assert not done.store.exists()


def test_static_files_and_paths_that_are_named_are_ignored(tmp_path: Path) -> None:
    site = asked(tmp_path / "a", "/static/a.css", "/page/", "/favicon.ico")
    assert site.names() == ["GET /page/ → 200"]
    assert site.traced.stdout.count("X-Kolo-C-Trace") == 1
    site = asked(
        tmp_path / "b",
        "/static/a.css",
        "/page/",
        "/health/",
        "/later/",
        KOLO_C={"ignore_request_paths": ["/health/", "/la*/"]},
    )
    assert site.names() == ["GET /static/a.css → 200", "GET /page/ → 200"]


def test_what_comes_after_an_ignored_request_is_recorded(
    tmp_path: Path, core: str
) -> None:
    source = f"""{SOURCE}
def before(): c.get("/static/a.css")
def after(): return 1
async def later_ones():
    asynchronous = AsyncClient()
    for name in "/favicon.ico", "/later/":
        await asynchronous.get(name)

before(), after()
asyncio.run(later_ones())
"""
    site = run_site(tmp_path, core, source)
    process = [call.function for call in site.traces[0].calls()]
    assert process == ["<module>", "outside", "client", "before", "after", "later_ones"]
    assert site.names() == ["GET /later/ → 200"]


def test_a_sample_is_decided_at_the_start(tmp_path: Path) -> None:
    done = ask(tmp_path / "none", *["/page/"] * 5, KOLO_C={"sample": 0})
    assert done.stdout == "200|8\n[]\n" * 5 and done.infos() == []
    pages = ["/page/"] * 60
    site = asked(tmp_path / "some", *pages, KOLO_C={"sample": 0.5})
    assert 10 < len(site.names()) < 50


def test_slow_or_failed_requests_alone_may_be_stored(tmp_path: Path) -> None:
    pages = ["/page/", "/slow/", "/broken/", "/page/"]
    site = asked(tmp_path / "slow", *pages, KOLO_C={"slow_ms": 500})
    assert site.names() == ["GET /slow/ → 200", "GET /broken/ → 500"]
    site = asked(tmp_path / "failed", *pages, KOLO_C={"errors_only": True})
    assert site.names() == ["GET /broken/ → 500"]
    assert site.calls("GET /broken/ → 500") == ["broken"]
    text = "\n".join(site.traced.stdout.splitlines())
    assert text.count("X-Kolo-C-Trace") == 4


BREAKS = """
import asyncio
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory
def pieces():
    yield "a"
    raise OSError("stream broke")
async def later_pieces():
    yield "a"
    raise OSError("stream broke")
async def waiting():
    yield "a"
    await asyncio.sleep(60)
def whole():
    yield "a"
urlpatterns += [path(f"{maker.__name__}/",
    lambda r, maker=maker: StreamingHttpResponse(maker()))
    for maker in (pieces, later_pieces, waiting, whole)]
application = get_wsgi_application()
for name in "pieces", "whole":
    environ = RequestFactory().get(f"/{name}/").environ
    response = application(environ, lambda status, headers: None)
    try:
        print(list(response))
    except OSError as error:
        print(error)
    response.close()
async def ask_later(name):
    response = await AsyncClient().get(f"/{name}/")
    try:
        async for piece in response.streaming_content:
            if name == "waiting":
                asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
    except (OSError, asyncio.CancelledError) as error:
        print(str(error) or type(error).__name__)
    response.close()
for name in "later_pieces", "waiting":
    asyncio.run(ask_later(name))
"""


@pytest.mark.parametrize("errors_only", [False, True])
def test_a_stream_that_breaks_has_failed(
    tmp_path: Path, core: str, errors_only: bool
) -> None:
    """Whether a request has failed was decided when it had a response, before any of it
    was sent: one that broke was complete, and with errors_only it was not stored. One
    whose reader went away has not failed."""
    settings = {"KOLO_C": {"errors_only": errors_only}}
    site = asked(tmp_path, more=BREAKS, core=core, **settings)
    assert site.traced.stdout.splitlines() == [
        "stream broke", "[b'a']", "stream broke", "CancelledError",
    ]  # fmt: skip
    failed = ["GET /pieces/ → 200", "GET /later_pieces/ → 200"]
    assert [trace.name for trace in site.traces if trace.cause == "exception"] == failed
    whole = ["GET /whole/ → 200", "GET /waiting/ → 200"]
    others = [trace.name for trace in site.traces if trace.cause == "exit"]
    assert others == ([] if errors_only else whole)


def test_a_line_of_the_log_has_the_trace_s_id(tmp_path: Path) -> None:
    logs = {
        "version": 1,
        "filters": {"trace": {"()": "kolo_c.integrations.django.TraceFilter"}},
        "formatters": {"f": {"format": "%(kolo_c_trace)s %(message)s"}},
        "handlers": {
            "h": {
                "class": "logging.StreamHandler",
                "filters": ["trace"],
                "formatter": "f",
            }
        },
        "loggers": {"shop": {"handlers": ["h"]}},
    }
    more = "logging.getLogger('shop').warning('outside')"
    site = asked(tmp_path, "/page/", more=more, LOGGING=logs)
    lines = [line for line in site.traced.stderr.splitlines() if "kolo_c." not in line]
    assert lines[-2:] == [f"{site.traces[0].id} asked", "- outside"]


def test_an_event_of_sentry_has_the_trace_s_id(tmp_path: Path) -> None:
    pytest.importorskip("sentry_sdk")
    more = """
import sentry_sdk
from sentry_sdk.integrations.django import DjangoIntegration
events = []
class Kept(sentry_sdk.transport.Transport):
    def capture_envelope(self, envelope):
        event = envelope.get_event()
        if event is not None:
            events.append(event)
sentry_sdk.init(
    dsn="http://key@localhost/1", transport=Kept, default_integrations=False,
    auto_enabling_integrations=False, integrations=[DjangoIntegration()])
c.raise_request_exception = False
told = c.get("/broken/").headers["X-Kolo-C-Trace"]
print(told, [event["tags"]["kolo_c.trace"] for event in events])
sentry_sdk.get_client().close(timeout=0)
"""
    site = asked(tmp_path, more=more)
    trace_id = site.traces[0].id
    assert site.traced.stdout == f"{trace_id} ['{trace_id}']\n"


def test_a_span_of_opentelemetry_has_the_trace_s_id(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    more = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
with trace.get_tracer("shop").start_as_current_span("request") as span:
    told = c.get("/page/").headers["X-Kolo-C-Trace"]
print(told, dict(span.attributes))
"""
    site = asked(tmp_path, more=more)
    trace_id = site.traces[0].id
    assert site.traced.stdout == f"{trace_id} {{'kolo_c.trace': '{trace_id}'}}\n"


CHECK = """
from django.core import checks
for message in checks.run_checks():
    print(message.id, message.msg, sep=": ")
"""


def test_its_checks_are_django_s_where_it_is_an_app(tmp_path: Path) -> None:
    apps = ["kolo_c.integrations.django"]
    common = "django.middleware.common.CommonMiddleware"
    done = ask(
        tmp_path / "a",
        more=CHECK,
        DEBUG=False,
        INSTALLED_APPS=apps,
        MIDDLEWARE=[common, MIDDLEWARE],
        KOLO_C={"enabled": True, "smaple": 2, "sample": "x"},
    )
    assert done.stdout.splitlines() == [
        f"kolo_c.W001: KoloCMiddleware comes after {common}.",
        "kolo_c.W002: Requests are recorded although DEBUG is False.",
        'kolo_c.W004: KOLO_C["smaple"] is not a setting. Did you mean sample?',
        "kolo_c.W004: KOLO_C[\"sample\"] must be a number from 0 to 1, not 'x'",
    ]
    done = ask(tmp_path / "b", more=CHECK, INSTALLED_APPS=apps)
    assert done.stdout == "" and done.stderr == ""


def test_a_mistake_in_the_recorder_s_settings_is_one_too(tmp_path: Path) -> None:
    """They are read when the session starts, and only its traces told of them."""
    wrong = {"locals": "bogus", "ignore_frames": 5, "hook": "foo", "depth": "3"}
    apps = ["kolo_c.integrations.django"]
    done = ask(tmp_path / "a", more=CHECK, INSTALLED_APPS=apps, KOLO_C=wrong)
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == [
        'kolo_c.W004: KOLO_C["locals"] must be one of none',
        'kolo_c.W004: KOLO_C["ignore_frames"] must be a list of texts',
        'kolo_c.W004: KOLO_C["hook"] must be one of auto',
    ]
    done = ask(tmp_path / "b", "/page/", KOLO_C=wrong)
    assert done.stdout.startswith("200|8\n")
    assert done.stderr.count("kolo_c.W004") == 3


def test_the_hints_of_checks_say_what_to_write(tmp_path: Path) -> None:
    """They named pages that are not installed with the package."""
    done = ask(
        tmp_path,
        more=CHECK.replace("message.msg", "message.hint"),
        DEBUG=False,
        INSTALLED_APPS=["kolo_c.integrations.django"],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware", MIDDLEWARE],
        KOLO_C={"enabled": True, "smaple": 2},
    )
    hints = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert "docs/" not in done.stdout
    assert hints["kolo_c.W001"].startswith("Put it first in MIDDLEWARE")
    assert hints["kolo_c.W002"].startswith('KOLO_C["enabled"] says so; without it')
    assert hints["kolo_c.W004"] == (
        "KOLO_C takes enabled, ignore_request_paths, sample, slow_ms, errors_only, and "
        "settings of the recorder, such as ignore_frames."
    )


def test_another_profiler_is_an_error(tmp_path: Path) -> None:
    more = f"sys.setprofile(lambda *_: None)\n{CHECK}"
    import sys

    if sys.version_info >= (3, 12):
        more = (
            "sys.monitoring.use_tool_id(4, 'one')\nsys.monitoring.use_tool_id(3, 'two')"
            f"\n{CHECK}"
        )
    apps = ["kolo_c.integrations.django"]
    done = ask(tmp_path, more=more, INSTALLED_APPS=apps)
    assert "kolo_c.E001: " in done.stdout


def test_a_store_that_cannot_be_written_stops_no_request(tmp_path: Path) -> None:
    nowhere = tmp_path / "file"
    nowhere.write_text("no folder")
    elsewhere = {
        "KOLO_C_PATH": str(nowhere / "deeper"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    done = ask(tmp_path / "site", "/page/", env=elsewhere)
    assert done.stdout.startswith("200|8\n")
    assert list((tmp_path / "state").rglob("*.db"))
    assert "kolo_c.W003" in done.stderr


def test_where_there_is_no_store_at_all_no_trace_is_named(tmp_path: Path) -> None:
    """In containers neither the code nor the home of the user can be written often:
    each response named a trace that was not there, and nothing was said."""
    (tmp_path / "file").touch()
    nowhere = dict.fromkeys(("KOLO_C_PATH", "XDG_STATE_HOME"), str(tmp_path / "file"))
    done = ask(tmp_path / "site", "/page/", "/page/", env=nowhere)
    assert done.stdout.count("200|8\n") == 2
    assert "X-Kolo-C-Trace" not in done.stdout
    assert done.stderr.count("no request is recorded: ") == 1
    assert "kolo_c.W003" in done.stderr and "traces go to" not in done.stderr


def test_settings_of_the_recorder_may_stand_with_django_s(tmp_path: Path) -> None:
    site = asked(tmp_path / "a", "/page/", KOLO_C={"ignore_frames": ["*:cost"]})
    process = json.dumps(site.traces[0].process)
    assert "*:cost" in process
    site = asked(
        tmp_path / "b",
        "/page/",
        KOLO_C={"depth": 2},
        env={"KOLO_C_DEPTH": "3"},
    )
    assert '"depth": 3' in json.dumps(site.traces[0].process)


def test_a_session_that_runs_is_used(tmp_path: Path) -> None:
    source = f"{SOURCE}\nASKED = ['/page/']\n{ASK}"
    site = run_site(tmp_path, "c", source, settings=repr(ALONE))
    assert site.names() == ["GET /page/ → 200"]
    assert site.traces[0].kind == "process" and len(site.traces) == 2
