"""ASGI: a middleware that has each request recorded, around any application.

    from kolo_c.integrations.asgi import KoloCMiddleware
    app.add_middleware(KoloCMiddleware)                 # FastAPI, Starlette

A websocket is one trace, from its connection to its end. docs/howto/fastapi.md has all
of it.

Threads: any. Owns: nothing but copies of what is received and sent.
Fails: never; where nothing can be recorded it says so once, and is not in the way.
"""

from __future__ import annotations

import logging
from time import perf_counter_ns

from kolo_c.errors import KoloError
from kolo_c.integrations.serving import (
    HEADER,
    record_requests,
    tell_others,
    timing,
)
from kolo_c.integrations.wsgi import options_of
from kolo_c.plugins.builtin.http_server import open_exchange
from kolo_c.scope import PAUSED, SCOPE
from kolo_c.within import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from kolo_c.plugins.builtin.django_settings import Options

_logger = logging.getLogger("kolo_c.asgi")
_RECORDED = ("http", "websocket")


class KoloCMiddleware:
    """Around an ASGI application; as far out as can be. Settings as of the WSGI one."""

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        *,
        enabled: bool = True,
        debug: bool = False,
        **settings: Any,
    ) -> None:
        self.app = app
        self._debug = debug
        self._options = options_of(settings, _logger)
        self._on = enabled
        if enabled:
            try:
                record_requests(None, self._options.recorder)
            except KoloError as error:
                _logger.warning("no request is recorded: %s", error)
                self._on = False

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer a request, or whatever else the server has."""
        if not self._on or SCOPE.session is None or scope["type"] not in _RECORDED:
            await self.app(scope, receive, send)
            return
        options = self._options
        if not options.takes(scope.get("path")):
            token = SCOPE.set(PAUSED)
            try:
                await self.app(scope, receive, send)
            finally:
                SCOPE.reset(token)
            return
        await self._answer(scope, receive, send, options)

    async def _answer(
        self, scope: dict[str, Any], receive: Any, send: Any, options: Options
    ) -> None:
        """What the plugin watches: a call of it is a request."""
        exchange = open_exchange(scope)
        if exchange is None:
            await self.app(scope, receive, send)
            return
        exchange.copied = True
        began_ns = perf_counter_ns()
        trace_id = current().id
        if trace_id is not None:
            tell_others(trace_id)
        counts = {"received": 0, "sent": 0}

        async def received() -> Any:
            message = await receive()
            kind = message.get("type")
            if kind == "http.request":
                exchange.read.add(message.get("body"))
            elif kind == "websocket.receive":
                counts["received"] += 1
                exchange.more["received"] = counts["received"]
            elif kind == "websocket.disconnect":
                exchange.more["close_code"] = message.get("code")
            return message

        async def sending(message: Any) -> None:
            kind = message.get("type")
            if kind == "http.response.start":
                exchange.respond(message.get("status"), message.get("headers") or ())
                if self._debug and trace_id is not None:
                    message = {**message, "headers": headers(message)}
            elif kind == "http.response.body":
                exchange.sent.add(message.get("body"))
            elif kind == "websocket.accept":
                exchange.status = 101
            elif kind == "websocket.send":
                counts["sent"] += 1
                exchange.more["sent"] = counts["sent"]
            elif kind == "websocket.close":
                exchange.more["close_code"] = message.get("code", 1000)
            await send(message)

        def headers(message: Any) -> list[tuple[bytes, bytes]]:
            return [
                *(message.get("headers") or ()),
                (HEADER.lower().encode(), (trace_id or "").encode()),
                (b"server-timing", timing(began_ns).encode()),
            ]

        try:
            await self.app(scope, received, sending)
        except Exception as error:
            exchange.exception = error
            raise
