"""Files and folders that are their owner's alone, and that no symbolic link leads to.

What a program did is nobody else's business, and a link in a folder that came from
somebody else must not have us write where it leads. So every folder of a store is made
0700 and every file 0600, whatever the umask; neither a store nor what is in it is
reached through a link. Whoever wants the store elsewhere says so in KOLO_C_PATH.

Light: a session that starts in somebody's program imports it.

Threads: any. Owns: nothing. Fails: OSError as it comes, ELOOP for a link.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    AnyPath = str | os.PathLike[str]

FOLDER_MODE = 0o700
FILE_MODE = 0o600
LINKED = "is a symbolic link"
"""What is said of a store that is reached through one."""


def make_folder(path: AnyPath) -> None:
    """Make the folder and those above it, where they are missing."""
    path = os.path.abspath(path)
    try:
        _make_one(path)
    except FileNotFoundError:
        make_folder(os.path.dirname(path))
        _make_one(path)  # that in /proc is missing still: it cannot be made


def _make_one(path: str) -> None:
    try:
        os.mkdir(path, FOLDER_MODE)
    except FileExistsError:
        if not os.path.isdir(path):
            raise


def refuse_link(path: AnyPath) -> None:
    """Raise where ``path`` itself is a symbolic link."""
    if os.path.islink(path):
        raise OSError(errno.ELOOP, LINKED, os.fspath(path))


def open_file(path: AnyPath, flags: int) -> int:
    """A descriptor of a file that is made where it is missing."""
    flags |= os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(path, flags, FILE_MODE)


def make_file(path: AnyPath) -> int:
    """A descriptor of a new file; FileExistsError where something has the name."""
    return open_file(path, os.O_WRONLY | os.O_EXCL)
