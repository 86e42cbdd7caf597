"""Django's signals: which one is sent, where code of the program receives it.

A signal is sent for every instance of a model that is made, mostly to nobody; so what
is watched is ``Signal._live_receivers``, which Django calls where somebody has
connected, right before it calls them. The record is a point, the receivers' calls come
after it.

Threads: any. Owns: names of signals, and which code is the program's own.
Fails: never; a handler that raises is counted by the core.
"""

from __future__ import annotations

import functools
import sys
from types import FunctionType, MethodType, ModuleType

from kolo_c.plugins import emit
from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Kind, Plugin
from kolo_c.scope import SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

    from kolo_c.session import Session

SIGNAL = Kind("signal", "SIGNAL", "grey", "{name}[ from {sender}][ to {receivers}]")
_RECEIVERS_MOST = 8
_KNOWN_MOST = 2048
_DJANGO_S = (
    "django.db.models.signals",
    "django.core.signals",
    "django.contrib.auth.signals",
    "django.db.backends.signals",
    "django.test.signals",
)


class Signal(Plugin):
    """Receivers are about to be called."""

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> None:
        """They are known."""
        session = SCOPE.session
        if session is None or not value:
            return
        # From 5.0 on there are two lists: synchronous ones and asynchronous ones.
        receivers = [*value[0], *value[1]] if isinstance(value, tuple) else value
        if _djangos.keys() >= set(map(id, receivers)):
            return
        own: list[str] = []
        for receiver in receivers:
            if _is_djangos(receiver):
                continue
            function = _function(receiver)
            if function is not None and _is_own(session, function):
                own.append(f"{function.__module__}.{function.__qualname__}")
        if not own:
            return
        shown = own[:_RECEIVERS_MOST]
        if len(own) > len(shown):
            shown.append(f"{len(own) - len(shown)} more")
        emit.point(
            SIGNAL,
            {
                "name": _name(local(frame, "self"), frame),
                "sender": _sender(local(frame, "sender")),
                "receivers": ", ".join(shown),
            },
        )


_djangos: dict[int, Any] = {}
"""By address, functions of Django's own modules, of which each request meets some."""


def _is_djangos(receiver: Any) -> bool:
    """Whether it is one of those."""
    module = receiver.__module__ if type(receiver) is FunctionType else None
    if type(module) is not str or not module.startswith("django."):
        return False
    # What a call has made is not kept beyond its time.
    if "<locals>" not in receiver.__qualname__ and len(_djangos) < _KNOWN_MOST:
        _djangos[id(receiver)] = receiver
    return True


def _function(receiver: Any) -> FunctionType | None:
    """The function that a receiver is, or is made of."""
    for _ in range(8):
        if type(receiver) is FunctionType:
            wrapped = vars(receiver).get("__wrapped__")
            if type(wrapped) is not FunctionType:
                return receiver
            receiver = wrapped
        elif type(receiver) is MethodType:
            receiver = receiver.__func__
        elif type(receiver) is functools.partial:
            receiver = receiver.func
        else:
            receiver = vars(type(receiver)).get("__call__")
    return None


_own: dict[int, tuple[Any, bool]] = {}
"""By the address of a code object: the session that decided, and what."""


def _is_own(session: Session, function: FunctionType) -> bool:
    """Whether the process's filters keep its calls."""
    code = function.__code__
    known = _own.get(id(code))
    if known is None or known[0] is not session.process_id:
        if len(_own) >= _KNOWN_MOST:
            _own.clear()
        keeps = session.filter.decide(
            code.co_filename, function.__module__, function.__qualname__
        ).keep
        known = _own[id(code)] = (session.process_id, keeps)
    return known[1]


_names: dict[int, str] = {}


def _name(signal: Any, frame: FrameType) -> str:
    """What a module calls it: Django's own, or that of who sends it."""
    name = _names.get(id(signal))
    if name is None:
        if len(_names) >= _KNOWN_MOST:
            _names.clear()
        name = _names[id(signal)] = _find_name(signal, frame)
    return name


def _find_name(signal: Any, frame: FrameType) -> str:
    spaces = [vars(sys.modules[name]) for name in _DJANGO_S if name in sys.modules]
    caller = frame.f_back.f_back if frame.f_back is not None else None
    if caller is not None:
        spaces.append(caller.f_globals)
        spaces += [
            vars(value)
            for value in list(caller.f_globals.values())
            if type(value) is ModuleType
        ]
    for space in spaces:
        for name, value in list(space.items()):
            if value is signal:
                return str(name)
    return type(signal).__name__


def _sender(sender: Any) -> str | None:
    # isinstance() would have a lazy object find what it stands for.
    kind = type(sender)
    if sender is None or issubclass(kind, str):
        return sender  # type: ignore[no-any-return]
    kind = sender if issubclass(kind, type) else kind
    return f"{kind.__module__}.{kind.__qualname__}"
