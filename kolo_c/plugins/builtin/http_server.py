"""Requests that a program answers by WSGI or ASGI: Flask, Starlette, FastAPI, and what
the middleware of kolo_c/integrations/{wsgi,asgi}.py is put around.

Each is a trace of its own. What is watched is the outermost call that answers it, which
is the middleware's where there is one: what is inside adds what it alone knows, the
route and the view.

Threads: any; a request is answered by one at a time. Owns: the requests that are being
answered. Fails: never.
"""

from __future__ import annotations

from time import monotonic_ns

from kolo_c.plugins import emit
from kolo_c.plugins.builtin.bodies import (
    COPY_BYTES,
    add_body,
    describe_body,
    form,
    remember,
    remember_cookies,
)
from kolo_c.plugins.builtin.django_settings import Options
from kolo_c.plugins.builtin.http import header, headers_of, text_of
from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Kind, Plugin
from kolo_c.scope import PAUSED, SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import FrameType
    from typing import Any

REQUEST = Kind("request", "REQUEST", "blue", "{method} {path}[ → {status}]")
SENT = Kind("response-body", "BODY", "blue", "{size} bytes sent")
_QUERY_CHARACTERS = 4096
_DEFAULTS = Options()


class Copy:
    """The beginning of a body, as it is read or sent."""

    __slots__ = ("begin", "size", "value")

    def __init__(self) -> None:
        self.begin = b""
        self.size = 0
        self.value: Any = None
        """What the framework made of it: the fields of a form."""

    def add(self, piece: Any) -> None:
        """A further piece."""
        if isinstance(piece, (bytes, bytearray, memoryview)):
            if len(self.begin) < COPY_BYTES:
                self.begin += bytes(piece[: COPY_BYTES - len(self.begin)])
            self.size += len(piece)

    def describe(self, fields: dict[str, Any], name: str, headers: Any) -> None:
        """Put it into a record's fields."""
        if self.value is not None:
            fields[name] = self.value
        elif self.size:
            kind = header(headers, "content-type")
            encoding = header(headers, "content-encoding")
            found = describe_body(self.begin, self.size, kind, encoding)
            add_body(fields, name, *found)


class Exchange:
    """A request that is being answered, and what is known of its response."""

    __slots__ = (
        "began_ns",
        "copied",
        "exception",
        "fields",
        "headers",
        "more",
        "note",
        "options",
        "read",
        "sent",
        "status",
    )

    def __init__(self, fields: dict[str, Any], options: Options | None) -> None:
        self.fields = fields
        self.options = options or _DEFAULTS
        self.began_ns = monotonic_ns()
        self.read = Copy()
        self.sent = Copy()
        self.status: int | None = None
        self.headers: dict[str, Any] = {}
        self.exception: BaseException | None = None
        self.more: dict[str, Any] = {}
        """Route and view, by who knows them."""
        self.note = "not read"
        """What to say of a body of which nothing is known."""
        self.copied = False
        """Whether the middleware sees all that is sent."""

    def respond(self, status: Any, headers: Iterable[tuple[Any, Any]]) -> None:
        """The response begins."""
        if isinstance(status, int):
            self.status = int(status)
        self.headers = headers_of(headers)

    def sent_later(self, copy: Copy) -> None:
        """What was sent after the response's record had ended has one of its own."""
        if copy.size and not self.sent.size:
            fields: dict[str, Any] = {"size": copy.size}
            copy.describe(fields, "response_body", self.headers)
            emit.point(SENT, fields)

    def finish(self) -> dict[str, Any]:
        """The fields that are known at its end."""
        fields: dict[str, Any] = {**self.more}
        if self.status is not None:
            fields["status"] = self.status
        asked = self.fields["headers"]
        self.read.describe(fields, "body", asked)
        if not self.read.size and self.read.value is None:
            expected = header(asked, "content-length")
            if expected not in ("", "0") or header(asked, "transfer-encoding"):
                fields["body_note"] = self.note
        if self.headers:
            fields["response_headers"] = self.headers
        self.sent.describe(fields, "response_body", self.headers)
        if self.exception is not None:
            fields["exception"] = self.exception
        return fields


OPEN: dict[int, Exchange] = {}
"""By the address of its environ or scope, each request that is being answered."""


def open_exchange(key: Any) -> Exchange | None:
    """That of an environ or a scope; None where it is not recorded."""
    return OPEN.get(id(key))


