"""SQL statements in a tree, with what their siblings tell of their rows.

Threads: one at a time. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.model.events import merged
from kolo_c.model.fetches import FETCH, STATEMENT, Fetched
from kolo_c.store.records import Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from kolo_c.model.node import Node
    from kolo_c.store.definitions import Definitions


def joined(
    nodes: Sequence[Node], definitions: Definitions, single: Container[int]
) -> Sequence[Node]:
    """Siblings without what was fetched of statements among them, which have it.

    Those whose numbers are in ``single`` stay.
    """
    statements: dict[int, Node] = {}
    kept: list[Node] = []
    for node in nodes:
        if node.plugin is not None and isinstance(node.begin, Plugin):
            name = definitions.plugin(node.plugin).name
            if name in (STATEMENT, FETCH):
                fields = merged(node.begin.values, None)
                number = fields.get("number")
                if not isinstance(number, int):
                    pass
                elif name == STATEMENT:
                    statements[number] = node
                    node.fetched = Fetched()
                elif number in statements and node.number not in single:
                    fetched = statements[number].fetched
                    assert fetched is not None
                    fetched.add(fields, 0)
                    continue
        kept.append(node)
    return kept
