"""A program under ``kolo-c run`` behaves as under python: output, errors, exit code.

Each program runs twice, under python and under the runner with a session that records
nothing; whatever can be seen from outside must be equal, byte for byte.
"""

from __future__ import annotations

import os
import py_compile
import re
import signal
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from kolo_c.core import c_import_error

STANDIN = str(Path(__file__).with_name("standin.py"))
ENVIRONMENT = {
    key: value
    for key, value in os.environ.items()
    if not key.startswith(("KOLO_C", "COV_", "PYTEST", "PYTHON"))
} | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}


def execute(words, folder: Path, stdin: bytes = b"", **environ):
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        input=stdin,
        capture_output=True,
        env=ENVIRONMENT | environ,
        timeout=60,
    )
    stdout, stderr = (
        re.sub(r"0x[0-9a-f]+", "0x…", stream.decode())
        for stream in (done.stdout, done.stderr)
    )
    return stdout, stderr, done.returncode


def assert_same(words, folder: Path, stdin: bytes = b"", **environ):
    """Run both ways; returns what python gave."""
    plain = execute(words, folder, stdin, **environ)
    recorded = execute([STANDIN, "run", "--quiet", *words], folder, stdin, **environ)
    assert recorded == plain
    return plain


def write(folder: Path, text: str, name: str = "program.py") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return name


