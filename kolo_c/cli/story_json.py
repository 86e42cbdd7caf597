"""The story of a failure for programs: ``why --json``.

Threads: one at a time. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.cli.labels import Labels
from kolo_c.cli.nodes_json import node_json
from kolo_c.cli.trace_row import trace_json
from kolo_c.model.ends import find_begin
from kolo_c.store.jsonable import value_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.model.boundary import Boundary
    from kolo_c.model.node import Node
    from kolo_c.model.stacks import Stack
    from kolo_c.model.story import Path, Story


def story_json(story: Story) -> dict[str, Any]:
    """All of it."""
    writer = _Writer(story)
    return {
        "trace": trace_json(story.trace.info),
        "how": story.how,
        "exit_code": story.exit_code,
        "about": writer.about(story.boundary),
        "exceptions": [writer.path(path) for path in story.paths],
        "before": writer.nodes(story.before),
        "handled": writer.nodes(story.swallowed),
        "open": [writer.stack(stack) for stack in story.stacks],
        "last_record_utc_ns": story.trace.utc_ns(story.last_ns),
        "whole": story.whole,
    }


class _Writer:
    def __init__(self, story: Story) -> None:
        self._trace = story.trace
        self._labels = Labels(story.trace)

    def about(self, boundary: Boundary | None) -> dict[str, Any] | None:
        """The request or test that the trace is about."""
        if boundary is None:
            return None
        definitions = self._trace.definitions
        return {
            "kind": boundary.kind,
            "node": boundary.node,
            "failed": boundary.failed,
            "values": {
                name: value_json(value, definitions)
                for name, value in boundary.fields.items()
            },
        }

    def path(self, path: Path) -> dict[str, Any]:
        exception = path.exception
        names = ("type", "of", "file", "line", "function")
        return {
            "exception": None
            if exception is None
            else value_json(exception, self._trace.definitions),
            "relation": path.relation or None,
            "thread": path.thread or None,
            "raised": {name: path.link.get(name) for name in names},
            "frames": self.nodes(path.frames),
        }

    def stack(self, stack: Stack) -> dict[str, Any]:
        task = self._trace.definitions.task(stack.task)
        return {
            "thread": stack.stream.ordinal,
            "thread_name": stack.stream.name,
            "task": None if task is None else task.name,
            "suspended": stack.suspended,
            "frames": self.nodes(stack.frames),
            "last": self.nodes(stack.last),
        }

    def nodes(self, nodes: list[Node]) -> list[dict[str, Any]]:
        return [self._node(node) for node in nodes]

    def _node(self, node: Node) -> dict[str, Any]:
        find_begin(self._trace, node)
        return {
            "thread": node.thread,
            **node_json(node, self._labels),
            "raised_line": self._labels.raise_line(node),
        }
