"""The catalogue: what lists need, kept so that the segments of the dead stay closed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kolo_c.cli import main as command_line
from kolo_c.errors import TraceNotFound
from kolo_c.failure import ATTRIBUTE
from kolo_c.store import catalogue as module
from kolo_c.store import process as processes
from kolo_c.store.catalogue import Catalogue
from kolo_c.store.catalogue_file import NAME, VERSION, CatalogueFile
from kolo_c.store.files import ProcessFiles, list_processes
from kolo_c.store.marks import DELETED, put_mark
from kolo_c.store.reader import Store
from tests.unit.store_builder import (
    START_UTC_NS,
    Owner,
    ProcessBuilder,
    ulid,
)

SECOND_NS = 1_000_000_000
COUNT = 12  # more than are worth a catalogue


def write(tmp_path: Path, name: str, seconds: int, **how: object) -> ProcessBuilder:
    """A process of one trace that began ``seconds`` after the first."""
    process = ProcessBuilder()
    process.now_ns += seconds * SECOND_NS
    code = process.code(process.file("/app/shop.py"), "main")
    trace = process.trace(name, id=str(how.get("id", "")))
    stream = trace.stream(process.thread("MainThread"))
    stream.call(code)
    stream.ret()
    trace.counters = {"calls": 1}
    trace.end(cause=str(how.get("cause", "exit")))
    store = process.write(tmp_path)
    path = process.segment_path(store)
    attributes = how.get("attributes")
    if attributes is not None:
        database = sqlite3.connect(path)
        database.execute("UPDATE trace SET attributes = ?", (json.dumps(attributes),))
        database.commit()
        database.close()
    at = START_UTC_NS + seconds * SECOND_NS + SECOND_NS // 2
    os.utime(path, ns=(at, at))
    return process


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of many processes, none of them in the catalogue."""
    for number in range(COUNT):
        write(tmp_path, f"trace {number}", number)
    return tmp_path / ".kolo_c"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The processes that are opened from here on."""
    found: list[str] = []
    open_process = processes.open_process

    def opening(files: ProcessFiles) -> processes.Process:
        found.append(files.id)
        return open_process(files)

    monkeypatch.setattr(processes, "open_process", opening)
    return found


@contextmanager
def catalogue(store: Path) -> Iterator[Catalogue]:
    found = Catalogue(store)
    try:
        yield found
    finally:
        found.close()


def names(store: Path, count: int | None = None) -> list[str]:
    with catalogue(store) as found:
        return [trace.row.name for trace in found.latest(count)]


ALL = [f"trace {number}" for number in reversed(range(COUNT))]


class TestFile:
    def test_what_was_read_once_is_not_opened_again(
        self, store: Path, opened: list[str]
    ) -> None:
        assert names(store) == ALL
        assert len(opened) == COUNT and (store / NAME).exists()
        opened.clear()
        assert names(store) == ALL
        assert opened == []

    def test_a_trace_from_the_file_is_the_same_as_from_its_segment(
        self, store: Path
    ) -> None:
        def facts() -> list[object]:
            with catalogue(store) as found:
                return [
                    (trace.row, trace.status, trace.nodes, trace.last_ns, trace.bytes,
                     trace.calls, trace.pid, trace.files.id, trace.duration_ns,
                     trace.counters, trace.attributes, len(trace.process.segments))
                    for trace in found.latest()
                ]  # fmt: skip

        assert facts() == facts()
        with Store(store) as opened:
            trace = opened.trace()
            assert len(list(trace.streams[0].records())) == 2

    def test_a_few_processes_are_worth_no_file(self, tmp_path: Path) -> None:
        write(tmp_path, "one", 1)
        assert names(tmp_path / ".kolo_c") == ["one"]
        assert not (tmp_path / ".kolo_c" / NAME).exists()

    def test_a_new_process_alone_is_opened(
        self, store: Path, opened: list[str]
    ) -> None:
        names(store)
        new = write(store.parent, "new", 100)
        opened.clear()
        assert names(store) == ["new", *ALL]
        assert opened == [new.id]

    def test_a_segment_that_changed_is_read_again(
        self, store: Path, opened: list[str]
    ) -> None:
        names(store)
        (path,) = (store / "segments").glob(f"{opened[0]}-0.db")
        database = sqlite3.connect(path)
        database.execute("UPDATE trace SET name = 'renamed'")
        database.commit()
        database.close()
        opened.clear()
        assert "renamed" in names(store)
        assert len(opened) == 1

    def test_a_segment_replaced_by_one_of_its_size_and_time_is_read_again(
        self, store: Path, opened: list[str]
    ) -> None:
        names(store)
        (path,) = (store / "segments").glob(f"{opened[0]}-0.db")
        status = path.stat()
        copy = path.with_name("copy")
        shutil.copyfile(path, copy)
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace(copy, path)
        opened.clear()
        names(store)
        assert len(opened) == 1

    def test_traces_of_a_removed_segment_are_gone(
        self, store: Path, opened: list[str]
    ) -> None:
        names(store)
        newest = opened[0]
        for path in (store / "segments").glob(f"{newest}-*"):
            path.unlink()
        opened.clear()
        assert names(store) == ALL[1:]
        with catalogue(store) as found:
            assert found.count() == COUNT - 1
            with pytest.raises(TraceNotFound):
                found.find(newest)
        assert opened == []

    def test_removed_processes_leave_the_file_at_last(self, store: Path) -> None:
        names(store)
        for path in sorted((store / "segments").iterdir())[:10]:
            path.unlink()
        names(store)
        database = sqlite3.connect(store / NAME)
        assert database.execute("SELECT COUNT(*) FROM process").fetchone() == (2,)
        assert database.execute("SELECT COUNT(*) FROM trace").fetchone() == (2,)
        database.close()

    def test_several_traces_and_segments_of_one_process_are_all_in_it(
        self, store: Path, opened: list[str]
    ) -> None:
        process = ProcessBuilder()
        process.now_ns += 100 * SECOND_NS
        for number in range(3):
            process.trace(f"request {number}").end()
            process.now_ns += SECOND_NS
        process.write(store.parent, blocks=[], segment=0)
        process.trace("request 3").end()
        process.write(store.parent, blocks=[], segment=1)
        expected = [f"request {number}" for number in (3, 2, 1, 0)] + ALL
        assert names(store) == expected
        opened.clear()
        assert names(store) == expected
        assert opened == []
        with catalogue(store) as found:
            assert found.count() == COUNT + 4

    def test_a_living_process_is_never_in_it(
        self, store: Path, opened: list[str]
    ) -> None:
        process = ProcessBuilder()
        process.ended = False
        process.now_ns += 100 * SECOND_NS
        code = process.code(process.file("/app/shop.py"), "main")
        trace = process.trace("running")
        stream = trace.stream(process.thread("MainThread"))
        stream.call(code)
        stream.cut()
        process.write(store.parent, blocks=[])
        mapping = process.write_mapping(store.parent, stream.blocks)
        with Owner(mapping):
            for _ in range(2):
                opened.clear()
                assert names(store) == ["running", *ALL]
                assert process.id in opened
        database = sqlite3.connect(store / NAME)
        query = "SELECT COUNT(*) FROM process WHERE id = ?"
        assert database.execute(query, (process.id,)).fetchone() == (0,)
        database.close()

    def test_a_name_that_is_no_text_of_utf_8_breaks_nothing(self, store: Path) -> None:
        process = write(store.parent, "odd", 100)
        database = sqlite3.connect(process.segment_path(store))
        database.execute("UPDATE trace SET name = CAST(x'61eda080ff' AS TEXT)")
        database.commit()
        database.close()
        with catalogue(store) as found:
            read = found.latest(1)[0].row.name
        for _ in range(2):
            assert names(store)[0] == read


class TestDamage:
    @pytest.mark.parametrize(
        "damage",
        [
            lambda path: path.write_bytes(b"not a database, and long enough" * 64),
            lambda path: path.write_bytes(b""),
            lambda path: os.truncate(path, path.stat().st_size // 2),
            lambda path: execute(path, "DROP TABLE trace"),
            lambda path: execute(path, "ALTER TABLE trace DROP COLUMN cause"),
            lambda path: execute(path, "UPDATE trace SET name = x'ff'"),
            lambda path: execute(path, "UPDATE process SET traces = 'many'"),
            lambda path: execute(path, f"PRAGMA user_version = {VERSION + 1}"),
        ],
        ids=["garbage", "empty", "cut", "no-table", "no-column", "no-text", "no-number",
             "newer"],
    )  # fmt: skip
    def test_what_cannot_be_used_is_ignored_and_written_anew(
        self, store: Path, opened: list[str], damage: Callable[[Path], object]
    ) -> None:
        names(store)
        damage(store / NAME)
        opened.clear()
        assert names(store) == ALL
        assert len(opened) == COUNT
        opened.clear()
        assert names(store) == ALL
        assert opened == []

    def test_damage_met_while_searching_is_searched_around(
        self, store: Path, opened: list[str]
    ) -> None:
        names(store)
        execute(store / NAME, "UPDATE trace SET started_ns = 'then'")
        with catalogue(store) as found:
            trace = found.latest(1)[0]
        with catalogue(store) as found:
            assert found.find(trace.id[-8:]).row == trace.row
            assert found.endings([trace])[trace.id] >= 3

    def test_a_file_that_somebody_locks_is_done_without(
        self, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kolo_c.store.catalogue_file._WAIT_SECONDS", 0.01)
        names(store)
        before = (store / NAME).read_bytes()
        other = sqlite3.connect(store / NAME, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        try:
            assert names(store) == ALL
        finally:
            other.execute("ROLLBACK")
            other.close()
        assert (store / NAME).read_bytes() == before

    def test_a_store_that_cannot_be_written_to_is_read_without(
        self, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Root may write everywhere: a folder in the file's place refuses everybody.
        (store / NAME).mkdir()
        assert names(store) == ALL
        assert names(store, 2) == ALL[:2]
        assert not [path for path in store.iterdir() if path.name.endswith(".new")]

    @pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
    def test_a_store_without_permission_is_read_without(self, store: Path) -> None:
        store.chmod(0o500)
        try:
            assert names(store) == ALL
        finally:
            store.chmod(0o700)

    def test_an_unfinished_write_leaves_the_old_file(self, store: Path) -> None:
        names(store)
        with catalogue(store) as found:
            (trace,) = found.latest(1)
            file = CatalogueFile(store)
            file.known()

            def half() -> Iterator[tuple[str, str, int, list[object]]]:
                yield "one", "identity", 1, [trace]
                raise OSError("the disk is gone")

            assert not file.save(half())  # type: ignore[arg-type]
            file.close()
        database = sqlite3.connect(store / NAME)
        assert database.execute("SELECT COUNT(*) FROM process").fetchone() == (COUNT,)
        database.close()


class TestLatest:
    def test_the_newest_are_found_without_reading_the_rest(
        self, store: Path, opened: list[str]
    ) -> None:
        assert names(store, 2) == ALL[:2]
        assert len(opened) == 2

    def test_patience_reads_on_for_the_next_time(
        self, store: Path, opened: list[str]
    ) -> None:
        with catalogue(store) as found:
            assert len(found.latest(2, patience_seconds=60)) == 2
            assert found.complete and found.count() == COUNT
        opened.clear()
        assert names(store, 2) == ALL[:2]
        assert opened == []

    def test_what_is_wanted_is_looked_for_in_all(self, store: Path) -> None:
        for _ in range(2):  # from the segments, and from the file
            with catalogue(store) as found:
                traces = found.latest(1, wanted=lambda each: each.row.name == "trace 3")
            assert [trace.row.name for trace in traces] == ["trace 3"]
            names(store)

    def test_files_that_ended_before_are_not_opened_for_what_is_since(
        self, store: Path, opened: list[str]
    ) -> None:
        since_utc_ns = START_UTC_NS + 9 * SECOND_NS
        with catalogue(store) as found:
            traces = found.latest(since_utc_ns=since_utc_ns)
        assert [trace.row.name for trace in traces] == ALL[:3]
        assert len(opened) <= 4
        names(store)
        with catalogue(store) as found:
            assert len(found.latest(since_utc_ns=since_utc_ns)) == 3

    def test_many_are_read_page_by_page(
        self, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names(store)
        monkeypatch.setattr(module, "_PAGE", 2)
        monkeypatch.setattr(module, "_LARGEST_PAGE", 3)
        assert names(store) == ALL

    def test_traces_that_began_at_once_are_all_there(self, tmp_path: Path) -> None:
        for number in range(COUNT):
            write(tmp_path, f"{number}", 1)
        first = names(tmp_path / ".kolo_c")
        assert sorted(first, key=int) == [str(number) for number in range(COUNT)]
        assert names(tmp_path / ".kolo_c") == first

    def test_deleted_traces_are_in_the_file_and_not_in_the_list(
        self, store: Path, opened: list[str]
    ) -> None:
        with catalogue(store) as found:
            newest = found.latest()[0]
        put_mark(store, DELETED, (newest.id, newest.files.id))
        opened.clear()
        with catalogue(store) as found:
            assert [trace.row.name for trace in found.latest()] == ALL[1:]
            assert found.count() == COUNT - 1
            with pytest.raises(TraceNotFound):
                found.find(newest.id)
        assert opened == []

    def test_what_another_forgets_meanwhile_is_read_from_its_segment(
        self, store: Path
    ) -> None:
        """A deletion takes its process's rows out of the file: a list that knew of
        them from before showed none of the process's other traces."""
        with Store(store) as first:
            first.traces()
        ids = [files.id for files in list_processes(store)]
        with Store(store) as opened:
            assert CatalogueFile(store).save((), ids[:3])
            assert len(opened.traces()) == COUNT
        with Store(store) as opened:
            assert len(opened.traces(2)) == 2
            assert CatalogueFile(store).save((), ids)
            assert len(opened.traces()) == COUNT
            assert len(opened.catalogue.endings(opened.traces())) == COUNT

    def test_what_another_deletes_meanwhile_is_no_error(self, store: Path) -> None:
        with Store(store) as opened:
            gone = list_processes(store)[0]
            gone.segments[0].unlink()
            assert len(opened.traces()) == COUNT - 1
            assert opened.catalogue.errors == []

    def test_processes_do_not_stay_open_by_the_thousand(self, store: Path) -> None:
        with catalogue(store) as found:
            traces = found.latest()
            assert len(found._opened) < COUNT
            # All the same, each trace has its process when it is asked for.
            assert all(trace.process.segments[0].traces() for trace in traces)


