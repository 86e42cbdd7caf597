"""Whole traces of programs whose objects, classes and code are hostile: the program does
what it does without us, and every call is in its trace."""

from __future__ import annotations

import sys
import textwrap

import pytest

from tests.spec.pypy import not_on_pypy

# What runs is said on the standard output, and a recorded program says no more.
HOSTILE = """
    import gc, sys, threading, types
    ran = []
    def attack(name):
        def method(*arguments, **_):
            ran.append(name)
            raise SystemExit(name)
        return method
    names = '''__repr__ __str__ __len__ __iter__ __getattribute__ __getattr__ __eq__
        __hash__ __bool__ __index__ __getitem__ __contains__ __instancecheck__
        __subclasscheck__ __get__ __del__ keys'''.split()
    def f(*values): return values
    """


@pytest.fixture
def hostile(trace):
    """``trace`` of a program that begins with HOSTILE."""

    def run(source, **options):
        return trace(textwrap.dedent(HOSTILE) + textwrap.dedent(source), **options)

    return run


def test_a_class_that_is_being_made_is_told(hostile):
    """Its metaclass's mro() is given a class that has no bases yet."""
    traced = hostile(
        """
        class Meta(type):
            def mro(cls):
                f(cls, [cls])
                return super().mro()
            def __new__(meta, name, bases, body):
                return super().__new__(meta, name, bases, body)
        class Made(metaclass=Meta):
            def __init_subclass__(cls): f(cls)
            def __set_name__(self, owner, name): f(self, owner)
        class More(Made):
            field = Made()
        print(len(More.__mro__))
        """
    )
    assert traced.stdout == "3\n"
    text = traced.calls()
    assert text.count("f(") == 4
    assert "<class Made>" in text or "Made" in text


def test_names_of_classes_may_be_anything(hostile):
    traced = hostile(
        """
        class Text(str):
            pass
        for name in names:
            if name not in ('__repr__', '__str__', '__hash__', '__del__', '__get__'):
                setattr(Text, name, attack(name))
        class Odd:
            __class__ = property(attack('__class__'))
        def made(name, module):
            cls = type('Made', (), {'x': 1})
            cls.__qualname__ = name
            cls.__module__ = module
            return cls
        modules = [None, 5, Text('m'), '\\udc80', 'm' * 100_000, [], Odd()]
        for name in (Text('Odd'), '\\udcff\\ud800', 'x' * 100_000, '', 'a.b.c', '\\0'):
            for module in modules:
                cls = made(name, module)
                f(cls, cls(), [cls])
        f(cls, cls())
        print(ran)
        """
    )
    assert traced.stdout == "[]\n"
    assert len(traced.tree().find("f")) == 43


def test_the_dict_of_a_class_may_have_hostile_keys(hostile):
    """That are taken for `__module__` by whoever looks for it."""
    traced = hostile(
        """
        class Key(str):
            def __hash__(self): return hash('__module__')
            def __eq__(self, other):
                ran.append('__eq__')
                return str.__eq__(self, other)
        cls = type('Made', (), {Key('x'): 1, Key('_fields'): 2, '__module__': 'm'})
        other = type('Bare', (), {Key('x'): 1})
        ran.clear()
        for each in (cls, other, cls(), other()):
            f(each)
        print(ran)
        """
    )
    assert traced.stdout == "[]\n"
    assert len(traced.tree().find("f")) == 4


def test_globals_and_classes_may_have_keys_that_are_taken_for_others(hostile):
    """By whoever looks in them for a module's name, or (3.10) for a method."""
    traced = hostile(
        """
        def key(text):
            class Key(str):
                def __hash__(self): return hash(text)
                def __eq__(self, other):
                    ran.append(text)
                    return False
            return Key('x')
        class Names(dict):
            items = __iter__ = __getitem__ = get = attack('names')
        def method(self): return f(1)
        other = type('Other', (), {key('method'): 1, 'method': method})
        bound = other().method
        for kind in (dict, Names):
            code = compile('def g(n): return n', __file__, 'exec')
            names = kind({key('__name__'): 1, '__name__': 'shown', '__builtins__': {}})
            exec(code, names)
            g = dict.__getitem__(names, 'g')
            ran.clear()
            g(1)
            bound()
        print(ran)
        """
    )
    assert traced.stdout == "[]\n"
    assert len(traced.tree().find("f")) == 2
    definitions = traced.trace().definitions
    found = traced.tree().find("g")
    assert [definitions.code(call.code).module for call in found] == ["shown"] * 2


