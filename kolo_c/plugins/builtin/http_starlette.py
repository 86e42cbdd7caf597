"""Requests and websockets that Starlette and FastAPI answer. See http_server.py.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.plugins.builtin.bodies import remember
from kolo_c.plugins.builtin.http_server import (
    Answered,
    Exchange,
    asgi_fields,
    open_exchange,
    route_of,
    state_of,
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
BACKGROUND = Kind("background", "BACKGROUND", "purple", "after {request}")


class Starlette(Answered):
    """A request or a websocket that comes to a Starlette or FastAPI application."""

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where the middleware records it, and for those within another."""
        scope = local(frame, "scope")
        if scope["type"] not in ("http", "websocket") or "app" in scope:
            return None
        if _has_middleware(local(frame, "self")):
            return None  # it is within, and has settings of its own
        return self.begin(scope, asgi_fields(scope), None)

    def look(self, frame: FrameType, value: Any, exchange: Exchange) -> None:
        """The router has written down where it led."""
        exchange.more.update(route_of(local(frame, "scope")))


def _has_middleware(app: Any) -> bool:
    """Whether ours was added to the application, and is on."""
    for added in state_of(app).get("user_middleware") or ():
        state = state_of(added)
        if getattr(state.get("cls"), "__module__", "") == "kolo_c.integrations.asgi":
            return bool((state.get("kwargs") or {}).get("enabled", True))
    return False


class StarletteResponse(Plugin):
    """A response begins to be sent."""

    def start(self, frame: FrameType) -> None:
        """The innermost is the first, and has the body."""
        exchange = open_exchange(local(frame, "scope"))
        if exchange is None or exchange.copied or exchange.status is not None:
            return
        response = state_of(local(frame, "self"))
        exchange.respond(response.get("status_code"), response.get("raw_headers") or ())
        exchange.sent.add(response.get("body"))


class StarletteBody(Plugin):
    """The body of a request has been read."""

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
        exchange = open_exchange(state_of(local(frame, "self")).get("scope"))
        if exchange is None or exception is not None or exchange.read.size:
            return
        if type(value) is bytes:
            exchange.read.add(value)
        elif value is not None:
            found: dict[str, Any] = {}
            for name, item in (state_of(value).get("_list") or [])[:_FORM_MOST]:
                told = (
                    item
                    if type(item) is str
                    else {"file": state_of(item).get("filename")}
                )
                found.setdefault(name, told)
            remember(found)
            exchange.read.value = found


class StarletteStream(Plugin):
    """The body of a request is read piece by piece: by the program, or for one of the
    above, which then has it."""

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> None:
        """There is no more of it, or the program wants no more."""
        exchange = open_exchange(state_of(local(frame, "self")).get("scope"))
        if exchange is not None:
            exchange.note = "streamed"


class StarletteFailure(Plugin):
    """What left the application, of which Starlette makes a response."""

    def start(self, frame: FrameType) -> None:
        """It is about to."""
        exchange = open_exchange(state_of(local(frame, "request")).get("scope"))
        if exchange is not None:
            exchange.exception = local(frame, "exc")


class Background(Plugin):
    """Tasks that run after a response: a trace of their own, which names the
    request's."""

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
