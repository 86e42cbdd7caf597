"""Whether the process that wrote a file of the store lives.

Threads: any; processes too. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import os

try:
    import fcntl
except ImportError:  # Windows: there are no mappings there
    fcntl = None  # type: ignore[assignment]


def is_owned(path: str | os.PathLike[str]) -> bool:
    """Whether the process that made the mapping at ``path`` lives.

    It holds an exclusive lock for as long as it lives. A shared one is asked for here,
    so that two readers do not take each other for the owner.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False


def pid_lives(pid: int, host: str | None) -> bool:
    """Whether a process that could not have a mapping lives, as far as one can tell."""
    if host is not None and host != _host():
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return pid > 0


def _host() -> str:
    import socket  # noqa: PLC0415 - hardly ever needed

    return socket.gethostname()
