"""What the program's own module was left by, where the interpreter runs it.

A SystemExit is gone when exit handlers run, and nothing in Python knows its code then.
So the module's body is watched: its end is the program's.

Threads: the main one. Owns: nothing. Fails: never; without it a trace does not say that
the program asked to end.
"""

from __future__ import annotations

from kolo_c.plugins.spec import Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from kolo_c.session import Session


class ProgramExit(Plugin):
    """The body of ``__main__``, recorded or not."""

    name = "program-exit"
    watch = "__main__:<module>"

    def __init__(self, session: Session) -> None:
        self._session = session

    def when(self, frame: FrameType) -> bool:
        """Not of what a tool runs as if it were the program."""
        back = frame.f_back
        while back is not None and back.f_globals.get("__name__") == "runpy":
            back = back.f_back
        return back is None

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> None:
        """It is over, by ``exception`` perhaps."""
        if issubclass(type(exception), SystemExit):
            from kolo_c.failure import keep  # noqa: PLC0415 - it asks to end

            keep(exception, self._session.traces.process)
