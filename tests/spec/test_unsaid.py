"""What the interpreter's events do not say, settled once for all: a tree by hand each.

An event says that a frame was entered or left. Whether that was a return, a yield or an
exception, a beginning, a step or a throw, and below whom, is found out by the tracer;
the same on every version, with every hook and in both cores, but for what the
interpreter itself does otherwise or never tells. Those differences are spelled out here.
"""

from __future__ import annotations

import sys

import pytest

from kolo_c.wire import Kind
from tests.spec.tracing import expected, knows_exceptions, thrown

IS_PYPY = sys.implementation.name == "pypy"
counts_references = pytest.mark.skipif(
    IS_PYPY, reason="what nobody holds is found by the collector, whenever that runs"
)


def kinds(traced):
    """What the main thread's records are, the script's own two left out.

    HANDLED, which 3.10 and 3.11 have where an exception becomes known, as well.
    """
    found = [record.kind for record in traced.trace().stream(1).records()]
    return [kind for kind in found[1:-1] if kind != Kind.HANDLED]


def test_a_yield_is_no_return_and_a_return_is_no_yield(trace):
    """Both leave the frame with a value; a return of None is left with nothing more
    than a yield of None, and than an exception where that is reported as None."""
    traced = trace(
        """
        import asyncio
        def gives_nothing():
            yield
            return
        def gives_none():
            yield None
            return None
        def gives_one():
            yield 1
            return 1
        def returns_only(never=False):
            if never:
                yield
            return 5
        class Waits:
            def __await__(self):
                yield
                return None
        async def waits():
            return await Waits()
        async def streams():
            yield None
            await Waits()
            yield 2
        async def reads():
            return [x async for x in streams()]
        def drain(steps):
            try:
                while True:
                    steps.send(None)
            except StopIteration as stop:
                return stop.value
        for function in gives_nothing, gives_none, gives_one, returns_only:
            drain(function())
        drain(waits())
        drain(reads())
        """
    )
    assert traced.calls(values=False) == inlined(
        expected(
            """
            Waits() -> None
            drain() -> None
              gives_nothing() yields None -> None
            drain() -> None
              gives_none() yields None -> None
            drain() -> 1
              gives_one() yields 1 -> 1
            drain() -> 5
              returns_only() -> 5
            drain() -> None
              waits() yields None -> None
                Waits.__await__() yields None -> None
            drain() -> [None, 2]
              reads() yields None -> [None, 2]
                <listcomp>() yields None -> [None, 2]
                  streams() yields None, None, 2 -> None
                    Waits.__await__() yields None -> None
            """
        )
    )


def inlined(tree):
    """The tree where list comprehensions are part of their function (3.12, PEP 709)."""
    if sys.version_info < (3, 12):
        return tree
    lines = []
    level = None
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        if level is not None and indent <= level:
            level = None
        if "<listcomp>()" in line:
            level = indent
            continue
        lines.append(line if level is None else line[2:])
    return "\n".join(lines)


def test_who_delegates_to_one_that_is_thrown_at_and_returns_goes_on(trace):
    """3.11 gives no event for that: it is seen from what happens next. From 3.12 on it
    is thrown at with the StopIteration."""
    if IS_PYPY:
        return  # it enters the outermost first
    traced = trace(
        """
        def inner():
            try:
                yield 1
            except ValueError:
                return 2
        def leaf():
            pass
        def through(function):
            function()
        def outer():
            yield from inner()
            through(leaf)
            yield 3
        def silent():
            yield from inner()
        def around():
            yield from silent()
            leaf()
        g = outer()
        next(g)
        g.throw(ValueError('v'))
        next(g, None)
        a = around()
        next(a)
        try:
            a.throw(ValueError('v'))
        except StopIteration:
            pass
        """
    )
    v = thrown("ValueError('v')")
    two = none = ""
    if sys.version_info >= (3, 12):
        two, none = thrown("StopIteration(2)"), thrown("StopIteration()")
    assert traced.calls() == expected(
        f"""
        outer() yields 1{two}, 3 -> None
          inner() yields 1{v} -> 2
          through(function=<function __main__.leaf>) -> None
            leaf() -> None
        around() yields 1{none} -> None
          silent() yields 1{two} -> None
            inner() yields 1{v} -> 2
          leaf() -> None
        """
    )


