"""Generators: one call, however often it is suspended."""

from __future__ import annotations

import sys

import pytest

from kolo_c.wire import Kind
from tests.spec.tracing import expected, thrown


def kinds(traced, thread=1):
    return [record.kind for record in traced.trace().stream(thread).records()]


def test_a_generator_is_one_call_with_yields_and_resumes(trace):
    traced = trace(
        """
        def gen(n):
            yield n
            yield n + 1
        list(gen(1))
        """
    )
    assert traced.calls() == "gen(n=1) yields 1, 2 -> None"
    assert kinds(traced)[1:-1] == [
        Kind.CALL, Kind.YIELD, Kind.RESUME, Kind.YIELD, Kind.RESUME, Kind.RETURN,
    ]  # fmt: skip


def test_a_generator_has_its_return_value(trace):
    traced = trace(
        """
        def gen():
            yield 1
            return 'done'
        def go():
            try:
                g = gen()
                next(g)
                next(g)
            except StopIteration as stop:
                return stop.value
        go()
        """
    )
    assert traced.calls() == expected(
        """
        go() -> 'done'
          gen() yields 1 -> 'done'
        """
    )


def test_a_generator_that_was_never_started_is_no_call(trace):
    """Closing it gives events up to 3.11; there is nothing to record of them."""
    traced = trace(
        """
        def gen():
            yield 1
        def go():
            one = gen()
            one.close()
            two = gen()
            del two
        go()
        """
    )
    text = traced.calls()
    if sys.version_info >= (3, 12):
        assert text == "go() -> None"
    else:
        assert text.splitlines()[0] == "go() -> None"
        assert "yields" not in text


def test_yielding_none_is_yielding(trace):
    """3.12.1 reports an exception's exit with None too: the instruction tells."""
    traced = trace(
        """
        def gen():
            got = yield
            yield got
        g = gen()
        next(g)
        g.send('x')
        next(g, None)
        """
    )
    assert traced.calls() == "gen() yields None, 'x' -> None"


def test_calls_of_a_generator_are_below_it_wherever_it_is_resumed(trace):
    traced = trace(
        """
        def f(n): return n
        def gen():
            f(1)
            yield
            f(2)
            yield
        def first(g): next(g)
        def second(g): next(g)
        g = gen()
        first(g)
        second(g)
        del g
        """
    )
    lines = traced.calls(values=False).splitlines()
    assert lines[:4] == [
        "first() -> None",
        "  gen() yields None, None" + lines[1].partition("None, None")[2],
        "    f() -> 1",
        "    f() -> 2",
    ]
    assert lines[4] == "second() -> None"


def test_two_generators_of_one_function_are_two_calls(trace):
    traced = trace(
        """
        def gen(name):
            yield name + '1'
            yield name + '2'
        list(zip(gen('a'), gen('b')))
        """
    )
    lines = traced.calls().splitlines()
    assert lines[0].startswith("gen(name='a') yields 'a1', 'a2'")
    assert lines[1].startswith("gen(name='b') yields 'b1', 'b2'")
    assert len(lines) == 2


def test_a_generator_expression_is_one_call(trace):
    traced = trace("def f(n): return n\nsum(f(n) for n in (1, 2))")
    lines = traced.calls(values=False).splitlines()
    assert lines == [
        "<genexpr>() yields 1, 2 -> None",
        "  f() -> 1",
        "  f() -> 2",
    ]


def test_an_exception_leaves_a_generator(trace):
    traced = trace(
        """
        def f(): pass
        def gen():
            yield 1
            raise KeyError('k')
        try:
            list(gen())
        except KeyError:
            f()
        """
    )
    assert traced.calls() == expected(
        """
        gen() yields 1 raises KeyError('k')
        f() -> None
        """
    )


def test_throw_resumes_a_generator_with_an_exception(trace):
    traced = trace(
        """
        def gen():
            try:
                yield 1
            except ValueError:
                yield 2
        g = gen()
        next(g)
        g.throw(ValueError('boom'))
        next(g, None)
        """
    )
    boom = thrown("ValueError('boom')")
    assert traced.calls() == f"gen() yields 1{boom}, 2 -> None"


