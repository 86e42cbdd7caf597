"""Calls: their arguments, where they were made, what they return."""

from __future__ import annotations

import sys
from itertools import pairwise

from tests.spec.tracing import expected


def test_a_call_has_its_arguments_and_its_return_value(trace):
    traced = trace(
        """
        def f(a, b):
            return a + b
        f(1, b=2)
        """
    )
    assert traced.calls() == "f(a=1, b=2) -> 3"


def test_the_script_itself_is_the_outermost_call(trace):
    assert trace("def f(): pass\nf()").whole() == expected(
        """
        <module>() -> None
          f() -> None
        """
    )


def test_arguments_of_every_kind_have_their_names(trace):
    traced = trace(
        """
        def f(a, /, b, c=3, *rest, d, e=5, **more):
            return None
        f(1, 2, d=4)
        f(1, 2, 30, 31, 32, d=4, e=50, x=1, y=2)
        """
    )
    assert traced.calls() == expected(
        """
        f(a=1, b=2, c=3, d=4, e=5, rest=(), more={}) -> None
        f(a=1, b=2, c=30, d=4, e=50, rest=(31, 32), more={'x': 1, 'y': 2}) -> None
        """
    )


def test_positional_only_arguments_may_have_the_name_of_a_keyword(trace):
    traced = trace("def f(a, /, **more): return a\nf(1, a=2)")
    assert traced.calls() == "f(a=1, more={'a': 2}) -> 1"


def test_more_than_fifteen_arguments_are_recorded(trace):
    """The array of a record changes its form at 16 fields."""
    names = [f"a{i}" for i in range(40)]
    traced = trace(f"def f({', '.join(names)}): pass\nf(*range(40))")
    given = ", ".join(f"{name}={i}" for i, name in enumerate(names))
    assert traced.calls() == f"f({given}) -> None"[: len(given) + 12]


def test_arguments_that_a_closure_captured_have_their_values(trace):
    """They are in cells: 3.10 has the slot of the argument empty."""
    traced = trace(
        """
        def outer(a, b, *rest, c=0, **more):
            def inner(d):
                return a + c + d + len(rest) + len(more)
            return inner(b)
        outer(1, 2, 3, c=4, x=5)
        """
    )
    assert traced.calls() == expected(
        """
        outer(a=1, b=2, c=4, rest=(3,), more={'x': 5}) -> 9
          inner(d=2) -> 9
        """
    )


def test_self_in_a_cell_is_seen_as_self(trace):
    traced = trace(
        """
        class Box:
            def each(self, n):
                return (lambda: (self, n))() and n
        Box().each(2)
        """
    )
    assert "each(self=<Box>, n=2) -> 2" in traced.calls()


def test_arguments_are_as_they_were_when_the_call_began(trace):
    traced = trace(
        """
        def rebinds(a):
            a = None
            return a
        def deletes(a):
            del a
        def changes(items):
            items.append(3)
            return items
        rebinds(1)
        deletes(2)
        changes([1, 2])
        """
    )
    assert traced.calls() == expected(
        """
        rebinds(a=1) -> None
        deletes(a=2) -> None
        changes(items=[1, 2]) -> [1, 2, 3]
        """
    )


def test_a_call_knows_the_line_it_was_made_from(trace):
    traced = trace(
        """
        def f(n):
            return n

        def g():
            f(1)

            return f(
                f(2)
            )
        g()
        """
    )
    assert traced.calls(sites=True) == expected(
        """
        g() @11 -> 2
          f(n=1) @6 -> 1
          f(n=2) @9 -> 2
          f(n=2) @8 -> 2
        """
    )


def test_a_call_out_of_skipped_code_is_from_the_line_of_the_nearest_kept_caller(trace):
    """sorted() and functools.reduce() are between: C, and the standard library."""
    traced = trace(
        """
        import functools, textwrap
        def key(n):
            return -n
        def go():
            sorted([1, 2], key=key)
            functools.reduce(
                max, map(key, [3]))
        go()
        """
    )
    assert traced.calls(sites=True) == expected(
        """
        go() @9 -> None
          key(n=1) @6 -> -1
          key(n=2) @6 -> -2
          key(n=3) @7 -> -3
        """
    )


def test_kept_code_called_by_skipped_python_code_is_below_its_kept_caller(trace):
    traced = trace(
        """
        import json, re
        def default(value):
            return str(value)
        def word(match):
            return match.group().upper()
        def go():
            json.dumps([1j], default=default, indent=1)
            return re.sub('b', word, 'abc')
        go()
        """,
        config={"locals": "none"},
    )
    text = traced.calls(values=False)
    assert text == expected(
        """
        go() -> 'aBc'
          default() -> '1j'
          word() -> 'B'
        """
    )


