"""Flask, Starlette and FastAPI, and the middleware for WSGI and ASGI. See
http_server.py.

Threads: any. Owns: streams of Flask that are being sent. Fails: never.
"""

from __future__ import annotations

from _weakref import ref
from collections import deque

from kolo_c.plugins.builtin.bodies import remember
from kolo_c.plugins.builtin.http_server import (
    Answered,
    Copy,
    Exchange,
    asgi_fields,
    name_of,
    open_exchange,
    wsgi_fields,
)
from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Kind, Plugin
from kolo_c.scope import SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

_FORM_MOST = 64

# ---- the middleware of kolo_c/integrations ----


class Wsgi(Answered):
    """A request that comes to our middleware."""

    name = "wsgi"
    watch = "kolo_c.integrations.wsgi:KoloCMiddleware._answer"

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where it is not recorded."""
        environ = local(frame, "environ")
        return self.begin(environ, wsgi_fields(environ), local(frame, "options"))


class Asgi(Answered):
    """A request or a websocket that comes to our middleware."""

    name = "asgi"
    watch = "kolo_c.integrations.asgi:KoloCMiddleware._answer"

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where it is not recorded."""
        scope = local(frame, "scope")
        return self.begin(scope, asgi_fields(scope), local(frame, "options"))

    def look(self, frame: FrameType, value: Any, exchange: Exchange) -> None:
        """The router has written down where it led."""
        exchange.more.update(_route(local(frame, "scope")))


# ---- Flask ----


class Flask(Answered):
    """A request that comes to a Flask application."""

    name = "flask"
    watch = "flask.app:Flask.wsgi_app"

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where the middleware records it."""
        _release_abandoned()
        environ = local(frame, "environ")
        return self.begin(environ, wsgi_fields(environ), None)

    def look(self, frame: FrameType, value: Any, exchange: Exchange) -> None:
        """The response is there, and what was read of the request."""
        context = local(frame, "ctx")
        request = _state(
            _state(context).get("request", _state(context).get("_request"))
        )
        response = _state(local(frame, "response"))
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
                    {"file": _state(file).get("filename")} for file in files[:16]
                ]
            exchange.read.value = {
                name: values[0] if len(values) == 1 else values
                for name, values in found.items()
            }


class WerkzeugResponse(Plugin):
    """A response of Flask's that begins to be sent, to our middleware."""

    name = "werkzeug-response"
    watch = "werkzeug.wrappers.response:Response.__call__"

    def start(self, frame: FrameType) -> None:
        """Its body, where it is there."""
        exchange = open_exchange(local(frame, "environ"))
        body = _state(local(frame, "self")).get("response")
        if exchange is not None and not exchange.sent.size and type(body) is list:
            for piece in body:
                exchange.sent.add(piece)


class FlaskRoute(Plugin):
    """Where a request's path led."""

    name = "flask-route"
    watch = "flask.app:Flask.full_dispatch_request"

    def start(self, frame: FrameType) -> None:
        """The router has decided."""
        back = frame.f_back
        if back is None or back.f_code.co_name != "wsgi_app":
            return
        exchange = open_exchange(local(back, "environ"))
        if exchange is None:
            return
        context = local(back, "ctx")
        request = _state(
            _state(context).get("request", _state(context).get("_request"))
        )
        rule = request.get("url_rule")
        if rule is None:
            return
        endpoint = rule.endpoint
        views = _state(local(back, "self")).get("view_functions") or {}
        exchange.more["route"] = rule.rule
        exchange.more["view"] = name_of(views.get(endpoint)) or endpoint
        if request.get("view_args"):
            exchange.more["view_args"] = request["view_args"]


class FlaskSecrets(Plugin):
    """A form or JSON is read: what stands under secret names in it is masked before the
    program has taken it out of there."""

    name = "flask-secrets"
    watch = (
        "werkzeug.wrappers.request:Request._load_form_data",
        "werkzeug.wrappers.request:Request.get_json",
    )

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
                _state(local(frame, "self")).get("form") if value is None else value
            )


class FlaskFailure(Plugin):
    """What a view raised, and Flask makes a response of."""

    name = "flask-exception"
    watch = (
        "flask.app:Flask.handle_exception",
        "flask.app:Flask.handle_user_exception",
    )

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


