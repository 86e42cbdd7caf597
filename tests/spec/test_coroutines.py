"""Coroutines and async generators: one call each, in the task that ran it."""

from __future__ import annotations

from kolo_c.wire import Kind
from tests.spec.tracing import expected


def test_a_coroutine_is_one_call_with_its_value(trace):
    traced = trace(
        """
        import asyncio
        async def f(n):
            await asyncio.sleep(0)
            return n * 2
        asyncio.run(f(2))
        """
    )
    assert traced.calls() == "f(n=2) yields None -> 4"


def test_a_coroutine_that_never_waits_yields_nothing(trace):
    traced = trace(
        """
        import asyncio
        async def inner(): return 1
        async def outer(): return await inner()
        asyncio.run(outer())
        """
    )
    assert traced.calls() == expected(
        """
        outer() -> 1
          inner() -> 1
        """
    )


def test_an_await_chain_is_a_chain_of_calls_however_often_it_waits(trace):
    """A chain of depth d gives d returns and d calls for each suspension."""
    traced = trace(
        """
        import asyncio
        async def deep(n):
            for _ in range(n):
                await asyncio.sleep(0)
            return 'deep'
        async def middle(n):
            return await deep(n)
        async def top(n):
            return await middle(n)
        asyncio.run(top(3))
        """
    )
    assert traced.calls() == expected(
        """
        top(n=3) yields None, None, None -> 'deep'
          middle(n=3) yields None, None, None -> 'deep'
            deep(n=3) yields None, None, None -> 'deep'
        """
    )


def test_a_coroutine_that_nobody_awaits_is_no_call(trace):
    traced = trace(
        """
        async def f(): pass
        f().close()
        def g(): pass
        g()
        """
    )
    assert traced.calls().splitlines()[-1] == "g() -> None"
    assert all("yields" not in line for line in traced.calls().splitlines())


def test_each_call_has_the_task_that_ran_it(trace):
    traced = trace(
        """
        import asyncio
        def plain(name): pass
        async def work(name):
            plain(name)
            await asyncio.sleep(0)
            plain(name)
        async def main():
            one = asyncio.create_task(work('a'), name='first')
            two = asyncio.create_task(work('b'), name='second')
            await asyncio.gather(one, two)
        asyncio.run(main())
        """
    )
    tree = traced.tree()
    tasks = {
        (call.name, call.arguments[0][1]): call.task
        for call in tree.calls
        if call.name in ("work", "plain")
    }
    assert tasks == {
        ("work", "'a'"): "first",
        ("plain", "'a'"): "first",
        ("work", "'b'"): "second",
        ("plain", "'b'"): "second",
    }
    for plain in tree.find("plain"):
        assert plain.task == ("first" if plain.arguments[0][1] == "'a'" else "second")
    assert tree.find("main")[0].task.startswith("Task-")


def test_tasks_that_take_turns_keep_their_own_trees(trace):
    traced = trace(
        """
        import asyncio
        def step(name, n): pass
        async def work(name):
            for n in range(3):
                step(name, n)
                await asyncio.sleep(0)
            return name
        async def main():
            return await asyncio.gather(work('a'), work('b'))
        asyncio.run(main())
        """
    )
    tree = traced.tree()
    for call in tree.find("work"):
        name = call.arguments[0][1]
        assert call.end == f"-> {name}"
        assert [child.arguments for child in call.children] == [
            [("name", name), ("n", str(n))] for n in range(3)
        ]
    assert tree.find("main")[0].end == "-> ['a', 'b']"


def test_outside_of_tasks_calls_have_no_task(trace):
    traced = trace(
        """
        import asyncio
        def f(): pass
        async def main(): f()
        f()
        asyncio.run(main())
        f()
        """
    )
    assert [bool(call.task) for call in traced.tree().find("f")] == [False, True, False]


def test_tasks_in_two_loops_in_two_threads(trace):
    traced = trace(
        """
        import asyncio, threading
        async def work(name):
            asyncio.current_task().set_name('task of ' + name)
            await asyncio.sleep(0)
            return after(name)
        def after(name): return name
        def run(name): asyncio.run(work(name))
        threads = [threading.Thread(target=run, args=(n,), name=n) for n in 'ab']
        for t in threads: t.start()
        for t in threads: t.join()
        """
    )
    for name, text in traced.threads().items():
        if name in ("a", "b"):
            assert text == expected(
                f"""
                run(name='{name}') -> None
                  work(name='{name}') yields None -> '{name}'
                    after(name='{name}') -> '{name}'
                """
            )


def test_what_runs_while_asyncio_is_being_imported_has_no_task(trace):
    """3.12 crashes where functions of _asyncio are called before it has its state."""
    traced = trace(
        """
        import contextvars, importlib.machinery
        loader = importlib.machinery.ExtensionFileLoader
        finish = loader.exec_module
        def between(): pass
        def exec_module(self, module):
            contextvars.copy_context().run(between)  # as in a scope of its own
            finish(self, module)
        loader.exec_module = exec_module
        import asyncio
        async def f():
            await asyncio.sleep(0)
        asyncio.run(f())
        """
    )
    assert traced.code == 0
    (f,) = traced.tree().find("f")
    assert f.task != ""
    assert all(call.task == "" for call in traced.tree().find("between"))


def test_an_async_generator_is_one_call(trace):
    traced = trace(
        """
        import asyncio
        async def numbers(n):
            for i in range(n):
                yield i
                await asyncio.sleep(0)
        async def main():
            return [i async for i in numbers(2)]
        asyncio.run(main())
        """
    )
    (numbers,) = traced.tree().find("numbers")
    assert numbers.end == "-> None"
    # It suspends for what it yields, which the interpreter wraps, and for awaiting.
    assert numbers.steps == ["0", "None", "1", "None"]


