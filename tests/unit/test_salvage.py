"""Damaged stores: what is wrong is said, what can be read is saved, nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kolo_c.cli import main as command_line
from kolo_c.store import rescue
from kolo_c.store.pages import PAGE_BYTES, Pages
from kolo_c.store.reader import Store
from kolo_c.wire import BLOCK_BYTES, MAPPING_HEADER_BYTES, Definition
from tests.unit.store_builder import Owner, ProcessBuilder

Go = Callable[..., tuple[int, str, str]]
TRACES, BLOCKS = 3, 6


@pytest.fixture(name="go")
def _go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Go:
    """Run a command in the project; its code and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KOLO_C_PATH", raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        code = command_line.main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def program(*, ended: bool = True) -> ProcessBuilder:
    """Three traces of six blocks each; every table takes several pages."""
    process = ProcessBuilder()
    process.ended = ended
    file = process.file("/app/a.py")
    for number in range(40):
        process.code(file, f"f{number}", ("a", "b"), table=os.urandom(200))
        if number % 10 == 0:
            process.new_piece()
    code = process.code(file, "work", ("text",))
    thread = process.thread("MainThread")
    for number in range(TRACES):
        trace = process.trace(f"trace {number}")
        stream = trace.stream(thread)
        for block in range(BLOCKS):
            for call in range(20):
                stream.call(code, f"{number} {block} {call} {os.urandom(40).hex()}")
                stream.ret(call)
            stream.cut()
        if ended:
            trace.end()
    return process


def damaged(path: Path, page: int) -> bytes:
    """Overwrite a page of the file; what it is now."""
    data = bytearray(path.read_bytes())
    at = (page - 1) * PAGE_BYTES
    data[at : at + PAGE_BYTES] = os.urandom(PAGE_BYTES)
    path.write_bytes(data)
    return bytes(data)


def calls(store: Path) -> dict[str, int]:
    """By name of a trace, how many calls can be read of it."""
    found: dict[str, int] = {}
    with Store(store) as opened:
        for info in opened.traces():
            trace = opened.trace(info.id)
            found[info.row.name] = found.get(info.row.name, 0) + sum(
                record.kind == 0
                for stream in trace.streams
                for index in range(len(stream.blocks))
                for record in stream.decode(index).records
            )
    return found


def is_sound(path: Path) -> bool:
    db = sqlite3.connect(path)
    try:
        return db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        db.close()


# ---- pages ----

values = st.one_of(
    st.none(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    st.binary(max_size=50),
    st.integers(0, 20_000).map(bytes),
)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.dictionaries(st.integers(-(1 << 40), 1 << 40), st.tuples(values, values)),
    page_bytes=st.sampled_from([512, 4096, 65536]),
    wal=st.booleans(),
)
def test_pages_have_the_rows_that_sqlite_has(
    tmp_path_factory: pytest.TempPathFactory,
    rows: dict[int, tuple[Any, Any]],
    page_bytes: int,
    wal: bool,
) -> None:
    path = tmp_path_factory.mktemp("pages") / "x.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"PRAGMA page_size = {page_bytes}")
    if wal:
        db.execute("PRAGMA journal_mode = WAL").fetchall()
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)")
    db.execute("CREATE TABLE u (k TEXT PRIMARY KEY, a, b) WITHOUT ROWID")
    db.execute("BEGIN")
    for key, row in rows.items():
        db.execute("INSERT INTO t VALUES (?, ?, ?)", (key, *row))
        db.execute("INSERT INTO u VALUES (?, ?, ?)", (str(key), *row))
    db.execute("COMMIT")
    try:
        with Pages(path) as pages:
            found = [row for row in pages.rows() if len(row[1]) == 3]
            assert pages.lost_rows == 0
    finally:
        db.close()
    exact = {key: list(map(repr, row)) for key, row in rows.items()}
    for is_keyed in (True, False):
        assert exact == {
            int(columns[0] if rowid is None else rowid): list(map(repr, columns[1:]))
            for rowid, columns in found
            if (rowid is not None) is is_keyed
        }


def test_a_wal_that_is_torn_counts_up_to_its_last_whole_transaction(
    tmp_path: Path,
) -> None:
    path, copy = tmp_path / "x.db", tmp_path / "y.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL").fetchall()
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    for number in range(20):
        db.execute("INSERT INTO t VALUES (?, ?)", (number, bytes(1000)))
    whole = Path(f"{path}-wal").read_bytes()
    shutil.copy(path, copy)
    db.close()
    for cut in range(0, len(whole), 5111):
        Path(f"{copy}-wal").write_bytes(whole[:cut] + os.urandom(100))
        again = tmp_path / "z.db"
        shutil.copy(copy, again)
        shutil.copy(f"{copy}-wal", f"{again}-wal")
        other = sqlite3.connect(again)
        try:
            expected = other.execute("SELECT id FROM t").fetchall()
        except sqlite3.Error:
            expected = []  # the table was not there yet
        other.close()
        with Pages(copy) as pages:
            found = {(row[0],) for row in pages.rows() if len(row[1]) == 2}
        assert found == set(expected), cut


