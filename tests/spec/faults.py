"""A program in which every function of the Python core fails once, and what it checks.

``FAULTS`` goes in front of a program that is traced. ``sweep(work, kinds)`` has each
function of ``kolo_c.reference`` raise at its first call in ``work()``, one after the
other, and gives what the program could tell of it. What is raised comes from a frame
of the package, as an error of its own would.
"""

from __future__ import annotations

FAULTS = '''
import importlib, os, pkgutil, sqlite3, sys, threading, types
import kolo_c.reference

_FOLDER = kolo_c.reference.__path__[0]
_SOURCE = """
import threading
from _thread import get_ident

def replace(function, fault):
    def injected(*arguments, **keywords):
        fault.strike()
        return function(*arguments, **keywords)
    return injected

class Fault:
    def __init__(self, kind):
        self.kind = kind
        self.left = 0
        self.struck = 0
        self.calls = 0

    def strike(self):
        self.calls += 1
        # Not in a thread that begins: whoever started it waits for its first step, with
        # and without us, and nothing but the main thread is ever interrupted.
        begins = get_ident() not in threading._active
        if self.left and not begins:
            self.left -= 1
            self.struck += 1
            raise self.kind("injected")
"""
_names = {"__name__": "injected"}
exec(compile(_SOURCE, os.path.join(_FOLDER, "injected.py"), "exec"), _names)
Fault, _replace = _names["Fault"], _names["replace"]

# What tells our errors from the program's, what the program or the interpreter calls.
_EXEMPT = (
    "interrupt",
    "session_object",
    "core",
    "session_says",
    "session_register.ThreadHook",
    "session_register.attach_thread",
    "fork",
)
_modules = [
    importlib.import_module("kolo_c.reference." + one.name)
    for one in pkgutil.iter_modules(kolo_c.reference.__path__)
    if hasattr(sys, "monitoring") or one.name != "hook_monitoring"
]


def functions():
    for module in _modules:
        short = module.__name__.rpartition(".")[2]
        for name, value in list(vars(module).items()):
            if getattr(value, "__module__", None) != module.__name__:
                continue
            if isinstance(value, types.FunctionType):
                yield module, name, value, f"{short}.{name}"
            elif isinstance(value, type):
                for inner, function in list(vars(value).items()):
                    if isinstance(function, types.FunctionType):
                        yield value, inner, function, f"{short}.{name}.{inner}"


def exempt(title):
    return title.startswith(_EXEMPT) or title.endswith((".__call__", ".__del__"))


def patch(owner, name, before, after):
    if isinstance(owner, type):
        setattr(owner, name, after)
        return
    for module in [*_modules, owner]:
        if vars(module).get(name) is before:
            setattr(module, name, after)


def called(work):
    """Those that work() calls, and what it gives."""
    work()
    faults = {one[3]: Fault(None) for one in functions() if not exempt(one[3])}
    replaced = []
    for owner, name, function, title in functions():
        if title in faults:
            replaced.append((owner, name, _replace(function, faults[title]), function))
            patch(owner, name, function, replaced[-1][2])
    seen = work()
    for one in replaced:
        patch(*one)
    return seen, [one for one in functions() if one[3] in faults and faults[one[3]].calls]


def sweep(work, kinds):
    """(How many functions have failed, what the program saw of it.)"""
    expected, targets = called(work)
    found, struck, told = [], 0, []
    sys.unraisablehook = lambda one: told.append(repr(one.exc_value))
    threading.excepthook = lambda one: told.append(repr(one.exc_value))
    for at, (owner, name, function, title) in enumerate(targets):
        fault = Fault(kinds[at % len(kinds)])
        replaced = _replace(function, fault)
        patch(owner, name, function, replaced)
        fault.left = 1
        try:
            seen = work()
        except BaseException as error:
            seen = error
        fault.left = 0
        patch(owner, name, replaced, function)
        struck += fault.struck
        if issubclass(fault.kind, Exception):
            if seen != expected or told:
                found.append((title, seen, *told))
        # In a thread, and in its end, there is nobody to catch it.
        elif fault.struck and type(seen) is not fault.kind and not told:
            found.append((title, seen))
        told.clear()
    return struck, found
'''

WORK = """
class Boom(Exception):
    pass

def plain(a, b=2):
    both = [a, b]
    return both

def steps(n):
    for i in range(n):
        yield plain(i)
    return 'end'

def fails(self_):
    raise Boom('x')

def deep(n):
    return n if n == 0 else deep(n - 1)

async def waits(n):
    return plain(n)

def names(error):
    traceback, found = error.__traceback__, []
    while traceback is not None:
        found.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    return found

def work():
    out = [plain(1, {'k': (1, 'text', 1.5, None, b'x', {2})}), list(steps(3)), deep(4)]
    left = steps(2)
    next(left)
    left.close()
    thrown = steps(2)
    next(thrown)
    for call in (lambda: thrown.throw(Boom('t')), lambda: fails({})):
        try:
            call()
        except Boom as error:
            out.append((repr(error), names(error)[-1]))
    try:
        waits(4).send(None)
    except StopIteration as stop:
        out.append(stop.value)
    thread = threading.Thread(target=lambda: out.append(plain(9)))
    thread.start()
    thread.join()
    return out
"""
