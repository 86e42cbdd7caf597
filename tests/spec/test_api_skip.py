"""``kolo_c.skip``: the calls of a function are not recorded, those that it makes are."""

from __future__ import annotations

import pytest


def test_what_a_skipped_function_calls_is_recorded(trace):
    traced = trace(
        """
        import kolo_c
        def leaf(n): return n
        @kolo_c.skip
        def quiet(n): return leaf(n)
        def loud(n): return quiet(n)
        loud(1)
        """
    )
    assert traced.calls() == "loud(n=1) -> 1\n  leaf(n=1) -> 1"


@pytest.mark.parametrize(
    "definition",
    [
        "@kolo_c.skip\ndef quiet(): return [leaf(n) for n in (1,)]",
        "quiet = kolo_c.skip(lambda: leaf(1))",
        "import functools\n@kolo_c.skip\n@functools.cache\ndef quiet(): leaf(1)",
        "import functools\n@functools.cache\n@kolo_c.skip\ndef quiet(): leaf(1)",
        "@kolo_c.skip\nclass A:\n    def __init__(self): leaf(1)\nquiet = A",
        "class A:\n    @kolo_c.skip\n    @staticmethod\n    def m(): leaf(1)\nquiet = A.m",
        "class A:\n    @classmethod\n    @kolo_c.skip\n    def m(c): leaf(1)\nquiet = A.m",
        "@kolo_c.skip\nclass A:\n    @property\n    def m(self): leaf(1)\n"
        "quiet = lambda a=A(): a.m\nkolo_c.skip(quiet)",
        "class A:\n    def m(self): leaf(1)\nquiet = kolo_c.skip(A().m)",
        "import functools\n@kolo_c.skip\nclass A:\n    class B:\n"
        "        @functools.cached_property\n        def m(self): leaf(1)\n"
        "quiet = kolo_c.skip(lambda: A.B().m)",
        "@kolo_c.skip\ndef generator():\n    leaf(1)\n    yield 1\n"
        "quiet = kolo_c.skip(lambda: list(generator()))",
        "import asyncio\n@kolo_c.skip\nasync def coroutine():\n"
        "    await asyncio.sleep(0)\n    leaf(1)\n"
        "quiet = kolo_c.skip(lambda: asyncio.run(coroutine()))",
    ],
    ids=lambda text: text.replace("\n", "; ")[:60],
)
def test_whatever_has_code_can_be_skipped(trace, definition):
    program = f"import kolo_c\ndef leaf(n): return n\n{definition}\nquiet()\n"
    lines = trace(program).calls().splitlines()
    # A class's body is a call of its own, when it is made.
    bodies = ("A() -> None", "B() -> None")
    assert [line for line in lines if not line.endswith(bodies)] == ["leaf(n=1) -> 1"]


def test_skip_gives_back_what_it_was_given(trace):
    trace(
        """
        import functools, kolo_c
        def f(): pass
        class A: pass
        p = functools.partial(f)
        for thing in (f, A, len, p, property(f), int.bit_length):
            assert kolo_c.skip(thing) is thing
        for wrong in (5, None, 'f'):
            try: kolo_c.skip(wrong)
            except TypeError as error: assert type(wrong).__name__ in str(error)
            else: raise AssertionError(wrong)
        """,
        under=(),
    )


def test_a_function_that_was_recorded_may_be_skipped_later(trace):
    traced = trace(
        """
        import kolo_c
        def f(n): return n
        f(1)
        kolo_c.skip(f)
        f(2)
        """
    )
    assert traced.calls() == "f(n=1) -> 1"


def test_calls_that_run_when_their_function_is_skipped_end_as_they_would(trace):
    traced = trace(
        """
        import kolo_c
        def leaf(n): return n
        def f(n):
            if n == 2: kolo_c.skip(f)
            if n: f(n - 1)
            leaf(n)
            return n
        def numbers():
            kolo_c.skip(numbers)
            yield 1
            leaf(10)
            yield 2
        f(4)
        list(numbers())
        list(numbers())
        """
    )
    assert traced.calls() == "\n".join(
        [
            "f(n=4) -> 4",
            "  f(n=3) -> 3",
            "    f(n=2) -> 2",
            "      leaf(n=0) -> 0",
            "      leaf(n=1) -> 1",
            "      leaf(n=2) -> 2",
            "    leaf(n=3) -> 3",
            "  leaf(n=4) -> 4",
            "numbers() yields 1, 2 -> None",
            "  leaf(n=10) -> 10",
            "leaf(n=10) -> 10",
        ]
    )


def test_what_was_skipped_before_a_session_is_skipped_in_it(trace):
    traced = trace(
        """
        import gc, kolo_c
        @kolo_c.skip
        def quiet(): pass
        def loud(): pass
        for _ in range(100):  # tables of what is gone are emptied
            exec('def f(): pass\\nimport kolo_c\\nkolo_c.skip(f)', {})
        gc.collect()
        from kolo_c.scope import SKIPPED
        assert len(SKIPPED) == 1, SKIPPED
        with kolo_c.trace('one'):
            quiet(); loud()
        with kolo_c.trace('two'):
            quiet(); loud()
        """,
        under=(),
    )
    assert [traced.calls(0), traced.calls(1)] == ["loud() -> None"] * 2


def test_a_forked_child_skips_what_its_parent_did(trace):
    traced = trace(
        """
        import kolo_c, os
        @kolo_c.skip
        def quiet(): pass
        def loud(): pass
        loud()
        pid = os.fork()
        if pid: os.waitpid(pid, 0)
        quiet()
        loud()
        """
    )
    assert traced.calls(1) == "loud() -> None"
