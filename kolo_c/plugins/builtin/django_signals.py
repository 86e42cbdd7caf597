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
from weakref import ref

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

    _Known = tuple[ref[Any], str]

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


_djangos: set[FunctionType] = set()
"""Functions of Django's own modules, of which each request meets some. A call that
finds none but these costs no Python."""


class Signal(Plugin):
    """Receivers are about to be called."""

    ignored = _djangos

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
        caller = frame.f_back
        if caller is not None and caller.f_code.co_name == "has_listeners":
            return  # who asks, as deletion does of each model, sends nothing
        # From 5.0 on there are two lists: synchronous ones and asynchronous ones.
        receivers = [*value[0], *value[1]] if isinstance(value, tuple) else value
        if _known_for is not session.process_id:
            _of_this_process(session.process_id)
        own: list[str] = []
        for receiver in receivers:
            known = _known.get(id(receiver))
            if known is None or known[0]() is not receiver:
                known = _look_at(session, receiver)
            if known[1]:
                own.append(known[1])
        if not own:
            return
        if len(own) > _RECEIVERS_MOST:
            own[_RECEIVERS_MOST:] = [f"{len(own) - _RECEIVERS_MOST} more"]
        emit.point(
            SIGNAL,
            {
                "name": _name(local(frame, "self"), frame),
                "sender": _sender(local(frame, "sender")),
                "receivers": ", ".join(own),
            },
        )


_known: dict[int, _Known] = {}
"""By the address of a function: a weak reference to it, as Django has no other to it,
and what to call it; empty: it is not the program's own."""
_known_for = ""


def _of_this_process(process_id: str) -> None:
    """Another one, or another session of this one, may have other filters."""
    global _known_for
    _known_for = process_id
    _known.clear()


def _look_at(session: Session, receiver: Any) -> _Known:
    """The same of a receiver, which may be made of a function."""
    function = _function(receiver)
    if function is None:
        return ref(Signal), ""
    known = _known.get(id(function))
    if known is None or known[0]() is not function:
        known = ref(function), _own_name(session, function)
        _keep(function, known)
    if function is not receiver and type(receiver) is FunctionType:
        known = ref(receiver), known[1]
        _keep(receiver, known)
    return known


def _keep(function: FunctionType, known: _Known) -> None:
    if len(_known) >= _KNOWN_MOST:
        _known.clear()
    _known[id(function)] = known


def _own_name(session: Session, function: FunctionType) -> str:
    """What to call one whose calls the process's filters keep, and is not Django's."""
    module, name = function.__module__, function.__qualname__
    if type(module) is str and module.startswith("django."):
        # What a call has made is not kept beyond its time.
        if "<locals>" not in name and len(_djangos) < _KNOWN_MOST:
            _djangos.add(function)
        return ""
    path = function.__code__.co_filename
    return f"{module}.{name}" if session.filter.decide(path, module, name).keep else ""


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
    if issubclass(kind, type):
        kind = sender
    elif sender is None or issubclass(kind, str):
        return sender  # type: ignore[no-any-return]
    return f"{kind.__module__}.{kind.__qualname__}"
