"""Other tools beside us: each sees what it sees alone, and so do we.

Every test runs a program three times, with the tool alone, with us alone, and with
both, where the one or the other is started first.
"""

from __future__ import annotations

import functools
import json
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from kolo_c.hook import choose_hook
from tests.spec.tracing import environment, trace_program

SHOP = """
    import contextlib, threading
    def price(item):
        if item < 0:
            raise ValueError(item)
        if item > 100:
            return "never"
        return item * 2
    def each(cart):
        for item in cart:
            yield price(item)
    def tree(depth):
        return 1 if depth == 0 else tree(depth - 1) + tree(depth - 1)
    def careful(item):
        try:
            return price(item)
        except ValueError:
            return None
    class Till:
        def __init__(self):
            self.total = 0
        def add(self, amount):
            self.total += amount
            return self.total
    @contextlib.contextmanager
    def opened():
        till = Till()
        try:
            yield till
        finally:
            till.add(0)
    def main():
        with opened() as till:
            for amount in each([1, 2, 3]):
                till.add(amount)
            stopped = each([4, 5])
            next(stopped)
            stopped.close()
        careful(-1)
        return till.total + tree(3)
    def elsewhere():
        thread = threading.Thread(target=main, name="elsewhere")
        thread.start()
        thread.join()
    """

ORDERS = ["tool first", "us first"]


@pytest.fixture
def hook():
    """What is taken where nobody asks."""
    return "auto"


@pytest.fixture
def run(core, hook, tmp_path):
    """``run(source, *arguments)`` in a folder of its own each time, so one trace each."""
    number = iter(range(100))

    def run_one(source, *arguments, **more):
        return trace_program(
            tmp_path / f"project{next(number)}", core, hook, source, *arguments,
            files={"shop.py": SHOP, **more.pop("files", {})},
            # What built-in plugins make of the tools' own doings is not the question.
            config={"plugins": ["-*"], **more.pop("config", {})}, **more,
        )  # fmt: skip

    return run_one


def program(start, stop, report, work="shop.main()"):
    """A program with the tool or without, which traces or does not, in either order.

    All at the level of the module, which runs already and is in no trace.
    """

    def only(condition, lines):
        return f"if {condition}:\n    pass\n" + textwrap.indent(
            textwrap.dedent(lines), "    "
        )

    return "\n".join(
        [
            "import sys, kolo_c",
            "order, us, tool = sys.argv[1], 'us' in sys.argv, 'tool' in sys.argv",
            "recording = kolo_c.trace('beside')",
            only("tool and order == 'tool first'", start),
            only("us", "recording.start()"),
            only("tool and order == 'us first'", start),
            f"import shop\n{work}",
            only("tool and order == 'us first'", stop),
            only("us", "recording.stop()"),
            only("tool and order == 'tool first'", stop),
            only("tool", report),
        ]
    )


def records(traced):
    """Everything of the one trace that the program's code did, by thread."""
    assert len(traced.infos()) == 1
    return traced.whole(), traced.threads().get("elsewhere")


_alone = {}


def without_us(run, source, order, **more):
    """What the tool says without us, which is the same for every core."""
    key = source, order, str(more)
    if key not in _alone:
        _alone[key] = run(source, order, "tool", under=(), **more).stdout
    return _alone[key]


def check(run, source, order, has, **more):
    """What both see together is what each sees alone; ``has`` stands in our records."""
    tool = without_us(run, source, order, **more)
    run = functools.partial(run, source, order, under=(), **more)
    us = run("us")
    both = run("us", "tool")
    assert tool.strip(), "the tool saw nothing"
    assert both.stdout == tool
    assert has in us.whole()
    assert records(both) == records(us)
    return tool


COVERAGE_START = """
    import coverage
    cover = coverage.Coverage(data_file=None, include=["*/shop.py"], config_file=False)
    cover.start()
    """
