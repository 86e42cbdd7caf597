"""Children are recorded too, each with a trace that is linked to its parent's."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.integration.place import Place, make_python

ON = {"KOLO_C": "1"}
START = {
    "variable": ((), ON),
    "run": (("-m", "kolo_c", "run", "-q"), {}),
}


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


@pytest.fixture(params=START)
def started(request: pytest.FixtureRequest):
    """``started(place, *words)`` by the variable, or by ``kolo-c run``."""
    words, variables = START[request.param]

    def run(place: Place, *more: str, **others: str) -> tuple[str, str, int]:
        return place.run(*words, *more, **variables, **others)

    return run


CHILD = "def g(): pass\ng()\n"


def program(text: str) -> str:
    return f"import os, subprocess, sys\ndef f(): pass\nf()\n{textwrap.dedent(text)}"


WAYS = {
    "subprocess": "subprocess.run([sys.executable, 'child.py'])",
    "module": "subprocess.run([sys.executable, '-m', 'child'])",
    "shell": "os.system(sys.executable + ' child.py')",
    "with more variables": (
        "subprocess.run([sys.executable, 'child.py'], env={**os.environ, 'A': '1'})"
    ),
    "elsewhere": (
        "subprocess.run([sys.executable, os.path.abspath('child.py')], cwd='/')"
    ),
    "spawnv": "os.spawnv(os.P_WAIT, sys.executable, [sys.executable, 'child.py'])",
    "exec": "os.execv(sys.executable, [sys.executable, 'child.py'])",
    "fork and exec": (
        "if os.fork() == 0:\n"
        "    os.execl(sys.executable, sys.executable, 'child.py')\n"
        "os.wait()"
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_child_has_a_trace_linked_to_its_parents(plain: Place, started, way) -> None:
    plain.write(program=program(WAYS[way]), child=CHILD)
    assert started(plain, "program.py") == ("", "", 0)
    name = "child" if way == "module" else "child.py"
    assert plain.links() == {"program.py": None, name: "program.py"}
    assert dict(plain.calls())[name] == ["<module>", "g"]


def test_by_either_core(place: Place, started) -> None:
    place.write(program=program(WAYS["subprocess"]), child=CHILD)
    assert started(place, "program.py") == ("", "", 0)
    assert place.links() == {"program.py": None, "child.py": "program.py"}
    assert {trace.process.info["core"] for trace in place.traces()} == {place.core}


def test_grandchildren_are_linked_to_their_parents(plain: Place, started) -> None:
    plain.write(
        program=program("subprocess.run([sys.executable, 'middle.py'])"),
        middle=program(
            "if os.fork() == 0:\n    import inner\n    os._exit(0)\nos.wait()"
        ),
        inner="import subprocess, sys\nsubprocess.run([sys.executable, 'child.py'])\n",
        child=CHILD,
    )
    assert started(plain, "program.py") == ("", "", 0)
    assert plain.links() == {
        "program.py": None,
        "middle.py": "program.py",
        "middle.py (forked)": "middle.py",
        "child.py": "middle.py (forked)",
    }


POOL = """\
import multiprocessing, sys
def double(value):
    return value * 2
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        print(pool.map(double, range(6), 1))
        pool.close()
        pool.join()
    process = context.Process(target=double, args=(7,))
    process.start()
    process.join()
    print(process.exitcode)
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_workers_of_multiprocessing_are_recorded_to_their_end(
    place: Place, started, method: str
) -> None:
    place.write(program=POOL)
    out, err, code = started(place, "program.py", method)
    assert (out, code) == ("[0, 2, 4, 6, 8, 10]\n0\n", 0), err
    traces = place.traces()
    workers = [trace for trace in traces if trace.row.parent]
    assert {trace.status for trace in traces} == {"complete"}
    ids = {trace.id for trace in traces}
    assert method == "forkserver" or {t.row.parent for t in workers} <= ids
    doubled = [name for _, names in place.calls() for name in names]
    assert doubled.count("double") == 7
    assert len({trace.row.name for trace in workers}) <= 2


# ---- as far as it is wanted ----

STOPS = {
    "option": (("-m", "kolo_c", "run", "-q", "--no-follow"), {}),
    "run": (("-m", "kolo_c", "run", "-q"), {"KOLO_C_FOLLOW": "0"}),
    "variable": ((), {**ON, "KOLO_C_FOLLOW": "0"}),
}


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("way", ["subprocess", "exec", "fork and exec"])
def test_children_are_left_alone_where_that_is_asked(plain: Place, stop, way) -> None:
    words, variables = STOPS[stop]
    plain.write(program=program(WAYS[way]), child=CHILD)
    assert plain.run(*words, "program.py", **variables) == ("", "", 0)
    assert plain.links() == {"program.py": None}


