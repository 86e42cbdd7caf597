"""The plain half of the Python core: blocks from a stream to SQLite."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
from pathlib import Path

import msgpack
import pytest

from kolo_c.reference import clock, store_restore, writer
from kolo_c.reference.block import BLOCK_FREE, BLOCK_RECORDS
from kolo_c.reference.mapping import Mapping
from kolo_c.reference.status import Status
from kolo_c.reference.store import Store
from kolo_c.reference.store_restore import restore
from kolo_c.store.liveness import is_owned
from kolo_c.store.mapping import read_mapping
from kolo_c.wire import Definition
from tests.unit.reference_rig import PROCESS, Rig, ask, check_records, dump

SECOND = 1_000_000_000


@pytest.fixture
def plain():
    """The C library."""
    build_plain = pytest.importorskip("tests.unit.build_plain")
    try:
        return build_plain.load()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.fixture
def folders():
    """Two, with names that are short enough for the rig of C."""
    above = Path(tempfile.mkdtemp(prefix="kolo-c-test-"))
    for name in ("ours", "theirs"):
        (above / name).mkdir()
    yield above / "ours", above / "theirs"
    shutil.rmtree(above)


def soon(seconds: float = 20) -> int:
    return time.monotonic_ns() + int(seconds * SECOND)


# ---- saving ----


def test_every_record_gets_into_the_segment(tmp_path):
    rig = Rig(tmp_path).start()
    rig.write(20_000)
    assert rig.finish() is Status.OK
    assert check_records(tmp_path) == 20_000
    assert ask(tmp_path, "SELECT status, cause, name FROM trace") == [
        ("complete", "exit", "the script")
    ]
    assert ask(tmp_path, "SELECT cause, pid FROM process") == [("exit", os.getpid())]
    assert ask(tmp_path, "SELECT * FROM thread") == [(1, "MainThread", 140000, 4711)]
    assert os.listdir(tmp_path) == [f"{PROCESS}-0.db"]


def test_a_segment_is_that_of_c(folders, plain):
    """The same records, with clocks that tick: the same rows, compression apart."""
    ours, theirs = folders
    clock.set_ticking(True)
    plain.kc_clock_set_ticking(1)
    try:
        rig = Rig(ours).start()
        rig.write(60_345)
        assert rig.finish() is Status.OK
        in_c = plain.plain_rig_start(str(theirs).encode(), 0, 30)
        plain.plain_rig_write(in_c, 60_345)
        assert plain.plain_rig_finish(in_c) == 0
    finally:
        clock.set_ticking(False)
        plain.kc_clock_set_ticking(0)
    first, second = dump(ours), dump(theirs)
    assert without_time_of_day(first) == without_time_of_day(second)
    assert len(first["block"]) > 5 and len(first["definition"]) > 1


def without_time_of_day(segment: dict[str, list[tuple]]) -> dict[str, list[tuple]]:
    log = b"".join(data for _, data in segment["definition"])
    unpacker = msgpack.Unpacker()
    unpacker.feed(log)
    definitions = list(unpacker)
    for fields in definitions:
        if fields[0] == Definition.TRACE:
            del fields[8]
    return {**segment, "definition": definitions}


def test_blocks_are_saved_while_the_program_runs(tmp_path):
    rig = Rig(tmp_path).start()
    rig.write(20_000)
    (count,) = ask(tmp_path, "SELECT count(*) FROM block")[0]
    assert 0 < rig.stream.next_sequence - count <= writer.BATCH_LEAST
    assert rig.queue.count < writer.BATCH_LEAST
    assert rig.finish() is Status.OK


def test_a_flush_saves_what_was_handed_over_and_the_definitions(tmp_path):
    rig = Rig(tmp_path).start()
    rig.write(10)
    rig.hand_over()
    assert rig.queue.flush(soon()) is Status.OK
    assert check_records(tmp_path) == 10
    rig.define(Definition.STRING, rig.definition + 1, lambda c: c.text("late"), 1)
    assert rig.queue.flush(soon()) is Status.OK
    log = ask(tmp_path, "SELECT data FROM definition")
    assert any(b"late" in data for (data,) in log)
    assert rig.finish() is Status.OK


def test_a_segment_that_has_grown_is_followed_by_another(tmp_path):
    rig = Rig(tmp_path, segment_max_bytes=1 << 20, compress=0).start()
    rig.payload = 200
    rig.write(20_000)
    assert rig.writer.segment >= 3
    assert rig.mapping.header.segment == rig.writer.segment
    last = rig.writer.segment
    assert rig.finish() is Status.OK
    assert check_records(tmp_path, last) == 20_000
    for segment in range(last + 1):
        rows = ask(tmp_path, "SELECT segment, cause FROM process", segment)
        assert rows == [(segment, "exit" if segment == last else None)]
    assert ask(tmp_path, "SELECT status FROM trace", last) == [("complete",)]
    assert ask(tmp_path, "SELECT * FROM thread", last) == [
        (1, "MainThread", 140000, 4711)
    ]


def test_what_a_segment_takes_over_is_what_c_takes_over(folders, plain):
    ours, theirs = folders
    rig = Rig(ours, segment_max_bytes=1 << 20, compress=0).start()
    rig.payload = 200
    rig.write(60_000)
    last = rig.writer.segment
    assert rig.finish() is Status.OK
    in_c = plain.plain_rig_start(str(theirs).encode(), 1 << 16, 200)
    plain.plain_rig_write(in_c, 60_000)
    assert plain.plain_rig_finish(in_c) == 0
    last_of_theirs = max(
        int(path.stem.split("-")[1]) for path in theirs.glob(f"{PROCESS}-*.db")
    )
    assert last > 0 and last_of_theirs > 0
    numbers = "SELECT min(first), max(last) FROM definition"
    assert ask(ours, numbers, last) == ask(theirs, numbers, last_of_theirs)
    for folder, segment in ((ours, last), (theirs, last_of_theirs)):
        for (data,) in ask(
            folder, "SELECT data FROM definition WHERE start = 0", segment
        ):
            # A thread goes along in the log; a trace is a row, and only its end is new.
            assert b"trc_" not in data
        assert check_records(folder, segment) == 60_000


# ---- what can go wrong ----


def test_a_locked_database_is_waited_for(tmp_path):
    rig = Rig(tmp_path).start()
    other = sqlite3.connect(tmp_path / f"{PROCESS}-0.db", check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    rig.write(5_000)
    assert ask(tmp_path, "SELECT count(*) FROM block") == [(0,)]
    assert rig.writer.failed_count == 0  # a slow disk is no error
    let_go = threading.Timer(0.3, other.rollback)
    let_go.start()
    rig.hand_over()
    assert rig.queue.flush(soon()) is Status.OK
    let_go.join()
    other.close()
    assert rig.finish() is Status.OK
    assert check_records(tmp_path) == 5_000


def test_a_queue_that_is_full_refuses_and_takes_again(tmp_path):
    rig = Rig(tmp_path).start()
    other = sqlite3.connect(tmp_path / f"{PROCESS}-0.db")
    other.execute("BEGIN IMMEDIATE")
    rig.queue.capacity = 3
    rig.define_needed(100)

    def push() -> Status:
        rig.stream.give_block(rig.take(), BLOCK_RECORDS, clock.ns())
        rig.write()
        block = rig.stream.take_block([], rig.definition)
        assert block is not None
        status = rig.queue.push(block)
        if status is Status.FULL:
            rig.record -= 1
            rig.stream.next_sequence -= 1
            rig.mapping.give(block)
        return status

    assert [push() for _ in range(4)] == [Status.OK] * 3 + [Status.FULL]
    # The batch that cannot be saved makes room once.
    assert rig.queue.wait_room(soon(0.1)) is Status.OK
    assert [push() for _ in range(4)] == [Status.OK] * 3 + [Status.FULL]
    began = time.monotonic()
    assert rig.queue.wait_room(soon(0.2)) is Status.TIMEOUT
    assert 0.2 <= time.monotonic() - began < 5
    other.rollback()
    other.close()
    assert rig.queue.wait_room(soon()) is Status.OK
    assert push() is Status.OK
    assert rig.finish() is Status.OK
    assert check_records(tmp_path) == rig.record == 7


def test_too_little_free_disk_is_a_write_error_that_passes(tmp_path, monkeypatch):
    rig = Rig(tmp_path, free_disk_min_bytes=1).start()
    rig.write(1000)
    rig.hand_over()
    rig.writer.disk_checked_ns = 0
    rig.writer.free_disk_min_bytes = 1 << 60
    assert rig.queue.flush(soon(0.1)) is Status.TIMEOUT
    assert rig.writer.failing
    assert rig.mapping.header.writer_state == 3
    assert rig.mapping.header.writer_error == errno.ENOSPC
    assert "make room" in rig.writer.error_text
    rig.writer.free_disk_min_bytes = 1
    assert rig.queue.flush(soon()) is Status.OK
    assert not rig.writer.failing
    assert rig.mapping.header.writer_state == 1
    assert rig.finish() is Status.OK
    assert check_records(tmp_path) == 1000


def test_a_disk_that_stays_full_does_not_hold_up_the_end(tmp_path):
    """What could not be saved stays in the mapping, and is there for a recovery."""
    rig = Rig(tmp_path).start()
    rig.write(1000)
    rig.writer.free_disk_min_bytes = 1 << 60
    rig.writer.disk_checked_ns = 0
    began = time.monotonic()
    assert rig.finish() is Status.TIMEOUT
    assert 0.5 < time.monotonic() - began < 5
    assert rig.writer.dropped_blocks > 0
    copy = read_mapping(rig.map_path)
    assert copy is not None
    assert sum(block.records for block in copy.blocks) == 1000
    assert not is_owned(rig.map_path)


def test_a_full_file_system_gives_memory_instead_of_a_mapping(tmp_path, monkeypatch):
    def refuse(fd: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    rig = Rig(tmp_path).start()
    assert rig.reason == errno.ENOSPC
    assert not rig.mapping.shared
    assert list(tmp_path.glob("*.map*")) == []
    rig.write(3000)
    assert rig.finish() is Status.OK
    assert check_records(tmp_path) == 3000


def test_a_file_system_without_fallocate_is_written_to(tmp_path, monkeypatch):
    def refuse(fd: int, start: int, size: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "cannot")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    mapping = Mapping()
    path = tmp_path / f"{PROCESS}.map"
    assert mapping.create(str(path), 2, PROCESS) == (Status.OK, 0)
    assert mapping.shared
    assert os.stat(path).st_blocks * 512 >= 2 * 65536
    mapping.destroy(True)


def test_a_mapping_that_exists_is_not_taken(tmp_path):
    path = tmp_path / f"{PROCESS}.map"
    path.write_bytes(b"another's")
    mapping = Mapping()
    assert mapping.create(str(path), 2, PROCESS) == (Status.OK, errno.EEXIST)
    assert not mapping.shared
    mapping.destroy(True)
    assert path.read_bytes() == b"another's"


class Alarm(Exception):
    """From a signal's handler."""


