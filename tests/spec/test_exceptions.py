"""Exceptions: which one left a call, through whom it passed, who went on.

3.10 and 3.11 hide the exception from a profiler. There ``raises? X`` stands for what is
not known because nobody was seen handling it; never is it taken for a return of None.
"""

from __future__ import annotations

import signal
import sys

import pytest

from kolo_c.model.build import build
from kolo_c.model.exceptions import flight
from kolo_c.store.values import Items, Raised
from kolo_c.wire import Kind
from tests.spec.pypy import not_on_pypy
from tests.spec.tracing import expected, knows_exceptions

IS_PYPY = sys.implementation.name == "pypy"
own_stack = pytest.mark.skipif(
    IS_PYPY, reason="its recursion limit is a size of the stack, which recording uses"
)
counts_references = pytest.mark.skipif(
    IS_PYPY, reason="destructors run when the collector does"
)


def raised(traced, name):
    """The exception that left the first call of ``name``."""
    call = traced.tree().find(name)[0]
    tree = build(traced.trace().stream(1))
    return tree.nodes[call.number].exception()


def test_an_exception_that_the_caller_handles(trace):
    traced = trace(
        """
        def f(n):
            raise ValueError('x', n)
        def g():
            pass
        def caller():
            try:
                f(1)
            except ValueError:
                g()
            return 'went on'
        caller()
        """
    )
    assert traced.calls() == expected(
        """
        caller() -> 'went on'
          f(n=1) raises ValueError('x', 1)
          g() -> None
        """
    )


def test_an_exception_that_is_handled_without_a_call_is_an_exception_all_the_same(
    trace,
):
    traced = trace(
        """
        def f():
            raise ValueError('x')
        def g():
            pass
        def caller():
            try:
                f()
            except ValueError:
                pass
            g()
        caller()
        """
    )
    assert traced.calls() == expected(
        """
        caller() -> None
          f() raises? ValueError('x')
          g() -> None
        """
    )


def test_an_exception_has_its_exact_type_address_and_args(trace, hook):
    if hook == "setprofile" and sys.version_info < (3, 12):
        pytest.skip("3.10 and 3.11 hide it")
    traced = trace(
        """
        class Refused(KeyError):
            pass
        class Sub:
            class Refused(KeyError):
                pass
        def f(error):
            raise error
        error = Refused('a', 2, [3])
        try: f(error)
        except Refused: pass
        print(id(error))
        """
    )
    exception = raised(traced, "f")
    assert isinstance(exception, Raised)
    definitions = traced.trace().definitions
    assert definitions.type_name(exception.type).full == "__main__.Refused"
    assert exception.address == int(traced.stdout)
    assert exception.args.items == ("a", 2, [3])


def test_an_exception_passes_several_frames(trace):
    traced = trace(
        """
        def handled(): pass
        def a(): b()
        def b(): c()
        def c(): raise LookupError('deep')
        try:
            a()
        except LookupError:
            handled()
        """
    )
    assert traced.calls() == expected(
        """
        a() raises LookupError('deep')
          b() raises LookupError('deep')
            c() raises LookupError('deep')
        handled() -> None
        """
    )


def test_the_way_of_an_exception_is_known(trace):
    traced = trace(
        """
        def a():
            try:
                b()
            except LookupError:
                return 'handled'
        def b(): c()
        def c(): raise LookupError('deep')
        a()
        """
    )
    tree = build(traced.trace().stream(1))
    names = {call.name: call.number for call in traced.tree().calls}
    way = flight(tree.nodes[names["b"]])
    assert way.raised_in.number == names["c"]
    assert [node.number for node in way.through] == [names["c"], names["b"]]
    assert way.handled_by is not None
    assert way.handled_by.number == names["a"]
    assert tree.exceptions == 1


def test_an_exception_names_the_line_it_was_raised_in(trace):
    traced = trace(
        """
        def f():
            x = 1

            raise ValueError(x)
        try: f()
        except ValueError: pass
        """
    )
    trace_ = traced.trace()
    for record in trace_.stream(1).records():
        if record.kind == Kind.CALL:
            code = record.code
        if record.kind == Kind.RAISE:
            assert trace_.definitions.line(code, record.offset) == 5
            return
    raise AssertionError("no RAISE")


