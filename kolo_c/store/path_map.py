"""Folders of the machine that recorded, and where they are on this one.

A trace made in a container names files as the container has them. The setting
``path_map`` says where those are here; what reads a trace then shows these.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class PathMap:
    """Puts one folder in the place of another, the longest that fits."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        """``pairs`` of a recorded folder and the local one, without a / at the end."""
        self._pairs = sorted(pairs, key=lambda pair: len(pair[0]), reverse=True)

    def local(self, path: str) -> str:
        """``path`` as this machine has it; itself where no folder fits."""
        for recorded, here in self._pairs:
            if path == recorded or path.startswith(recorded + "/"):
                return here + path[len(recorded) :]
        return path
