"""Threads: each has a stream of its own, whenever and however it was started."""

from __future__ import annotations

import sys

import pytest

from tests.spec.pypy import not_on_pypy
from tests.spec.tracing import expected

SMALLEST_STACK = (128 if hasattr(sys, "gettotalrefcount") else 64) << 10
"""Debug builds ask for a little more."""


def test_a_thread_started_while_tracing_has_a_stream_with_its_name(trace):
    traced = trace(
        """
        import threading
        def work(n): return n
        thread = threading.Thread(target=work, args=(1,), name='worker')
        thread.start()
        thread.join()
        """
    )
    assert traced.threads()["worker"] == "work(n=1) -> 1"


def test_a_thread_knows_its_ident_and_its_native_id(trace):
    traced = trace(
        """
        import threading
        def work(): print(threading.get_ident(), threading.get_native_id())
        thread = threading.Thread(target=work, name='worker')
        thread.start()
        thread.join()
        """
    )
    thread = next(s.thread for s in traced.trace().streams if s.name == "worker")
    assert f"{thread.ident} {thread.native_id}\n" == traced.stdout


@pytest.fixture
def _reaches_running_threads(core, hook):
    if core == "python" and hook == "setprofile" and sys.version_info < (3, 12):
        pytest.skip("Python sets no other thread's profile function before 3.12")


@pytest.mark.usefixtures("_reaches_running_threads")
def test_a_thread_that_ran_before_tracing_began_is_recorded(trace):
    traced = trace(
        """
        import threading, kolo_c
        go, done = threading.Event(), threading.Event()
        def step(n): return n
        def work():
            go.wait()
            step(1)
            done.set()
        thread = threading.Thread(target=work, name='early')
        thread.start()
        with kolo_c.trace('late'):
            go.set()
            done.wait()
        thread.join()
        """,
        under=(),
    )
    assert "step(n=1) -> 1" in traced.threads()["early"]


def test_a_thread_that_goes_on_after_tracing_ended_is_open_there(trace):
    traced = trace(
        """
        import threading, kolo_c
        begun, go = threading.Event(), threading.Event()
        def step(n): return n
        def work():
            begun.set()
            go.wait()
            step(2)
        with kolo_c.trace('first'):
            thread = threading.Thread(target=work, name='long')
            thread.start()
            begun.wait()
        go.set()
        thread.join()
        """,
        under=(),
    )
    assert traced.threads()["long"] == "work() open"


@pytest.mark.usefixtures("_reaches_running_threads")
def test_a_thread_of_the_thread_module_is_recorded(trace):
    """It goes around threading.setprofile: the next block handed over finds it."""
    traced = trace(
        """
        import _thread, time
        def step(n): return n
        lock = _thread.allocate_lock()
        lock.acquire()
        def work():
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                step(1)
                time.sleep(0.01)
            lock.release()
        _thread.start_new_thread(work, ())
        time.sleep(0.1)
        for _ in range(8000):  # more than a block holds
            step(2)
        lock.acquire()
        """
    )
    streams = traced.threads()
    assert any("step(n=1) -> 1" in text for text in streams.values()), streams


def test_threads_that_end_leave_everything_they_did(trace):
    """A thread that ends gives its last block back, while the writer may be busy."""
    traced = trace(
        """
        import threading
        def step(n): return n
        def work(count):
            for n in range(count):
                step(n)
        for round in range(30):
            threads = [
                threading.Thread(target=work, args=(7,), name=f't{round}.{i}')
                for i in range(4)
            ]
            for t in threads: t.start()
            for t in threads: t.join()
        """
    )
    streams = traced.threads(depth=1)
    assert len([name for name in streams if name.startswith("t")]) == 120
    tree = traced.tree(thread=60)
    steps = [call.arguments[0][1] for call in tree.find("step")]
    assert steps == [str(n) for n in range(7)]


def test_threads_that_begin_while_others_do_run_and_are_recorded(trace):
    """Before 3.12 CPython refuses to set a profile function while another thread is about
    to: of those of the Python core one in 200 ended before it ran.
    """
    traced = trace(
        """
        import sys, threading
        sys.setswitchinterval(1e-6)
        ran = []
        def work(n): ran.append(n)
        for turn in range(60):
            threads = [threading.Thread(target=work, args=(turn,)) for _ in range(8)]
            for t in threads: t.start()
            for t in threads: t.join()
        print(len(ran))
        """
    )
    assert traced.stdout == "480\n"
    assert traced.stderr == ""
    assert sum(len(tree.find("work")) for tree in traced.trees()) == 480


