"""What a trace of its own is about: the request, test, task or command, as the plugin
that opened the trace recorded it.

Threads: one at a time. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.model.ends import fetch_end
from kolo_c.model.events import merged
from kolo_c.model.tree import TreeBuilder
from kolo_c.store.records import Plugin, PluginEnd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.model.node import Node
    from kolo_c.store.reader import Trace
    from kolo_c.store.values import Value

_MOST_STREAMS = 8
_FIRST_RECORDS = 64
_FAILED_OUTCOMES = frozenset(("failed", "error", "failure"))


class Boundary:
    """The node that a trace is about."""

    __slots__ = ("fields", "kind", "node")

    def __init__(self, kind: str, node: Node) -> None:
        self.kind = kind
        self.node = node
        begin = node.begin.values if isinstance(node.begin, Plugin) else None
        end = node.end.values if isinstance(node.end, PluginEnd) else None
        self.fields = merged(begin, end)

    @property
    def failed(self) -> bool:
        """Whether it did not go well: an exception, a status from 500, an outcome."""
        if self.node.left_by_exception:
            return True
        return is_failure(self.fields.get("status"), self.fields.get("outcome"))

    def text(self, name: str) -> str:
        """A field that is a text; empty where it is none."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""


def is_failure(status: Value, outcome: Value) -> bool:
    """Whether a request's status, or a test's outcome, is one of what failed."""
    if isinstance(status, int) and status >= 500:
        return True
    return any(
        isinstance(one, str) and one.lower() in _FAILED_OUTCOMES
        for one in (status, outcome)
    )


def boundary_of(trace: Trace) -> Boundary | None:
    """What the trace is about; None where no plugin opened it."""
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
                    return Boundary(kind, node)
    return None
