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
    from kolo_c.filter import Filter
    from kolo_c.project import Project


PLUGIN_COSTS = "kolo_c.plugins"
"""Of the process's trace, JSON: by plugin [calls, nanoseconds, errors]."""
SKIPPED = "kolo_c.skipped"
"""Of a trace that is empty, JSON: by kind of rule, why code was skipped, and files."""

_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_SHORT = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}


def process_info(
    config: Config,
    project: Project,
    argv: Sequence[str],
    problems: Iterable[str],
    parent_process: str | None,
    mask_text: Callable[[str], str],
    *,
    core: str,
    hook: str,
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
        "core": core,
        "hook": hook,
        "git_commit": git_commit(project.root),
        "parent_process": parent_process,
        "config": {**config.as_dict(), "root": project.root},
        "problems": list(problems),
    }


def skipped_of(filter: Filter) -> dict[str, str]:
    """The attribute SKIPPED; empty where there was code to keep, or none at all."""
    if filter.kept_count or not filter.skipped:
        return {}
    found = {kind: skipped.about() for kind, skipped in filter.skipped.items()}
    return {SKIPPED: to_json(found)}


def to_json(value: Any) -> str:
    """``value`` as json.dumps writes it; keys are texts.

    json costs 3 ms to import; and where a session begins and ends, a program with a
    json.py of its own would have it imported.
    """
    if isinstance(value, str):
        return f'"{_escaped(value)}"'
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        text = float.__repr__(value)
        return _NOT_FINITE.get(text, text)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join([to_json(item) for item in value])}]"
    items = [f'"{_escaped(key)}": {to_json(item)}' for key, item in value.items()]
    return f"{{{', '.join(items)}}}"


def _escaped(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(
        character
        if " " <= character <= "~" and character not in '"\\'
        else _escape(character)
        for character in text
    )


def _escape(character: str) -> str:
    short = _SHORT.get(character)
    if short is not None:
        return short
    number = ord(character)
    if number < 0x10000:
        return f"\\u{number:04x}"
    number -= 0x10000
    return f"\\u{0xD800 | number >> 10:04x}\\u{0xDC00 | number & 0x3FF:04x}"


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
