"""A program that ends at once leaves a word of why, and nobody can tell that it does."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from kolo_c.extension import extension_for_reading
from kolo_c.reference.recover import recover_file
from kolo_c.store.reader import Store
from kolo_c.store.recovery import recover_dead
from tests.spec.tracing import environment, recover

pytestmark = pytest.mark.parametrize("hook", ["setprofile"], indirect=True)
only_c = pytest.mark.parametrize("core", ["c"], indirect=True)


def command(traced, *words):
    """What a kolo-c command says of the program's store."""
    done = subprocess.run(
        [sys.executable, "-m", "kolo_c", *words],
        cwd=traced.project, env=environment(), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return done.stdout


def ends_by(trace, how, **more):
    """A program whose last call, of ``last``, runs ``how``."""
    lines = "\n".join(f"            {line}" for line in how.splitlines())
    return trace(
        "import ctypes, faulthandler, os, signal, sys, time\n"
        "def f(n): return n\n"
        "def last():\n"
        "    f(1)\n"
        "    if f(2):\n"
        f"{lines}\n"
        "last()\n",
        fails=True,
        **more,
    )


@only_c
@pytest.mark.parametrize(
    ("how", "code", "cause", "said"),
    [
        ("ctypes.string_at(0)", -signal.SIGSEGV, "SIGSEGV", "was ended by SIGSEGV"),
        ("os.abort()", -signal.SIGABRT, "SIGABRT", "was ended by SIGABRT"),
        ("os.kill(os.getpid(), 15)", -15, "SIGTERM", "was ended by SIGTERM"),
        ("signal.raise_signal(1)", -1, "SIGHUP", "was ended by SIGHUP"),
        ("os.kill(os.getpid(), 9)", -9, "interrupted", "ended without a word"),
        ("os._exit(3)", 3, "os._exit(3)", "✗ program.py"),
        ("os._exit(status=259)", 3, "os._exit(3)", "was ended by os._exit(3)"),
        ("faulthandler.enable()\nctypes.string_at(0)", -11, "SIGSEGV", "SIGSEGV"),
        ("faulthandler.enable()\nfaulthandler._stack_overflow()", -11, "SIGSEGV", ""),
        (
            "signal.signal(15, lambda *_: None)\nos.kill(os.getpid(), 15)\nos.abort()",
            -signal.SIGABRT, "SIGABRT", "",
        ),
    ],
)  # fmt: skip
def test_the_trace_says_what_ended_the_program(trace, how, code, cause, said):
    traced = ends_by(trace, how)
    assert traced.code == code
    recover(traced)
    info = traced.infos()[0]
    assert (info.status, info.row.cause) == ("interrupted", cause)
    assert said in command(traced, "why").splitlines()[0]
    assert json.loads(command(traced, "list", "--json"))[0]["failed"]


@only_c
def test_a_handler_that_was_there_before_is_called_too(trace):
    traced = ends_by(trace, "ctypes.string_at(0)", options=["-X", "faulthandler"])
    assert traced.code == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in traced.stderr
    recover(traced)
    assert traced.infos()[0].row.cause == "SIGSEGV"


@pytest.mark.parametrize("name", ["execv", "execve", "execlp"])
def test_a_program_that_becomes_another_has_not_failed(trace, name):
    more = {"execv": "['true']", "execve": "['true'], {}", "execlp": "'true'"}[name]
    path = "'true'" if name == "execlp" else repr(shutil.which("true"))
    traced = ends_by(trace, f"os.{name}({path}, {more})")
    assert traced.code == 0
    assert traced.tree().find("last")[0].on_stack
    recover(traced)
    info = traced.infos()[0]
    assert info.status == "interrupted"
    if traced.core == "c":
        assert info.row.cause == "exec"
        assert "was replaced by another program" in command(traced, "why")
        assert json.loads(command(traced, "list", "--json", "--failed")) == []


@only_c
def test_a_word_that_was_not_the_last_is_taken_back(trace):
    traced = ends_by(
        trace,
        "try: os.execv('/nowhere/at/all', ['all'])\n"
        "except FileNotFoundError: pass\n"
        "try: os._exit('three')\n"
        "except TypeError: pass\n"
        "os.kill(os.getpid(), 9)",
    )
    recover(traced)
    assert traced.infos()[0].row.cause == "interrupted"


@only_c
def test_a_child_that_leaves_by_its_own_will_has_not_failed(trace):
    traced = trace(
        """
        import os
        def f(name): return name
        for code in 0, 1:
            child = os.fork()
            if child == 0:
                f(code)
                os._exit(code)
            os.waitpid(child, 0)
        f('parent')
        """
    )
    recover(traced)
    rows = json.loads(command(traced, "list", "--json"))
    assert sorted((row["cause"], row["failed"]) for row in rows) == [
        ("exit", False), ("os._exit(0)", False), ("os._exit(1)", True),
    ]  # fmt: skip


@only_c
def test_both_recoveries_tell_the_same(trace, tmp_path):
    extension = extension_for_reading()
    assert extension is not None
    for number, how in enumerate(
        ("os.abort()", "os._exit(7)", "os.kill(os.getpid(), 9)")
    ):
        traced = ends_by(trace, how)
        causes = []
        for which in (extension.recover, recover_file):
            copy = tmp_path / f"{number}-{len(causes)}"
            shutil.copytree(traced.store, copy)

            class Core:
                recover = staticmethod(which)

            assert recover_dead(copy, Core) == []
            with Store(copy) as store:
                causes.append(store.traces()[0].row.cause)
        assert causes[0] == causes[1]
        shutil.rmtree(traced.store)


def test_the_program_cannot_tell(trace):
    about = """
        import os, pickle, posix, inspect, signal
        def f(): return 1
        f()
        for name in ("_exit", "execv", "execve"):
            one = getattr(os, name)
            print(one, type(one), one is getattr(posix, name), one.__doc__)
            print(one.__name__, one.__qualname__, one.__module__, one.__self__)
            print(inspect.signature(one), pickle.loads(pickle.dumps(one)) is one)
            try: one()
            except TypeError as error: print(error)
        for number in sorted(signal.valid_signals()):
            print(number, signal.getsignal(number))
        """
    recorded = trace(about)
    plain = subprocess.run(
        [sys.executable, "program.py"],
        cwd=recorded.project, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert recorded.stdout == plain.stdout


@only_c
def test_what_was_changed_is_put_back_when_recording_ends(core, hook, tmp_path):
    program = textwrap.dedent(
        """
        import os, posix, kolo_c
        def caught():
            "Signals with a handler, without those that libc has for threads."
            for line in open('/proc/self/status'):
                if line.startswith('SigCgt'):
                    return int(line.split()[1], 16) & 0x7fffffff
        before = os._exit, os.execv, posix.execve, caught()
        with kolo_c.trace():
            assert os._exit is not before[0] and caught() != before[3]
        assert before == (os._exit, os.execv, posix.execve, caught())
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=environment(KOLO_C_CORE=core, KOLO_C_HOOK=hook),
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stderr, done.returncode) == ("", 0)


@only_c
def test_a_test_that_crashes_python_is_named_with_the_signal(core, hook, tmp_path):
    """pytest has faulthandler on before us, and still says what it says."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "test_it.py").write_text(
        "import ctypes\n"
        "def test_well(): pass\n"
        "def test_crashes(): ctypes.string_at(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:kolo_c", "-p",
         "kolo_c.integrations.pytest_plugin", "--kolo-c"],
        cwd=tmp_path, env=environment(KOLO_C_CORE=core, KOLO_C_HOOK=hook),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in done.stderr
    assert recover_dead(tmp_path / ".kolo_c") == []
    with Store(tmp_path / ".kolo_c") as store:
        assert [(info.row.name.split("::")[1], info.row.cause) for info in store.traces()] == [
            ("test_crashes", "SIGSEGV"), ("test_well", "exit"),
        ]  # fmt: skip
