"""The calls that are open where a stream ends: of its thread, and of each task.

Threads: one at a time. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.model.tail import Tail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kolo_c.model.node import Node
    from kolo_c.store.reader import Stream

_CO_GENERATOR = 0x20
_CO_COROUTINE = 0x80 | 0x100 | 0x200  # of async def, types.coroutine, async generator
_LAST_CALLS = 3
# Tasks that wait for one another are cancelled one after the other.
_TOGETHER_NS = 50_000_000


class Stack:
    """Calls that stand on one another."""

    __slots__ = ("frames", "last", "stream", "suspended", "task")

    def __init__(
        self,
        stream: Stream,
        frames: list[Node],
        *,
        task: int = 0,
        suspended: bool = False,
        last: list[Node] | None = None,
    ) -> None:
        self.stream = stream
        self.frames = frames
        """The outermost first."""
        self.task = task
        """Its definition number; 0: none."""
        self.suspended = suspended
        """Whether it waits to be resumed, and does not run."""
        self.last = last or []
        """The last calls of its thread that ended, in order."""


def open_stacks(tail: Tail) -> list[Stack]:
    """The thread's own stack, and one for each suspended task or coroutine."""
    stream = tail.stream
    stacks = []
    running = list(tail.builder.stack)
    if running:
        last = tail.calls()[-_LAST_CALLS:]
        task = next((node.task for node in reversed(running) if node.task), 0)
        stacks.append(Stack(stream, running, task=task, last=last))
    for frames in _suspended(tail):
        stacks.append(Stack(stream, frames, task=frames[0].task, suspended=True))
    return stacks


def _suspended(tail: Tail) -> list[list[Node]]:
    """The chains of coroutines that wait, each from the outermost on."""
    waiting = {
        id(node): node
        for node in tail.builder.open_nodes()
        if not node.running and node.suspended_since is not None
    }
    callers = {id(node.caller) for node in waiting.values()}
    chains = []
    for node in waiting.values():
        if id(node) in callers:
            continue
        chain = [node]
        while chain[-1].caller is not None and id(chain[-1].caller) in waiting:
            chain.append(chain[-1].caller)
        chain.reverse()
        if _is_coroutine(tail, chain[0]):
            chains.append(chain)
    return sorted(chains, key=lambda chain: chain[0].number)


def _is_coroutine(tail: Tail, node: Node) -> bool:
    """A generator that somebody holds waits for nothing."""
    if node.code is None:
        return False
    flags = tail.stream.trace.definitions.code(node.code).flags
    return bool(flags & _CO_COROUTINE) or not flags & _CO_GENERATOR


def stopped_tasks(
    tail: Tail, since_ns: int, stops: Callable[[Node], bool]
) -> list[Stack]:
    """Where tasks stood that were cancelled from about ``since_ns`` on."""
    by_task: dict[int, list[Node]] = {}
    for node in tail.calls():
        if (
            node.task
            and node.left_by_exception
            and node.resumed
            and (node.end_ns or 0) >= since_ns - _TOGETHER_NS
            and stops(node)
            and _is_coroutine(tail, node)
        ):
            by_task.setdefault(node.task, []).append(node)
    return [
        Stack(
            tail.stream,
            sorted(nodes, key=lambda node: (node.level, node.number)),
            task=task,
            suspended=True,
        )
        for task, nodes in by_task.items()
    ]