PROGRAMS = {
    "what a program sees of itself": """
        import sys
        print(__name__, __file__, __doc__, __package__, __spec__, sys.argv, sys.path[0])
        print(list(globals()), type(__loader__).__name__, __loader__.path)
        print(sys.modules["__main__"].__dict__ is globals(), __builtins__)
        print(sys.modules["__main__"])
    """,
    "a docstring and annotations": """
        "The text."
        x: int = 3
        print(__doc__, __annotations__)
    """,
    "an exception": """
        def inner(number):
            return 1 / number
        def outer():
            inner(0)
        outer()
    """,
    "an exception with a cause and notes": """
        try:
            {}["key"]
        except KeyError as error:
            raise ValueError("wrong") from error
    """,
    "an exception in a group of its own": """
        class Broken(Exception):
            def __str__(self):
                return "a\\nb"
        raise Broken
    """,
    "exit 3": "import sys; print('x'); sys.exit(3)",
    "exit with a text": "import sys; sys.exit('a message')",
    "exit with nothing": "raise SystemExit",
    "exit with an object": "raise SystemExit({'a': 1})",
    "exit with a large number": "raise SystemExit(259)",
    "exit -1": "raise SystemExit(-1)",
    "an exit class of its own": """
        class Stop(SystemExit):
            pass
        raise Stop(7)
    """,
    "os._exit": "import os, sys; print('lost'); os._exit(5)",
    "exit in a function that was called late": """
        import atexit, sys
        def bye():
            print("bye", "__file__" in globals())
            sys.exit(9)
        atexit.register(bye)
    """,
    "exit handlers": """
        import atexit
        atexit.register(print, "first registered")
        atexit.register(lambda: print("has file:", "__file__" in globals()))
        print("end")
    """,
    "exit handlers after sys.exit": """
        import atexit, sys
        atexit.register(lambda: print("has file:", "__file__" in globals()))
        sys.exit(4)
    """,
    "a broken exit handler": """
        import atexit
        def broken():
            raise ValueError("late")
        atexit.register(print, "after")
        atexit.register(broken)
    """,
    "exit handlers cleared": """
        import atexit
        atexit.register(print, "never")
        atexit._clear()
    """,
    "a thread that runs on": """
        import threading, time
        def work():
            time.sleep(0.2)
            print("thread", threading.main_thread().is_alive())
        threading.Thread(target=work).start()
        print("main ends")
    """,
    "a thread that raises": """
        import threading
        def work():
            raise ValueError("in the thread")
        thread = threading.Thread(target=work, name="worker")
        thread.start()
        thread.join()
    """,
    "a daemon thread": """
        import threading, time
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
        print("main ends")
    """,
    "an exception with a thread that runs on": """
        import threading, time
        threading.Thread(target=lambda: (time.sleep(0.2), print("done"))).start()
        raise KeyError("main")
    """,
    "an excepthook": """
        import sys
        def hook(kind, value, traceback):
            names = []
            while traceback:
                names.append(traceback.tb_frame.f_code.co_name)
                traceback = traceback.tb_next
            print(kind, value, names)
            entry = value.__traceback__.tb_frame.f_code.co_filename
            print(entry == __file__)
        sys.excepthook = hook
        raise ValueError("x")
    """,
    "an excepthook that raises": """
        import sys
        def hook(*_):
            raise KeyError("hook")
        sys.excepthook = hook
        raise ValueError("x")
    """,
    "an excepthook that exits": """
        import sys
        sys.excepthook = lambda *_: sys.exit(6)
        raise ValueError("x")
    """,
    "no excepthook": "import sys; del sys.excepthook; raise ValueError('x')",
    "None as excepthook": "import sys; sys.excepthook = None; raise ValueError('x')",
    "an exception that answers for itself": """
        class Odd(Exception):
            def __getattribute__(self, name):
                print("asked for", name)
                return super().__getattribute__(name)

            def __setattr__(self, name, value):
                print("told", name)

            @property
            def __class__(self):
                return KeyboardInterrupt

        raise Odd(1)
        """,
    "what is left of an exception": """
        import atexit, sys
        def look():
            print(sys.last_type, sys.last_value, sys.last_traceback.tb_lineno)
            print(sys.last_traceback.tb_frame.f_code.co_name)
        atexit.register(look)
        raise ValueError("x")
    """,
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "a kind of KeyboardInterrupt": "class Own(KeyboardInterrupt): pass\nraise Own",
    "KeyboardInterrupt with handlers": """
        import atexit, sys
        atexit.register(lambda: print("bye", sys.excepthook is sys.__excepthook__))
        def f():
            raise KeyboardInterrupt("stop")
        f()
    """,
    "SIGINT": """
        import os, signal, time
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    """,
    "SIGTERM": """
        import os, signal, time
        print("x", flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    """,
    "a handled signal": """
        import os, signal
        signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
        os.kill(os.getpid(), signal.SIGUSR1)
        print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    """,
    "output without an end of line": "import sys; sys.stdout.write('x')",
    "both streams": """
        import sys
        for number in range(3):
            print(number)
            print(-number, file=sys.stderr)
    """,
    "closed streams": """
        import sys
        print("x")
        sys.stdout.close()
        sys.stderr.close()
    """,
    "streams set to None": "import sys; print(1); sys.stdout = sys.stderr = None",
    "warnings": "import warnings; warnings.warn('old', DeprecationWarning)",
    "an unraisable exception": """
        class A:
            def __del__(self):
                raise ValueError("del")
        A()
    """,
    "objects that end with the interpreter": """
        class A:
            def __del__(self, print=print):
                print("gone")
        a = A()
    """,
    "pickle finds the main module": """
        import pickle
        class Point:
            pass
        print(type(pickle.loads(pickle.dumps(Point()))) is Point)
    """,
    "dataclasses and typing look at the main module": """
        from __future__ import annotations
        import dataclasses, typing
        @dataclasses.dataclass
        class Point:
            x: int
            y: typing.ClassVar[int] = 3
        print(Point(1), typing.get_type_hints(Point))
    """,
    "an import from the main module": """
        import __main__
        value = 4
        print(__main__.value)
    """,
    "no future of ours is inherited": "def f(x: print('evaluated')): pass",
    "asyncio": """
        import asyncio
        async def work(number):
            await asyncio.sleep(0.01)
            return number * 2
        async def main():
            print(await asyncio.gather(*map(work, range(4))))
        asyncio.run(main())
    """,
    "multiprocessing with spawn": """
        import multiprocessing
        def work(number):
            return number * 2
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(work, [1, 2]))
    """,
    "a fork": """
        import os, sys, atexit
        atexit.register(print, "bye", flush=True)
        pid = os.fork()
        if pid == 0:
            sys.exit(0)
        os.waitpid(pid, 0)
        print("parent")
    """,
    "unittest.main": """
        import unittest
        class Test(unittest.TestCase):
            def test_x(self):
                self.assertTrue(1)
        if __name__ == "__main__":
            unittest.main(verbosity=0, argv=["x", "-q"])
    """,
    "runpy within": """
        import runpy
        print(sorted(runpy.run_path(__file__.replace("program", "other")))[-1])
    """,
    "recursion without end": """
        def f():
            f()
        try:
            f()
        except RecursionError as error:
            print("deep")
    """,
}


