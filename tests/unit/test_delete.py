"""delete, pin, unpin and retention: what goes, what stays, and when its space is free."""

from __future__ import annotations

import datetime
import errno
import fcntl
import json
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from kolo_c.cli.delete import read_moment
from kolo_c.errors import KoloError
from kolo_c.store import connection, deletions, rewrite
from kolo_c.store.deletions import delete, sweep
from kolo_c.store.marks import DELETED, PINS, has_due, put_mark, read_marks
from kolo_c.store.pins import pin, read_pins
from kolo_c.store.reader import Store
from kolo_c.store.retention import apply_retention
from kolo_c.wire import Kind
from tests.unit.store_builder import START_UTC_NS, Owner, ProcessBuilder

DAY_NS = 86_400 * 10**9
PADDING = "x" * 2000


def process_with(count: int, *, calls: int = 20, **options: Any) -> ProcessBuilder:
    """A process with ``count`` traces, each with calls that take some room."""
    process = ProcessBuilder(**options)
    code = process.code(process.file("/app/shop.py"), "work", ("n", "text"))
    thread = process.thread("MainThread")
    for number in range(count):
        process.now_ns += 1_000_000_000
        trace = process.trace(f"trace {number}")
        stream = trace.stream(thread)
        for call in range(calls):
            stream.call(code, call, f"{number} {PADDING}")
            stream.ret(call)
        trace.end()
    return process


def names(store: Path) -> list[str]:
    """The traces' names, the newest first."""
    with Store(store) as opened:
        return [trace.row.name for trace in opened.traces()]


def arguments(store: Path, ending: str) -> list[Any]:
    """The first argument of each call of a trace."""
    with Store(store) as opened:
        trace = opened.trace(ending)
        return [
            record.arguments[0]
            for stream in trace.streams
            for record in stream.records()
            if record.kind == Kind.CALL
        ]


def mark(process: ProcessBuilder, index: int) -> tuple[str, str]:
    """The name of a trace's mark."""
    return process.traces[index].id, process.id