class TestEndings:
    def test_endings_are_the_same_from_segments_and_from_the_file(
        self, tmp_path: Path
    ) -> None:
        ids = ["trc_" + ulid(f"{number:03}7QK") for number in range(COUNT)]
        for number, id in enumerate(ids):
            write(tmp_path, str(number), number, id=id)
        store = tmp_path / ".kolo_c"
        for _ in range(2):
            with catalogue(store) as found:
                traces = found.latest()
                assert set(found.endings(traces).values()) == {4, 5}
                assert found.endings(traces[:1]) == {ids[-1]: 5}
                assert found.find("0117qk").id == ids[-1]
                with pytest.raises(TraceNotFound, match=f"{COUNT} traces"):
                    found.find("7QK")

    def test_neighbours_suffice_where_few_of_many_are_shown(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_PAGE", 1)
        self.test_endings_are_the_same_from_segments_and_from_the_file(tmp_path)

    def test_an_ending_is_long_while_not_all_has_been_read(self, store: Path) -> None:
        with catalogue(store) as found:
            traces = found.latest(1)
            assert not found.complete
            assert found.endings(traces) == {traces[0].id: 8}

    def test_a_whole_id_needs_no_other_file(
        self, store: Path, opened: list[str]
    ) -> None:
        with catalogue(store) as found:
            newest = found.latest(1)[0]
        opened.clear()
        with catalogue(store) as found:
            assert found.find(newest.id).row == newest.row
            assert found.find(newest.id[4:]).row == newest.row
        assert len(opened) <= 2


class TestFiles:
    def test_the_files_of_a_process_stand_together(self, tmp_path: Path) -> None:
        segments = tmp_path / "segments"
        segments.mkdir()
        for name in ("a-10.db", "a-9.db", "a-9.db-wal", "b.map", "x.db", "-1.db",
                     "a-9.db-shm", "a-9.db.new", "c-²-0.db"):  # fmt: skip
            (segments / name).write_bytes(b"1234")
        a, b, c = list_processes(tmp_path)
        assert [path.name for path in a.segments] == ["a-9.db", "a-10.db"]
        assert (a.bytes(), a.mapping, a.has_mapping) == (12, None, False)
        assert b.segments == () and b.mapping == segments / "b.map"
        assert c.id == "c-²"
        assert a.identity() != b.identity() == ""


@pytest.fixture
def here(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(store.parent)
    monkeypatch.delenv("KOLO_C_PATH", raising=False)
    return store.parent


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert command_line.main(["list", *words]) == 0
    return capsys.readouterr().out


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    return [row["name"] for row in json.loads(run(capsys, "--json", *words))]


class TestList:
    def test_attributes_find_traces(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(here, "one", 101, attributes={"user": "ann", "items": 3, "vip": True})
        write(here, "two", 102, attributes={"user": "bob", "items": 3, "rate": 1.5})
        write(here, "three", 103, attributes={"user": "a=b"})
        for _ in range(2):  # the second time from the catalogue
            assert listed(capsys, "--where", "user") == ["three", "two", "one"]
            assert listed(capsys, "--where", "user=ann") == ["one"]
            assert listed(capsys, "--where", "user=a=b") == ["three"]
            assert listed(capsys, "--where", "items=3") == ["two", "one"]
            assert listed(capsys, "--where", "items=3", "--where", "vip=true") == [
                "one"
            ]
            assert listed(capsys, "--where", "vip=True") == ["one"]
            assert listed(capsys, "--where", "rate=1.5") == ["two"]
            assert listed(capsys, "--where", "user=") == []
            assert listed(capsys, "--where", "nothing") == []
            assert listed(capsys, "--where", "items=3", "-n", "1") == ["two"]

    def test_a_condition_without_a_key_is_refused(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert command_line.main(["list", "--where", "=3"]) == 2
        assert "--where KEY=VALUE" in capsys.readouterr().err

    def test_names_find_traces(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert listed(capsys, "--name", "ace 3") == ["trace 3"]
        assert listed(capsys, "--name", "trace ?") == ALL[2:]
        assert listed(capsys, "--name", "[tT]race 1*") == [
            "trace 11", "trace 10", "trace 1",
        ]  # fmt: skip
        assert listed(capsys, "--name", "race ?") == []

    def test_what_failed_is_found(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(here, "raised", 101, cause="exception")
        write(here, "told", 102, attributes={ATTRIBUTE: '{"chain": []}'})
        process = ProcessBuilder()
        process.now_ns += 103 * SECOND_NS
        process.ended = False
        process.trace("died")
        process.write(here)
        assert listed(capsys, "--failed") == ["died", "told", "raised"]
        assert json.loads(run(capsys, "--json", "-n", "1"))[0]["failed"] is True

    def test_nothing_of_a_time_is_not_nothing_at_all(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Files that are older than that are not opened for it: a full store was
        called empty."""
        assert "No such trace" in run(capsys, "--since", "2096-01-01")

    def test_a_kind_that_there_is_not_is_wrong_usage(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(capsys, "--kind", "task", "--json") == "[]\n"
        assert command_line.main(["list", "--kind", "tset"]) == 2
        said = capsys.readouterr()
        assert "no trace is of this kind" in said.err and "test, task" in said.err

    def test_since_takes_an_age_or_a_date(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert listed(capsys, "--since", "2020-01-01") == ALL
        assert listed(capsys, "--since", "2096-01-01") == []
        assert "No such trace" in run(capsys, "--since", "2096-01-01")
        assert command_line.main(["list", "--since", "yesterdayish"]) == 2
        assert "7d" in capsys.readouterr().err

    def test_pinned_traces_say_so(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        newest = json.loads(run(capsys, "--json", "-n", "1"))[0]
        assert newest["pinned"] is False
        assert command_line.main(["pin", newest["id"]]) == 0
        capsys.readouterr()
        assert json.loads(run(capsys, "--json", "-n", "1"))[0]["pinned"] is True
        rows = run(capsys, "-n", "2").splitlines()
        assert "complete, pinned" in rows[1] and "pinned" not in rows[2]

    def test_a_pipe_gets_all_and_a_count_of_nothing_means_all(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for number in range(20):
            write(here, f"more {number}", 100 + number)
        assert len(run(capsys).splitlines()) == COUNT + 20 + 1
        assert len(run(capsys, "-n", "0").splitlines()) == COUNT + 20 + 1
        assert len(run(capsys, "-n", "5").splitlines()) == 6

    def test_a_terminal_gets_a_screenful_and_the_way_to_all(
        self, here: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        for number in range(20):
            write(here, f"more {number}", 100 + number)
        terminal(monkeypatch, 120)
        run(capsys, "-n", "0")  # now all are in the catalogue
        *rows, last = run(capsys).splitlines()
        assert len(rows) == 21
        assert last == f"20 of {COUNT + 20} traces; -n 0 lists all"
        assert "more 19" in rows[1]
        assert (
            run(capsys, "--name", "more").splitlines()[-1].startswith("the newest 20")
        )

    @pytest.mark.parametrize("width", [40, 60, 80, 100])
    def test_a_table_is_as_narrow_as_the_terminal(
        self, here: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch, width: int,
    ) -> None:  # fmt: skip
        write(here, "a name that is as long as names of tests can be " * 3, 100)
        terminal(monkeypatch, width)
        lines = run(capsys).splitlines()
        newest = json.loads(run(capsys, "--json", "-n", "1"))[0]
        assert max(map(len, lines)) <= width
        assert newest["short_id"] in lines[1] and "a name that" in lines[1]


def terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Let the output be taken for a terminal without colours."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("kolo_c.cli.screen.is_terminal", lambda file: True)


def execute(path: Path, sql: str) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(sql)
    database.close()