def test_eight_threads_at_once_lose_nothing(trace):
    traced = trace(
        """
        import sys, threading
        sys.setswitchinterval(1e-5)
        def leaf(n): return n
        def work(name):
            for n in range(1000):
                leaf(n)
            return name
        threads = [
            threading.Thread(target=work, args=(i,), name=f'worker {i}')
            for i in range(8)
        ]
        for t in threads: t.start()
        for t in threads: t.join()
        """
    )
    trace_ = traced.trace()
    assert len([s for s in trace_.streams if s.name.startswith("worker")]) == 8
    for ordinal, stream in enumerate(trace_.streams, 1):
        if stream.name.startswith("worker"):
            tree = traced.tree(thread=ordinal)
            (work,) = tree.find("work")
            assert [c.end for c in work.children] == [f"-> {n}" for n in range(1000)]
    assert trace_.info.count("calls") >= 8_000


def test_a_thread_renamed_keeps_a_name(trace):
    traced = trace(
        """
        import threading
        def work():
            threading.current_thread().name = 'renamed'
            later()
        def later(): pass
        thread = threading.Thread(target=work, name='first')
        thread.start()
        thread.join()
        """
    )
    assert set(traced.threads()) & {"first", "renamed"}


def test_threads_are_not_recorded_where_the_setting_says_so(trace):
    traced = trace(
        """
        import threading
        def work(n): return n
        thread = threading.Thread(target=work, args=(1,))
        thread.start()
        thread.join()
        work(2)
        """,
        config={"threads": False},
    )
    assert traced.calls() == "work(n=2) -> 2"
    assert len(traced.trace().streams) == 1


def test_executor_threads_are_recorded(trace):
    traced = trace(
        """
        from concurrent.futures import ThreadPoolExecutor
        def square(n): return n * n
        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(square, range(10))) == [n * n for n in range(10)]
        """
    )
    text = "\n".join(traced.threads().values())
    found = sorted(line.strip() for line in text.splitlines() if "square" in line)
    assert found == sorted(f"square(n={n}) -> {n * n}" for n in range(10))


def test_a_daemon_thread_that_runs_at_the_end_stops_nothing(trace):
    traced = trace(
        """
        import threading, time
        def step(): pass
        def work():
            while True:
                step()
                time.sleep(0.001)
        threading.Thread(target=work, daemon=True, name='daemon').start()
        time.sleep(0.05)
        print('end')
        """
    )
    assert traced.stdout == "end\n"
    text = traced.threads()["daemon"]
    assert text.startswith("work() open")
    assert "  step() -> None" in text


@not_on_pypy("objects die when the collector finds them, not with their last reference")
def test_a_thread_local_destructor_at_thread_end_is_recorded(trace):
    traced = trace(
        """
        import threading
        local = threading.local()
        def dropped(): pass
        class Box:
            def __del__(self): dropped()
        def work(): local.box = Box()
        thread = threading.Thread(target=work, name='worker')
        thread.start()
        thread.join()
        """
    )
    text = "\n".join([traced.whole(), *traced.threads().values()])
    assert "work() -> None" in text
    assert "Box.__del__" in text


@not_on_pypy("objects die when the collector finds them, not with their last reference")
def test_what_is_destroyed_with_a_thread_is_in_its_stream(trace, hook):
    """It came after the thread's end was told, and was taken for another thread's.

    That one had no end, so its memory was never given back; and the next thread, which
    has the same ident and often the same place, was taken for it.
    """
    traced = trace(
        """
        import contextvars, threading, time
        local = threading.local()
        variable = contextvars.ContextVar('variable')
        class Box:
            def __init__(self, n): self.n = n
            def __del__(self): dropped(self.n)
        def dropped(n): pass
        def work(n):
            local.box = Box(n)
            variable.set(Box(-n))
        for n in range(1, 6):
            thread = threading.Thread(target=work, args=(n,), name=f'worker {n}')
            thread.start()
            thread.join()
            time.sleep(0.02)  # until nothing of it is left
        """
    )
    threads = traced.threads()
    assert list(threads) == [f"worker {n}" for n in range(1, 6)]
    for n, text in enumerate(threads.values(), 1):
        lines = [line for line in text.splitlines() if "Box" not in line]
        # setprofile's function goes before the context, which 3.14 gives to the object.
        is_seen = hook != "setprofile" and sys.version_info < (3, 14)
        late = [f"  dropped(n={-n}) -> None"] if is_seen else []
        assert lines == [f"work(n={n}) -> None", f"  dropped(n={n}) -> None", *late]


@pytest.mark.parametrize("size", [SMALLEST_STACK, 8 << 20])
def test_a_thread_with_a_small_stack_is_recorded(trace, size):
    """The smallest stack that Python allows is enough to be recorded on."""
    traced = trace(
        f"""
        import threading
        threading.stack_size({size})
        def work(n): return {{'a': [(n, {{'b': [n]}})]}}
        thread = threading.Thread(target=work, args=(1,), name='worker')
        thread.start()
        thread.join()
        """
    )
    assert traced.threads()["worker"] == expected(
        "work(n=1) -> {'a': [(1, {'b': <list of 1 …>})]}"
    )
