"""The pytest plugin, in runs of pytest of their own."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import sys

import pytest

import kolo_c
from kolo_c.failure import ATTRIBUTE as FAILURE
from kolo_c.model.boundary import boundary_of
from kolo_c.model.build import build
from kolo_c.store.reader import Store, Trace
from kolo_c.store.records import Plugin
from kolo_c.store.text import value_text
from tests.spec.tracing import PACKAGE_PARENT
from tests.test_documentation import ROOT, blocks, comparable, steps

pytest_plugins = ["pytester"]

SHOP = """
    def price(n): return n * 2
    def total(items):
        s = 0
        for i in items: s += price(i)
        return s
"""
TESTS = """
    import pytest, shop
    @pytest.fixture
    def basket():
        yield [1, 2]
        shop.price(0)
    def test_ok(basket): assert shop.total(basket) == 6
    def test_bad(basket):
        print("said so")
        assert shop.total(basket) == 7, "the sum"
    @pytest.mark.parametrize("n", [1])
    def test_param(n): shop.price(n)
    @pytest.mark.skip
    def test_skip(): pass
    @pytest.mark.xfail
    def test_xfail(): assert 0
    @pytest.fixture
    def broken(): raise OSError("no")
    def test_error(broken): pass
"""


def named(trace, node):
    """A call's function, a region's name, a record's kind."""
    if node.code is not None:
        return trace.definitions.code(node.code).qualname
    if isinstance(node.begin, Plugin):
        return trace.definitions.plugin(node.begin.plugin).name
    return str(node.begin.name)


DJANGO = {
    "site_settings": """
        SECRET_KEY = "x"
        ROOT_URLCONF = "site_urls"
        ALLOWED_HOSTS = ["*"]
        STATIC_URL = "static/"
        MEDIA_URL = "media/"
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3",
                                 "NAME": ":memory:"}}
    """,
    "site_urls": """
        from django.http import HttpResponse
        from django.urls import path
        import shop
        def page(request): return HttpResponse(str(shop.total([1, 2])))
        urlpatterns = [path("page/", page)]
    """,
}


class Run:
    """A project, and pytest in it."""

    def __init__(self, pytester, monkeypatch):
        for name in ("KOLO_C_PATH", "KOLO_C", "PYTEST_ADDOPTS"):
            monkeypatch.delenv(name, raising=False)
        # What is installed here must not decide: the tests name their plugins.
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        monkeypatch.setenv("PYTHONPATH", PACKAGE_PARENT)
        self.pytester = pytester
        self.store = pytester.path / ".kolo_c"
        pytester.makefile(".toml", pyproject="")
        pytester.makepyfile(shop=SHOP)

    def __call__(self, *options, plugins=(), before=()):
        words = ["-p", "kolo_c.integrations.pytest_plugin", "-p", "no:cacheprovider"]
        for plugin in plugins:
            if importlib.util.find_spec(plugin.partition(".")[0]) is None:
                pytest.skip(f"no {plugin} here")
            words += ["-p", plugin]
        done = self.pytester.run(
            sys.executable, "-m", *before, "pytest", *words, *options
        )
        self.text = done.stdout.str() + done.stderr.str()
        return done

    def traces(self):
        """By the name of the test."""
        if not self.store.exists():
            return {}
        found = {}
        with Store(self.store) as store:
            for info in reversed(store.traces()):
                _ = info.attributes, info.counters
                found[info.row.name.removeprefix("pytest test_run.py::")] = info
        return found

    def tree(self, name):
        """A test's regions and calls, indented."""
        info = self.traces()[name]
        with Store(self.store) as store:
            trace = Trace(store.catalogue.find(info.id))
            lines = []
            for stream in trace.streams:
                pending = [(node, 0) for node in reversed(build(stream).roots)]
                while pending:
                    node, depth = pending.pop()
                    lines.append("  " * depth + named(trace, node))
                    pending += [(n, depth + 1) for n in reversed(node.children)]
            return "\n".join(lines)


@pytest.fixture
def run(pytester, monkeypatch):
    return Run(pytester, monkeypatch)


