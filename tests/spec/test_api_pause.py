"""``kolo_c.pause``: nothing is recorded within, and the trace around it stays whole."""

from __future__ import annotations

from tests.spec.tracing import expected


def test_calls_within_a_pause_are_not_recorded(trace):
    traced = trace(
        """
        import kolo_c
        def f(n): return n
        def work():
            f(1)
            with kolo_c.pause():
                f(2)
            f(3)
        work()
        """
    )
    assert traced.calls() == expected(
        """
        work() -> None
          f(n=1) -> 1
          f(n=3) -> 3
        """
    )


def test_pauses_may_be_nested_and_raised_through(trace):
    traced = trace(
        """
        import kolo_c
        def f(n): return n
        try:
            with kolo_c.pause():
                with kolo_c.pause():
                    f(1)
                f(2)
                raise ValueError('x')
        except ValueError:
            f(3)
        """
    )
    assert traced.calls() == "f(n=3) -> 3"


def test_a_call_entered_before_a_pause_ends_after_it(trace):
    """What is entered within and returns behind its end is not recorded."""
    traced = trace(
        """
        import kolo_c
        def leaf(n): return n
        def ends_within(pause):
            pause.__exit__(None, None, None)
            leaf(2)
            return 'not recorded'
        def outer():
            leaf(1)
            pause = kolo_c.pause()
            pause.__enter__()
            ends_within(pause)
            leaf(3)
            return 'end'
        outer()
        """
    )
    assert traced.calls() == expected(
        """
        outer() -> 'end'
          leaf(n=1) -> 1
          leaf(n=2) -> 2
          leaf(n=3) -> 3
        """
    )


def test_a_pause_holds_for_its_thread_alone(trace):
    traced = trace(
        """
        import kolo_c, threading
        def f(n): return n
        def work(): f(1)
        with kolo_c.pause():
            f(2)
            thread = threading.Thread(target=work, name='other')
            thread.start()
            thread.join()
        """
    )
    assert traced.calls() == ""
    assert traced.threads()["other"] == "work() -> None\n  f(n=1) -> 1"


def test_threads_and_tasks_may_share_a_pause(trace):
    traced = trace(
        """
        import asyncio, kolo_c, threading
        def f(n): return n
        pause = kolo_c.pause()
        both = threading.Barrier(2)
        def work(n):
            with pause:
                both.wait()
                with pause: f(0)
            both.wait()
            f(n)
        other = threading.Thread(target=work, args=(2,), name='other')
        other.start()
        work(1)
        other.join()
        async def step(n):
            with pause: await asyncio.sleep(0)
            f(n)
        async def main(): await asyncio.gather(step(3), step(4))
        asyncio.run(main())
        """
    )
    calls = traced.calls() + traced.threads()["other"]
    assert sorted(n for n in range(5) if f"f(n={n})" in calls) == [1, 2, 3, 4]


def test_a_pause_holds_for_its_task_across_awaits(trace):
    """The other task is recorded meanwhile; the paused coroutine has its end."""
    traced = trace(
        """
        import asyncio, kolo_c
        def f(n): return n
        async def quiet():
            f(1)
            with kolo_c.pause():
                f(2)
                await asyncio.sleep(0)
                f(3)
                await asyncio.sleep(0)
            f(4)
            return 'quiet'
        async def loud():
            f(10)
            await asyncio.sleep(0)
            f(11)
        async def main():
            await asyncio.gather(quiet(), loud())
            return 'main'
        asyncio.run(main())
        """
    )
    calls = traced.calls()
    numbers = [line.strip() for line in calls.splitlines() if "f(n=" in line]
    assert sorted(numbers) == [
        "f(n=1) -> 1",
        "f(n=10) -> 10",
        "f(n=11) -> 11",
        "f(n=4) -> 4",
    ]
    quiet = next(
        line for line in calls.splitlines() if line.strip().startswith("quiet")
    )
    assert quiet.endswith("-> 'quiet'")
    tree = traced.tree()
    found = {node.name: node for root in tree.roots for node in _walk(root)}
    assert [child.name for child in found["quiet"].children] == ["f", "f"]


def _walk(node):
    yield node
    for child in node.children:
        yield from _walk(child)


