"""``kolo_c.open``: what was recorded, as objects; also of a program while it runs."""

from __future__ import annotations

import datetime
import decimal
import json
import pathlib
import sys
import uuid

import pytest

import kolo_c
from kolo_c.cli.main import main
from kolo_c.errors import KoloError, StoreNotFound, TraceNotFound
from kolo_c.reading import (
    UNBOUND,
    Cycle,
    EnumMember,
    FunctionRef,
    Instance,
    Masked,
    Raised,
    Subclass,
    Truncated,
)
from tests.spec.pypy import not_on_pypy
from tests.spec.tracing import knows_exceptions


@pytest.fixture
def opened(trace):
    """``opened(source, …)``: run it and open its newest trace."""
    stores = []

    def run(source, **more):
        traced = trace(source, **more)
        stores.append(kolo_c.open(traced.project))
        return stores[-1].latest()

    yield run
    for store in stores:
        store.close()


def test_a_call_has_what_it_was_given_and_what_came_of_it(opened):
    trace = opened(
        """
        class Cart:
            def total(self, *prices, tax=0.5, **more):
                return sum(prices)
        def main():
            return Cart().total(1, 2, x='y')
        main()
        """
    )
    (call,) = trace.calls(function="total")
    assert call == trace.calls("Cart.total").first()
    assert call == trace.calls("__main__.Cart.t*").first()
    assert trace.calls("nothing").first() is None
    assert trace.calls("total", module="other").first() is None
    arguments = call.arguments
    assert isinstance(arguments.pop("self"), Instance)
    assert arguments == {"prices": (1, 2), "tax": 0.5, "more": {"x": "y"}}
    assert (call.result, call.exception, call.status) == (3, None, "returned")
    assert call.duration_ns >= 0
    assert call.thread == trace.threads[0]
    assert call.path.endswith("program.py")
    assert (call.line, call.caller_line) == (3, 6)
    assert call.source.text.startswith("    def total(")
    assert call.source.text.endswith("return sum(prices)\n")
    assert call.parent.function == "main"
    assert call.parent.parent.function == "<module>"
    assert call.parent.parent.parent is None
    assert [child.function for child in call.parent.children] == ["Cart.total"]
    assert list(call.children) == []
    assert trace.call(call.node) == call
    assert call.id == f"{trace.id}/{call.node}"
    began = call.started_at - trace.started_at
    assert datetime.timedelta(0) <= began < datetime.timedelta(seconds=60)


def test_values_are_pythons_own_where_they_can_be(opened):
    trace = opened(
        """
        import collections, datetime, decimal, enum, pathlib, uuid
        class Colour(enum.Enum): RED = 1
        class Text(str): pass
        class Fields(dict): pass
        Point = collections.namedtuple('Point', 'x y')
        class Thing:
            def __init__(self): self.size = (1, [2])
        def f(value): pass
        loop = []
        loop.append(loop)
        for value in (
            None, True, 1 << 80, 1.5, 'x', b'b', (1, 2), {1, 2}, {'a': {2: (3,)}}, [[]],
            datetime.date(2026, 1, 2), decimal.Decimal('1.5'), uuid.UUID(int=5),
            pathlib.PurePosixPath('/a'), Colour.RED, Text('t'), Fields(a=1), Point(1, 2),
            Thing(), f, loop, KeyError('k'), 'x' * 5000, list(range(100)),
        ): f(value)
        """
    )
    values = [call.arguments["value"] for call in trace.calls("f")]
    assert values[:10] == [
        *(None, True, 1 << 80, 1.5, "x", b"b", (1, 2), {1, 2}, {"a": {2: (3,)}}, [[]]),
    ]
    assert str(values[10:14]) == str(
        [
            datetime.date(2026, 1, 2),
            decimal.Decimal("1.5"),
            uuid.UUID(int=5),
            pathlib.PurePosixPath("/a"),
        ]
    )
    member, text, fields, point, thing, function, loop, error, long, many = values[14:]
    assert member == EnumMember("__main__.Colour", "RED", 1)
    assert (text.type, text.value) == ("__main__.Text", "t")
    assert isinstance(fields, Subclass) and fields.value == {"a": 1}
    assert point == Instance("__main__.Point", None, {"x": 1, "y": 2})
    assert (thing.type, thing.fields) == ("__main__.Thing", {"size": (1, [2])})
    assert function == FunctionRef("__main__.f")
    assert loop == [Cycle(1)]
    assert str(error) == "KeyError('k')"
    assert isinstance(long, Truncated) and long.value == "x" * len(long.value)
    assert (long.length, long.type) == (5000, "str")
    assert (many.value, many.length, many.type) == (list(range(32)), 100, "list")