def test_each_test_has_a_trace_with_its_phases(run):
    run.pytester.makepyfile(test_run=TESTS)
    run("--kolo-c").assert_outcomes(passed=2, failed=1, skipped=1, xfailed=1, errors=1)
    traces = run.traces()
    assert {name: info.status for name, info in traces.items()} == dict.fromkeys(("test_ok", "test_bad failed", "test_param[1]", "test_skip skipped", "test_xfail xfailed", "test_error error"), "complete")  # fmt: skip
    assert {info.row.kind for info in traces.values()} == {"test"}
    assert run.tree("test_ok") == (
        "test\n  setup\n    basket\n      price\n  call\n    test_ok\n      total\n"
        "        price\n        price\n  teardown"
    )
    bad = traces["test_bad failed"].attributes
    assert bad["nodeid"] == "test_run.py::test_bad"
    assert bad["outcome"] == "failed"
    assert bad["message"].startswith("AssertionError: the sum\nassert 6 == 7")
    assert traces["test_bad failed"].row.parent is None
    assert min(bad["setup_ns"], bad["call_ns"], bad["teardown_ns"]) > 0
    assert traces["test_param[1]"].attributes["markers"] == "parametrize"
    failure = json.loads(traces["test_bad failed"].own["kolo_c.failure"])
    assert failure["chain"][0]["type"] == "AssertionError"
    with Store(run.store) as store:
        about = boundary_of(Trace(store.catalogue.find(traces["test_bad failed"].id)))
        assert about.failed and about.fields["runner"] == "pytest"
        assert about.fields["stdout"] == "said so\n"
        assert about.fields["message"] == bad["message"]
        about = boundary_of(Trace(store.catalogue.find(traces["test_param[1]"].id)))
        assert about.fields["params"].pairs == (("n", 1),) and not about.failed


def test_a_failing_test_says_where_its_trace_is_and_its_last_calls(run):
    run.pytester.makepyfile(test_run=TESTS)
    done = run("--kolo-c-only-failed")
    traces = run.traces()
    assert set(traces) == {"test_bad failed", "test_error error"}
    short = traces["test_bad failed"].id[-5:]
    done.stdout.fnmatch_lines(
        [
            "*- kolo_c -*",
            f"its trace: kolo-c show {short}, *kolo-c why {short}",
            "*last calls before it",
            "*shop.py:2  total(items=[[]1, 2[]]) → 6",
            "kolo_c: 2 tests' traces stored; see kolo-c list",
        ]
    )


def test_a_run_whose_tests_pass_stores_nothing_under_only_failed(run):
    run.pytester.makepyfile(
        test_run="""
        import pytest, shop
        @pytest.mark.parametrize("n", range(300))
        def test_passes(n): shop.total(range(20))
        """
    )
    done = run("--kolo-c-only-failed", "-q")
    assert run.traces() == {}
    done.stdout.fnmatch_lines(["kolo_c: no test's trace was stored"])
    (segment,) = (run.store / "segments").iterdir()
    assert segment.stat().st_size < 100_000
    assert b"test_passes[7" not in segment.read_bytes()


def test_the_slowest_are_stored_and_the_failed_with_them(run):
    run.pytester.makepyfile(
        test_run="""
        import pytest, time, shop
        @pytest.mark.parametrize("ms", [1, 60, 2, 600, 3])
        def test_takes(ms):
            shop.price(ms)
            time.sleep(ms / 1000)
        def test_fails(): assert 0
        """
    )
    run("--kolo-c-slowest", "2")
    traces = run.traces()
    assert set(traces) == {"test_takes[60]", "test_takes[600]"}
    # It ended when it ended, not when that was decided.
    assert 60e6 < traces["test_takes[60]"].duration_ns < 500e6
    run("--kolo-c-slowest=2", "--kolo-c-only-failed")
    assert "test_fails failed" in run.traces()
    run("--kolo-c-slowest=none")
    assert "--kolo-c-slowest none: a whole number from 1 to 128 is needed" in run.text


