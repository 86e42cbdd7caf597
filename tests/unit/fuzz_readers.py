"""The readers of blocks, definitions, mappings and damaged segments under Atheris.

    python -m tests.unit.fuzz_readers --seeds build/fuzz-readers
    python -m tests.unit.fuzz_readers -max_total_time=600 build/fuzz-readers

`make fuzz-readers` does both.

Atheris (pip install atheris; CPython on Linux and macOS) looks which bytes lead further
into the code, as libFuzzer does for C (`make -C tests/c fuzz`), and takes libFuzzer's
options. What leads to an exception that a reader must not raise is left in a file
crash-*, and is tried again by giving that file's name.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["kolo_c"]):
    from kolo_c.errors import StoreError
    from kolo_c.store.compression import expand
    from kolo_c.store.definition_log import decode_definitions
    from kolo_c.store.lines import read_line_table
    from kolo_c.store.mapping import definition_tail, read_mapping
    from kolo_c.store.pages import Pages
    from kolo_c.store.record_decoding import decode_records, make_record, skim_records
    from kolo_c.store.salvage import Salvage
    from tests.unit import hostile

PLACE = Path(tempfile.mkdtemp(prefix="fuzz-readers-"))


def records(data: bytes) -> None:
    """A block's bytes: as many records as were decoded in both ways."""
    decoded = decode_records(data, 0, 1)
    for ns, node, fields in skim_records(data, 0, 1):
        make_record(ns, node, fields)
    assert decoded.damage or not data or decoded.records


def definitions(data: bytes) -> None:
    """A piece of the log."""
    decode_definitions(data)


def mapping(data: bytes) -> None:
    """A mapping, whose blocks lie as far apart as they say."""
    path = PLACE / "01J0000000000000000000TEST.map"
    path.write_bytes(data[:4096].ljust(4096, b"\0") + data[4096:].ljust(65536, b"\0"))
    try:
        copy = read_mapping(path)
    except StoreError:
        return
    assert copy is not None
    for block in copy.blocks:
        decode_records(block.fetch_data(), block.base_ns, block.first_node)
        block.closes()
        block.opens()
    for piece in definition_tail(copy):
        decode_definitions(piece)


def pages(data: bytes) -> None:
    """A segment, and what is left of it; its second half is the WAL."""
    path = PLACE / "01J0000000000000000000TEST-0.db"
    half = len(data) // 2
    path.write_bytes(data[:half])
    Path(f"{path}-wal").write_bytes(data[half:])
    with Pages(path) as opened:
        for _ in opened.rows():
            pass
    salvage = Salvage(path)
    for header, encoding, block in salvage.blocks():
        expand(encoding, block, header[12])


def line_table(data: bytes) -> None:
    """A code object's table of lines, of each kind that there is."""
    for version in ("3.10.1", "3.14.1"):
        table = read_line_table(data, 1, version)
        lines = [table.line(offset) for offset in range(64)]
        assert all(line is None or abs(line) < 1 << 60 for line in lines)


def commands(data: bytes) -> None:
    """A block and a log of somebody's, and whatever reads them."""
    half = len(data) // 2
    shutil.rmtree(PLACE / ".kolo_c", ignore_errors=True)
    hostile.read_everything(PLACE, hostile.program([data[:half]], data[half:]))


TARGETS = (records, definitions, mapping, pages, line_table)


def one_input(data: bytes) -> None:
    """The first byte says which of them; commands, which take long, come seldom."""
    if not data:
        return
    if data[0] == 255:
        commands(data[1:])
    else:
        TARGETS[data[0] % len(TARGETS)](data[1:])


def write_seeds(folder: Path) -> None:
    """What is sound, for each target to begin with."""
    folder.mkdir(parents=True, exist_ok=True)
    process = hostile.program([b"", b""])
    blocks = process.blocks()
    seeds = {"block": (0, bytes(blocks[1].data)), "line-table": (4, bytes(range(200)))}
    seeds["log"] = (1, b"".join(bytes(data) for _, data in process.pieces))
    seeds["commands"] = (255, bytes(blocks[1].data) + seeds["log"][1])
    path = process.write_mapping(PLACE, blocks[:1], definitions=False)
    seeds["mapping"] = (2, path.read_bytes()[: 4096 + 2000])
    whole = process.segment_path(process.write(PLACE)).read_bytes()
    seeds["segment"] = (3, whole + bytes(len(whole)))
    for name, (target, data) in seeds.items():
        (folder / f"seed-{name}").write_bytes(bytes([target]) + data)


if __name__ == "__main__" and sys.argv[1:2] == ["--seeds"]:
    write_seeds(Path(sys.argv[2]))
elif __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
