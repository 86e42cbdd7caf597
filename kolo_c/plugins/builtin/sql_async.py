"""Where the program waits for what asgiref runs in a thread on its behalf.

Django's async ORM hands its work to ``sync_to_async``. In the thread that does it a
statement has no caller, or one that waits there itself: a middleware that is not async,
whose thread is lent. So that it is known where it came from, the line that awaits is
taken down in the task, and goes with its context into that thread.

Threads: any. Owns: which code is the program's own. Fails: never.
"""

from __future__ import annotations

import inspect
import os
from contextvars import ContextVar

from kolo_c.plugins.spec import Plugin
from kolo_c.scope import SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

    from kolo_c.session import Session

    _Place = tuple[str | None, int | None]

_NOWHERE: _Place = (None, None)
_AWAITS = (
    inspect.CO_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
    | inspect.CO_GENERATOR
    | inspect.CO_ITERABLE_COROUTINE
)
_KNOWN_MOST = 2048

_awaited: ContextVar[_Place | None] = ContextVar("kolo_c.sql.awaited", default=None)
_known: dict[int, tuple[CodeType, bool]] = {}
"""By the address of its code, which is kept with it: whether it is the program's."""
_known_for = ""


class Awaited(Plugin):
    """``SyncToAsync.__call__``: a task waits for a thread."""

    def start(self, frame: FrameType) -> dict[str, Any] | None:
        """From here on: for the line of the program that awaits it."""
        session = SCOPE.session
        if session is None:
            return None
        before = _awaited.get()
        _awaited.set(_awaiting(session, frame.f_back))
        return {"_before": before}

    def finish(
        self, frame: FrameType, value: Any, exception: Any, started: Any
    ) -> None:
        """It need not wait any more."""
        _awaited.set(started["_before"])


def _awaiting(session: Session, frame: FrameType | None) -> _Place:
    """The nearest line of the program in this task; what is below it is the loop's."""
    while frame is not None and frame.f_code.co_flags & _AWAITS:
        if _is_own(session, frame):
            return os.path.abspath(frame.f_code.co_filename), frame.f_lineno
        frame = frame.f_back
    return _NOWHERE


def add_awaited(fields: dict[str, Any], frame: FrameType) -> None:
    """Say of a statement which line awaits it, where nothing of the program is between
    it and asgiref: no line where that is not known."""
    place = _awaited.get()
    session = SCOPE.session
    if place is None or session is None:
        return
    above = frame.f_back
    while above is not None:
        if above.f_code.co_name == "thread_handler" and (
            above.f_globals.get("__name__") == "asgiref.sync"
        ):
            fields["file"], fields["line"] = place
            return
        if _is_own(session, above):
            return
        above = above.f_back


def _is_own(session: Session, frame: FrameType) -> bool:
    """Whether the process's filters keep the calls of its code."""
    global _known_for
    if _known_for is not session.process_id or len(_known) > _KNOWN_MOST:
        _known_for = session.process_id
        _known.clear()
    code = frame.f_code
    known = _known.get(id(code))
    if known is None:
        module = frame.f_globals.get("__name__")
        name = getattr(code, "co_qualname", code.co_name)
        decided = session.filter.decide(
            code.co_filename, module if isinstance(module, str) else None, name
        )
        known = _known[id(code)] = code, decided.keep
    return known[1]
