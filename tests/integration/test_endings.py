"""Signals and exceptions: each reaches the program as it would, and is in the trace.

Each program ends, by itself, under ``kolo-c run`` and with ``KOLO_C=1``, with the same
output and the same exit code.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from kolo_c.model.exceptions import read_failure
from tests.integration.place import Place, make_python
from tests.spec.replay import Show

WAYS = {
    "run": (("-m", "kolo_c", "run", "-q"), {}),
    "variable": ((), {"KOLO_C": "1"}),
}

# A program, how it ends, and lines of its trace: of each call how it ended.
PROGRAMS: dict[str, tuple[str, int, list[str]]] = {
    "Ctrl-C": (
        """
import os, signal
def f(): os.kill(os.getpid(), signal.SIGINT); 1
f()
""",
        -2,
        ["f() raises KeyboardInterrupt"],
    ),
    "Ctrl-C is handled": (
        """
import os, signal
def f(): os.kill(os.getpid(), signal.SIGINT); 1
def g():
    try: f()
    except KeyboardInterrupt: return "handled"
print(g())
""",
        0,
        ["g() -> 'handled'", "f() raises KeyboardInterrupt"],
    ),
    "a handler of SIGTERM exits": (
        """
import os, signal, sys
def handler(number, frame): sys.exit(number + 5)
def f(): os.kill(os.getpid(), signal.SIGTERM); return 1
signal.signal(signal.SIGTERM, handler)
try: f()
finally: print("finally")
""",
        20,
        ["f() raises SystemExit(20)", "handler(.*) raises SystemExit(20)"],
    ),
    "a handler of SIGTERM says it again": (
        """
import os, signal
def handler(number, frame):
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
signal.signal(signal.SIGTERM, handler)
def f(): os.kill(os.getpid(), signal.SIGTERM); return 1
f()
""",
        -15,
        ["f() open", "handler(.*) open"],
    ),
    "an alarm's exception": (
        """
import signal, time
class Late(Exception): pass
def handler(*_): raise Late("now")
def wait():
    while True: time.sleep(5)  # it comes in here, and not in a profile function
def g():
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try: wait()
    except Late as error: return str(error)
signal.signal(signal.SIGALRM, handler)
print(g())
""",
        0,
        ["g() -> 'now'", "wait() raises Late('now')", "handler(.*) raises Late('now')"],
    ),
    "sys.exit in a thread": (
        """
import sys, threading
def work(): sys.exit(9)
def last(): return "last"
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(last())
""",
        0,
        ["work() raises SystemExit(9)", "last() -> 'last'"],
    ),
    "sys.exit in a destructor": (
        """
import sys
class Box:
    def __del__(self): sys.exit(4)
def f():
    box = Box()
    del box
    return "after"
print(f())
""",
        0,
        ["f() -> 'after'", "Box.__del__(.*) raises SystemExit(4)"],
    ),
    "sys.exit in an exit handler": (
        """
import atexit, sys
def last(): sys.exit(6)
atexit.register(last)
""",
        0,
        ["last() raises SystemExit(6)"],
    ),
    "sys.exit in a generator that is closed": (
        """
import sys
def numbers():
    try: yield 1
    finally: sys.exit(7)
def f():
    made = numbers()
    next(made)
    made.close()
f()
""",
        7,
        ["f() raises SystemExit(7)", "numbers().* raises SystemExit(7)"],
    ),
    "sys.exit in a finally": (
        """
import sys
def f():
    try: raise ValueError("hidden")
    finally: sys.exit("a reason")
f()
""",
        1,
        ["f() raises SystemExit('a reason')"],
    ),
    "sys.exit while a module is imported": (
        "import other\n",
        5,
        ["<module>() raises SystemExit(5)", "f() raises SystemExit(5)"],
    ),
    "sys.exit in a hook of exceptions": (
        """
import sys
def hook(*_): sys.exit(8)
def f(): raise KeyError("k")
sys.excepthook = hook
f()
""",
        8,
        ["f() raises KeyError('k')", "hook(.*) raises SystemExit(8)"],
    ),
    "exceptions in destructors": (
        """
import gc
class Box:
    def __init__(self): self.me = self
    def __del__(self): raise ValueError("in a destructor")
