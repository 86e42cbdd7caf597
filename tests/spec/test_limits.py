"""Limits: what a trace leaves out, it says; what is lost is marked and counted."""

from __future__ import annotations

import os
import time

import pytest

from kolo_c.store.reader import Trace
from kolo_c.store.records import MarkRecord
from kolo_c.wire import Kind, Mark
from tests.spec.tracing import expected

LONG = os.environ.get("KOLO_C_TEST_LONG", "0") not in ("", "0")

# Holds the write lock of the program's segment, so that the writer cannot go on.
STALL = """
    import glob, subprocess, sys, time
    HOLD = '''
    import sqlite3, sys, time
    database = sqlite3.connect(sys.argv[1], isolation_level=None)
    database.execute('PRAGMA busy_timeout = 10000')
    database.execute('BEGIN IMMEDIATE')
    print('held', flush=True)
    sys.stdin.read()
    '''
    import textwrap
    def stall():
        for _ in range(500):
            found = glob.glob('.kolo_c/segments/*.db')
            if found:
                break
            time.sleep(0.01)
        holder = subprocess.Popen(
            [sys.executable, '-c', textwrap.dedent(HOLD), found[0]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert holder.stdout.readline() == b'held\\n'
        return holder
    def release(holder):
        holder.communicate()
    """
FLOOD = """
    def f(n, texts): return n
    def flood(count):
        texts = ['x' * 1000] * 7
        for n in range(count):
            f(n, texts)
    """


def marks(traced, mark):
    return [
        record
        for stream in traced.trace().streams
        for record in stream.records()
        if isinstance(record, MarkRecord) and record.mark == mark
    ]


@pytest.mark.parametrize("overflow", ["drop", "wait"])
def test_records_that_find_no_room_are_marked_and_counted(trace, overflow):
    """The writer stands still and the queue is full; waiting has its bounds too."""
    traced = trace(
        STALL
        + FLOOD
        + """
    def end(): return 'end'
    holder = stall()
    flood(6000)
    release(holder)
    time.sleep(1)
    end()
    """,
        config={
            "overflow": overflow, "wait_max": 0.2, "ignore_frames": ["qualname:stall"],
        },
        clean=False,
    )  # fmt: skip
    trace_ = traced.trace()
    lost = trace_.info.count("lost")
    assert lost > 1000
    found = sum(record.value for record in marks(traced, Mark.LOST))
    assert found == lost
    calls = sum(
        record.kind == Kind.CALL for s in trace_.streams for record in s.records()
    )
    assert calls == trace_.info.count("calls")
    assert "end() -> 'end'" in traced.whole(values=False)
    if overflow == "wait":
        assert 0.1e9 < trace_.info.count("waited_ns") < 2e9


def test_ends_missed_while_a_thread_waited_in_vain_are_no_callers(trace, core):
    """Another thread handed over its blocks for longer than it may wait.

    What ended then stayed on its stack, and was taken for the caller of what came
    next: its frame was read, which had been cleared. The program pretends to be that
    thread, by the guard in its own state (struct kc_thread).
    """
    if core == "python":
        pytest.skip("its state is another one, and holds its frames")
    traced = trace(
        """
        import ctypes, sys
        WORD = ctypes.sizeof(ctypes.c_void_p)
        names_of_state = ctypes.pythonapi.PyThreadState_GetDict
        names_of_state.restype = ctypes.c_void_p
        def set_guard(guard):
            names = ctypes.cast(names_of_state(), ctypes.py_object).value
            own = names.get('kolo_c.thread') or sys.getprofile()
            state = ctypes.c_void_p.from_address(id(own) + 2 * WORD).value
            number = ctypes.c_uint32.from_address(state + 3 * WORD + 8)
            assert number.value == 1, 'struct kc_thread is another one'
            ctypes.c_uint8.from_address(ctypes.addressof(number) + 4).value = guard
        def outer(): inner()
        def inner(): set_guard(3)  # KC_GUARD_FLUSH
        def later(): pass
        outer()
        set_guard(0)
        later()
        """,
        config={"wait_max": 0.02, "ignore_frames": ["qualname:set_guard"]},
        clean=False,
    )
    assert traced.whole() == expected(
        """
        <module>() -> None
          outer() lost
            inner() lost
          mark lost(value=2) marked
          later() -> None
        """
    )
    assert traced.trace().info.count("lost") == 2


