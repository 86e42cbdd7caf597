"""Subinterpreters: importing works, starting refuses, the main one's trace goes on."""

from __future__ import annotations

import importlib.util

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
    if len(sys.argv) > 1:  # where it gets a GIL of its own, if it can
        number = interpreters.create(sys.argv[1])
    else:
        number = interpreters.create()
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


def test_a_subinterpreter_is_refused_and_the_main_ones_trace_goes_on(trace):
    traced = trace(PROGRAM)
    assert "main interpreter" in traced.stdout, traced.stdout
    assert traced.calls() == "\n".join(f"f(n={n}) -> {n}" for n in (1, 4, 5))
    assert traced.infos()[0].status == "complete"
    assert len(traced.infos()) == 1
