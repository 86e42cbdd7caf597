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
from kolo_c.store.locate import SEGMENTS_NAME
from kolo_c.switch import VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kolo_c.config import Loaded
    from kolo_c.project import Project

PARENT_VARIABLE = "KOLO_C_PARENT"
_PREFIX = "KOLO_C_"
_LINE_MOST = 8


class Parent(Frozen):
    """The process that started this one, or was this one before it called exec.

    Where nothing was kept of it so far, the nearest before it of which something was.
    """

    process_id: str
    trace_id: str
    line: tuple[tuple[str, str], ...]
    """Ids of process and trace: the parent's, and of those it may have to stand for."""
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
    processes, traces, pid, root, store = fields
    line = tuple(zip(processes.split(","), traces.split(",")))  # noqa: B905
    line = stored_line(line, _text(store))
    return Parent(*line[0], line, int(pid), _text(root), _text(store))


def stored_line(
    line: tuple[tuple[str, str], ...], store: str
) -> tuple[tuple[str, str], ...]:
    """``line`` from the first one on of which something is stored, which ends it.

    All of it where there is none: something may be stored yet.
    """
    for process_id, trace_id in line:
        if is_stored(process_id, store):
            return ((process_id, trace_id),)
    return line[:_LINE_MOST]


def is_stored(process_id: str, store: str) -> bool:
    """Whether a process has kept anything."""
    place = os.path.join(store, SEGMENTS_NAME, process_id)
    return os.path.exists(f"{place}.map") or os.path.exists(f"{place}-0.db")


def tell_children(
    line: tuple[tuple[str, str], ...], first_pid: int, project: Project
) -> None:
    """From now on children are recorded too, and know whose they are."""
    processes = ",".join([process_id for process_id, _ in line])
    traces = ",".join([trace_id for _, trace_id in line])
    places = _field(project.root), _field(project.store)
    os.environ[VARIABLE] = "1"
    os.environ[PARENT_VARIABLE] = ":".join((processes, traces, str(first_pid), *places))


def leave_children() -> None:
    """From now on children are not recorded."""
    for name in (VARIABLE, PARENT_VARIABLE):
        os.environ.pop(name, None)


def tell_settings(loaded: Loaded) -> None:
    """Let children have the settings that this process was given as arguments."""
    from kolo_c.process_info import to_json  # noqa: PLC0415 - where there are such

    values = loaded.config.as_dict()
    for key, origin in loaded.origins.items():
        if origin.startswith("argument ") and key not in ("core", "quiet", "follow"):
            value = values[key]
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