def test_secrets_and_what_is_unbound_stand_in_for_themselves(opened):
    trace = opened(
        """
        def f(password):
            if password is None: late = 1
            raise ValueError
        try: f('secret words')
        except ValueError: pass
        """
    )
    call = trace.calls("f").first()
    assert call.arguments == {"password": Masked(12)}
    assert call.locals == {"late": UNBOUND}


def test_exceptions_are_found_where_they_were_raised(opened):
    trace = opened(
        """
        def deep(): raise KeyError('a')
        def middle(): deep()
        def translate():
            try: middle()
            except KeyError: note(); raise ValueError('b')
        def note(): pass
        def outer():
            try: translate()
            except ValueError: note()
        outer()
        """
    )
    found = [(c.function, str(c.exception), c.raised_line) for c in trace.exceptions()]
    assert found == [
        ("deep", "KeyError('a')", 2),
        ("translate", "ValueError('b')", 6),
    ]
    middle = trace.calls("middle").first()
    assert (middle.status, middle.exception.name) == ("raised", "KeyError")
    assert trace.calls("outer").first().exception is None


def test_an_exception_that_python_does_not_tell_has_no_type(opened):
    trace = opened(
        """
        def f(): raise KeyError('a')
        try: f()
        except KeyError: pass
        """
    )
    exception = trace.calls("f").first().exception
    if knows_exceptions():
        assert str(exception) == "KeyError('a')"
    else:
        assert exception == Raised(None, (), None)
        assert str(exception) == "an exception of unknown type"


def test_a_generator_is_one_call_with_what_it_yielded(opened):
    trace = opened(
        """
        import asyncio
        def f(n): return n
        def numbers():
            yield f(1)
            yield f(2)
            return 'end'
        async def work():
            f(3)
            await asyncio.sleep(0)
            f(4)
        list(numbers())
        left = numbers()
        next(left)
        asyncio.run(work())
        """
    )
    first, second = trace.calls("numbers")
    assert (list(first.yielded), first.result) == ([1, 2], "end")
    assert [child.result for child in first.children] == [1, 2]
    assert (list(second.yielded), second.status) == ([1], "suspended")
    assert second.duration_ns is None
    work = trace.calls("work").first()
    assert [child.arguments["n"] for child in work.children] == [3, 4]
    assert work.task == "Task-1"


def test_threads_notes_regions_and_records(opened):
    trace = opened(
        """
        import kolo_c, threading
        def f(n): return n
        def main():
            with kolo_c.trace('part'):
                f(1)
                kolo_c.note('said', n=(1,))
        main()
        thread = threading.Thread(target=f, args=(2,), name='other')
        thread.start()
        thread.join()
        """
    )
    assert [thread.name for thread in trace.threads] == ["MainThread", "other"]
    other = trace.threads[1]
    assert [call.arguments["n"] for call in trace.calls(thread="other")] == [2]
    assert [call.id for call in trace.calls(thread=other)] == [f"{trace.id}/2.1"]
    assert trace.call(1, thread=2).function == "f"
    (note,) = trace.notes()
    assert (note.text, note.values) == ("said", {"n": (1,)})
    assert note.call.function == "main"
    inner = trace.calls("f").first()
    assert inner.parent.function == "main"
    assert [child.function for child in inner.parent.children] == ["f"]
    kinds = [record.kind for record in trace.records(other)]
    assert kinds == ["call", "return"]
    region = next(record for record in trace.records() if record.kind == "region")
    assert (region.fields["name"], region.node) == ("part", note.call.node + 1)
    assert [call.function for call in trace.roots] == ["<module>", "f"]


