"""Line tables that the Python core writes, as readers read them."""

from __future__ import annotations

import inspect
import sys
import types

from kolo_c.reference import definitions
from kolo_c.store.lines import read_line_table

SOURCE = (
    "def f(x):\n    y = x\n    for i in range(3):\n        y += i\n\n\n"
    + "\n" * 300
    + "    with open(y) as file: pass\n    raise ValueError(\n        y\n    )\n"
)


def codes(code: types.CodeType) -> list[types.CodeType]:
    inside = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return [code, *(found for c in inside for found in codes(c))]


def test_a_table_made_of_lines_says_what_the_code_object_says(monkeypatch):
    """What PyPy's code objects get; of CPython's it can be made as well."""
    monkeypatch.setattr(definitions, "_IS_PYPY", True)
    modules = [compile(SOURCE, "/a.py", "exec")]
    modules.append(compile(inspect.getsource(types), "/types.py", "exec"))
    for code in (found for module in modules for found in codes(module)):
        table = read_line_table(
            definitions.line_table(code), code.co_firstlineno, "3.11"
        )
        for start, end, line in code.co_lines():
            for at in range(start, end, 2):
                assert table.line(at // 2) == line, (code, at)


def test_the_table_of_a_running_python_is_read():
    code = codes(compile(SOURCE, "/a.py", "exec"))[1]
    version = ".".join(map(str, sys.version_info[:3]))
    found = definitions.line_table(code)
    table = read_line_table(found, code.co_firstlineno, version)
    for start, end, line in code.co_lines():
        if end > start:
            assert table.line(start // 2) == line
