"""WSGI: a middleware that has each request recorded, around any application.

    from kolo_c.integrations.wsgi import KoloCMiddleware
    app.wsgi_app = KoloCMiddleware(app.wsgi_app)        # Flask

docs/howto/flask.md has all of it.

Threads: any. Owns: nothing but copies of what is read and sent.
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
from kolo_c.plugins.builtin.django_settings import Options, read
from kolo_c.plugins.builtin.http_server import Copy, Exchange, open_exchange
from kolo_c.scope import PAUSED, SCOPE
from kolo_c.within import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

_logger = logging.getLogger("kolo_c.wsgi")


def options_of(settings: dict[str, Any], logger: logging.Logger) -> Options:
    """What a middleware was told; what makes no sense is logged."""
    options = read(settings)
    for problem in options.problems:
        logger.warning("%s", problem.replace("KOLO_C", "KoloCMiddleware", 1))
    return options


class KoloCMiddleware:
    """Around a WSGI application; as far out as can be.

    ``settings`` are those of docs/howto/flask.md: ``ignore_request_paths``, ``sample``,
    ``slow_ms``, ``errors_only``, and any of the recorder. With ``debug`` responses
    carry the trace's id and the time.
    """

    def __init__(
        self,
        app: Callable[..., Any],
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

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer a request."""
        if not self._on or SCOPE.session is None:
            return self.app(environ, start_response)
        options = self._options
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        if not options.takes(path):
            token = SCOPE.set(PAUSED)
            try:
                return self.app(environ, start_response)
            finally:
                SCOPE.reset(token)
        return self._answer(environ, start_response, options)

    def _answer(
        self, environ: dict[str, Any], start_response: Any, options: Options
    ) -> Any:
        """What the plugin watches: a call of it is a request."""
        exchange = open_exchange(environ)
        if exchange is None:
            return self.app(environ, start_response)
        began_ns = perf_counter_ns()
        trace_id = current().id
        if trace_id is not None:
            tell_others(trace_id)
        given = environ.get("wsgi.input")
        if given is not None:
            environ["wsgi.input"] = Input(given, exchange)

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            code = status[:3]
            exchange.respond(int(code) if code.isdecimal() else None, headers)
            if self._debug and trace_id is not None:
                own = [(HEADER, trace_id), ("Server-Timing", timing(began_ns))]
                headers = [*headers, *own]
            return start_response(status, headers, *error)

        try:
            body = self.app(environ, start)
        except Exception as error:
            exchange.exception = error
            raise
        if type(body) in (list, tuple):
            for piece in body:
                exchange.sent.add(piece)
            return body
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper):
            return body  # the server sends the file as it likes
        session = SCOPE.session
        number = 0 if session is None else session.boundaries.hold()
        return Body(body, exchange, number)


class Body:
    """A body in the making: each piece within the trace of its request, which ends when
    the server is done with it."""

    __slots__ = ("_body", "_copy", "_exchange", "_number", "_pieces")

    def __init__(self, body: Iterable[bytes], exchange: Exchange, number: int) -> None:
        self._body = body
        self._exchange = exchange
        self._copy = Copy()
        self._number = number
        self._pieces: Iterator[bytes] | None = None

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        token = SCOPE.set(self._number or SCOPE.get())
        try:
            if self._pieces is None:
                self._pieces = iter(self._body)
            piece = next(self._pieces)
        except StopIteration:
            raise
        except Exception:
            session = SCOPE.session
            if self._number and session is not None:
                session.boundaries.fail(self._number)
            raise
        finally:
            SCOPE.reset(token)
        self._copy.add(piece)
        return piece

    def close(self) -> None:
        """The server has sent it, or gave up."""
        token = SCOPE.set(self._number or SCOPE.get())
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._exchange.sent_later(self._copy)
            SCOPE.reset(token)
            self._release()

    def _release(self) -> None:
        number, self._number = self._number, 0
        session = SCOPE.session
        if number and session is not None:
            session.boundaries.release(number)

    def __del__(self) -> None:
        if self._number:
            self._release()


class Input:
    """``wsgi.input``, of which what is read is copied."""

    def __init__(self, given: Any, exchange: Exchange) -> None:
        self._given = given
        self._copy = exchange.read

    def read(self, *size: Any) -> Any:
        """As the server has it."""
        found = self._given.read(*size)
        self._copy.add(found)
        return found

    def readline(self, *size: Any) -> Any:
        """As the server has it."""
        found = self._given.readline(*size)
        self._copy.add(found)
        return found

    def readlines(self, *hint: Any) -> Any:
        """As the server has it."""
        found = self._given.readlines(*hint)
        for line in found:
            self._copy.add(line)
        return found

    def __iter__(self) -> Iterator[Any]:
        for line in self._given:
            self._copy.add(line)
            yield line

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._given, name)
        if name in ("readinto", "readinto1"):
            return lambda target: self._into(found, target)
        return found

    def _into(self, method: Any, target: Any) -> Any:
        size = method(target)
        if size:
            self._copy.add(memoryview(target).cast("B")[:size])
        return size