@pytest.mark.parametrize("title", PROGRAMS)
def test_a_script_behaves_as_under_python(title, tmp_path):
    name = write(tmp_path, PROGRAMS[title])
    write(tmp_path, "zzz = 1", "other.py")
    if title == "unittest.main":
        # The time that the tests took is in the text.
        plain = execute([name], tmp_path)
        recorded = execute([STANDIN, "run", "-q", name], tmp_path)
        assert (plain[0], plain[2]) == (recorded[0], recorded[2])
        return
    assert_same([name, "a", "--quiet", "-m"], tmp_path)


REAL = f"""
import sys
sys.path.append({str(Path(__file__).parents[2])!r})
from kolo_c.cli.main import main
sys.exit(main())
"""


@pytest.mark.skipif(bool(c_import_error()), reason="no C core")
@pytest.mark.parametrize("title", sorted(set(PROGRAMS) - {"unittest.main"}))
def test_a_script_that_is_recorded_behaves_as_under_python(title, tmp_path):
    name = write(tmp_path, PROGRAMS[title])
    write(tmp_path, "zzz = 1", "other.py")
    write(tmp_path, REAL, "lib/kolo-c")
    plain = execute([name, "a"], tmp_path)
    assert execute(["lib/kolo-c", "run", "-q", name, "a"], tmp_path) == plain
    assert list((tmp_path / ".kolo_c" / "segments").glob("*.db"))


BROKEN = {
    "a syntax error": b"def f(:\n    pass\n",
    "a syntax error later": b"print('never')\nx = = 1\n",
    "an indentation error": b"if 1:\nx\n",
    "a tab error": b"if 1:\n\tx\n        y\n",
    "an unclosed bracket": b"f(1,\n",
    "not text": b"x = '\xff'\n",
    "not text, later": b"# a\n# b\nx = 1\n\ny = '\xe4'\n",
    "an unknown encoding": b"# coding: klingon\n",
    "a binary file": b"\x7fELF\x02\x01\x01\0\0\0\0",
    "null bytes": b"x = 1\nprint(x)\0\n",
    "a return outside": b"return 3\n",
    "another encoding": "# coding: latin-1\nprint(ascii('ä'))\n".encode("latin-1"),
    "a byte order mark": b"\xef\xbb\xbfprint('x')\n",
    "windows line ends": b"print(1)\r\nraise ValueError\r\n",
    "no end of line": b"print(1)",
    "nothing": b"",
    "a warning while compiling": b"x = 1\nprint(x is 1)\n",
}


NOT_ON_310 = ("not text", "not text, later", "null bytes", "a binary file")


@pytest.mark.parametrize("title", BROKEN)
def test_a_broken_script_gives_the_error_of_python(title, tmp_path):
    if sys.version_info < (3, 11) and title in NOT_ON_310:
        pytest.skip("3.10 counts a line too many, and reads up to a null byte only")
    (tmp_path / "program.py").write_bytes(BROKEN[title])
    assert_same(["program.py"], tmp_path)


def test_a_program_that_is_not_python_says_what_to_do(tmp_path):
    write(tmp_path, "def f(:")
    _, stderr, code = execute([STANDIN, "run", "program.py"], tmp_path)
    assert code == 1
    assert "program.py is not valid Python" in stderr
    assert "run it again" in stderr


@pytest.mark.parametrize(
    "words",
    [
        ["./program.py"],
        ["sub/../program.py"],
        ["sub/link.py"],
        ["sub/nested.py", "x"],
    ],
)
def test_paths_are_what_python_makes_of_them(words, tmp_path):
    text = "import sys; print(__file__, sys.argv, sys.path[0]); 1/0"
    write(tmp_path, text)
    write(tmp_path, text, "sub/nested.py")
    (tmp_path / "sub/link.py").symlink_to(tmp_path / "program.py")
    assert_same(words, tmp_path)
    assert_same([str(tmp_path / words[0])], tmp_path)


