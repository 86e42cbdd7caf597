"""Functions of ``os`` and ``sys`` as they were when the core was imported.

A program may replace them (a test its ``os.stat``, a library ``sys._getframe``). What
of ours runs inside it would then call the program's: see kolo_c/own_builtins.py. So
what is asked while a program runs is asked by way of this module.

Threads: any. Owns: nothing. Fails: as each function says.
"""

from __future__ import annotations

from os import (
    close,
    fstat,
    fsync,
    getpid,
    lstat,
    mkdir,
    open,
    read,
    rename,
    stat,
    statvfs,
    unlink,
    write,
)
from sys import (
    _current_frames,
    _getframe,
    exc_info,
    getprofile,
    getrecursionlimit,
    gettrace,
    setprofile,
    settrace,
)

__all__ = [
    "_current_frames",
    "_getframe",
    "close",
    "exc_info",
    "fstat",
    "fsync",
    "getpid",
    "getprofile",
    "getrecursionlimit",
    "gettrace",
    "lstat",
    "mkdir",
    "open",
    "read",
    "rename",
    "setprofile",
    "settrace",
    "stat",
    "statvfs",
    "unlink",
    "write",
]