def test_a_stored_trace_is_written_to_a_file_for_ci(run):
    run.pytester.makepyfile(test_run=TESTS)
    run("--kolo-c-only-failed", "--kolo-c-out", "artefacts")
    files = sorted((run.pytester.path / "artefacts").iterdir())
    assert [file.name[:-12] for file in files] == [
        "test_run.py-test_bad", "test_run.py-test_error",
    ]  # fmt: skip
    with kolo_c.open(files[0]) as store:
        (trace,) = store.traces()
        assert trace.name == "pytest test_run.py::test_bad failed"
        assert "total" in {call.function for call in trace.calls()}


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_files_are_spoken_of_where_there_are_any(run, workers):
    """The last line told of files in a folder that could not be made."""
    run.pytester.makepyfile(test_run=TESTS)
    words = ("--kolo-c-only-failed", "--kolo-c-out", "artefacts", *workers)
    run(*words, plugins=["xdist"] if workers else [])
    assert "kolo_c: 2 tests' traces stored; see kolo-c list; files in artefacts" in (
        run.text
    )
    for file in (run.pytester.path / "artefacts").iterdir():
        file.unlink()
    (run.pytester.path / "artefacts").rmdir()
    (run.pytester.path / "artefacts").write_text("not a folder")
    run(*words, plugins=["xdist"] if workers else [])
    assert "kolo_c: --kolo-c-out artefacts: [Errno 17] File exists" in run.text
    assert run.text.rstrip().splitlines()[-2].startswith("kolo_c: 2 tests' traces")
    assert "files in" not in run.text


def test_the_ini_file_may_ask_for_it(run):
    run.pytester.makepyfile(test_run=TESTS)
    run.pytester.makeini("[pytest]\nkolo_c_only_failed = true\n")
    run()
    assert len(run.traces()) == 2


def test_a_marker_says_how_a_test_is_recorded(run):
    run.pytester.makepyfile(
        test_run="""
        import pytest, shop
        @pytest.mark.kolo_c(False)
        def test_not(kolo_c_trace):
            shop.price(1)
            assert not kolo_c_trace
        @pytest.mark.kolo_c(ignore_frames=["module:shop"])
        def test_without_shop(): shop.price(1)
        @pytest.mark.kolo_c(locls="all")
        def test_wrong(kolo_c_trace): assert kolo_c_trace.set(customer=42)
        """
    )
    run("--kolo-c", "--strict-markers").assert_outcomes(passed=3)
    wrong = "test_wrong: the marker kolo_c has no locls"
    assert wrong in run.text
    assert set(run.traces()) == {"test_without_shop", "test_wrong"}
    assert "price" not in run.tree("test_without_shop")
    assert run.traces()["test_wrong"].attributes["customer"] == 42


def test_a_mistake_in_a_marker_is_told_and_costs_its_test_alone(run):
    """A number for a list ended the whole run by our traceback (INTERNALERROR), a text
    was split into letters, which match nothing, and a word was ignored."""
    run.pytester.makepyfile(
        test_run="""
        import pytest
        def test_a(): pass
        @pytest.mark.kolo_c(ignore_frames=5)
        def test_number(): pass
        @pytest.mark.kolo_c(ignore_frames="module:shop")
        def test_text(): pass
        @pytest.mark.kolo_c(include_frames=[5])
        def test_item(): pass
        @pytest.mark.kolo_c(ignore_frames=["!x["])
        def test_pattern(): pass
        @pytest.mark.kolo_c("x")
        def test_word(): pass
        @pytest.mark.kolo_c(enabled=False)
        def test_off(): pass
        class Odd:
            def __repr__(self): raise OSError("no")
            __eq__ = __bool__ = __repr__
        @pytest.mark.kolo_c(Odd())
        def test_odd(): pass
        def test_z(): pass
        """
    )
    done = run("--kolo-c")
    done.assert_outcomes(passed=9)
    assert [line for line in done.outlines if line.startswith("kolo_c: ")] == [
        "kolo_c: test_run.py::test_number is not recorded: "
        "ignore_frames must be a list of texts, not 5",
        "kolo_c: test_run.py::test_text is not recorded: "
        "ignore_frames must be a list of texts: write ['module:shop']",
        "kolo_c: test_run.py::test_item is not recorded: "
        "include_frames must be a list of texts, but it contains 5",
        "kolo_c: test_run.py::test_pattern is not recorded: ignore_frames: '!x[' begins "
        "with !, which is not supported: use include_frames. "
        "Correct ignore_frames; docs/reference/filters.md has the syntax.",
        "kolo_c: test_run.py::test_word: the marker kolo_c takes True or False, not 'x'; "
        "by name it takes ignore_frames, include_frames",
        "kolo_c: test_run.py::test_odd is not recorded: the recorder: OSError: no",
        "kolo_c: 3 tests' traces stored; see kolo-c list",
    ]
    assert set(run.traces()) == {"test_a", "test_word", "test_z"}