def test_an_exception_raised_again(trace):
    traced = trace(
        """
        def g(): pass
        def f(): raise KeyError('k')
        def again():
            try:
                f()
            except KeyError:
                raise
        try: again()
        except KeyError: g()
        """
    )
    assert traced.calls() == expected(
        """
        again() raises KeyError('k')
          f() raises KeyError('k')
        g() -> None
        """
    )


def test_an_exception_raised_from_another_is_another(trace):
    traced = trace(
        """
        def g(): pass
        def f(): raise KeyError('k')
        def wraps():
            try:
                f()
            except KeyError as error:
                raise ValueError('v') from error
        try: wraps()
        except ValueError: g()
        """
    )
    # On 3.10 and 3.11 f's is the context of the one that was seen being handled: to
    # follow it there is allowed, not asked for.
    text = """
        wraps() raises ValueError('v')
          f() raises? KeyError('k')
        g() -> None
        """
    assert traced.calls() in (expected(text), expected(text.replace("?", "")))


def test_calls_in_finally_and_in_exit_come_before_the_end(trace):
    traced = trace(
        """
        def clean(): pass
        class Manager:
            def __enter__(self): return self
            def __exit__(self, kind, error, traceback): return False
        def f():
            with Manager():
                try:
                    raise ValueError('x')
                finally:
                    clean()
        try: f()
        except ValueError: clean()
        """,
        config={"locals": "none"},
    )
    assert traced.calls(values=False) == expected(
        """
        Manager() -> None
        f() raises ValueError('x')
          Manager.__enter__() -> <Manager>
          clean() -> None
          Manager.__exit__() -> False
        clean() -> None
        """
    )


def test_an_exception_that_exit_swallows_ends_nothing(trace):
    traced = trace(
        """
        class Quiet:
            def __enter__(self): pass
            def __exit__(self, *error): return True
        def raises(): raise ValueError('x')
        def f():
            with Quiet():
                raises()
            return 'went on'
        f()
        """
    )
    lines = traced.calls(values=False).splitlines()
    assert lines == [
        "Quiet() -> None",
        "f() -> 'went on'",
        "  Quiet.__enter__() -> None",
        # __exit__ is a call made while the exception is being handled.
        "  raises() raises ValueError('x')",
        "  Quiet.__exit__() -> True",
    ]


def test_a_return_in_finally_is_a_return(trace):
    traced = trace(
        """
        def f():
            try:
                raise ValueError('x')
            finally:
                return 'kept'
        f()
        """,
        options=("-W", "ignore"),
    )
    assert traced.calls() == "f() -> 'kept'"


def test_returning_none_is_not_raising(trace):
    """3.12.1 reports None for both."""
    traced = trace(
        """
        def implicit(): pass
        def explicit(n):
            if n:
                return None
            return
        def through():
            try:
                raise KeyError
            except KeyError:
                return None
        def raises():
            raise KeyError
        implicit()
        explicit(1)
        explicit(0)
        through()
        try: raises()
        except KeyError: implicit()
        """
    )
    assert traced.calls() == expected(
        """
        implicit() -> None
        explicit(n=1) -> None
        explicit(n=0) -> None
        through() -> None
        raises() raises KeyError()
        implicit() -> None
        """
    )


def test_stop_iteration_of_a_next_method(trace):
    traced = trace(
        """
        def f(): pass
        class Twice:
            n = 0
            def __iter__(self): return self
            def __next__(self):
                self.n += 1
                if self.n > 2:
                    raise StopIteration
                return self.n
        for n in Twice(): f()
        f()
        """
    )
    assert (
        traced.calls(values=False).splitlines()[1:]
        == expected(
            """
        Twice.__iter__() -> <Twice>
        Twice.__next__() -> 1
        f() -> None
        Twice.__next__() -> 2
        f() -> None
        Twice.__next__() raises? StopIteration()
        f() -> None
        """
        ).splitlines()
    )


@own_stack
def test_recursion_error_leaves_a_well_formed_trace(trace, core):
    traced = trace(
        """
        import sys
        sys.setrecursionlimit(300)
        def handled(): pass
        def down(n):
            return down(n + 1)
        try:
            down(0)
        except RecursionError:
            handled()
        handled()
        """,
        clean=core == "c",
    )
    calls = traced.tree().find("down")
    assert 200 < len(calls) <= 300
    if core == "python":
        return  # it has no room itself in the last dozen frames
    assert all(call.end.startswith("raises ") for call in calls)
    if knows_exceptions():
        assert {call.end.partition("(")[0] for call in calls} == {
            "raises RecursionError"
        }
    assert traced.calls(depth=1).splitlines()[1:] == ["handled() -> None"] * 2


