"""What a trace of its own is about: the request, test, task or command, as the plugin
that opened the trace recorded it, or as the trace's attributes have it.

Threads: one at a time. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.model.ends import fetch_end
from kolo_c.model.events import Event, merged
from kolo_c.model.tree import TreeBuilder
from kolo_c.store.records import Plugin, PluginEnd
from kolo_c.store.trace_info import WITH_OUTCOME, is_failure
from kolo_c.store.values import Dict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.model.digest import Digest
    from kolo_c.model.node import Node
    from kolo_c.store.reader import Trace
    from kolo_c.store.values import Value

_MOST_STREAMS = 8
_FIRST_RECORDS = 64


class Boundary:
    """What a trace is about."""

    __slots__ = ("exception", "fields", "kind", "left", "node")

    def __init__(self, trace: Trace, node: Node | Event | None) -> None:
        self.kind = trace.info.row.kind
        self.node: int | None = None
        """The number of its record; None: there are attributes alone."""
        self.exception: Value = None
        """What left it; None where nothing did, or its type is not known."""
        self.left = False
        """Whether an exception left it."""
        self.fields: dict[str, Value] = {
            name: from_json(value)
            for name, value in trace.info.attributes.items()
            if name != "problems"
        }
        if isinstance(node, Event):
            self.node, self.exception = node.node, node.exception
            self.left = node.failed
            self.fields.update(node.fields)
        elif node is not None:
            self.node, self.exception = node.number, node.exception()
            self.left = node.left_by_exception
            begin = node.begin.values if isinstance(node.begin, Plugin) else None
            end = node.end.values if isinstance(node.end, PluginEnd) else None
            self.fields.update(merged(begin, end))

    @property
    def failed(self) -> bool:
        """Whether it did not go well: an exception, a status from 500, an outcome."""
        if self.left:
            return True
        return is_failure(self.fields.get("status"), self.fields.get("outcome"))

    def text(self, name: str) -> str:
        """A field that is a text; empty where it is none."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""


def from_json(value: Any) -> Value:
    """An attribute as a record would have it."""
    if isinstance(value, dict):
        return Dict(tuple((key, from_json(item)) for key, item in value.items()))
    return [from_json(item) for item in value] if isinstance(value, list) else value


def boundary_of(trace: Trace, digest: Digest | None = None) -> Boundary | None:
    """What the trace is about; None: a program, or a part of it that it marked.

    Nothing is read for it where ``digest`` has seen all of it.
    """
    node: Node | Event | None = None if digest is None else digest.own
    if digest is None or not (digest.complete or (digest.own and digest.own.ended)):
        node = _node_of(trace)
    found = Boundary(trace, node)
    if node is None and not (found.kind in WITH_OUTCOME and found.fields):
        return None
    return found


def _node_of(trace: Trace) -> Node | None:
    """The record of the plugin that opened the trace."""
    kind = trace.info.row.kind
    for stream in trace.streams[:_MOST_STREAMS]:
        if not stream.blocks or stream.blocks[0].sequence:
            continue
        for record in stream.decode(0).records[:_FIRST_RECORDS]:
            if not isinstance(record, Plugin):
                continue
            if trace.definitions.plugin(record.plugin).name == kind:
                builder = TreeBuilder(stream)
                builder.step()
                node = builder.nodes.get(record.node)
                if node is not None:
                    builder.fill_ends()
                    fetch_end(stream, node)
                    return node
    return None
