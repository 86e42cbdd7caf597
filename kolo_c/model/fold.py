"""What one line of a tree may stand for: imports, and what comes again and again.

Siblings that repeat, alone (a loop that calls one function) or as a pattern of up to
eight (a loop that calls several), become their first repetition as it is and a Fold for
the rest. Imports of modules become a Fold each. Marks, calls that have not ended, and
up to three calls of a run that an exception left stay lines of their own; of more than
that a Fold has the count.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.model.events import merged
from kolo_c.store import records as r

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeAlias

    from kolo_c.model.node import Node
    from kolo_c.store.definitions import Definitions

    Key: TypeAlias = tuple[object, ...] | None
    Row: TypeAlias = "Node | Fold"

REPEATED = "repeated"
IMPORTS = "imports"

_FEWEST_OF_ONE = 4
_FEWEST_OF_PATTERN = 3
_LONGEST_PATTERN = 8
_MOST_RAISED_SHOWN = 3
_FEWEST_FOLDED = 3
_COMPREHENSIONS = ("<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>")
_SCRIPTS = (None, "__main__", "__mp_main__")


class Fold:
    """Siblings that one line stands for; ``period`` of them repeat."""

    __slots__ = ("kind", "nodes", "period")

    def __init__(self, kind: str, nodes: list[Node], period: int = 1) -> None:
        self.kind = kind
        self.nodes = nodes
        self.period = period

    @property
    def level(self) -> int:
        """How deep it stands: as its nodes."""
        return self.nodes[0].level

    @property
    def repetitions(self) -> int:
        """How often the pattern stands in it."""
        return len(self.nodes) // self.period

    def durations(self) -> list[int]:
        """How long each repetition took, as far as that is known; sorted."""
        single = [working_ns(node) for node in self.nodes]
        found = [
            sum(part for part in single[at : at + self.period] if part is not None)
            for at in range(0, len(single), self.period)
            if any(part is not None for part in single[at : at + self.period])
        ]
        return sorted(found)

    def raised(self) -> list[Node]:
        """Those that an exception left."""
        return [node for node in self.nodes if node.left_by_exception]


class Folding:
    """What is folded, and what never is."""

    def __init__(
        self,
        definitions: Definitions,
        *,
        repeats: bool = True,
        imports: bool = True,
        single: Iterable[int] = (),
    ) -> None:
        """``single``: the numbers of nodes that always have a line of their own."""
        self._definitions = definitions
        self._repeats = repeats
        self._imports = imports
        self._single = frozenset(single)

    def rows(self, roots: Sequence[Node]) -> Iterator[Row]:
        """The lines of the trees with these roots, parents first."""
        pending = [iter(self.siblings(roots))]
        while pending:
            row = next(pending[-1], None)
            if row is None:
                pending.pop()
                continue
            yield row
            if not isinstance(row, Fold) and row.children:
                pending.append(iter(self.siblings(row.children)))

    def siblings(self, nodes: Sequence[Node]) -> Iterable[Row]:
        """The lines of the children of one node, without what is below them."""
        if not self._repeats and not self._imports:
            return nodes
        if any(node.plugin is not None for node in nodes):
            from kolo_c.model.joined import joined  # noqa: PLC0415 - where one is

            nodes = joined(nodes, self._definitions, self._single)
        if len(nodes) == 1 and self.key(nodes[0]) != (IMPORTS,):
            return nodes
        return self._fold(nodes)

    def is_import(self, node: Node) -> bool:
        """Whether it is the body of a module that is not the script."""
        return is_import(node, self._definitions)

    def is_comprehension(self, node: Node) -> bool:
        """Whether it is a generator expression or a comprehension."""
        return is_comprehension(node, self._definitions)

    def key(self, node: Node) -> Key:
        """What is the same for siblings that may share a line; None: nothing is."""
        begin = node.begin
        if node.number in self._single or isinstance(begin, r.MarkRecord):
            return None
        if node.number == 0 or (node.is_open and node.suspended_since is None):
            return None
        if self._imports and self.is_import(node):
            # Marked where it is raised: an import that failed is a line of its own.
            return None if node.left_by_exception else (IMPORTS,)
        if not self._repeats or (begin is None and node.continues is None):
            return None
        if node.code is not None:
            return ("call", node.code, node.continues)
        if isinstance(begin, r.Region):
            return ("region", begin.name)
        if node.plugin is not None:
            return self._event_key(node)
        if isinstance(begin, r.Log):
            return ("log", str(begin.level), str(begin.logger), begin.site)
        return ("note", begin.text) if isinstance(begin, r.Note) else None

    def _event_key(self, node: Node) -> Key:
        """What plugins saw is the same where it is but for values: the statement, the
        path with other numbers."""
        if not isinstance(node.begin, r.Plugin):
            return ("plugin", node.plugin, node.continues)
        from kolo_c.model.statement import shape  # noqa: PLC0415 - where one is seen

        texts = [
            shape(value)
            for value in merged(node.begin.values, None).values()
            if isinstance(value, str)
        ]
        return ("plugin", node.plugin, *texts)

    def _fold(self, nodes: Sequence[Node]) -> Iterator[Row]:
        groups = list(_groups(nodes, self.key))
        at = 0
        while at < len(groups):
            key, group = groups[at]
            if key == (IMPORTS,):
                yield Fold(IMPORTS, group)
                at += 1
                continue
            length, times = _pattern(groups, at)
            if times:
                for _, first in groups[at : at + length]:
                    yield from self._run(first)
                rest = groups[at + length : at + length * times]
                yield _pattern_fold([group for _, group in rest], length)
                at += length * times
            else:
                yield from self._run(group)
                at += 1

    def _run(self, group: list[Node]) -> Iterator[Row]:
        """Siblings of one key, one after the other."""
        silent = self.is_comprehension(group[0]) and len(group) > 1
        if len(group) < _FEWEST_OF_ONE and not silent:
            yield from group
            return
        raised = [node for node in group if node.left_by_exception]
        if len(raised) > _MOST_RAISED_SHOWN:
            yield group[0]
            yield Fold(REPEATED, group[1:])
            return
        rest = group
        if not silent or group[0].left_by_exception or group[0].children:
            yield group[0]
            rest = group[1:]
        yield from _between(rest)


def _between(nodes: list[Node]) -> Iterator[Row]:
    """Folds of what lies between the calls that an exception left."""
    quiet: list[Node] = []
    for node in nodes:
        if node.left_by_exception:
            yield from _folded(quiet)
            quiet = []
            yield node
        else:
            quiet.append(node)
    yield from _folded(quiet)


def _folded(nodes: list[Node]) -> Iterator[Row]:
    if len(nodes) >= _FEWEST_FOLDED:
        yield Fold(REPEATED, nodes)
    elif nodes:
        yield from nodes


def _groups(nodes: Sequence[Node], key_of: object) -> Iterator[tuple[Key, list[Node]]]:
    """Runs of siblings with the same key; what has none is alone."""
    assert callable(key_of)
    key: Key = None
    group: list[Node] = []
    for node in nodes:
        found = key_of(node)
        if group and (found is None or found != key):
            yield key, group
            group = []
        key = found
        group.append(node)
    if group:
        yield key, group


def _pattern(groups: list[tuple[Key, list[Node]]], at: int) -> tuple[int, int]:
    """The length of the pattern that begins at a group, and how often it stands there;
    (0, 0) for none."""
    left = len(groups) - at
    for length in range(2, min(_LONGEST_PATTERN, left // _FEWEST_OF_PATTERN) + 1):
        keys = [groups[at + offset][0] for offset in range(length)]
        if None in keys or (IMPORTS,) in keys:
            return 0, 0
        end = at + length
        while end < len(groups) and groups[end][0] == keys[(end - at) % length]:
            end += 1
        times = (end - at) // length
        if times >= _FEWEST_OF_PATTERN:
            return length, times
    return 0, 0


def _pattern_fold(groups: list[list[Node]], length: int) -> Fold:
    """The rest of a pattern; its runs may differ in length, and then it has no period
    but the number of its repetitions."""
    nodes = [node for group in groups for node in group]
    if len(nodes) == len(groups):
        return Fold(REPEATED, nodes, length)
    return UnevenFold(nodes, groups, length)


class UnevenFold(Fold):
    """A repeated pattern in which a call came now once, now several times."""

    __slots__ = ("_groups",)

    def __init__(
        self, nodes: list[Node], groups: list[list[Node]], length: int
    ) -> None:
        super().__init__(REPEATED, nodes, length)
        self._groups = groups

    @property
    def repetitions(self) -> int:
        """How often the pattern stands in it."""
        return len(self._groups) // self.period

    def durations(self) -> list[int]:
        """How long each repetition took, as far as that is known; sorted."""
        found = []
        for at in range(0, len(self._groups), self.period):
            parts = [
                part
                for group in self._groups[at : at + self.period]
                for node in group
                if (part := working_ns(node)) is not None
            ]
            if parts:
                found.append(sum(parts))
        return sorted(found)


def working_ns(node: Node) -> int | None:
    """How long it took without the time in which it was suspended."""
    taken = node.duration_ns
    return None if taken is None else max(taken - node.suspended_ns, 0)


def is_import(node: Node, definitions: Definitions) -> bool:
    """Whether ``node`` is the body of a module that is not the script."""
    if node.code is None:
        return False
    code = definitions.code(node.code)
    if code.name != "<module>" or code.module in _SCRIPTS:
        return False
    return not definitions.path(code.file).startswith("<")


def is_comprehension(node: Node, definitions: Definitions) -> bool:
    """Whether ``node`` is a generator expression or a comprehension."""
    if node.code is None:
        return False
    return definitions.code(node.code).name in _COMPREHENSIONS
