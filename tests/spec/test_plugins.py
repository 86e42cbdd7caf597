"""Plugins: what they watch is shown to them, and what they make of it is recorded.

Also of code that no filter keeps, suspended or raised through, on both cores and every
hook; whatever a handler does, the program goes on as without it.
"""

from __future__ import annotations

import pytest

from kolo_c.wire import Kind
from tests.spec.pypy import not_on_pypy
from tests.spec.tracing import expected, knows_exceptions

PLUGINS = """
import kolo_c

class Query(kolo_c.Plugin):
    watch = ("__main__:Db.execute", "__main__:fetch", "__main__:stream", "json:dumps")
    kind = kolo_c.Kind("sql", "SQL", "blue", "{text}[ · {rows} rows]")

    def start(self, frame):
        return {"text": frame.f_locals.get("sql", "?"), "_own": [1]}

    def finish(self, frame, value, exception, started):
        assert started["_own"] == [1]
        return {"rows": value if type(value) is int else None, "_own": 2}

kolo_c.plugin(Query)

def helper(sql):
    if "bad" in sql:
        raise KeyError(sql)
    return len(sql)

class Db:
    def execute(self, sql):
        return helper(sql)
"""


def test_a_watched_call_is_within_its_record(trace):
    traced = trace(PLUGINS + "Db().execute('select')\n", config={})
    assert traced.calls(sites=True).splitlines()[-3:] == [
        "SQL(text='select', rows=6) @25 ends",
        "  Db.execute(self=<Db>, sql='select') @25 -> 6",
        "    helper(sql='select') @24 -> 6",
    ]


def test_code_that_is_skipped_is_shown_to_plugins_all_the_same(trace):
    traced = trace(
        PLUGINS
        + """
import json
class Lazy(dict): pass
def default(value):
    return 1
def user():
    json.dumps({'a': object()}, default=default)
user()
"""
    )
    assert traced.calls(sites=True).splitlines()[-3:] == [
        "user() @32 -> None",
        "  SQL(text='?', rows=None) @31 ends",
        "    default(value=<object>) @31 -> 1",
    ]


def test_an_exception_leaves_the_record_too(trace):
    traced = trace(
        PLUGINS
        + """
try:
    Db().execute('bad')
except KeyError:
    pass
after = helper('good')
"""
    )
    end = "KeyError('bad')" if knows_exceptions() else "?"
    lines = traced.calls().splitlines()
    assert lines[-4] == f"SQL(text='bad', rows=None) raises {end}"
    assert lines[-3].startswith("  Db.execute(self=<Db>, sql='bad') raises ")


def test_a_coroutine_is_suspended_with_its_record(trace):
    traced = trace(
        PLUGINS
        + """
import asyncio
async def fetch(sql):
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return helper(sql)
async def main():
    return await asyncio.gather(fetch('a'), fetch('bb'))
asyncio.run(main())
"""
    )
    text = traced.calls()
    assert "SQL(text='a', rows=1) yields None, None ends" in text
    assert "SQL(text='bb', rows=2) yields None, None ends" in text
    assert "    helper(sql='bb') -> 2" in text


def test_a_generator_that_is_skipped_keeps_its_record_between_its_steps(trace):
    traced = trace(
        PLUGINS
        + """
def stream(sql):
    yield 1
    helper('within')
    yield 2
def consume():
    for item in stream('s'):
        helper('between')
consume()
""",
        config={"ignore_frames": ["module:__main__:stream"]},
    )
    assert traced.calls().endswith(
        expected(
            """
            consume() -> None
              SQL(text='s', rows=None) yields None, None ends
                helper(sql='within') -> 6
              helper(sql='between') -> 7
              helper(sql='between') -> 7
            """
        )
    )


def test_start_may_decline_and_when_may_refuse(trace):
    traced = trace(
        """
        import kolo_c
        class Declines(kolo_c.Plugin):
            watch = "__main__:f"
            kind = kolo_c.Kind("declined")
            def start(self, frame):
                return None if frame.f_locals["n"] == 1 else {"n": frame.f_locals["n"]}
        class Refuses(kolo_c.Plugin):
            watch = "__main__:f"
            kind = kolo_c.Kind("refused")
            def when(self, frame):
                return frame.f_locals["n"] == 3
        kolo_c.plugin(Declines)
        kolo_c.plugin(Refuses)
        def f(n): return n
        for n in (1, 2, 3): f(n)
        """
    )
    assert traced.calls().endswith(
        expected(
            """
            f(n=1) -> 1
            DECLINED(n=2) ends
              f(n=2) -> 2
            DECLINED(n=3) ends
              REFUSED() ends
                f(n=3) -> 3
            """
        )
    )