def test_throw_enters_the_innermost_of_a_chain_first(trace):
    """Those around it are not on the stack then: each is thrown at, or goes on, when
    what it delegates to has ended."""
    traced = trace(
        """
        def inner():
            try:
                yield 1
            except ValueError:
                yield 2
        def middle():
            yield from inner()
        def outer():
            try:
                yield from middle()
            except KeyError:
                yield 'caught'
        g = outer()
        next(g)
        g.throw(ValueError('v'))
        g.throw(KeyError('k'))
        next(g, None)
        """
    )
    v, k = thrown("ValueError('v')"), thrown("KeyError('k')")
    if IS_PYPY:
        # PyPy enters the outermost first, and says only so.
        return
    assert traced.calls() == expected(
        f"""
        outer() yields 1{k}, 'caught' -> None
          middle() yields 1{k} raises KeyError('k')
            inner() yields 1{v}, 2{k} raises KeyError('k')
        """
    )
    enters = (
        Kind.THROW if knows_exceptions() or sys.version_info >= (3, 11) else Kind.RESUME
    )
    assert kinds(traced) == [
        Kind.CALL, Kind.CALL, Kind.CALL, Kind.YIELD, Kind.YIELD, Kind.YIELD,
        # ValueError: inner yields again, and that reaches the caller as it is.
        enters, Kind.YIELD,
        # KeyError: out of inner, into middle, out of it, into outer, which handles it.
        enters, Kind.RAISE, enters, Kind.RAISE, enters, Kind.YIELD,
        Kind.RESUME, Kind.RETURN,
    ]  # fmt: skip


@counts_references
def test_a_generator_that_is_finalised_late_ends_below_nobody_of_its_own(trace):
    """Its caller has returned. What its end calls is below it all the same."""
    traced = trace(
        """
        def cleans(): pass
        def gen():
            try:
                yield 1
            finally:
                cleans()
        def begins(kept):
            kept.append(gen())
            next(kept[0])
        def goes_on(kept):
            kept.clear()
            cleans()
        kept = []
        begins(kept)
        goes_on(kept)
        """
    )
    exit = thrown("GeneratorExit()")
    assert traced.calls(values=False) == expected(
        f"""
        begins() -> None
          gen() yields 1{exit} raises? GeneratorExit()
            cleans() -> None
        goes_on() -> None
          cleans() -> None
        """
    )


def test_frames_that_ran_already_are_not_in_the_trace_and_their_ends_no_ends(trace):
    """A generator that had begun is met in its middle: its arguments are unknown."""
    traced = trace(
        """
        import kolo_c
        recording = kolo_c.trace('late')
        def f(n): return n
        def fails(): raise KeyError(1)
        def gen(n):
            yield n
            f(n)
            yield n + 1
        def begins():
            recording.start()
            f(1)
            return 'begun'
        def around():
            try:
                begins()
                fails()
            except KeyError:
                f(2)
            return 'around'
        def within(g):
            next(g)
            f(3)
        g = gen(5)
        next(g)
        around()
        within(g)
        recording.stop()
        """,
        under=(),
    )
    assert traced.whole(values=False) == expected(
        """
        f() -> 1
        fails() raises KeyError(1)
        f() -> 2
        within() -> None
          gen(…) yields 6 suspended
            f() -> 5
          f() -> 3
        """
    )


def test_an_exception_is_not_the_none_that_it_is_reported_as(trace):
    """3.12.0 and 3.12.1 report the exit of an exception as a return of None, and a
    profile function in Python is told None on every version."""
    traced = trace(
        """
        class Broken:
            def __getattr__(self, name): raise AttributeError(name)
        def raises(): raise ValueError('v')
        def calls(): return raises()
        def divides(n): return 1 / n
        def reads(box): return box.missing
        def indexes(items): return items[3]
        def imports(): import no_such_module_at_all
        def asserts(n): assert n
        def unpacks(items): a, b = items
        def finally_raises():
            try: return None
            finally: raise KeyError('f')
        def finally_returns():
            try: raise KeyError('f')
            finally: return None
        def falls_off(): pass
        def says_none(): return None
        def handles():
            try: raises()
            except ValueError: return None
        def yields_then_raises():
            yield None
            raise ValueError('g')
        def is_thrown_at():
            yield None
        def tries(function, *arguments):
            try: function(*arguments)
            except Exception: falls_off()
        tries(calls)
        tries(divides, 0)
        tries(reads, Broken())
        tries(indexes, [])
        tries(imports)
        tries(asserts, 0)
        tries(unpacks, [1])
        tries(finally_raises)
        tries(finally_returns)
        tries(falls_off)
        tries(says_none)
        tries(handles)
        tries(list, yields_then_raises())
        def throws():
            g = is_thrown_at()
            next(g)
            g.throw(ValueError('t'))
        tries(throws)
        """
    )
    first = {}
    for call in traced.tree().calls:
        first.setdefault(call.name, call.end.partition("(")[0])
    got = {
        name: end
        for name, end in first.items()
        if name not in ("<module>", "Broken", "tries")
    }
    assert got == {
        "raises": "raises ValueError",
        "calls": "raises ValueError",
        "divides": "raises ZeroDivisionError",
        "reads": "raises AttributeError",
        "Broken.__getattr__": "raises AttributeError",
        "indexes": "raises IndexError",
        "imports": "raises ModuleNotFoundError",
        "asserts": "raises AssertionError",
        "unpacks": "raises ValueError",
        "finally_raises": "raises KeyError",
        "finally_returns": "-> None",
        "falls_off": "-> None",
        "says_none": "-> None",
        "handles": "-> None",
        "yields_then_raises": "raises ValueError",
        "is_thrown_at": "raises ValueError",
        "throws": "raises ValueError",
    }


