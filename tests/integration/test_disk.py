"""The disk is full, read-only, slow or gone: the program goes on, and is not held.

What was lost is counted and said, memory stays within its bound, and recording goes on
when the disk does. Where nothing may be mounted a limit on the size of files stands
for the full disk, and tests/c/test_disk.c fails and stalls every step of the writer.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from contextlib import ExitStack, contextmanager

import pytest

from kolo_c.store.records import MarkRecord
from kolo_c.wire import Kind
from tests.disks import LoopDisk, small_disk
from tests.spec.test_limits import STALL
from tests.spec.tracing import (
    Traced,
    environment,
    recover,
    trace_program,
    write_program,
)

# The calls of `f` go on whatever happens; the longest that one of them took is told.
PROGRAM = """
    import json, os, resource, shutil, sys, time
    def f(n, texts): return n
    worst = 0
    def flood(seconds, least=0, texts=['x' * 1000] * 7):
        global worst
        until = time.monotonic() + seconds
        n = 0
        while (now := time.monotonic()) < until or n < least:
            f(n, texts or [os.urandom(500).hex() for _ in range(7)])
            worst = max(worst, time.monotonic() - now)
            n += 1
            if n % 8 == 0: time.sleep(0.001)  # 40 MB a second
    def first(): pass
    def last(): pass
    def megabytes(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    first()
    flood(0.2)
    before = megabytes()
    """
REPORT = """
    print(json.dumps({'worst': worst, 'grown': megabytes() - before}))
    """
SETTINGS = {
    "free_disk_min_bytes": 0,
    "wait_max": 0.5,
    "ignore_frames": ["qualname:flood", "qualname:megabytes", "module:subprocess"],
}


@pytest.fixture
def project(tmp_path):
    return tmp_path / "project"


def program(*parts):
    """Around them what each has."""
    return "".join(map(textwrap.dedent, (PROGRAM, *parts, REPORT)))


def run(project, core, *parts, **more):
    config = {**SETTINGS, **more.pop("config", {})}
    return trace_program(
        project, core, "auto", program(*parts), config=config, clean=False,
        under=("-m", "kolo_c", "run"), **more,
    )  # fmt: skip


def check_losses(traced):
    """What was lost is counted, marked and said; the counters agree with the blocks."""
    info = traced.infos()[0]
    lost = info.count("lost")
    assert lost > 500
    trace = traced.trace()
    records = [r for stream in trace.streams for r in stream.records()]
    marks = [r.value for r in records if isinstance(r, MarkRecord)]
    assert sum(marks) == lost
    assert sum(r.kind == Kind.CALL for r in records) == info.count("calls")
    assert f"{lost:,} records lost" in traced.stderr


def check_unharmed(traced, *, held=0.5):
    """The program was not held for longer than it may be, and has not grown."""
    said = json.loads(traced.stdout)
    assert said["worst"] < held + 1  # a machine may have more to do
    assert said["grown"] < 24  # 16 of blocks, and what SQLite keeps


def names(traced):
    return [call.name for call in traced.tree().roots[0].children]


FULL = {
    "tmpfs": """
    with open('.kolo_c/fill', 'wb', buffering=0) as file:
        try:
            while True: file.write(bytes(1 << 16))
        except OSError: pass
    flood(0.8, 4000)
    os.unlink('.kolo_c/fill')
    """,
    "limit": """
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.RLIM_INFINITY))
    flood(0.8, 4000)
    resource.setrlimit(resource.RLIMIT_FSIZE,
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    """,
}


@pytest.mark.parametrize("how", FULL)
def test_a_full_disk_costs_records_until_there_is_room_again(core, project, how):
    with ExitStack() as stack:
        if how == "tmpfs":
            disk = contextmanager(small_disk)(project / ".kolo_c", "40m")
            stack.enter_context(disk)
        traced = run(
            project, core, FULL[how],
            """
            time.sleep(1.2)
            last()
            """,
        )  # fmt: skip
        check_unharmed(traced)
        check_losses(traced)
        assert {"first", "last"} <= set(names(traced))
        assert traced.infos()[0].status == "complete"
        assert "the writer: " in traced.stderr
        assert list(traced.store.glob("segments/*.map")) == []


def test_a_disk_that_is_too_small_for_a_mapping_is_recorded_on_all_the_same(
    core, project
):
    with contextmanager(small_disk)(project / ".kolo_c", "4m"):
        traced = run(project, core)
        check_unharmed(traced)
        assert names(traced)[0] == "first"
        assert "a killed process would lose its last records: No space" in traced.stderr


def test_a_full_disk_at_the_end_leaves_the_rest_to_a_recovery(core, project):
    with contextmanager(small_disk)(project / ".kolo_c", "40m"):
        began = time.monotonic()
        traced = run(project, core, FULL["tmpfs"].partition("    os.unlink")[0])
        assert time.monotonic() - began < 20  # and not the 30 s of a close
        check_unharmed(traced)
        assert "not everything could be saved" in traced.stderr
        (project / ".kolo_c" / "fill").unlink()
        recover(traced)
        lost = traced.infos()[0].count("lost")
        assert lost > 500
        assert f"{lost:,} records lost" in traced.stderr
        assert list(traced.store.glob("segments/*.map")) == []


@pytest.fixture
def loop_disk(project, tmp_path):
    with ExitStack() as stack:
        yield LoopDisk(tmp_path, project / ".kolo_c", stack)


HERE = "print('here', flush=True); sys.stdin.readline()\n"


@contextmanager
def start(project, core, *parts, **config):
    """A program that says when it is here, and goes on after a line."""
    write_program(project, program(*parts), {**SETTINGS, **config})
    process = subprocess.Popen(
        [sys.executable, "-m", "kolo_c", "run", f"--core={core}",
         "program.py"],
        cwd=project, env=environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        with process:
            yield process
    finally:
        process.kill()


def go_on(process):
    process.stdin.write("\n")
    process.stdin.flush()


def traced_of(project, core, process, timeout=20):
    out, err = process.communicate(timeout=timeout)
    return Traced(project, core, "auto", process.returncode, out, err, False)


@pytest.mark.parametrize("core", ["c"], indirect=True)
def test_a_disk_that_stands_still_holds_a_program_for_as_long_as_it_may(
    core, project, loop_disk
):
    """Also when it forks meanwhile. (The Python core saves in the program's thread.)"""
    with start(
        project, core, HERE,
        """
        flood(1, 6000, None)  # so much that SQLite has to sync
        if os.fork() == 0: os._exit(0)
        os.wait()
        """,
        HERE,
        """
        for _ in range(20):
            time.sleep(0.1)
            last()
        """,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "here\n"
        loop_disk.stall()
        go_on(process)
        began = time.monotonic()
        assert process.stdout.readline() == "here\n"
        assert time.monotonic() - began < 15
        loop_disk.go_on()
        traced = traced_of(project, core, process)
        assert traced.code == 0
        check_unharmed(traced)
        check_losses(traced)
        assert 0.3e9 < traced.infos()[0].count("waited_ns") < 0.9e9
        assert {"first", "last"} <= set(names(traced))


@pytest.mark.parametrize("core", ["c"], indirect=True)
def test_a_program_ends_while_its_disk_stands_still(core, project, loop_disk):
    with start(project, core, HERE, "last()\n") as process:
        assert process.stdout.readline() == "here\n"
        loop_disk.stall()
        began = time.monotonic()
        go_on(process)
        out = [process.stderr.readline()]
        while "the disk does not answer" not in out[-1]:
            out.append(process.stderr.readline())
            assert out[-1], out
        assert time.monotonic() - began < 15
        # The kernel does not let it go before the disk has answered its other thread.
        loop_disk.go_on()
        traced = traced_of(project, core, process)
        recover(traced)
        assert {"first", "last"} <= set(names(traced))
        assert traced.infos()[0].status == "complete"
        assert traced.infos()[0].count("lost") == 0


def test_a_disk_that_fails_for_good_is_no_harm_to_the_program(core, project, loop_disk):
    """The kernel makes it read-only: also where the mapping is touched anew."""
    with start(project, core, HERE, "flood(0.8, 4000)\n") as process:
        assert process.stdout.readline() == "here\n"
        loop_disk.fail()
        go_on(process)
        traced = traced_of(project, core, process)
        assert traced.code == 0
        check_unharmed(traced)
        assert "records lost" in traced.stderr
        assert "not everything could be saved" in traced.stderr
        loop_disk.repair()
        recover(traced)
        assert names(traced)[0] == "first"


@pytest.mark.parametrize("what", [".kolo_c", ".kolo_c/segments"])
def test_a_store_that_is_removed_is_there_again(core, project, what):
    """What the process had written to its file is written anew."""
    traced = run(
        project, core,
        f"""
        shutil.rmtree('{what}')
        time.sleep(1.1)
        flood(0.2)
        last()
        """,
        config={"ignore_frames": [*SETTINGS["ignore_frames"], "module:shutil"]},
    )  # fmt: skip
    check_unharmed(traced)
    called = names(traced)
    assert (called[0], called[-1]) == ("first", "last")
    assert called.count("f") == traced.infos()[0].count("calls") - 3
    assert traced.infos()[0].count("lost") == 0
    assert "the store was removed while the program ran" in traced.stderr
    assert (project / ".kolo_c" / ".gitignore").exists()
    (path,) = (project / ".kolo_c" / "segments").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_segment_that_is_removed_alone_leaves_its_wal_to_no_other(core, project):
    """The pages in it would have taken the place of the new file's."""
    traced = run(
        project, core,
        """
        flood(0.5, 2000, None)
        for name in os.listdir('.kolo_c/segments'):
            if name.endswith('.db'): os.unlink(f'.kolo_c/segments/{name}')
        time.sleep(1.1)
        flood(0.2)
        last()
        """,
    )  # fmt: skip
    check_unharmed(traced)
    called = names(traced)
    assert (called[0], called[-1]) == ("first", "last")
    assert len(called) == traced.infos()[0].count("calls") - 1  # the program itself
    assert traced.infos()[0].count("lost") == 0
    files = [path for path in project.rglob(".kolo_c/**/*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_program_that_may_not_make_files_any_more_goes_on_in_the_old_one(
    core, project
):
    """A server gives up its rights when it has begun."""
    traced = run(
        project, core,
        """
        os.chmod('.kolo_c/segments', 0o500)
        if os.getuid() == 0: os.setuid(65534)
        flood(0.6, 0, [os.urandom(200).hex()] * 7)
        last()
        """,
        config={"segment_max_bytes": 1 << 20},
    )  # fmt: skip
    os.chmod(project / ".kolo_c" / "segments", 0o700)
    check_unharmed(traced)
    recover(traced)
    assert {"first", "last"} <= set(names(traced))
    assert traced.infos()[0].count("lost") == 0


@pytest.mark.parametrize("core", ["c"], indirect=True)
def test_ctrl_c_does_not_wait_for_the_disk(core, project):
    """Which may hold the program for 30 seconds here."""
    with start(
        project, core, STALL,
        """
        holder = stall()
        print('here', flush=True)
        try:
            flood(30)
        except KeyboardInterrupt:
            print('interrupted', flush=True)
        release(holder)
        """,
        wait_max=30,
        ignore_frames=[*SETTINGS["ignore_frames"], "qualname:stall"],
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "here\n"
        time.sleep(1)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert time.monotonic() - began < 10
        traced = traced_of(project, core, process)
        assert traced.infos()[0].count("waited_ns") > 0.5e9
