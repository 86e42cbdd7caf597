"""Subinterpreters: importing works, starting refuses, the main one's trace goes on."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from tests.spec.pypy import not_on_pypy

NAMES = ("_interpreters", "_xxsubinterpreters")
if not any(importlib.util.find_spec(name) for name in NAMES):
    pytest.skip("this Python has none for Python code", allow_module_level=True)
pytestmark = not_on_pypy("it has none")

PROGRAM = """
    import sys
    try: import _interpreters as interpreters
    except ImportError: import _xxsubinterpreters as interpreters
    run = getattr(interpreters, 'exec', None) or interpreters.run_string
    def f(n): return n
    f(1)
    number = interpreters.create(*sys.argv[1:])
    said = run(number, '''if True:
        def f(n): return n
        f(2)
        import kolo_c, kolo_c.errors, warnings
        warnings.simplefilter('error')
        try:
            with kolo_c.trace('in it'):
                f(3)
        except (kolo_c.errors.KoloError, RuntimeWarning) as error:
            print(error, flush=True)
        else:
            print('recorded', flush=True)
        ''')
    assert said is None, said
    f(4)
    interpreters.destroy(number)
    f(5)
    """


# "isolated", the usual one, has a GIL of its own; older Pythons have no choice.
KINDS = ["isolated", "legacy"] if sys.version_info >= (3, 13) else [""]


@pytest.mark.parametrize("kind", KINDS)
def test_a_subinterpreter_is_refused_and_the_main_ones_trace_goes_on(trace, kind):
    traced = trace(PROGRAM, *kind.split())
    assert "main interpreter" in traced.stdout, traced.stdout
    assert traced.calls() == "\n".join(f"f(n={n}) -> {n}" for n in (1, 4, 5))
    assert traced.infos()[0].status == "complete"
    assert len(traced.infos()) == 1


def test_a_thread_without_python_may_fork_beside_a_subinterpreter(trace):
    """From the second interpreter on PyGILState_Check() says that all have the GIL."""
    traced = trace(
        """
        import ctypes, os
        try: import _interpreters as interpreters
        except ImportError: import _xxsubinterpreters as interpreters
        def f(n): return n
        number = interpreters.create()
        libc = ctypes.CDLL(None)
        thread, child = ctypes.c_ulong(), ctypes.c_void_p()
        f(1)
        assert libc.pthread_create(ctypes.byref(thread), None, libc.fork, None) == 0
        libc.pthread_join(thread, ctypes.byref(child))
        assert os.waitpid(child.value, 0) == (child.value, 0)
        f(2)
        interpreters.destroy(number)
        """,
        options=("-W", "ignore"),
    )
    assert traced.calls() == "f(n=1) -> 1\nf(n=2) -> 2"
    assert traced.infos()[0].status == "complete"
