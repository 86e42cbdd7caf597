"""Requests that Flask answers. See http_server.py.

Threads: any. Owns: streams that are being sent, weakly. Fails: never.
"""

from __future__ import annotations

from _weakref import ref
from collections import deque

from kolo_c.plugins.builtin.bodies import remember
from kolo_c.plugins.builtin.http_server import (
    Answered,
    Copy,
    Exchange,
    name_of,
    open_exchange,
    state_of,
    wsgi_fields,
)
from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Plugin
from kolo_c.scope import SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

_FORM_MOST = 64


class Flask(Answered):
    """A request that comes to a Flask application."""

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where the middleware records it."""
        _release_abandoned()
        environ = local(frame, "environ")
        return self.begin(environ, wsgi_fields(environ), None)

    def look(self, frame: FrameType, value: Any, exchange: Exchange) -> None:
        """The response is there, and what was read of the request."""
        context = local(frame, "ctx")
        request = state_of(
            state_of(context).get("request", state_of(context).get("_request"))
        )
        response = state_of(local(frame, "response"))
        headers = response.get("headers")
        if headers is not None:
            exchange.respond(response.get("_status_code"), headers.items())
        if type(response.get("response")) not in (list, tuple, type(None)) and hasattr(
            type(value), "__next__"
        ):
            _follow(value, exchange)
        data = request.get("_cached_data")
        if type(data) is bytes and data:
            exchange.read.add(data)
        elif request.get("form"):
            found = dict(list(dict.items(request["form"]))[:_FORM_MOST])
            for name, files in list(dict.items(request.get("files") or {})):
                found[name] = [
                    {"file": state_of(file).get("filename")} for file in files[:16]
                ]
            exchange.read.value = {
                name: values[0] if len(values) == 1 else values
                for name, values in found.items()
            }
        else:  # how much of it: what it was is not kept by anybody
            position = state_of(request.get("stream")).get("_pos")
            exchange.read.size = position if type(position) is int else 0


class WerkzeugResponse(Plugin):
    """A response of Flask's that begins to be sent, to our middleware."""

    def start(self, frame: FrameType) -> None:
        """Its body, where it is there."""
        exchange = open_exchange(local(frame, "environ"))
        body = state_of(local(frame, "self")).get("response")
        if exchange is not None and not exchange.sent.size and type(body) is list:
            for piece in body:
                exchange.sent.add(piece)


class FlaskRoute(Plugin):
    """Where a request's path led."""

    def start(self, frame: FrameType) -> None:
        """The router has decided."""
        back = frame.f_back
        if back is None or back.f_code.co_name != "wsgi_app":
            return
        exchange = open_exchange(local(back, "environ"))
        if exchange is None:
            return
        context = local(back, "ctx")
        request = state_of(
            state_of(context).get("request", state_of(context).get("_request"))
        )
        rule = request.get("url_rule")
        if rule is None:
            return
        endpoint = rule.endpoint
        views = state_of(local(back, "self")).get("view_functions") or {}
        exchange.more["route"] = rule.rule
        exchange.more["view"] = name_of(views.get(endpoint)) or endpoint
        if request.get("view_args"):
            exchange.more["view_args"] = request["view_args"]


class FlaskSecrets(Plugin):
    """A form or JSON is read: what stands under secret names in it is masked before the
    program has taken it out of there."""

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> None:
        """There it is."""
        if exception is None:
            remember(
                state_of(local(frame, "self")).get("form") if value is None else value
            )


class FlaskFailure(Plugin):
    """What a view raised, and Flask makes a response of."""

    def start(self, frame: FrameType) -> None:
        """It is about to."""
        back = frame.f_back
        while back is not None and back.f_code.co_name != "wsgi_app":
            back = back.f_back
        exchange = None if back is None else open_exchange(local(back, "environ"))
        error = local(frame, "e")
        if exchange is not None and getattr(type(error), "code", None) is None:
            exchange.exception = error


_streams: dict[int, tuple[Any, int, Exchange, Copy]] = {}
"""By the address of the iterator that the server has: a weak reference to it."""
_abandoned: deque[int] = deque()
"""The numbers of traces whose stream went away before anybody closed it."""


def _follow(body: Any, exchange: Exchange) -> None:
    """The body is made while it is sent: its request's trace stays open until then."""
    session = SCOPE.session
    number = 0 if session is None else session.boundaries.hold()
    if number:
        key = id(body)

        def gone(reference: Any) -> None:
            # Whatever runs now was interrupted: the trace is ended at a better time.
            if key in _streams and _streams[key][0] is reference:
                del _streams[key]
                _abandoned.append(number)

        _streams[key] = ref(body, gone), number, exchange, Copy()


def _release_abandoned() -> None:
    session = SCOPE.session
    while _abandoned and session is not None:
        session.boundaries.release(_abandoned.popleft())


def _is_failure(exception: Any) -> bool:
    """Whether a piece could not be made. One whose type is not told (True; 3.10, 3.11)
    may be the StopIteration that ends each stream."""
    return isinstance(exception, Exception) and not isinstance(exception, StopIteration)


class FlaskStream(Plugin):
    """A piece of a streaming body is made."""

    def when(self, frame: FrameType) -> bool:
        """Whether it is of a request that is recorded."""
        return bool(_streams) and id(local(frame, "self")) in _streams

    def start(self, frame: FrameType) -> Mapping[str, Any]:
        """What it runs belongs to the request."""
        key = id(local(frame, "self"))
        return {"_token": SCOPE.set(_streams[key][1]), "_key": key}

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> None:
        """There it is; or the server is done with it."""
        _, number, exchange, copy = _streams[started["_key"]]
        copy.add(value)
        session = SCOPE.session
        if session is not None and _is_failure(exception):
            session.boundaries.fail(number)
        if frame.f_code.co_name == "close":
            del _streams[started["_key"]]
            exchange.sent_later(copy)
            if session is not None:
                session.boundaries.release(number)
        SCOPE.reset(started["_token"])
