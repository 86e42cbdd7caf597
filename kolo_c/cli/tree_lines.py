"""The rows of a thread's tree as lines: number, indent, what happened, time, place.

Threads: one at a time. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.cli.cells import cells, fit, fit_end
from kolo_c.cli.labels import ARGUMENTS, DIM, TIME
from kolo_c.cli.screen import cut
from kolo_c.cli.units import offered, plural
from kolo_c.errors import harmless
from kolo_c.model.ends import fetch_end
from kolo_c.model.fold import Fold

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kolo_c.cli.fold_lines import FoldLines
    from kolo_c.cli.labels import Labels
    from kolo_c.cli.screen import Line, Screen
    from kolo_c.model.fold import Row
    from kolo_c.model.node import Node
    from kolo_c.store.reader import Stream

_DEEPEST_INDENT = 30
_TIME_WIDTH = 8
_WIDEST_PLACE = 32
_NARROWEST_WITH_PLACE = 80
_FEWEST_OF_ARGUMENTS = 12
_FEWEST_OF_TEXT = 16


class TreeLines:
    """Writes the rows of one thread."""

    def __init__(
        self,
        screen: Screen,
        labels: Labels,
        folds: FoldLines,
        stream: Stream,
        *,
        base: int = 0,
    ) -> None:
        """``base``: the level above the first that is shown."""
        self._screen = screen
        self._labels = labels
        self.folds = folds
        self._stream = stream
        self._base = base
        self._digits = max(len(str(stream.last_node)), 3)
        self._place_width = 0
        self.folded = False
        """Whether a line stood for several nodes."""

    @property
    def margin(self) -> str:
        """As wide as the numbers."""
        return " " * (self._digits + 2)

    def measure(self, rows: Iterable[Row]) -> None:
        """Make the column of places as wide as these rows need it."""
        width = self._screen.width
        if width is not None and width < _NARROWEST_WITH_PLACE:
            return
        widest = max((cells(self._place(row)) for row in rows), default=0)
        if width is not None:
            widest = min(widest, _WIDEST_PLACE, width // 4)
        self._place_width = widest

    def rows(self, rows: Iterable[Row], marked: int | None = None) -> None:
        """Write them; ``marked`` is the number of the one that was asked for."""
        for row in rows:
            self.row(row, marked=marked)

    def row(self, row: Row, *, marked: int | None = None, below: int = 0) -> None:
        """Write one; ``below``: how many nodes below it are not shown."""
        if isinstance(row, Fold):
            self.folded = True
            number = row.nodes[0].number
            room = self._room()
            if room is not None:
                room -= len(self.margin) + len(self._indent(row.level))
            label = self.folds.line(row, room)
            self._line(number, row.level, label, self.folds.time(row, room), row)
            return
        fetch_end(self._stream, row)
        label = self._labels.line(row)
        if marked is not None and row.number == marked:
            label = [("▸ ", "bold"), *label]
        if below:
            label = [*label, (f"  [{below:,} below]", DIM)]
        own = row.continues in (None, self._stream.ordinal)
        number = row.number if own else 0  # of this thread another has that number
        self._line(number, row.level, label, self._labels.time(row), row)

    def note(self, level: int, text: str) -> None:
        """Write something about the lines, where a row of ``level`` would stand."""
        self._screen.wrapped(text, DIM, f"{self.margin}{self._indent(level)}")

    def hidden(self, node: Node) -> None:
        """Say what is hidden below ``node``."""
        if node.hidden and not node.children:
            count = plural(node.hidden, "node") if self.folds.counts else "more"
            where = full_address(self._stream, node.number)
            inside = node.hidden_sources
            with_them = f" with {plural(inside, 'exception')}" if inside else ""
            show = offered("show", self._stream.trace)
            self.note(node.level + 1, f"… {count} below{with_them}: {show} {where}")

    def _line(self, number: int, level: int, label: Line, time: str, row: Row) -> None:
        shown = str(number) if number else ""
        left: Line = [
            (f"{shown:>{self._digits}}  ", DIM),
            (self._indent(level), ""),
            *label,
        ]
        place = self._place(row)
        width = self._screen.width
        if width is None:
            ends = [(f"  {time}" if time else "", TIME), (f"  {place}", DIM)]
            self._screen.line([*left, *ends])
            return
        room = self._room() or _FEWEST_OF_TEXT
        left = cut(_spare_outcome(left, room), room, "…")
        filled = " " * max(room - sum(cells(text) for text, _ in left), 0)
        right = " " * (_TIME_WIDTH - cells(time)) + time
        ends = [(filled + "  ", ""), (right, TIME)]
        if self._place_width:
            ends.append((f"  {fit_end(place, self._place_width)}", DIM))
        self._screen.line([*left, *ends])

    def _room(self) -> int | None:
        """The columns for what happened, number and indent included; None: no end."""
        width = self._screen.width
        if width is None:
            return None
        gap = 2 if self._place_width else 0
        return max(width - _TIME_WIDTH - self._place_width - gap - 2, _FEWEST_OF_TEXT)

    def _indent(self, level: int) -> str:
        width = self._screen.width
        deepest = _DEEPEST_INDENT if width is None else min(_DEEPEST_INDENT, width // 8)
        step = "  " if width is None or width >= _NARROWEST_WITH_PLACE else " "
        level -= self._base
        if level - 1 <= deepest:
            return step * (level - 1)
        return step * deepest + f"[{level}] "

    def _place(self, row: Row) -> str:
        return (
            self.folds.place(row) if isinstance(row, Fold) else self._labels.place(row)
        )


def address(stream: Stream, number: int) -> str:
    """``153``, or ``2.153`` in the second thread, as ``--around`` takes it."""
    return f"{number}" if stream.ordinal == 1 else f"{stream.ordinal}.{number}"


def full_address(stream: Stream, number: int) -> str:
    """``TRACE/153`` as a command takes it."""
    return f"{harmless(stream.trace.id)[-6:]}/{address(stream, number)}"


def callers(lines: TreeLines, above: Sequence[Node], row: Row | None) -> None:
    """Write the callers of ``row``, and that there is something between."""
    lines.rows(above)
    if above and row is not None:
        lines.note(row.level, "…")


def _spare_outcome(parts: Line, room: int) -> Line:
    """``parts``, the arguments shortened so that what came of the call has room."""
    over = sum(cells(text) for text, _ in parts) - room
    if over <= 0:
        return parts
    spared: Line = []
    for text, style in parts:
        if style == ARGUMENTS and over > 0:
            keep = max(cells(text) - over - 1, _FEWEST_OF_ARGUMENTS, room // 4)
            if keep < cells(text):
                text = _shortened(text, keep)
        spared.append((text, style))
    return spared


def _shortened(text: str, keep: int) -> str:
    """Arguments, or what a plugin saw: how that ended is kept where it is short."""
    if text.endswith(")"):
        return fit(text, keep - 1) + ")"
    head, dot, end = text.rpartition(" · ")
    if not dot or cells(end) + len(dot) > keep // 2:
        return fit(text, keep)
    return fit(head, keep - cells(end) - len(dot)) + dot + end
