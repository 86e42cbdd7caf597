"""Greenlets: each call stands below its own caller, whichever of them runs."""

from __future__ import annotations

import os

import pytest

from tests.spec.pypy import not_on_pypy
from tests.spec.tracing import expected, knows_exceptions

pytest.importorskip("greenlet")
pytestmark = [
    not_on_pypy("its greenlets are another module's"),
    pytest.mark.skipif(
        os.environ.get("KOLO_C_SANITIZE") == "1",
        reason="greenlet copies stacks, where AddressSanitizer has put its red zones",
    ),
]


def test_calls_of_greenlets_that_take_turns_are_told_apart(trace):
    traced = trace(
        """
        import greenlet
        def step(name, n): return n
        def work(name):
            def inner():
                step(name, 1)
                main.switch()
                step(name, 2)
                main.switch()
                return name
            inner()
            return step(name, 3)
        main = greenlet.getcurrent()
        def run():
            a, b = greenlet.greenlet(work), greenlet.greenlet(work)
            a.switch('a')
            b.switch('b')
            step('main', 0)
            b.switch()
            a.switch()
            a.switch()
            b.switch()
            return a.dead, b.dead
        run()
        """
    )
    assert traced.calls(tasks=True) == expected(
        """
        run() yields None, None -> (True, True)
          step(name='main', n=0) -> 0
        [greenlet-1] work(name='a') yields None -> 3
          [greenlet-1] inner() yields None -> 'a'
            [greenlet-1] step(name='a', n=1) -> 1
            [greenlet-1] step(name='a', n=2) -> 2
          [greenlet-1] step(name='a', n=3) -> 3
        [greenlet-2] work(name='b') yields None, None -> 3
          [greenlet-2] inner() yields None, None -> 'b'
            [greenlet-2] step(name='b', n=1) -> 1
            [greenlet-2] step(name='b', n=2) -> 2
          [greenlet-2] step(name='b', n=3) -> 3
        """
    )


def test_a_greenlet_of_a_class_that_hides_its_name_is_not_asked_for_it(trace):
    traced = trace(
        """
        import greenlet
        class Meta(type):
            @property
            def __name__(cls): raise AssertionError('asked')
        class Own(greenlet.greenlet, metaclass=Meta): pass
        def work(n): return n
        Own(work).switch(1)
        """
    )
    assert traced.calls(tasks=True).splitlines()[-1] == "[Own-1] work(n=1) -> 1"


WORKERS = """
    import random, sys
    import greenlet
    chance = random.Random(7).random
    main = greenlet.getcurrent()
    def nested(name, depth):
        if chance() < 0.5: main.switch()
        for _ in range(int(chance() * 3) if depth < 6 else 0):
            nested(name, depth + 1)
        numbers(name)
        if chance() < 0.5: main.switch()
        if chance() < 0.1: failing(name)
        return depth
    def failing(name):
        try:
            raises(name)
        except ValueError:
            main.switch()
    def raises(name):
        main.switch()
        raise ValueError(name)
    def numbers(name):
        return sum(generated(name))
    def generated(name):
        for n in range(3):
            if chance() < 0.2: main.switch()
            yield n
    def work(name):
        for _ in range(5): nested(name, 0)
        return name
    def run(count):
        alive = [greenlet.greenlet(work) for _ in range(count)]
        for name, each in enumerate(alive):
            each.switch(name)
        while alive:
            index = int(chance() * len(alive))
            alive[index].switch()
            if alive[index].dead:
                del alive[index]
    """


def check_workers(tree, count):
    roots = tree.find("work")
    assert [call.end for call in roots] == [f"-> {name}" for name in range(count)]
    for name, root in enumerate(roots):
        waiting = list(root.children)
        assert len(waiting) == 5
        while waiting:
            call = waiting.pop()
            assert call.arguments[0] == ("name", str(name))
            assert call.end.startswith(("->", "raises"))
            if call.name == "nested":
                assert call.end == f"-> {call.arguments[1][1]}"
                for below in call.children:
                    if below.name == "nested":
                        depth = int(call.arguments[1][1]) + 1
                        assert below.arguments[1][1] == str(depth)
            waiting += call.children


def test_fifty_greenlets_that_switch_anywhere(trace):
    """In functions, generators, comprehensions, handlers of exceptions."""
    traced = trace(f"{WORKERS}\n    run(50)")
    check_workers(traced.tree(), 50)
    assert traced.trace().info.count("lost") == 0


def test_greenlets_of_several_threads(trace):
    traced = trace(
        f"""{WORKERS}
    import threading
    def other():
        global_main = greenlet.getcurrent()
        def step(n):
            global_main.switch()
            return n
        each = [greenlet.greenlet(step) for _ in range(20)]
        for n, one in enumerate(each): one.switch(n)
        for one in reversed(each): one.switch()
    threads = [threading.Thread(target=other, name=f't{{n}}') for n in range(2)]
    for thread in threads: thread.start()
    run(10)
    for thread in threads: thread.join()
    """
    )
    check_workers(traced.tree(), 10)
    streams = traced.trace().streams
    for ordinal, stream in enumerate(streams, 1):
        if stream.name.startswith("t"):
            steps = traced.tree(thread=ordinal).find("step")
            assert [step.end for step in steps] == [f"-> {n}" for n in range(20)]


