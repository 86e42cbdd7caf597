"""Children: what a recorded process tells those that it starts, and what it was told.

All of it goes through the environment, which children inherit: ``KOLO_C=1`` has them
recorded where kolo_c is installed for them, ``KOLO_C_PARENT`` says whose children they
are. A program that gives a child an environment of its own decides itself.

Threads: any; ``os.environ`` is the program's too. Owns: nothing. Fails: never; a value
that cannot be read is as none.
"""

from __future__ import annotations

import os

from kolo_c.frozen import Frozen
from kolo_c.switch import VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kolo_c.config import Loaded
    from kolo_c.project import Project

PARENT_VARIABLE = "KOLO_C_PARENT"
_PREFIX = "KOLO_C_"


class Parent(Frozen):
    """The process that started this one, or was this one before it called exec."""

    process_id: str
    trace_id: str
    first_pid: int
    """Of the process that a person started; it has the last word on the terminal."""
    root: str
    """Of its project, which a child belongs to."""
    store: str


def parent_of(environ: Mapping[str, str]) -> Parent | None:
    """Who started this process, if that was recorded."""
    fields = environ.get(PARENT_VARIABLE, "").split(":")
    if len(fields) != 5 or not fields[2].isdecimal():
        return None
    process_id, trace_id, pid, root, store = fields
    return Parent(process_id, trace_id, int(pid), _text(root), _text(store))


def tell_children(
    process_id: str, trace_id: str, first_pid: int, project: Project
) -> None:
    """From now on children are recorded too, and know whose they are."""
    places = _field(project.root), _field(project.store)
    os.environ[VARIABLE] = "1"
    os.environ[PARENT_VARIABLE] = ":".join(
        (process_id, trace_id, str(first_pid), *places)
    )


def leave_children() -> None:
    """From now on children are not recorded."""
    for name in (VARIABLE, PARENT_VARIABLE):
        os.environ.pop(name, None)


def tell_settings(loaded: Loaded) -> None:
    """Let children have the settings that this process was given as arguments."""
    from kolo_c.process_info import to_json  # noqa: PLC0415 - where there are such

    for key, origin in loaded.origins.items():
        if origin.startswith("argument ") and key not in ("core", "quiet", "follow"):
            value = getattr(loaded.config, key)
            plain = isinstance(value, str)
            os.environ[_PREFIX + key.upper()] = value if plain else to_json(value)


def joined(project: Project, parent: Parent) -> Project:
    """``project`` as that of a child: in its parent's, whose store has its traces.

    What is the child's own is kept beside it, where a file says that it is a project.
    """
    if not parent.root or not os.path.isdir(parent.root):
        return project  # in a container, say
    sources = project.sources
    if project.root != parent.root and project.reason.endswith(" is in it"):
        sources = (*sources, project.root)
    return project.with_(
        root=parent.root,
        reason="it is that of the process that started this one",
        sources=sources,
        store=parent.store,
        notes=(),
    )


def _field(path: str) -> str:
    return os.fspath(path).replace("%", "%25").replace(":", "%3A").replace("\n", "%0A")


def _text(field: str) -> str:
    return field.replace("%0A", "\n").replace("%3A", ":").replace("%25", "%")
