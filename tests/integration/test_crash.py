"""A dead program keeps its trace: killed, aborted, gone without a word."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import pytest

from kolo_c.extension import extension_for_reading
from kolo_c.model.build import build
from kolo_c.reference.recover import recover_file
from kolo_c.store.reader import Store
from kolo_c.store.recovery import recover_dead
from kolo_c.wire import Kind
from tests.spec.tracing import environment, recover, write_program

# It says that a call has ended only after it has: what it announced must be there.
ANNOUNCES = """
    import sys
    def f(n): return n
    def work():
        n = 0
        write = sys.stdout.buffer.raw.write
        while True:
            for _ in range(50):
                f(n)
                n += 1
            write(b'%d\\n' % n)
            sum(range(10_000))  # so that a test need not read millions of calls
    work()
    """


def kill(process):
    process.kill()
    process.stdout.close()
    process.wait()


def start(project, core, source, *options):
    write_program(project, source)
    return subprocess.Popen(
        [sys.executable, *options, "-m", "kolo_c", "run", f"--core={core}",
         "program.py"],
        cwd=project, env=environment(), stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def arguments_of_f(store_path):
    """What f was called with, in the order of the records; and the trace's status."""
    with Store(store_path) as store:
        assert not store.catalogue.errors
        trace = store.trace()
        found = []
        for stream in trace.streams:
            sequences = [block.sequence for block in stream.blocks]
            assert sequences == list(range(len(sequences)))
            for record in stream.records():
                if record.kind == Kind.CALL and record.arguments:
                    found.append(record.arguments[0])
        assert trace.damage == []
        return found, trace.info.status


def assert_announced(found, announced):
    assert found == list(range(len(found))), "a record is missing, or there twice"
    assert len(found) >= announced


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_program_keeps_every_call_that_it_announced(core, tmp_path, seed):
    """Read before anything is recovered, and after."""
    process = start(tmp_path, core, ANNOUNCES)
    first = process.stdout.readline()
    time.sleep(random.Random(seed).uniform(0, 0.4))
    process.kill()
    output = first + process.stdout.read()
    process.stdout.close()
    process.wait()
    announced = int(output[: output.rindex(b"\n")].split()[-1])

    found, status = arguments_of_f(tmp_path / ".kolo_c")
    assert_announced(found, announced)
    assert status == "interrupted"

    class Here:
        store = tmp_path / ".kolo_c"

    recover(Here)
    assert list((tmp_path / ".kolo_c" / "segments").glob("*.map")) == []
    again, status = arguments_of_f(tmp_path / ".kolo_c")
    assert again == found
    assert status == "interrupted"


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("os._exit(5)", 5),
        ("os.abort()", -signal.SIGABRT),
        ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        pytest.param(
            "ctypes.string_at(0)",
            -signal.SIGSEGV,
            marks=pytest.mark.skipif(
                sys.implementation.name == "pypy", reason="PyPy's gives no SIGSEGV"
            ),
        ),
    ],
)
def test_a_program_that_ends_without_a_word_keeps_its_trace(trace, how, code):
    traced = trace(
        f"""
        import ctypes, os, signal
        def f(n): return n
        def last():
            f('last')
            {how}
        for n in range(1000): f(n)
        last()
        """,
        fails=True,
    )
    assert traced.code == code
    assert traced.infos()[0].status == "interrupted"
    tree = traced.tree()
    assert [c.end for c in tree.find("f")] == [
        *(f"-> {n}" for n in range(1000)), "-> 'last'",
    ]  # fmt: skip
    assert tree.find("last")[0].on_stack
    before = traced.whole()
    recover(traced)
    assert traced.whole() == before


NEVER_ENDS = """
    import atexit, sys, threading, time
    def f(n): return n
    def wait(how):
        f(how)
        print('ready', flush=True)
        time.sleep(60)
    """
HANGS = {
    # threading waits for it, exit handlers have not begun
    "a thread": "threading.Thread(target=wait, args=('thread',)).start()",
    "an exit handler": "atexit.register(wait, 'handler')",
    "a threading exit handler": "threading._register_atexit(wait, 'handler')",
}