BROKEN = """
import kolo_c

class Broken(kolo_c.Plugin):
    watch = "__main__:f"
    kind = kolo_c.Kind("broken")
    def start(self, frame):
        if frame.f_locals["n"] == 1:
            raise ValueError("no good")
        return {"n": frame.f_locals["n"]}
    def finish(self, frame, value, exception):
        if value == 2:
            return "not a dict"
        1 / 0

kolo_c.plugin(Broken)
def f(n): return n
print([f(n) for n in (1, 2, 3)])
"""


def test_a_handler_that_raises_is_said_once_and_disturbs_nothing(trace):
    traced = trace(BROKEN, clean=False)
    assert traced.stdout == "[1, 2, 3]\n"
    lines = [line.strip() for line in traced.calls().splitlines()]
    at = lines.index("BROKEN(n=2) ends")
    assert lines[at - 1 : at + 2] == ["f(n=1) -> 1", lines[at], "f(n=2) -> 2"]
    problems = traced.infos()[0].attributes["problems"]
    assert problems == [
        "the plugin Broken failed (3 times): start(): ValueError: no good"
    ]


REQUEST = """
import asyncio
import kolo_c

class Request(kolo_c.Plugin):
    watch = ("__main__:handle", "__main__:ahandle")
    kind = kolo_c.Kind("request", "", "green", "{method} {path}[ → {status}]")
    boundary = True
    attributes = ("path", "status")
    def start(self, frame):
        return {"method": "GET", "path": frame.f_locals["path"]}
    def finish(self, frame, value, exception):
        return {"status": 500 if exception is not None else value}

kolo_c.plugin(Request)
def view(path):
    if path == "/bad":
        raise KeyError(path)
    return 200
def handle(path):
    return view(path)
async def ahandle(path):
    await asyncio.sleep(0)
    return view(path)
"""


def test_a_boundary_is_a_trace_of_its_own_named_by_its_summary(trace):
    traced = trace(
        REQUEST
        + """
def before(): pass
before()
handle('/a')
try:
    handle('/bad')
except KeyError:
    pass
before()
"""
    )
    process, first, second = traced.infos()
    assert [first.row.name, second.row.name] == ["GET /a → 200", "GET /bad → 500"]
    assert [first.row.kind, second.row.kind] == ["request", "request"]
    assert first.row.parent == second.row.parent == process.id
    assert first.attributes == {"path": "/a", "status": 200}
    assert traced.calls().splitlines()[-2:] == ["before() -> None"] * 2
    assert traced.calls(1) == expected(
        """
        REQUEST(method='GET', path='/a', status=200) ends
          handle(path='/a') -> 200
            view(path='/a') -> 200
        """
    )


def test_a_boundary_says_the_same_where_its_facts_are_simple_and_where_not(trace):
    traced = trace(
        REQUEST
        + """
import threading
from kolo_c.scope import SCOPE
def view(path):
    if path == "/set":
        kolo_c.current().set(customer=7, password="hunter22")
    if path == "/told":
        kolo_c.current().name = "another"
    if path == "/held":
        numbers.append(SCOPE.session.boundaries.hold())
    return Answer() if path == "/answer" else 200
class Answer(int): pass
numbers = []
paths = ["/plain", "/täglich", "/set", "/told", "/answer", "/held", "/" + 300 * "x",
         "/ghp_" + 36 * "a", "/plain"]
for path in paths:
    handle(path)
boundaries = SCOPE.session.boundaries
print([boundaries.is_open(number) for number in numbers])
boundaries.add(numbers[0], {"status": 204})
boundaries.release(numbers[0])
print([boundaries.is_open(number) for number in numbers])
"""
    )
    assert traced.stdout == "[True]\n[False]\n"
    found = {info.row.name: dict(info.attributes) for info in traced.infos()[1:]}
    long = "/" + 300 * "x"
    assert found == {
        "GET /plain → 200": {"path": "/plain", "status": 200},
        "GET /täglich → 200": {"path": "/täglich", "status": 200},
        "GET /set → 200": {
            "customer": 7,
            "password": "***",
            "path": "/set",
            "status": 200,
        },
        "GET /told → 200": {"path": "/told", "status": 200},
        "GET /answer → 0": {"path": "/answer", "status": 0},
        "GET /held → 204": {"path": "/held", "status": 204},
        f"GET {long[:199]}… → 200": {"path": long, "status": 200},
        "GET /*** → 200": {"path": "/***", "status": 200},
    }
    assert len(traced.infos()) == 10
    assert {info.row.cause for info in traced.infos()} == {"exit"}


