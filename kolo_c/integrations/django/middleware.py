"""The middleware: it has requests recorded, and tells the developer where.

Alone it starts a session when the server starts, which records nothing outside
requests; where one runs already (``KOLO_C=1``, ``kolo-c run``) that is used. What a
request's trace begins and ends with is the plugin's (kolo_c/plugins/builtin/django.py).

Threads: any. Owns: nothing. Fails: MiddlewareNotUsed where nothing is to be recorded,
or can be: then Django leaves it out, and it costs nothing.
"""

from __future__ import annotations

import logging
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.apps import apps
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed

from kolo_c.errors import KoloError
from kolo_c.integrations.django import checks
from kolo_c.integrations.serving import HEADER, record_requests, tell_others, timing
from kolo_c.plugins.builtin.django_settings import options
from kolo_c.within import current

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest, HttpResponseBase

_logger = logging.getLogger("kolo_c.django")


class KoloCMiddleware:
    """Put it first in MIDDLEWARE."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        enabled = options().enabled
        if not (settings.DEBUG if enabled is None else enabled):
            raise MiddlewareNotUsed
        if not apps.is_installed(checks.APP):
            for message in checks.check():
                _logger.log(message.level, "%s", message)
        try:
            record_requests(checks.project_folder(), options().recorder)
        except KoloError as error:
            _logger.warning("no request is recorded: %s", error)
            raise MiddlewareNotUsed(str(error)) from None
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """The response, or what is to be awaited for it."""
        if self._is_async:
            return self._answer_later(request)
        began_ns = self._begin()
        return self._finish(self.get_response(request), began_ns)

    async def _answer_later(self, request: HttpRequest) -> HttpResponseBase:
        began_ns = self._begin()
        later: Awaitable[HttpResponseBase] = self.get_response(request)
        return self._finish(await later, began_ns)

    @staticmethod
    def _begin() -> int:
        trace_id = current().id
        if trace_id is not None:
            tell_others(trace_id)
        return perf_counter_ns()

    @staticmethod
    def _finish(response: HttpResponseBase, began_ns: int) -> HttpResponseBase:
        if settings.DEBUG:
            trace_id = current().id
            if trace_id is not None:
                response.headers[HEADER] = trace_id
                told = [response.headers.get("Server-Timing"), timing(began_ns)]
                response.headers["Server-Timing"] = ", ".join(filter(None, told))
        return response
