"""Folders of the machine that recorded, and where they are on this one.

A trace made in a container names files as the container has them. The setting
``path_map`` says where those are here; what reads a trace then shows these.

Threads: any. Owns: nothing. Fails: ConfigError for a wrong setting.
"""

from __future__ import annotations

import os

from kolo_c.errors import ConfigError
from kolo_c.store.locate import STORE_NAME

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


def load_path_map(root: str) -> PathMap | None:
    """The setting of the project in ``root``; ConfigError where it is wrong.

    No settings are read where it is not among them.
    """
    files = ("pyproject.toml", os.path.join(STORE_NAME, "config.toml"))
    if "KOLO_C_PATH_MAP" not in os.environ and not any(
        b"path_map" in _content(os.path.join(root, name)) for name in files
    ):
        return None
    from kolo_c.config import load  # noqa: PLC0415 - hardly ever set

    loaded = load(root)
    for problem in loaded.problems:
        if problem.key == "path_map":
            raise ConfigError(str(problem), f"Correct {problem.where}.")
    pairs = (text.partition("=") for text in loaded.config.path_map)
    return PathMap((_folder(recorded), _folder(here)) for recorded, _, here in pairs)


def _folder(text: str) -> str:
    return os.path.expanduser(text.strip()).rstrip("/")


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