def test_nothing_is_lost_when_the_writer_is_late_within_the_time_to_wait(trace):
    traced = trace(
        STALL
        + FLOOD
        + """
    import threading
    holder = stall()
    threading.Timer(0.5, release, (holder,)).start()
    flood(5000)
    """,
        config={"overflow": "wait", "wait_max": 20, "threads": False},
    )
    trace_ = traced.trace()
    assert trace_.info.count("lost") == 0
    assert (
        sum(
            record.kind == Kind.CALL and len(record.arguments) == 2
            for record in trace_.stream(1).records()
        )
        == 5000
    )


def test_past_its_limit_a_hot_function_becomes_counts(trace):
    traced = trace(
        """
        def hot(n): return n
        def once(n): return n
        for n in range(100_000): hot(n)
        once(1)
        """,
        config={"max_trace_bytes": 1 << 18, "compress": 0},
    )
    trace_ = traced.trace()
    limits = [record.value for record in marks(traced, Mark.LIMIT)]
    assert limits == sorted(set(limits)) and 2 in limits
    counted = sum(record.value[1] for record in marks(traced, Mark.COUNTED))
    recorded = sum(
        record.kind == Kind.CALL and trace_.definitions.code(record.code).name == "hot"
        for record in trace_.stream(1).records()
    )
    assert counted + recorded == 100_000
    assert counted > 50_000
    assert sum(block.size for block in trace_.stream(1).blocks) < 1.5 * (1 << 18)
    assert any(call.name == "once" for call in traced.tree().calls)


def test_watched_calls_that_are_counted_are_finished_all_the_same(trace):
    traced = trace(
        """
        import kolo_c
        seen = []
        @kolo_c.plugin
        class Watch(kolo_c.Plugin):
            watch = "__main__:hot"
            def start(self, frame): seen.append(1); return {}
            def finish(self, *ended): seen.pop()
        def hot(n):
            if n % 2: raise KeyError(n)
        def go():
            for n in range(25_000):
                try: hot(n)
                except KeyError: pass
        go()
        print(len(seen))
        """,
        config={"max_trace_bytes": 1 << 18, "compress": 0},
    )
    assert marks(traced, Mark.COUNTED)
    assert traced.stdout == "0\n"


def test_exceptions_are_kept_past_the_limit(trace):
    traced = trace(
        """
        def hot(n): return n
        def handled(): pass
        def rare(): raise ValueError('rare')
        for n in range(60_000): hot(n)
        try: rare()
        except ValueError: handled()
        """,
        config={"max_trace_bytes": 1 << 18, "compress": 0},
    )
    assert "rare() raises ValueError('rare')" in traced.whole()


def test_where_the_disk_is_nearly_full_nothing_is_written_and_it_is_said(trace):
    """Once, and what to do: it came twice, with a path in it twice, and in bytes. The
    next command saves what waits."""
    start = time.monotonic()
    traced = trace(
        "def f(): pass\nf()",
        config={"free_disk_min_bytes": 1 << 60},
        under=("-m", "kolo_c", "run"),
        clean=False,
    )
    assert traced.stderr.count("free_disk_min_bytes") == 1
    assert f"lower free_disk_min_bytes ({1 << 40} MiB)" in traced.stderr
    assert traced.stderr.count(str(traced.project)) == 2, "what was recorded, and why"
    assert "f() -> None" in traced.calls()
    assert time.monotonic() - start < 10


def test_very_many_calls_are_read_back_to_the_last(trace, core):
    """The Python core, which is slower, has fewer."""
    count = 300_000 if core == "c" or LONG else 60_000
    traced = trace(
        f"""
        def f(n): return n
        def go():
            for n in range({count}): f(n)
        go()
        """
    )
    trace_ = traced.infos()[0]
    assert trace_.count("calls") == count + 2
    assert trace_.count("lost") == 0
    values = []
    for record in Trace(trace_).stream(1).records():
        if record.kind == Kind.CALL and record.arguments:
            values.append(record.arguments[0])
    assert values == list(range(count))


def test_segments_follow_each_other_by_size(trace):
    traced = trace(
        FLOOD + "\n    flood(3000)\n",
        config={"segment_max_bytes": 1 << 20, "compress": 0},
    )
    assert len(list((traced.store / "segments").glob("*.db"))) > 3
    trace_ = traced.infos()[0]
    assert trace_.count("calls") == 3002
    found = [
        record.arguments[0]
        for record in Trace(trace_).stream(1).records()
        if record.kind == Kind.CALL and len(record.arguments) == 2
    ]
    assert found == list(range(3000))
