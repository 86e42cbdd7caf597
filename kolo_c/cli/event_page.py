"""The fields of what a plugin saw, on the page of its node: each as it is best read.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.cli.cells import cells
from kolo_c.cli.labels import DIM, fields_of
from kolo_c.errors import harmless
from kolo_c.store.text import value_text
from kolo_c.store.values import CutText, Dict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.cli.labels import Labels
    from kolo_c.cli.screen import Screen
    from kolo_c.model.node import Node
    from kolo_c.store.values import Value

_WIDEST_NAME = 20
_FEWEST_PAIRS = 2


class EventPage:
    """Writes the fields of one node."""

    def __init__(self, screen: Screen, labels: Labels, *, most: int) -> None:
        """``most``: the characters of a value that are shown."""
        self._screen = screen
        self._labels = labels
        self._most = most

    def write(self, node: Node) -> None:
        """All of them, in the order that the plugin gave them."""
        kind = self._labels.trace.definitions.plugin(node.plugin or 0)
        fields = fields_of(node)
        if kind.name == "sql" and "number" in fields:
            fields = self._with_rows(node, fields)
        if not fields:
            return
        self._screen.text("")
        self._screen.text("fields", "bold")
        width = min(max(cells(harmless(name)) for name in fields), _WIDEST_NAME)
        for name, value in fields.items():
            head = f"  {harmless(name)}{' ' * (width - cells(harmless(name)))}  "
            if kind.name == "sql" and name == "text":
                self._statement(head, value)
            elif isinstance(value, (str, CutText)):
                self._text(head, value)
            elif isinstance(value, Dict) and len(value.pairs) >= _FEWEST_PAIRS:
                self._pairs(head, value)
            else:
                self._long(head, self._value(value))

    def _with_rows(self, node: Node, fields: dict[str, Value]) -> dict[str, Value]:
        """What was fetched of a statement is in records of their own."""
        from kolo_c.model.digest import MOST_BLOCKS  # noqa: PLC0415 - for SQL alone
        from kolo_c.model.events import Events  # noqa: PLC0415 - likewise
        from kolo_c.model.fetches import STATEMENT  # noqa: PLC0415 - likewise

        trace = self._labels.trace
        for event in Events(trace, STATEMENT.__eq__, most_blocks=MOST_BLOCKS):
            if event.node == node.number and event.stream.ordinal == node.thread:
                return event.fields
        return fields

    def _statement(self, head: str, value: Value) -> None:
        from kolo_c.model.statement import in_lines  # noqa: PLC0415 - for SQL alone

        text = value.text if isinstance(value, CutText) else value
        if not isinstance(text, str):
            self._long(head, self._value(value))
            return
        self._lines(head, in_lines(text[: self._most]), self._rest(value, text))

    def _text(self, head: str, value: str | CutText) -> None:
        text = value.text if isinstance(value, CutText) else value
        lines = text[: self._most].rstrip("\n").splitlines() or [""]
        self._lines(head, lines, self._rest(value, text))

    def _lines(self, head: str, lines: list[str], rest: str) -> None:
        for line in lines:
            self._long(head, harmless(line.replace("\t", "    ")))
            head = " " * cells(head)
        if rest:
            self._screen.text(head + rest, DIM)

    def _rest(self, value: Value, text: str) -> str:
        """What is said of the part that is not shown."""
        if len(text) > self._most:
            self._labels.shortened = True
            return f"… {len(text) - self._most:,} characters more"
        if isinstance(value, CutText):
            return f"… {value.length - len(text):,} characters more were not kept"
        return ""

    def _pairs(self, head: str, value: Dict) -> None:
        for key, item in value.pairs:
            name = harmless(key) if isinstance(key, str) else self._value(key)
            text = harmless(item) if isinstance(item, str) else self._value(item)
            self._long(head, f"{name}: {text[: self._most]}")
            head = " " * cells(head)

    def _value(self, value: Value) -> str:
        text = value_text(value, self._labels.trace.definitions, self._most)
        if text.endswith("…"):
            self._labels.shortened = True
        return text

    def _long(self, head: str, text: str) -> None:
        self._screen.long(head, text)