class FlaskStream(Plugin):
    """A piece of a streaming body is made."""

    name = "flask-stream"
    watch = (
        "werkzeug.wsgi:ClosingIterator.__next__",
        "werkzeug.wsgi:ClosingIterator.close",
    )

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
        if frame.f_code.co_name == "close":
            del _streams[started["_key"]]
            exchange.sent_later(copy)
            if session is not None:
                session.boundaries.release(number)
        SCOPE.reset(started["_token"])


# ---- Starlette, FastAPI ----

BACKGROUND = Kind("background", "BACKGROUND", "purple", "after {request}")


class Starlette(Answered):
    """A request or a websocket that comes to a Starlette or FastAPI application."""

    name = "starlette"
    watch = "starlette.applications:Starlette.__call__"

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where the middleware records it, and for those within another."""
        scope = local(frame, "scope")
        if scope["type"] not in ("http", "websocket") or "app" in scope:
            return None
        return self.begin(scope, asgi_fields(scope), None)

    def look(self, frame: FrameType, value: Any, exchange: Exchange) -> None:
        """The router has written down where it led."""
        exchange.more.update(_route(local(frame, "scope")))


class StarletteResponse(Plugin):
    """A response begins to be sent."""

    name = "starlette-response"
    watch = (
        "starlette.responses:Response.__call__",
        "starlette.responses:StreamingResponse.__call__",
        "starlette.responses:FileResponse.__call__",
        "starlette.middleware.base:_StreamingResponse.__call__",
    )

    def start(self, frame: FrameType) -> None:
        """The innermost is the first, and has the body."""
        exchange = open_exchange(local(frame, "scope"))
        if exchange is None or exchange.copied or exchange.status is not None:
            return
        response = _state(local(frame, "self"))
        exchange.respond(response.get("status_code"), response.get("raw_headers") or ())
        exchange.sent.add(response.get("body"))


class StarletteBody(Plugin):
    """The body of a request has been read."""

    name = "starlette-body"
    watch = (
        "starlette.requests:Request.body",
        "starlette.requests:Request._get_form",
        "starlette.requests:Request.json",
    )

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> None:
        """As bytes, as JSON, or as a form."""
        if exception is None and isinstance(value, (dict, list)):
            remember(value)
            return
        exchange = open_exchange(_state(local(frame, "self")).get("scope"))
        if exchange is None or exception is not None or exchange.read.size:
            return
        if type(value) is bytes:
            exchange.read.add(value)
        elif value is not None:
            found: dict[str, Any] = {}
            for name, item in (_state(value).get("_list") or [])[:_FORM_MOST]:
                told = (
                    item
                    if type(item) is str
                    else {"file": _state(item).get("filename")}
                )
                found.setdefault(name, told)
            remember(found)
            exchange.read.value = found


class StarletteFailure(Plugin):
    """What left the application, of which Starlette makes a response."""

    name = "starlette-exception"
    watch = (
        "starlette.middleware.errors:ServerErrorMiddleware.error_response",
        "starlette.middleware.errors:ServerErrorMiddleware.debug_response",
    )

    def start(self, frame: FrameType) -> None:
        """It is about to."""
        exchange = open_exchange(_state(local(frame, "request")).get("scope"))
        if exchange is not None:
            exchange.exception = local(frame, "exc")


class Background(Plugin):
    """Tasks that run after a response: a trace of their own, which names the
    request's."""

    name = "starlette-background"
    watch = (
        "starlette.background:BackgroundTask.__call__",
        "starlette.background:BackgroundTasks.__call__",
        "fastapi.background:BackgroundTasks.__call__",
    )
    kind = BACKGROUND
    boundary = True
    apart = True
    attributes = ("request", "request_trace")

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None for the tasks of several, and where the request has no trace."""
        session, back = SCOPE.session, frame.f_back
        if session is None or back is None or back.f_code.co_name != "__call__":
            return None
        exchange = open_exchange(local(back, "scope"))
        found = session.traces.current()
        if exchange is None or found is None:
            return None
        said = exchange.fields
        return {
            "request": f"{said['method']} {said['path']}",
            "request_trace": found[1].id,
        }


def _route(scope: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    path = _state(scope.get("route")).get("path")
    if isinstance(path, str):
        fields["route"] = path
    view = name_of(scope.get("endpoint"))
    if view is not None:
        fields["view"] = view
    if scope.get("path_params"):
        fields["view_kwargs"] = dict(scope["path_params"])
    return fields


def _state(thing: Any) -> dict[str, Any]:
    """What an object of a framework holds."""
    try:
        found: dict[str, Any] = vars(thing)
    except TypeError:
        return {}
    return found