def test_nested_functions_are_called_below_each_other(trace):
    traced = trace(
        """
        def a(n):
            def b(m):
                return m * 2
            return b(n) + b(n + 1)
        a(1)
        a(2)
        """
    )
    assert traced.calls() == expected(
        """
        a(n=1) -> 6
          b(m=1) -> 2
          b(m=2) -> 4
        a(n=2) -> 10
          b(m=2) -> 4
          b(m=3) -> 6
        """
    )


def test_methods_have_self_and_the_class_in_their_name(trace):
    # The body of a class whose methods use super() returns the cell of __class__.
    traced = trace(
        """
        class Box:
            def __init__(self, size):
                self.size = size
            def grow(self, by=1):
                self.size += by
                return self.size
        class Crate(Box):
            def grow(self, by=1):
                return super().grow(by * 2)
        Crate(1).grow(3)
        """
    )
    assert traced.calls() == expected(
        """
        Box() -> None
        Crate() -> <cell>
        Box.__init__(self=<Crate>, size=1) -> None
        Crate.grow(self=<Crate>, by=3) -> 7
          Box.grow(self=<Crate>, by=6) -> 7
        """
    )


def test_classmethods_staticmethods_and_properties_are_calls(trace):
    traced = trace(
        """
        class Box:
            @classmethod
            def make(cls, n):
                return n
            @staticmethod
            def add(a, b):
                return a + b
            @property
            def size(self):
                return 5
            @size.setter
            def size(self, value):
                pass
        Box.make(1)
        box = Box()
        box.add(1, 2)
        box.size
        box.size = 6
        """
    )
    # 3.10 has no qualified names in code objects; a method's is found by its self.
    known = sys.version_info >= (3, 11)
    static, get, make = (
        ("Box.add", "Box.size", "Box.make") if known else ("add", "size", "make")
    )
    lines = traced.calls().splitlines()
    assert lines[0] == "Box() -> None"
    assert [line.replace("Box.", "") for line in lines[1:]] == [
        "make(cls=<class __main__.Box>, n=1) -> 1",
        "add(a=1, b=2) -> 3",
        "size(self=<Box>) -> 5",
        "size(self=<Box>, value=6) -> None",
    ]
    if known:
        assert [line.partition("(")[0] for line in lines[1:]] == [
            make, static, get, get,
        ]  # fmt: skip


def test_a_method_has_its_class_in_its_name_on_every_version(trace):
    """Code objects of 3.10 have no qualified name: it comes from self and cls."""
    traced = trace(
        """
        class Base:
            def run(self): pass
        class Box(Base):
            @classmethod
            def make(cls): return cls()
            def get(self): pass
        box = Box.make()
        box.get()
        box.run()
        """
    )
    names = [line.partition("(")[0] for line in traced.calls().splitlines()]
    assert names == ["Base", "Box", "Box.make", "Box.get", "Base.run"]


def test_lambdas_are_calls(trace):
    traced = trace("double = lambda n: n * 2\ndouble(4)")
    assert traced.calls() == "<lambda>(n=4) -> 8"


def test_a_class_body_is_a_call_with_the_name_of_the_class(trace):
    traced = trace(
        """
        def f(): return 1
        class Box:
            size = f()
            class Lid:
                pass
        """
    )
    lid = "Box.Lid" if sys.version_info >= (3, 11) else "Lid"
    assert traced.calls() == expected(
        f"""
        Box() -> None
          f() -> 1
          {lid}() -> None
        """
    )


def test_comprehensions_are_calls_only_where_the_interpreter_makes_frames(trace):
    """From 3.12 on list, dict and set comprehensions are inlined (PEP 709)."""
    traced = trace(
        """
        def f(n): return n
        def go():
            [f(n) for n in (1, 2)]
            {f(3): 0 for _ in (1,)}
            {f(4) for _ in (1,)}
        go()
        """
    )
    if sys.version_info >= (3, 12):
        assert traced.calls() == expected(
            """
            go() -> None
              f(n=1) -> 1
              f(n=2) -> 2
              f(n=3) -> 3
              f(n=4) -> 4
            """
        )
    else:
        assert traced.calls(values=False) == expected(
            """
            go() -> None
              <listcomp>() -> [1, 2]
                f() -> 1
                f() -> 2
              <dictcomp>() -> {3: 0}
                f() -> 3
              <setcomp>() -> {4}
                f() -> 4
            """
        )


def test_recursion_is_a_tree(trace):
    traced = trace(
        """
        def fib(n):
            return n if n < 2 else fib(n - 1) + fib(n - 2)
        fib(3)
        """
    )
    assert traced.calls() == expected(
        """
        fib(n=3) -> 2
          fib(n=2) -> 1
            fib(n=1) -> 1
            fib(n=0) -> 0
          fib(n=1) -> 1
        """
    )