def test_rows_that_all_go_on_in_the_same_pages_are_not_read_without_end(
    tmp_path: Path,
) -> None:
    """Each says that it has the whole file, which for all of them would be 120 MB."""
    path = tmp_path / "x.db"
    count, cells = 100, 300
    page = bytearray(PAGE_BYTES)
    page[0], page[3:5] = 0x0D, cells.to_bytes(2, "big")
    # 393,216 bytes, of row 1, of which 489 are here, and the next on page 3.
    cell = b"\x98\x80\x00\x01" + bytes(489) + (3).to_bytes(4, "big")
    page[-len(cell) :] = cell
    at = PAGE_BYTES - len(cell)
    for number in range(cells):
        page[8 + 2 * number : 10 + 2 * number] = at.to_bytes(2, "big")
    loop = (3).to_bytes(4, "big") + b"\x01" * (PAGE_BYTES - 4)
    first = (
        b"SQLite format 3\0" + PAGE_BYTES.to_bytes(2, "big") + bytes(PAGE_BYTES - 18)
    )
    path.write_bytes(first + page + loop * (count - 2))
    with Pages(path) as pages:
        read = 0
        step = pages.page

        def counted(number: int) -> bytes:
            nonlocal read
            read += 1
            return step(number)

        pages.page = counted  # type: ignore[method-assign]
        rows = sum(1 for _ in pages.rows())
        assert rows + pages.lost_rows == cells
        assert count <= read < 6 * count


# ---- one damaged segment ----


