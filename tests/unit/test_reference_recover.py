"""Recovery in both directions: either core's mapping by the other's recovery, and by
readers that recover nothing.

A process is killed in the middle; or the bytes of its mapping are spoilt, and both
recoveries make the same of it.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from kolo_c.reference import clock, recover
from kolo_c.reference.mapping import Mapping
from kolo_c.reference.status import Status
from kolo_c.reference.store import Store
from kolo_c.reference.store_carry import carry
from kolo_c.store.liveness import is_owned
from kolo_c.store.mapping import read_mapping
from kolo_c.store.recovery import recover_dead
from kolo_c.wire import SCHEMA_VERSION, Definition
from tests.unit.reference_rig import PROCESS, SCHEMA, Rig, ask, check_records, dump

ROOT = Path(__file__).parents[2]
Recover = Callable[[Path], tuple[int, dict[str, int], str]]

PYTHON_PROGRAM = """\
import os, signal, sys
from pathlib import Path
from tests.unit.reference_rig import Rig
folder, most, target, payload = sys.argv[1], *map(int, sys.argv[2:])
rig = Rig(Path(folder), segment_max_bytes=most, compress=1).start()
rig.payload = payload
rig.write(target)
os.write(1, b"%d" % rig.mapping.header.segment)
os.kill(os.getpid(), signal.SIGKILL)
"""
C_PROGRAM = """\
import os, signal, sys
from tests.unit.build_plain import load
folder, most, target, payload = sys.argv[1], *map(int, sys.argv[2:])
plain = load()
rig = plain.plain_rig_start(folder.encode(), most, payload)
plain.plain_rig_write(rig, target)
segment = open(f"{folder}/01J0000000000000000000TEST.map", "rb").read(104)[96:]
os.write(1, b"%d" % int.from_bytes(segment, "little"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def load_plain() -> ctypes.CDLL:
    """The C library."""
    build_plain = pytest.importorskip("tests.unit.build_plain")
    try:
        return build_plain.load()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.fixture
def folder() -> Iterator[Path]:
    """One whose name is short enough for the rig of C."""
    above = Path(tempfile.mkdtemp(prefix="kolo-c-test-"))
    yield above / "dead"
    shutil.rmtree(above)


def by_python(path: Path) -> tuple[int, dict[str, int], str]:
    status, found = recover.recover(str(path), SCHEMA, SCHEMA_VERSION, 1)
    counts = dict(vars(found))
    return int(status), counts, counts.pop("error")


def by_c(path: Path) -> tuple[int, dict[str, int], str]:
    from tests.unit.build_plain import Recovered

    plain = load_plain()
    found = Recovered()
    status = plain.kc_recover(
        str(path).encode(), SCHEMA.encode(), SCHEMA_VERSION, 1, ctypes.byref(found)
    )
    names = ("blocks", "records", "definitions", "damaged", "lost_records")
    return status, {name: getattr(found, name) for name in names}, found.error.decode()


RECOVERIES = [
    pytest.param(by_python, id="recovered-by-python"),
    pytest.param(by_c, id="recovered-by-c"),
]


def killed(program: str, folder: Path, most: int, target: int, payload: int) -> int:
    """Run it until it kills itself; the last segment that it wrote to.

    The files say which: C's writer may begin another one until the very end.
    """
    if program is C_PROGRAM:
        load_plain()
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(most), str(target),
         str(payload)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        check=False,
    )  # fmt: skip
    assert done.returncode == -9
    return max(int(path.stem.rpartition("-")[2]) for path in folder.glob("*.db"))


@pytest.mark.parametrize("how", RECOVERIES)
@pytest.mark.parametrize(
    "program",
    [pytest.param(PYTHON_PROGRAM, id="python"), pytest.param(C_PROGRAM, id="c")],
)
@pytest.mark.parametrize(
    ("most", "target", "payload"),
    [
        (0, 1, 30),  # before the first transaction
        (0, 300, 30),  # in the first block
        (0, 3001, 30),
        (0, 20_000, 30),
        (1 << 19, 12_000, 200),  # after rotations
        (0, 400, 20_000),  # a block holds three
    ],
)
def test_a_killed_process_keeps_every_record(
    folder: Path, program: str, how: Recover, most: int, target: int, payload: int
) -> None:
    segment = killed(program, folder, most, target, payload)
    mapping = folder / f"{PROCESS}.map"
    assert not is_owned(mapping)
    status, found, error = how(mapping)
    assert (status, error, found["damaged"]) == (0, "", 0)
    assert check_records(folder, segment) == target
    assert not mapping.exists()
    assert ask(
        folder,
        "SELECT status, cause, ended_ns >= started_ns FROM trace",
        segment,
    ) == [("interrupted", "interrupted", 1)]
    assert ask(
        folder,
        "SELECT ended_ns >= (SELECT max(last_ns) FROM block) FROM process",
        segment,
    ) == [(1,)]
    assert how(mapping)[0] == Status.IO


def dead(folder: Path, count: int = 1000) -> Path:
    """A mapping of the Python core whose process died without a writer."""
    folder.mkdir()
    rig = Rig(folder)
    rig.define_thread("MainThread")
    rig.define_trace(1, "trc_01J00000000000000000000001")
    rig.payload = 100
    rig.write(count)
    rig.mapping.header.lost_records = 7
    rig.mapping.destroy(False)
    return folder / f"{PROCESS}.map"


@pytest.mark.parametrize("how", RECOVERIES)
def test_a_segment_that_never_was_is_created(folder: Path, how: Recover) -> None:
    assert how(dead(folder))[:2] == (
        0,
        {
            "blocks": 2, "records": 1000, "definitions": 1, "damaged": 0,
            "lost_records": 7,
        },
    )  # fmt: skip
    assert check_records(folder) == 1000
    assert ask(folder, "SELECT pid, info FROM process") == [(os.getpid(), "{}")]


def test_a_reading_command_recovers_without_the_extension(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOLO_C_NO_EXTENSION", "1")
    mapping = dead(folder)
    segments = folder.parent / ".kolo_c" / "segments"
    segments.parent.mkdir()
    folder.rename(segments)
    assert recover_dead(segments.parent) == []
    assert not (segments / mapping.name).exists()
    assert check_records(segments) == 1000


def test_a_reader_finds_what_is_in_the_mapping(folder: Path) -> None:
    copy = read_mapping(dead(folder))
    assert copy is not None and copy.damaged == 0
    assert sum(block.records for block in copy.blocks) == 1000
    assert (copy.header.lost_records, copy.header.process) == (7, PROCESS)


def test_a_living_process_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    rig = Rig(folder).start()
    assert is_owned(rig.map_path)
    for how in (by_python, by_c):
        status, _, error = how(rig.map_path)
        assert (status, "lives" in error) == (Status.BUSY, True)
    with pytest.raises(BlockingIOError):
        recover.recover_file(str(rig.map_path), SCHEMA, SCHEMA_VERSION, 1)
    rig.write()
    assert rig.finish() is Status.OK
    assert check_records(folder) == 1


def test_an_end_that_was_told_stays(folder: Path) -> None:
    """It was killed before it could remove the mapping."""
    folder.mkdir()
    rig = Rig(folder).start()
    rig.write()
    assert rig.finish(unlink=False) is Status.OK
    assert by_python(rig.map_path)[0] == Status.OK
    assert ask(folder, "SELECT cause FROM process") == [("exit",)]
    assert ask(folder, "SELECT status FROM trace") == [("complete",)]


def test_a_recovery_can_run_again(folder: Path) -> None:
    """It was killed after its commit, before it could remove the mapping."""
    mapping = dead(folder)
    saved = folder / "saved"
    shutil.copy(mapping, saved)
    assert by_python(mapping)[1]["blocks"] == 2
    saved.rename(mapping)
    assert by_python(mapping)[1]["blocks"] == 0
    assert check_records(folder) == 1000


def test_a_rotation_cut_short_is_removed(folder: Path) -> None:
    killed(PYTHON_PROGRAM, folder, 0, 5000, 30)
    old, following = Store(), Store()
    paths = [str(folder / f"{PROCESS}-{n}.db") for n in (0, 1)]
    assert old.open(paths[0], SCHEMA, SCHEMA_VERSION) is Status.OK
    assert following.open(paths[1], SCHEMA, SCHEMA_VERSION) is Status.OK
    assert carry(following, old) is Status.OK
    following.close()
    old.close()
    assert by_python(folder / f"{PROCESS}.map")[0] == Status.OK
    assert not os.path.exists(paths[1])
    assert check_records(folder) == 5000


def test_a_rotation_takes_over_no_thread_that_ended_long_ago(tmp_path: Path) -> None:
    """A server with a thread for each request wrote all of them to every segment."""
    old, following = Store(), Store()
    for number, store in enumerate((old, following)):
        path = str(tmp_path / f"{PROCESS}-{number}.db")
        assert store.open(path, SCHEMA, SCHEMA_VERSION) is Status.OK
    old.db().executemany(
        "INSERT INTO thread (number, name) VALUES (?, 'x')",
        [(number,) for number in range(1, 2501)],
    )
    columns = [row[1] for row in old.db().execute("PRAGMA table_info(block)")]
    values = [1200 if name == "thread" else 1 for name in columns]
    places = ", ".join("?" * len(columns))
    old.db().execute(f"INSERT INTO block VALUES ({places})", values)
    assert carry(following, old) is Status.OK
    kept = {number for (number,) in following.db().execute("SELECT number FROM thread")}
    assert kept == {*range(1, 1001), 1200, *range(1501, 2501)}
    following.close()
    old.close()


def test_a_rotation_takes_over_no_task_that_ended_long_ago(tmp_path: Path) -> None:
    """As little of them: by the numbers of their definitions."""
    old, following = Store(), Store()
    for number, store in enumerate((old, following)):
        path = str(tmp_path / f"{PROCESS}-{number}.db")
        assert store.open(path, SCHEMA, SCHEMA_VERSION) is Status.OK
    numbers = range(1, 25_001)
    for first in numbers[::1000]:
        tasks = [
            msgpack.packb([Definition.TASK, number, "Task", None])
            for number in range(first, first + 1000)
        ]
        old.db().execute(
            "INSERT INTO definition VALUES (?, 0, ?, ?, ?)",
            (first, first, first + 999, b"".join(tasks)),
        )
    assert carry(following, old) is Status.OK
    rows = following.db().execute("SELECT data FROM definition ORDER BY first")
    kept = [task[1] for (data,) in rows for task in unpacked(data)]
    assert kept == [*range(1, 10_001), *range(15_001, 25_001)]
    following.close()
    old.close()


def unpacked(data: bytes) -> list[list[Any]]:
    unpacker = msgpack.Unpacker()
    unpacker.feed(data)
    return list(unpacker)


def test_a_segment_that_cannot_be_written_keeps_the_mapping(folder: Path) -> None:
    mapping = dead(folder)
    store = Store()
    path = str(folder / f"{PROCESS}-0.db")
    assert store.open(path, SCHEMA, SCHEMA_VERSION + 1) is Status.OK
    store.close()
    for how in (by_python, by_c):
        status, _, error = how(mapping)
        assert status == Status.STORE
        assert error == (
            f"{path}: has schema version 2, this kolo_c writes version {SCHEMA_VERSION}"
        )
    with pytest.raises(OSError, match="has schema version 2"):
        recover.recover_file(str(mapping), SCHEMA, SCHEMA_VERSION, 1)
    assert mapping.exists()
    other = mapping.rename(folder / "another.map")
    for how in (by_python, by_c):
        status, _, error = how(other)
        assert status == Status.CORRUPT
        assert "does not bear its process's name" in error


def spoil(mapping: Path, choose: random.Random) -> None:
    """A few bytes: of headers, of records, anywhere."""
    size = mapping.stat().st_size
    with mapping.open("r+b") as file:
        for _ in range(choose.choice((1, 2, 10))):
            block = 4096 + choose.choice((0, 1, 2)) * 65536
            where = choose.random()
            if where < 0.5:
                at = block + choose.randrange(96)
            elif where < 0.9:
                at = block + 96 + choose.randrange(2000)
            elif where < 0.95:
                at = choose.randrange(112)
            else:
                at = choose.randrange(size)
            file.seek(at)
            file.write(
                bytes([choose.choice((0, 1, 0x7F, 0xC1, 0xFF, choose.randrange(256)))])
            )


@pytest.mark.parametrize("seed", range(40))
def test_both_recoveries_make_the_same_of_damage(folder: Path, seed: int) -> None:
    load_plain()
    mapping = dead(folder, 1000)
    choose = random.Random(seed)
    spoil(mapping, choose)
    twin = folder.with_name("twin")
    shutil.copytree(folder, twin)
    status, found, error = by_python(mapping)
    of_c, found_by_c, error_of_c = by_c(twin / mapping.name)
    assert (status, found) == (of_c, found_by_c)
    assert (
        error.replace(str(folder), "")[:200] == error_of_c.replace(str(twin), "")[:200]
    )
    assert mapping.exists() == (twin / mapping.name).exists()
    segments = [path.stem.rpartition("-")[2] for path in folder.glob("*.db")]
    for segment in segments:  # its number may be one of what was spoilt
        assert dump(folder, int(segment)) == dump(twin, int(segment))
    assert status != 0 or len(segments) == 1


@pytest.mark.parametrize(
    ("at", "bytes_"),
    [(0, b"KOLOMAP2"), (8, b"\2"), (12, b"\1"), (16, b"\0" * 4), (16, b"\xff" * 4),
     (24, b"/etc/"), (24, b"\0"), (24, b"a" * 32)],
)  # fmt: skip
def test_a_header_that_leads_astray_is_refused(
    folder: Path, at: int, bytes_: bytes
) -> None:
    mapping = dead(folder, 1)
    with mapping.open("r+b") as file:
        file.seek(at)
        file.write(bytes_)
    assert by_python(mapping)[0] == Status.CORRUPT
    assert Mapping().open_dead(str(mapping))[0] is Status.CORRUPT
    assert by_c(mapping)[0] == Status.CORRUPT


def test_what_is_no_file_is_refused(folder: Path) -> None:
    folder.mkdir()
    pipe = folder / "a.map"
    os.mkfifo(pipe)
    assert Mapping().open_dead(str(pipe))[0] is Status.CORRUPT
    link = folder / "b.map"
    link.symlink_to(pipe)
    assert Mapping().open_dead(str(link))[0] is Status.IO
    short = folder / "c.map"
    short.write_bytes(b"KOLOMAP1")
    assert Mapping().open_dead(str(short))[0] is Status.CORRUPT


def test_the_clock_s_values_are_those_of_c(folder: Path) -> None:
    folder.mkdir()
    rig = Rig(folder)
    plain = load_plain()
    plain.kc_clock_system_ns.restype = ctypes.c_uint64
    before = clock.ns()
    assert before <= plain.kc_clock_system_ns() <= clock.ns()
    rig.mapping.destroy(True)