def test_what_runs_beside_a_test_belongs_to_it(run):
    """A thread of its own, one of a fixture of the session, and a loop of the module."""
    run.pytester.makepyfile(
        test_run="""
        import asyncio, queue, threading, pytest, shop
        @pytest.fixture(scope="session")
        def server():
            work = queue.Queue()
            def serve():
                while (item := work.get()) is not None:
                    shop.price(item[0]); item[1].set()
            thread = threading.Thread(target=serve); thread.start()
            yield work
            work.put(None); thread.join()
        def ask(server, n):
            done = threading.Event()
            server.put((n, done)); done.wait()
        def test_one(server): ask(server, 1)
        def test_two(server): ask(server, 2)
        pytestmark = []
        @pytest.mark.asyncio(loop_scope="module")
        async def test_three(): await asyncio.create_task(later())
        @pytest.mark.asyncio(loop_scope="module")
        async def test_four(): await asyncio.create_task(later())
        async def later(): shop.price(4)
        """
    )
    run("--kolo-c", plugins=["pytest_asyncio.plugin"]).assert_outcomes(passed=4)
    for name in ("test_one", "test_two", "test_three", "test_four"):
        assert run.tree(name).count("price") == 1, run.tree(name)
    assert len(run.traces()) == 4


def test_xdist_has_a_session_for_each_worker_and_one_summary(run):
    run.pytester.makepyfile(test_run=TESTS)
    done = run("--kolo-c-only-failed", "-n2", plugins=["xdist.plugin"])
    done.assert_outcomes(passed=2, failed=1, skipped=1, xfailed=1, errors=1)
    assert set(run.traces()) == {"test_bad failed", "test_error error"}
    done.stdout.fnmatch_lines(
        ["*last calls before it", "kolo_c: 2 tests' traces stored; see kolo-c list"]
    )


def test_a_worker_that_is_interrupted_is_counted_once(run):
    """pytest-xdist tells twice that it is down."""
    run.pytester.makepyfile(test_run="def test_long(): raise KeyboardInterrupt")
    run("--kolo-c", "-n1", plugins=["xdist"])
    assert "kolo_c: 1 test's trace stored" in run.text
    assert set(run.traces()) == {"test_long interrupted"}


def test_coverage_counts_what_it_counts_without_us(run):
    run.pytester.makepyfile(test_run=TESTS)
    plugins = ["pytest_cov.plugin"]
    found = []
    for options in ((), ("--kolo-c",)):
        run(*options, "--cov=shop", "--cov-report=term", plugins=plugins)
        found.append([li for li in run.text.splitlines() if li.startswith("shop.py")])
    assert found[0] == found[1] != []
    assert "total" in run.tree("test_ok")


def test_a_request_of_djangos_client_joins_the_test(run):
    pytest.importorskip("django")
    run.pytester.makepyfile(
        **DJANGO,
        test_run="""
        def test_page(client, db): assert client.get("/page/").content == b"6"
        def test_live(live_server):
            import urllib.request
            urllib.request.urlopen(live_server.url + "/page/").read()
        """,
    )
    run("--kolo-c", "--ds=site_settings", plugins=["pytest_django.plugin"]
        ).assert_outcomes(passed=2)  # fmt: skip
    for name in ("test_page", "test_live"):
        assert "page\n" in run.tree(name) and run.tree(name).count("price") == 2
    assert len(run.traces()) == 2


def test_a_session_that_runs_already_is_joined(run):
    run.pytester.makepyfile(test_run=TESTS)
    run("--kolo-c", before=("kolo_c", "run", "-m"))
    traces = run.traces()
    assert len(traces) == 7
    assert traces["test_ok"].row.parent == traces["pytest"].id
    assert "total" in run.tree("test_ok") and "total" not in run.tree("pytest")