def test_boundaries_that_are_interleaved_have_their_own_calls(trace):
    traced = trace(
        REQUEST
        + """
async def main():
    await asyncio.gather(ahandle('/a'), ahandle('/b'))
asyncio.run(main())
"""
    )
    assert sorted(info.row.name for info in traced.infos()[1:]) == [
        "GET /a → 200",
        "GET /b → 200",
    ]
    for index in (1, 2):
        path = traced.infos()[index].attributes["path"]
        assert traced.calls(index) == expected(
            f"""
            REQUEST(method='GET', path='{path}', status=200) yields None ends
              ahandle(path='{path}') yields None -> 200
                view(path='{path}') -> 200
            """
        )


def test_a_boundary_within_another_joins_it(trace):
    traced = trace(
        REQUEST
        + """
def view(path):
    return handle(path[1:]) if path else 404
handle('//')
"""
    )
    assert len(traced.infos()) == 2
    assert traced.calls(1).startswith(
        expected(
            """
            REQUEST(method='GET', path='//', status=404) ends
              handle(path='//') -> 404
                view(path='//') -> 404
                  REQUEST(method='GET', path='/', status=404) ends
            """
        )
    )


def test_a_pause_is_one_for_plugins_too(trace):
    traced = trace(
        PLUGINS
        + """
with kolo_c.pause():
    Db().execute('unseen')
Db().execute('seen')
"""
    )
    assert "unseen" not in traced.calls()
    assert "SQL(text='seen', rows=4) ends" in traced.calls()


def test_secret_fields_are_masked_and_long_ones_cut(trace):
    traced = trace(
        """
        import kolo_c
        class Big(kolo_c.Plugin):
            watch = "__main__:f"
            kind = kolo_c.Kind("big")
            def start(self, frame):
                return {"password": "hunter22", "text": "x" * 10000}
        kolo_c.plugin(Big)
        def f(value): return value
        f("hunter22")
        """
    )
    text = traced.calls()
    assert "hunter22" not in text
    assert "password=<masked, 8 long>" in text
    (record,) = [
        record
        for stream in traced.trace().streams
        for record in stream.records()
        if record.kind == Kind.PLUGIN
    ]
    cut = dict(record.values.pairs)["text"]
    assert (len(cut.text), cut.length) == (4096, 10_000)


def test_the_program_may_emit_records_of_a_kind(trace):
    traced = trace(
        """
        import types
        import kolo_c
        from kolo_c.plugins import emit
        KIND = kolo_c.Kind("step", "STEP", "pink", "{name}")
        def f(n): return n
        def work():
            emitted = emit.begin(KIND, {"name": "one", "_private": object()})
            f(1)
            emit.finish(emitted, {"done": True})
            emit.point(KIND, types.MappingProxyType({"name": "two"}))
            emit.log(30, "shop", "low on tea")
            again = emit.begin(KIND, {"name": "three"})
            emit.finish(again, exception=KeyError(3))
        work()
        """
    )
    assert traced.calls() == expected(
        """
        work() -> None
          STEP(name='one', done=True) ends
            f(n=1) -> 1
          STEP(name='two') ends
          log 30 shop low on tea() logged
          STEP(name='three') raises KeyError(3)
        """
    )


NATIVE = """
from kolo_c.plugins.spec import LIMITS
from kolo_c.scope import SCOPE

native = SCOPE.session.native

def watch(qualname, finish, **more):
    index = native.add_plugin(qualname)
    native.define_plugin(index, None, None, None, finish, 0, LIMITS, 0, **more)
    native.watch(index, "__main__", qualname, None)
    native.forget_verdicts()
"""


