"""export, import and --db: one trace in one file, there and back, whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from kolo_c.cli import main as command_line
from kolo_c.errors import KoloError, StoreError
from kolo_c.export import segment as segment_export
from kolo_c.store.deletions import delete
from kolo_c.store.exported import check_exported
from kolo_c.store.reader import Store
from kolo_c.store.rewrite import NewSegment
from kolo_c.store.trace_info import CUT_CAUSE
from kolo_c.wire import Tag
from tests.unit.store_builder import (
    Owner,
    ProcessBuilder,
    TraceBuilder,
    tagged,
    ulid,
)

CALLS = 30


ONE_WHOLE = ["1", "file", "whole"]


def build(
    count: int = 1, *, host: str = "there", **options: Any
) -> tuple[ProcessBuilder, list[TraceBuilder]]:
    """A process with ``count`` traces of two threads, in blocks of ten calls."""
    process = ProcessBuilder(host=host, **options)
    code = process.code(process.file("/app/shop.py"), "work", ("n", "text"))
    threads = [process.thread("MainThread"), process.thread("worker")]
    for number in range(count):
        trace = process.trace(f"trace {number}")
        for thread in threads:
            stream = trace.stream(thread)
            for call in range(CALLS):
                stream.call(code, call, f"text {number} {call}")
                stream.ret(call)
                if call % 10 == 9:
                    stream.cut()
        trace.end()
    return process, process.traces


def records(store: Store, ending: str | None = None) -> list[Any]:
    """Every record of a trace, with its thread."""
    trace = store.trace(ending)
    found = []
    for stream in trace.streams:
        for record in stream.records():
            code = getattr(record, "code", None)
            name = trace.definitions.code(code).qualname if code is not None else ""
            found.append((stream.name, name, repr(record)))
    return found


class TestExport:
    def test_the_file_has_the_trace_record_by_record(
        self, go: Any, tmp_path: Path
    ) -> None:
        process, traces = build(3)
        store = process.write(tmp_path)
        code, out, err = go("export", traces[1].id[-7:], "one.kolo")
        assert (code, err) == (0, "")
        assert out.startswith("Wrote 1 trace to one.kolo (")
        assert "kolo-c show --db one.kolo" in out
        with Store(store) as all, Store.of_file(tmp_path / "one.kolo") as one:
            assert [info.id for info in one.traces()] == [traces[1].id]
            assert records(one) == records(all, traces[1].id)
            assert len(records(one)) == 4 * CALLS
            here, there = one.traces()[0], all.trace(traces[1].id).info
            assert here.row == there.row
            assert here.process.info == there.process.info
        assert sorted(os.listdir(tmp_path)) == [".kolo_c", "one.kolo"]

    def test_it_says_nothing_of_other_traces(self, go: Any, tmp_path: Path) -> None:
        process, traces = build(2)
        quiet = process.thread("thread of nobody")
        process.write(tmp_path)
        go("export", traces[0].id, "one.kolo")
        content = (tmp_path / "one.kolo").read_bytes()
        assert b"trace 0" in content
        for secret in (b"trace 1", b"text 1 ", traces[1].id.encode()):
            assert secret not in content
        with contextlib.closing(sqlite3.connect(tmp_path / "one.kolo")) as db:
            numbers = db.execute("SELECT number FROM thread").fetchall()
        assert (quiet,) not in numbers
        assert len(numbers) == 2

    def test_a_trace_in_several_segments_comes_together(
        self, go: Any, tmp_path: Path
    ) -> None:
        process, traces = build(2)
        blocks = process.blocks()
        for number in range(3):
            store = process.write(tmp_path, blocks=blocks[number::3], segment=number)
        assert go("export", traces[0].id, "one.kolo")[0] == 0
        with Store(store) as all, Store.of_file(tmp_path / "one.kolo") as one:
            assert records(one) == records(all, traces[0].id)
            assert len(records(one)) == 4 * CALLS

    def test_of_a_running_trace_it_has_what_was_there(
        self, go: Any, tmp_path: Path
    ) -> None:
        process, traces = build(1)
        trace = traces[0]
        trace.status, trace.cause, trace.ended_ns = "running", None, None
        process.ended = False
        late = process.code(process.file("/app/late.py"), "late", ("n",))
        stream = trace.streams[0]
        stream.call(late, 7)
        open_block = stream.blocks[-1]
        open_block.state = 1
        process.pieces[-1:] = [process.pieces[-1], (late + 1, bytearray())]
        blocks = process.blocks()
        store = process.write(tmp_path, blocks=blocks[:2])
        with Owner(process.write_mapping(tmp_path, blocks[1:])):
            assert go("export", trace.id, "one.kolo")[0] == 0
            with Store(store) as all, Store.of_file(tmp_path / "one.kolo") as one:
                assert all.trace(trace.id).info.status == "running"
                assert records(one) == records(all, trace.id)
                assert [name for _, name, _ in records(one)].count("late") == 1
                info = one.traces()[0]
                assert (info.status, info.row.cause) == ("interrupted", CUT_CAUSE)
                assert info.row.ended_ns is not None
        code, out, _ = go("show", "--db", "one.kolo")
        assert code == 0
        assert CUT_CAUSE in out
        code, out, _ = go("why", "--db", "one.kolo")
        assert "was running when it was exported\n" in out
        assert "without a word" not in out, "nobody killed it"

    def test_what_is_offered_is_of_the_same_file(self, go: Any, tmp_path: Path) -> None:
        """As where a CI run keeps the file, and there is no store."""
        process, (trace,) = build(1)
        stream = trace.stream(process.thread("fails"))
        error = process.type("ValueError")
        code = process.code(process.file("/app/b.py"), "fails")
        stream.call(code)
        for _ in range(9):
            stream.call(code)
            stream.ret("x" * 2000)
        stream.raises(tagged(Tag.EXCEPTION, error, 1, tagged(Tag.TUPLE)))
        process.write(tmp_path)
        assert go("export", trace.id, "a file.kolo")[0] == 0
        shutil.rmtree(tmp_path / ".kolo_c")
        for words in (("show",), ("show", "/3.2"), ("show", "--depth", "1"), ("why",)):
            out = go(*words, "--db", "a file.kolo")[1]
            offered = [line for line in out.splitlines() if "kolo-c " in line]
            assert offered, words
            for line in offered:
                found = re.search(r"kolo-c (show|why) --db 'a file.kolo' (\S+)", line)
                assert found, line
                place = found[2].replace("/N", "/3.1")
                assert go(found[1], place, "--db", "a file.kolo")[0] == 0

    def test_doctor_checks_the_file_that_is_named(
        self, go: Any, tmp_path: Path
    ) -> None:
        """It said that the store beside it is whole."""
        process, (trace,) = build(1)
        process.write(tmp_path)
        assert go("export", trace.id, "one.kolo")[0] == 0
        code, out, _ = go("doctor", "--store", "--db", "one.kolo")
        assert (code, out.split()) == (0, ["ok", "store:", "one.kolo:", *ONE_WHOLE])
        path = tmp_path / "one.kolo"
        data = bytearray(path.read_bytes())
        data[4096 * 2 : 4096 * 6] = bytes(4096 * 4)
        path.write_bytes(data)
        code, out, _ = go("doctor", "--store", "--db", "one.kolo")
        assert code == 1 and "damaged: one.kolo:" in out and "get it again" in out
        code, _, err = go("doctor", "--store", "--db", "none.kolo")
        assert code == 1 and "none.kolo: is not there" in err

    def test_a_mapping_alone_is_enough(self, go: Any, tmp_path: Path) -> None:
        """A process that has not committed anything yet."""
        process, traces = build(1)
        traces[0].status, traces[0].ended_ns = "running", None
        with Owner(process.write_mapping(tmp_path, process.blocks())):
            assert go("export", traces[0].id, "one.kolo")[0] == 0
            with Store(tmp_path / ".kolo_c") as all:
                expected = records(all)
        with Store.of_file(tmp_path / "one.kolo") as one:
            assert records(one) == expected
            assert one.traces()[0].process.pid == process.pid

    def test_children_come_along_when_asked_for(self, go: Any, tmp_path: Path) -> None:
        process, traces = build(4)
        other, _ = build(1)
        store = process.write(tmp_path)
        other.write(tmp_path)
        with contextlib.closing(sqlite3.connect(process.segment_path(store))) as db:
            for child, parent in ((1, 0), (2, 1)):
                db.execute(
                    "UPDATE trace SET parent = ? WHERE id = ?",
                    (traces[parent].id, traces[child].id),
                )
            db.commit()
        with contextlib.closing(sqlite3.connect(other.segment_path(store))) as db:
            db.execute("UPDATE trace SET parent = ?", (traces[2].id,))
            db.commit()
        assert go("export", traces[0].id, "alone.kolo")[0] == 0
        code, out, _ = go("export", traces[0].id, "all.kolo", "--children", "--json")
        report = json.loads(out)
        assert code == 0
        assert sorted(report["traces"]) == sorted(t.id for t in traces[:3])
        assert report["left_out"] == [other.traces[0].id]
        assert report["size_bytes"] == (tmp_path / "all.kolo").stat().st_size
        with Store.of_file(tmp_path / "alone.kolo") as one:
            assert len(one.traces()) == 1
        with Store.of_file(tmp_path / "all.kolo") as one:
            assert len(one.traces()) == 3
        _, _, err = go("export", traces[0].id, "again.kolo", "--children")
        assert f"{other.traces[0].id} (trace 0) is of another process" in err

    def test_an_export_of_an_export_is_the_same(self, go: Any, tmp_path: Path) -> None:
        process, traces = build(2)
        process.write(tmp_path)
        go("export", traces[0].id, "one.kolo")
        assert go("export", traces[0].id, "two.kolo", "--db", "one.kolo")[0] == 0
        assert go("export", traces[0].id, "one.kolo", "--db", "one.kolo")[0] == 1
        words = ("export", traces[0].id, "one.kolo", "--db", "one.kolo", "--force")
        assert go(*words)[0] == 0
        with (
            Store.of_file(tmp_path / "one.kolo") as one,
            Store.of_file(tmp_path / "two.kolo") as two,
        ):
            assert records(one) == records(two)

    def test_texts_that_are_no_utf_8_survive(self, go: Any, tmp_path: Path) -> None:
        process = ProcessBuilder()
        trace = process.trace("name")
        code = process.code(process.file("/app/\udce4.py"), "f\udce4", ("a",))
        trace.stream(process.thread("t")).call(code, "\udce4")
        trace.end()
        store = process.write(tmp_path)
        with contextlib.closing(sqlite3.connect(process.segment_path(store))) as db:
            db.execute(
                "UPDATE trace SET name = CAST(? AS TEXT)", (b"name \xed\xb3\xa4",)
            )
            db.execute("UPDATE thread SET name = CAST(? AS TEXT)", (b"t \xed\xb3\xa4",))
            db.commit()
        assert go("export", trace.id, "one.kolo")[0] == 0
        with Store(store) as all, Store.of_file(tmp_path / "one.kolo") as one:
            assert records(one) == records(all)
            assert one.traces()[0].row == all.traces()[0].row
            assert one.traces()[0].row.name == "name \udce4"
            assert one.trace().streams[0].name == "t \udce4"


class TestTarget:
    @pytest.fixture
    def id(self, tmp_path: Path) -> str:
        """Of the one trace in the store."""
        process, traces = build(1)
        process.write(tmp_path)
        return traces[0].id

    def test_a_file_that_is_there_stays_without_force(
        self, go: Any, tmp_path: Path, id: str
    ) -> None:
        target = tmp_path / "one.kolo"
        target.write_text("precious")
        code, _, err = go("export", id, "one.kolo")
        assert (code, target.read_text()) == (1, "precious")
        assert "one.kolo: is there already\n  To overwrite it: --force" in err
        assert go("export", id, "one.kolo", "--force")[0] == 0
        check_exported(target, thorough=True)

    def test_what_a_link_names_is_overwritten_not_the_link(
        self, go: Any, tmp_path: Path, id: str
    ) -> None:
        (tmp_path / "one.kolo").write_text("old")
        (tmp_path / "link").symlink_to("one.kolo")
        for force in ((), ("--force",)):
            code, _, err = go("export", id, "link", *force)
            assert code == 1 and "is a symbolic link" in err
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "one.kolo").read_text() == "old"

    def test_a_folder_that_nobody_may_look_into_says_so(
        self, go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, id: str
    ) -> None:
        """Permissions hold nobody who runs the tests as root: the answer is made up."""
        target = str(tmp_path / "closed" / "one.kolo")
        stat = os.stat

        def refuse(path: Any, *args: Any, **how: Any) -> os.stat_result:
            if path == target:
                raise PermissionError(13, "Permission denied", path)
            return stat(path, *args, **how)

        monkeypatch.setattr(os, "stat", refuse)
        code, out, err = go("export", id, target)
        assert (code, out) == (1, "")
        assert f"{target}: cannot be written: Permission denied" in err

    def test_the_command_that_shows_it_can_be_copied(
        self, go: Any, tmp_path: Path, id: str
    ) -> None:
        code, out, _ = go("export", id, "one trace.kolo")
        assert (code, out.partition("; ")[2]) == (
            0,
            "kolo-c show --db 'one trace.kolo'\n",
        )

    def test_one_that_appears_meanwhile_stays_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, id: str
    ) -> None:
        target = tmp_path / "one.kolo"
        with Store(tmp_path / ".kolo_c") as store:
            target.write_text("precious")
            with pytest.raises(StoreError, match="is there already"):
                segment_export.export_segment(store.traces(), target, overwrite=False)
        assert target.read_text() == "precious"
        assert sorted(os.listdir(tmp_path)) == [".kolo_c", "one.kolo"]

    def test_without_links_it_is_put_in_place_all_the_same(
        self, go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, id: str
    ) -> None:
        def refuse(*_: Any) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        assert go("export", id, "one.kolo")[0] == 0
        check_exported(tmp_path / "one.kolo", thorough=True)

    @pytest.mark.parametrize(
        ("target", "said", "code"),
        [
            ("-", "not exported to stdout", 2),
            ("missing/one.kolo", "there is no directory missing", 1),
            (".", "is a directory", 2),
            ("one.json", "a .json, but the format is sqlite", 2),
            ("busy.kolo", "is a database that is in use", 1),
            ("pipe", "is not a file that can be replaced", 1),
            ("n" * 300, "cannot be written: File name too long", 1),
            ("busy.kolo-wal/one.kolo", "cannot be written: Not a directory", 1),
        ],
    )
    def test_what_cannot_be_written_is_said_first(
        self, go: Any, tmp_path: Path, id: str, target: str, said: str, code: int
    ) -> None:
        (tmp_path / "busy.kolo-wal").write_text("")
        os.mkfifo(tmp_path / "pipe")
        before = sorted(os.listdir(tmp_path))
        result, out, err = go("export", id, target, "--force")
        assert (result, out) == (code, "")
        assert said in err
        assert sorted(os.listdir(tmp_path)) == before

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space")])
    @pytest.mark.parametrize("format", ["sqlite", "speedscope"])
    def test_no_half_file_is_left(
        self,
        go: Any,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        id: str,
        error: BaseException,
        format: str,
    ) -> None:
        def fail(*_: Any) -> None:
            raise error

        monkeypatch.setattr(os, "fsync", fail)
        code, out, err = go("export", id, "one.file", "--format", format)
        assert out == ""
        if isinstance(error, KeyboardInterrupt):
            assert code == 130
            assert "interrupted; one.file was not written" in err
        else:
            assert code == 1
            assert "one.file: cannot be written: No space" in err
        assert sorted(os.listdir(tmp_path)) == [".kolo_c"]

    def test_a_full_disk_is_said(self, tmp_path: Path) -> None:
        """SQLite says so in the middle of it: here a limit takes the disk's place."""
        process = ProcessBuilder()
        trace = process.trace("big")
        code = process.code(process.file("/a.py"), "f", ("a",))
        trace.stream(process.thread("t")).call(code, "x" * 20_000)
        trace.end()
        process.write(tmp_path)
        target = tmp_path / "one.kolo"
        with NewSegment(target) as new:
            pages = new.execute("PRAGMA page_count")[0][0]
            new.execute(f"PRAGMA max_page_count = {pages}")
            with Store(tmp_path / ".kolo_c") as store:
                path = store.traces()[0].process.segments[0].path
            with pytest.raises(StoreError, match="the disk is full") as raised:
                new.copy(path, [1], keep=True)
            assert "Nothing has changed" in raised.value.hint
        assert sorted(os.listdir(tmp_path)) == [".kolo_c"]


