"""Folds as lines for a person: ``cost(…) ×4,811 more``, ``import shop: 41 modules``.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from itertools import islice

from kolo_c.cli.cells import cells, fit
from kolo_c.cli.labels import DIM, ERROR, HANDLED, NAME, TIME, VALUE
from kolo_c.cli.units import duration, plural, spread
from kolo_c.errors import harmless
from kolo_c.model.fold import IMPORTS, working_ns
from kolo_c.model.node import walk
from kolo_c.store import records as r

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.cli.labels import Labels
    from kolo_c.cli.screen import Line
    from kolo_c.model.fold import Fold, Folding
    from kolo_c.model.node import Node

_MODULES_NAMED = 4
_ROOM_FOR_COUNTS = 24
_FEWEST_OF_NAME = 7
_SPREAD = "min–median–max "


class FoldLines:
    """Writes the folds of one thread's tree."""

    def __init__(
        self,
        labels: Labels,
        folding: Folding,
        sources: list[Node],
        *,
        counts: bool = True,
    ) -> None:
        """``sources``: the calls in which exceptions were raised; ``counts``: whether
        all that is below the nodes was counted."""
        self.counts = counts
        self._labels = labels
        self._folding = folding
        self._below: dict[int, int] = {}
        self.add(sources)

    def add(self, sources: list[Node]) -> None:
        """More calls in which exceptions were raised."""
        for source in sources:
            above = source.parent
            while above is not None:
                self._below[id(above)] = self._below.get(id(above), 0) + 1
                above = above.parent

    def line(self, fold: Fold, room: int | None) -> Line:
        """What ``fold`` stands for, in ``room`` columns; None: in a pipe, where a line
        has no end, and no column for the sum."""
        if fold.kind == IMPORTS:
            return [*self._imports(fold, room), *self._exceptions(fold)]
        counts: Line = [(f" ×{fold.repetitions:,}", "bold")]
        if not self._is_whole(fold):
            counts.append((" more", VALUE))
        counts += self._exceptions(fold)
        found = fold.durations()
        times: Line = []
        if found:
            low, middle, high = found[0], found[len(found) // 2], found[-1]
            times = [("  ", ""), (spread(low, middle, high), TIME)]
        # How often and how long matter more than the whole of a name.
        left = None if room is None else room - _width(counts) - _width(times)
        name = self._name(fold, left)
        if found and (left is None or left >= cells(name) + len(_SPREAD)):
            times.insert(1, (_SPREAD, DIM))
        if found and room is None:
            times.append((f", sum {duration(sum(found))}", TIME))
        parts = [(name, NAME), *counts, *times]
        below = sum(node.hidden for node in fold.nodes)
        below += _below(fold.nodes)
        if below and self.counts:
            parts.append((f", {below:,} below", DIM))
        return parts

    def time(self, fold: Fold, room: int | None) -> str:
        """How long all of it took, where its line does not say it."""
        if fold.kind != IMPORTS:
            return duration(sum(fold.durations())) if room is not None else ""
        return duration(sum(working_ns(node) or 0 for node in fold.nodes))

    def place(self, fold: Fold) -> str:
        """File and line of what is repeated."""
        return self._labels.place(fold.nodes[0]) if fold.period == 1 else ""

    def _is_whole(self, fold: Fold) -> bool:
        """Whether no first repetition stands above it."""
        return fold.period == 1 and self._folding.is_comprehension(fold.nodes[0])

    def _name(self, fold: Fold, room: int | None) -> str:
        """The names of what is repeated, shortened where ``room`` is too little."""
        names: dict[str, str] = {}
        for node in islice(fold.nodes, 4 * fold.period):
            name = short = self._labels.name(node)
            if node.plugin is not None:
                name = short = self._labels.event_name(node)
            if isinstance(node.begin, r.Call):
                short = name.rpartition(".")[2]
                if not self._is_whole(fold):
                    name += "(…)"
            names[name] = short
            if len(names) == fold.period:
                break
        text = " + ".join(names)
        if room is None or cells(text) <= room:
            return text
        for count in range(len(names), 0, -1):
            rest = len(names) - count
            more = [f"{rest} other{'s' if rest > 1 else ''}"] if rest else []
            text = " + ".join([*islice(names.values(), count), *more])
            if cells(text) <= room:
                return text
        if len(names) > 1:
            return f"{len(names)} calls"
        return fit(text, max(room, _FEWEST_OF_NAME))

    def _imports(self, fold: Fold, room: int | None) -> Line:
        modules = [n for n in walk(fold.nodes) if self._folding.is_import(n)]
        definitions = self._labels.trace.definitions
        names = [
            harmless(definitions.code(node.code).module or "?")
            for node in fold.nodes
            if node.code is not None
        ]
        shown = ""
        for count in range(min(len(names), _MODULES_NAMED), 0, -1):
            shown = ", ".join(names[:count]) + (", …" if len(names) > count else "")
            if room is None or cells(shown) <= room - _ROOM_FOR_COUNTS:
                break
        parts: Line = [("import ", DIM), (shown, NAME)]
        hidden = sum(node.hidden for node in fold.nodes)
        if len(modules) > 1 or hidden:
            least = "≥ " if hidden else ""
            parts.append((f": {least}{plural(len(modules), 'module')}", DIM))
        elif fold.nodes[0].children:
            parts.append((f": {plural(_below(fold.nodes), 'call')}", DIM))
        return parts

    def _exceptions(self, fold: Fold) -> Line:
        """Those that left one of its calls, and those that were handled below."""
        raised = fold.raised()
        parts: Line = []
        if raised:
            first = raised[0].number
            parts.append((f" ✗ {len(raised):,} raised, first in {first}", ERROR))
        inside = sum(self._below.get(id(node), 0) for node in fold.nodes)
        inside += sum(node.hidden_sources for node in walk(fold.nodes))
        if inside:
            parts.append((f" ✓ {plural(inside, 'exception')} inside", HANDLED))
        return parts


def _width(parts: Line) -> int:
    return sum(cells(text) for text, _ in parts)


def _below(nodes: list[Node]) -> int:
    return sum(1 for _ in walk(nodes)) - len(nodes)