def test_five_thousand_levels_of_recursion_are_recorded(trace):
    traced = trace(
        """
        import sys, threading
        sys.setrecursionlimit(20_000)
        threading.stack_size(256 << 20)
        def down(n):
            return n if n == 0 else down(n - 1)
        thread = threading.Thread(target=down, args=(5000,))
        thread.start()
        thread.join()
        """
    )
    tree = traced.tree(thread=2)
    calls = tree.find("down")
    assert len(calls) == 5001
    assert all(call.end == "-> 0" for call in calls)
    assert all(outer.children == [inner] for outer, inner in pairwise(calls))


def test_decorated_functions_are_two_calls(trace):
    traced = trace(
        """
        import functools
        def loud(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return function(*args, **kwargs)
            return wrapper
        @loud
        def add(a, b): return a + b
        add(1, b=2)
        """
    )
    assert traced.calls().splitlines()[1:] == [
        "wrapper(args=(1,), kwargs={'b': 2}) -> 3",
        "  add(a=1, b=2) -> 3",
    ]


def test_a_default_that_is_mutable_is_recorded_as_it_is_at_each_call(trace):
    traced = trace(
        """
        def f(seen=[]):
            seen.append(1)
        f()
        f()
        """
    )
    assert traced.calls() == "f(seen=[]) -> None\nf(seen=[1]) -> None"


def test_code_run_by_exec_and_eval_is_kept_where_its_file_name_is_in_the_project(trace):
    traced = trace(
        """
        def f(n): return n
        def go():
            exec("f(1)")
            eval("f(2)")
            code = compile("def made(x):\\n    return f(x)\\nmade(3)", __file__, "exec")
            exec(code, globals())
        go()
        """
    )
    assert traced.calls() == expected(
        """
        go() -> None
          f(n=1) -> 1
          f(n=2) -> 2
          <module>() -> None
            made(x=3) -> 3
              f(n=3) -> 3
        """
    )


def test_functions_that_share_a_code_object_are_one_function(trace):
    traced = trace(
        """
        def make(n):
            def add(m):
                return n + m
            return add
        one, ten = make(1), make(10)
        one(2), ten(2)
        """
    )
    assert traced.calls().splitlines()[2:] == ["add(m=2) -> 3", "add(m=2) -> 12"]
    tree = traced.tree()
    assert len({call.code for call in tree.find("add")}) == 1


def test_code_objects_that_die_leave_their_names_to_nobody_else(trace):
    """A code object's address is used again; its definition must not be."""
    traced = trace(
        """
        for i in range(300):
            names = {}
            exec(compile(f"def f{i}(a{i}): return {i}", __file__, "exec"), names)
            names[f"f{i}"](i)
            del names
        """
    )
    calls = [c for c in traced.tree().calls if c.name.startswith("f")]
    assert len(calls) == 300
    for i, call in enumerate(calls):
        assert call.name == f"f{i}"
        assert call.arguments == [(f"a{i}", str(i))]
        assert call.end == f"-> {i}"


def test_self_is_its_type_and_address(trace):
    traced = trace(
        """
        class Box:
            def __init__(self): self.size = 1
            def get(self, other): return self
        one, two = Box(), Box()
        one.get(two)
        print(id(one))
        """
    )
    call = traced.tree().find("Box.get")[0]
    assert call.arguments == [("self", "<Box>"), ("other", "Box(size=1)")]
    records = [r for r in traced.trace().streams[0].records() if r.node == call.number]
    assert records[0].arguments[0].address == int(traced.stdout)


def test_self_has_its_fields_when_asked(trace):
    traced = trace(
        """
        class Box:
            def __init__(self): self.size = 1
            def get(self): return 0
        Box().get()
        """,
        config={"self": "fields"},
    )
    assert "Box.get(self=Box(size=1)) -> 0" in traced.calls()


def test_calls_of_partials_and_callable_objects_are_those_of_their_functions(trace):
    traced = trace(
        """
        import functools
        def add(a, b): return a + b
        class Adder:
            def __call__(self, n): return add(n, 1)
        functools.partial(add, 1)(2)
        Adder()(4)
        """
    )
    assert traced.calls().splitlines() == [
        "Adder() -> None",
        "add(a=1, b=2) -> 3",
        "Adder.__call__(self=<Adder>, n=4) -> 5",
        "  add(a=4, b=1) -> 5",
    ]


def test_a_call_that_has_the_wrong_arguments_is_no_call(trace):
    traced = trace(
        """
        def f(a): pass
        try:
            f()
        except TypeError:
            f(1)
        """
    )
    assert traced.calls() == "f(a=1) -> None"


def test_two_modules_of_a_project_are_both_kept(trace):
    traced = trace(
        "import shapes.box\nshapes.box.area(2)",
        files={
            "shapes/__init__.py": "",
            "shapes/box.py": "def area(n): return n * n\n",
        },
    )
    assert traced.calls() == expected(
        """
        <module>() -> None
        <module>() -> None
        area(n=2) -> 4
        """
    )