def raise_alarm(number, frame):
    raise Alarm


@pytest.mark.parametrize("seed", range(5))
def test_a_signal_s_exception_goes_on_and_loses_nothing(tmp_path, seed):
    """A handler may raise between any two lines of the writer."""
    choose = random.Random(seed)
    before = signal.signal(signal.SIGALRM, raise_alarm)
    rig = Rig(tmp_path, blocks=40).start()
    rig.payload = 2000
    alarms = 0
    try:
        for _ in range(40):
            rig.queue.filled = rig.writer.filled
            rig.write(30)
            rig.queue.filled = None
            rig.hand_over()
            try:
                signal.setitimer(signal.ITIMER_REAL, choose.uniform(0.00003, 0.001))
                rig.writer.save(soon())
                rig.writer.save(soon())
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Alarm:
                signal.setitimer(signal.ITIMER_REAL, 0)
                alarms += 1
    finally:
        signal.signal(signal.SIGALRM, before)
    assert alarms > 0
    assert rig.finish() is Status.OK
    assert check_records(tmp_path) == rig.record == 1200


def test_work_from_inside_work_leaves_it_to_the_one_outside(tmp_path):
    rig = Rig(tmp_path).start()
    rig.write(100)
    seen = []
    block = rig.writer.store.block

    def block_with_a_signal(given):
        rig.queue.filled()
        seen.append((rig.writer.save(soon()), rig.queue.flush(soon())))
        return block(given)

    rig.writer.store.block = block_with_a_signal
    rig.hand_over()
    assert rig.queue.flush(soon()) is Status.OK
    assert seen == [(False, Status.TIMEOUT)]
    rig.writer.store.block = block
    assert rig.finish() is Status.OK
    assert check_records(tmp_path) == 100