class TestDb:
    """What --db and import say of a file that they cannot take."""

    def damage(self, kind: str, path: Path) -> None:
        content = path.read_bytes()
        if kind == "cut":
            path.write_bytes(content[: len(content) // 2])
        elif kind == "page":
            path.write_bytes(content[:4096] + os.urandom(8192) + content[12288:])
        elif kind == "empty":
            path.write_bytes(b"")
        elif kind == "other":
            path.write_bytes(b'{"$schema": "json"}' * 20)
        elif kind == "header":
            path.write_bytes(content[:50])
        else:
            with contextlib.closing(sqlite3.connect(path)) as db:
                if kind == "newer":
                    db.execute("PRAGMA user_version = 99")
                elif kind == "version 0":
                    db.execute("PRAGMA user_version = 0")
                else:
                    db.execute("DROP TABLE block")
                db.commit()

    @pytest.mark.parametrize(
        ("kind", "said", "hint"),
        [
            ("cut", "is cut short: it has", "get it again"),
            ("header", "is cut short: it has 50 of ", "get it again"),
            ("empty", "is empty", "get it again"),
            ("other", "is not a database", "kolo-c export TRACE FILE makes"),
            ("newer", "has schema version 99, this kolo-c reads up to 1", "Upgrade"),
            ("version 0", "has schema version 0", "get it again"),
            ("foreign", "is a database, but none of kolo_c", "kolo-c export TRACE"),
        ],
    )
    def test_a_file_that_is_none_of_ours(
        self, go: Any, tmp_path: Path, kind: str, said: str, hint: str
    ) -> None:
        process, traces = build(1)
        store = process.write(tmp_path)
        go("export", traces[0].id, "one.kolo")
        delete(store, [(traces[0].id, process.id)])
        self.damage(kind, tmp_path / "one.kolo")
        for words in (
            ("list", "--db"), ("show", "--db"), ("dump", "--db"),
            ("export", "x", "y", "--db"), ("import",),
        ):  # fmt: skip
            code, out, err = go(*words, "one.kolo")
            assert (code, out) == (1, ""), words
            assert err.startswith("kolo-c: error: one.kolo: "), words
            assert said in err, words
            assert hint in err, words
        assert os.listdir(store / "segments") == []

    def test_a_damaged_page_is_found_before_it_is_imported(
        self, go: Any, tmp_path: Path
    ) -> None:
        process, traces = build(1)
        store = process.write(tmp_path)
        go("export", traces[0].id, "one.kolo")
        delete(store, [(traces[0].id, process.id)])
        self.damage("page", tmp_path / "one.kolo")
        code, _, err = go("import", "one.kolo")
        assert code == 1
        assert "one.kolo: is damaged" in err
        assert os.listdir(store / "segments") == []

    @pytest.mark.parametrize("seed", range(60))
    def test_bytes_that_changed_on_the_way_harm_nobody(
        self, go: Any, tmp_path: Path, seed: int
    ) -> None:
        """Read or refused, but never a traceback; and what the store has is there."""
        process, traces = build(1)
        store = process.write(tmp_path)
        go("export", traces[0].id, "one.kolo")
        chance = random.Random(seed)
        content = bytearray((tmp_path / "one.kolo").read_bytes())
        for _ in range(chance.choice((1, 3, 30))):
            at = chance.randrange(chance.choice((200, len(content))))
            if chance.random() < 0.5:
                content[at] = chance.randrange(256)
            else:
                length = chance.randrange(200)
                content[at : at + length] = chance.randbytes(length)
        if chance.random() < 0.2:
            del content[chance.randrange(len(content)) :]
        (tmp_path / "one.kolo").write_bytes(content)
        for words in (
            ("list", "--db"), ("show", "--db"), ("dump", "--db"),
            ("export", traces[0].id, "again.kolo", "--db"),
            ("export", "--speedscope", traces[0].id, "again.json", "--db"),
            ("import",),
        ):  # fmt: skip
            code, _, err = go(*words, "one.kolo")
            assert code in (0, 1), words
            assert code == 0 or err.startswith("kolo-c: "), words
        with Store(store) as opened:
            assert len(records(opened, traces[0].id)) == 4 * CALLS
        assert not list(tmp_path.glob("*.new"))

    def test_a_virtual_table_is_no_table_of_ours(self, go: Any, tmp_path: Path) -> None:
        process, traces = build(1)
        process.write(tmp_path)
        go("export", traces[0].id, "one.kolo")
        with contextlib.closing(sqlite3.connect(tmp_path / "one.kolo")) as db:
            db.execute("DROP TABLE source")
            db.execute("CREATE VIRTUAL TABLE source USING fts5(hash, bytes)")
            db.commit()
        code, _, err = go("import", "one.kolo")
        assert (code, "none of kolo_c" in err) == (1, True)

    def test_what_is_no_file(self, go: Any, tmp_path: Path) -> None:
        build(1)[0].write(tmp_path)
        os.mkfifo(tmp_path / "pipe")
        for words in (("list", "--db"), ("import",)):
            code, _, err = go(*words, "nowhere.kolo")
            assert (code, "nowhere.kolo: is not there" in err) == (1, True)
            code, _, err = go(*words, "pipe")
            assert (code, "pipe: is a pipe or a device" in err) == (1, True)
            code, _, err = go(*words, ".kolo_c")
            assert (code, ".kolo_c: is a directory" in err) == (1, True)

    def test_an_exported_file_may_lie_where_nobody_may_write(
        self, go: Any, tmp_path: Path
    ) -> None:
        process, traces = build(1)
        process.write(tmp_path)
        folder = tmp_path / "given"
        folder.mkdir()
        go("export", traces[0].id, "given/one.kolo")
        (folder / "one.kolo").chmod(0o444)
        folder.chmod(0o555)
        try:
            assert go("list", "--db", "given/one.kolo")[0] == 0
            assert os.listdir(folder) == ["one.kolo"]
        finally:
            folder.chmod(0o755)


class TestImport:
    def exported(self, go: Any, tmp_path: Path, count: int = 1) -> ProcessBuilder:
        """A file one.kolo of a trace that the store does not have."""
        process, traces = build(count)
        store = process.write(tmp_path)
        assert go("export", traces[0].id, "one.kolo")[0] == 0
        for path in (store / "segments").iterdir():
            path.unlink()
        return process

    def test_there_and_back_it_is_the_same_trace(self, go: Any, tmp_path: Path) -> None:
        process = self.exported(go, tmp_path, 2)
        (tmp_path / "one.kolo").chmod(0o444)
        code, out, err = go("import", "one.kolo")
        assert (code, err) == (0, "")
        assert out.startswith(f"Imported {process.traces[0].id} (trace 0, ")
        with Store(tmp_path / ".kolo_c") as store:
            with Store.of_file(tmp_path / "one.kolo") as one:
                assert records(store) == records(one)
            assert [info.id for info in store.traces()] == [process.traces[0].id]
            assert store.traces()[0].process.info["host"] == "there"

    def test_what_is_there_is_said_and_left(self, go: Any, tmp_path: Path) -> None:
        process = self.exported(go, tmp_path)
        go("import", "one.kolo")
        segments = os.listdir(tmp_path / ".kolo_c" / "segments")
        code, out, _ = go("import", "one.kolo")
        assert code == 0
        assert out.startswith(f"There already: {process.traces[0].id}")
        report = json.loads(go("import", "one.kolo", "--json")[1])
        assert report == {"imported": [], "already_there": [process.traces[0].id]}
        assert os.listdir(tmp_path / ".kolo_c" / "segments") == segments

    def test_of_several_those_that_are_missing_come(
        self, go: Any, tmp_path: Path
    ) -> None:
        process, traces = build(3)
        store = process.write(tmp_path)
        path = process.segment_path(store)
        path.rename(tmp_path / "all.kolo")
        process.write(tmp_path)
        delete(store, [(trace.id, process.id) for trace in traces[1:]])
        report = json.loads(go("import", "all.kolo", "--json")[1])
        assert sorted(report["imported"]) == sorted(t.id for t in traces[1:])
        assert report["already_there"] == [traces[0].id]
        assert len(json.loads(go("list", "--json")[1])) == 3

    def test_a_trace_deleted_while_its_program_runs_can_be_imported(
        self, go: Any, tmp_path: Path
    ) -> None:
        """The mark hides the one in the living process's segment, not the import."""
        process, traces = build(2)
        store = process.write(tmp_path)
        with Owner(process.write_mapping(tmp_path, [], definitions=False)):
            go("export", traces[0].id, "one.kolo")
            go("delete", traces[0].id)
            report = json.loads(go("import", "one.kolo", "--json")[1])
            assert report["imported"] == [traces[0].id]
            with Store(store) as opened:
                assert len(opened.traces()) == 2
                assert len(records(opened, traces[0].id)) == 4 * CALLS

    def test_a_half_written_import_never_shows(
        self, go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.exported(go, tmp_path)

        def interrupt(*_: Any) -> None:
            assert go("list")[1].startswith("No traces in ")
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupt)
        code, _, err = go("import", "one.kolo")
        assert code == 130
        assert "nothing was imported" in err
        assert os.listdir(tmp_path / ".kolo_c" / "segments") == []

    def test_a_folder_that_cannot_be_locked_says_why(
        self, go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process, _ = build(1)
        store = process.write(tmp_path)
        assert go("export", process.traces[0].id, "one.kolo")[0] == 0
        open_fd = os.open

        def refuse(path: Any, *args: Any, **how: Any) -> int:
            if os.fspath(path) == str(store / "segments"):
                raise PermissionError(13, "Permission denied", path)
            return open_fd(path, *args, **how)

        monkeypatch.setattr(os, "open", refuse)
        code, _, err = go("import", "one.kolo")
        assert code == 1
        assert f"{store}/segments: cannot be read: Permission denied" in err

    def test_two_imports_at_once_bring_it_once(self, go: Any, tmp_path: Path) -> None:
        self.exported(go, tmp_path)
        start = threading.Barrier(3)
        codes = []

        def work() -> None:
            start.wait()
            codes.append(command_line.main(["import", "one.kolo"]))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes == [0, 0, 0]
        with Store(tmp_path / ".kolo_c") as store:
            assert len(store.traces()) == 1

    def test_without_a_store_one_is_made(
        self, go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.exported(go, tmp_path)
        project = tmp_path / "elsewhere"
        project.mkdir()
        (project / "pyproject.toml").write_text("")
        os.rename(tmp_path / ".kolo_c", tmp_path / "gone")
        monkeypatch.chdir(project)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        assert go("import", "../one.kolo")[0] == 0
        assert (project / ".kolo_c" / ".gitignore").exists()
        assert len(json.loads(go("list", "--json")[1])) == 1

    def test_a_file_without_traces_is_refused(self, go: Any, tmp_path: Path) -> None:
        process = ProcessBuilder()
        store = process.write(tmp_path)
        process.segment_path(store).rename(tmp_path / "none.kolo")
        code, _, err = go("import", "none.kolo")
        assert (code, "has no traces in it" in err) == (1, True)

    def test_a_segment_of_a_running_process_is_imported_as_ended(
        self, go: Any, tmp_path: Path
    ) -> None:
        process = ProcessBuilder(host=os.uname().nodename)
        process.ended = False
        process.pid = os.getpid()
        trace = process.trace("running", f"trc_{ulid('RUN')}")
        stream = trace.stream(process.thread("t"))
        stream.call(process.code(process.file("/a.py"), "f"))
        stream.cut()
        store = process.write(tmp_path)
        process.segment_path(store).rename(tmp_path / "live.kolo")
        assert go("import", "live.kolo")[0] == 0
        with Store(store) as opened:
            assert opened.traces()[0].status == "interrupted"

    def test_ids_from_elsewhere_are_no_paths(self, go: Any, tmp_path: Path) -> None:
        process = ProcessBuilder(id="x")
        process.trace("evil", "trc_../../x").end()
        store = process.write(tmp_path)
        process.segment_path(store).rename(tmp_path / "evil.kolo")
        assert go("import", "evil.kolo")[0] == 0
        code, _, err = go("pin", "/../x")
        assert (code, "cannot be the id of a trace" in err) == (1, True)
        assert sorted(os.listdir(tmp_path)) == [".kolo_c", "evil.kolo"]


def test_one_file_holds_traces_of_one_process(tmp_path: Path) -> None:
    one, other = build(1)[0], build(1)[0]
    store = one.write(tmp_path)
    other.write(tmp_path)
    with Store(store) as opened, pytest.raises(KoloError, match="one process"):
        segment_export.export_segment(
            opened.traces(), tmp_path / "x.kolo", overwrite=False
        )