class TestDelete:
    def test_a_segment_of_one_trace_goes_with_it(self, go: Any, tmp_path: Path) -> None:
        keep, gone = process_with(1), process_with(1)
        store = keep.write(tmp_path)
        gone.write(tmp_path)
        size = gone.segment_path(store).stat().st_size
        code, out, err = go("delete", gone.traces[0].id[-8:])
        assert (code, err) == (0, "")
        assert out.startswith("Deleted 1 trace, freed ")
        assert not gone.segment_path(store).exists()
        assert names(store) == ["trace 0"]
        report = json.loads(go("delete", "--keep", "0", "--json")[1])
        assert report["deleted"] == [keep.traces[0].id]
        assert report["freed_bytes"] == size
        assert os.listdir(store / "deleted") == []

    def test_of_several_traces_in_a_segment_the_others_stay(
        self, go: Any, tmp_path: Path
    ) -> None:
        process = process_with(3)
        store = process.write(tmp_path)
        path = process.segment_path(store)
        os.utime(path, ns=(5 * DAY_NS, 7 * DAY_NS))
        before = path.stat().st_size
        code, out, _ = go("delete", process.traces[1].id, "--json")
        report = json.loads(out)
        assert code == 0
        assert report["freed_bytes"] == before - path.stat().st_size > before // 5
        assert names(store) == ["trace 2", "trace 0"]
        for index in (0, 2):
            assert arguments(store, process.traces[index].id) == list(range(20))
        assert path.stat().st_mtime_ns == 7 * DAY_NS, "retention goes by it"
        assert sorted(os.listdir(store / "segments")) == [path.name]

    def test_nothing_of_a_deleted_trace_is_left_in_the_file(
        self, tmp_path: Path
    ) -> None:
        process = process_with(2)
        process.traces[0].name = "ONE-NAME"
        secret = process.trace("OTHER-NAME", process.traces[1].id[:-4] + "ZZZZ")
        secret.stream(1).call(process.code(1, "f", ("a",)), "ITS-VALUE")
        secret.end()
        store = process.write(tmp_path)
        assert b"OTHER-NAME" in process.segment_path(store).read_bytes()
        delete(store, [(secret.id, process.id)])
        left = process.segment_path(store).read_bytes()
        for text in (b"OTHER-NAME", b"ITS-VALUE", secret.id.encode()):
            assert text not in left
        assert b"ONE-NAME" in left

    def test_nothing_of_it_is_left_in_the_whole_store(
        self, go: Any, tmp_path: Path
    ) -> None:
        """The catalogue had its name, and keeps what it has of the others."""
        processes = [process_with(1) for _ in range(20)]
        for process in processes:
            process.traces[0].name = f"NAME-{process.id}-OF-IT"
            store = process.write(tmp_path)
        assert go("list")[0] == 0
        gone = processes[7]
        before = (store / "catalogue.db").read_bytes()
        assert gone.traces[0].name.encode() in before
        assert go("delete", gone.traces[0].id)[0] == 0
        for path in store.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert gone.traces[0].name.encode() not in content, path
                assert gone.traces[0].id.encode() not in content, path
        assert (
            processes[8].traces[0].id.encode() in (store / "catalogue.db").read_bytes()
        )
        assert len(names(store)) == 19

    def test_what_a_living_process_has_is_hidden_and_freed_later(
        self, go: Any, tmp_path: Path
    ) -> None:
        process = process_with(2)
        store = process.write(tmp_path)
        before = process.segment_path(store).stat().st_size
        mapping = process.write_mapping(tmp_path, [])
        with Owner(mapping):
            code, out, _ = go("delete", process.traces[0].id)
            assert code == 0
            assert "freed 0 B; the space is freed when the program" in out
            assert names(store) == ["trace 1"]
            code, _, err = go("show", process.traces[0].id)
            assert (code, "no trace ends in" in err) == (1, True)
            assert process.segment_path(store).stat().st_size == before
            assert not has_due(store)
        mapping.unlink()  # as its recovery does
        assert has_due(store)
        assert go("list")[0] == 0
        assert process.segment_path(store).stat().st_size < before
        assert names(store) == ["trace 1"]
        assert not has_due(store)

    def test_a_running_process_without_a_mapping_is_left_alone(
        self, tmp_path: Path
    ) -> None:
        process = process_with(2, host=os.uname().nodename)
        process.ended = False
        process.pid = os.getpid()
        store = process.write(tmp_path)
        before = process.segment_path(store).stat()
        swept = delete(store, [mark(process, 0)])
        assert swept.waiting == {mark(process, 0)}
        after = process.segment_path(store).stat()
        assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
        assert names(store) == ["trace 1"]

    def test_a_trace_in_two_segments_goes_from_both(self, tmp_path: Path) -> None:
        process = process_with(2)
        store = process.write(tmp_path, blocks=process.blocks()[:1])
        process.write(tmp_path, blocks=process.blocks()[1:], segment=1)
        swept = delete(store, [mark(process, 0)])
        assert not swept.problems
        for segment in (0, 1):
            with sqlite3.connect(process.segment_path(store, segment)) as db:
                assert db.execute("SELECT id FROM trace").fetchall() == [
                    (process.traces[1].id,)
                ]
                assert (
                    db.execute("SELECT 1 FROM block WHERE trace = 1").fetchall() == []
                )
            db.close()
        assert arguments(store, process.traces[1].id) == list(range(20))

    def test_a_crash_in_the_middle_leaves_the_old_segment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process = process_with(2)
        store = process.write(tmp_path)
        before = process.segment_path(store).read_bytes()

        class Killed(BaseException):
            """As if the machine had stopped."""

        def die(*_: Any, **__: Any) -> None:
            raise Killed

        monkeypatch.setattr(rewrite, "put_in_place", die)
        monkeypatch.setattr(rewrite.NewSegment, "discard", lambda self: None)
        with pytest.raises(Killed):
            delete(store, [mark(process, 0)])
        monkeypatch.undo()
        assert process.segment_path(store).read_bytes() == before
        assert names(store) == ["trace 1"], "hidden all the same"
        assert len(list((store / "segments").glob("*.new"))) == 1
        sweep(store)
        assert process.segment_path(store).stat().st_size < len(before)
        (half,) = (store / "segments").glob("*.new")
        os.utime(half, (1000, 1000))
        apply_retention(store, max_bytes=None, keep_days=None)
        assert not half.exists()

    def test_a_reader_goes_on_with_the_file_it_has_open(self, tmp_path: Path) -> None:
        process = process_with(3)
        store = process.write(tmp_path)
        with Store(store) as reader:
            trace = reader.trace(process.traces[0].id)
            other = reader.trace(process.traces[2].id)
            delete(store, [mark(process, 0), mark(process, 1)])
            for opened in (trace, other):
                records = list(opened.stream(1).records())
                assert len(records) == 40
        assert names(store) == ["trace 2"]

    def test_a_wal_that_was_left_is_folded_in_first(self, tmp_path: Path) -> None:
        """Beside the new file it would be applied to it, and destroy it."""
        process = process_with(3)
        store = process.write(tmp_path)
        path = process.segment_path(store)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("PRAGMA wal_autocheckpoint = 0")
        holder.execute("UPDATE trace SET name = 'from the wal' WHERE number = 3")
        assert Path(f"{path}-wal").stat().st_size > 0
        swept = delete(store, [mark(process, 0)])
        assert not swept.problems
        assert not Path(f"{path}-wal").exists()
        holder.close()
        assert names(store) == ["from the wal", "trace 1"]
        with sqlite3.connect(path) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        db.close()

    def test_a_wal_that_is_in_use_puts_it_off(self, tmp_path: Path) -> None:
        process = process_with(2)
        store = process.write(tmp_path)
        path = process.segment_path(store)
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM trace").fetchall()
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("UPDATE trace SET name = 'in the wal' WHERE number = 2")
        swept = delete(store, [mark(process, 0)])
        assert "in use" in swept.problems[0]
        assert names(store) == ["in the wal"]
        reader.close()
        writer.close()
        assert not sweep(store).problems
        assert names(store) == ["in the wal"]

    def test_two_at_once_delete_each_their_own(self, tmp_path: Path) -> None:
        process = process_with(12)
        store = process.write(tmp_path)
        start = threading.Barrier(4)
        failures = []

        def work(index: int) -> None:
            start.wait()
            try:
                for trace in range(index, 8, 4):
                    assert not delete(store, [mark(process, trace)]).problems
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert names(store) == [f"trace {index}" for index in (11, 10, 9, 8)]
        assert read_marks(store, DELETED) == set()
        for index in range(8, 12):
            assert arguments(store, process.traces[index].id) == list(range(20))

    def test_a_sweep_that_another_is_at_is_left_to_it(self, tmp_path: Path) -> None:
        process = process_with(2)
        store = process.write(tmp_path)
        fd = os.open(store / "segments", os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        swept = delete(store, [mark(process, 0)], patience_seconds=0.1)
        assert swept.waiting == {mark(process, 0)}
        assert names(store) == ["trace 1"]
        os.close(fd)
        assert sweep(store).freed_bytes > 0

    def test_a_damaged_segment_keeps_the_others_from_nothing(
        self, go: Any, tmp_path: Path
    ) -> None:
        good, bad = process_with(2), process_with(2)
        store = good.write(tmp_path)
        bad.write(tmp_path)
        marks = [mark(good, 0), mark(bad, 0)]
        bad.segment_path(store).write_bytes(b"SQLite format 3\0" + b"?" * 8000)
        swept = delete(store, marks)
        assert len(swept.problems) == 1
        assert bad.segment_path(store).name in swept.problems[0]
        assert names(store) == ["trace 1"]
        assert swept.freed_bytes > 0

    @pytest.mark.parametrize("command", ["delete", "pin"])
    def test_a_store_without_permission_says_so(
        self, go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
    ) -> None:
        """Permissions hold nobody who runs the tests as root: the answer is made up."""
        process = process_with(1)
        store = process.write(tmp_path)

        def refuse(path: Any, *_: Any, **__: Any) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", path)

        with monkeypatch.context() as patched:
            patched.setattr(os, "mkdir", refuse)
            code, out, err = go(command, process.traces[0].id)
        assert (code, out) == (1, "")
        folder = {"delete": "deleted", "pin": "pins"}[command]
        assert f"error: {store}/{folder}: cannot be written: Permission denied" in err
        assert "Check its permissions" in err
        assert names(store) == ["trace 0"]

    def test_space_that_cannot_be_freed_is_said_and_freed_later(
        self, go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process = process_with(2)
        store = process.write(tmp_path)

        def refuse(*_: Any, **__: Any) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", refuse)
            code, out, err = go("delete", process.traces[0].id)
        assert (code, out) == (1, "Deleted 1 trace, freed 0 B.\n")
        assert "space not freed yet: " in err
        assert "cannot be written: Permission denied" in err
        assert names(store) == ["trace 1"]
        before = process.segment_path(store).stat().st_size
        assert go("list")[0] == 0
        assert process.segment_path(store).stat().st_size < before
        assert sorted(os.listdir(store / "segments")) == [
            process.segment_path(store).name
        ]

    def test_ctrl_c_leaves_the_rest_to_the_next_command(
        self, go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process = process_with(2)
        store = process.write(tmp_path)

        def interrupt(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(rewrite.NewSegment, "copy", interrupt)
            code, out, err = go("delete", process.traces[0].id)
        assert (code, out) == (130, "")
        assert "interrupted" in err
        assert names(store) == ["trace 1"]
        assert sorted(os.listdir(store / "segments")) == [
            process.segment_path(store).name
        ]
        assert sweep(store).freed_bytes > 0

    def test_python_s_own_sqlite_does_it_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where there is no extension."""
        monkeypatch.setattr(connection, "_extension", None)
        process = process_with(3)
        store = process.write(tmp_path)
        assert delete(store, [mark(process, 1)]).problems == []
        assert names(store) == ["trace 2", "trace 0"]
        assert arguments(store, process.traces[2].id) == list(range(20))

    def test_a_mark_that_cannot_be_removed_keeps_nobody_from_reading(
        self, go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A store that only its owner may write to, with a mark of what has gone."""
        store = process_with(1).write(tmp_path)
        put_mark(store, DELETED, ("trc_LONGGONE", "PROCESS"))
        put_mark(store, DELETED, "PROCESS-0.db")

        def refuse(path: Any, *_: Any, **__: Any) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", path)

        monkeypatch.setattr(os, "unlink", refuse)
        code, out, err = go("list")
        assert (code, err) == (0, "")
        assert "trace 0" in out

    def test_pins_that_cannot_be_read_are_no_lack_of_pins(
        self, go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Somebody else's pins, or no descriptor left: what they keep would go."""
        process = process_with(2)
        store = process.write(tmp_path)
        os.utime(process.segment_path(store), (1000, 1000))
        pin(store, mark(process, 1), 10)
        put_mark(store, DELETED, process.segment_path(store).name)
        listdir = os.listdir

        def refuse(path: Any = ".") -> list[str]:
            if os.fspath(path).endswith("pins"):
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return listdir(path)

        with monkeypatch.context() as patched:
            patched.setattr(os, "listdir", refuse)
            removed = apply_retention(store, max_bytes=0, keep_days=1)
            assert (removed.segments, removed.marked) == (0, 0)
            code, _, err = go("list")
            assert code == 1
            assert f"error: {store}/pins: cannot be read: Permission denied" in err
            assert go("delete", "--keep", "0")[0] == 1
        assert names(store) == ["trace 1", "trace 0"]
        assert go("list")[0] == 0
        assert names(store) == ["trace 1"]

    def test_a_segment_goes_only_with_all_that_has_blocks_in_it(
        self, tmp_path: Path
    ) -> None:
        """A block of a trace may be in another segment than its row."""
        process = process_with(2, calls=30)
        blocks = process.blocks()
        traces = process.traces
        process.traces = traces[:1]
        store = process.write(tmp_path, blocks=[])
        process.traces = traces[1:]
        process.write(tmp_path, blocks=blocks, segment=1)
        process.traces = traces
        assert delete(store, [mark(process, 1)]).problems == []
        assert names(store) == ["trace 0"]
        assert arguments(store, process.traces[0].id) == list(range(30))

    def test_what_is_stuck_elsewhere_does_not_make_it_a_failure(
        self, go: Any, tmp_path: Path
    ) -> None:
        good, bad = process_with(1), process_with(1)
        store = good.write(tmp_path)
        bad.write(tmp_path)
        put_mark(store, DELETED, mark(bad, 0))
        bad.segment_path(store).write_bytes(b"SQLite format 3\0" + b"?" * 8000)
        code, out, err = go("delete", good.traces[0].id)
        assert (code, out.startswith("Deleted 1 trace, freed ")) == (0, True)
        assert "space not freed yet: " in err

    def test_a_forced_deletion_is_a_later_word_than_the_pin(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A command that sweeps between the mark and the end of the pin takes the
        mark away; the trace was said to be deleted, and was there."""
        process = process_with(1)
        store = process.write(tmp_path)
        pin(store, mark(process, 0), 10)
        remove_mark = deletions.remove_mark

        def sweeping(store: Path, folder: str, name: Any) -> bool:
            monkeypatch.setattr(deletions, "remove_mark", remove_mark)
            sweep(store)
            return remove_mark(store, folder, name)

        monkeypatch.setattr(deletions, "remove_mark", sweeping)
        delete(store, [mark(process, 0)])
        assert names(store) == []

    def test_no_file_of_a_killed_rewriting_is_left_beside_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A journal would be: nothing removes that of a file which is not there."""
        process = process_with(2)
        store = process.write(tmp_path)
        seen: list[str] = []
        finish = rewrite.NewSegment.finish

        def look(self: rewrite.NewSegment, **how: Any) -> None:
            self.execute("BEGIN")
            self.execute("UPDATE process SET pid = 1")
            seen.extend(os.listdir(store / "segments"))
            self.execute("COMMIT")
            finish(self, **how)

        monkeypatch.setattr(rewrite.NewSegment, "finish", look)
        delete(store, [mark(process, 0)])
        name = process.segment_path(store).name
        assert len(seen) == 2
        assert all(each == name or each.endswith(".new") for each in seen)

    def test_a_folder_of_marks_that_cannot_be_made_says_so(
        self, go: Any, tmp_path: Path
    ) -> None:
        process = process_with(1)
        store = process.write(tmp_path)
        (store / "deleted").write_text("in the way")
        code, _, err = go("delete", process.traces[0].id)
        assert code == 1
        assert f"{store}/deleted: cannot be written" in err
        assert names(store) == ["trace 0"]

    def test_on_a_full_disk_what_can_go_goes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone, living = process_with(1), process_with(1)
        store = gone.write(tmp_path)
        living.write(tmp_path)
        make = os.mkdir

        def refuse(path: Any, *args: Any, **options: Any) -> None:
            if str(path).endswith("deleted"):
                raise OSError(errno.ENOSPC, "No space left on device")
            make(path, *args, **options)

        monkeypatch.setattr(os, "mkdir", refuse)
        assert delete(store, [mark(gone, 0)]).freed_bytes > 0
        assert not gone.segment_path(store).exists()
        mapping = living.write_mapping(tmp_path, [])
        with Owner(mapping), pytest.raises(KoloError, match="No space left"):
            delete(store, [mark(living, 0)])
        assert names(store) == ["trace 0"]

    def test_an_id_that_is_no_file_name_is_refused(self, tmp_path: Path) -> None:
        process = ProcessBuilder()
        process.trace("evil", "trc_../../../../tmp/x").end()
        store = process.write(tmp_path)
        with pytest.raises(KoloError, match="cannot be the id of a trace"):
            delete(store, [mark(process, 0)])


class TestChoice:
    def test_keep_leaves_the_newest(self, go: Any, tmp_path: Path) -> None:
        process = process_with(5)
        store = process.write(tmp_path)
        code, out, _ = go("delete", "--keep", "2")
        assert code == 0
        assert out.startswith("Deleted 3 traces")
        assert names(store) == ["trace 4", "trace 3"]
        assert go("delete", "--keep", "2")[1] == "Nothing to delete.\n"

    def test_older_than_goes_by_the_beginning(self, go: Any, tmp_path: Path) -> None:
        process = process_with(4)
        store = process.write(tmp_path)
        third = process.traces[2].row()[6]
        moment = f"{third // 10**9 + 0.5:.1f}"
        date = datetime.datetime.fromtimestamp(float(moment)).isoformat()
        assert third > START_UTC_NS
        go("delete", "--older-than", date)
        assert names(store) == ["trace 3"]

    def test_both_take_what_is_old_and_not_among_the_newest(
        self, go: Any, tmp_path: Path
    ) -> None:
        process = process_with(4)
        store = process.write(tmp_path)
        go("delete", "--older-than", "2000-01-01", "--keep", "0")
        assert len(names(store)) == 4
        go("delete", "--older-than", "2200-01-01", "--keep", "1")
        assert names(store) == ["trace 3"]

    def test_a_dry_run_deletes_nothing(self, go: Any, tmp_path: Path) -> None:
        process = process_with(3)
        store = process.write(tmp_path)
        code, out, _ = go("delete", "--keep", "1", "--dry-run")
        assert code == 0
        assert "Would delete 2 traces (" in out and "of the files they are in)" in out
        assert process.traces[0].id in out
        report = json.loads(go("delete", "--keep", "1", "--dry-run", "--json")[1])
        assert report["would_delete"] == [process.traces[i].id for i in (1, 0)]
        assert report["dry_run"] is True
        assert len(names(store)) == 3
        assert not (store / "deleted").exists()

    def test_what_runs_is_no_business_of_keep(self, go: Any, tmp_path: Path) -> None:
        process = process_with(2)
        trace = process.traces[0]
        trace.status, trace.ended_ns = "running", None
        store = process.write(tmp_path)
        with Owner(process.write_mapping(tmp_path, [], definitions=False)):
            go("delete", "--keep", "0")
            assert names(store) == ["trace 0"]

    @pytest.mark.parametrize(
        "words",
        [
            (),
            ("abc", "--keep", "1"),
            ("--keep", "1", "--force"),
            ("--older-than", "yesterday"),
            ("--older-than", "7"),
            ("--older-than", ""),
        ],
    )
    def test_wrong_usage_deletes_nothing(
        self, go: Any, tmp_path: Path, words: tuple[str, ...]
    ) -> None:
        store = process_with(2).write(tmp_path)
        code, out, err = go("delete", *words)
        assert (code, out) == (2, "")
        assert err.startswith("kolo-c: error: ")
        assert len(names(store)) == 2

    def test_an_unknown_id_deletes_nothing(self, go: Any, tmp_path: Path) -> None:
        process = process_with(2)
        store = process.write(tmp_path)
        code, _, err = go("delete", process.traces[0].id, "NOSUCH")
        assert code == 1
        assert "no trace ends in 'NOSUCH'" in err
        assert len(names(store)) == 2

    def test_ages_and_dates_are_read(self) -> None:
        now = 100 * DAY_NS
        assert read_moment("7d", now) == 93 * DAY_NS
        assert read_moment("12h", now) == now - DAY_NS // 2
        assert read_moment("90min", now) == now - DAY_NS // 16
        assert read_moment("1.5w", now) == now - int(10.5 * DAY_NS)
        assert read_moment("2026-11-21 10:00+00:00", now) == 1_795_255_200 * 10**9
        assert read_moment("2026-11-21T10:00:00Z", now) == 1_795_255_200 * 10**9
        assert read_moment("999999w", now) == 0

    def ask(
        self, go: Any, monkeypatch: pytest.MonkeyPatch, answer: str, *words: str
    ) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
        monkeypatch.setattr("sys.stdin.readline", lambda: answer, raising=False)
        result: tuple[int, str, str] = go("delete", *words)
        return result

    @pytest.mark.parametrize(
        ("answer", "left"), [("y\n", 0), ("yes\n", 0), ("\n", 3), ("n\n", 3), ("", 3)]
    )
    def test_a_person_is_asked_before_several_go(
        self,
        go: Any,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        answer: str,
        left: int,
    ) -> None:
        store = process_with(3).write(tmp_path)
        code, _, err = self.ask(go, monkeypatch, answer, "--keep", "0")
        assert "Delete these 3 traces (" in err
        assert code == (1 if left else 0)
        assert len(names(store)) == left

    def test_nobody_is_asked_about_one_or_with_yes(
        self, go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process = process_with(4)
        store = process.write(tmp_path)
        assert self.ask(go, monkeypatch, "n\n", process.traces[0].id)[2] == ""
        assert self.ask(go, monkeypatch, "n\n", "--keep", "0", "--yes")[2] == ""
        assert names(store) == []


class TestPins:
    def test_a_pinned_trace_is_deleted_only_by_force(
        self, go: Any, tmp_path: Path
    ) -> None:
        process = process_with(3)
        store = process.write(tmp_path)
        pinned = process.traces[0].id
        code, out, _ = go("pin", pinned[-6:])
        assert (code, out) == (0, f"Pinned {pinned} (trace 0)\n")
        assert go("pin", pinned)[1].startswith("Was pinned already: ")
        code, out, _ = go("delete", "--keep", "0", "--json")
        assert json.loads(out)["spared_pinned"] == 1
        assert names(store) == ["trace 0"]
        code, _, err = go("delete", pinned)
        assert code == 1
        assert "is pinned; nothing was deleted" in err
        assert go("delete", pinned, "--force")[0] == 0
        assert names(store) == []
        assert read_pins(store) == set()

    def test_unpin_lets_it_go_again(self, go: Any, tmp_path: Path) -> None:
        process = process_with(2)
        store = process.write(tmp_path)
        ids = [trace.id for trace in process.traces]
        assert json.loads(go("pin", *ids, "--json")[1]) == [
            {"id": id, "pinned": True, "changed": True} for id in ids
        ]
        assert json.loads(go("unpin", ids[0], "--json")[1]) == [
            {"id": ids[0], "pinned": False, "changed": True}
        ]
        assert go("unpin", ids[0])[1].startswith("Was unpinned already")
        go("delete", "--keep", "0")
        assert names(store) == ["trace 1"]

    def test_of_several_nothing_is_pinned_where_one_is_unknown(
        self, go: Any, tmp_path: Path
    ) -> None:
        process = process_with(1)
        store = process.write(tmp_path)
        code, _, err = go("pin", process.traces[0].id, "NOSUCH")
        assert (code, "NOSUCH" in err) == (1, True)
        assert read_pins(store) == set()

    def test_who_pins_while_it_is_deleted_keeps_it(self, tmp_path: Path) -> None:
        process = process_with(2)
        store = process.write(tmp_path)
        put_mark(store, DELETED, mark(process, 0))
        pin(store, mark(process, 0), 10)
        assert len(names(store)) == 2
        sweep(store)
        assert len(names(store)) == 2
        assert read_marks(store, DELETED) == set()


class TestRetention:
    def old(self, tmp_path: Path, count: int, seconds: int) -> ProcessBuilder:
        process = process_with(count)
        store = process.write(tmp_path)
        os.utime(process.segment_path(store), (seconds, seconds))
        return process

    def test_the_pinned_trace_stays_and_its_neighbours_go(
        self, go: Any, tmp_path: Path
    ) -> None:
        process = self.old(tmp_path, 3, 1000)
        other = self.old(tmp_path, 1, 1000)
        store = tmp_path / ".kolo_c"
        go("pin", process.traces[1].id)
        before = process.segment_path(store).stat().st_size
        now_ns = 200_000 * 10**9
        removed = apply_retention(store, max_bytes=None, keep_days=1, now_ns=now_ns)
        assert (removed.segments, removed.marked, removed.failed) == (1, 1, 0)
        assert not other.segment_path(store).exists()
        assert process.segment_path(store).stat().st_size == before, "not at a start"
        assert go("list")[0] == 0
        assert names(store) == ["trace 1"]
        assert process.segment_path(store).stat().st_size < before
        assert arguments(store, process.traces[1].id) == list(range(20))
        # It is settled: nothing is done again, at any start.
        again = apply_retention(store, max_bytes=None, keep_days=1, now_ns=now_ns)
        assert (again.segments, again.marked, again.failed) == (0, 0, 0)
        assert not has_due(store)
        go("unpin", process.traces[1].id)
        apply_retention(store, max_bytes=None, keep_days=1, now_ns=now_ns)
        assert names(store) == []

    def test_a_segment_of_the_process_without_the_pinned_trace_goes(
        self, tmp_path: Path
    ) -> None:
        process = process_with(2)
        first, second = process.blocks()
        traces = process.traces
        process.traces = traces[:1]
        store = process.write(tmp_path, blocks=[first])
        process.traces = traces[1:]
        process.write(tmp_path, blocks=[second], segment=1)
        process.traces = traces
        pin(store, mark(process, 1), 10)
        for segment in (0, 1):
            os.utime(process.segment_path(store, segment), (1000, 1000))
        apply_retention(store, max_bytes=None, keep_days=1)
        sweep(store)
        assert not process.segment_path(store).exists()
        assert names(store) == ["trace 1"]

    def test_a_running_process_without_a_mapping_keeps_its_segments(
        self, tmp_path: Path
    ) -> None:
        """Where a mapping cannot be made a program records all the same."""
        process = process_with(1, host=os.uname().nodename)
        process.ended = False
        process.pid = os.getpid()
        store = process.write(tmp_path)
        dead = self.old(tmp_path, 1, 1000)
        removed = apply_retention(store, max_bytes=0, keep_days=None)
        assert removed.segments == 1
        assert process.segment_path(store).exists()
        assert not dead.segment_path(store).exists()

    def test_pinned_bytes_do_not_drive_out_the_rest(
        self, go: Any, tmp_path: Path
    ) -> None:
        pinned = self.old(tmp_path, 1, 1000)
        young = self.old(tmp_path, 1, 2000)
        store = tmp_path / ".kolo_c"
        go("pin", pinned.traces[0].id)
        size = young.segment_path(store).stat().st_size
        apply_retention(store, max_bytes=size + 100, keep_days=None)
        sweep(store)
        assert len(names(store)) == 2

    def test_a_mark_whose_segment_has_gone_goes_too(self, tmp_path: Path) -> None:
        process = self.old(tmp_path, 1, 1000)
        store = tmp_path / ".kolo_c"
        put_mark(store, DELETED, ("trc_LONGGONE", "PROCESS"))
        put_mark(store, DELETED, "PROCESS-0.db")
        sweep(store)
        assert os.listdir(store / "deleted") == []
        assert process.segment_path(store).exists()

    def test_marks_of_settled_segments_go_with_the_last_pin(
        self, tmp_path: Path
    ) -> None:
        self.old(tmp_path, 1, 1000)
        store = tmp_path / ".kolo_c"
        put_mark(store, PINS, "PROCESS-0.db")
        apply_retention(store, max_bytes=None, keep_days=None)
        assert os.listdir(store / "pins") == []
