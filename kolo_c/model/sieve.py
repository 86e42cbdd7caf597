"""A builder that keeps of a tree only what is worth it, and reads what may have that.

Threads: one at a time. Owns: the nodes. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.model.node import walk
from kolo_c.model.tree import TreeBuilder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from kolo_c.model.forest import Wanted
    from kolo_c.model.node import Node
    from kolo_c.store.reader import Stream

    MayHave: TypeAlias = Callable[[int], bool]
    """Whether a block may have something, by its index."""


class Sieve(TreeBuilder):
    """Drops each node that has ended, is not worth keeping and has nothing below it.

    ``has_root`` says of a block whether it may have the beginning of a wanted call,
    ``has_worth`` whether it may have a call worth keeping; other blocks are not
    decoded, but for those in which a suspended call that is kept may go on.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        max_level: int | None = None,
        wanted: Wanted | None = None,
        worth: Wanted | None = None,
        has_worth: MayHave | None = None,
    ) -> None:
        super().__init__(stream, max_level=max_level, wanted=wanted)
        self.has_root: MayHave | None = None
        self._has_worth = has_worth
        self._has_resumption: MayHave | None = None
        self._worth = worth

    def settle(self) -> None:
        """Drop what is not worth keeping of what had not ended where the builder
        stopped, or is known from headers alone."""
        if self._worth is None:
            return
        for node in reversed(list(walk(self.roots))):
            if not (node.children or node.holds or self._worth(node)):
                self._drop(node)

    def _leaves_out(self, index: int, base: int | None) -> bool:
        if super()._leaves_out(index, base):
            return True
        if self.has_root is not None and self.has_root(index):
            return False
        if base is None:
            return self.has_root is not None and not self._may_resume(index)
        return self._has_worth is not None and not self._has_worth(index)

    def _may_resume(self, index: int) -> bool:
        if not any(node.kept for node in self._suspended.values()):
            return False
        if self._has_resumption is None:
            from kolo_c.model import search  # noqa: PLC0415 - regular expressions

            self._has_resumption = search.finder(self.stream, search.resumptions())
        return self._has_resumption(index)

    def _ended(self, node: Node) -> None:
        if self._worth is None:
            return
        if node.children or node.holds or self._worth(node):
            if not node.kept and node.parent is not None:
                node.parent.holds = True
        elif node.kept:
            self._drop(node)

    def _drop(self, node: Node) -> None:
        """Take a node without children out of the tree; its parent counts it."""
        node.kept = False
        self.shown -= 1
        self.nodes.pop(node.number, None)
        parent = node.parent
        if parent is None or not parent.kept:
            self.roots.remove(node)
            return
        parent.hidden += 1 + node.hidden
        if parent.children[-1] is node:
            parent.children.pop()
        else:
            parent.children.remove(node)