def test_a_yield_in_a_loop_that_survives_what_is_thrown_at_it_goes_on(trace):
    """It leaves the frame where it was entered, with None: as if it had not survived."""
    traced = trace(
        """
        def survives():
            while True:
                try:
                    yield
                except ValueError:
                    pass
        def does_not():
            while True:
                yield
        def tries(g):
            next(g)
            try:
                g.throw(ValueError('v'))
                next(g)
                g.throw(ValueError('w'))
                g.throw(KeyError('k'))
            except Exception:
                return 'over'
        tries(survives())
        tries(does_not())
        """
    )
    v, w = thrown("ValueError('v')"), thrown("ValueError('w')")
    k = thrown("KeyError('k')")
    lines = traced.calls(values=False).splitlines()
    assert (
        lines
        == expected(
            f"""
        tries() -> 'over'
          survives() yields None{v}, None, None{w}, None{k} raises? KeyError('k')
        tries() -> 'over'
          does_not() yields None{v} raises? ValueError('v')
        """
        ).splitlines()
    )


def left_with(traced, qualname):
    """The locals of the call that an exception left."""
    (call,) = traced.tree().find(qualname)
    return dict(call.locals)


def test_names_of_a_module_are_not_those_of_its_comprehensions(trace):
    """They have slots in its frame from 3.12 on, where no comprehension runs empty."""
    traced = trace(
        """
        n = 5
        kept = [n for n in range(3)]
        1 / 0
        """,
        fails=True,
    )
    slots = {"n": "<unbound>"} if sys.version_info >= (3, 12) else {}
    assert left_with(traced, "<module>") == slots


def test_names_from_around_a_class_body_are_not_among_its_locals(trace):
    """Python shows them nowhere, and the C core does as Python."""
    traced = trace(
        """
        def outer():
            kept = 1
            class Inner:
                own = kept
                1 / 0
        outer()
        """,
        fails=True,
    )
    assert left_with(traced, "Inner") == {"kept": "<unbound>"}
    assert left_with(traced, "outer")["kept"] == "1"


def test_class_bodies_and_comprehensions_are_calls_where_they_have_frames(trace):
    """A class body has one on every version. A generator expression too; list, dict and
    set comprehensions until 3.11, also in a class body and in the script."""
    traced = trace(
        """
        def f(n): return n
        class Outer:
            listed = [f(n) for n in (1,)]
            class Inner(metaclass=type):
                size = f(2)
            def method(self):
                class Local:
                    pass
                return {n: f(n) for n in (3,)}, {f(n) for n in (4,)}
        Outer().method()
        [f(n) for n in (5,)]
        list(f(n) for n in (6,))
        """
    )
    has_frames = sys.version_info < (3, 12)
    outer = "Outer." if sys.version_info >= (3, 11) else ""
    tree = f"""
        Outer() -> None
          {outer}<listcomp>() -> [1]
            f() -> 1
          {outer}Inner() -> None
            f() -> 2
        Outer.method() -> ({{3: 3}}, {{4}})
          Local() -> None
          <dictcomp>() -> {{3: 3}}
            f() -> 3
          <setcomp>() -> {{4}}
            f() -> 4
        <listcomp>() -> [5]
          f() -> 5
        <genexpr>() yields 6 -> None
          f() -> 6
        """
    if not has_frames:
        tree = f"""
        Outer() -> None
          f() -> 1
          {outer}Inner() -> None
            f() -> 2
        Outer.method() -> ({{3: 3}}, {{4}})
          Local() -> None
          f() -> 3
          f() -> 4
        f() -> 5
        <genexpr>() yields 6 -> None
          f() -> 6
        """
    assert traced.calls(values=False) == expected(tree)


@pytest.mark.hooks("monitoring")
def test_code_that_no_compiler_made_is_told_of_by_its_exceptions_alone(trace):
    """It has no instruction that begins a function: nothing else can be had of it."""
    traced = trace(
        """
        import opcode, sys
        def f(): raise KeyError('x')
        def g(): pass
        begins = 4 if sys.version_info >= (3, 15) else 2  # RESUME, and its cache
        code = f.__code__.co_code
        nop = bytes([opcode.opmap['NOP'], 0]) * (begins // 2)
        f.__code__ = f.__code__.replace(co_code=nop + code[begins:])
        try:
            f()
        except KeyError as error:
            print(repr(error))
        g()
        """
    )
    assert traced.stdout == "KeyError('x')\n"
    assert len(traced.tree().find("g")) == 1