def test_a_plugin_meets_each_code_object_once_and_its_calls_if_it_wants_them(trace):
    traced = trace(
        NATIVE
        + """
met = []

def finish(frame, value, exception, started):
    met.append(value)

def failing(code):
    raise KeyError(code.co_name)

def first(): return 1
def second(): return 2
def third(): return 3

watch("first", None, meets=lambda code: met.append(code.co_name))
watch("second", finish, meets=lambda code: met.append(code.co_name))
watch("third", finish, meets=failing)
for _ in range(2):
    first(), second(), third()
print(met)
for name, calls, _, errors, words in native.plugin_stats():
    if name in ("first", "second", "third"):
        print(name, calls, errors, words)
"""
    )
    assert traced.stdout.splitlines() == [
        "['first', 'second', 2, 3, 2, 3]",
        "second 2 0 ",
        "third 2 1 meets(): KeyError: 'third'",
    ]


def test_what_returns_ignored_functions_alone_is_not_shown_to_a_plugin(trace):
    traced = trace(
        NATIVE
        + """
shown = []

def finish(frame, value, exception, started):
    shown.append(value if exception is None else exception)

def ours(): pass
def theirs(): pass

class Loud:
    __name__ = "loud"
    def __hash__(self): raise AssertionError
    def __eq__(self, other): raise AssertionError

def given(value):
    if value is None:
        raise KeyError("given")
    return value

loud = Loud()
watch("given", finish, ignored={theirs})
for value in [theirs], ([theirs, theirs], []), [], ([theirs], ours), (theirs,), 7, "":
    given(value)
given([theirs, ours])
given(([], [theirs, loud]))
try:
    given(None)
except KeyError:
    pass
print([
    "ours" if one == ([theirs], ours) else type(one).__name__ for one in shown[:4]
])
print(shown[4] == [theirs, ours], shown[5][1][1] is loud, repr(shown[6]))
"""
    )
    assert traced.stdout.splitlines() == [
        "['ours', 'tuple', 'int', 'str']",
        "True True KeyError('given')" if knows_exceptions() else "True True True",
    ]


def test_a_plugin_installs_when_its_module_is_imported_and_removes_at_the_end(trace):
    traced = trace(
        """
        import sys
        import kolo_c
        class Patch(kolo_c.Plugin):
            name = "patch"
            modules = ("colorsys",)
            def install(self):
                sys.modules["colorsys"].patched = True
            def remove(self):
                del sys.modules["colorsys"].patched
                print("removed")
        kolo_c.plugin(Patch)
        def use():
            import colorsys
            return colorsys.patched
        print(use())
        """
    )
    assert traced.stdout == "True\nremoved\n"


@not_on_pypy("what nobody holds is gone when the collector comes by")
@pytest.mark.parametrize("name", ["plain", "suspended"])
def test_handlers_do_not_keep_what_they_saw_alive(trace, name):
    body = {
        "plain": "def f(item): return None\nf(Item())",
        "suspended": "def f(item):\n    yield 1\nfor _ in f(Item()): pass",
    }[name]
    traced = trace(
        f"""
import kolo_c
class Keeps(kolo_c.Plugin):
    watch = "__main__:f"
    kind = kolo_c.Kind("keeps")
    def start(self, frame):
        return {{"_item": frame.f_locals["item"]}}
kolo_c.plugin(Keeps)
class Item:
    def __del__(self): print("gone")
{body}
print("after")
"""
    )
    assert traced.stdout == "gone\nafter\n"


@pytest.mark.hooks("setprofile")
def test_two_threads_may_load_a_built_in_plugin_at_the_same_time(trace):
    """While the one imported it the other had: it was told that it had failed."""
    traced = trace(
        """
import kolo_c.session
plugins = kolo_c.scope.SCOPE.session.plugins
assert plugins._lines
for index in plugins._lines:
    plugins.load(index)
    plugins.load(index)
print(plugins.all_problems())
"""
    )
    assert traced.stdout == "[]\n"