class Answered(Plugin):
    """Base of those that watch the call which answers a request."""

    kind = REQUEST
    boundary = True
    attributes = ("method", "path", "status", "route", "view")
    limits = (6, 64, 8192, 24_576)

    def begin(
        self, key: Any, fields: dict[str, Any], options: Options | None
    ) -> Mapping[str, Any] | None:
        """It begins; None where it is not recorded, or somebody else does that."""
        if id(key) in OPEN or SCOPE.get() == PAUSED:
            return None
        if options is None and _DEFAULTS.ignores(fields["path"]):
            return None  # the middleware has asked already
        OPEN[id(key)] = exchange = Exchange(fields, options)
        return {**fields, "_exchange": exchange, "_key": key}

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """It has been answered, or an exception left the application."""
        OPEN.pop(id(started["_key"]), None)
        exchange: Exchange = started["_exchange"]
        self.look(frame, value, exchange)
        if exception is not None and exchange.status is None:
            exchange.status = 500
        error = exchange.exception or exception
        session = SCOPE.session
        if error is not None and session is not None and (exchange.status or 0) >= 500:
            session.boundaries.failed_by(error, "_exchange", exchange)
        return exchange.finish()

    def look(self, frame: FrameType, value: Any, exchange: Exchange) -> None:
        """At what the call leaves behind."""

    def holds(self, fields: Mapping[str, Any]) -> bool:
        """Slow or failed requests alone are to be stored."""
        exchange: Exchange = fields["_exchange"]
        return exchange.options.holds

    def stored(self, fields: Mapping[str, Any], failed: bool) -> bool:
        """Whether it is one of them."""
        exchange: Exchange = fields["_exchange"]
        failed = failed or (exchange.status or 0) >= 500
        milliseconds = (monotonic_ns() - exchange.began_ns) / 1e6
        return exchange.options.stores(failed, milliseconds)


# ---- what a request says ----


def wsgi_fields(environ: Mapping[str, Any]) -> dict[str, Any]:
    """Of a request of WSGI."""
    path = _wsgi_text(environ.get("SCRIPT_NAME")) + _wsgi_text(environ.get("PATH_INFO"))
    headers: list[tuple[str, Any]] = []
    for key, value in environ.items():
        if type(key) is not str:
            continue
        if key.startswith("HTTP_"):
            headers.append((key[5:].replace("_", "-").title(), value))
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            headers.append((key.replace("_", "-").title(), value))
    method = text_of(environ.get("REQUEST_METHOD"))
    return _fields(method, path, environ.get("QUERY_STRING"), headers)


def asgi_fields(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Of a request or a websocket of ASGI."""
    method = "WEBSOCKET" if scope["type"] == "websocket" else scope.get("method")
    path = text_of(scope.get("path"))
    root = text_of(scope.get("root_path"))
    if root and not path.startswith(root):
        path = root + path  # as servers before ASGI 3's clarification have it
    headers = [
        (text_of(name).title(), value) for name, value in scope.get("headers") or ()
    ]
    return _fields(text_of(method), path, scope.get("query_string"), headers)


def _fields(
    method: str, path: str, query: Any, headers: list[tuple[str, Any]]
) -> dict[str, Any]:
    fields: dict[str, Any] = {"method": method, "path": path or "/"}
    words = text_of(query)
    if words:
        fields["query"] = form(words[:_QUERY_CHARACTERS])
        remember(fields["query"])
    fields["headers"] = headers_of(headers)
    cookies = fields["headers"].get("Cookie")
    if type(cookies) is str:
        remember_cookies(cookies)
    return fields


def _wsgi_text(value: Any) -> str:
    """WSGI's texts are bytes, each a character."""
    try:
        return text_of(value).encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return text_of(value)


def name_of(function: Any) -> str | None:
    """``module.qualname`` of a view, without asking an object of the program's."""
    kind = type(function)
    if kind.__name__ in ("function", "builtin_function_or_method"):
        return f"{function.__module__}.{function.__qualname__}"
    if isinstance(function, type):
        return f"{function.__module__}.{function.__qualname__}"
    return None if function is None else f"{kind.__module__}.{kind.__qualname__}"


def route_of(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Where a router of ASGI says that the path led."""
    fields: dict[str, Any] = {}
    path = state_of(scope.get("route")).get("path")
    if isinstance(path, str):
        fields["route"] = path
    view = name_of(scope.get("endpoint"))
    if view is not None:
        fields["view"] = view
    if scope.get("path_params"):
        fields["view_kwargs"] = dict(scope["path_params"])
    return fields


def state_of(thing: Any) -> dict[str, Any]:
    """What an object of a framework holds."""
    try:
        found: dict[str, Any] = vars(thing)
    except TypeError:
        return {}
    return found


# ---- the middleware of kolo_c/integrations ----


class Wsgi(Answered):
    """A request that comes to our middleware."""

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where it is not recorded."""
        environ = local(frame, "environ")
        return self.begin(environ, wsgi_fields(environ), local(frame, "options"))


class Asgi(Answered):
    """A request or a websocket that comes to our middleware."""

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where it is not recorded."""
        scope = local(frame, "scope")
        return self.begin(scope, asgi_fields(scope), local(frame, "options"))

    def look(self, frame: FrameType, value: Any, exchange: Exchange) -> None:
        """The router has written down where it led."""
        exchange.more.update(route_of(local(frame, "scope")))