def test_whatever_page_is_damaged_the_rest_is_saved(tmp_path: Path, go: Go) -> None:
    """Each page in turn: what doctor says is what is saved, and nothing else changes."""
    process, other = program(), program()
    process.write(tmp_path)
    store = other.write(tmp_path)
    path = process.segment_path(store)
    beside = other.segment_path(store)
    whole, untouched = path.read_bytes(), beside.read_bytes()
    every = TRACES * BLOCKS
    saved = []
    for page in range(1, len(whole) // PAGE_BYTES + 1):
        path.write_bytes(whole)
        bad = damaged(path, page)
        code, out, _ = go("doctor", "--store", "--json")
        said = json.loads(out)
        (found,) = (row for row in said["files"] if row["path"] == str(path))
        if found["state"] == "ok":
            assert code == 0  # nothing was on that page
            continue
        assert (code, found["state"]) == (1, "damaged"), page
        code, out, _ = go("recover", "--json")
        (done,) = json.loads(out)["files"]
        assert (code, done["saved"]) == (0, True), done
        assert done["blocks"] == found["blocks"]
        assert done["traces"] == len(found["traces"]) >= TRACES - 1
        assert Path(done["damaged_file"]).read_bytes() == bad
        assert beside.read_bytes() == untouched
        assert is_sound(path)
        assert sum(calls(store).values()) == (every + done["blocks"]) * 20
        assert go("doctor", "--store")[0] == 0
        saved.append(done["blocks"])
        shutil.rmtree(store / "damaged")
        (store / "catalogue.db").unlink(missing_ok=True)
    assert len(saved) > every // 2 and min(saved) >= 0
    # A page of bytes costs the blocks on it, a page of headers those; others nothing.
    assert sum(count >= every - 6 for count in saved) > len(saved) // 2


@pytest.mark.parametrize("keep", [5000, 9000, 20_000, 40_000])
def test_what_a_truncated_segment_still_has_is_saved(
    tmp_path: Path, go: Go, keep: int
) -> None:
    process = program()
    store = process.write(tmp_path)
    path = process.segment_path(store)
    path.write_bytes(path.read_bytes()[:keep])
    for command in ("list", "show"):
        code, _, err = go(command)
        assert code == 1
        assert str(path) in err and "kolo-c recover" in err
    code, out, _ = go("doctor", "--store")
    assert code == 1 and "can be saved" in out
    code, out, _ = go("recover")
    assert code == 0 and f"{store}/damaged/{path.name}" in out
    assert is_sound(path)
    assert go("list")[0] == 0
    assert go("recover")[1] == "Nothing is damaged, and nothing was left behind.\n"


def test_a_trace_whose_calls_are_lost_says_so(tmp_path: Path, go: Go) -> None:
    """Of a segment that was cut off nothing but the trace's row was left, and that was
    explained by the filters, of which the row has numbers too."""
    process = program()
    for trace in process.traces:
        trace.counters = {"calls": 120, "kept": 1, "skipped": 20}
    process.write(tmp_path, blocks=[])
    code, out, _ = go("show")
    assert code == 0 and "120 calls of it were recorded and are lost" in out
    assert "include_frames" not in out
    code, out, _ = go("doctor", "--trace")
    assert code == 1 and "lost: 120 calls were recorded and are lost" in out
    assert "no records" not in out


def test_a_path_is_said_once(tmp_path: Path, go: Go) -> None:
    process = program()
    store = process.write(tmp_path)
    path = store / "segments" / "01J9ZD00000000000000000ZZZ.map"
    path.write_bytes(bytes(MAPPING_HEADER_BYTES + BLOCK_BYTES))
    said = go("list")[2].splitlines()
    assert said[0] == f"kolo-c: {path}: not recovered: not a mapping of this version"


def test_a_segment_whose_header_is_gone_is_saved_whole(tmp_path: Path, go: Go) -> None:
    """To SQLite it is no database any more."""
    process = program()
    store = process.write(tmp_path)
    path = process.segment_path(store)
    before = calls(store)
    data = bytearray(path.read_bytes())
    data[:100] = bytes(100)
    path.write_bytes(data)
    assert go("list")[0] == 1
    assert "18 of 18 blocks" in go("doctor", "--store")[1]
    assert go("recover")[0] == 0
    assert calls(store) == before
    assert before == {f"trace {number}": BLOCKS * 20 for number in range(TRACES)}


def break_rows(path: Path, *statements: str) -> None:
    """Change a segment, and damage a page of it that holds nothing."""
    db = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.execute("CREATE TABLE zzz (a)")
    page = db.execute("SELECT rootpage FROM sqlite_master WHERE name='zzz'").fetchall()
    db.close()
    damaged(path, page[0][0])


def test_a_trace_without_a_row_has_it_from_the_log(tmp_path: Path, go: Go) -> None:
    process = program()
    store = process.write(tmp_path)
    ids = {trace.id for trace in process.traces}
    break_rows(process.segment_path(store), "DELETE FROM trace", "VACUUM")
    assert go("recover")[0] == 0
    with Store(store) as opened:
        assert {info.id for info in opened.traces()} == ids
        assert {info.status for info in opened.traces()} == {"interrupted"}


def test_a_number_that_sqlite_has_no_room_for_is_in_nobodys_way(
    tmp_path: Path, go: Go
) -> None:
    """Nothing at all was saved of a segment whose log had one."""
    process = program()
    huge = (1 << 64) - 1
    for number, ns in ((9, huge), (huge, 1), (10, -1 << 63)):
        id = f"trc_01J9ZD{number % 100:020}"
        process.define(Definition.TRACE, number, id, "test", "t", None, ns, ns, "{}")
    process.define(Definition.TRACE_END, 9, huge, "exit", None, None, None)
    store = process.write(tmp_path)
    damaged(process.segment_path(store), 7)
    assert go("recover")[0] == 0
    assert is_sound(process.segment_path(store))
    assert calls(store) == {
        "t": 0, **{f"trace {number}": BLOCKS * 20 for number in range(TRACES)}
    }  # fmt: skip
    assert go("list")[0] == go("list", "--json")[0] == 0


def test_blocks_of_a_trace_of_which_nothing_is_known_are_kept(
    tmp_path: Path, go: Go
) -> None:
    process = program()
    store = process.write(tmp_path)
    break_rows(
        process.segment_path(store),
        "DELETE FROM trace WHERE number = 2", "DELETE FROM process",
        "UPDATE definition SET data = x'c1'", "VACUUM",
    )  # fmt: skip
    assert go("recover")[0] == 0
    found = calls(store)
    assert found["(its row was damaged)"] == BLOCKS * 20
    assert len(found) == TRACES


def test_a_trace_that_was_dropped_does_not_come_back(tmp_path: Path, go: Go) -> None:
    process = program()
    process.define(Definition.TRACE_DROP, 2)
    store = process.write(tmp_path)
    break_rows(
        process.segment_path(store), "DELETE FROM trace WHERE number = 2", "VACUUM"
    )
    assert go("recover")[0] == 0
    assert calls(store).keys() == {"trace 0", "trace 2"}


def test_a_block_whose_bytes_lie_is_left_out_and_counted(
    tmp_path: Path, go: Go
) -> None:
    process = program()
    store = process.write(tmp_path)
    path = process.segment_path(store)
    db = sqlite3.connect(path)
    db.execute("UPDATE block SET bytes = bytes + 1 WHERE id = 4")
    db.execute("UPDATE block_data SET encoding = 1 WHERE id = 5")
    db.commit()
    db.close()
    code, out, _ = go("doctor", "--store")
    assert code == 1 and "16 of 18 blocks" in out
    assert "16 of 18 blocks" in go("recover")[1]
    assert is_sound(path) and go("doctor", "--store")[0] == 0


# ---- what is left alone ----


def test_what_is_none_of_ours_is_named_and_left(tmp_path: Path, go: Go) -> None:
    store = program().write(tmp_path)
    folder = store / "segments"
    text = folder / "01ARZ3NDEKTSV4RRFFQ69G5FAV-0.db"
    text.write_bytes(b"not a database at all" * 1000)
    foreign = folder / "01ARZ3NDEKTSV4RRFFQ69G5FAW-0.db"
    db = sqlite3.connect(foreign)
    db.execute("CREATE TABLE notes (text)")
    db.close()
    newer = ProcessBuilder().write(tmp_path) and next(folder.glob("01J*-0.db"))
    db = sqlite3.connect(newer)
    db.execute("PRAGMA user_version = 99")
    db.close()
    before = {path: path.read_bytes() for path in folder.iterdir()}
    code, out, _ = go("doctor", "--store")
    assert code == 1
    for path, state, hint in (
        (text, "foreign", "Move it out"),
        (foreign, "foreign", "Move it out"),
        (newer, "newer", "pip install -U kolo-c"),
    ):
        line, next_step, *_ = out[out.index(f"{state}: {path}") :].splitlines()
        assert hint in next_step, line
    code, out, _ = go("recover")
    assert code == 1 and "3 files could not be saved" in out
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert not (store / "damaged").exists()


def test_a_damaged_segment_of_a_newer_version_is_left(tmp_path: Path, go: Go) -> None:
    process = program()
    store = process.write(tmp_path)
    path = process.segment_path(store)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    bad = path.read_bytes()[:30_000]
    path.write_bytes(bad)
    code, out, _ = go("recover")
    assert code == 1 and "99" in out
    assert path.read_bytes() == bad


def test_a_running_program_keeps_its_files(tmp_path: Path, go: Go) -> None:
    process = program(ended=False)
    store = process.write(tmp_path)
    path = process.segment_path(store)
    mapping = process.write_mapping(tmp_path, [])
    bad = damaged(path, 4)
    with Owner(mapping):
        code, out, _ = go("recover")
        assert code == 1 and "still runs" in out
        assert path.read_bytes() == bad
    assert go("recover")[0] == 0
    assert is_sound(path) and not mapping.exists()


def test_a_program_without_a_mapping_that_runs_keeps_its_files(
    tmp_path: Path, go: Go
) -> None:
    process = program(ended=False)
    process.pid = os.getpid()
    store = process.write(tmp_path)
    path = process.segment_path(store)
    bad = path.read_bytes()[:30_000]
    path.write_bytes(bad)
    assert go("recover")[0] == 1
    assert path.read_bytes() == bad


# ---- mappings and WALs ----


def test_a_mapping_whose_header_is_damaged_is_recovered_all_the_same(
    tmp_path: Path, go: Go
) -> None:
    process = program(ended=False)
    blocks = process.blocks()
    store = process.write(tmp_path, blocks=blocks[:10])
    mapping = process.write_mapping(tmp_path, blocks[10:])
    data = bytearray(mapping.read_bytes())
    data[:64] = os.urandom(64)
    mapping.write_bytes(data)
    code, out, _ = go("doctor", "--store")
    assert code == 1 and str(mapping) in out and "kolo-c recover" in out
    assert go("recover")[0] == 0
    assert not mapping.exists()
    assert (store / "damaged" / mapping.name).read_bytes() == data
    assert sum(calls(store).values()) == TRACES * BLOCKS * 20
    assert go("doctor", "--store")[0] == 0


@pytest.mark.parametrize("keep", [50, MAPPING_HEADER_BYTES + 3 * BLOCK_BYTES + 500])
def test_a_mapping_that_is_cut_gives_the_blocks_it_has(
    tmp_path: Path, go: Go, keep: int
) -> None:
    process = program(ended=False)
    blocks = process.blocks()
    store = process.write(tmp_path, blocks=blocks[:10])
    mapping = process.write_mapping(tmp_path, blocks[10:])
    mapping.write_bytes(mapping.read_bytes()[:keep])
    assert go("recover")[0] == 0
    assert not mapping.exists()
    more = (keep - MAPPING_HEADER_BYTES) // BLOCK_BYTES if keep > BLOCK_BYTES else 0
    assert sum(calls(store).values()) == (10 + more) * 20


def test_a_wal_that_was_left_behind_is_folded_in(tmp_path: Path, go: Go) -> None:
    process = program()
    store = process.write(tmp_path)
    path = process.segment_path(store)
    program_text = (
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1]); "
        "db.execute('PRAGMA journal_mode = WAL').fetchall(); "
        "db.execute(\"UPDATE trace SET name = 'renamed' WHERE number = 1\"); "
        "db.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program_text, path], check=True)
    wal = Path(f"{path}-wal")
    assert wal.stat().st_size > 0
    code, out, _ = go("recover")
    assert code == 0 and "its WAL was folded in" in out
    assert not wal.exists()
    assert "renamed" in go("list")[1]