def test_throw_that_is_not_caught_leaves_the_generator(trace):
    traced = trace(
        """
        def f(): pass
        def gen():
            yield 1
        g = gen()
        next(g)
        try:
            g.throw(ValueError('boom'))
        except ValueError:
            f()
        """
    )
    boom = thrown("ValueError('boom')")
    assert traced.calls() == expected(
        f"""
        gen() yields 1{boom} raises ValueError('boom')
        f() -> None
        """
    )


def test_throw_into_a_generator_that_has_not_begun(trace):
    """It begins and ends there. 3.11 and 3.12.0 have no event for it."""
    traced = trace(
        """
        def f(): pass
        def gen():
            yield 1
        try:
            gen().throw(ValueError('boom'))
        except ValueError:
            f()
        """
    )
    lines = traced.calls().splitlines()
    assert lines[-1] == "f() -> None"
    if sys.version_info[:2] != (3, 11):
        assert lines[:-1] == ["gen() raises ValueError('boom')"]


CLOSE_IS_SEEN = sys.version_info[:3] < (3, 13, 0) or sys.version_info >= (3, 13, 10)
"""3.13.0 and the next few tell nothing of close() (gh-140373)."""


@pytest.mark.parametrize(
    "how",
    [
        "g.close()",
        pytest.param(
            "del g",
            marks=pytest.mark.skipif(
                sys.implementation.name == "pypy", reason="the collector closes it"
            ),
        ),
    ],
)
def test_closing_a_suspended_generator_ends_it(trace, how):
    traced = trace(
        f"""
        def f(): pass
        def gen():
            try:
                yield 1
            finally:
                f()
        g = gen()
        next(g)
        {how}
        f()
        """
    )
    lines = traced.calls().splitlines()
    if CLOSE_IS_SEEN:
        exit = thrown("GeneratorExit()")
        assert lines == [
            expected(f"gen() yields 1{exit} raises? GeneratorExit()"),
            "  f() -> None",
            "f() -> None",
        ]
    else:
        assert lines[0].startswith("gen() yields 1")
        assert lines[-1] == "f() -> None"


def test_a_generator_that_survives_its_close_goes_on(trace):
    traced = trace(
        """
        def gen():
            try:
                yield 1
            except GeneratorExit:
                return 'closed'
        g = gen()
        next(g)
        g.close()
        """
    )
    if CLOSE_IS_SEEN:
        exit = thrown("GeneratorExit()")
        assert traced.calls() == f"gen() yields 1{exit} -> 'closed'"


def test_an_abandoned_generator_is_closed_whenever_that_happens(trace):
    """Its finalizer runs after its caller has returned, below somebody else."""
    traced = trace(
        """
        def gen():
            yield 1
            yield 2
        def starts():
            g = gen()
            next(g)
            return g
        def ends(g):
            pass
        ends(starts())
        ends(None)
        """
    )
    lines = traced.calls(values=False).splitlines()
    assert lines[0] == "starts() -> <generator>"
    assert lines[1].startswith("  gen() yields 1")
    assert lines[2:] == ["ends() -> None", "ends() -> None"]


def test_a_generator_in_a_cycle_is_closed_by_the_garbage_collector(trace):
    traced = trace(
        """
        import gc
        def gen():
            me = yield 1
            yield me
        def go():
            g = gen()
            next(g)
            g.send(g)
        def collects():
            gc.collect()
        gc.disable()
        go()
        collects()
        """
    )
    lines = traced.calls(values=False).splitlines()
    assert lines[0] == "go() -> None"
    assert lines[1].startswith("  gen() yields 1, <generator>")
    assert lines[2] == "collects() -> None"


def test_a_generator_that_waits_at_the_end_is_suspended(trace):
    traced = trace(
        """
        import os
        def gen():
            yield 1
        g = gen()
        next(g)
        """
    )
    assert traced.calls().startswith("gen() yields 1")