COVERAGE_REPORT = """
    data = cover.get_data()
    print(cover._collector.tracer_name())
    print([sorted(data.lines(name)) for name in data.measured_files()])
    """


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("measure", ["ctrace", "sysmon"])
def test_coverage_sees_the_same_lines_beside_us(run, measure, order):
    pytest.importorskip("coverage")
    if measure == "sysmon" and sys.version_info < (3, 12):
        pytest.skip("no sys.monitoring")
    seen = check(
        run,
        program(
            COVERAGE_START,
            "cover.stop()",
            COVERAGE_REPORT,
            "shop.main()\nshop.elsewhere()",
        ),
        order,
        "tree(depth=0) -> 1",
        env={"COVERAGE_CORE": measure},
    )
    tracer, lines = seen.splitlines()
    assert tracer == {"ctrace": "CTracer", "sysmon": "SysMonitor"}[measure]
    (executed,) = json.loads(lines)
    text = textwrap.dedent(SHOP).splitlines()
    assert text.index("def main():") + 2 in executed
    assert text.index('        return "never"') + 1 not in executed


@pytest.mark.parametrize(
    "under",
    [
        ("-m", "coverage", "run", "-m", "kolo_c", "run", "--quiet"),
        ("-m", "kolo_c", "run", "--quiet", "-m", "coverage", "run"),
    ],
    ids=["coverage run kolo_c", "kolo_c run coverage"],
)
def test_the_commands_of_coverage_and_ours_run_each_other(run, under):
    """Where coverage starts the program, its ``<module>`` is one of the calls."""
    pytest.importorskip("coverage")
    files = {".coveragerc": "[run]\ninclude = */shop.py\n"}
    source = """
        import shop
        shop.main()
        shop.elsewhere()
        """
    report = ("-m", "coverage", "json", "-q", "-o", "-")

    def lines(traced):
        """Those of the only file, after a run that left its data there."""
        again = run_report(traced, report)
        (only,) = json.loads(again)["files"].values()
        return only["executed_lines"]

    tool = run(source, under=("-m", "coverage", "run"), files=files)
    us = run(source, files=files)
    both = run(source, under=under, files=files)
    assert lines(both) == lines(tool)
    assert "tree(depth=0) -> 1" in us.whole()
    assert records(both) == records(us)