def test_a_damaged_segment_s_wal_is_read_and_set_aside(tmp_path: Path, go: Go) -> None:
    """What the WAL has counts, and it never comes to lie beside the new file."""
    process = program()
    store = process.write(tmp_path)
    path = process.segment_path(store)
    test = (
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1]); "
        "db.execute(\"UPDATE trace SET name = 'renamed' WHERE number = 1\"); "
        "db.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", test, path], check=True)
    path.write_bytes(bytes(100) + path.read_bytes()[100:-PAGE_BYTES])
    wal = Path(f"{path}-wal").read_bytes()
    assert go("recover")[0] == 0
    assert (store / "damaged" / f"{path.name}-wal").read_bytes() == wal
    assert not Path(f"{path}-wal").exists()
    assert "renamed" in calls(store)


def test_files_that_belong_to_nothing_are_named(tmp_path: Path, go: Go) -> None:
    store = program().write(tmp_path)
    for name in ("X-0.db-wal", "X-0.db.01.new", "notes.txt"):
        (store / "segments" / name).touch()
    (store / "catalogue.db").write_text("not a database" * 100)
    code, out, _ = go("doctor", "--store")
    assert code == 0
    for text in ("X-0.db-wal: belongs to a segment that is gone", "never finished",
                 "notes.txt: is none of kolo_c's", "catalogue.db cannot be read"):  # fmt: skip
        assert text in out


