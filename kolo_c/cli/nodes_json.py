"""Nodes and records for programs: the JSON of ``show --json`` and ``dump``.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import json

from kolo_c.cli.header import header_json
from kolo_c.cli.labels import fields_of
from kolo_c.model.ends import fetch_end
from kolo_c.model.exceptions import flight, is_source
from kolo_c.store import records as r
from kolo_c.store.jsonable import value_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TextIO, TypeAlias

    from kolo_c.cli.labels import Labels
    from kolo_c.model.digest import Digest
    from kolo_c.model.exceptions import Caught
    from kolo_c.model.node import Node
    from kolo_c.store.definitions import Code, Definitions
    from kolo_c.store.jsonable import Json
    from kolo_c.store.reader import Stream
    from kolo_c.store.values import Value

    Object: TypeAlias = dict[str, Any]


def write_nodes(
    file: TextIO, labels: Labels, nodes: Iterable[tuple[Stream, Node]], digest: Digest
) -> None:
    """Write a trace's header and nodes of it, node by node."""
    header = json.dumps(header_json(labels.trace, digest))
    file.write(f'{{"trace": {header},\n"nodes": [')
    separator = "\n"
    for stream, node in nodes:
        fetch_end(stream, node)
        found = {"thread": stream.ordinal, **node_json(node, labels)}
        file.write(separator + json.dumps(found))
        separator = ",\n"
    file.write("\n]}\n")


def node_json(node: Node, labels: Labels) -> Object:
    """One node of a tree; its children name it as their parent."""
    definitions = labels.trace.definitions
    found: Object = {
        "node": node.number,
        "parent": node.parent.number if node.parent is not None else None,
        "level": node.level,
        "kind": node.kind.name.lower() if node.kind is not None else None,
        "name": labels.name(node),
        "start_ns": node.start_ns,
        "end_ns": node.end_ns,
        "duration_ns": node.duration_ns,
        "status": _status(node),
    }
    if node.code is not None:
        code = definitions.code(node.code)
        found["file"] = definitions.path(code.file)
        found["line"] = code.first_line
        found["called_from_line"] = labels.site_line(node)
    if node.begin is not None:
        found.update(fields_json(node.begin, definitions))
    if node.plugin is not None:
        found.update(_event(node, labels))
    elif isinstance(node.begin, r.Log):
        found.update(_came_from(node, labels))
    if isinstance(node.end, r.Return):
        found["result"] = value_json(node.end.value, definitions)
    if node.left_by_exception:
        found.update(_exception(node, labels))
    if node.end is not None and node.code is not None:
        found.update(_locals(node.end, definitions.code(node.code), definitions))
    if node.caught:
        found["caught"] = [_caught(node, caught, labels) for caught in node.caught]
    if node.resumed:
        found["resumed"] = node.resumed
        found["suspended_ns"] = node.suspended_ns
    if node.task:
        task = definitions.task(node.task)
        found["task"] = task.name if task is not None else None
    if node.hidden:
        found["hidden"] = node.hidden
    return found


def _event(node: Node, labels: Labels) -> Object:
    """What a plugin saw: all its fields as ``values``, and where it came from."""
    definitions = labels.trace.definitions
    kind = definitions.plugin(node.plugin or 0)
    return {
        "plugin": kind.name,
        "label": kind.label,
        "summary": labels.summary(node),
        "values": {
            name: value_json(value, definitions)
            for name, value in fields_of(node).items()
        },
        **_came_from(node, labels),
    }


def _came_from(node: Node, labels: Labels) -> Object:
    place = labels.site_place(node)
    return {
        "called_from_file": None if place is None else place[0],
        "called_from_line": None if place is None else place[1],
    }


def record_json(record: r.Record, definitions: Definitions) -> Object:
    """One record with what its numbers stand for, but for what needs the stack."""
    found: Object = {"kind": record.kind.name.lower(), "ns": record.ns}
    if record.node:
        found["node"] = record.node
    found.update(fields_json(record, definitions))
    return found


def fields_json(record: r.Record, definitions: Definitions) -> Object:
    """The fields of a record that begins a node, or of one without a place."""

    def value(item: Value) -> Json:
        return value_json(item, definitions)

    if isinstance(record, r.Call):
        code = definitions.code(record.code)
        return {"arguments": _named(code.arguments, record.arguments, definitions)}
    if isinstance(record, r.Region):
        return {"region": record.name, "values": value(record.values)}
    if isinstance(record, r.Note):
        return {"text": record.text, "values": value(record.values)}
    if isinstance(record, r.Log):
        return {
            "log_level": value(record.level),
            "logger": value(record.logger),
            "text": record.text,
        }
    if isinstance(record, r.Plugin):
        kind = definitions.plugin(record.plugin)
        return {"plugin": kind.name, "values": value(record.values)}
    if isinstance(record, r.PluginEnd):
        return {"values": value(record.values), "exception": value(record.exception)}
    if isinstance(record, r.RegionEnd):
        return {"exception": value(record.exception)}
    if isinstance(record, r.TaskSwitch):
        task = definitions.task(record.task)
        return {"task": task.name if task is not None else None}
    if isinstance(record, r.MarkRecord):
        return {
            "mark": record.mark,
            "value": value(record.value),
            "depth": record.depth,
        }
    return {}


def locals_json(record: r.Record, code: Code, definitions: Definitions) -> Object:
    """The locals that a RETURN or RAISE carries."""
    return _locals(record, code, definitions)


def _locals(record: r.Record, code: Code, definitions: Definitions) -> Object:
    if not isinstance(record, (r.Return, r.Raise)) or not record.locals:
        return {}
    names = code.raise_names if isinstance(record, r.Raise) else code.locals
    return {"locals": _named(names, record.locals, definitions)}


def _named(
    names: tuple[str, ...], values: list[Value], definitions: Definitions
) -> Object:
    pairs = zip(names, values, strict=False)
    return {name: value_json(value, definitions) for name, value in pairs}


def _exception(node: Node, labels: Labels) -> Object:
    found = flight(node)
    handler = None if found.ended_task else found.handled_by
    return {
        "exception": value_json(found.exception, labels.trace.definitions),
        "raised_line": labels.raise_line(node),
        "raised_here": is_source(node),
        "raised_in": found.raised_in.number,
        "handled_by": handler.number if handler is not None else None,
        "ended_task": found.ended_task,
    }


def _caught(node: Node, caught: Caught, labels: Labels) -> Object:
    raised, handled = labels.caught_lines(node, caught)
    source = caught.source
    return {
        "exception": value_json(caught.record.exception, labels.trace.definitions),
        "raised_line": raised,
        "handled_line": handled,
        "from": source.number if source is not None else None,
    }


def _status(node: Node) -> str:
    if node.lost_end:
        return "end not recorded"
    if node.left_by_exception:
        return "raised"
    if not node.is_open:
        return "ended"
    return "suspended" if node.suspended_since is not None else "open"
