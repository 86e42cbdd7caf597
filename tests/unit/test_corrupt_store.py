"""Damaged, locked, foreign and newer files: a clear error or honest data, no crash."""

from __future__ import annotations

import io
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from kolo_c.cli import main as command_line
from kolo_c.cli.dump import dump
from kolo_c.cli.view import Options, View
from kolo_c.errors import KoloError, StoreError
from kolo_c.store.mapping import read_mapping
from kolo_c.store.reader import Store
from kolo_c.store.segment import Segment
from kolo_c.wire import BLOCK_BYTES, MAPPING_HEADER_BYTES, Tag
from tests.unit.store_builder import ProcessBuilder, tagged

# `make fuzz` asks for more, with another beginning each time.
ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "150"))
SEED = 20261121 if ROUNDS == 150 else random.SystemRandom().getrandbits(32)


def program() -> ProcessBuilder:
    """Several blocks with all sorts of values, so that damage finds something."""
    process = ProcessBuilder()
    file = process.file("/app/a.py")
    code = process.code(file, "f", ("a", "b"), table=bytes(range(200)))
    kind = process.type("Kind", "app")
    process.new_piece()
    error = process.type("Wrong", "app")
    trace = process.trace("a.py")
    s = trace.stream(process.thread("MainThread"))
    s.call(code, 1, {"k": [1, 2.5, None]})
    for number in range(12):
        s.call(code, "text" * number, tagged(Tag.OBJECT, kind, 5, "x", number))
        generator = s.call(code, tagged(Tag.DATE, 2026, 1, 2), b"bytes")
        s.yields(tagged(Tag.CUT_ITEMS, 0, 99, 1, 2))
        if number % 3 == 0:
            s.cut()
        s.resume(generator, code)
        s.raises(tagged(Tag.EXCEPTION, error, 9, tagged(Tag.TUPLE, "w")), 3)
        s.ret(tagged(Tag.DECIMAL, "1.5"))
    s.ret()
    trace.end()
    return process


def read_all(store_path: Path) -> None:
    """Everything that commands do with a trace."""
    with Store(store_path) as store:
        for info in store.traces():
            for _ in dump(store.trace(info.id)):
                pass
            View(store.trace(info.id), Options()).write(io.StringIO())


def damage_reads_or_says(store_path: Path, path: Path) -> None:
    """Reading gives data, or an error that names a file and says what to do."""
    try:
        read_all(store_path)
    except StoreError as error:
        assert str(path.parent) in error.message
        assert error.hint
    except KoloError as error:
        assert error.hint, error.message


def flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 1, 2, 8])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def truncate(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def overwrite(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    data[at : at + 64] = chance.randbytes(min(64, len(data) - at))


Damage = Callable[[bytearray, random.Random], None]
DAMAGES = [flip, truncate, overwrite]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_segment_never_crashes_a_reader(
    tmp_path: Path, damage: Damage
) -> None:
    process = program()
    store = process.write(tmp_path)
    path = process.segment_path(store)
    whole = path.read_bytes()
    chance = random.Random(SEED)
    for _ in range(ROUNDS):
        data = bytearray(whole)
        damage(data, chance)
        path.write_bytes(data)
        damage_reads_or_says(store, path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_mapping_never_crashes_a_reader(
    tmp_path: Path, damage: Damage
) -> None:
    process = program()
    path = process.write_mapping(tmp_path, process.blocks())
    whole = path.read_bytes()
    chance = random.Random(SEED)
    used = MAPPING_HEADER_BYTES + 4 * BLOCK_BYTES
    for round in range(ROUNDS):
        data = bytearray(whole)
        if round % 3 and damage is flip:  # where something stands: headers
            at = chance.choice([0, *range(MAPPING_HEADER_BYTES, used, BLOCK_BYTES)])
            data[at + chance.randrange(96)] ^= 1 << chance.randrange(8)
        else:
            damage(data, chance)
        path.write_bytes(data)
        damage_reads_or_says(tmp_path / ".kolo_c", path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_records_and_definitions_never_crash_a_reader(
    tmp_path: Path, damage: Damage
) -> None:
    """SQLite is whole, what it holds is not."""
    chance = random.Random(SEED)
    for round in range(ROUNDS // 3):
        process = program()
        for block in process.blocks():
            damage(block.data, chance)
        for _, piece in process.pieces[1:]:
            damage(piece, chance)
        directory = tmp_path / str(round)
        store = process.write(directory)
        damage_reads_or_says(store, process.segment_path(store))
        shutil.rmtree(directory)


def test_a_damaged_block_loses_what_follows_in_it_and_says_so(tmp_path: Path) -> None:
    process = program()
    blocks = process.blocks()
    blocks[1].data[:1] = b"\xc1"
    file = io.StringIO()
    with Store(process.write(tmp_path)) as store:
        View(store.trace(), Options()).write(file)
        records = list(dump(store.trace()))
    assert "block 1 of thread 1 is damaged" in file.getvalue()
    assert {record["block"] for record in records[1:]} == {0, 2, 3, 4}


def test_wrong_column_types_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    process = program()
    store = process.write(tmp_path)
    path = process.segment_path(store)
    for statement in (
        "UPDATE block SET base_ns = 'text'",
        "UPDATE block SET nodes = x'00'",
        "UPDATE trace SET name = 5.5",
        "UPDATE definition SET data = 'text'",
        "UPDATE block_data SET data = NULL",
        "UPDATE block SET bytes = -5",
        "DELETE FROM block_data",
        "DROP TABLE thread",
    ):
        whole = path.read_bytes()
        db = sqlite3.connect(path)
        # A column that is declared NOT NULL may hold NULL after damage.
        db.executescript(
            "PRAGMA ignore_check_constraints = 1; PRAGMA writable_schema = 1; "
            "UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', ''); "
            "PRAGMA writable_schema = 0;"
        )
        db.close()
        db = sqlite3.connect(path)
        db.execute(statement)
        db.commit()
        db.close()
        damage_reads_or_says(store, path)
        path.write_bytes(whole)


class TestMessages:
    """Each names the file and the next step."""

    @pytest.fixture(name="store")
    def _store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("KOLO_C_PATH", raising=False)
        self.process = program()
        store = self.process.write(tmp_path)
        self.path = self.process.segment_path(store)
        return store

    def fails(self, capsys: pytest.CaptureFixture[str], *words: str) -> str:
        for command in ("show", "list", "dump"):
            assert command_line.main([command]) == 1
            err = capsys.readouterr().err
            assert self.path.name in err
            for word in words:
                assert word in err, err
        return err

    def test_a_newer_schema(
        self, store: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        db = sqlite3.connect(self.path)
        db.execute("PRAGMA user_version = 99")
        db.close()
        self.fails(capsys, "schema version 99", "pip install -U kolo-c")

    def test_not_a_database(
        self, store: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.path.write_bytes(b"not a database at all" * 100)
        self.fails(capsys, "is not a database", "Move it out")

    def test_another_programs_database(
        self, store: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.path.unlink()
        db = sqlite3.connect(self.path)
        db.execute("CREATE TABLE notes (text)")
        db.close()
        self.fails(capsys, "not one of kolo_c", "Move it out")

    def test_a_truncated_one(
        self, store: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.path.write_bytes(self.path.read_bytes()[:8192])
        self.fails(capsys, "is damaged", "kolo-c recover")

    def test_a_locked_one(
        self,
        store: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("kolo_c.store.segment._WAIT_SECONDS", 0.05)
        db = sqlite3.connect(self.path, isolation_level=None)
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        try:
            self.fails(capsys, "is locked by another program", "Try again")
        finally:
            db.close()

    def test_a_folder_in_place_of_a_file(
        self, store: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.path.unlink()
        self.path.mkdir()
        self.fails(capsys, "is not a file", "Move it")

    def test_one_bad_file_hides_only_its_own_traces(
        self, store: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        other = program()
        other.write(store.parent)
        self.path.write_bytes(b"not a database at all" * 100)
        assert command_line.main(["list"]) == 0
        captured = capsys.readouterr()
        assert other.traces[0].id in captured.out
        assert self.path.name in captured.err and "not a database" in captured.err
        assert command_line.main(["show", other.traces[0].id]) == 0

    def test_a_mapping_of_another_version(self, tmp_path: Path) -> None:
        process = program()
        path = process.write_mapping(tmp_path, [])
        data = bytearray(path.read_bytes())
        data[8] = 9
        path.write_bytes(data)
        with pytest.raises(StoreError, match="wire format 9") as raised:
            read_mapping(path)
        assert str(path) in raised.value.message and "Upgrade" in raised.value.hint

    def test_a_mapping_that_is_none(self, tmp_path: Path) -> None:
        path = tmp_path / "x.map"
        path.write_bytes(bytes(5000))
        with pytest.raises(StoreError, match="not a mapping of kolo_c") as raised:
            read_mapping(path)
        assert "remove it" in raised.value.hint
        path.write_bytes(b"short")
        with pytest.raises(StoreError, match="too short"):
            read_mapping(path)
        path.unlink()
        assert read_mapping(path) is None


def test_a_segment_that_has_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not there"):
        Segment(tmp_path / "gone-0.db")


def test_a_zstd_bomb_is_refused(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    process = program()
    store = process.write(tmp_path, compress=zstandard.ZstdCompressor().compress)
    path = process.segment_path(store)
    bomb = zstandard.ZstdCompressor().compress(bytes(50_000_000))
    db = sqlite3.connect(path)
    db.execute("UPDATE block_data SET data = ?", (bomb,))
    db.commit()
    db.close()
    with Store(store) as opened:
        trace = opened.trace()
        list(dump(trace))
        assert any("decompress" in text for text in trace.damage)