def test_a_process_that_is_recorded_from_its_start_is_joined(run, monkeypatch):
    """KOLO_C=1, by the line of the .pth file."""
    site = run.pytester.mkdir("site")
    line = (ROOT / "kolo_c.pth").read_text("utf-8").splitlines()[-1]
    (site / "sitecustomize.py").write_text(line, "utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{site}:{PACKAGE_PARENT}")
    monkeypatch.setenv("KOLO_C", "1")
    run.pytester.makepyfile(test_run=TESTS)
    run("--kolo-c-only-failed")
    names = set(run.traces())
    assert {"test_bad failed", "test_error error"} < names
    assert len(names) == 3 and "test_ok" not in names


def test_a_test_that_ends_the_process_keeps_its_trace(run):
    run.pytester.makepyfile(
        test_run="""
        import os, shop
        def test_passes(): shop.price(1)
        def test_dies():
            shop.price(2)
            os._exit(3)
        """
    )
    run("--kolo-c-only-failed")
    (name,) = traces = run.traces()
    assert name == "test_dies" and traces[name].status == "interrupted"


@pytest.mark.parametrize("phase", ["call", "teardown"])
@pytest.mark.parametrize("how", ["KeyboardInterrupt", "pytest.exit('done')"])
def test_a_test_that_is_interrupted_says_so(run, phase, how):
    """Its trace was a failed one that nothing had left: pytest makes no report of what
    ends the run, and `why` said that it ended well."""
    run.pytester.makepyfile(
        test_run=f"""
        import pytest, shop
        def end(phase):
            if phase == "{phase}":
                {how if how.startswith("pytest") else "raise " + how}
        @pytest.fixture
        def basket():
            yield
            end("teardown")
        def test_long(basket): end("call")
        """
    )
    run("--kolo-c-only-failed")
    (info,) = run.traces().values()
    assert info.row.name == "pytest test_run.py::test_long interrupted"
    assert info.attributes["outcome"] == "interrupted"
    raised = how.split("(")[0].replace("pytest.exit", "Exit")
    with Store(run.store) as store:
        trace = Trace(store.catalogue.find(info.id))
        about = boundary_of(trace)
        assert about.left and about.failed
        assert raised in value_text(about.exception, trace.definitions, 100)
    story = run.pytester.run(sys.executable, "-m", "kolo_c", "why").stdout.str()
    assert raised in story.splitlines()[0] and "end(phase=" in story


def test_a_forked_child_of_a_test_is_recorded(run):
    run.pytester.makepyfile(
        test_run="""
        import os, shop
        def test_forks():
            child = os.fork()
            if child == 0:
                shop.price(2)
                os._exit(0)
            os.waitpid(child, 0)
        """
    )
    run("--kolo-c")
    names = list(run.traces())
    assert names[0] == "test_forks" and names[1].endswith("(forked)")


def test_a_run_that_does_not_ask_imports_nothing_of_it(run):
    run.pytester.makepyfile(
        test_run="""
        import sys
        def test_off(kolo_c_trace):
            assert not kolo_c_trace and not kolo_c_trace.set(a=1)
        """,
        conftest="""
        import sys
        def pytest_sessionstart():
            print([name for name in sys.modules if name.startswith("kolo_c")])
        """,
    )
    done = run("-s", "-q")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(
        ["['kolo_c', 'kolo_c.integrations', 'kolo_c.integrations.pytest_plugin']"]
    )
    assert not run.store.exists()


def test_a_store_that_cannot_be_written_stops_the_run(run, monkeypatch):
    run.pytester.makepyfile(test_run=TESTS)
    (run.pytester.path / "file").touch()
    monkeypatch.setenv("KOLO_C_PATH", str(run.pytester.path / "file" / "store"))
    monkeypatch.setenv("KOLO_C_CORE", "nonsense")
    done = run("--kolo-c")
    assert done.ret == 4
    assert "kolo_c records nothing: " in run.text