def test_threads_share_one_queue(tmp_path):
    rig = Rig(tmp_path).start()
    rig.define_needed(320)
    given = []
    lock = threading.Lock()

    def work() -> None:
        for _ in range(40):
            block = rig.mapping.take_wait(soon())
            with lock:
                rig.stream.give_block(block, 1, clock.ns())
                cursor = rig.stream.begin(clock.ns(), 11, 2)
                rig.record += 1
                cursor.uint(rig.record)
                cursor.bin(b"")
                rig.stream.commit_node(cursor, clock.ns())
                block = rig.stream.take_block([], rig.definition)
                given.append(block)
            while rig.queue.push(block) is Status.FULL:
                rig.queue.wait_room(soon())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rig.finish() is Status.OK
    assert check_records(tmp_path) == rig.record == 320


# ---- the pool ----


def test_blocks_come_back_to_the_pool(tmp_path):
    rig = Rig(tmp_path, blocks=8).start()
    rig.write(20_000)  # many times the pool
    assert rig.finish() is Status.OK
    assert check_records(tmp_path) == 20_000


def test_a_block_that_is_taken_again_is_empty_and_of_a_new_generation(tmp_path):
    mapping = Mapping()
    mapping.create(str(tmp_path / f"{PROCESS}.map"), 1, PROCESS)
    block = mapping.take()
    assert block is not None and mapping.take() is None
    block.committed = 17
    generation = block.generation
    mapping.give(block)
    assert block.state == BLOCK_FREE
    again = mapping.take()
    assert again is block
    assert (again.committed, again.generation) == (0, generation + 1)
    mapping.destroy(True)