@pytest.mark.parametrize("how", HANGS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_exit_that_hangs_shows_where(core, tmp_path, how, number):
    source = textwrap.dedent(NEVER_ENDS) + HANGS[how]
    process = start(tmp_path, core, source)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    process.stdout.close()
    assert process.wait() == -number
    shown = subprocess.run(
        [sys.executable, "-m", "kolo_c", "show"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    word = "SIGTERM" if core == "c" and number == signal.SIGTERM else "interrupted"
    assert word in shown.splitlines()[0]
    lines = [line.split() for line in shown.splitlines()]
    assert any("wait(how=" in line[1] and "ended" in line for line in lines if line[1:])
    assert not any("f(n=" in line[1] and "ended" in line for line in lines if line[1:])


def test_a_finalizer_that_hangs_when_all_is_saved_changes_nothing(core, tmp_path):
    """The last exit handler is ours: what comes after it is not recorded."""
    process = start(
        tmp_path,
        core,
        """
        import os, sys, time
        def f(n): return n
        class Last:
            def __del__(self, write=os.write, sleep=time.sleep):
                write(1, b'ready\\n')
                sleep(60)
        f(1)
        sys.last = Last()
        """,
    )
    assert process.stdout.readline() == b"ready\n"
    kill(process)
    found, status = arguments_of_f(tmp_path / ".kolo_c")
    assert (found, status) == ([1], "complete")


def test_a_daemon_thread_at_work_until_the_end_loses_nothing(trace):
    traced = trace(
        """
        import os, sys, threading, time
        def f(n): return n
        def work():
            n = 0
            while True:
                f(n)
                n += 1
                told[0] = n
                time.sleep(0.0005)
        told = [0]
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.05)
        print(told[0])
        """
    )
    info = traced.infos()[0]
    assert info.status == "complete"
    for tree in traced.trees()[1:]:
        numbers = [
            int(call.end.removeprefix("-> ")) for call in tree.find("f") if call.end
        ]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= 10
        assert tree.find("work")[0].on_stack


def test_a_child_that_is_killed_keeps_its_trace_and_leaves_the_parents_alone(trace):
    traced = trace(
        """
        import os, signal
        def f(name): return name
        child = os.fork()
        if child == 0:
            f('child')
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        f('parent')
        """
    )
    statuses = {
        traced.tree(index).find("f")[0].end: info.status
        for index, info in enumerate(traced.infos())
    }
    assert statuses == {"-> 'child'": "interrupted", "-> 'parent'": "complete"}


def test_threads_of_a_killed_program_all_keep_their_calls(core, tmp_path):
    process = start(
        tmp_path,
        core,
        """
        import sys, threading, time
        def f(n): return n
        def work(name):
            for n in range(200): f(n)
            ready.wait()
            time.sleep(60)
        ready = threading.Barrier(5)
        for i in range(4):
            threading.Thread(target=work, args=(i,), daemon=True).start()
        ready.wait()
        print('ready', flush=True)
        time.sleep(60)
        """,
    )
    assert process.stdout.readline() == b"ready\n"
    kill(process)
    with Store(tmp_path / ".kolo_c") as store:
        trace = store.trace()
        full = 0
        for stream in trace.streams:
            calls = [r for r in stream.records() if r.kind == Kind.CALL and r.arguments]
            numbers = [
                r.arguments[0] for r in calls
                if trace.definitions.code(r.code).name == "f"
            ]  # fmt: skip
            full += numbers == list(range(200))
        assert full == 4


def test_a_running_trace_is_read_from_another_process(core, tmp_path):
    process = start(tmp_path, core, ANNOUNCES)
    try:
        announced = int(process.stdout.readline())
        for _ in range(5):
            found, status = arguments_of_f(tmp_path / ".kolo_c")
            assert status == "running"
            assert_announced(found, announced)
            for _ in range(20):
                announced = int(process.stdout.readline())
    finally:
        kill(process)


def test_reading_does_not_disturb_a_running_trace(core, tmp_path):
    """Recovery leaves what has an owner alone, whoever asks for it."""
    process = start(
        tmp_path,
        core,
        """
        import sys
        def f(n): return n
        n = 0
        for line in sys.stdin:
            f(n)
            n += 1
        """,
    )
    kill(process)
    write_program(
        tmp_path,
        """
        import sys, time
        def f(n): return n
        for n in range(30):
            f(n)
            time.sleep(0.02)
        """,
    )
    running = subprocess.Popen(
        [sys.executable, "-m", "kolo_c", "run", f"--core={core}", "program.py"],
        cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while running.poll() is None:
        for command in ("list", "show"):
            subprocess.run(
                [sys.executable, "-m", "kolo_c", command],
                cwd=tmp_path,
                env=environment(),
                capture_output=True,
                check=False,
            )
    assert running.returncode == 0
    found, status = arguments_of_f(tmp_path / ".kolo_c")
    assert found == list(range(30))
    assert status == "complete"


def test_the_trace_of_a_killed_program_has_its_open_calls(core, tmp_path):
    process = start(tmp_path, core, ANNOUNCES)
    process.stdout.readline()
    kill(process)
    with Store(tmp_path / ".kolo_c") as store:
        builder = build(store.trace().stream(1))
        codes = store.trace().definitions
        names = [codes.code(node.code).name for node in builder.open_nodes()]
        assert names[:2] == ["<module>", "work"]
        assert builder.unmatched == 0


def test_twenty_programs_at_once_in_one_store(core, tmp_path):
    write_program(
        tmp_path,
        """
        import sys
        def f(n): return n
        for n in range(300): f(n)
        """,
    )
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "kolo_c",
                "run",
                "--quiet",
                f"--core={core}",
                "program.py",
            ],
            cwd=tmp_path,
            env=environment(),
        )
        for _ in range(20)
    ]
    assert [process.wait() for process in processes] == [0] * 20
    with Store(tmp_path / ".kolo_c") as store:
        infos = store.traces()
        assert len(infos) == 20
        assert {info.status for info in infos} == {"complete"}
        assert {info.count("calls") for info in infos} == {301}
        assert os.listdir(tmp_path / ".kolo_c" / "segments")


def test_a_parents_death_is_seen_while_its_children_live(core, tmp_path):
    """A child inherits the lock that says that the parent lives: it lets go of it."""
    process = start(
        tmp_path,
        core,
        """
        import os, subprocess, sys, time
        def f(name): return name
        def wait(): time.sleep(60)
        f('parent')
        quiet = subprocess.Popen(['sleep', '60'])
        child = os.fork()
        if child == 0:
            f('child')
            print(quiet.pid, os.getpid(), flush=True)
        wait()
        """,
    )
    others = [int(word) for word in process.stdout.readline().split()]
    try:
        process.kill()
        process.wait()
        assert recover_dead(tmp_path / ".kolo_c") == []
        with Store(tmp_path / ".kolo_c") as store:
            statuses = {info.status: info for info in store.traces()}
            assert sorted(statuses) == ["interrupted", "running"]
            parent = build(store.trace(statuses["interrupted"].id).stream(1))
            assert len(parent.open_nodes()) == 2
    finally:
        process.stdout.close()
        for other in others:
            os.kill(other, signal.SIGKILL)


@pytest.mark.parametrize("share", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_a_recovery_waits_for_who_looks_at_the_same_mapping(core, tmp_path, share):
    """Another command that asks whether the process lives has a lock on it as well."""
    process = start(tmp_path, core, ANNOUNCES)
    process.stdout.readline()
    kill(process)
    store = tmp_path / ".kolo_c"
    (path,) = store.glob("segments/*.map")
    extension = Slow(core)
    with open(path, "rb") as file:
        extension.before = lambda: fcntl.flock(file, share)
        extension.after = lambda: fcntl.flock(file, fcntl.LOCK_UN)
        assert recover_dead(store, extension) == []
    assert extension.tries == 2
    assert not path.exists()


class Slow:
    """Recovers, but is told to wait at the first try."""

    def __init__(self, core):
        self.recover_file = choose_recovery(core)
        self.tries = 0

    def recover(self, *arguments):
        self.tries += 1
        (self.before if self.tries == 1 else self.after)()
        return self.recover_file(*arguments)


def choose_recovery(core):
    extension = extension_for_reading() if core == "c" else None
    return recover_file if extension is None else extension.recover


def test_a_program_that_is_being_recovered_does_not_run(core, tmp_path):
    """Its mapping is locked meanwhile, as that of one that runs is."""
    process = start(tmp_path, core, ANNOUNCES)
    process.stdout.readline()
    kill(process)
    store = tmp_path / ".kolo_c"
    (path,) = store.glob("segments/*.map")
    (segment,) = store.glob("segments/*-0.db")
    segment.rename(tmp_path / "away")
    segment.mkdir()  # so that it fails, when it has begun
    assert len(recover_dead(store, SimpleNamespace(recover=choose_recovery(core)))) == 1
    segment.rmdir()
    (tmp_path / "away").rename(segment)
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert arguments_of_f(store)[1] == "interrupted"
    assert recover_dead(store) == []
    assert arguments_of_f(store)[1] == "interrupted"