def test_the_python_core_does_the_same(run, monkeypatch):
    monkeypatch.setenv("KOLO_C_CORE", "python")
    run.pytester.makepyfile(test_run=TESTS)
    run("--kolo-c-slowest=3", "--kolo-c-only-failed")
    assert {"test_bad failed", "test_error error"} <= set(run.traces())
    assert len(run.traces()) in (3, 4, 5)


UNITTESTS = """
    import unittest, shop
    class Case(unittest.TestCase):
        def test_ok(self): self.assertEqual(shop.total([1, 2]), 6)
        def test_bad(self): self.assertEqual(shop.price(1), 3, "the price")
        def test_error(self): raise KeyError("k")
        @unittest.skip("not today")
        def test_skipped(self): pass
        @unittest.expectedFailure
        def test_expected(self): self.fail()
        def test_parts(self):
            for n in (1, 2):
                with self.subTest(n=n): self.assertNotEqual(n, 1)
    class Async(unittest.IsolatedAsyncioTestCase):
        async def test_waits(self): shop.price(1)
"""


def test_a_test_case_under_pytest_is_recorded_once(run):
    run.pytester.makepyfile(test_run=UNITTESTS)
    run("--kolo-c")
    assert len(run.traces()) == 7
    assert run.tree("Case::test_ok").splitlines()[0] == "test"
    assert run.tree("Case::test_ok").count("test\n") == 1
    assert run.tree("Async::test_waits").count("price") == 1


def test_unittest_under_kolo_c_run_has_a_trace_for_each_test(run):
    run.pytester.makepyfile(test_run=UNITTESTS)
    run.pytester.run(
        sys.executable, "-m", "kolo_c", "run", "-q", "-m", "unittest", "test_run"
    )
    traces = run.traces()
    parent = traces.pop("unittest")
    assert set(traces) == {
        f"unittest test_run.{name}"
        for name in (
            "Case.test_ok passed", "Case.test_bad failed", "Case.test_error error",
            "Case.test_skipped skipped", "Case.test_expected xfailed",
            "Case.test_parts failed", "Async.test_waits passed",
        )
    }  # fmt: skip
    assert {info.row.parent for info in traces.values()} == {parent.id}
    with Store(run.store) as store:
        bad = traces["unittest test_run.Case.test_bad failed"]
        about = boundary_of(Trace(store.catalogue.find(bad.id)))
    assert about.fields["message"] == "AssertionError: 2 != 3 : the price"
    assert run.tree("unittest test_run.Async.test_waits passed").count("price") == 1


def test_a_test_of_a_parallel_run_has_its_outcome(run):
    """Django's workers keep events in place of lists of what failed, which they fake:
    what failed under ``--parallel`` was stored as passed, and no ``--failed`` found it.

    Without tblib they cannot send an exception to the first process; here they need not.
    """
    pytest.importorskip("django")
    run.pytester.makepyfile(
        test_run=UNITTESTS,
        worker="""
        import unittest, test_run
        from django.test import runner
        class More(unittest.TestCase):
            @unittest.expectedFailure
            def test_unexpected(self): pass
            def test_broken_part(self):
                with self.subTest(): raise ValueError("v")
                with self.subTest(): self.assertTrue(1)
        class Result(runner.RemoteTestResult):
            def check_picklable(self, test, err): pass
            def check_subtest_picklable(self, test, subtest): pass
        result = Result()
        for case in (test_run.Case, More):
            unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
        assert not result.wasSuccessful()
        """,
    )
    done = run.pytester.run(sys.executable, "-m", "kolo_c", "run", "-q", "-m", "worker")
    assert done.ret == 0
    traces = run.traces()
    assert set(traces) - {"worker"} == {
        f"unittest {name}"
        for name in (
            "test_run.Case.test_ok passed", "test_run.Case.test_bad failed",
            "test_run.Case.test_error error", "test_run.Case.test_skipped skipped",
            "test_run.Case.test_expected xfailed", "test_run.Case.test_parts failed",
            "__main__.More.test_unexpected failed",
            "__main__.More.test_broken_part error",
        )
    }  # fmt: skip
    words = {}
    with Store(run.store) as store:
        for name, info in traces.items():
            about = boundary_of(Trace(store.catalogue.find(info.id)))
            if about is not None and "message" in about.fields:
                words[name.split(".")[-1]] = about.fields["message"]
    assert words == {
        "test_bad failed": "AssertionError: 2 != 3 : the price",
        "test_error error": "KeyError: 'k'",
        "test_skipped skipped": "not today",
        "test_parts failed": "AssertionError: 1 == 1",
        "test_broken_part error": "ValueError: v",
    }