def test_yield_from_is_a_chain_of_calls(trace):
    traced = trace(
        """
        def inner(n):
            yield n
            yield n + 1
            return 'inner'
        def middle():
            got = yield from inner(1)
            return got + ' middle'
        def outer():
            return (yield from middle())
        list(outer())
        """
    )
    assert traced.calls() == expected(
        """
        outer() yields 1, 2 -> 'inner middle'
          middle() yields 1, 2 -> 'inner middle'
            inner(n=1) yields 1, 2 -> 'inner'
        """
    )


def test_throw_through_a_chain_reaches_each_of_its_calls(trace):
    """The interpreter tells it innermost first, with nobody below on the stack."""
    traced = trace(
        """
        def f(): pass
        def inner():
            yield 1
        def middle():
            yield from inner()
        def outer():
            try:
                yield from middle()
            except KeyError:
                f()
                yield 'caught'
        g = outer()
        next(g)
        g.throw(KeyError('k'))
        next(g, None)
        """
    )
    tree = traced.tree()
    (outer,), (middle,), (inner,) = map(tree.find, ("outer", "middle", "inner"))
    assert [call.end for call in (outer, middle, inner)] == [
        "-> None", "raises KeyError('k')", "raises KeyError('k')",
    ]  # fmt: skip
    assert outer.steps[-1] == "'caught'"
    assert middle.steps[0] == inner.steps[0] == outer.steps[0] == "1"
    assert "f" in [child.name for child in outer.children]


def test_an_exception_passes_a_chain(trace):
    traced = trace(
        """
        def f(): pass
        def inner():
            yield 1
            raise KeyError('k')
        def outer():
            yield from inner()
        try:
            list(outer())
        except KeyError:
            f()
        """
    )
    assert traced.calls() == expected(
        """
        outer() yields 1 raises KeyError('k')
          inner() yields 1 raises KeyError('k')
        f() -> None
        """
    )


def test_stop_iteration_raised_in_a_generator_becomes_runtime_error(trace):
    traced = trace(
        """
        def f(): pass
        def gen():
            yield 1
            raise StopIteration('no')
        try:
            list(gen())
        except RuntimeError:
            f()
        """
    )
    lines = traced.calls().splitlines()
    # Up to 3.11 it becomes one when the generator's frame has been left.
    left = "RuntimeError('generator raised StopIteration')"
    if sys.version_info < (3, 12):
        left = "StopIteration('no')"
    assert lines[0] == f"gen() yields 1 raises {left}"


def test_a_generator_resumed_in_another_thread_names_its_call(trace):
    traced = trace(
        """
        import threading
        def gen():
            yield 1
            yield 2
        def resume(g):
            next(g)
        g = gen()
        next(g)
        thread = threading.Thread(target=resume, args=(g,), name='other')
        thread.start()
        thread.join()
        next(g, None)
        """
    )
    here = traced.calls()
    assert here.splitlines()[-1].startswith("gen() yields 1")
    there = traced.threads(values=False)
    assert [text.splitlines() for name, text in there.items() if name == "other"] == [
        ["resume() -> None", "  gen of thread 1() yields 2 suspended"]
    ]


def test_twenty_thousand_waiting_generators_are_all_known_again(trace):
    traced = trace(
        """
        def gen(n):
            yield n
            yield -n
        waiting = [gen(n) for n in range(20_000)]
        for g in waiting: next(g)
        for g in waiting: next(g)
        """
    )
    calls = traced.tree().find("gen")
    assert len(calls) == 20_000
    for n, call in enumerate(calls):
        assert call.steps[:2] == [str(n), str(-n)]


def test_many_frames_at_one_address_are_not_taken_for_each_other(trace):
    """Frames of generators are freed and used again; a waiting one is not its heir."""
    traced = trace(
        """
        def first():
            yield 1
        def second():
            yield 2
            yield 3
        for _ in range(200):
            g = first()
            next(g)
            del g
            h = second()
            next(h)
            next(h)
            del h
        """
    )
    for call in traced.tree().find("first"):
        assert call.steps[:1] == ["1"] and "3" not in call.steps
    for call in traced.tree().find("second"):
        assert call.steps[:2] == ["2", "3"]
    assert len(traced.tree().find("second")) == 200
