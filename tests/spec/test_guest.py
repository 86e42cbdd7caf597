"""A guest in somebody's program: it behaves as without us, whatever it does."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.spec.pypy import not_on_pypy
from tests.spec.tracing import environment, write_program

PROGRAMS = {
    "prints and exits": "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)",
    "exits with a text": "import sys; sys.exit('a reason')",
    "exits with None": "import sys; print('x', end=''); sys.exit()",
    "raises": "def f(): raise ValueError('x')\ndef g(): f()\ng()",
    "raises a group of causes": """
        def f():
            try:
                raise KeyError('inner')
            except KeyError as error:
                raise ValueError('outer') from error
        f()
        """,
    "warns": "import warnings\ndef f(): warnings.warn('careful')\nf()",
    "tells its arguments": "import sys; print(sys.argv, __name__, __file__[-10:])",
    "reads stdin": "print(input() + input())",
    "closes stdout": "import os, sys; print('x'); sys.stdout.flush(); os.close(1)",
    "has exit handlers": """
        import atexit, sys
        def handler(): print('handler', sys.exc_info())
        atexit.register(handler)
        print('main')
        """,
    "has an excepthook": """
        import sys
        sys.excepthook = lambda *a: print('hook', a[0].__name__)
        raise KeyError('x')
        """,
    "inspects its frames": """
        import inspect, sys
        def f(): return [s.function for s in inspect.stack()][:2]
        print(f(), sys._getframe().f_code.co_name)
        """,
    "formats tracebacks": """
        import traceback
        def f(): raise ValueError('x')
        try: f()
        except ValueError: traceback.print_exc()
        """,
    "changes locals": """
        import sys
        def f():
            a = 1
            before = sorted(locals())
            b = 2
            return before, sorted(locals()), sys._getframe().f_locals['a']
        print(f())
        """,
    "counts its modules": """
        import sys
        print(sorted(n for n in sys.modules if n.split('.')[0] in
              ('msgpack', 'rich', 'sqlite3', '_sqlite3', 'numpy', 'asyncio')))
        """,
    "lists its threads": """
        import threading
        print(threading.active_count(), threading.main_thread().name)
        """,
    "handles a signal": """
        import os, signal
        def handler(number, frame): print('signal', number, frame.f_code.co_name)
        signal.signal(signal.SIGUSR1, handler)
        def f(): os.kill(os.getpid(), signal.SIGUSR1); return 1
        f()
        print('after')
        """,
    "is killed by a signal": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "runs out of memory": """
        def f():
            try:
                return bytearray(1 << 62)
            except (MemoryError, OverflowError) as error:
                return type(error).__name__
        print(f())
        """,
    "imports itself": "import program; print(program.__name__ != __name__)",
    "pickles its class": """
        import pickle
        class Box: pass
        print(type(pickle.loads(pickle.dumps(Box()))).__module__)
        """,
    "uses doctest": """
        def double(n):
            '''
            >>> double(2)
            4
            '''
            return n * 2
        import doctest
        print(doctest.testmod())
        """,
    "uses warnings as errors": """
        import warnings
        warnings.simplefilter('error')
        def f(): return 1
        print(f())
        """,
    "lets go of what a call held while a block began": """
        import gc
        gc.disable()
        class Box:
            def __del__(self): print('del')
        def f(box): return len('x' * 900)
        def g(box):
            for _ in range(200): f(box)  # some of them begin a block
        for n in range(3):
            g(Box())
            print('after')
        """,
    "leaves a cycle with a destructor": """
        class Box:
            def __del__(self): print('del')
        box = Box(); box.me = box
        del box
        """,
    "has objects that die with their thread's frame": """
        import gc, threading
        gc.disable()
        class Box:
            def __del__(self): print('del')
        class Thread(threading.Thread):
            def run(self): box = Box()
        thread = Thread(); thread.start(); thread.join()
        print('joined')
        """,
    "replaces builtins": """
        import builtins
        kept = vars(builtins).copy()
        calls = []
        def f(n): return n
        def counted(name):
            def call(*arguments):
                calls.append(name)
                return kept[name](*arguments)
            return call
        for name in ('len', 'min', 'max', 'id', 'vars', 'range'):
            setattr(builtins, name, counted(name))
        print([f(n) for n in 'abc'], len('x'), calls)
        def late(text): return f(text)
        print(late([{'a': 'b' * 5000}, 1 << 80]) is not None, calls)
        builtins.__dict__.update(kept)
        """,
    "replaces functions of the library": """
        import os, sys, threading, weakref
        calls = []
        kept = []
        def replace(module, *names):
            for name in names:
                kept.append((module, name, getattr(module, name)))
                setattr(module, name, counted(module.__name__ + name))
        def counted(name):
            def call(*_, **__):
                calls.append(name)
                raise OSError(name)
            return call
        replace(os, 'close', 'fspath', 'fstat', 'getcwd', 'getpid', 'lstat', 'open',
                'read', 'readlink', 'stat', 'statvfs')
        replace(os.path, 'abspath', 'dirname', 'exists', 'isabs', 'isdir', 'join',
                'normpath', 'realpath')
        replace(sys, '_current_frames', '_getframe', 'exc_info', 'getprofile',
                'gettrace')
        replace(threading, 'current_thread', 'get_ident', 'get_native_id')
        replace(weakref, 'ref')
        folder = __file__.rpartition('/')[0]
        for name in ('one', 'two'):
            exec(compile('def met(n): return [n]', f'{folder}/{name}/met.py', 'exec'))
            met('x' * 5000)
        def fail(): raise ValueError
        try: fail()
        except ValueError: pass
        print(calls)
        for each in kept: setattr(*each)
        """,
    "measures its functions": """
        import sys
        def f(): return 1
        print(f(), sys.getsizeof(f.__code__), sys.getsizeof(f))
        """,
}
if sys.version_info >= (3, 14):
    PROGRAMS["sends functions to another interpreter"] = """
        from concurrent import interpreters
        def f():
            def g(n): return n + 1
            return g
        g = f()
        other = interpreters.create()
        print(g(1), other.call(g, 2), other.call(lambda: 3))
        other.close()
        """


def run(project, under, stdin="one\ntwo\n"):
    done = subprocess.run(
        [sys.executable, *under, "program.py", "a", "--quiet"],
        cwd=project, env=environment(), input=stdin, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_behaves_as_without_us(core, tmp_path, name):
    if name == "runs out of memory" and "asan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip(
            "AddressSanitizer reports the allocation, with the process's number"
        )
    if name == "measures its functions" and core == "c" and sys.version_info < (3, 12):
        pytest.skip("code that was called is larger by the word on it")
    if name == "replaces builtins" and sys.implementation.name != "cpython":
        pytest.skip("all modules have one set of them")
    if name == "counts its modules" and core == "python":
        pytest.skip("the Python core writes with Python's sqlite3")
    if name == "handles a signal" and core == "python" and sys.version_info < (3, 11):
        pytest.skip("the handler runs in the profile function, and is given its frame")
    write_program(tmp_path, PROGRAMS[name])
    plain = run(tmp_path, ())
    traced = run(tmp_path, ("-m", "kolo_c", "run", "--quiet", f"--core={core}"))
    assert traced == plain


def test_what_a_program_replaces_decides_nothing(trace):
    """A test that patches these runs code that was not met before."""
    traced = trace(
        """
        import os, sys
        from unittest import mock
        def met_before(n): return n
        met_before(1)
        path = os.getcwd() + '/sub/other.py'
        code = compile('def met(n): return n + 1', path, 'exec')
        with (
            mock.patch('os.stat', side_effect=OSError), mock.patch('os.lstat'),
            mock.patch('os.path.exists', return_value=True),
            mock.patch('os.path.join', return_value='/elsewhere'),
            mock.patch('os.path.normpath', return_value='/elsewhere'),
            mock.patch('os.path.realpath', return_value='/elsewhere'),
            mock.patch('sys._getframe', side_effect=ValueError),
        ):
            exec(code)
            met(2)
            met_before(3)
        """
    )
    assert "met(n=2) -> 3" in traced.calls()
    assert "met_before(n=3) -> 3" in traced.calls()


def test_the_program_sees_no_thread_of_ours(trace):
    """The writer is a C thread: threading does not know it, and nobody waits for it."""
    traced = trace(
        """
        import threading
        def f(): pass
        for _ in range(1000): f()
        print(threading.active_count(), len(threading.enumerate()))
        """
    )
    assert traced.stdout == "1 1\n"


def test_signals_reach_the_program_while_it_is_recorded(trace):
    traced = trace(
        """
        import signal, time
        ticks = 0
        def tick(*_):
            global ticks
            ticks += 1
        def f(n): return sum(range(n))
        signal.signal(signal.SIGALRM, tick)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        end = time.monotonic() + 10
        while ticks < 30 and time.monotonic() < end:
            f(3000)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(ticks > 20)
        """
    )
    assert traced.stdout == "True\n"
    if traced.core == "c":  # what strikes while Python records is not recorded
        assert len(traced.tree().find("tick")) > 20


def test_an_exception_of_a_signals_handler_reaches_the_program_and_no_more(trace):
    """It may strike in our own code: the traceback shows none of that, the recording
    goes on, and the trace is whole."""
    traced = trace(
        """
        import signal, time, traceback
        class Timeout(Exception): pass
        def handler(*_): raise Timeout('now')
        def f(n): return [n, {'a': n}]
        def work():
            while True:
                f(1)
        signal.signal(signal.SIGALRM, handler)
        seen, count, end = set(), 0, time.monotonic() + 5
        while count < 10 and time.monotonic() < end:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.002)
                work()
            except Timeout as error:
                count += 1
                seen.update(one.name for one in traceback.extract_tb(error.__traceback__))
        signal.setitimer(signal.ITIMER_REAL, 0)
        def last(): pass
        last()
        # It may strike in f or not, and in nothing else than the program's.
        print(count > 3, sorted(seen - {'f'}))
        """,
        clean=False,
    )
    if traced.hook == "setprofile" or traced.core == "c":
        assert traced.stdout == "True ['<module>', 'handler', 'work']\n"
    assert traced.stdout.startswith("True ")
    assert "last() -> None" in traced.calls(values=False)


@not_on_pypy("the collector has no thresholds")
def test_garbage_is_collected_as_without_us(trace):
    traced = trace(
        """
        import gc
        freed = []
        class Node:
            def __init__(self, n): self.n, self.me = n, self
            def __del__(self): freed.append(self.n)
        def make(n): return Node(n).n
        gc.set_threshold(7)
        for n in range(500): make(n)
        gc.collect()
        print(len(freed), sorted(freed) == list(range(500)), gc.garbage)
        """
    )
    assert traced.stdout == "500 True []\n"
    deleted = len(traced.tree().find("Node.__del__"))
    if traced.core == "c":
        assert deleted == 500
    else:  # what the collector runs while Python records is not recorded
        assert 0 < deleted <= 500


@not_on_pypy("the collector runs destructors after the call")
def test_a_destructor_run_by_the_collector_stands_below_the_call_it_interrupted(trace):
    traced = trace(
        """
        import gc
        class Node:
            def __init__(self): self.me = self
            def __del__(self): pass
        def interrupted():
            gc.collect()
            return 'whole'
        gc.disable()
        Node()
        interrupted()
        """
    )
    lines = traced.calls(values=False).splitlines()
    assert lines[-2:] == ["interrupted() -> 'whole'", "  Node.__del__() -> None"]


def test_kolo_c_itself_is_in_no_trace(trace):
    traced = trace(
        """
        import kolo_c
        def f(): pass
        with kolo_c.trace('part'):
            f()
        """,
        config={"include_frames": ["**"]},
    )
    trace_ = traced.trace()
    paths = {
        trace_.definitions.path(trace_.definitions.code(call.code).file)
        for call in traced.tree().calls
        if call.code
    }
    assert not any("/kolo_c/" in path for path in paths)
    assert len(paths) >= 1


def test_a_region_is_a_node_in_the_running_trace(trace):
    traced = trace(
        """
        import kolo_c
        def f(n): return n
        with kolo_c.trace('part'):
            f(1)
        try:
            with kolo_c.trace('fails'):
                raise KeyError('k')
        except KeyError:
            f(2)
        """
    )
    assert traced.calls().splitlines() == [
        "region part() ends",
        "  f(n=1) -> 1",
        "region fails() raises KeyError('k')",
        "f(n=2) -> 2",
    ]


@pytest.mark.hooks("setprofile")
def test_tracing_that_cannot_begin_does_not_stop_the_program(trace):
    traced = trace(
        """
        import sys, kolo_c
        sys.setprofile(lambda *_: None)
        @kolo_c.trace
        def f(): return 'ran'
        import warnings
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter('always')
            print(f(), len(seen), seen[0].category.__name__)
        """,
        under=(),
    )
    assert traced.stdout == "ran 1 RuntimeWarning\n"


def test_a_recursion_through_c_ends_without_a_word_of_ours(trace):
    """3.14 and newer look at the C stack itself, wherever C calls Python, and say what
    they ignore for want of it."""
    traced = trace(
        """
        import functools, sys
        class Box:
            def __init__(self, n):
                self.n = n
        @functools.lru_cache
        def down(box):
            return down(Box(box.n + 1))
        if sys.version_info >= (3, 14):
            sys.setrecursionlimit(200_000)
        try:
            down(Box(0))
        except RecursionError:
            print("deep")
        """
    )
    assert (traced.stdout, traced.stderr) == ("deep\n", "")
