"""Which trace a context belongs to, and what the program wants left out.

The core looks the variable up when a thread goes to another context, so it must be told
what changes within one.

Threads: any. Owns: the context variable, the table of skipped code. Fails: never.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar, Token

    from kolo_c.session import Session

# In many a Python the module that has the type is a library to be searched and loaded.
if "kolo_c._kolo" in sys.modules:
    from kolo_c._kolo import ContextVar
else:
    from _contextvars import ContextVar  # contextvars itself is 0.1 ms more

PAUSED = 0xFFFFFFFF
"""In place of a trace's number: nothing is recorded here (src/session/scope.h)."""

VARIABLE: ContextVar[int] = ContextVar("kolo_c.scope")

SKIPPED: dict[int, object] = {}
"""By address, the code objects that ``kolo_c.skip`` named; the filter looks in here."""


class Scope:
    """The number of the trace that a context belongs to; without one the process's."""

    __slots__ = ("__weakref__", "changed", "session")

    def __init__(self) -> None:
        self.session: Session | None = None
        """That of this process, while one runs."""
        self.changed: Callable[[], None] | None = None
        """Tells its core."""

    def activate(self, session: Session | None) -> None:
        """This is the process's session from here on, for whoever asks."""
        self.session = session
        self.changed = None if session is None else session.native.scope_changed

    def get(self) -> int:
        """The number in this context; 0: none was set."""
        return VARIABLE.get(0)

    def set(self, number: int) -> Token[int]:
        """Move this context to the trace ``number``, or to PAUSED."""
        token = VARIABLE.set(number)
        if self.changed is not None:
            self.changed()
        return token

    def reset(self, token: Token[int]) -> None:
        """Move it back; ValueError in another context than it was set in."""
        VARIABLE.reset(token)
        if self.changed is not None:
            self.changed()


SCOPE = Scope()


def active_session() -> Session | None:
    """The session of this process; importing what a session needs is not for asking."""
    return SCOPE.session
