"""``KOLO_C=1``: any Python process is recorded, and behaves as it would without."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests.integration.place import Place, make_python

ON = {"KOLO_C": "1"}
PROGRAM = """\
import atexit, sys, threading
def double(value):
    return value * 2
atexit.register(print, "first registered")
atexit.register(print, "last registered")
def work():
    print("thread", double(4))
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(sys.argv, sys.path[:2], __name__, globals().get("__file__"), sys.flags.safe_path
      if sys.version_info >= (3, 11) else "")
print(sys.stdin.read(), double(2))
sys.stderr.write("to stderr\\n")
sys.exit(3)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_python(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def place(tmp_path: Path, python: Path, core: str) -> Place:
    return Place(tmp_path / "project", python, core)


@pytest.fixture
def plain(tmp_path: Path, python: Path) -> Place:
    """For what the core does not matter to."""
    return Place(tmp_path / "project", python, "auto")


# ---- the same as without us ----


def ways(place: Place) -> dict[str, list[str]]:
    """Every way to name a program."""
    place.write(program=PROGRAM)
    package = place.folder / "package"
    package.mkdir()
    (package / "__main__.py").write_text(PROGRAM)
    with zipfile.ZipFile(place.folder / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", PROGRAM)
    return {
        "script": ["program.py", "a", "b"],
        "module": ["-m", "program", "a"],
        "package": ["-m", "package"],
        "folder": ["package", "a"],
        "zip": ["app.pyz", "-x"],
        "code": ["-c", PROGRAM, "a"],
        "stdin": ["-", "a"],
        "isolated": ["-I", "program.py"],
        "no environment": ["-E", "program.py"],
        "options": ["-W", "error", "-Xdev", "-bm", "program", "a"],
    }


@pytest.mark.parametrize(
    "way",
    [
        *"script module package folder zip code stdin isolated".split(),
        "no environment",
        "options",
    ],
)
def test_a_program_behaves_as_without_us_and_is_recorded(plain: Place, way) -> None:
    words = ways(plain)[way]
    stdin = PROGRAM if way == "stdin" else "given"
    before = plain.run(*words, stdin=stdin)
    assert plain.is_empty
    assert plain.run(*words, stdin=stdin, **ON) == before
    assert before[2] == 3
    if way == "zip":  # an archive's code has a file of its own, which is none
        return
    ((name, calls),) = plain.calls()
    assert calls.count("double") == 2
    assert name == {
        "script": "program.py",
        "folder": "package",
        "package": "package",
        "code": "-c",
        "stdin": "stdin",
        "isolated": "program.py",
        "no environment": "program.py",
    }.get(way, "program")


ENDS = {
    "error": "def f(): raise ValueError('no')\nf()",
    "exit": "import sys\ndef f(): sys.exit('gone')\nf()",
    "interrupt": "def f(): raise KeyboardInterrupt\nf()",
    "system exit in atexit": (
        "import atexit\ndef f(): raise SystemExit(4)\natexit.register(f)"
    ),
    "not python": "def f(:",
    "excepthook": (
        "import sys\nsys.excepthook = lambda *a: print('mine', a[0])\n"
        "def f(): raise OSError\nf()"
    ),
    "killed": "import os, signal\ndef f(): os.kill(os.getpid(), signal.SIGTERM)\nf()",
    "no streams": "import sys\ndef f(): sys.stdout = sys.stderr = None\nf()",
}


@pytest.mark.parametrize("end", ENDS)
def test_it_ends_as_without_us(place: Place, end: str) -> None:
    place.write(program=ENDS[end])
    before = place.run("program.py")
    found = place.run("program.py", **ON)
    assert [re.sub("0x[0-9a-f]+", "0x", str(part)) for part in found] == [
        re.sub("0x[0-9a-f]+", "0x", str(part)) for part in before
    ]
    if end == "not python":
        assert place.is_empty
        return
    (trace,) = place.traces()
    assert trace.status == ("interrupted" if end == "killed" else "complete")
    knows = place.core == "c" or sys.version_info >= (3, 12)
    assert ("kolo_c.failure" in trace.own) == (
        end in ("error", "interrupt", "excepthook") or (end == "exit" and knows)
    )


def test_ctrl_c_ends_it_by_the_signal(plain: Place) -> None:
    plain.write(
        program="import time\ndef f():\n    print('on', flush=True)\n    time.sleep(60)\nf()"
    )
    child = subprocess.Popen(
        [str(plain.python), "program.py"],
        cwd=plain.folder,
        env=plain.environ(**ON),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"on\n"
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == -signal.SIGINT
    child.stdout.close()
    (trace,) = plain.traces()
    assert trace.status == "complete"


def test_modules_of_the_program_are_not_hidden_by_ours(plain: Place) -> None:
    names = "types contextvars threading atexit json argparse _weakrefset".split()
    plain.write(**{name: f"print('mine: {name}')" for name in names})
    plain.write(program="def f(): import types, contextvars\nf()\n")
    before = plain.run("program.py")
    assert plain.run("program.py", **ON) == before
    assert "mine: contextvars" in before[0]


# ---- off ----

LOADED = (
    "import sys; print(sorted(name for name in sys.modules if 'kolo' in name.lower()))"
)


@pytest.mark.parametrize("variables", [{}, {"KOLO_C": "0"}])
def test_nothing_is_imported_where_it_is_not_asked_for(plain: Place, variables) -> None:
    assert plain.run("-c", LOADED, **variables) == ("[]\n", "", 0)


@pytest.mark.skipif(sys.version_info < (3, 15), reason="there is no .start")
def test_start_does_what_the_line_does(plain: Place, tmp_path: Path) -> None:
    plain.python = make_python(tmp_path / "start", "kolo_c.pth", "kolo_c.start")
    assert plain.run("-c", LOADED) == ("['_kolo_c_start']\n", "", 0)
    plain.write(program="def f(): pass\nf()\n")
    assert plain.run("program.py", KOLO_C="0") == ("", "", 0)
    assert plain.is_empty
    assert plain.run("program.py", **ON) == ("", "", 0)
    assert plain.calls() == [("program.py", ["<module>", "f"])]


@pytest.mark.parametrize("word", ["0", "", "false", "No", "OFF"])
def test_words_that_switch_off(plain: Place, word: str) -> None:
    plain.write(program="def f(): pass\nf()\n")
    assert plain.run("program.py", KOLO_C=word) == ("", "", 0)
    assert plain.is_empty


def test_off_switches_off_what_a_program_asks_for_too(place: Place) -> None:
    place.write(
        program="""\
import kolo_c
@kolo_c.trace
def f(): return 1
with kolo_c.trace("part") as part:
    f()
recording = kolo_c.trace("more").start()
print(f(), recording.stop(), part.trace_id, kolo_c.note("x"))
"""
    )
    assert place.run("program.py", KOLO_C="0") == ("1 None None False\n", "", 0)
    out, err, code = place.run("-m", "kolo_c", "run", "program.py", KOLO_C="0")
    assert (out, code) == ("1 None None False\n", 0)
    assert "nothing was recorded: KOLO_C is 0" in err
    assert place.is_empty


def test_without_site_nothing_is_recorded(plain: Place) -> None:
    plain.write(program="def f(): pass\nf()\n")
    assert plain.run("-S", "program.py", **ON) == ("", "", 0)
    assert plain.is_empty


@pytest.mark.parametrize(
    "words",
    [["-m", "kolo_c", "list"], ["-m", "kolo_c", "--help"], ["-m", "venv", "-h"]],
)
def test_our_own_commands_and_installers_are_left_alone(plain: Place, words) -> None:
    code = f"import sys; print('kolo_c.session' in sys.modules); {LOADED}"
    assert plain.run("-c", code, **ON)[0].startswith("True")
    plain.run(*words, **ON)
    assert plain.is_empty


def test_run_within_it_records_once(place: Place) -> None:
    place.write(program="def f(): pass\nf()\n")
    out, err, code = place.run("-m", "kolo_c", "run", "program.py", **ON)
    assert (out, code) == ("", 0) and "recorded 2 calls" in err
    assert place.calls() == [("program.py", ["<module>", "f"])]


def test_trace_joins(place: Place) -> None:
    place.write(
        program="""\
import kolo_c
def f(): pass
with kolo_c.trace("part"):
    f()
with kolo_c.trace("own", boundary=True):
    f()
"""
    )
    assert place.run("program.py", **ON) == ("", "", 0)
    assert place.links() == {"program.py": None, "own": "program.py"}


# ---- what is kept ----


def test_without_a_kept_call_nothing_is_left(place: Place) -> None:
    for words in (
        ["-c", ""],
        ["-c", "import json; json.dumps([1])"],
        ["-m", "json.tool"],
    ):
        place.run(*words, stdin="{}", **ON)
    assert place.is_empty


def test_the_store_is_made_with_the_first_call(place: Place) -> None:
    place.write(
        program="import os\nos.mkdir('new')\nos.chdir('new')\nimport part\n",
        part="def f(): pass\nf()\n",
    )
    assert place.run("program.py", **ON) == ("", "", 0)
    assert (place.folder / ".kolo_c" / ".gitignore").read_text() == "*\n"
    (trace,) = place.traces()
    assert trace.status == "complete"


def test_a_store_that_cannot_be_made_stops_no_program(place: Place) -> None:
    place.write(
        program="import os\nfile = open('.kolo_c', 'w')\n"
        "import part\nprint([part.f(n) for n in range(1000)][-1])\n",
        part="def f(n): return n\n",
    )
    place.write(program="print('before')\n" + (place.folder / "program.py").read_text())
    settings = {"KOLO_C_IGNORE_FRAMES": "program.py"}
    assert place.run("program.py", **ON, **settings) == ("before\n999\n", "", 0)
    assert (place.folder / ".kolo_c").read_bytes() == b""


def test_what_was_kept_survives_a_kill(place: Place) -> None:
    place.write(
        program="import os, signal\ndef f(): pass\nf()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert place.run("program.py", **ON)[2] == -signal.SIGKILL
    (trace,) = place.traces()
    assert trace.status == "interrupted"
    assert place.calls()[0][1] == ["<module>", "f"]


def test_wrong_settings_have_their_defaults_and_are_said(place: Place) -> None:
    place.write(program="def f(): pass\nf()\n")
    wrong = {
        "KOLO_C": "please",
        "KOLO_C_DEPTH": "deep",
        "KOLO_C_INCLUDE_FRAMES": "code:[",
    }
    assert place.run("program.py", **wrong) == ("", "", 0)
    (trace,) = place.traces()
    problems = "; ".join(trace.process.info["problems"])
    assert trace.process.info["config"]["depth"] == 4
    assert "KOLO_C must be 1 or 0, not 'please'" in problems
    assert "KOLO_C_DEPTH: depth must be a whole number, not 'deep'" in problems


def test_the_process_is_told_as_by_run(place: Place) -> None:
    place.write(program="def f(): pass\nf()\n")
    place.run("program.py", "--password=hunter22", **ON)
    place.run("-m", "kolo_c", "run", "program.py", "--password=hunter22")
    first, second = (dict(trace.process.info) for trace in place.traces())
    assert first == second
    assert "hunter22" not in json.dumps(first)


# ---- the closing line ----


def on_terminal(place: Place, *words: str, **variables: str) -> str:
    """What a person reads."""
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [str(place.python), *words],
        cwd=place.folder,
        env=place.environ(**variables),
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    text = b""
    try:
        while part := os.read(leader, 4096):
            text += part
    except OSError:
        pass  # the other end is closed
    os.close(leader)
    child.wait(30)
    return text.decode().replace("\r\n", "\n")


def test_one_line_on_a_terminal_and_only_there(place: Place) -> None:
    place.write(
        program="import subprocess, sys\ndef f(): pass\nf()\n"
        "subprocess.run([sys.executable, 'child.py'])\n",
        child="def g(): pass\ng()\nprint('child')\n",
    )
    said = on_terminal(place, "program.py", **ON)
    assert said.startswith("child\nkolo-c: recorded 2 calls of program.py in ")
    assert said.count("kolo-c:") == 1
    assert len(place.traces()) == 2
    assert on_terminal(place, "program.py", KOLO_C_QUIET="1", **ON) == "child\n"


def test_on_a_terminal_nothing_recorded_has_its_reason(plain: Place) -> None:
    plain.write(program="import json\njson.dumps(1)\n")
    said = on_terminal(plain, "program.py", KOLO_C_IGNORE_FRAMES="program.py", **ON)
    assert said.startswith("kolo-c: nothing was recorded: all code of program.py was")
    assert said.count("\n") == 1
    assert plain.is_empty


def test_where_there_can_be_no_store_that_is_the_reason(place: Place) -> None:
    """The program was said to have called no function of its own."""
    file = place.folder / "file"
    file.touch()
    nowhere = dict.fromkeys(("KOLO_C_PATH", "XDG_STATE_HOME"), str(file))
    place.write(program="def f(): pass\nf()\nprint('went on')\n")
    said = on_terminal(place, "program.py", **nowhere, **ON)
    assert said.startswith(f"kolo-c: nothing is recorded: {file}/.kolo_c is not a ")
    assert "KOLO_C_PATH" in said and said.endswith("\nwent on\n")
    assert said.count("kolo-c:") == 1


def test_a_store_that_could_not_be_made_later_is_the_reason(place: Place) -> None:
    path = place.folder / "gone"
    place.write(program=f"open({str(path)!r}, 'w').close()\ndef f(): pass\nf()\n")
    settings = {"KOLO_C_PATH": str(path), "KOLO_C_IGNORE_FRAMES": "qualname:<module>"}
    said = on_terminal(place, "program.py", **settings, **ON)
    assert said.startswith("kolo-c: nothing was recorded: ")
    assert "called no function" not in said
    assert str(path) in said.replace("\n", "")


def test_the_line_disturbs_no_interrupt(plain: Place) -> None:
    plain.write(program="def f(): raise KeyboardInterrupt\nf()\n")
    assert "recorded 2 calls" in on_terminal(plain, "program.py", **ON)
    assert plain.run("program.py", **ON)[2] == -signal.SIGINT


# ---- many at once ----


def test_many_processes_at_once_do_not_clean_up_at_once(plain: Place) -> None:
    plain.write(program="def f(): pass\nf()\n")
    plain.run("program.py", **ON)
    stamp = plain.folder / ".kolo_c" / "retention"
    stamp.write_text("others")
    before = time.time() - 4000
    os.utime(stamp, (before, before))
    command = [str(plain.python), "-X", "importtime", "program.py"]
    children = [
        subprocess.Popen(
            command, cwd=plain.folder, env=plain.environ(**ON), stderr=subprocess.PIPE
        )
        for _ in range(24)
    ]
    said = [child.communicate()[1] for child in children]
    assert sum(b"kolo_c.store.retention" in text for text in said) == 1
    assert len(plain.traces()) == 25
    assert {trace.status for trace in plain.traces()} == {"complete"}


def test_the_first_thread_has_its_name_without_threading(place: Place) -> None:
    place.write(
        program="import sys\ndef f(): pass\nf()\nprint('threading' in sys.modules)\n"
    )
    place.run("program.py", **ON)
    (stream,) = place.read.trace().streams
    assert stream.name == "MainThread"
