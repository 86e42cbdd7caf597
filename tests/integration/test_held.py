"""Traces of which it is decided at the end whether they are stored."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap

import msgpack
import pytest

from kolo_c.core import choose_core
from kolo_c.store.reader import Store, Trace
from kolo_c.wire import Definition
from tests.spec.tracing import environment, recover, trace_program, write_program

HELD = """
    import contextvars, kolo_c, os, sys, threading
    from kolo_c.scope import SCOPE
    from kolo_c.scope import active_session
    def f(n): return n
    kolo_c.trace('program').start()
    SCOPE.set(kolo_c.scope.PAUSED)  # nothing but what is run in a trace of its own
    session = active_session()
    def begin(name, **options): return session.begin_boundary(name, 'test', **options)[0]
    def run(number, function, *arguments):
        def inside():
            SCOPE.set(number)
            return function(*arguments)
        return contextvars.copy_context().run(inside)
"""


@pytest.fixture
def held(core, tmp_path):
    """Run a program that begins with HELD."""

    def run(source, **options):
        return trace_program(
            tmp_path / "project", core, "auto",
            textwrap.dedent(HELD) + textwrap.dedent(source), under=(), **options,
        )  # fmt: skip

    return run


def ask(traced, sql):
    """The answer of every segment."""
    found = []
    for path in sorted((traced.store / "segments").glob("*.db")):
        database = sqlite3.connect(path)
        found += database.execute(sql).fetchall()
        database.close()
    return found


def size(traced):
    return sum(path.stat().st_size for path in (traced.store / "segments").iterdir())


def test_a_thousand_held_traces_that_are_not_stored_leave_nothing(held):
    """No row, no block, not even their names; and the writer had nothing to write."""
    traced = held(
        """
        def test(n):
            for i in range(5): f('content ' * 20)
        for n in range(1000):
            number = begin(f'secret name {n}', held=True)
            run(number, test, n)
            session.end_boundary(number, 'exit', stored=False)
        print(session._native.stats()['raw_bytes'])
        """
    )
    assert traced.infos() == []
    assert traced.stdout == "0\n"
    assert ask(traced, "SELECT count(*) FROM trace") == [(0,)]
    assert ask(traced, "SELECT count(*) FROM block") == [(0,)]
    assert size(traced) < 128 * 1024
    for path in traced.files():
        assert b"secret name 7" not in path.read_bytes()


def test_what_was_written_of_a_trace_that_is_not_stored_is_deleted(held):
    """Each is larger than a block, eight are open at once."""
    traced = held(
        """
        def test(n):
            for i in range(400): f(os.urandom(400))
        for n in range(6):
            numbers = [begin(f'{n}', held=True) for i in range(8)]
            for number in numbers: run(number, test, n)
            session.flush()
            for number in numbers: session.end_boundary(number, 'exit', stored=False)
        """
    )
    assert traced.infos() == []
    assert ask(traced, "SELECT count(*) FROM trace") == [(0,)]
    assert ask(traced, "SELECT count(*) FROM block") == [(0,)]
    assert ask(traced, "SELECT count(*) FROM block_data") == [(0,)]
    once = 8 * 400 * 400
    assert size(traced) < 3 * once  # and six times as much was recorded


def test_the_disk_stays_bounded_where_segments_rotate(held):
    """What earlier segments have of a trace is deleted there, and given back."""
    traced = held(
        """
        def test(n):
            for i in range(300): f(os.urandom(900))
        kept = begin('kept', held=True)
        run(kept, f, 1)
        for n in range(7):
            numbers = [begin(f'{n}', held=True) for i in range(10)]
            for number in numbers: run(number, test, n)
            run(kept, f, 2)
            session.flush()
            for number in numbers: session.end_boundary(number, 'exit', stored=False)
            session.flush()
        session.end_boundary(kept, 'exit', stored=True)
        """,
        config={"segment_max_bytes": 2_000_000},
    )
    assert [info.row.name for info in traced.infos()] == ["kept"]
    assert traced.calls(0).count("f(n=2)") == 7
    segments = ask(traced, "SELECT DISTINCT trace FROM block")
    assert ask(traced, "SELECT segment FROM process")[-1] > (2,)
    assert set(segments) == {(traced.infos()[0].row.number,)}
    assert size(traced) < 6_000_000, "19 MB were recorded"


def test_a_held_trace_that_is_stored_equals_one_that_was_not_held(held):
    """Rows, headers and bytes: two traces of the same calls, large and of two threads."""
    traced = held(
        """
        def test():
            f('first')
            for i in range(3000): f('x' * 50)
            thread = threading.Thread(
                target=contextvars.copy_context().run, args=(f, 'thread'), name='other')
            thread.start(); thread.join()
        for is_held in (True, False):
            number = begin('same', held=is_held)
            run(number, test)
            session.traces.open[number].name = 'the end'
            session.end_boundary(number, 'exit')
        """
    )
    first, second = traced.infos()
    assert [i.row.name for i in (first, second)] == ["the end", "the end"]
    assert [i.status for i in (first, second)] == ["complete", "complete"]
    assert first.counters["records"] == second.counters["records"] > 6000
    assert traced.calls(0) == traced.calls(1)
    assert traced.threads(0) == traced.threads(1) != {}
    columns = "nodes, records, start_depth, least_depth"
    blocks = [
        ask(traced, f"SELECT {columns} FROM block WHERE trace = {i.row.number} "
            "ORDER BY thread, sequence")
        for i in (first, second)
    ]  # fmt: skip
    assert sum(row[1] for row in blocks[0]) == sum(row[1] for row in blocks[1])


def test_definitions_of_a_trace_that_is_not_stored_serve_others(held):
    traced = held(
        """
        def g(n): return {'a': n}
        class C: pass
        def test(): g(C())
        for stored in (False, True):
            number = begin('one', held=True)
            run(number, test)
            session.end_boundary(number, 'exit', stored=stored)
        """
    )
    (info,) = traced.infos()
    assert "g(n=" in traced.calls(0) and "C" in traced.calls(0)
    assert info.row.number == 3


def test_a_held_trace_that_kept_nothing_is_no_trace(held):
    traced = held(
        """
        for stored in (False, True):
            session.end_boundary(begin('empty', held=True), 'exit', stored=stored)
        """
    )
    assert traced.infos() == []


def test_only_a_held_trace_may_go_unstored(held):
    traced = held(
        """
        number = begin('one')
        run(number, f, 1)
        try:
            session.end_boundary(number, 'exit', stored=False)
        except ValueError as error:
            print(error)
        """
    )
    assert traced.stdout == "only a held trace may go unstored\n"


KILLED = """
    def test(n):
        for i in range(2000): f(n)
    for n in range(20):
        number = begin(f'passing {n}', held=True)
        run(number, test, n)
        session.end_boundary(number, 'exit', stored=False)
    small = begin('small', held=True)
    large = begin('large', held=True)
    run(small, f, 1)
    run(large, test, 2)
    print('ready', flush=True)
    import time; time.sleep(60)
