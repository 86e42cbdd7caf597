"""An exception on its way: where it was raised, what it passed, who went on after it.

The records say of each call what exception left it. That two of them are the same one
is seen from type and address, while it was alive; where the type is not known (3.10 and
3.11) from the order: nothing came between.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.failure import ATTRIBUTE
from kolo_c.store.process import read_json
from kolo_c.store.values import Raised, Ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.model.node import Node
    from kolo_c.store import records as r
    from kolo_c.store.reader import Trace
    from kolo_c.store.values import Value


class Caught:
    """An exception that a call handled, or at least took up and did not let go on."""

    __slots__ = ("record", "source")

    def __init__(self, record: r.Caught, source: Node | None) -> None:
        self.record = record
        self.source = source
        """The call below that it came from; None: no recorded one."""


def own_caught(node: Node) -> list[Caught]:
    """What ``node`` handled that came from none of its recorded calls."""
    return [caught for caught in node.caught or () if caught.source is None]


def read_failure(trace: Trace) -> dict[str, Any]:
    """What the trace says its program ended with, as ``failure.describe`` wrote it.

    ``chain`` is there, empty where nothing is known; its links have an address.
    """
    text = trace.info.own.get(ATTRIBUTE)
    found = read_json(text) if isinstance(text, str) else {}
    chain = found.get("chain")
    found["chain"] = [
        link
        for link in (chain if isinstance(chain, list) else [])
        if isinstance(link, dict) and isinstance(link.get("address"), int)
    ]
    return found


class Flight:
    """The way of one exception."""

    __slots__ = (
        "ended_task", "exception", "handled_by", "raised_in", "through", "unfinished",
    )  # fmt: skip

    def __init__(
        self,
        exception: Value,
        raised_in: Node,
        through: tuple[Node, ...],
        handled_by: Node | None,
        *,
        unfinished: bool,
    ) -> None:
        self.exception = exception
        """None: its type is not known."""
        self.raised_in = raised_in
        self.through = through
        """The calls it left, the innermost first, ``raised_in`` included."""
        self.handled_by = handled_by
        """The first recorded caller that went on; None: it left them all, or one of
        them had not ended when the record stops (``unfinished``)."""
        self.unfinished = unfinished
        last = through[-1]
        self.ended_task = _ends_task(last, handled_by)
        """Whether it ended a task: who awaits that gets it, and no record says who.
        ``handled_by`` only stood below the task, running the loop, and went on."""


def _ends_task(node: Node, caller: Node | None) -> bool:
    """Whether ``caller`` runs the loop, and ``node`` is all of a task that runs in it.
    What was resumed may be of a task whose switch was not read."""
    if caller is None or caller.stands_in or caller.resumed:
        return False
    return bool(node.task) and caller.task != node.task


def flight(node: Node) -> Flight:
    """The way of the exception that left ``node``."""
    raised_in = node
    while (inner := _source(raised_in)) is not None:
        raised_in = inner
    through = [raised_in]
    above = raised_in.caller
    while (
        above is not None
        and above.left_by_exception
        and _same(above, through[-1])
        # Where a later one had the same address, that is what `above` was left by.
        and _source(above) in (None, through[-1])
    ):
        through.append(above)
        above = above.caller
    exception = next(
        (seen.exception() for seen in through if seen.exception() is not None), None
    )
    unfinished = above is not None and above.is_open and not above.went_on
    return Flight(
        exception,
        raised_in,
        tuple(through),
        None if unfinished else above,
        unfinished=unfinished,
    )


def is_source(node: Node) -> bool:
    """Whether the exception that left ``node`` came from none of its recorded calls."""
    return node.left_by_exception and _source(node) is None


def _source(node: Node) -> Node | None:
    """The call below ``node`` from which its exception came."""
    child = node.raised_child
    if node.left_by_exception and child is not None and _same(node, child):
        return child
    return None


def note_caught(node: Node, record: r.Caught) -> None:
    """Let ``node`` know what it caught, or that it did not keep it."""
    caught = node.caught
    if record.offset is not None:
        node.caught = [*(caught or ()), Caught(record, _came_from(node, record))]
        return
    # It lives: the last one with its address is it.
    for at in range(len(caught or ()) - 1, -1, -1):
        if caught and _identity(caught[at].record.exception) == _identity(
            record.exception
        ):
            node.caught = [*caught[:at], *caught[at + 1 :]]
            return


def _came_from(node: Node, record: r.Caught) -> Node | None:
    """The call below ``node`` that the exception left; None: it was raised in ``node``
    itself, or in code that is not recorded."""
    child = node.raised_child
    if child is None or _identity(child.exception()) != _identity(record.exception):
        return None
    known = any(caught.source is child for caught in node.caught or ())
    return None if known else child


def _identity(exception: Value) -> tuple[int, int] | None:
    """What tells one exception from another while both live."""
    if isinstance(exception, (Raised, Ref)) and exception.type is not None:
        return exception.type, exception.address
    return None


def _same(above: Node, below: Node) -> bool:
    one, other = above.exception(), below.exception()
    if isinstance(one, Raised) and isinstance(other, Raised):
        return (one.type, one.address) == (other.type, other.address)
    # Of one the type is not known: the same, if nothing came between them.
    return above.raised_child is below and not above.went_on
