"""What a segment says of the process that wrote it, as JSON.

Threads: any. Owns: nothing. Fails: never; what cannot be read is left out.
"""

from __future__ import annotations

import os
import sys

from kolo_c import masking
from kolo_c._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from kolo_c.config import AnyPath, Config
    from kolo_c.project import Project


def process_info(
    config: Config,
    project: Project,
    argv: Sequence[str],
    problems: Iterable[str],
    parent_process: str | None,
    mask_text: Callable[[str], str],
) -> dict[str, Any]:
    """What holds for all traces of this process."""
    options = masking.mask_options(
        argv,
        (*masking.DEFAULT_WORDS, *config.mask_words),
        (*masking.DEFAULT_EXCEPTIONS, *config.mask_exceptions),
    )
    return {
        # As platform.node() and platform.python_version(), 1 ms cheaper.
        "host": os.uname().nodename,
        "argv": [mask_text(text) for text in options],
        "cwd": project.cwd,
        "python": sys.version.split(maxsplit=1)[0],
        "implementation": sys.implementation.name,
        "build": " ".join(sys.version.split()),
        "platform": sys.platform,
        "executable": sys.executable,
        "kolo_c": __version__,
        "core": "c",
        "hook": "setprofile",
        "git_commit": git_commit(project.root),
        "parent_process": parent_process,
        "config": {**config.as_dict(), "root": project.root},
        "problems": list(problems),
    }


def to_json(value: Any) -> str:
    """``value`` as json.dumps writes it.

    json costs 3 ms to import, and nearly all that is said of a process are numbers and
    plain words; a text with anything to escape is left to it.
    """
    if isinstance(value, str):
        if value.isascii() and value.isprintable() and not set(value) & set('"\\'):
            return f'"{value}"'
    elif value is None:
        return "null"
    elif isinstance(value, bool):
        return "true" if value else "false"
    elif type(value) is int or (type(value) is float and value - value == 0):
        return repr(value)
    elif isinstance(value, (list, tuple)):
        return f"[{', '.join([to_json(item) for item in value])}]"
    elif isinstance(value, dict) and all(type(key) is str for key in value):
        items = [f"{to_json(key)}: {to_json(item)}" for key, item in value.items()]
        return f"{{{', '.join(items)}}}"
    import json  # noqa: PLC0415 - see above

    return json.dumps(value)


def read_counters(text: str) -> dict[str, int]:
    """The core's counters: JSON of numbers and truth values, as it writes them."""
    pairs = (pair.split(": ") for pair in text.strip("{}").split(", "))
    return {
        key.strip('"'): int(value) if value.isdigit() else value == "true"
        for key, value in pairs
    }


def git_commit(root: AnyPath) -> str | None:
    """The commit checked out at ``root`` or above, read from ``.git``; or None."""
    folder = os.path.abspath(root)
    while True:
        git = os.path.join(folder, ".git")
        if os.path.exists(git):
            try:
                return _commit_of(git)
            except (OSError, ValueError, IndexError):
                return None
        if folder == os.path.dirname(folder):
            return None
        folder = os.path.dirname(folder)


def _commit_of(git: str) -> str | None:
    if os.path.isfile(git):  # a worktree or a submodule
        link = _read(git).split(":", 1)[1].strip()
        git = os.path.join(os.path.dirname(git), link)
    head = _read(os.path.join(git, "HEAD")).strip()
    if not head.startswith("ref: "):
        return head
    reference = head[5:]
    common = os.path.join(git, "commondir")
    if os.path.exists(common):
        git = os.path.join(git, _read(common).strip())
    if os.path.exists(os.path.join(git, reference)):
        return _read(os.path.join(git, reference)).strip()
    for line in _read(os.path.join(git, "packed-refs")).splitlines():
        if line.endswith(f" {reference}"):
            return line.split(" ", 1)[0]
    return None


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