SHOW = "import sys; print(__name__, sys.argv, repr(sys.path[0]), list(globals()))"


@pytest.mark.parametrize("end", ["", "; 1/0", "; sys.exit(3)", "\ndef f(): 1/0\nf()"])
def test_code_on_the_command_line(end, tmp_path):
    assert_same(["-c", SHOW + end, "a", "-q"], tmp_path)


def test_code_on_the_command_line_may_be_empty(tmp_path):
    assert_same(["-c", ""], tmp_path)
    assert_same(["-c", "", "a"], tmp_path)


def test_code_on_the_command_line_that_is_not_python(tmp_path):
    assert_same(["-c", "def f(:"], tmp_path)
    assert_same(["-c", "  x = 1"], tmp_path)


@pytest.mark.parametrize("end", ["", "; 1/0", "\nx = = 1", "\nprint(__file__)"])
def test_a_program_from_stdin(end, tmp_path):
    assert_same(["-", "a"], tmp_path, (SHOW + end).encode())


def test_the_program_reads_its_own_stdin(tmp_path):
    name = write(tmp_path, "import sys; print(input()); print(sys.stdin.read())")
    assert_same([name], tmp_path, b"one\ntwo\nthree")


MODULES = [
    ["-m", "pkg.tool", "a", "-m"],
    ["-mpkg.tool", "-c"],
    ["-m", "pkg"],
    ["-m", "pkg.broken"],
    ["-m", "pkg.absent"],
    ["-m", "absent"],
    ["-m", "pkg.exits"],
    ["-m", "pkg.syntax"],
    ["-m", "pkg.stopped"],
    ["-m", "json.tool", "--help"],
]


@pytest.fixture
def package(tmp_path):
    write(tmp_path, "print('package', __name__)", "pkg/__init__.py")
    write(tmp_path, SHOW + "; print(__spec__.name, __package__)", "pkg/tool.py")
    write(tmp_path, SHOW, "pkg/__main__.py")
    write(tmp_path, "def f(): 1/0\nf()", "pkg/broken.py")
    write(tmp_path, "import sys; sys.exit('x')", "pkg/exits.py")
    write(tmp_path, "x = = 1", "pkg/syntax.py")
    write(tmp_path, "raise KeyboardInterrupt", "pkg/stopped.py")
    return tmp_path


@pytest.mark.parametrize("words", MODULES, ids=" ".join)
def test_a_module_behaves_as_under_python(words, package):
    assert_same(words, package)


def test_folders_and_zip_files(tmp_path):
    write(tmp_path, SHOW + "\nimport beside\n1/0", "folder/__main__.py")
    write(tmp_path, "print(__name__)", "folder/beside.py")
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", SHOW + "\n1/0")
    for name in ("folder", "folder/", "empty", "app.pyz"):
        assert_same([name, "a"], tmp_path)


def test_a_compiled_file(tmp_path):
    write(tmp_path, "import sys; print(sys.argv, list(globals()), __file__)")
    py_compile.compile(str(tmp_path / "program.py"), cfile=str(tmp_path / "p.pyc"))
    assert_same(["p.pyc", "a"], tmp_path)


def test_a_file_beside_the_script_replaces_a_library_module(tmp_path):
    write(tmp_path, "print('my argparse')", "argparse.py")
    write(tmp_path, "value = 'my difflib'", "difflib/__init__.py")
    name = write(tmp_path, "import argparse, difflib, inspect; print(difflib.value)")
    stdout, _, _ = assert_same([name], tmp_path)
    assert stdout == "my argparse\nmy difflib\n"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="safe_path came with 3.11")
@pytest.mark.parametrize("name", ["threading", "types", "functools"])
def test_a_compiled_file_beside_the_script_replaces_a_library_module(name, tmp_path):
    source = write(tmp_path, "print('mine')\ndef _shutdown(): pass", "mine.py")
    py_compile.compile(str(tmp_path / source), cfile=str(tmp_path / f"{name}.pyc"))
    script = write(tmp_path, f"import {name} as it; print(it.__file__)")
    stdout, _, _ = assert_same([script], tmp_path)
    assert stdout.startswith("mine")