def test_a_long_trace_is_gone_through_block_by_block(opened):
    """Ends, parents, children and exceptions over the borders of blocks; with few of
    them in memory."""
    trace = opened(
        """
        def leaf(n, text): return n
        def branch(n):
            for i in range(20): leaf(i, 'x' * 500)
            return n
        def main():
            for n in range(200): branch(n)
        def deep(n, text):
            if n: deep(n - 1, text)
            else: raise ValueError('bottom')
        main()
        try: deep(60, 'y' * 1000)
        except ValueError: leaf(0, '')
        """
    )
    blocks = trace._stored.streams[0].blocks
    assert len(blocks) > 20
    branches = list(trace.calls("branch"))
    assert [call.result for call in branches] == list(range(200))
    assert all(len(list(call.children)) == 20 for call in branches[::10])
    main = trace.calls("main").first()
    assert list(main.children) == branches
    assert branches[150].parent == main
    assert main.status == "returned"
    before = trace._stored.decoded_blocks
    assert next(iter(main.children)) == branches[0]
    assert trace._stored.decoded_blocks - before <= 3
    (raised,) = trace.exceptions()
    assert raised.arguments["n"] == 0
    assert str(trace.calls("deep").first().exception) == "ValueError('bottom')"
    assert [call.function for call in trace.roots] == ["<module>"]
    views = trace._streams[0].views
    assert len(views._kept) <= 8 and len(trace._stored.streams[0]._decoded) <= 8


def test_the_headers_tell_which_blocks_have_a_calls_children(opened):
    trace = opened(
        """
        def leaf(text): pass
        def busy():
            for _ in range(400): leaf('x' * 900)
        def main():
            leaf('first')
            busy()
            leaf('last')
        main()
        """
    )
    main = trace.calls("main").first()
    before = trace._stored.decoded_blocks
    assert [c.function for c in main.children] == ["leaf", "busy", "leaf"]
    assert (
        trace._stored.decoded_blocks - before
        <= 2
        < len(trace._stored.streams[0].blocks)
    )


@not_on_pypy("to record all that Python runs takes minutes")
def test_a_program_reads_its_own_trace_and_does_not_record_the_reading(trace):
    traced = trace(
        """
        import kolo_c
        with kolo_c.pause():  # what is imported for it: thousands of calls
            import kolo_c.reading
            with kolo_c.open() as store:
                trace = store.latest()
                list(trace.calls()), trace._repr_html_(), store._repr_html_()
        def f(n): return n
        def main():
            f(1)
            with kolo_c.open() as store:
                trace = store.latest()
                assert trace.id == kolo_c.current().id
                assert trace.status == 'running'
                assert [c.result for c in trace.calls('f')] == [1]
                assert trace.calls('main').first().status == 'open'
                for call in trace.calls('f'): f(call.result + 1)
                trace._repr_html_(), store._repr_html_(), repr(call)
            f(3)
            with kolo_c.open() as store:
                assert [c.result for c in store.latest().calls('f')] == [1, 2, 3]
        main()
        """,
        # Everything that Python runs would be recorded, but for us.
        config={"include_frames": ["**"]},
    )
    main = next(c for c in traced.tree().calls if c.name == "main")
    made = [child.name for child in main.children]
    assert made.count("f") == 3
    # The first use of a lazy name, and what the program itself does.
    own = {"import_module", "<listcomp>", "Iterator.__iter__"}
    assert set(made) - own == {"f"}