def test_each_greenlet_may_have_a_trace_of_its_own(trace):
    traced = trace(
        """
        import greenlet, kolo_c
        main = greenlet.getcurrent()
        def step(n): return n
        def work(name):
            with kolo_c.trace(name, boundary=True):
                step(1)
                main.switch()
                step(2)
            main.switch()
            step(3)
        def run():
            a, b = greenlet.greenlet(work), greenlet.greenlet(work)
            a.switch('a'); b.switch('b'); a.switch(); b.switch(); a.switch(); b.switch()
        run()
        """
    )
    by_name = {info.row.name: number for number, info in enumerate(traced.infos())}
    for name in "ab":
        assert traced.calls(by_name[name]) == "step(n=1) -> 1\nstep(n=2) -> 2"
    works = traced.tree(by_name["program.py"]).find("work")
    assert [[call.end for call in work.children] for work in works] == [["-> 3"]] * 2


def test_a_greenlet_that_is_given_up_ends_by_its_exception(trace):
    traced = trace(
        """
        import greenlet
        main = greenlet.getcurrent()
        def waits():
            main.switch()
        def run():
            each = greenlet.greenlet(waits)
            each.switch()
            del each
            other = greenlet.greenlet(waits)
            other.switch()
            try:
                other.throw(ValueError('thrown'))
            except ValueError:
                pass
        run()
        """
    )
    ends = [call.end for call in traced.tree().find("waits")]
    if not knows_exceptions():
        assert ends[1] == "raises ?"
        return
    assert ends[0].startswith("raises GreenletExit('Killing the greenlet")
    assert ends[1] == "raises ValueError('thrown')"


def test_a_greenlet_that_waits_at_the_end_is_suspended(trace):
    """It was said that its end had not been recorded, and that of whoever ran then."""
    traced = trace(
        """
        import greenlet
        main = greenlet.getcurrent()
        def waits():
            main.switch()
        def after(): return 1
        kept = greenlet.greenlet(waits)
        kept.switch()
        after()
        """
    )
    assert traced.calls() == "after() -> 1\nwaits() yields None suspended"
    assert traced.trace().info.count("lost") == 0


def test_plugins_nodes_wait_with_their_calls(trace):
    traced = trace(
        """
        import greenlet, kolo_c
        class Watched(kolo_c.Plugin):
            watch = '__main__:charge'
            kind = kolo_c.Kind('payment')
            def start(self, frame): return {'amount': frame.f_locals['amount']}
            def finish(self, frame, value, exception): return {'paid': value}
        kolo_c.plugin(Watched)
        main = greenlet.getcurrent()
        def charge(amount):
            main.switch()
            return amount * 2
        def run():
            each = list(map(greenlet.greenlet, [charge] * 2))
            for n, one in enumerate(each): one.switch(n)
            for one in reversed(each): one.switch()
        with kolo_c.trace('all'):
            run()
        """,
        under=(),
    )
    assert traced.calls() == expected(
        """
        run() yields None -> None
        PAYMENT(amount=0, paid=0) yields None ends
          charge(amount=0) yields None -> 0
        PAYMENT(amount=1, paid=2) ends
          charge(amount=1) -> 2
        """
    )


def test_a_deep_recursion_of_greenlets(trace):
    traced = trace(
        """
        import greenlet, sys
        sys.setrecursionlimit(5000)
        main = greenlet.getcurrent()
        def down(n):
            if n == 0:
                main.switch()
                return 0
            return down(n - 1) + 1
        def other(): return 1
        each = greenlet.greenlet(down)
        each.switch(600)
        other()
        each.switch()
        """
    )
    ends = [call.end for call in traced.tree().find("down")]
    assert ends == [f"-> {n}" for n in range(600, -1, -1)]


def test_tasks_of_asyncio_that_run_functions_in_greenlets(trace):
    """As SQLAlchemy does it: a function awaits by switching to the greenlet below."""
    traced = trace(
        """
        import asyncio, greenlet
        def await_(coroutine):
            return greenlet.getcurrent().parent.switch(coroutine)
        async def spawn(function, *arguments):
            inner = greenlet.greenlet(function)
            result = inner.switch(*arguments)
            while not inner.dead:
                result = inner.switch(await result)
            return result
        async def answer(n):
            await asyncio.sleep(0)
            return n
        def plain(name):
            return [await_(answer(n)) for n in range(3)]
        async def main():
            return await asyncio.gather(*(spawn(plain, name) for name in 'ab'))
        asyncio.run(main())
        """
    )
    calls = traced.tree().find("plain")
    assert [call.end for call in calls] == ["-> [0, 1, 2]"] * 2
    assert [call.end for call in traced.tree().find("answer")] == [
        f"-> {n}" for n in (0, 0, 1, 1, 2, 2)
    ]
    assert traced.trace().info.count("lost") == 0