@own_stack
def test_a_program_without_room_on_the_stack_gets_its_own_recursion_error(trace, core):
    """Recording takes no Python frames, so the depth reached is the same.

    The Python core takes some: what happens in the last of them is lost.
    """
    source = """
        import sys
        sys.setrecursionlimit(300)
        depth = 0
        def down():
            global depth
            depth += 1
            down()
        def go():
            try:
                down()
            except RecursionError:
                pass
        go()
        print(depth)
        """
    traced = trace(source, clean=core == "c")
    depth = int(traced.stdout)
    assert 280 < depth < 300
    missing = depth - len(traced.tree().find("down"))
    assert missing == 0 if core == "c" else 0 <= missing < 30


def test_keyboard_interrupt_is_recorded_and_reaches_the_program(trace):
    traced = trace(
        """
        import os, signal, time
        def waits():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        def after(): pass
        try:
            waits()
        except KeyboardInterrupt:
            after()
            print('interrupted')
        """
    )
    assert traced.stdout == "interrupted\n"
    assert traced.calls() == expected(
        """
        waits() raises KeyboardInterrupt()
        after() -> None
        """
    )


def test_an_interrupt_that_nobody_handles_ends_the_program_by_the_signal(trace):
    traced = trace(
        """
        import os, signal, time
        def waits():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        waits()
        """,
        fails=True,
    )
    assert traced.code == -signal.SIGINT
    assert traced.whole() == expected(
        """
        <module>() raises KeyboardInterrupt()
          waits() raises KeyboardInterrupt()
        """
    )


def test_system_exit_passes_every_call(trace):
    traced = trace(
        """
        import sys
        def leaves():
            sys.exit(3)
        def f():
            leaves()
        f()
        """,
        fails=True,
    )
    assert traced.code == 3
    assert traced.whole() == expected(
        """
        <module>() raises SystemExit(3)
          f() raises SystemExit(3)
            leaves() raises SystemExit(3)
        """
    )


def test_an_exception_that_leaves_the_program_is_known_on_every_version(trace):
    """It reaches the runner with its traceback, which names the frames it left."""
    traced = trace(
        """
        def c(): raise ValueError('end')
        def b(): c()
        def a(): b()
        a()
        """,
        fails=True,
    )
    assert traced.code == 1
    assert traced.whole() == expected(
        """
        <module>() raises ValueError('end')
          a() raises ValueError('end')
            b() raises ValueError('end')
              c() raises ValueError('end')
        """
    )
    assert traced.stderr.endswith("ValueError: end\n")
    assert "kolo_c" not in traced.stderr


def test_what_led_to_the_exception_that_leaves_the_program_is_known_as_well(trace):
    """It was handled without a call, so that only the chain has it any more."""
    traced = trace(
        """
        def c(): raise KeyError('c')
        def b():
            try: c()
            except KeyError as error: raise ValueError('b') from error
        def a():
            try: b()
            except ValueError: raise OSError('a')
        a()
        """,
        fails=True,
    )
    assert traced.whole() == expected(
        """
        <module>() raises OSError('a')
          a() raises OSError('a')
            b() raises ValueError('b')
              c() raises KeyError('c')
        """
    )


def test_a_circle_of_causes_is_gone_through_once(trace):
    traced = trace(
        """
        def f(): raise KeyError('k')
        def g():
            try: f()
            except KeyError as one:
                two = ValueError('v')
                one.__cause__ = two
                raise two from one
        g()
        """,
        fails=True,
    )
    assert traced.whole() == expected(
        """
        <module>() raises ValueError('v')
          g() raises ValueError('v')
            f() raises KeyError('k')
        """
    )


@counts_references
def test_an_exception_in_a_destructor_is_recorded_and_goes_on_to_be_ignored(trace):
    traced = trace(
        """
        def f(): pass
        class Box:
            def __del__(self):
                raise ValueError('in del')
        def drops():
            box = Box()
            del box
            return 'went on'
        drops()
        f()
        """
    )
    assert "Exception ignored" in traced.stderr
    lines = traced.calls(values=False).splitlines()
    assert lines[1] == "drops() -> 'went on'"
    # The hook for ignored exceptions is skipped code, so nobody handles it in sight.
    assert lines[2].startswith("  Box.__del__() raises ")
    if knows_exceptions():
        assert lines[2] == "  Box.__del__() raises ValueError('in del')"
    assert lines[3] == "f() -> None"