@pytest.mark.parametrize("core", ["c", "python"])
def test_what_tblib_runs_to_make_a_traceback_is_no_call(run, monkeypatch, core):
    """Django's workers send tracebacks by it. It makes one by running code that raises
    under the names of the program's functions: these were calls in the trace of each
    test that failed, and `why` told of a NameError of theirs. Here is one of its shape.
    """
    monkeypatch.setenv("KOLO_C_CORE", core)
    run.pytester.makepyfile(
        tblib="""
        class Traceback:
            def as_traceback(self):
                stub = compile("raise __traceback_maker", "<string>", "exec")
                code = stub.replace(co_filename=self.file, co_name="price")
                try:
                    exec(code, {"__name__": "shop"}, {})
                except Exception:
                    pass
        """,
        test_run="""
        import tblib, unittest, shop
        class Case(unittest.TestCase):
            def test_bad(self):
                shop.total([1])
                made = tblib.Traceback()
                made.file = shop.__file__
                made.as_traceback()
                self.assertEqual(shop.price(1), 3)
        """,
    )
    run.pytester.run(
        sys.executable, "-m", "kolo_c", "run", "-q", "-m", "unittest", "test_run"
    )
    tree = run.tree("unittest test_run.Case.test_bad failed")
    assert "<module>" not in tree
    assert [line.strip() for line in tree.splitlines() if "price" in line] == [
        "price", "price"
    ]  # fmt: skip
    id = run.traces()["unittest test_run.Case.test_bad failed"].id
    told = run.pytester.run(sys.executable, "-m", "kolo_c", "why", id).stdout.str()
    assert "AssertionError" in told and "Case.test_bad()" in told
    assert "NameError" not in told


@pytest.mark.parametrize("core", ["c", "python"])
def test_a_class_that_cannot_be_set_up_has_a_failed_trace(run, monkeypatch, core):
    """None of its tests ran, so nothing in the store said that something had failed,
    but for the exit code of the process."""
    monkeypatch.setenv("KOLO_C_CORE", core)
    run.pytester.makepyfile(
        test_run="""
        import unittest, shop
        class Up(unittest.TestCase):
            @classmethod
            def setUpClass(cls): shop.total(None)
            def test_it(self): pass
        class Down(unittest.TestCase):
            @classmethod
            def tearDownClass(cls): shop.total(None)
            def test_it(self): pass
        class Skip(unittest.TestCase):
            @classmethod
            def setUpClass(cls): raise unittest.SkipTest("not today")
            def test_it(self): pass
        class Within(unittest.TestCase):
            def test_it(self):
                loader = unittest.defaultTestLoader
                loader.loadTestsFromTestCase(Up).run(unittest.TestResult())
        """
    )
    run.pytester.run(
        sys.executable, "-m", "kolo_c", "run", "-q", "-m", "unittest", "test_run"
    )
    traces = run.traces()
    names = {
        "Up.setUpClass error", "Down.test_it passed", "Down.tearDownClass error",
        "Skip.setUpClass skipped", "Within.test_it passed",
    }  # fmt: skip
    assert set(traces) - {"unittest"} == {f"unittest test_run.{name}" for name in names}
    assert FAILURE in traces["unittest test_run.Up.setUpClass error"].own
    passed = traces["unittest test_run.Within.test_it passed"]
    assert FAILURE not in passed.own
    why = (sys.executable, "-m", "kolo_c", "why")
    for name in ("Up.setUpClass", "Down.tearDownClass"):
        id = traces[f"unittest test_run.{name} error"].id
        told = run.pytester.run(*why, id).stdout.str()
        first = told.splitlines()[0]
        assert first.startswith("✗ ")
        assert first.endswith(f" failed unittest test_run.{name} (error)")
        assert "TypeError: 'NoneType' object is not iterable" in told
        assert "raised in total, shop.py:4" in told
    listed = run.pytester.run(sys.executable, "-m", "kolo_c", "list", "--failed")
    assert listed.stdout.str().count("Class error") == 2


