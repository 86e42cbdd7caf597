"""A program that closes every descriptor, or takes what it holds for free.

A file of the program's stood at a number of ours: SQLite's pages were written to it,
and the trace was lost.
"""

from __future__ import annotations

import textwrap

import pytest

from kolo_c.store.reader import Store
from tests.spec.tracing import trace_program

TAKES = {
    # The numbers that daemons and servers are given their sockets at.
    "dup2": """
        mine = [open("own-0", "w+")]
        for fd in range(3, 9):
            if fd != mine[0].fileno(): os.dup2(mine[0].fileno(), fd)
        """,
    "closerange": """
        os.closerange(3, 1024)
        mine = [open(f"own-{n}", "w+") for n in range(12)]
        """,
    "closed, no more": """
        os.closerange(3, 1024)
        mine = []
        """,
}
PROGRAM = """
    import os, time
    def f(n): return n
    def many(count):
        for n in range(count): f(f"a text {n}")
    many(2000)
    time.sleep(0.3)  # until some of it is saved
    TAKES
    for n, file in enumerate(mine):
        file.write(f"line {n}\\n")
        file.flush()
    many(2000)
    time.sleep(0.3)
    many(2000)
    for file in mine:
        os.fstat(file.fileno())
        file.write("the end\\n")
        file.close()
    """


def program(takes: str) -> str:
    """With what it takes in its place."""
    return textwrap.dedent(PROGRAM).replace("TAKES", textwrap.dedent(takes).strip())


@pytest.mark.parametrize("takes", TAKES)
def test_its_files_are_its_own_and_the_trace_is_whole(core, tmp_path, takes):
    project = tmp_path / "project"
    traced = trace_program(project, core, "auto", program(TAKES[takes]))
    files = {path.name: path.read_text() for path in project.glob("own-*")}
    count = {"dup2": 1, "closerange": 12}.get(takes, 0)
    assert files == {f"own-{n}": f"line {n}\nthe end\n" for n in range(count)}
    info = traced.infos()[0]
    assert (info.status, info.count("lost")) == ("complete", 0)
    names = [call.name for call in traced.tree().calls]
    assert names.count("f") == 6000
    assert list(traced.store.glob("segments/*.map")) == []
    with Store(traced.store) as store:
        assert store.catalogue.errors == []


def test_it_may_do_so_again_and_fork_and_segments_rotate(core, tmp_path):
    """What SQLite remembers of a file that is gone must never be another file's."""
    project = tmp_path / "project"
    traced = trace_program(
        project, core, "auto",
        """
        import os, time
        def f(n, texts): return n
        for turn in range(3):
            for n in range(300): f(n, [os.urandom(500).hex() for _ in range(7)])
            time.sleep(0.3)
            os.closerange(3, 1024)
            mine = [os.open(f"own-{turn}-{n}", os.O_RDWR | os.O_CREAT) for n in range(9)]
            if os.fork() == 0: os._exit(0)
            os.wait()
            for n in range(300): f(n, [os.urandom(500).hex() for _ in range(7)])
            time.sleep(0.3)
            for fd in mine: os.write(fd, b"the end")
        """,
        clean=False,
        config={"segment_max_bytes": 1 << 20},
    )  # fmt: skip
    assert traced.code == 0
    files = {path.name: path.read_bytes() for path in project.glob("own-*")}
    assert len(files) == 27 and set(files.values()) == {b"the end"}
    info = traced.infos()[0]
    assert (info.status, info.count("lost")) == ("complete", 0)
    names = [call.name for call in traced.tree().calls]
    assert names.count("f") == 1800
    kept = [path.suffix for path in (traced.store / "segments").iterdir()]
    assert set(kept) == {".db"} and len(kept) > 2


def test_a_daemon_that_closes_all_is_recorded_to_its_end(core, tmp_path):
    """Twice forked, as daemons are, with a call between: it has our files by then."""
    project = tmp_path / "project"
    source = """
        import os, time
        def f(n): return n
        def daemon():
            for n in range(3000): f(n)
            open("log", "a").write("did all")
            for n in range(3000): f(n)
        ends, begins = os.pipe()
        if os.fork():
            os.close(begins)
            os.read(ends, 1)  # nobody has the other end any more
            os._exit(0)
        os.setsid()
        if os.fork(): os._exit(0)
        f("first")
        time.sleep(0.3)
        pipe = os.dup2(begins, 900)
        os.closerange(0, 900)
        for fd in range(3): os.open("/dev/null", os.O_RDWR)
        daemon()
        """
    traced = trace_program(project, core, "auto", source, clean=False)
    assert (project / "log").read_text() == "did all"
    assert max(info.count("calls") for info in traced.infos()) >= 6000
    assert all(info.count("lost") == 0 for info in traced.infos())


def test_what_runs_beside_holds_the_program_for_alive(core, tmp_path):
    """The lock that says so is not lost with its descriptor."""
    traced = trace_program(
        tmp_path / "project", core, "auto",
        """
        import os, subprocess, sys, time
        def f(n): return n
        f(1)
        time.sleep(0.3)
        os.closerange(3, 1024)
        f(2)
        print(subprocess.run([sys.executable, "-m", "kolo_c", "list"],
                             capture_output=True, text=True).stdout)
        f(3)
        """,
        clean=False,
    )  # fmt: skip
    assert "running" in traced.stdout
    info = traced.infos()[0]
    assert (info.status, info.count("lost")) == ("complete", 0)
    calls = traced.calls()
    assert [f"f(n={n}) -> {n}" in calls for n in (1, 2, 3)] == [True] * 3
