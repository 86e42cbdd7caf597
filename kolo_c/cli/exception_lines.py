"""An exception on the page of a call that it left: its way, and what led to it.

Threads: any. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.cli.labels import DIM, ERROR, HANDLED
from kolo_c.errors import harmless
from kolo_c.model.exceptions import flight, read_failure
from kolo_c.store.values import Raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kolo_c.cli.labels import Labels
    from kolo_c.cli.screen import Line, Screen
    from kolo_c.cli.sources import Sources
    from kolo_c.model.node import Node

_RELATIONS = {"cause": "caused by", "context": "while handling", "member": "with"}


def write_exception(
    screen: Screen,
    labels: Labels,
    sources: Sources,
    node: Node,
    text_of: Callable[[object], str],
) -> None:
    """Write the exception that left ``node``, which calls it left, and who handled
    it."""
    found = flight(node)
    text = "of unknown type" if found.exception is None else text_of(found.exception)
    screen.text("")
    screen.long("exception ", text, ERROR)
    for other in found.through:
        screen.line(_left(labels, sources, other, first=other is found.raised_in))
    if found.ended_task:
        screen.wrapped("ended its task: who awaits that gets it", HANDLED, "  ")
    elif found.handled_by is not None:
        by = found.handled_by
        screen.wrapped(f"handled in {labels.name(by)} ({by.number})", HANDLED, "  ")
    elif not found.unfinished:
        screen.text(f"  not handled in {labels.all_that_is_seen}", ERROR)
    for line in _led_to_it(labels, found.raised_in, found.exception, text_of):
        screen.wrapped(line, DIM, "  ")


def _left(labels: Labels, sources: Sources, node: Node, *, first: bool) -> Line:
    line = labels.raise_line(node)
    at = f" in line {line}" if line is not None else ""
    verb = "raised in" if first else "left"
    text = ""
    if node.code is not None:
        file = labels.trace.definitions.code(node.code).file
        text = sources.line(file, line)
    parts: Line = [(f"  {verb} {labels.name(node)} ({node.number}){at}", "")]
    return [*parts, (f":  {text}" if text else "", DIM)]


def _led_to_it(
    labels: Labels, source: Node, exception: object, text_of: Callable[[object], str]
) -> list[str]:
    """What the program said of it when it ended with it; else the exception that had
    reached the same call before."""
    links = read_failure(labels.trace)["chain"]
    for index, link in enumerate(links):
        if isinstance(exception, Raised) and link["address"] == exception.address:
            return [_link(labels, other) for other in links if other.get("of") == index]
    before = source.raised_child
    if before is None or before.exception() is None:
        return []
    name = f"{labels.name(before)} ({before.number})"
    return [f"after {text_of(before.exception())} of {name}"]


def _link(labels: Labels, link: dict[str, Any]) -> str:
    relation = _RELATIONS.get(str(link.get("relation")), "after")
    place = ""
    if isinstance(link.get("file"), str):
        place = f", raised in {labels.path(link['file'])}:{link.get('line')}"
    return f"{relation} {harmless(str(link.get('type')))}{place}"