def test_djangos_runner_has_a_trace_for_each_test(run):
    pytest.importorskip("django")
    run.pytester.makepyfile(
        **DJANGO,
        test_run="""
        from django.test import TestCase
        class Pages(TestCase):
            def test_page(self): self.assertEqual(self.client.get("/page/").content, b"6")
        """,
    )
    run.pytester.run(
        sys.executable, "-m", "kolo_c", "run", "-q", "-m", "django", "test",
        "--settings=site_settings", "--pythonpath=.",
    )  # fmt: skip
    tree = run.tree("unittest test_run.Pages.test_page passed")
    assert "page\n" in tree and tree.count("price") == 2


def test_the_page_for_pytest_says_what_happens(run):
    """Its files, and its commands one after the other."""
    page = ROOT / "docs" / "howto" / "pytest.md"
    (run.pytester.path / "shop.py").unlink()
    for body in blocks(page, "python"):
        name = body.partition("\n")[0].removeprefix("# ")
        (run.pytester.path / name).write_text(body.partition("\n")[2], "utf-8")
    ran = 0
    for command, lines in steps(page):
        program, *words = shlex.split(command)
        if program == "pytest":
            run(*words)
        else:
            assert program == "kolo-c"
            run.text = run.pytester.run(
                sys.executable, "-m", "kolo_c", *words
            ).stdout.str()
        said = [comparable(line) for line in run.text.splitlines()]
        for line in map(comparable, lines):
            assert any(like(line, each) for each in said), f"{line}\n{run.text}"
        ran += 1
    assert ran == 5


def like(line, said):
    """Where a line of the page ends with …, what it begins with will do."""
    before, cut, _ = line.partition("…")
    return said.startswith(before.strip()) if cut else said == line


def test_the_plugin_is_an_entry_point():
    tomllib = pytest.importorskip("tomllib")
    text = ROOT.joinpath("pyproject.toml").read_text("utf-8")
    found = tomllib.loads(text)["project"]["entry-points"]["pytest11"]
    assert found == {"kolo_c": "kolo_c.integrations.pytest_plugin"}


@pytest.mark.parametrize(
    ("before", "options"),
    [((), ("--kolo-c",)), (("kolo_c", "run", "--quiet", "-m"), ())],
    ids=["its option", "run"],
)
def test_modules_of_ours_are_imported_by_our_loader_in_a_wheel(
    run, monkeypatch, before, options
):
    """pytest rewrites what a distribution with a plugin has, and warns where it came too
    late: a suite that has warnings be errors did not begin under ``kolo-c run``. What it
    rewrote had the program's builtins.
    """
    installed = run.pytester.path / "installed"
    about = installed / "kolo_c-0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: kolo-c\nVersion: 0\n")
    (about / "entry_points.txt").write_text(
        "[pytest11]\nkolo_c = kolo_c.integrations.pytest_plugin\n"
    )
    (about / "RECORD").write_text("kolo_c/__init__.py,,\n_kolo_c_start.py,,\n")
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.setenv("PYTHONPATH", f"{installed}{os.pathsep}{PACKAGE_PARENT}")
    run.pytester.makepyfile(
        test_run="""
        import sys
        import _kolo_c_start
        def test_loaders():
            rewriting = type(__loader__)
            assert rewriting.__name__ == "AssertionRewritingHook"
            assert not [
                name for name, module in sys.modules.items()
                if name.startswith("kolo_c.plugins")
                and isinstance(module.__loader__, rewriting)
            ]
            assert "kolo_c.plugins.registry" in sys.modules
        """
    )
    words = ["-p", "no:cacheprovider", "-p", "_kolo_c_start"]
    words += ["-W", "error::pytest.PytestAssertRewriteWarning"]
    done = run.pytester.run(
        sys.executable, "-m", *before, "pytest", *words, *options, "test_run.py"
    )
    done.assert_outcomes(passed=1)
