"""Find the store: the nearest ``.kolo_c`` above a directory, as git finds ``.git``.

Threads: any. Owns: nothing. Fails: StoreNotFound.
"""

from __future__ import annotations

import os

from kolo_c.errors import StoreNotFound
from kolo_c.store.private import LINKED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

STORE_NAME = ".kolo_c"
SEGMENTS_NAME = "segments"


def find_store(
    start: Path | None = None, environ: Mapping[str, str] = os.environ
) -> Path:
    """The ``.kolo_c`` directory that commands started in ``start`` read.

    ``KOLO_C_PATH`` names the directory that contains it and ends the search. Without
    it the parents of ``start`` are searched, and then the place that a session falls
    back to where a project is not writable.
    """
    from pathlib import Path  # noqa: PLC0415 - 5 ms, which a list does without

    return Path(locate_store(start, environ))


def locate_store(
    start: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> str:
    """``find_store`` as a text."""
    moved = environ.get("KOLO_C_PATH")
    if moved:
        return _required(os.path.expanduser(moved))
    where = os.path.abspath(os.getcwd() if start is None else start)
    parents = list(_with_parents(where))
    for directory in parents:
        if is_store(os.path.join(directory, STORE_NAME)):
            return os.path.join(directory, STORE_NAME)
    for directory in parents:
        fallback = state_store(directory, environ)
        if is_store(fallback):
            return fallback
    for directory in parents:
        _refuse_linked(os.path.join(directory, STORE_NAME))
    raise StoreNotFound(
        f"no {STORE_NAME} directory in {where} or above it",
        "Record something first (kolo-c run script.py), or go to the project's "
        "directory, or set KOLO_C_PATH.",
    )


def command_for(
    store: str,
    start: str,
    environ: Mapping[str, str] = os.environ,
) -> str:
    """``kolo-c``, as it is to be typed in ``start`` so that it reads ``store``."""
    try:
        if not is_store(store) or locate_store(start, environ) == store:
            return "kolo-c"
    except StoreNotFound:
        pass
    except OSError:  # the working directory is gone
        return "kolo-c"
    import shlex  # noqa: PLC0415 - seldom needed

    return f"KOLO_C_PATH={shlex.quote(os.path.dirname(store))} kolo-c"


def _with_parents(directory: str) -> Iterator[str]:
    yield directory
    while (above := os.path.dirname(directory)) != directory:
        directory = above
        yield directory


def state_store(
    root: str | os.PathLike[str], environ: Mapping[str, str] = os.environ
) -> str:
    """Where the traces of ``root`` go when ``root`` itself is not writable."""
    base = environ.get("XDG_STATE_HOME") or os.path.join(
        environ.get("HOME", os.path.expanduser("~")), ".local", "state"
    )
    root = os.path.join(os.getcwd(), root)
    name = root.strip(os.sep).replace(os.sep, "-") or "root"
    return os.path.join(base, "kolo_c", name, STORE_NAME)


def _required(directory: str) -> str:
    store = directory.rstrip(os.sep)
    if os.path.basename(store) != STORE_NAME:
        store = os.path.join(directory, STORE_NAME)
    if is_store(store):
        return store
    _refuse_linked(store)
    raise StoreNotFound(
        f"no {STORE_NAME} directory in {directory}, which KOLO_C_PATH names",
        "Record something first (kolo-c run script.py), or correct KOLO_C_PATH.",
    )


def _refuse_linked(store: str) -> None:
    if is_linked(store):
        raise StoreNotFound(
            f"{store} {LINKED}, or has one for its segments",
            f"kolo_c follows none: name the folder that the {STORE_NAME} itself is in, "
            "in KOLO_C_PATH.",
        )


def is_store(path: str) -> bool:
    """Whether there is a store, and no link on the way into it."""
    return os.path.isdir(os.path.join(path, SEGMENTS_NAME)) and not is_linked(path)


def is_linked(path: str) -> bool:
    """Whether the store at ``path``, or its folder of segments, is a symbolic link."""
    return os.path.islink(path) or os.path.islink(os.path.join(path, SEGMENTS_NAME))
