"""The hits of a search as lines, for a person or as JSON.

Threads: one at a time. Owns: nothing; the file stays open. Fails: what writing raises.
"""

from __future__ import annotations

from kolo_c.cli.cells import cells, fit_end
from kolo_c.cli.screen import Screen
from kolo_c.errors import harmless
from kolo_c.model.events import merged
from kolo_c.store import records as r
from kolo_c.store.leaves import Leaves, parts
from kolo_c.store.scan import NAMES, code_of, record_of, stream_of
from kolo_c.store.text import shorten, value_text
from kolo_c.store.values import CutText
from kolo_c.wire import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TextIO

    from kolo_c.cli.screen import Line
    from kolo_c.store.definitions import Code
    from kolo_c.store.scan import Hit, Query
    from kolo_c.store.trace import Stream, Trace
    from kolo_c.store.trace_info import TraceInfo
    from kolo_c.store.values import Value

_VALUE_WIDTH = 100
_BEFORE = 30
"""Characters that are shown before the match, where a value is too long."""
_BEHIND = 8
"""Columns that are left for what comes after it, where there is little room."""
_MATCH = "bold red"
_LONGEST_TEXT = 1000
_MARKS = {
    "return": "→ ", "yield": "yields ", "exception": "✗ ", "region": "region ",
    "note": "note ", "log": "log ",
}  # fmt: skip


