"""Marks: small files beside the segments that say something of one trace.

``.kolo_c/pins/TRACE@PROCESS`` pins a trace, ``.kolo_c/deleted/TRACE@PROCESS`` deletes
it: PROCESS is the part of its segments' names before the number. A mark is there or it
is not, so that any number of commands may make and remove marks at once, also on a disk
that has no byte left. A mark without an ``@`` bears the name of a segment: in
``deleted`` its unpinned traces are to go, in ``pins`` there are none in it any more.

Light: a session that starts in somebody's program imports it.

Threads: any; processes too. Owns: nothing. Fails: StoreError where a mark cannot be
written, or a folder of marks cannot be read: what is pinned must not go because nobody
knows that it is.
"""

from __future__ import annotations

import errno
import os

from kolo_c.errors import KoloError, StoreError
from kolo_c.store.locate import SEGMENTS_NAME
from kolo_c.store.private import make_file, make_folder, refuse_link

TYPE_CHECKING = False
if TYPE_CHECKING:
    AnyPath = str | os.PathLike[str]
    Name = tuple[str, str]
    """A trace's id, and the process in whose segments it is."""

PINS = "pins"
DELETED = "deleted"
_BETWEEN = "@"
_LONGEST = 200
_FULL = (errno.ENOSPC, errno.EDQUOT)


def read_marks(store: AnyPath, folder: str) -> set[Name]:
    """The traces that have a mark there."""
    names = (name.partition(_BETWEEN) for name in _list(store, folder))
    return {(trace, process) for trace, between, process in names if between}


def read_hidden(store: AnyPath) -> set[Name]:
    """The traces that no reader shows: deleted, and not pinned since."""
    deleted = read_marks(store, DELETED)
    return deleted - read_marks(store, PINS) if deleted else deleted


def has_due(store: AnyPath) -> bool:
    """Whether something is marked as deleted whose process has no mapping (any more),
    so that its space may be freed."""
    names = _list(store, DELETED)
    processes = {
        name.partition(_BETWEEN)[2] if _BETWEEN in name else name.rpartition("-")[0]
        for name in names
    }
    return any(
        not os.path.exists(os.path.join(store, SEGMENTS_NAME, f"{process}.map"))
        for process in processes
    )


def read_segment_marks(store: AnyPath, folder: str) -> set[str]:
    """The names of the segments that have a mark there."""
    return {name for name in _list(store, folder) if _BETWEEN not in name}


def put_mark(store: AnyPath, folder: str, name: Name | str, text: str = "") -> bool:
    """Make a mark; False where it is there already. ``text`` is told to people and to
    nobody else: on a full disk it may be missing."""
    path = os.path.join(store, folder, _file_name(name))
    try:
        make_folder(os.path.dirname(path))
        refuse_link(os.path.dirname(path))
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        fd = make_file(path)
    except FileExistsError:
        return False
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        os.write(fd, text.encode())
    except OSError:
        pass
    finally:
        os.close(fd)
    return True


def remove_mark(store: AnyPath, folder: str, name: Name | str) -> bool:
    """Take a mark away; False where there was none."""
    path = os.path.join(store, folder, _file_name(name))
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StoreError(
            path,
            f"cannot be removed: {error.strerror}",
            "Check the permissions of its folder.",
            slug="store-unwritable",
        ) from error
    return True


def _unwritable(path: str, error: OSError) -> StoreError:
    return StoreError(
        os.path.dirname(path),
        f"cannot be written: {error.strerror}",
        "Check its permissions, those of the folder above, and the free space.",
        slug="store-full" if error.errno in _FULL else "store-unwritable",
    )


def mark_text(store: AnyPath, folder: str, name: Name) -> str:
    """What a mark says; empty where it says nothing."""
    try:
        with open(os.path.join(store, folder, _file_name(name)), "rb") as file:
            return file.read(4096).decode("utf-8", "replace")
    except OSError:
        return ""


def _list(store: AnyPath, folder: str) -> list[str]:
    path = os.path.join(store, folder)
    try:
        return os.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StoreError(
            path,
            f"cannot be read: {error.strerror}",
            "Check its permissions.",
            slug="store-unreadable",
        ) from error


def _file_name(name: Name | str) -> str:
    if isinstance(name, str):
        return name
    trace, process = name
    # Segments come from other people too; their ids become names of files here.
    plain = trace.replace("_", "").replace("-", "")
    if not (plain.isascii() and plain.isalnum() and len(trace) <= _LONGEST):
        raise KoloError(
            f"'{trace}' cannot be the id of a trace",
            "Its segment was not written by kolo_c, or is damaged.",
            slug="store-corrupt",
        )
    return f"{trace}{_BETWEEN}{process}"