def test_a_relative_name_in_a_deleted_folder_ends_with_a_message(tmp_path):
    (tmp_path / "gone").mkdir()
    program = """
        import os, sys
        import kolo_c.cli.main, kolo_c.cli.run
        os.rmdir("../gone")
        kolo_c.cli.run.choose_core = lambda asked: None
        sys.exit(kolo_c.cli.main.main(["run", "../program.py"]))
    """
    program = textwrap.dedent(program)
    library = str(Path(STANDIN).parents[2])
    words = ["-c", program]
    _, stderr, code = execute(words, tmp_path / "gone", PYTHONPATH=library)
    assert (code, "Traceback" in stderr) == (2, False), stderr
    assert "cannot open" in stderr


def test_a_safe_path_stays_safe(tmp_path):
    root = str(Path(STANDIN).parents[2])
    # The stand-in had to add one entry to find kolo_c.
    name = write(tmp_path, f"import sys; print([p for p in sys.path if p != {root!r}])")
    plain = execute([name], tmp_path, PYTHONSAFEPATH="1")
    recorded = execute([STANDIN, "run", "-q", name], tmp_path, PYTHONSAFEPATH="1")
    assert recorded == plain


def test_output_to_a_closed_pipe_ends_as_under_python(tmp_path):
    name = write(tmp_path, "for n in range(100000): print(n)")
    results = []
    for words in ([name], [STANDIN, "run", "--quiet", name]):
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
        )
        process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read()
        process.stderr.close()
        results.append((process.wait(), error))
    assert results[0] == results[1]


def test_ctrl_c_ends_the_process_by_the_signal(tmp_path):
    name = write(
        tmp_path,
        """
        import atexit, time
        atexit.register(print, "handlers ran", flush=True)
        print("ready", flush=True)
        time.sleep(30)
        """,
    )
    process = subprocess.Popen(
        [sys.executable, STANDIN, "run", name],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert stdout == b"handlers ran\n"
    assert stderr.count(b"KeyboardInterrupt") == 1
    assert b"kolo_c" not in stderr.split(b"kolo-c: ")[0]
    assert b"recorded" in stderr


def log_of(words, folder, stdin=b""):
    log = folder / "log"
    execute([STANDIN, "run", *words], folder, stdin, KOLO_C_STANDIN=str(log))
    return log.read_text().splitlines()


def test_the_trace_ends_after_threads_and_exit_handlers(tmp_path):
    name = write(
        tmp_path,
        """
        import atexit, os, threading, time
        def note(text):
            with open("log", "a") as file:
                print(text, file=file)
        atexit.register(note, "handler")
        threading.Thread(target=lambda: (time.sleep(0.2), note("thread"))).start()
        note("main")
        """,
    )
    expected = ["session program.py process program.py", "start", "main"]
    assert log_of([name], tmp_path) == [
        *expected,
        "thread",
        "handler",
        "stop exit NoneType",
    ]


def test_the_exception_that_ended_the_program_reaches_the_session(tmp_path):
    name = write(tmp_path, "raise KeyError('x')")
    assert log_of([name], tmp_path)[-1] == "stop exit KeyError"


def test_code_compiled_for_the_program_is_kept(tmp_path):
    assert r"keep_code <string> 'x = 1\n'" in log_of(["-c", "x = 1"], tmp_path)
    (tmp_path / "log").unlink()
    assert "keep_code <stdin> 'x = 1'" in log_of(["-"], tmp_path, b"x = 1")
    (tmp_path / "log").unlink()
    assert "keep_code" not in "".join(log_of([write(tmp_path, "x = 1")], tmp_path))


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["absent.py"], 2, ["absent.py", "No such file"]),
        (["progam.py"], 2, ["progam.py", "Did you mean program.py?"]),
        (["absent/x.py"], 2, ["absent/x.py", "no folder absent"]),
        (["secret.py"], 2, ["secret.py", "Permission denied", "permissions"]),
        (["ls"], 1, ["ls is not a Python program", "kolo-c run -m module"]),
        ([], 2, ["no program", "kolo-c run script.py"]),
        (["-m"], 2, ["-m needs an argument"]),
        (["python", "-u", "program.py"], 1, ["-u", "python -u -m kolo_c run"]),
        (["python2", "program.py"], 1, ["python2 is not the Python", "-m kolo_c run"]),
        (["--local", "all", "program.py"], 2, ["--local"]),
        (["--locals", "al", "program.py"], 1, ["locals", "Did you mean 'all'?"]),
        (["--set", "x=1", "program.py"], 1, ["x is not a setting"]),
        (["--ignore", "a[", "program.py"], 1, ["a[", "filters.md"]),
    ],
)
def test_what_cannot_be_run_names_the_file_and_the_next_step(
    words, code, expected, tmp_path
):
    write(tmp_path, "print('ran')")
    (tmp_path / "secret.py").touch(0o000)
    if "secret.py" in words and os.access(tmp_path / "secret.py", os.R_OK):
        pytest.skip("root reads everything")
    stdout, stderr, exit_code = execute([STANDIN, "run", *words], tmp_path)
    for text in expected:
        assert text in stderr
    assert (exit_code, stdout) == (code, "")
    assert "Traceback" not in stderr


