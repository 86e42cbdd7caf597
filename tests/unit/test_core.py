"""The C core where it was wrong once: each test tells the story of its mistake."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _only_c(core):
    if core != "c":
        pytest.skip("of the C core")


def test_two_threads_may_decide_about_the_same_function_at_once(trace):
    """The filter is Python, so a second thread may ask it the same meanwhile. The answer
    that came last replaced the first, and freed what a call of the other thread used.
    """
    traced = trace(
        """
        import threading, time, kolo_c, kolo_c.session
        def decide(self, code, path, module, qualname):
            if qualname == 'work':
                time.sleep(0.4 if threading.current_thread().name == 'slow' else 0.1)
            return True
        kolo_c.session.Session._decide = decide
        kolo_c.session.Session._decide_file = lambda self, path: (
            None if path.endswith('program.py') else False)
        def work(n):
            time.sleep(0.6 * (n == 1))
            return [n]
        with kolo_c.trace('both'):
            threads = [threading.Thread(target=work, args=(0,), name='slow'),
                       threading.Thread(target=work, args=(1,), name='fast')]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
        """,
        under=(),
    )
    assert traced.threads() == {
        "slow": "work(n=0) -> [0]",
        "fast": "work(n=1) -> [1]",
    }


def test_a_boundary_may_end_after_its_session(trace):
    """Its end was written into memory that the session had unmapped."""
    traced = trace(
        """
        import kolo_c, kolo_c.session
        def f(): return 1
        recording = kolo_c.trace('outer').start()
        session = kolo_c.scope.active_session()
        number, _ = session.begin_boundary('inner', 'request')
        token = kolo_c.scope.SCOPE.set(number)
        f()
        kolo_c.scope.SCOPE.reset(token)
        recording.stop()
        session.end_boundary(number, 'exit')
        print('alive')
        """,
        under=(),
    )
    assert traced.stdout == "alive\n"


def test_a_session_may_be_stopped_twice(trace):
    """The second stop raised RuntimeError into the program."""
    traced = trace(
        """
        import kolo_c, kolo_c.session
        def f(): return 1
        recording = kolo_c.trace('x').start()
        session = kolo_c.scope.active_session()
        f()
        first = session.stop()
        assert first.calls == 1 and session.stop() is first
        recording.stop()
        """,
        under=(),
    )
    assert traced.calls() == "f() -> 1"


def test_a_session_is_freed_when_it_is_over(trace):
    """The core held the filter's methods, and these their session, which held the core;
    and each thread started meanwhile held the method that had attached it.
    """
    traced = trace(
        """
        import gc, threading, kolo_c, kolo_c.session, weakref
        gone = []
        for _ in range(3):
            with kolo_c.trace('x'):
                weakref.finalize(kolo_c.scope.active_session(), gone.append, 1)
                thread = threading.Thread(target=print, args=('thread',))
                thread.start()
                thread.join()
            gc.collect()
        print(len(gone))
        """,
        under=(),
    )
    assert traced.stdout == "thread\n" * 3 + "3\n"


def test_threads_that_have_ended_leave_no_memory_behind(trace):
    """Each kept its stack of calls, some 6 KB, for as long as the session ran."""
    if "asan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("AddressSanitizer keeps freed memory back")
    traced = trace(
        """
        import threading
        def kilobytes():
            for line in open('/proc/self/status'):
                if line.startswith('VmRSS'):
                    return int(line.split()[1])
        def work(): pass
        def start(count):
            for _ in range(count):
                thread = threading.Thread(target=work)
                thread.start()
                thread.join()
        start(200)
        before = kilobytes()
        start(2000)
        print(kilobytes() - before)
        """,
    )
    assert int(traced.stdout) < 6000  # it was 13 000 and more


def test_what_a_signal_handler_raises_in_the_filter_reaches_the_program(trace):
    """SystemExit was taken for a mistake of the filter, and swallowed."""
    traced = trace(
        """
        import os, signal, kolo_c, kolo_c.session
        def handler(*_): raise SystemExit(3)
        signal.signal(signal.SIGTERM, handler)
        def decide(self, code, path, module, qualname):
            if qualname == 'f':
                os.kill(os.getpid(), signal.SIGTERM)
                for _ in range(10): pass
            return True
        kolo_c.session.Session._decide = decide
        kolo_c.session.Session._decide_file = lambda self, path: (
            None if path.endswith('program.py') else False)
        def f(): return 1
        with kolo_c.trace('x'):
            try:
                for _ in range(10): f()
                print('swallowed')
            except SystemExit as exit: print('exit', exit.code)
        """,
        under=(),
    )
    assert traced.stdout == "exit 3\n"


def test_ctrl_c_while_a_boundary_begins_reaches_the_program(trace):
    """It was cleared with the errors that beginning a trace may raise."""
    traced = trace(
        """
        import os, signal, kolo_c, kolo_c.session
        signal.signal(signal.SIGINT, signal.default_int_handler)
        kolo_c.session.Session._decide_file = lambda self, path: (
            None if path.endswith('program.py') else False)
        kolo_c.session.Session._decide = lambda self, code, path, module, qualname: (
            {'boundary': True} if qualname == 'f' else True)
        begin = kolo_c.session.Session.begin_boundary
        def interrupted(self, *arguments):
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(10): pass
            return begin(self, *arguments)
        kolo_c.session.Session.begin_boundary = interrupted
        def f(): return 1
        with kolo_c.trace('x'):
            try:
                for _ in range(10): f()
                print('swallowed')
            except KeyboardInterrupt: print('interrupted')
        """,
        under=(),
        clean=False,
    )
    assert traced.stdout == "interrupted\n"


def test_a_generator_may_end_while_another_profiler_has_our_place(trace):
    """From 3.13 on its going on waits for the next event, to learn whether it was thrown
    at. That came after the generator had died, and its frame was used nevertheless.
    """
    traced = trace(
        """
        import gc, sys
        def g():
            yield 1
            sys.setprofile(lambda *_: None)
            yield 2
        def f(n): return n
        f(0)
        generator = g()
        next(generator), next(generator)
        del generator
        gc.collect()
        sys.setprofile(None)
        for _ in range(1000): f(1)
        """,
        clean=False,
    )
    assert "f(n=0) -> 0" in traced.calls()


@pytest.mark.hooks("setprofile")
def test_a_start_that_fails_half_way_leaves_nothing_behind(trace):
    """Threads stayed attached to a session that was closed, and no other could start."""
    traced = trace(
        """
        import sys, threading, kolo_c
        refuse = False
        def audit(event, arguments):
            if refuse and event == 'sys.setprofile': raise MemoryError('refused')
        sys.addaudithook(audit)
        def f(n): return n
        refuse = True
        try: kolo_c.trace('first').start()
        except kolo_c.KoloError as error: print(error)
        refuse = False
        f(1)
        assert sys.getprofile() is None and threading._profile_hook is None
        with kolo_c.trace('second'): f(2)
        """,
        under=(),
    )
    assert traced.stdout == "the recorder: MemoryError: refused\n"
    assert [traced.calls(i) for i in range(len(traced.infos()))] == ["f(n=2) -> 2"]


def test_the_scope_of_a_generator_ends_at_each_of_its_yields(trace):
    """The core looked the scope up for a new context only: what the consumer did between
    two steps of a generator with a trace of its own was recorded in that trace.
    """
    traced = trace(
        """
        import kolo_c
        def f(n): return n
        @kolo_c.trace('generator', boundary=True)
        def g():
            f(1)
            yield
            f(3)
            yield
        with kolo_c.trace('consumer'):
            generator = g()
            next(generator)
            f(2)
            next(generator)
            f(4)
            generator.close()
            f(5)
        """,
        under=(),
        clean=False,
    )
    calls = {
        info.row.name: [line.strip() for line in traced.calls(i).splitlines()]
        for i, info in enumerate(traced.infos())
    }
    assert calls["consumer"] == ["f(n=2) -> 2", "f(n=4) -> 4", "f(n=5) -> 5"]
    assert calls["generator"][1:] == ["f(n=1) -> 1", "f(n=3) -> 3"]


def test_what_plugins_watch_makes_no_trace_where_nothing_is_kept(trace):
    """The first look at a thread's scope stored a row: what is watched looks, too."""
    traced = trace(
        """
        import threading, time, kolo_c
        recording = kolo_c.trace('x', ignore_frames=['path:program.py'])
        recording.start()
        thread = threading.Thread(target=time.sleep, args=(0,), name='watched')
        thread.start(); thread.join()
        recording.stop()
        """,
        under=(),
    )
    assert traced.infos() == []