@pytest.mark.parametrize("stop", STOPS)
def test_forked_children_are_left_alone_too(place: Place, stop: str) -> None:
    """They ended in the same way as their parent, and their trace was there."""
    words, variables = STOPS[stop]
    place.write(
        program=program(
            """
            def in_child(): return "child"
            def in_parent(): return "parent"
            if os.fork() == 0:
                print(in_child(), sys.getprofile(), flush=True)
                sys.exit(4)
            print(os.waitstatus_to_exitcode(os.wait()[1]), in_parent())
            """
        )
    )
    said = ("child None\n4 parent\n", "", 0)
    assert place.run(*words, "program.py", **variables) == said
    assert place.calls() == [("program.py", ["<module>", "f", "in_parent"])]


def test_a_forked_child_that_is_left_alone_may_ask_for_a_trace(place: Place) -> None:
    words, variables = STOPS["option"]
    place.write(
        program=program(
            """
            import kolo_c
            def in_child(): return 1
            if os.fork() == 0:
                with kolo_c.trace("its own"):
                    in_child()
                os._exit(0)
            os.wait()
            """
        )
    )
    assert place.run(*words, "program.py", **variables) == ("", "", 0)
    assert dict(place.calls())["its own"] == ["in_child"]


def test_an_environment_of_its_own_decides(plain: Place, started) -> None:
    plain.write(
        program=program("subprocess.run([sys.executable, 'child.py'], env={})"),
        child="import os\ndef g(): pass\ng()\nprint(sorted(os.environ))\n",
    )
    out, _, code = started(plain, "program.py")
    assert (code, "KOLO_C" in out) == (0, False)
    assert plain.links() == {"program.py": None}


def test_where_kolo_c_is_not_installed_nothing_breaks(
    plain: Place, started, tmp_path: Path
) -> None:
    other = make_python(tmp_path / "other", installed=False)
    child = "import sys\ndef g(): pass\ng()\nprint('kolo_c' in sys.modules)\n"
    plain.write(
        program=program(f"subprocess.run([{str(other)!r}, 'child.py'])"), child=child
    )
    assert started(plain, "program.py") == ("False\n", "", 0)
    assert plain.links() == {"program.py": None}


def test_settings_of_the_command_hold_for_children(plain: Place) -> None:
    plain.write(
        program=program(WAYS["subprocess"]),
        child="def g(): pass\ndef h(): pass\ng()\nh()\n",
    )
    rules = 'rules=[{"match": "qualname:g", "values": false}]'
    options = ("--ignore", "qualname:h", "--set", "depth=2", "--locals=all")
    words = ("-m", "kolo_c", "run", "-q", *options, "--set", rules, "program.py")
    assert plain.run(*words) == ("", "", 0)
    assert dict(plain.calls())["child.py"] == ["<module>", "g"]
    first, second = (trace.process.info["config"] for trace in plain.traces())
    # Rules are objects of ours: that they could not be told ended the command.
    assert first["rules"] == [{"match": ["qualname:g"], "values": False}]
    for key in ("depth", "locals", "ignore_frames", "root", "rules"):
        assert first[key] == second[key]


def test_a_child_in_another_project_is_in_its_parents_store(
    plain: Place, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "setup.py").touch()
    (other / "child.py").write_text(CHILD)
    plain.write(
        program=program(
            f"subprocess.run([sys.executable, {str(other / 'child.py')!r}])"
        )
    )
    assert plain.run("program.py", **ON) == ("", "", 0)
    assert plain.links() == {"program.py": None, "child.py": "program.py"}
    assert not (other / ".kolo_c").exists()


def test_run_in_a_child_is_linked_too(plain: Place) -> None:
    plain.write(
        program=program(
            "subprocess.run([sys.executable, '-m', 'kolo_c', 'run', '-q', 'child.py'])"
        ),
        child=CHILD,
    )
    assert plain.run("program.py", **ON) == ("", "", 0)
    assert plain.links() == {"program.py": None, "child.py": "program.py"}


# ---- a reloader ----

RELOADER = """\
import os, subprocess, sys, time
def serve():
    print("serving", flush=True)
    sys.exit(3 if os.read(0, 6) == b"again\\n" else 0)
def watch():
    while True:
        environ = {**os.environ, "RUN_MAIN": "true"}
        code = subprocess.run([sys.executable, *sys.argv], env=environ).returncode
        if code != 3:
            sys.exit(code)
if os.environ.get("RUN_MAIN"):
    serve()
else:
    watch()
"""


def test_a_reloader_and_each_of_its_restarts_are_recorded(
    plain: Place, started
) -> None:
    plain.write(program=RELOADER)
    assert started(plain, "program.py", stdin="again\nagain\n") == (
        "serving\n" * 3,
        "",
        0,
    )
    first, *reloaded = plain.traces()
    assert [trace.row.parent for trace in reloaded] == [first.id] * 3
    assert [names for _, names in plain.calls()][1:] == [["<module>", "serve"]] * 3
    assert {trace.status for trace in plain.traces()} == {"complete"}
