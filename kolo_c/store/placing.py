"""Files that appear whole or not at all: written under another name, then put in place.

Threads: any. Owns: nothing. Fails: OSError as it comes; ``file_error`` makes it one for
a person.
"""

from __future__ import annotations

import os

from kolo_c.errors import StoreError
from kolo_c.identifiers import ulid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

UNFINISHED = ".new"


def unfinished_name(path: Path) -> str:
    """A name beside ``path`` that nobody else has, and that no reader looks at."""
    return f"{path}.{ulid()}{UNFINISHED}"


def put_in_place(unfinished: str, path: Path, *, overwrite: bool) -> None:
    """Let ``path`` name the file ``unfinished`` from now on, in one step.

    FileExistsError where there is a file already and ``overwrite`` is False.
    """
    if overwrite:
        os.replace(unfinished, path)
    else:
        _put_beside(unfinished, path)
    sync_folder(path.parent)


def _put_beside(unfinished: str, path: Path) -> None:
    try:
        os.link(unfinished, path)  # unlike rename, it never replaces
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError from None
        os.replace(unfinished, path)
    else:
        os.unlink(unfinished)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk, where the system can."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.fsync(fd)
    except OSError:
        pass
    finally:
        os.close(fd)


def file_error(path: Path, error: OSError) -> StoreError:
    """Why ``path`` was not written, for a person."""
    if isinstance(error, FileExistsError):
        return StoreError(
            path, "is there already", "To overwrite it: --force", slug="file-exists"
        )
    return StoreError(
        path,
        f"cannot be written: {error.strerror}",
        "Check that its folder is there, its permissions, and the free space.",
        slug="file-unwritable",
    )