"""


def test_what_was_held_when_the_program_was_killed_is_interrupted(core, tmp_path):
    """Read before a recovery and after, the same; and nothing of what had been dropped."""
    write_program(tmp_path, textwrap.dedent(HELD) + textwrap.dedent(KILLED))
    process = subprocess.Popen(
        [sys.executable, "program.py"], cwd=tmp_path,
        env=environment(KOLO_C_CORE=core), stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == b"ready\n"
    with Store(tmp_path / ".kolo_c") as store:
        names = {(info.row.name, info.status) for info in store.traces()}
    assert names == {("small", "running"), ("large", "running")}
    process.kill()
    process.wait()
    process.stdout.close()

    class Here:
        store = tmp_path / ".kolo_c"

    def read():
        with Store(Here.store) as store:
            assert not store.catalogue.errors
            return {
                info.row.name: (
                    info.status,
                    len(list(Trace(info).streams[0].records())),
                )
                for info in store.traces()
            }

    before = read()
    assert before == {"small": ("interrupted", 2), "large": ("interrupted", 4002)}
    recover(Here)
    assert list((Here.store / "segments").glob("*.map")) == []
    assert read() == before
    assert ask(Here, "SELECT DISTINCT trace FROM block ORDER BY 1") == [(22,), (23,)]


def test_what_nobody_decided_before_the_end_is_stored(held):
    traced = held("number = begin('open', held=True); run(number, f, 1)")
    (info,) = traced.infos()
    assert (info.row.name, info.status) == ("open", "interrupted")
    assert traced.calls(0) == "f(n=1) -> 1"


def test_a_fork_within_a_held_trace_leaves_its_fate_to_the_parent(held):
    traced = held(
        """
        def test():
            for i in range(2000): f(i)
            if os.fork() == 0:
                SCOPE.set(0)
                f('child')
                os._exit(0)
            os.wait()
            f('parent')
        for stored in (False, True):
            number = begin(f'{stored}', held=True)
            run(number, test)
            session.end_boundary(number, 'exit', stored=stored)
        """,
        clean=False,
    )
    infos = traced.infos()
    assert [i.row.name for i in infos if i.row.kind == "test"] == ["True"]
    assert len([i for i in infos if "forked" in i.row.name]) == 2
    index = [i.row.name for i in infos].index("True")
    assert "f(n='parent')" in traced.calls(index)


def test_a_thread_that_goes_on_after_its_trace_was_dropped_leaves_nothing(held):
    traced = held(
        """
        stop = threading.Event()
        began = threading.Event()
        def work():
            while not stop.is_set():
                f('x' * 100)
                began.set()
        for n in range(20):
            stop.clear(); began.clear()
            number = begin(f'{n}', held=True)
            thread = threading.Thread(target=run, args=(number, work))
            thread.start()
            began.wait()
            session.end_boundary(number, 'exit', stored=False)
            stop.set()
            thread.join()
        """,
        clean=False,
    )
    assert [i for i in traced.infos() if i.row.kind == "test"] == []
    assert ask(traced, "SELECT count(*) FROM block WHERE trace > 1") == [(0,)]


def test_the_limit_of_a_trace_holds_for_a_held_one(held):
    traced = held(
        """
        def test():
            for i in range(3000): f(os.urandom(200))
        number = begin('large', held=True)
        run(number, test)
        session.end_boundary(number, 'exit')
        """,
        config={"max_trace_bytes": 200_000},
    )
    (info,) = traced.infos()
    assert info.counters["values_off"] is True


def test_fifty_large_traces_held_at_once_take_no_memory_but_the_pool(held, core):
    if core == "python":
        pytest.skip("the pool is the same; 80 MB take its tracer half a minute")
    traced = held(
        """
        import resource
        def test():
            for i in range(4000): f(os.urandom(400))
        def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        before = peak()
        numbers = [begin(f'{n}', held=True) for n in range(50)]
        for number in numbers: run(number, test)
        print(peak() - before)
        for number in numbers:
            session.end_boundary(number, 'exit', stored=number == numbers[7])
        """
    )
    assert int(traced.stdout) < 40_000, "KiB, where 80 MB were recorded"
    (info,) = traced.infos()
    assert info.row.name == "7" and info.counters["calls"] == 4001
    assert len(ask(traced, "SELECT DISTINCT trace FROM block")) == 1


def test_both_cores_write_the_same(tmp_path):
    """With the ticking clock: rows, blocks and what the log says of traces."""
    source = """
        def test(k):
            for i in range(k): f(i)
        for k in (1, 3000):
            for stored in (False, True):
                number = begin(f't{k} {stored}', held=True)
                run(number, test, k)
                session.flush()
                session.end_boundary(number, 'exit', stored=stored)
        numbers = [begin(f'open {n}', held=True) for n in range(5)]
        for number in numbers: run(number, test, 5)
        for number in numbers: session.close_boundary(number)
        for number in numbers:
            session.end_boundary(number, 'exit', stored=number % 2 == 0)
        number = begin('everything', held=True)
        session.default_boundary(number)
        thread = threading.Thread(target=f, args=(1,)); thread.start(); thread.join()
        session.end_boundary(number, 'exit')
        run(begin('undecided', held=True), f, 1)
        """
    found = []
    for core in ("c", "python"):
        if not choose_core(core).name:
            pytest.skip(f"no {core} core")
        traced = trace_program(
            tmp_path / core, core, "setprofile",
            textwrap.dedent(HELD) + textwrap.dedent(source), under=(),
            config={"compress": 0}, env={"KOLO_C_TICKING": "1"},
        )  # fmt: skip
        kinds = {Definition.TRACE, Definition.TRACE_END, Definition.TRACE_DROP}
        log = b"".join(row[0] for row in ask(traced, "SELECT data FROM definition"))
        unpacker = msgpack.Unpacker(raw=True, strict_map_key=False)
        unpacker.feed(log)
        found.append((
            ask(traced, "SELECT number, id, kind, name, started_ns, ended_ns, status, "
                "cause, attributes FROM trace ORDER BY number"),
            ask(traced, "SELECT trace, thread, sequence, base_ns, last_ns, first_node, "
                "nodes, records, start_depth, definition, closes, opens, data "
                "FROM block JOIN block_data USING (id) ORDER BY 1, 2, 3"),
            [one[:3] for one in unpacker if one[0] in kinds],
        ))  # fmt: skip
    assert [row[3] for row in found[0][0]] == [
        "t1 True", "t3000 True", "open 0", "open 2", "open 4", "everything",
        "undecided",
    ]  # fmt: skip
    for ours, theirs in zip(*found, strict=True):
        assert ours == theirs
