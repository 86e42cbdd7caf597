"""``exceptions = "all"``: what a call handles itself, where that can be seen.

`catches X of 3 in 4`: X came to line 3 of the call, the handler of line 4 took it up;
`passes`: it went on from there.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import kolo_c
from kolo_c.wire import Kind
from tests.spec.tracing import environment, expected

ALL = {"exceptions": "all"}
monitored = pytest.mark.hooks("monitoring")


def command(traced, *words):
    """What ``kolo-c`` prints of a program that has run."""
    done = subprocess.run(
        [sys.executable, "-m", "kolo_c", *words],
        cwd=traced.project,
        env=environment(KOLO_C_CORE=traced.core, KOLO_C_HOOK=traced.hook),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@monitored
def test_what_is_raised_and_handled_in_the_same_call_is_recorded(trace):
    traced = trace(
        """\
        def parse(text):
            try:
                return int(text)
            except ValueError as error:
                return 0
        def own():
            try:
                raise KeyError('k')
            except (ValueError, KeyError):
                pass
        def bare():
            try: raise OSError(2)
            except: pass
        parse('1')
        parse('one')
        own()
        bare()
        """,
        config=ALL,
    )
    error = "ValueError(\"invalid literal for int() with base 10: 'one'\")"
    assert traced.calls() == expected(
        f"""
        parse(text='1') -> 1
        parse(text='one') catches {error} of 3 in 4 -> 0
        own() catches KeyError('k') of 8 in 9 -> None
        bare() catches OSError(2) of 12 in 13 -> None
        """
    )


@monitored
def test_by_default_it_is_not(trace):
    traced = trace(
        """
        def own():
            try: raise KeyError('k')
            except KeyError: pass
        own()
        """
    )
    assert traced.calls() == "own() -> None"


@monitored
def test_what_comes_from_a_callee_is_handled_here_too(trace):
    traced = trace(
        """\
        import json
        def f(n):
            raise ValueError(n)
        def caller():
            try:
                f(1)
            except ValueError:
                pass
            try:
                json.loads('{')  # skipped code raises
            except json.JSONDecodeError:
                pass
        caller()
        """,
        config=ALL,
    )
    (call,) = traced.tree().find("caller")
    assert call.caught[0] == "ValueError(1) of 6 in 7"
    assert call.caught[1].startswith("JSONDecodeError(")
    assert call.caught[1].endswith("of 10 in 11")
    assert len(call.caught) == 2


@monitored
def test_what_goes_on_says_so(trace):
    traced = trace(
        """\
        def clauses():
            try:
                try:
                    int('x')
                except KeyError: pass
                finally:
                    len('')
            except ValueError: return 1
        def again():
            try:
                try: raise KeyError(1)
                except KeyError: raise
            except KeyError: pass
        def by_name():
            try:
                try: raise KeyError(1)
                except KeyError as error: raise error
            except KeyError: pass
        def leaves():
            try: raise KeyError(2)
            finally: len('')
        clauses(); again(); by_name()
        try: leaves()
        except KeyError: pass
        """,
        config=ALL,
    )
    error = "ValueError(\"invalid literal for int() with base 10: 'x'\")"
    assert traced.whole() == expected(
        f"""
        <module>() catches KeyError(2) of 23 in 24 -> None
          clauses() catches {error} of 4 in 5, passes, {error} of 4 in 7, passes, {error} of 4 in 8 -> 1
          again() catches KeyError(1) of 11 in 12, passes, KeyError(1) of 11 in 13 -> None
          by_name() catches KeyError(1) of 16 in 17, passes, KeyError(1) of 17 in 18 -> None
          leaves() catches KeyError(2) of 20 in 21, passes raises KeyError(2)
        """
    )


@monitored
def test_one_that_is_replaced_by_another_does_not_go_on(trace):
    """In a loop, where each one may lie where the last one lay."""
    traced = trace(
        """\
        def f():
            for n in (1, 2):
                try:
                    try: raise KeyError(n)
                    except KeyError: raise ValueError(n)
                except ValueError: pass
        f()
        """,
        config=ALL,
    )
    found = ", ".join(
        f"KeyError({n}) of 4 in 5, ValueError({n}) of 5 in 6" for n in (1, 2)
    )
    assert traced.calls() == f"f() catches {found} -> None"


@monitored
def test_a_context_manager_and_a_finally_swallow(trace):
    traced = trace(
        """\
        class Quiet:
            def __enter__(self): pass
            def __exit__(self, *exc): return exc[0] is KeyError
        def managed(error):
            with Quiet():
                raise error
        def final():
            try: raise KeyError(2)
            finally: return 'gone'
        managed(KeyError(1))
        try: managed(OSError(1))
        except OSError: pass
        final()
        """,
        config=ALL,
        options=("-W", "ignore"),
    )
    calls = [(c.name, c.caught, c.end) for c in traced.tree().calls if c.caught]
    assert calls == [
        ("<module>", ["OSError(1) of 11 in 12"], "-> None"),
        ("managed", ["KeyError(1) of 6 in 5"], "-> None"),
        ("managed", ["OSError(1) of 6 in 5", "passes"], "raises OSError(1)"),
        ("final", ["KeyError(2) of 8 in 9"], "-> 'gone'"),
    ]


@monitored
def test_loops_generators_and_comprehensions_are_no_handlers(trace):
    traced = trace(
        """\
        import asyncio
        def gen():
            yield 1
        def outer():
            yield from gen()
        def loops():
            for _ in outer(): pass
            [n for n in gen()]
            list(gen())
            it = gen(); next(it); it.close()
            hasattr(it, 'x')
            getattr(it, 'x', None)
            next(gen(), None)
        async def agen():
            yield 1
        async def main():
            async for _ in agen(): pass
            await asyncio.sleep(0)
        loops()
        asyncio.run(main())
        def failing():
            try: return [int(n) for n in 'x']
            except ValueError: pass
        failing()
        """,
        config=ALL,
    )
    found = [(call.name, call.caught) for call in traced.tree().calls if call.caught]
    error = "ValueError(\"invalid literal for int() with base 10: 'x'\")"
    assert found == [("failing", [f"{error} of 22 in 23"])]


@monitored
def test_generators_and_tasks_handle_what_they_await(trace):
    traced = trace(
        """\
        import asyncio
        def gen():
            while True:
                try: yield
                except KeyError as error: pass
        it = gen()
        next(it)
        it.throw(KeyError('thrown'))
        it.close()
        async def fails():
            await asyncio.sleep(0)
            raise OSError(3)
        async def main():
            try: await fails()
            except OSError: return 'kept'
        asyncio.run(main())
        """,
        config=ALL,
    )
    assert traced.calls().splitlines()[0] == (
        "gen() yields None, thrown KeyError('thrown'), None, thrown GeneratorExit() "
        "catches KeyError('thrown') of 4 in 5, GeneratorExit() of 4 in 5, passes "
        "raises GeneratorExit()"
    )
    (main,) = traced.tree().find("main")
    assert main.caught == ["OSError(3) of 14 in 15"]


@monitored
def test_a_region_stays_open_and_other_threads_name_the_call(trace):
    traced = trace(
        """\
        import kolo_c, threading
        def f():
            with kolo_c.trace('part'):
                try: raise KeyError(1)
                except KeyError: pass
                g()
        def g(): pass
        def gen():
            yield
            try: raise KeyError(2)
            except KeyError: yield
        f()
        it = gen()
        next(it)
        thread = threading.Thread(target=it.__next__, name='other')
        thread.start(); thread.join()
        """,
        config=ALL,
    )
    assert traced.calls().splitlines()[:3] == [
        "f() catches KeyError(1) of 4 in 5 -> None",
        "  region part() ends",
        "    g() -> None",
    ]
    (begun,) = traced.tree().find("gen")
    (stream,) = [s for s in traced.trace().streams if s.name == "other"]
    caught = [
        record
        for index in range(len(stream.blocks))
        for record in stream.decode(index).records
        if record.kind == Kind.CAUGHT
    ]
    home = traced.trace().stream(1).number
    assert [(c.thread, c.caught_in) for c in caught] == [(home, begun.number)]


@monitored
def test_skipped_code_is_not_told(trace):
    traced = trace(
        """
        import other
        other.f()
        def g(): pass
        g()
        """,
        files={
            "other.py": """
                def f():
                    try: raise KeyError(1)
                    except KeyError: pass
                """
        },
        config={**ALL, "ignore_frames": ["other.py"]},
    )
    assert traced.calls() == "g() -> None"


@monitored
def test_they_are_read_and_searched(trace):
    traced = trace(
        """\
        def price(text):
            try:
                return int(text)
            except ValueError:
                return 0
        def rest():
            try:
                try: raise KeyError('a')
                finally: len('')
            except KeyError: return price('free')
        rest()
        """,
        config=ALL,
    )
    with kolo_c.open(traced.store) as store:
        calls = {call.function: call for call in store.latest().calls()}
        (kept,) = calls["rest"].handled
        assert (str(kept.exception), kept.raised_line, kept.handled_line) == (
            "KeyError('a')", 8, 10,
        )  # fmt: skip
        (kept,) = calls["price"].handled
        assert kept.exception.args[0].endswith("'free'")
        assert calls["<module>"].handled == ()
    shown = command(traced, "show")
    assert "rest() → 0 ✓ handled KeyError('a') of line 8 in line 10" in shown
    # What goes on from the finally was found when it came to it.
    hits = command(traced, "grep", "KeyError", "--json").splitlines()[:-1]
    assert [json.loads(hit)["kind"] for hit in hits] == ["exception", "exception"]
    assert "of line 3 in line 4" in command(traced, "why")


@pytest.mark.hooks("setprofile", "frame_eval")
def test_a_hook_that_cannot_see_them_says_so(trace):
    source = """
        def own():
            try: raise KeyError('k')
            except KeyError: pass
        own()
        """
    traced = trace(source, config=ALL, under=("-m", "kolo_c", "run"), clean=False)
    assert traced.calls() == "own() -> None"
    (problem,) = traced.trace().info.attributes["problems"]
    assert problem.startswith('exceptions = "all" needs the monitoring hook')
    assert traced.hook in problem
    assert 'exceptions = "all" needs' in traced.stderr
    assert 'exceptions = "all" needs' in command(traced, "doctor")
    assert '# exceptions = "all" needs' in command(traced, "config")