# ---- fork ----


def test_the_connection_is_closed_while_the_process_forks(tmp_path):
    rig = Rig(tmp_path).start()
    rig.write(1000)
    rig.hand_over()
    assert rig.writer.stop(soon()) is Status.OK  # what fork_prepare does
    child = os.fork()
    if child == 0:
        code = 1
        try:
            open_files = {os.readlink(f"/proc/self/fd/{fd}") for fd in _fds()}
            rig.writer.abandon()
            rig.mapping.abandon()
            ours = [name for name in open_files if f"{tmp_path}" in name]
            code = 0 if len(ours) == 1 and ours[0].endswith(".map") else 2
        finally:
            os._exit(code)
    rig.queue.reopen()
    assert rig.writer.start() is Status.OK
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert is_owned(rig.map_path)  # the child has let go of its copy of the lock alone
    rig.write(1000)
    assert rig.finish() is Status.OK
    assert check_records(tmp_path) == 2000


def _fds() -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        found.append(int(name))
    return found


def test_a_store_that_has_lost_its_files_is_whole_whatever_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy takes the segment's name before anything of the segment goes; and a
    connection that a fork has put away is not followed by one to the same file."""
    path = os.fspath(tmp_path / "a.db")
    schema = "CREATE TABLE t (x)"
    store = Store()
    assert store.open(path, schema, 1) is Status.OK
    assert store.begin() is Status.OK
    store.db().execute("INSERT INTO t VALUES (7)")
    assert store.commit() is Status.OK
    taken = os.open(tmp_path / "own", os.O_RDWR | os.O_CREAT)
    files = [file.fd for file in store._files or ()]
    assert len(files) == 3
    for fd in files:
        os.dup2(taken, fd)
    assert not store.has_files()
    store.suspend()
    assert not store.has_files() and not store.is_connected
    assert store.begin() is Status.STORE

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "refused")

    with monkeypatch.context() as patch:
        patch.setattr(store_restore.system, "rename", refuse)
        assert restore(store) is not Status.OK
    assert not store.has_files() and "refused" in store.error
    assert restore(store) is Status.OK
    assert store.has_files()
    assert store.begin() is Status.OK
    assert store.db().execute("SELECT x FROM t").fetchall() == [(7,)]
    assert store.commit() is Status.OK
    store.close()
    assert {each.name for each in tmp_path.iterdir()} == {"a.db", "own"}
    assert os.path.getsize(tmp_path / "own") == 0
    for fd in (*files, taken):
        os.close(fd)
