"""Source lines as they were when the code ran, with the lines that made calls marked.

Threads: one at a time. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.errors import harmless
from kolo_c.store.definitions import SourceFile
from kolo_c.store.lines import read_line_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kolo_c.store.definitions import Code
    from kolo_c.store.reader import Trace

_CONTEXT = 2


class Sources:
    """The kept sources of a trace's process; each is fetched once."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._texts: dict[int, list[str]] = {}

    def lines(self, file: int) -> list[str]:
        """The lines of a file, harmless to a terminal; none where it was not kept."""
        if file not in self._texts:
            self._texts[file] = [
                harmless(line.expandtabs(4)) for line in self._read(file)
            ]
        return self._texts[file]

    def line(self, file: int, number: int | None) -> str:
        """One line without its indent; empty where it is not known."""
        lines = self.lines(file) if number is not None else []
        if number is None or not 1 <= number <= len(lines):
            return ""
        return lines[number - 1].strip()

    def extent(self, code: Code) -> range:
        """The numbers of the lines of a function."""
        table = read_line_table(
            code.line_table, code.first_line, self._trace.definitions.python
        )
        known = [line for line in table.lines if line is not None]
        first = max(code.first_line, 1)
        last = max([first, *known])
        return range(first, min(last, len(self.lines(code.file))) + 1)

    def _read(self, file: int) -> list[str]:
        found = self._trace.definitions.get(file)
        if not isinstance(found, SourceFile):
            return []
        text = found.text
        if text is None:
            data = self._trace.process.source(found.path)
            text = data.decode("utf-8", "replace") if data is not None else ""
        if not text:
            return []
        return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def chosen_lines(extent: range, marked: set[int], most: int | None) -> Iterator[int]:
    """The numbers of the lines to show, in at most ``most``: all of a short function,
    else its first lines and what surrounds the marked ones. 0 stands for a gap."""
    if most is None or len(extent) <= most:
        yield from extent
        return
    near: set[int] = set(extent[: _CONTEXT + 1])
    for line in sorted(marked):
        around = range(line - _CONTEXT, line + _CONTEXT + 1)
        if len(near) + len(around) > most and near:
            break
        near.update(number for number in around if number in extent)
    for number in extent:
        if len(near) >= most:
            break
        near.add(number)
    before = extent.start - 1
    for number in sorted(near):
        if number != before + 1:
            yield 0
        yield number
        before = number
    if before != extent[-1]:
        yield 0
