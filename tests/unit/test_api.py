"""``kolo_c.trace``: sessions, boundaries and regions around a program's own code."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import kolo_c
from kolo_c.core import c_import_error
from kolo_c.errors import KoloError, TracerError
from kolo_c.scope import SCOPE


class FakeSession:
    """Notes what it is told, and is the active session between start and stop."""

    def __init__(self, world, name="", problems=(), **_):
        self.world = world
        self.name = name
        self.problems = problems
        self.trace_id = f"trc_{name}"

    def start(self):
        if self.world.refuse:
            raise TracerError("another profiler is there", "Stop it.")
        self.world.log.append(f"start {self.name}")
        self.world.active = self

    def stop(self, cause="exit", exception=None):
        self.world.log.append(f"stop {cause} {type(exception).__name__}")
        self.world.active = None
        return types.SimpleNamespace(trace_id=self.trace_id, calls=1)

    def region_begin(self, name, values=None):
        self.world.log.append(f"begin {name}")
        return int(self.world.recording)

    def region_end(self, region, exception=None):
        self.world.log.append(f"end {type(exception).__name__}")

    def begin_boundary(self, name, kind, settings=None):
        self.world.log.append(f"boundary {name} {kind}")
        return 7, "trc_boundary"

    def ended_by(self, error, number):
        self.world.log.append(f"boundary {number} ended by {type(error).__name__}")

    def end_boundary(self, number, cause):
        self.world.log.append(f"boundary end {number} {cause}")


@pytest.fixture
def world(monkeypatch, tmp_path):
    """The session module, replaced; ``world.log`` is what happened."""
    world = types.SimpleNamespace(log=[], active=None, refuse=False, recording=True)
    module = types.ModuleType("kolo_c.session")
    module.active_session = lambda: world.active
    module.Session = lambda config, project, chosen, **values: FakeSession(
        world, config=config, **values
    )
    world.scope = SCOPE
    world.join = lambda: setattr(world, "active", FakeSession(world, "running"))
    monkeypatch.setitem(sys.modules, "kolo_c.session", module)
    monkeypatch.setattr("kolo_c.api.active_session", module.active_session)
    monkeypatch.chdir(tmp_path)
    return world


def test_the_package_offers_its_names_lazily():
    code = (
        "import sys, kolo_c; before = set(sys.modules); kolo_c.trace; "
        "assert 'kolo_c.api' not in before and 'kolo_c.config' not in before; "
        "assert set(kolo_c.__all__) <= set(dir(kolo_c)); print(kolo_c.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == (kolo_c.__version__, "")
    with pytest.raises(AttributeError, match="no attribute 'tracer'"):
        _ = kolo_c.tracer


def test_a_block_outside_every_session_is_a_session(world):
    with kolo_c.trace("import") as trace:
        world.log.append("work")
        assert trace.trace_id == "trc_import"
    assert world.log == ["start import", "work", "stop exit NoneType"]
    assert trace.summary.calls == 1
    assert trace.trace_id == "trc_import"


def test_a_block_that_raises_says_so_and_raises_on(world):
    with pytest.raises(KeyError), kolo_c.trace("x"):
        raise KeyError("a")
    assert world.log == ["start x", "stop exception KeyError"]


def test_a_block_within_a_session_is_a_region(world):
    world.join()
    with kolo_c.trace("part") as trace:
        pass
    with pytest.raises(ValueError), kolo_c.trace("bad"):
        raise ValueError
    assert world.log == ["begin part", "end NoneType", "begin bad", "end ValueError"]
    assert (trace.summary, trace.trace_id) == (None, None)


def test_a_region_outside_every_trace_is_not_ended(world):
    world.join()
    world.recording = False
    with kolo_c.trace("part"):
        pass
    assert world.log == ["begin part"]


def test_a_boundary_within_a_session_is_a_trace_of_its_own(world):
    world.join()
    with kolo_c.trace("job", boundary=True) as trace:
        assert world.scope.get() == 7
    assert world.scope.get() == 0
    assert trace.trace_id == "trc_boundary"
    assert world.log == ["boundary job region", "boundary end 7 exit"]


def test_start_and_stop_by_hand(world):
    trace = kolo_c.trace("x")
    assert trace.start() is trace
    with pytest.raises(KoloError, match="started already"):
        trace.start()
    assert trace.stop().trace_id == "trc_x"
    assert trace.stop().trace_id == "trc_x"
    trace.start()
    trace.stop()
    assert world.log == ["start x", "stop exit NoneType"] * 2


def test_a_session_that_cannot_start_is_an_error_by_hand_and_a_warning_else(world):
    world.refuse = True
    with pytest.raises(TracerError, match="another profiler"):
        kolo_c.trace("x").start()
    there = pytest.warns(RuntimeWarning, match="another profiler is there")
    with there as caught, kolo_c.trace("x"):
        world.log.append("work")
    assert caught[0].filename == __file__
    with pytest.warns(RuntimeWarning, match="another profiler"):
        assert kolo_c.trace(len)("abc") == 3
    assert world.log == ["work"]


def test_a_session_that_ended_within_a_region_is_left_alone(world):
    world.join()
    with kolo_c.trace("part"):
        world.active = None
    assert world.log == ["begin part"]


def test_wrong_settings_leave_the_default_and_are_said(world):
    trace = kolo_c.trace("x", locals="al", ignore_frames=["a["], depth=2)
    with trace:
        session = world.active
    problems = "\n".join(session.problems)
    assert "locals must be one of" in problems
    assert "'a[' has a [ without a ]; it is left out" in problems
    assert len(session.problems) == 2


def test_a_decorated_function_keeps_its_face(world):
    @kolo_c.trace("named")
    def function(a, *, b=2):
        """The text."""
        return a + b

    @kolo_c.trace
    def other():
        return 5

    assert function(1, b=3) == 4
    assert other() == 5
    assert (function.__name__, function.__doc__) == ("function", "The text.")
    assert str(inspect.signature(function)) == "(a, *, b=2)"
    name = "test_a_decorated_function_keeps_its_face.<locals>.other"
    stop = "stop exit NoneType"
    assert world.log == ["start named", stop, f"start {name}", stop]


@pytest.mark.parametrize("decorator", [kolo_c.trace, kolo_c.pause])
def test_a_decorated_method_is_bound_as_it_was(world, decorator):
    class Cart:
        @decorator
        @classmethod
        def of(cls):
            return cls.__name__

        @decorator
        @staticmethod
        def fixed(number):
            return number

        @classmethod
        @decorator
        def made(cls):
            return cls.__name__

    assert (Cart.of(), Cart().of(), Cart.made()) == ("Cart", "Cart", "Cart")
    assert (Cart.fixed(1), Cart().fixed(2)) == (1, 2)


@pytest.mark.parametrize("decorator", [kolo_c.trace, kolo_c.pause])
@pytest.mark.parametrize("thing", [int, property(str), 7])
def test_what_is_no_function_is_not_decorated(world, decorator, thing):
    """A class came out as a function, a property as one that nobody could get."""
    with pytest.raises(TypeError, match="functions and methods, not"):
        decorator(thing)


@pytest.mark.parametrize("decorator", [kolo_c.trace, kolo_c.pause])
def test_a_coroutine_of_types_can_still_be_awaited(world, decorator):
    @decorator
    @types.coroutine
    def step():
        yield
        return 5

    async def main():
        return await step()

    assert asyncio.run(main()) == 5


def test_a_decorated_function_may_call_itself(world):
    @kolo_c.trace("f")
    def function(number):
        return number and function(number - 1)

    assert function(2) == 0
    inner = ["begin f", "begin f", "end NoneType", "end NoneType"]
    assert world.log == ["start f", *inner, "stop exit NoneType"]


def test_a_generator_is_in_its_region_only_while_it_runs(world):
    world.join()

    @kolo_c.trace("g")
    def generator():
        got = yield 1
        world.log.append(f"got {got}")
        try:
            yield 2
        except KeyError:
            world.log.append("caught")
        return "end"

    assert inspect.isgeneratorfunction(generator)
    steps = generator()
    assert world.log == []
    assert next(steps) == 1
    world.log.append("outside")
    assert steps.send("x") == 2
    with pytest.raises(StopIteration, match="end"):
        steps.throw(KeyError("k"))
    region = ["begin g", "end NoneType"]
    assert world.log == [
        *region,
        "outside",
        "begin g",
        "got x",
        "end NoneType",
        "begin g",
        "caught",
        "end NoneType",
    ]


def test_a_generator_that_is_closed_early_ends_its_session(world):
    @kolo_c.trace("g")
    def generator():
        try:
            yield 1
        finally:
            world.log.append("cleanup")

    steps = generator()
    next(steps)
    steps.close()
    assert world.log == ["start g", "cleanup", "stop exit NoneType"]


def test_coroutines_that_take_turns_have_regions_that_do_not_overlap(world):
    world.join()

    @kolo_c.trace("c")
    async def work(name):
        world.log.append(name)
        await asyncio.sleep(0)
        world.log.append(name)
        return name

    async def main():
        return await asyncio.gather(work("a"), work("b"))

    assert inspect.iscoroutinefunction(work)
    assert asyncio.run(main()) == ["a", "b"]
    assert world.log == [
        *("begin c", "a", "end NoneType", "begin c", "b", "end NoneType"),
        *("begin c", "a", "end NoneType", "begin c", "b", "end NoneType"),
    ]


def test_a_coroutine_with_a_boundary_has_its_scope(world):
    world.join()
    seen = []

    @kolo_c.trace("c", boundary=True)
    async def work():
        seen.append(world.scope.get())
        await asyncio.sleep(0)
        seen.append(world.scope.get())
        raise ValueError("x")

    async def main():
        with pytest.raises(ValueError):
            await work()
        seen.append(world.scope.get())

    asyncio.run(main())
    assert seen == [7, 7, 0]
    assert world.log == [
        "boundary c region",
        "boundary 7 ended by ValueError",
        "boundary end 7 exception",
    ]


def test_an_async_generator_gives_takes_and_closes(world):
    world.join()

    @kolo_c.trace("a")
    async def numbers():
        try:
            got = yield 1
            try:
                yield got
            except KeyError:
                yield "caught"
            yield "more"
        finally:
            world.log.append("cleanup")

    async def main():
        steps = numbers()
        found = [await steps.__anext__(), await steps.asend("sent")]
        found.append(await steps.athrow(KeyError("x")))
        await steps.aclose()
        return found, [item async for item in numbers()]

    assert inspect.isasyncgenfunction(numbers)
    assert asyncio.run(main()) == ([1, "sent", "caught"], [1, None, "more"])
    assert world.log.count("cleanup") == 2
    assert world.log.count("begin a") == world.log.count("end NoneType")


@pytest.mark.skipif(bool(c_import_error()), reason="no C core")
def test_a_session_that_is_never_stopped_ends_with_the_process(tmp_path):
    (tmp_path / "program.py").write_text(
        "import kolo_c\n"
        "def work(): return 1\n"
        "trace = kolo_c.trace('left open').start()\n"
        "work()\n"
        "import atexit; atexit.register(work)\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def python(*words):
        return subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
        )

    done = python("program.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    listed = python("-m", "kolo_c", "list", "--json")
    assert '"left open"' in listed.stdout
    assert '"complete"' in listed.stdout
