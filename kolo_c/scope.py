"""Which trace a context belongs to, and what the program wants left out.

The core looks the variable up when a thread goes to another context, so it must be told
what changes within one.

Threads: any. Owns: the context variable, the table of skipped code. Fails: never.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Token

    from kolo_c.session import Session

PAUSED = 0xFFFFFFFF
"""In place of a trace's number: nothing is recorded here (src/session/scope.h)."""

VARIABLE: ContextVar[int] = ContextVar("kolo_c.scope")

SKIPPED: dict[int, object] = {}
"""By address, the code objects that ``kolo_c.skip`` named; the filter looks in here."""


class Scope:
    """The number of the trace that a context belongs to; without one the process's."""

    def get(self) -> int:
        """The number in this context; 0: none was set."""
        return VARIABLE.get(0)

    def set(self, number: int) -> Token[int]:
        """Move this context to the trace ``number``, or to PAUSED."""
        token = VARIABLE.set(number)
        _tell()
        return token

    def reset(self, token: Token[int]) -> None:
        """Move it back; ValueError in another context than it was set in."""
        VARIABLE.reset(token)
        _tell()


SCOPE = Scope()


def active_session() -> Session | None:
    """The session of this process; importing what a session needs is not for asking."""
    module = sys.modules.get("kolo_c.session")
    ask = getattr(module, "active_session", None)  # absent while it is being imported
    return None if ask is None else ask()


def _tell() -> None:
    session = active_session()
    if session is not None:
        session.scope_changed()