def test_a_handler_sees_who_called(trace):
    """Also of a generator that ends by what is thrown into it."""
    traced = trace(
        """
        import kolo_c
        seen = []
        class Callers(kolo_c.Plugin):
            watch = ("__main__:step", "__main__:close")
            def start(self, frame):
                seen.append((frame.f_code.co_name, frame.f_back.f_code.co_name))
                return {}
            def finish(self, frame, value, exception):
                seen.append(("end", frame.f_back.f_code.co_name))
        kolo_c.plugin(Callers())
        def close(n): return n
        def step():
            try:
                yield 1
            finally:
                close(2)
        def outer():
            with_one = step()
            next(with_one)
            with_one.close()
            del with_one
            for _ in range(3): close(3)
        for _ in range(2):
            outer()
        print(sorted(set(seen)))
        """
    )
    assert traced.stdout == (
        "[('close', 'outer'), ('close', 'step'), ('end', 'outer'), ('end', 'step'),"
        " ('step', 'outer')]\n"
    )


def test_a_handler_leaves_records_that_are_whole_at_once(trace):
    """``log`` and ``point``; ``begin`` does nothing there."""
    traced = trace(
        """
        import kolo_c
        from kolo_c.plugins import emit
        SEEN = kolo_c.Kind("seen", "SEEN", "blue", "{at}")
        class Says(kolo_c.Plugin):
            watch = "__main__:work"
            kind = kolo_c.Kind("work", "WORK", "red", "work")
            def start(self, frame):
                assert emit.begin(SEEN, {"at": "never"}) is None
                emit.log(20, "shop", "begins")
                return {}
            def finish(self, frame, value, exception):
                for n in range(40): emit.point(SEEN, {"at": f"end {n}"})
                helper()
                return {"n": 1}
        kolo_c.plugin(Says)
        def helper(): pass
        def work(): helper()
        def main(): work()
        main()
        """
    )
    found = traced.calls().splitlines()
    at = next(n for n, line in enumerate(found) if "main(" in line)
    assert "log" in found[at + 1] and "begins" in found[at + 1]
    assert "WORK" in found[at + 2]
    assert sum("SEEN" in line for line in found) == 40
    assert sum("helper(" in line for line in found) == 1


def test_a_boundary_apart_opens_a_trace_within_another_s(trace):
    """Also where both are coroutines that are suspended."""
    traced = trace(
        """
        import asyncio, kolo_c
        class Outer(kolo_c.Plugin):
            watch = "__main__:outer"
            kind = kolo_c.Kind("outer", "OUTER", "red", "outer")
            boundary = True
        class Inner(kolo_c.Plugin):
            watch = "__main__:inner"
            kind = kolo_c.Kind("inner", "INNER", "red", "inner")
            boundary = apart = True
        kolo_c.plugin(Outer)
        kolo_c.plugin(Inner)
        def step(where): pass
        async def inner():
            step("inner 1"); await asyncio.sleep(0); step("inner 2")
        async def outer():
            step("outer 1"); await asyncio.sleep(0)
            await inner()
            step("outer 2")
        asyncio.run(outer())
        """
    )
    infos = {info.row.name: number for number, info in enumerate(traced.infos())}

    def steps(name):
        found = [traced.whole(infos[name], stream) for stream in (1,)]
        return [line.split("'")[1] for line in found[0].splitlines() if "step(" in line]

    assert steps("outer") == ["outer 1", "outer 2"]
    assert steps("inner") == ["inner 1", "inner 2"]
    outer, inner = (traced.infos()[infos[name]] for name in ("outer", "inner"))
    assert inner.row.parent == outer.row.id


@not_on_pypy("a fork's child goes on there without a recorder")
@pytest.mark.parametrize(
    ("handler", "boundary"), [("start", False), ("finish", False), ("finish", True)]
)
def test_a_handler_may_fork(trace, handler, boundary):
    traced = trace(
        f"""
        import os, kolo_c
        children = []
        @kolo_c.plugin
        class Forks(kolo_c.Plugin):
            watch = "__main__:watched"
            kind = kolo_c.Kind("forks", "Forks", "red", "forks")
            boundary = {boundary}
            def fork(self):
                children.append(os.fork())
                if children[-1]:
                    assert os.waitpid(children[-1], 0)[1] == 0
                return {{}}
            def {handler}(self, *_):
                return {{}} if children else self.fork()
        def within(): pass
        def watched(): within()
        watched()
        watched()
        print("over", flush=True)
        """
    )
    assert traced.stdout == "over\nover\n"