def test_names_of_code_may_be_anything(hostile):
    traced = hostile(
        """
        def g(a, password='hunter22'):
            b = a
            return b
        odd = ['\\udc80', 'x' * 100_000, '', '\\0', 'a b', '"', '<module>']
        for name in odd:
            code = g.__code__.replace(
                co_name=name, co_filename=g.__code__.co_filename,
                co_varnames=(name or 'a', name + '_password', name + 'b'),
            )
            h = types.FunctionType(code, globals(), name, ('hunter22',))
            h.__qualname__ = name
            assert h(1) == 1
            assert h(h) is h
        f(*[g] * 3)
        """
    )
    assert len(traced.tree().find("f")) == 1
    assert sum(1 for tree in traced.trees() for node in tree.roots[0].children) >= 15


def test_exceptions_may_be_anything(hostile):
    traced = hostile(
        """
        class Odd(Exception):
            args = property(attack('args'))
            __cause__ = property(attack('__cause__'))
            if sys.implementation.name != 'pypy':  # which asks for it itself
                __traceback__ = property(attack('__traceback__'))
        for name in names:
            if name not in ('__del__', '__getattribute__', '__getattr__'):
                setattr(Odd, name, attack(name))
        def fail(error): raise error
        half = Odd.__new__(Odd)
        for error in (half, UnicodeDecodeError.__new__(UnicodeDecodeError),
                      OSError.__new__(OSError), SyntaxError.__new__(SyntaxError),
                      StopIteration.__new__(StopIteration), KeyError([ran])):
            try: fail(error)
            except BaseException as caught: f(caught)
        ring = ValueError('ring')
        ring.__cause__ = ring.__context__ = ring
        try: fail(ring)
        except ValueError as caught: f(caught)
        print(ran)
        """
    )
    assert traced.stdout == "[]\n"
    assert len(traced.tree().find("fail")) == 7
    assert len(traced.tree().find("f")) == 7


def test_objects_of_hostile_classes_run_nothing_in_any_place(hostile):
    """As self, argument, local of a frame that an exception leaves, result, yield."""
    traced = hostile(
        """
        class Hostile:
            def method(self, other):
                local = [self, other, {'password': self}]
                raise ValueError
        bases = [Hostile, type('L', (list, Hostile), {}), type('D', (dict, Hostile), {}),
                 type('S', (str, Hostile), {}), type('I', (int, Hostile), {})]
        values = [base() for base in bases]
        for name in names:
            if name not in ('__getattribute__', '__del__'):
                setattr(Hostile, name, attack(name))
        def g(value):
            yield value
            yield [value]
        def password(value): return value
        for value in values:
            try: Hostile.method(value, value)
            except ValueError: pass
            f(value, [value], (value,), ('password', value))
            f(*g(value))
            password(value)
        print(ran)
        """,
        config={"locals": "all", "self": "fields"},
    )
    assert traced.stdout == "[]\n"
    assert len(traced.tree().find("Hostile.method")) == 5
    assert len(traced.tree().find("f")) == 10


@not_on_pypy("the collector does not know of a tuple that is being made")
def test_a_tuple_that_is_being_made_may_be_an_argument(trace, core):
    """The program hands it on without a look at what is in it; C looks."""
    if core == "python":
        pytest.skip("no Python code can look at one and live")
    traced = trace(
        """
        import gc
        def f(*values): return len(values)
        class Items:
            left = 2
            def __length_hint__(self): return 2
            def __iter__(self): return self
            def __next__(self):
                for each in gc.get_objects():
                    if type(each) is tuple and len(each) == 2:
                        if gc.get_referents(each) == ['made'] * (2 - self.left):
                            f(each)
                if not self.left: raise StopIteration
                self.left -= 1
                return 'made'
        print(tuple(Items()))
        """
    )
    assert traced.stdout == "('made', 'made')\n"
    if sys.version_info < (3, 14):  # there it is a list first
        assert traced.tree().find("f")