def test_async_with_and_async_for(trace):
    traced = trace(
        """
        import asyncio
        class Manager:
            async def __aenter__(self):
                await asyncio.sleep(0)
                return 'entered'
            async def __aexit__(self, *error):
                return False
        class Count:
            n = 0
            def __aiter__(self): return self
            async def __anext__(self):
                self.n += 1
                if self.n > 2: raise StopAsyncIteration
                return self.n
        def body(n): pass
        async def main():
            async with Manager():
                async for n in Count():
                    body(n)
        asyncio.run(main())
        """
    )
    text = traced.calls(values=False).splitlines()
    assert (
        text[2:]
        == expected(
            """
        main() yields None -> None
          Manager.__aenter__() yields None -> 'entered'
          Count.__aiter__() -> <Count>
          Count.__anext__() -> 1
          body() -> None
          Count.__anext__() -> 2
          body() -> None
          Count.__anext__() raises? StopAsyncIteration()
          Manager.__aexit__() -> False
        """
        ).splitlines()
    )


def test_a_cancelled_task_is_thrown_into(trace):
    traced = trace(
        """
        import asyncio
        def cleaned(): pass
        async def work():
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                cleaned()
                raise
        async def main():
            task = asyncio.create_task(work())
            await asyncio.sleep(0)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                cleaned()
        asyncio.run(main())
        """
    )
    (work,) = traced.tree().find("work")
    assert work.end.startswith("raises ")
    assert [child.name for child in work.children] == ["cleaned"]
    (main,) = traced.tree().find("main")
    assert main.end == "-> None"
    assert main.children[-1].name == "cleaned"


def test_an_exception_passes_an_await_chain(trace):
    traced = trace(
        """
        import asyncio
        def handled(): pass
        async def inner():
            await asyncio.sleep(0)
            raise ValueError('x')
        async def outer():
            await inner()
        async def main():
            try:
                await outer()
            except ValueError:
                handled()
        asyncio.run(main())
        """
    )
    assert traced.calls() == expected(
        """
        main() yields None -> None
          outer() yields None raises ValueError('x')
            inner() yields None raises ValueError('x')
          handled() -> None
        """
    )


def test_an_async_generator_that_is_closed(trace):
    traced = trace(
        """
        import asyncio
        def cleaned(): pass
        async def numbers():
            try:
                yield 1
                yield 2
            finally:
                cleaned()
        async def main():
            g = numbers()
            await g.__anext__()
            await g.aclose()
        asyncio.run(main())
        """
    )
    (numbers,) = traced.tree().find("numbers")
    assert numbers.steps[0] == "1"
    assert numbers.end.startswith("raises ")
    assert "cleaned" in [call.name for call in traced.tree().calls]


def test_contextlib_managers_are_generators(trace):
    traced = trace(
        """
        import asyncio, contextlib
        def body(): pass
        @contextlib.contextmanager
        def manager(n):
            yield n
        @contextlib.asynccontextmanager
        async def manager2(n):
            await asyncio.sleep(0)
            yield n
        def f():
            with manager(1):
                body()
        async def g():
            async with manager2(2):
                body()
        f()
        asyncio.run(g())
        """
    )
    (one,) = traced.tree().find("manager")
    assert (one.steps, one.end) == (["1"], "-> None")
    (two,) = traced.tree().find("manager2")
    assert two.end == "-> None"
    assert len(two.steps) == 2
    assert len(traced.tree().find("body")) == 2


def test_a_task_that_never_ends_is_left_suspended(trace):
    traced = trace(
        """
        import asyncio, os
        async def forever():
            await asyncio.get_running_loop().create_future()
        loop = asyncio.new_event_loop()
        task = loop.create_task(forever())
        loop.call_later(0.02, loop.stop)
        loop.run_forever()
        print('stopped', flush=True)
        os._exit(0)
        """
    )
    (forever,) = traced.tree().find("forever")
    assert forever.end == ""
    assert not forever.on_stack


def test_the_records_of_a_wait_are_yield_and_resume(trace):
    traced = trace(
        """
        import asyncio
        async def f():
            await asyncio.sleep(0)
        asyncio.run(f())
        """
    )
    kinds = [record.kind for record in traced.trace().stream(1).records()]
    inner = [kind for kind in kinds if kind != Kind.TASK][1:-1]
    assert inner == [Kind.CALL, Kind.YIELD, Kind.RESUME, Kind.RETURN]


def test_a_task_at_the_address_of_the_last_is_another(trace):
    """Each ends before the next is made, and nothing is called between them."""
    traced = trace(
        """
        import asyncio
        async def member(n):
            return n
        def main():
            for n in range(5):
                asyncio.run(member(n))
        main()
        """
    )
    tasks = [
        record
        for record in traced.trace().stream(1).records()
        if record.kind == Kind.TASK
    ]
    assert len({record.task for record in tasks if record.task}) == 5


def test_an_await_is_at_one_place_however_often_it_is_come_to(trace):
    """Also where the hook learns later what it was: the frame has gone on by then."""
    traced = trace(
        """
        import asyncio
        async def turns(name, count):
            for turn in range(count):
                await asyncio.sleep(0)
            return name
        async def main():
            await asyncio.gather(turns("a", 1), turns("b", 4))
        asyncio.run(main())
        """
    )
    records = traced.trace().stream(1).records()
    offsets = [record.offset for record in records if record.kind == Kind.YIELD]
    assert len(offsets) == 6  # the first is that of main()
    assert len(set(offsets[1:])) == 1