def run_report(traced, words):
    """What a command says in the folder of a program that has run."""
    return subprocess.run(
        [sys.executable, *words], cwd=traced.project, env=environment(),
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip


PROFILE_START = """
    import cProfile
    profile = cProfile.Profile()
    profile.enable()
    """
PROFILE_REPORT = """
    import pstats
    print(sorted(
        (name, counts[:2])
        for (file, _, name), counts in pstats.Stats(profile).stats.items()
        if file.endswith("shop.py")
    ))
    """


def no_two_profilers(core, hook):
    """Before 3.12 cProfile is a profile function, of which a thread has one."""
    used = choose_hook(hook, core).name
    if used == "setprofile" and sys.version_info < (3, 12):
        pytest.skip("there is one profile function for each thread")


@pytest.mark.parametrize("order", ORDERS)
def test_cprofile_counts_the_same_beside_us(run, core, hook, order):
    no_two_profilers(core, hook)
    source = program(PROFILE_START, "profile.disable()", PROFILE_REPORT)
    seen = check(run, source, order, "tree(depth=0) -> 1")
    assert "('tree', (1, 15))" in seen


DEBUG_START = """
    import debugpy, os, sys
    host, port = debugpy.listen(("127.0.0.1", 0))
    with open("port.new", "w") as file: print(port, file=file)
    os.rename("port.new", "port")
    debugpy.wait_for_client()
    """


class Client:
    """As much of the Debug Adapter Protocol as a breakpoint needs."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._file = self._socket.makefile("rb")
        self._number = 0
        self._waiting = []

    def close(self):
        self._file.close()
        self._socket.close()

    def send(self, command, **arguments):
        self._number += 1
        message = json.dumps(
            {
                "seq": self._number,
                "type": "request",
                "command": command,
                "arguments": arguments,
            }
        ).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n" % len(message) + message)

    def ask(self, command, **arguments):
        """The body of the answer."""
        self.send(command, **arguments)
        answer = self.wait("response", command)
        assert answer["success"], answer
        return answer.get("body")

    def wait(self, kind, name):
        """The next message of that kind and name; others are kept for later."""
        for at, message in enumerate(self._waiting):
            if name in (message.get("event"), message.get("command")):
                return self._waiting.pop(at)
        while True:
            message = self._receive()
            if message["type"] == kind and name in (
                message.get("event"),
                message.get("command"),
            ):
                return message
            self._waiting.append(message)

    def _receive(self):
        length = 0
        while (line := self._file.readline()) != b"\r\n":
            assert line, "the debugger hung up"
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return json.loads(self._file.read(length))


def debug(project, file, line, found):
    """Attach, stop once in the line, look, let go; what was seen goes to ``found``."""
    deadline = time.monotonic() + 30
    while not (project / "port").exists():
        assert time.monotonic() < deadline, "the debugger did not begin to listen"
        time.sleep(0.02)
    client = Client(int((project / "port").read_text()))
    try:
        client.ask("initialize", adapterID="test", pathFormat="path")
        client.send("attach", justMyCode=False)
        client.wait("event", "initialized")
        set_ones = client.ask(
            "setBreakpoints",
            source={"path": str(project / file)},
            breakpoints=[{"line": line}],
        )
        found.append(set_ones["breakpoints"][0]["verified"])
        client.ask("configurationDone")
        stopped = client.wait("event", "stopped")["body"]
        found.append(stopped["reason"])
        thread = stopped["threadId"]
        frames = client.ask("stackTrace", threadId=thread)["stackFrames"]
        found.append([(frame["name"], frame["line"]) for frame in frames[:2]])
        value = client.ask(
            "evaluate", expression="item * 1000", frameId=frames[0]["id"]
        )
        found.append(value["result"])
        client.ask(
            "setBreakpoints", source={"path": str(project / file)}, breakpoints=[]
        )
        client.ask("continue", threadId=thread)
        client.ask("disconnect", terminateDebuggee=False)
    finally:
        client.close()


@pytest.mark.parametrize("order", ORDERS)
def test_a_breakpoint_of_debugpy_is_hit_beside_us(core, hook, tmp_path, order):
    pytest.importorskip("debugpy")
    source = program(DEBUG_START, "", 'print("went on")')
    text = textwrap.dedent(SHOP).splitlines()
    line = text.index("    return item * 2") + 1
    found, runs = {}, {}
    for who in ("tool", "us", "us tool"):
        project = tmp_path / who.replace(" ", "-")
        seen = found[who] = []
        client = None
        if "tool" in who:
            client = threading.Thread(
                target=debug, args=(project, "shop.py", line, seen)
            )
            client.start()
        runs[who] = trace_program(
            project, core, hook, source, order, *who.split(), under=(),
            files={"shop.py": SHOP}, config={"plugins": ["-*"]},
        )  # fmt: skip
        if client is not None:
            client.join(30)
    assert found["tool"] == [
        True, "breakpoint", [("price", line), ("each", line + 3)], "1000",
    ]  # fmt: skip
    assert found["us tool"] == found["tool"]
    assert runs["us tool"].stdout.endswith("went on\n")
    assert "tree(depth=0) -> 1" in runs["us"].whole()
    assert runs["us tool"].whole() == runs["us"].whole()


DJANGO = """
    import sys
    import django
    from django.conf import settings
    name, order, us, tool = sys.argv[1], sys.argv[2], 'us' in sys.argv, 'tool' in sys.argv
    apps, middleware = {
        "toolbar": (["debug_toolbar"], "debug_toolbar.middleware.DebugToolbarMiddleware"),
        "silk": (["silk"], "silk.middleware.SilkyMiddleware"),
    }[name]
    settings.configure(
        DEBUG=True, SECRET_KEY="secret", ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"],
        USE_TZ=True, STATIC_URL="static/", INTERNAL_IPS=["127.0.0.1"],
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes",
                        "django.contrib.sessions", "django.contrib.staticfiles", *apps],
        MIDDLEWARE=[middleware] if tool else [],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates",
                    "APP_DIRS": True}],
        DEBUG_TOOLBAR_PANELS=["debug_toolbar.panels.history.HistoryPanel",
                              "debug_toolbar.panels.profiling.ProfilingPanel"],
        DEBUG_TOOLBAR_CONFIG={"DISABLE_PANELS": set(), "IS_RUNNING_TESTS": False,
                              "PROFILER_THRESHOLD_RATIO": 10**4,
                              "PROFILER_MAX_DEPTH": 14},
        SILKY_PYTHON_PROFILER=True, SILKY_PYTHON_PROFILER_BINARY=True,
        SILKY_PYTHON_PROFILER_RESULT_PATH=".",
    )
    django.setup()
    from django.core.management import call_command
    call_command("migrate", verbosity=0)
    import urls, kolo_c
    from django.test import Client
    urls.inner = kolo_c.trace("inner") if us and order == "tool first" else None
    client = Client()
    recording = kolo_c.trace("outer")
    if us and order == "us first":
        recording.start()
    answer = client.get("/till")
    if us and order == "us first":
        recording.stop()
    assert answer.status_code == 200, answer.content
    if tool and name == "silk":
        from silk.models import Request
        import pstats
        stats = pstats.Stats(Request.objects.get(path="/till").prof_file.path).stats
        print(sorted((name, counts[:2]) for (file, _, name), counts in stats.items()
                     if file.endswith("shop.py")))
    if tool and name == "toolbar":
        import html, re
        panel = client.get("/__debug__/render_panel/", {
            "request_id": answer.headers["djdt-request-id"], "panel_id": "ProfilingPanel",
        }).json()["content"]
        text = re.sub(r"\\s+", " ", html.unescape(re.sub("<[^>]*>", " ", panel)))
        rows = re.findall(r"shop\\.py ?(?:in)? ?(\\w+) ?\\( ?\\d+ ?\\) [\\d.]+ [\\d.]+ [\\d.]+ [\\d.]+ (\\d+)", text)
        print("main called", dict(rows).get("main", text))
    """
URLS = """
    from django.http import HttpResponse
    from django.urls import include, path
    from django.conf import settings
    import shop
    def till(request):
        if inner is not None:
            inner.start()
        total = shop.main()
        if inner is not None:
            inner.stop()
        return HttpResponse(f"<html><body>{total}</body></html>")
    urlpatterns = [path("till", till)]
    if "debug_toolbar" in settings.INSTALLED_APPS:
        urlpatterns.append(path("__debug__/", include("debug_toolbar.urls")))
    """


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("name", "module"), [("toolbar", "debug_toolbar"), ("silk", "silk")]
)
def test_a_profiler_of_django_profiles_a_request_beside_us(
    run, core, hook, name, module, order
):
    pytest.importorskip("django")
    pytest.importorskip(module, exc_type=ImportError)
    no_two_profilers(core, hook)
    run = functools.partial(run, under=(), files={"urls.py": URLS})
    if (name, order) not in _alone:
        _alone[name, order] = run(DJANGO, name, order, "tool").stdout
    tool = _alone[name, order]
    us = run(DJANGO, name, order, "us")
    both = run(DJANGO, name, order, "us", "tool")
    # The panel shows what took its time, which is not the same twice.
    known = {"toolbar": "main called 1\n", "silk": "('tree', (1, 15))"}[name]
    assert known in tool
    assert both.stdout == tool
    assert "tree(depth=0) -> 1" in us.whole()
    assert records(both) == records(us)