def test_a_killed_programs_calls_stand_where_they_stood(opened):
    trace = opened(
        """
        import os, signal
        def inner(n): os.kill(os.getpid(), signal.SIGKILL)
        def outer(): inner(5)
        outer()
        """,
        fails=True,
    )
    assert trace.status == "interrupted"
    inner = trace.calls("inner").first()
    assert (inner.status, inner.result, inner.duration_ns) == ("open", None, None)
    assert inner.parent.function == "outer"
    assert "running" in repr(inner)


def test_what_is_not_there_is_an_error_that_says_so(opened, tmp_path):
    with pytest.raises(StoreNotFound, match=r"no \.kolo_c directory in"):
        kolo_c.open(tmp_path)
    trace = opened("def f(): pass\nf()\n")
    with pytest.raises(TraceNotFound, match="has no call 99 in thread 1"):
        trace.call(99)
    with pytest.raises(TraceNotFound, match="in thread 7"):
        trace.call(1, thread=7)
    with kolo_c.open(tmp_path / "project") as store:
        assert store.trace(trace.id[-6:]) == trace
        with pytest.raises(KoloError, match="no trace ends in"):
            store.trace("ZZZZZZ")
        assert store.errors == []
        assert store.traces(wanted=lambda trace: trace.name == "other") == []
    store.close()
    text = tmp_path / "text.db"
    text.write_text("no database")
    with pytest.raises(KoloError):
        kolo_c.open(text).latest()


def test_json_can_have_it_all(opened):
    trace = opened(
        """
        import kolo_c
        kolo_c.current().set(customer=42)
        def f(a): return {a: (1,)}
        f('k')
        """
    )
    call = json.loads(json.dumps(trace.calls("f").first().to_dict()))
    assert (call["function"], call["arguments"]) == ("f", {"a": "k"})
    assert call["result"] == {"k": {"$": "tuple", "items": [1]}}
    about = json.loads(json.dumps(trace.to_dict()))
    assert (about["attributes"], about["status"]) == ({"customer": 42}, "complete")
    assert trace.process["argv"] == ["program.py"]
    assert trace.problems == []


def test_a_notebook_shows_it_and_runs_nothing_of_it(opened, tmp_path):
    trace = opened(
        """
        import kolo_c
        def f(text): return text
        def main():
            for n in range(100): f('<script>alert(1)</script>\\x1b[31m')
        kolo_c.current().name = '<b>name</b>'
        kolo_c.current().set(**{'<i>': '<u>'})
        main()
        """
    )

    lines: list[str] = []

    class Printer:
        def text(self, text):
            lines.extend(text.splitlines())

    with kolo_c.open(tmp_path / "project") as store:
        for thing in (store, trace, trace.calls("f"), trace.calls("f").first()):
            page = thing._repr_html_()
            for tag in ("<script", "<b>n", "<i>", "<u>", "\x1b"):
                assert tag not in page
            assert page.count("<ul>") == page.count("</ul>")
            assert page.count("<li>") == page.count("</li>")
            thing._repr_pretty_(Printer(), False)
            assert "\x1b" not in repr(thing)
    assert "&lt;b&gt;name" in trace._repr_html_()
    assert "\x1b" not in "".join(lines)
    assert len(lines) < 100
    assert sum("f(text=" in line for line in lines) >= 20


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX paths")
def test_an_exported_file_opens_alone(trace, tmp_path, monkeypatch):
    traced = trace(
        """
        import kolo_c
        def f(n): return n
        f(1)
        kolo_c.current().set(who='this trace')
        with kolo_c.trace('inner', boundary=True):
            f(2)
            kolo_c.current().set(who='-'.join(['another', 'trace']))
        """
    )
    id = traced.infos()[0].id
    target = tmp_path / "one.db"
    monkeypatch.chdir(traced.project)
    assert main(["export", id[-8:], str(target)]) == 0
    with kolo_c.open(target) as store:
        assert store.latest().id == id
        assert store.latest().attributes == {"who": "this trace"}
        assert [call.result for call in store.latest().calls("f")] == [1]
    assert b"another-trace" not in target.read_bytes()