def test_who_looks_at_the_whole_stack_sees_who_runs_the_program(tmp_path):
    """docs/explanation/reliability.md says so; above are the program's frames alone."""
    program = """
        import inspect
        def f():
            print(*(frame.filename.rpartition('/')[2] for frame in inspect.stack()))
        f()
    """
    words = write(tmp_path, program)
    assert execute([words], tmp_path)[0].split() == ["program.py"] * 2
    files = execute([STANDIN, "run", "--quiet", words], tmp_path)[0].split()
    assert files[:3] == ["program.py", "program.py", "runner.py"]


def test_a_leading_python_is_allowed(tmp_path):
    name = write(tmp_path, SHOW)
    plain = execute([name, "a"], tmp_path)
    version = f"python3.{sys.version_info[1]}"
    for word in ("python", "python3", version, sys.executable):
        assert execute([STANDIN, "run", "-q", word, name, "a"], tmp_path) == plain


def test_a_command_on_path_is_run_by_its_name(tmp_path):
    write(tmp_path, f"#!{sys.executable}\n{SHOW}; print(__file__)", "bin/my-tool")
    (tmp_path / "bin/my-tool").chmod(0o755)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    plain = execute([str(tmp_path / "bin/my-tool"), "a"], tmp_path)
    recorded = execute([STANDIN, "run", "-q", "my-tool", "a"], tmp_path, PATH=path)
    assert recorded == plain


def test_one_line_says_what_was_recorded(tmp_path):
    name = write(tmp_path, "print('x')")
    stdout, stderr, code = execute([STANDIN, "run", name], tmp_path)
    assert (stdout, code) == ("x\n", 0)
    assert stderr.startswith("kolo-c: recorded 3 calls of program.py in 1.50 s")
    assert "kolo-c show 00000" in stderr
    assert stderr.count("\n") == 1


def test_an_empty_trace_says_why(tmp_path):
    write(tmp_path, "x = 1")
    _, stderr, _ = execute([STANDIN, "run", "program.py"], tmp_path, STANDIN_CALLS="0")
    assert "nothing was recorded" in stderr
    assert str(tmp_path) in stderr
    assert "kolo-c doctor" in stderr


def test_nothing_third_party_comes_into_the_process(tmp_path):
    name = write(
        tmp_path,
        """
        import sys
        for name in sorted(sys.modules):
            if "." not in name and name not in sys.stdlib_module_names:
                print(name)
        """,
    )
    stdout, _, _ = execute([STANDIN, "run", "-q", name], tmp_path)
    bare, _, _ = execute([name], tmp_path)
    allowed = {"kolo_c", "tomli"} if sys.version_info < (3, 11) else {"kolo_c"}
    assert set(stdout.split()) - set(bare.split()) <= allowed
