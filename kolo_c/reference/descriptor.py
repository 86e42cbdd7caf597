"""A file that we hold open, told apart from what its number may become. Twin of
src/plain/descriptor.c.

A program may close every descriptor there is (a daemon does), or put files of its own
at numbers that it takes for free: what we then write to, lock or close by number would
be the program's. So what is held for long is looked at before it is used.

Threads: any; the file's owner sees to it that there is one at a time. Owns: nothing:
the descriptor is its owner's. Fails: with None or False.
"""

from __future__ import annotations

from errno import EBADF
from fcntl import F_DUPFD_CLOEXEC, fcntl

from kolo_c.reference import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import stat_result

FIRST = 3
"""SQLite takes none of the standard ones, nor do we."""
MOST = 1024
_OUT_OF_THE_WAY = 200


class Descriptor:
    """A descriptor and the file that it is to be open on."""

    __slots__ = ("fd", "_device", "_inode")

    def __init__(self, fd: int, about: stat_result) -> None:
        self.fd = fd
        self._device = about.st_dev
        self._inode = about.st_ino

    def is_like(self, about: stat_result) -> bool:
        """Whether that is the same file."""
        return (self._device, self._inode) == (about.st_dev, about.st_ino)

    def is_ours(self) -> bool:
        """Whether it is neither closed nor another file's by now."""
        try:
            return self.is_like(system.fstat(self.fd))
        except OSError as error:
            return error.errno != EBADF  # its disk may be in trouble


def note_descriptor(fd: int) -> Descriptor | None:
    """What ``fd`` is from now on to be."""
    try:
        return Descriptor(fd, system.fstat(fd))
    except OSError:
        return None


def find_descriptor(path: str) -> Descriptor | None:
    """The lowest descriptor that is open on the file ``path``, among the first
    thousand."""
    try:
        named = system.stat(path)
    except OSError:
        return None
    for fd in range(FIRST, MOST):
        descriptor = note_descriptor(fd)
        if descriptor is not None and descriptor.is_like(named):
            return descriptor
    return None


def out_of_the_way(fd: int) -> int:
    """The same open file, and its lock, at a number that a program hardly comes to."""
    try:
        moved = fcntl(fd, F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)
    except OSError:  # the limit is lower
        return fd
    system.close(fd)
    return moved


def keep_for_ever(thing: object) -> None:
    """Where to let go of it would close what is the program's by now: nobody does, not
    even the interpreter at its end."""
    from ctypes import py_object, pythonapi  # noqa: PLC0415 - hardly ever

    _kept.append(thing)
    try:
        pythonapi.Py_IncRef(py_object(thing))
    except AttributeError:
        pass  # PyPy ends nothing at its end


_kept: list[object] = []