class HitWriter:
    """Writes hits, each in a line."""

    def __init__(
        self, file: TextIO, query: Query, endings: dict[str, int], *, json: bool
    ) -> None:
        self._screen = Screen(file)
        self._file = file
        self._matcher = query.matcher
        self._endings = endings
        self._json = json
        self._leaves: Leaves | None = None
        self._trace: Trace | None = None

    def trace(self, info: TraceInfo, hits: int | None) -> None:
        """Write a trace that has hits, and how many."""
        if self._json:
            self._write_json({"trace": info.id, "name": info.row.name, "hits": hits})
            return
        count = [(f"{hits:,} ", "")] if hits is not None else []
        name = harmless(info.row.name)
        self._screen.line(
            [(self._short(info.id), "cyan"), (" ", ""), *count, (name, "")]
        )

    def totals(self, totals: dict[str, Any]) -> None:
        """Write what it all comes to, for programs."""
        self._write_json({"totals": totals})

    def hit(self, hit: Hit) -> None:
        """Write one hit."""
        trace, stream, _, raw = hit
        if trace is not self._trace:
            self._trace = trace
            self._leaves = Leaves(trace.definitions, trace.process.root)
        record = record_of(hit) or r.Record(0, 0)
        number = code_of(stream, raw) if raw.node else 0
        code = trace.definitions.code(number) if number else None
        owner = stream_of(stream, raw)
        ordinal = owner.ordinal if owner is not None else 0
        node = str(raw.node) if ordinal == 1 else f"{ordinal or '?'}.{raw.node}"
        place = self._place(record, code)
        found = self._found(record, code)
        if self._json:
            self._write_json(
                {
                    "trace": trace.id, "thread": ordinal, "node": raw.node,
                    "kind": NAMES[Kind(raw.kind)], "file": place[0], "line": place[1],
                    "function": code.qualname if code is not None else None,
                    "name": found[0], "text": found[2][:_LONGEST_TEXT],
                    "address": f"{self._short(trace.id)}/{node}",
                }
            )  # fmt: skip
            return
        head: Line = [(f"{self._short(trace.id)}/{node} ", "cyan")]
        if code is not None or not raw.node:
            path = harmless(place[0] or "?")
            if self._screen.width is not None:
                path = fit_end(path, self._screen.width // 3)
            name = harmless(code.qualname) if code is not None else "?"
            head += self._marked(f"{path}:{place[1] or '?'} ", "dim")
            head += self._marked(name, "")
            head.append((": ", ""))
        elif isinstance(record, r.PluginEnd):  # one that begins says so itself
            head.append((self._begun(owner, raw.node), "dim"))
        body = list(self._text(record, NAMES[Kind(raw.kind)], found))
        self._screen.line([*head, *self._fitted(head, body)])

    def _begun(self, owner: Stream | None, node: int) -> str:
        """What a plugin saw begin, before what it saw end."""
        record = None if owner is None else owner.first_record(node)
        if not isinstance(record, r.Plugin):
            return ""
        shown = self._plugin(record.plugin, record.values)
        if self._screen.width is not None:
            shown = fit_end(shown, self._screen.width // 3)
        return f"{shown}: "

    def _fitted(self, head: Line, body: Line) -> Line:
        """``body`` so that the match is seen on a terminal of this width."""
        at = next((i for i, part in enumerate(body) if part[1] == _MATCH), 0)
        if self._screen.width is None or not at:
            return body
        room = self._screen.width - cells("".join(text for text, _ in head))
        before = "".join(text for text, _ in body[:at])
        match = cells(body[at][0])
        if cells(before) + match < room:
            return body
        return [(fit_end(before, max(room - match - _BEHIND, 2)), ""), *body[at:]]

    def _short(self, id: str) -> str:
        return harmless(id[-self._endings.get(id, len(id)) :])

    def _place(self, record: r.Record, code: Code | None) -> tuple[str, int | None]:
        """File and line: where it raised or yielded, else where the function begins."""
        assert self._trace is not None and self._leaves is not None
        if code is None or not code.file:
            return "", None
        line = None
        if isinstance(record, (r.Raise, r.Yield)):
            line = self._trace.definitions.line(code.number, record.offset)
        return self._leaves.path(code), code.first_line if line is None else line

    def _found(
        self, record: r.Record, code: Code | None
    ) -> tuple[str | None, Value, str]:
        """The value with the first match, its name, and the text that matches; no name
        where it is the function's own, its file's or a plugin's."""
        assert self._leaves is not None
        span = self._matcher.span
        names = _names(record, code)
        for name, value in zip(names, parts(record), strict=False):
            if name and span(name) is not None:
                return name, value, name
            for text in self._leaves.of_value(value):
                if span(text) is not None:
                    return name, value, text
        for text in self._leaves.of_record(record, 0):
            if span(text) is not None:
                return None, None, text
        return None, None, ""

    def _text(
        self, record: r.Record, kind: str, found: tuple[str | None, Value, str]
    ) -> Iterator[tuple[str, str]]:
        """What was found, with the match marked."""
        name, value, text = found
        mark = _MARKS.get(kind, "")
        if mark:
            yield mark, "dim"
        if name is None:
            yield from self._marked(self._summary(record), "")
            return
        if isinstance(record, r.Plugin) and self._trace is not None:
            label = self._trace.definitions.plugin(record.plugin).label
            yield f"{harmless(label)} ", "dim"
        if name:
            yield from self._marked(f"{harmless(name)}=", "", text)
        if isinstance(record, (r.Note, r.Log, r.Region)) and value == text:
            yield from self._marked(self._window(text), "", text)
            return
        shown = self._value(value)
        where = self._where(shown, text)
        if where is None and name != text:
            # Too far inside, or too far behind: what matched stands by itself.
            if not isinstance(value, (str, CutText)):
                yield f"{shorten(shown, _BEFORE)} ", ""
            shown = repr(self._window(text))
        yield from self._marked(shown, "", text)

    def _summary(self, record: r.Record) -> str:
        assert self._trace is not None
        if isinstance(record, r.Call):
            code = self._trace.definitions.code(record.code)
            values = list(zip(code.arguments, record.arguments, strict=False))
            values = values[1:] if code.self_kind else values
            shown = (f"{harmless(name)}={self._value(one, 40)}" for name, one in values)
            return shorten(f"({', '.join(shown)})", _VALUE_WIDTH)
        if isinstance(record, r.Plugin):
            return self._plugin(record.plugin, record.values)
        return ""

    def _plugin(self, number: int, values: Value) -> str:
        from kolo_c.plugins.shown import summary_text  # noqa: PLC0415 - where one is

        assert self._trace is not None
        definitions = self._trace.definitions
        kind = definitions.plugin(number)
        text = summary_text(kind, merged(values, None), definitions, _VALUE_WIDTH)
        return f"{harmless(kind.label)} {text}"

    def _value(self, value: Value, width: int = _VALUE_WIDTH) -> str:
        assert self._trace is not None
        return value_text(value, self._trace.definitions, width)

    def _window(self, text: str) -> str:
        """The part of a long text that has the match."""
        begin, _ = self._matcher.span(text) or (0, 0)
        start = max(begin - _BEFORE, 0) if len(text) > _VALUE_WIDTH else 0
        part = text[start : start + _VALUE_WIDTH]
        before = "…" if start else ""
        after = "…" if start + _VALUE_WIDTH < len(text) else ""
        return harmless(f"{before}{part}{after}")

    def _where(self, shown: str, text: str) -> tuple[int, int] | None:
        """Where the match in ``text`` stands in what is shown of it."""
        begin, end = self._matcher.span(text) or (0, 0)
        piece = text[begin:end]
        for written in (repr(piece)[1:-1], harmless(piece)):
            at = shown.find(written)
            if at >= 0:
                return at, at + len(written)
        return None

    def _marked(self, shown: str, style: str, text: str = "") -> Line:
        where = self._where(shown, text or shown)
        if where is None or where[0] == where[1]:
            return [(shown, style)]
        begin, end = where
        return [
            (shown[:begin], style), (shown[begin:end], _MATCH), (shown[end:], style)
        ]  # fmt: skip

    def _write_json(self, found: dict[str, Any]) -> None:
        import json  # noqa: PLC0415 - for programs

        self._file.write(json.dumps(found) + "\n")


def _names(record: r.Record, code: Code | None) -> tuple[str, ...]:
    """The names of the values of a record, in the order of ``parts``."""
    if isinstance(record, r.Call):
        return code.arguments if code is not None else ("",) * len(record.arguments)
    if isinstance(record, r.Return):
        return ("", *(code.locals if code is not None else ()))
    if isinstance(record, r.Raise):
        first = () if record.exception is None else ("",)
        return (*first, *(code.raise_names if code is not None else ()))
    if isinstance(record, r.Log):
        return ("",) * 3
    return ("", "")
