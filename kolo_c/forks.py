"""What a fork leaves in the child: a session of its own, and a way to end it.

Threads: the one that forked. Owns: the handlers, which cannot be taken back.
Fails: never.
"""

from __future__ import annotations

import os
import sys

from kolo_c.scope import PAUSED, SCOPE, VARIABLE, active_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_forks_followed = False
_by_python = False
"""From before a fork by Python until after it."""
_multiprocessing_followed = False


def follow_forks(native: Any) -> None:
    """Register once: such handlers cannot be taken back. The core says where a fork by
    C alone, as uWSGI's, calls none of them."""
    global _forks_followed
    native.when_forked(_after_fork_unseen)
    if not _forks_followed:
        _forks_followed = True
        os.register_at_fork(
            before=_before_fork,
            after_in_parent=_after_fork_in_parent,
            after_in_child=_after_fork_in_child,
        )


def _before_fork() -> None:
    global _by_python
    _by_python = True


def _after_fork_in_parent() -> None:
    global _by_python
    _by_python = False


def _after_fork_unseen() -> None:
    """In the child of a fork, unless Python's handlers are about to be called."""
    session = active_session()
    if not _by_python and session is not None and session.native.stats()["dead"]:
        _after_fork_in_child()


def _after_fork_in_child() -> None:
    global _by_python
    _by_python = False
    session = active_session()
    if session is not None:
        if SCOPE.get() != PAUSED:
            VARIABLE.set(0)  # the parent's boundaries are not the child's
        session.continue_in_child()
        _end_with_multiprocessing()


def _end_with_multiprocessing() -> None:
    """A child of multiprocessing ends without exit handlers, but with its own.

    Which it forgets when it begins; it is then that ours is added, to be the last.
    """
    global _multiprocessing_followed
    util = sys.modules.get("multiprocessing.util")
    if util is None or _multiprocessing_followed:
        return
    try:
        util.register_after_fork(SCOPE, _add_finalizer)
        _multiprocessing_followed = True
    except Exception:
        pass  # another module of that name, or one that is being imported


def _add_finalizer(_: object) -> None:
    from multiprocessing.util import Finalize  # noqa: PLC0415 - it is there

    Finalize(None, _stop_active, exitpriority=-1_000_000)


def _stop_active() -> None:
    session = active_session()
    if session is not None:
        session.stop()