# ---- interruptions ----


@pytest.mark.parametrize(
    "step", ["make_folder", "_second_name", "Salvage", "_complete", "remove_beside"]
)
def test_an_interrupted_recovery_goes_on_the_next_time(
    tmp_path: Path, go: Go, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Killed at each step: both files are there, and nothing is saved twice."""
    process = program()
    store = process.write(tmp_path)
    path = process.segment_path(store)
    bad = damaged(path, 7)

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rescue, step, killed)
        assert go("recover")[0] == 130
    assert path.read_bytes() == bad
    assert go("recover")[0] == 0
    assert is_sound(path)
    assert [each.name for each in (store / "damaged").iterdir()] == [path.name]
    assert (store / "damaged" / path.name).read_bytes() == bad
    assert [each.name for each in (store / "segments").iterdir()] == [path.name]


def test_a_second_damaged_file_of_the_same_name_does_not_replace_the_first(
    tmp_path: Path, go: Go
) -> None:
    process = program()
    store = process.write(tmp_path)
    path = process.segment_path(store)
    files = []
    for page in (5, 6):
        files.append(damaged(path, page))
        assert go("recover")[0] == 0
    names = [store / "damaged" / f"{path.name}{ending}" for ending in ("", ".1")]
    assert [name.read_bytes() for name in names] == files


def test_without_links_a_damaged_file_is_copied(
    tmp_path: Path, go: Go, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = program()
    store = process.write(tmp_path)
    path = process.segment_path(store)
    bad = damaged(path, 5)

    def refuse(*_: Any) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert go("recover")[0] == 0
    assert (store / "damaged" / path.name).read_bytes() == bad
    assert is_sound(path)


def test_a_store_that_another_command_is_changing_is_waited_for(
    tmp_path: Path, go: Go, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = program().write(tmp_path)
    monkeypatch.setattr(rescue, "_PATIENCE_SECONDS", 0.05)
    fd = rescue.lock_store(store, 0)
    assert fd is not None
    try:
        code, _, err = go("recover")
    finally:
        os.close(fd)
    assert code == 1 and "another command is changing it" in err
