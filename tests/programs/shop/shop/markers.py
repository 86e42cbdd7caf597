"""Which request is this? ``?r=17`` is in every statement that is made for it.

As an SQL comment, which is how programs of some size find the page that asked for a
statement. The answer says the number, and how many statements there were so far.
"""

from __future__ import annotations

from contextvars import ContextVar

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.db.backends.signals import connection_created
from django.dispatch import receiver

_current = ContextVar("shop_marker", default=None)


class Marker:
    """A request's number, and its statements so far."""

    def __init__(self, number):
        self.number = number
        self.statements = 0

    def mark(self, execute, sql, params, many, context):
        """Around every statement, in whichever thread it is made."""
        self.statements += 1
        return execute(f"{sql} /* r={self.number} */", params, many, context)


def current_marker():
    """That of the request that is being answered, if it has one."""
    return _current.get()


def mark_statement(execute, sql, params, many, context):
    """What Django calls around every statement of every connection."""
    marker = _current.get()
    if marker is None:
        return execute(sql, params, many, context)
    return marker.mark(execute, sql, params, many, context)


@receiver(connection_created, dispatch_uid="shop.markers")
def watch_connection(connection, **_):
    """A new connection of any thread marks its statements."""
    if mark_statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(mark_statement)


def while_streaming(pieces):
    """The pieces of a body that is made after the middleware is done; then the count."""
    return _while_streaming(pieces, _current.get())


def _while_streaming(pieces, marker):
    iterator = iter(pieces)
    while True:
        token = _current.set(marker)
        try:
            piece = next(iterator)
        except StopIteration:
            break
        finally:
            _current.reset(token)
        yield piece
    yield last_line(marker)


def while_streaming_later(pieces):
    """The same of an asynchronous body."""
    return _while_streaming_later(pieces, _current.get())


async def _while_streaming_later(pieces, marker):
    iterator = aiter(pieces)
    while True:
        token = _current.set(marker)
        try:
            piece = await anext(iterator)
        except StopAsyncIteration:
            break
        finally:
            _current.reset(token)
        yield piece
    yield last_line(marker)


def last_line(marker):
    """What a streamed body ends with."""
    return f"queries={marker.statements}\n" if marker is not None else "end\n"


class MarkerMiddleware:
    """Takes the number out of the query, and puts it into the answer."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response):
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request):
        if self.is_async:
            return self.answer_later(request)
        token = self.begin(request)
        try:
            return self.finish(self.get_response(request))
        finally:
            _current.reset(token)

    async def answer_later(self, request):
        token = self.begin(request)
        try:
            return self.finish(await self.get_response(request))
        finally:
            _current.reset(token)

    @staticmethod
    def begin(request):
        number = request.GET.get("r")
        return _current.set(Marker(int(number)) if number else None)

    @staticmethod
    def finish(response):
        marker = _current.get()
        if marker is not None:
            response["X-Shop-Marker"] = str(marker.number)
            response["X-Shop-Queries"] = str(marker.statements)
        return response
