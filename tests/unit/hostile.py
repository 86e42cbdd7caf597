"""A store that was written by somebody hostile, and every command that reads it.

For the tests with hypothesis (test_hostile_bytes.py) and for the fuzzer
(fuzz_readers.py): both give bytes, neither may make a command do anything but print or
say what is wrong.
"""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import Any

from kolo_c.cli import main as command_line
from kolo_c.wire import Mark, Tag
from tests.unit.store_builder import BuiltBlock, ProcessBuilder, tagged

TEXT = "\ud800\x1b[2J\x00 text"


def program(records: list[bytes], definitions: bytes = b"") -> ProcessBuilder:
    """A process whose blocks hold these bytes between records that are sound."""
    process = ProcessBuilder()
    file = process.file("/app/a.py")
    code = process.code(file, "work", ("a", "b"), locals=("x",), table=bytes(50))
    process.type("Kind", "app")
    process.kind("sql", "SQL", summary="{text}")
    process.define(8, "task", 1)
    process.new_piece()
    trace = process.trace("a.py")
    stream = trace.stream(process.thread("MainThread"))
    stream.call(code, 1, tagged(Tag.TUPLE, "a"))
    for data in records:
        stream.call(code, 1)
        assert stream.block is not None
        stream.block.data += data
        stream.cut()
    stream.mark(Mark.LOST, 3)
    stream.cut()
    trace.end()
    process.pieces[-1][1].extend(definitions)
    return process


def read_everything(project: Path, process: ProcessBuilder) -> None:
    """Write the store, and run each command on it."""
    process.write(project)
    trace = process.traces[0].id
    run_commands(project, trace)


def run_commands(project: Path, trace: str) -> None:
    """Whatever a command meets, it ends with 0 or 1, and says why."""
    before = os.getcwd()
    os.chdir(project)
    try:
        for words in (
            ["list", "--json"], ["show", trace, "--no-fold"], ["show", f"{trace}/2"],
            ["show", f"{trace}/2", "--full"], ["show", trace, "--json"],
            ["show", trace, "--kind", "sql"], ["why", trace], ["dump", trace],
            ["grep", "a.*1", trace], ["grep", "-F", "text", "--json"],
            ["doctor", "--trace", trace], ["doctor", "--store"],
            ["export", trace, "out.json", "--speedscope", "--force"],
            ["export", trace, "out.kolo", "--force"],
        ):  # fmt: skip
            run(words)
    finally:
        os.chdir(before)


def run(words: list[str]) -> tuple[int, str]:
    """One command, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = command_line.main(words)
        except SystemExit as error:
            code = int(str(error.code or 0))
    said = err.getvalue()
    assert code in (0, 1), (words, code, said)
    assert "Traceback" not in said
    assert code == 0 or said or words[0] == "doctor", words
    return code, out.getvalue()


def built(data: bytes, **fields: Any) -> BuiltBlock:
    """A block of a mapping."""
    block = BuiltBlock(1, 1, 0, 0, 1, 0, 0, data=bytearray(data))
    for name, value in fields.items():
        setattr(block, name, value)
    return block
