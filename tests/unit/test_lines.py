"""The line tables of every supported Python, against what Python says of them."""

from __future__ import annotations

import dis
import importlib
import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest

from kolo_c.store.lines import read_line_table

GOLDEN = Path(__file__).parent / "line_tables_3_10.json"
MODULES = ["argparse", "ast", "dataclasses", "difflib", "inspect", "json.decoder"]


def codes_of(code: CodeType) -> Iterator[CodeType]:
    """A code object and all within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_of(constant)


def module_codes(name: str) -> list[CodeType]:
    """The code objects of a module of the standard library, compiled afresh."""
    path = importlib.import_module(name).__file__
    assert path is not None
    return list(codes_of(compile(Path(path).read_text(encoding="utf-8"), path, "exec")))


@pytest.mark.parametrize("name", MODULES)
def test_every_instruction_has_the_line_that_python_gives_it(name: str) -> None:
    for code in module_codes(name):
        table = read_line_table(
            code.co_linetable, code.co_firstlineno, platform.python_version()
        )
        expected = {}
        for start, end, line in code.co_lines():
            for offset in range(start, end, 2):
                expected[offset // 2] = line
        found = {offset: table.line(offset) for offset in expected}
        assert found == expected, code


@pytest.mark.skipif(sys.version_info < (3, 11), reason="co_positions is of 3.11")
@pytest.mark.parametrize("name", MODULES)
def test_lines_agree_with_positions(name: str) -> None:
    for code in module_codes(name):
        table = read_line_table(
            code.co_linetable, code.co_firstlineno, platform.python_version()
        )
        for offset, (line, *_) in enumerate(code.co_positions()):
            assert table.line(offset) == line, (code, offset)


def test_the_format_of_3_10_is_read_on_any_version() -> None:
    """line_tables_3_10.json is what CPython 3.10.13 says of its json.decoder."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert len(golden) > 5
    for row in golden:
        table = read_line_table(
            bytes.fromhex(row["table"]), row["first_line"], "3.10.13"
        )
        found = [
            [start, end, table.line(start // 2)]
            for start, end, _ in row["lines"]
            if end > start
        ]
        assert found == [span for span in row["lines"] if span[1] > span[0]]


def test_an_offset_outside_the_table_has_no_line() -> None:
    code = compile("x = 1\ny = 2\n", "two", "exec")
    table = read_line_table(code.co_linetable, 1, platform.python_version())
    last = max(instruction.offset for instruction in dis.get_instructions(code)) // 2
    assert table.line(last) is not None
    assert table.line(last + 1000) is None
    assert table.line(None) is None
    assert table.line(-1) is None


@pytest.mark.parametrize("python", ["3.10.1", "3.11.0", "3.15.2", "", "nonsense"])
def test_a_table_cut_anywhere_is_read_as_far_as_it_goes(python: str) -> None:
    code = module_codes("json.decoder")[0]
    for end in range(len(code.co_linetable)):
        table = read_line_table(code.co_linetable[:end], 1, python)
        assert table.end >= 0