@pytest.mark.parametrize("handler", ["holds", "settings", "stored"])
def test_a_boundary_s_handler_that_fails_is_named_and_its_traces_end(trace, handler):
    traced = trace(
        f"""
        import kolo_c
        @kolo_c.plugin
        class Request(kolo_c.Plugin):
            watch = "__main__:view"
            kind = kolo_c.Kind("request", "REQUEST", "red", "request")
            boundary = True
            def holds(self, fields): return True
            def {handler}(self, *_): raise ValueError("no")
        def view(): pass
        for _ in range(3): view()
        """,
        clean=False,
    )
    infos = traced.infos()
    assert len(infos) == 4
    assert {info.row.cause for info in infos} == {"exit"}
    problems = traced.trace().info.attributes["problems"]
    assert problems == [f"the plugin Request failed: {handler}(): ValueError: no"]


def test_a_boundary_counts_what_happens_in_it(trace):
    traced = trace(
        """
        import kolo_c
        class Request(kolo_c.Plugin):
            watch = "__main__:handle"
            kind = kolo_c.Kind("request", "", "green", "{n}")
            boundary = True
            def start(self, frame):
                return {"n": frame.f_locals["n"]}
        kolo_c.plugin(Request)
        def login(password): pass
        def read(text): pass
        def step(n): pass
        def handle(n):
            if n == 1:
                login("hunter2-correct-horse")
                read("x" * 100_000)
            for i in range(2_000 if n == 1 else 2):
                step(i)
        for n in range(3):
            handle(n)
        """
    )
    before, within, after = (traced.trace(number).info for number in (1, 2, 3))
    assert [info.row.name for info in (before, within, after)] == ["0", "1", "2"]
    for other in before, after:
        assert [other.count(name) for name in ("masked", "truncated")] == [0, 0]
    assert [within.count(name) for name in ("masked", "truncated")] == [1, 1]
    process = traced.trace(0).info
    assert [process.count(name) for name in ("masked", "truncated")] == [0, 0]
    own = [info.count("own_ns") for info in (before, within, after)]
    assert min(own) > 0 and sum(own) <= process.count("own_ns")


def test_a_plugin_too_many_for_a_function_is_named(trace):
    """The ninth was left out and nobody knew; which one, each core had its own idea."""
    traced = trace(
        """
import kolo_c
def plugin(number):
    kolo_c.plugin({
        "name": f"p{number}", "watch": "__main__:f" if number % 2 else "__main__:?",
        "kind": kolo_c.Kind(f"p{number}", "P", "blue", "{n}"),
        "start": lambda frame: {"n": number},
    })
for number in range(10):
    plugin(number)
def f(): pass
f()
f()
""",
        clean=False,
    )
    tree = traced.calls()
    assert tree.count("(n=0)") == tree.count("(n=7)") == 2
    assert "(n=8)" not in tree
    problems = traced.trace().info.attributes["problems"]
    said = "failed: watching: RuntimeError: 8 plugins watch f already"
    assert problems == [f"the plugin p8 {said}", f"the plugin p9 {said}"]


def test_a_trace_too_many_is_said_with_the_reason(trace):
    traced = trace(
        """
import asyncio, kolo_c
class Job(kolo_c.Plugin):
    watch = "__main__:job"
    kind = kolo_c.Kind("job", "JOB", "blue", "job")
    boundary = True
kolo_c.plugin(Job)
async def job(gate):
    await gate.wait()
async def main():
    gate = asyncio.Event()
    tasks = [asyncio.create_task(job(gate)) for _ in range(260)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)
asyncio.run(main())
""",
        clean=False,
    )
    infos = traced.infos()
    problems = infos[0].attributes["problems"]
    assert len(infos) == 256
    assert (
        "5 traces were not begun, whose calls are in others: "
        "more than 256 traces are open at once" in problems
    )


def test_a_handler_that_sleeps_holds_the_end_no_longer_than_the_disk_may(trace):
    """The end of a program waited for 7 seconds for it."""
    traced = trace(
        """
import atexit, threading, time
import kolo_c
began = threading.Event()
def start(frame):
    began.set()
    time.sleep(30)
kolo_c.plugin({"name": "slow", "watch": "__main__:f", "start": start,
               "kind": kolo_c.Kind("slow", "S", "blue", "")})
def f(): pass
threading.Thread(target=f, daemon=True).start()
began.wait()
from kolo_c.scope import active_session
session = active_session()
before = time.monotonic()
session.stop()
print(time.monotonic() - before < 2)
""",
        config={"wait_max": 0.2},
        clean=False,
    )
    assert traced.stdout == "True\n"