@counts_references
def test_the_pending_exception_survives_a_destructor_that_is_recorded(trace):
    """A destructor runs while an exception is on its way."""
    traced = trace(
        """
        def handled(error): return str(error)
        def f(): return 1
        class Box:
            def __del__(self):
                f()
        def raises():
            box = Box()
            raise ValueError('mine')
        def go():
            try:
                raises()
            except ValueError as error:
                return handled(error)
        go()
        """
    )
    lines = traced.calls(values=False).splitlines()
    assert "go() -> 'mine'" in lines
    assert "  Box.__del__() -> None" in [line[2:] for line in lines] + lines


def test_one_that_led_to_another_did_not_leave_the_call_that_handled_it(trace):
    """The other has forgotten where it came from: it is not known what left that call,
    where nobody tells."""
    traced = trace(
        """
        def handled(): pass
        def bottom():
            raise KeyError('bottom')
        def layer():
            try:
                bottom()
            except KeyError:
                raise LookupError('layer')
        def above():
            try:
                layer()
            except LookupError as error:
                raise error.with_traceback(None)
        try:
            above()
        except LookupError:
            handled()
        """
    )
    lines = traced.calls().splitlines()
    assert lines[1].strip().startswith("layer() raises")
    assert "KeyError" not in lines[1]
    assert ("LookupError" in lines[1]) == knows_exceptions()


def test_an_exception_group_is_recorded(trace):
    if sys.version_info < (3, 11):
        pytest.skip("no exception groups")
    traced = trace(
        """
        def g(): pass
        def f():
            raise ExceptionGroup('all', [ValueError('a'), KeyError('b')])
        try:
            f()
        except* ValueError:
            g()
        except* KeyError:
            g()
        """,
        config={"depth": 6},
    )
    lines = traced.calls().splitlines()
    assert lines[0].startswith("f() raises ")
    if knows_exceptions():
        assert lines[0] == (
            "f() raises ExceptionGroup('all', [ValueError('a'), KeyError('b')])"
        )
    assert lines[1:] == ["g() -> None", "g() -> None"]


def test_an_assertion_and_a_bare_class_are_exceptions(trace):
    traced = trace(
        """
        def g(): pass
        def f(n): assert n, 'no n'
        def bare(): raise ValueError
        try: f(0)
        except AssertionError: g()
        try: bare()
        except ValueError: g()
        """
    )
    assert traced.calls() == expected(
        """
        f(n=0) raises AssertionError('no n')
        g() -> None
        bare() raises ValueError()
        g() -> None
        """
    )


@not_on_pypy("the interpreter itself asks an exception for its __traceback__")
def test_an_exception_with_hostile_args_and_str_runs_nothing_of_it(trace):
    traced = trace(
        """
        def g(): pass
        class Hostile(Exception):
            def __str__(self): print('str ran'); return 'x'
            def __repr__(self): print('repr ran'); return 'x'
            @property
            def args(self): print('args ran'); return ()
            def __getattribute__(self, name):
                if name != '__traceback__': print('get', name)
                return super().__getattribute__(name)
        def f(): raise Hostile('a')
        try: f()
        except Hostile: g()
        """
    )
    assert traced.stdout == ""
    assert traced.calls().splitlines()[1:] == [
        "f() raises Hostile('a')",
        "g() -> None",
    ]


def test_the_args_of_a_system_error_are_those_it_has(trace):
    traced = trace(
        """
        def g(): pass
        def f(): open('/nonexistent/file')
        try: f()
        except OSError: g()
        """
    )
    exception = raised(traced, "f")
    assert isinstance(exception.args, Items)
    assert exception.args.items == (2, "No such file or directory")


def test_unhandled_exceptions_of_threads_end_their_calls(trace):
    traced = trace(
        """
        import threading
        def work(): raise ValueError('in thread')
        thread = threading.Thread(target=work, name='worker')
        thread.start()
        thread.join()
        """
    )
    text = traced.threads()["worker"]
    assert text == expected("work() raises? ValueError('in thread')")
    assert "ValueError: in thread" in traced.stderr