def test_a_coroutine_below_the_paused_one_is_not_recorded(trace):
    traced = trace(
        """
        import asyncio, kolo_c
        def f(n): return n
        async def inner():
            f(1)
            await asyncio.sleep(0)
            f(2)
        async def outer():
            with kolo_c.pause():
                await inner()
            f(3)
        asyncio.run(outer())
        """
    )
    assert "inner" not in traced.calls()
    assert traced.calls().count("f(n=") == 1
    assert "f(n=3)" in traced.calls()


def test_a_task_made_in_a_pause_is_paused_as_well(trace):
    traced = trace(
        """
        import asyncio, kolo_c
        def f(n): return n
        async def work(n): f(n)
        async def main():
            with kolo_c.pause():
                task = asyncio.create_task(work(1))
            await task
            await asyncio.create_task(work(2))
        asyncio.run(main())
        """
    )
    assert "f(n=1)" not in traced.calls()
    assert "f(n=2) -> 2" in traced.calls()


def test_a_generators_values_are_not_recorded_in_a_pause(trace):
    traced = trace(
        """
        import kolo_c
        def numbers():
            yield 'public'
            yield 'private'
            yield 'again'
        steps = numbers()
        next(steps)
        with kolo_c.pause():
            next(steps)
        next(steps)
        """
    )
    assert "'private'" not in traced.calls()
    assert "yields 'public'" in traced.calls()
    assert "'again'" in traced.calls()


def test_a_paused_function_is_what_it_was(trace):
    """A coroutine and a generator too; their callers are recorded between the steps."""
    traced = trace(
        """
        import asyncio, inspect, kolo_c
        def f(n): return n
        @kolo_c.pause
        def function(n): return f(n)
        @kolo_c.pause()
        def generator():
            f(20)
            yield 1
            f(21)
        @kolo_c.pause
        async def coroutine():
            f(30)
            await asyncio.sleep(0)
            f(31)
        assert inspect.isgeneratorfunction(generator)
        assert inspect.iscoroutinefunction(coroutine)
        assert function(10) == 10
        for _ in generator(): f(1)
        asyncio.run(coroutine())
        f(2)
        """
    )
    assert traced.calls() == "f(n=1) -> 1\nf(n=2) -> 2"


def test_a_pause_within_a_boundary_outlasts_its_awaits(trace):
    """The core moves the scope out of a boundary at each suspension, and back."""
    traced = trace(
        """
        import asyncio
        import kolo_c
        def f(n): return n
        async def job():
            f(1)
            with kolo_c.pause():
                await asyncio.sleep(0)
                f(2)
            f(3)
            return 'done'
        asyncio.run(job())
        f(4)
        """,
        config={"rules": [{"match": "qualname:job", "boundary": True}]},
    )
    assert traced.calls(1).count("f(n=") == 2
    assert "f(n=1)" in traced.calls(1) and "f(n=3)" in traced.calls(1)
    assert "-> 'done'" in traced.calls(1)
    assert traced.calls(0) == "f(n=4) -> 4"


def test_nothing_else_of_kolo_c_records_in_a_pause(trace):
    traced = trace(
        """
        import kolo_c
        def f(n): return n
        with kolo_c.pause():
            assert not kolo_c.note('no')
            assert not kolo_c.current() and kolo_c.current().id is None
            with kolo_c.trace('region'): f(1)
            with kolo_c.trace('boundary', boundary=True): f(2)
        f(3)
        """
    )
    assert traced.calls() == "f(n=3) -> 3"
    assert len(traced.infos()) == 1


def test_a_pause_lasts_into_a_forked_child(trace):
    traced = trace(
        """
        import kolo_c, os
        def f(n): return n
        f(0)
        with kolo_c.pause():
            pid = os.fork()
            if not pid:
                f(1)
        if pid:
            os.waitpid(pid, 0)
        f(2)
        """
    )
    assert traced.calls(0) == "f(n=0) -> 0\nf(n=2) -> 2"
    assert traced.calls(1) == "f(n=2) -> 2"


def test_a_pause_in_a_program_that_is_not_recorded_does_nothing(trace):
    traced = trace(
        """
        import sys, kolo_c
        with kolo_c.pause(): pass
        assert 'kolo_c.session' not in sys.modules
        assert 'inspect' not in sys.modules
        """,
        under=(),
    )
    assert not traced.store.exists()