gc.disable()
def f():
    Box()
    gc.collect()
    return gc.garbage
print(f())
""",
        0,
        ["f() -> []", "Box.__del__(.*) raises ValueError('in a destructor')"],
    ),
    "RecursionError": (
        """
import sys
sys.setrecursionlimit(200)
def down(n): return down(n + 1)
def f():
    try: down(0)
    except RecursionError as error: return str(error)[:32]
print(f())
down(0)
""",
        1,
        ["f() -> 'maximum recursion depth exceeded'", "down(n=0) raises RecursionErr"],
    ),
    "MemoryError": (
        """
import resource
def f(): return len(b"x" * (1 << 40))
resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32))
try: f()
except MemoryError: print("no memory")
raise MemoryError
""",
        1,
        ["f() raises MemoryError"],
    ),
    "an exception of another kind": (
        """
class Stop(BaseException): pass
def f(): raise Stop("all of it")
f()
""",
        1,
        ["f() raises Stop('all of it')"],
    ),
}
OTHER = "import sys\ndef f(): sys.exit(5)\nf()\n"
EXITS = {
    # how, the exit code, what the trace has of it
    "a number": ("sys.exit(3)", 3, 3),
    "a text": ("sys.exit('gone')", 1, 1),
    "nothing": ("sys.exit()", 0, None),
    "more than a byte": ("sys.exit(257)", 1, 1),
    "raise": ("raise SystemExit(4)", 4, 4),
    "a tool's": (
        "import runpy\ntry: runpy.run_path('other.py', run_name='__main__')\n"
        "except SystemExit: pass",
        0,
        None,
    ),
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_python(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def place(tmp_path: Path, python: Path, core: str) -> Place:
    return Place(tmp_path / "project", python, core)


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_reaches_the_program_and_is_in_the_trace(place: Place, name: str) -> None:
    source, code, lines = PROGRAMS[name]
    place.write(program=source, other=OTHER)
    before = said(place, "program.py")
    assert before[2] == code
    if name == "RecursionError" and place.core == "python":
        pytest.skip("a profile function in Python may be what is too deep")
    if place.core == "python" and sys.version_info < (3, 11) and "signal" in source:
        pytest.skip("a signal's handler runs within the profile function")
    for number, (words, variables) in enumerate(WAYS.values()):
        assert said(place, *words, "program.py", **variables) == before
        trees = place.read.trees(number)
        text = "\n".join(tree.text(tree.roots, Show()) for tree in trees)
        for line in lines:
            assert _matches(line, text, place.core), text


def said(place: Place, *words: str, **variables: str) -> tuple[str, str, int]:
    """Its output and exit code, without addresses, and without how deep it came: what
    runs a program stands on the stack as well."""
    out, err, code = place.run(*words, **variables)
    return out, re.sub("0x[0-9a-f]+|repeated [0-9]+ more", "…", err), code


def _matches(line: str, text: str, core: str) -> bool:
    """``.*`` stands for anything; an exception may be unknown to the Python core."""
    if core == "python" and sys.version_info < (3, 12):
        line = line.partition(" raises ")[0]
    pattern = re.escape(line).replace(r"\.\*", ".*")
    return re.search(rf"^ *{pattern}", text, re.MULTILINE) is not None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", EXITS)
def test_the_trace_knows_the_exit_code(place: Place, how: str, way: str) -> None:
    statement, code, kept = EXITS[how]
    if place.core == "python" and way == "variable" and sys.version_info < (3, 12):
        pytest.skip("its hook does not tell which exception it was")
    place.write(program=f"import sys\ndef f(): return 1\nf()\n{statement}", other=OTHER)
    words, variables = WAYS[way]
    assert place.run(*words, "program.py", **variables)[2] == code
    assert read_failure(place.read.trace()).get("exit_code") == kept


def test_the_exit_code_of_code_that_is_not_kept_is_known(place: Place) -> None:
    """Of a console script, say, which only calls what is kept."""
    if place.core == "python" and sys.version_info < (3, 12):
        pytest.skip("its hook does not tell which exception it was")
    place.write(program="def main(): return 3")
    words = ("-c", "import program, sys; sys.exit(program.main())")
    assert place.run(*words, KOLO_C="1")[2] == 3
    assert read_failure(place.read.trace()).get("exit_code") == 3
