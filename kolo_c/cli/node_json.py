"""The page of one node for programs: ``kolo-c show TRACE/NODE --json``.

Threads: any. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.cli.header import header_json
from kolo_c.cli.nodes_json import node_json
from kolo_c.model import nearby
from kolo_c.model.ends import fetch_end
from kolo_c.model.node import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.cli.labels import Labels
    from kolo_c.cli.sources import Sources
    from kolo_c.model.close_up import CloseUp
    from kolo_c.model.node import Node


def page_json(found: CloseUp, labels: Labels, sources: Sources) -> dict[str, Any]:
    """The node and those below it that were read, its place, and where its values
    stand next to it."""
    stream, node = found.stream, found.node
    nodes = []
    for one in (node, *walk(node.children)):
        fetch_end(stream, one)
        nodes.append({"thread": stream.ordinal, **node_json(one, labels)})
    return {
        "trace": header_json(labels.trace),
        "nodes": nodes,
        "nodes_below": found.count,
        "whole": found.whole,
        "caller": _number(node.parent),
        "before": _number(found.before),
        "after": _number(found.after),
        "source": _source(node, labels, sources),
        "also": _also(node, labels),
    }


def _number(node: Node | None) -> int | None:
    return node.number if node is not None and node.number else None


def _source(node: Node, labels: Labels, sources: Sources) -> dict[str, Any] | None:
    if node.code is None:
        return None
    code = labels.trace.definitions.code(node.code)
    extent = sources.extent(code)
    if not extent:
        return None
    calls: dict[int, list[int]] = {}
    for child in node.children:
        line = labels.site_line(child)
        if line is not None:
            calls.setdefault(line, []).append(child.number)
    return {
        "first_line": extent.start,
        "lines": [sources.lines(code.file)[number - 1] for number in extent],
        "calls": {str(line): numbers for line, numbers in calls.items()},
    }


def _also(node: Node, labels: Labels) -> list[dict[str, Any]]:
    definitions = labels.trace.definitions
    own = list(nearby.held_by(node, definitions))
    others = [
        held
        for other in nearby.neighbours(node)
        for held in nearby.held_by(other, definitions)
    ]
    return [
        {
            "what": held.role,
            "name": held.name,
            "how": match.how,
            "node": match.held.node.number,
            "there": match.held.role,
            "there_name": match.held.name,
        }
        for held in own
        for match in nearby.matches(held, [*own, *others])
    ]
