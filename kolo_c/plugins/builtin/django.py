"""Django's requests: each is a trace of its own, from the first middleware to the
response.

What is watched is ``BaseHandler.get_response``, which every server, WSGI and ASGI
alike, and the test client come through. A request is read as Django has left it: no
property of it is asked for, nothing of its body is read, no lazy object is looked into.

Threads: any. Owns: the requests that are being answered.
Fails: never; a handler that raises is counted by the core.
"""

from __future__ import annotations

from contextvars import ContextVar
from itertools import islice
from time import monotonic_ns

from kolo_c.plugins.builtin import django_settings, django_streams
from kolo_c.plugins.builtin.bodies import (
    form,
    remember_cookies,
    scrub_headers,
    scrub_path,
)
from kolo_c.plugins.builtin.django_bodies import Reading, request_body, response_body
from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Kind, Plugin
from kolo_c.scope import PAUSED, SCOPE, VARIABLE
from kolo_c.within import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

REQUEST = Kind("request", "REQUEST", "blue", "{method} {path}[ → {status}]")
_QUERY_CHARACTERS = 4096
_HEADERS_MOST = 64
_MAYBE_EMPTY = ("Content-Type", "Content-Length")
"""Servers have a variable for each of them in any case."""
_KEYS_KNOWN = 2000

OPEN: dict[int, Reading] = {}
"""By the address of its request, what is known of each that is being answered."""
_left_out: set[int] = set()
"""By address, requests that begin and are not to be recorded."""
_paused: ContextVar[bool] = ContextVar("kolo_c.django.paused", default=False)


class Request(Plugin):
    """A request and its response."""

    kind = REQUEST
    boundary = True
    attributes = ("method", "path", "status", "route", "view")
    limits = (6, 64, 8192, 24_576)

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """It comes to the first middleware; None where it is not to be recorded.

        One within a test, or what else has a trace, always is; others where the
        settings do not ignore their path, or leave them out of the sample.
        """
        request = local(frame, "request")
        state = vars(request)
        path = state.get("path")
        session = SCOPE.session
        if _paused.get():  # of a coroutine that has ended nobody tells in a pause
            _paused.set(False)
            SCOPE.set(0)
        number = VARIABLE.get(0)
        if session is None or number == PAUSED:
            return None
        options = django_settings.options()
        if not session.traces.is_boundary(number) and not options.takes(path):
            _left_out.add(id(request))
            return None
        if django_streams.abandoned:
            django_streams.release_abandoned()
        meta = state.get("META") or {}
        fields: dict[str, Any] = {
            "method": state.get("method"),
            "path": scrub_path(path) if isinstance(path, str) else None,
            "_request": request,
            "_options": options,
            "_began_ns": monotonic_ns(),
        }
        query = meta.get("QUERY_STRING")
        if isinstance(query, str) and query:
            fields["query"] = form(query[:_QUERY_CHARACTERS])
        fields["headers"] = request_headers(meta)
        cookies = meta.get("HTTP_COOKIE")
        if isinstance(cookies, str):
            remember_cookies(cookies)
        OPEN[id(request)] = Reading()
        return fields

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """There is a response, or an exception left the last middleware."""
        request = started["_request"]
        reading = OPEN.pop(id(request), None) or Reading()
        state = vars(request)
        fields: dict[str, Any] = {}
        if value is not None:
            fields["status"] = _status(value)
        match = state.get("resolver_match")
        if match is not None:
            _add_route(fields, vars(match))
        user = state.get("_cached_user", state.get("_acached_user"))
        if user is not None and (key := _key_of(user)) is not None:
            fields["user"] = key
        if reading.exception is not None:
            fields["exception"] = reading.exception
            session = SCOPE.session
            if session is not None and (fields.get("status") or 0) >= 500:
                session.boundaries.failed_by(reading.exception, "_request", request)
        fields.update(request_body(state, reading))
        if value is not None:
            headers = fields["response_headers"] = response_headers(value)
            fields.update(response_body(value, headers))
            if "_iterator" in vars(value):
                django_streams.follow(value, headers)
        return fields

    def holds(self, fields: Mapping[str, Any]) -> bool:
        """Slow or failed requests alone are to be stored."""
        options: django_settings.Options = fields["_options"]
        return options.holds

    def stored(self, fields: Mapping[str, Any], failed: bool) -> bool:
        """Whether it is one of them."""
        status = fields.get("status")
        failed = failed or (isinstance(status, int) and status >= 500)
        options: django_settings.Options = fields["_options"]
        return options.stores(failed, (monotonic_ns() - fields["_began_ns"]) / 1e6)


class Unrecorded(Plugin):
    """A request that is not to be recorded, as ``Request`` has found: nothing is, until
    it has been answered.

    It watches what ``Request`` does, and comes after it.
    """

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None for all others, and where nothing is recorded outside requests."""
        address = id(local(frame, "request"))
        if address not in _left_out:
            return None
        _left_out.discard(address)
        if not current():
            return None
        _paused.set(True)
        return {"_token": SCOPE.set(PAUSED)}

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> None:
        """It has been answered."""
        _paused.set(False)
        SCOPE.reset(started["_token"])


class Failure(Plugin):
    """What a view or a middleware raised, and Django makes a response of."""

    def start(self, frame: FrameType) -> None:
        """It is about to."""
        reading = OPEN.get(id(local(frame, "request")))
        if reading is None:
            return
        exception = local(frame, "exc") or local(frame, "exception")
        if isinstance(exception, BaseException):
            reading.exception = exception


def request_headers(meta: Any) -> dict[str, Any]:
    """The headers of a request, from what WSGI calls them."""
    if not _keys.issuperset(meta):
        _learn(meta)
    names = _header_names
    # Without a step of Python's for each of a server's variables.
    headers = filter(names.__contains__, meta)
    found = {names[key]: meta[key] for key in islice(headers, _HEADERS_MOST)}
    for name in _MAYBE_EMPTY:
        if name in found and not found[name]:
            del found[name]
    return scrub_headers(found)


def response_headers(response: Any) -> dict[str, Any]:
    """Those of a response; of cookies that they are set."""
    state = vars(response)
    store = getattr(state.get("headers"), "_store", None) or {}
    found: dict[str, Any] = dict(list(store.values())[:_HEADERS_MOST])
    cookies = state.get("cookies")
    if cookies:
        found["Set-Cookie"] = ", ".join(map(str, dict.keys(cookies)))
    return scrub_headers(found)


_keys: set[str] = set()
"""Of the variables that were met."""
_header_names: dict[str, str] = {}
"""By key, those that are headers."""


def _learn(meta: Any) -> None:
    """Keys that were not met before."""
    global _keys, _header_names
    if len(_keys) + len(meta) > _KEYS_KNOWN:  # a client may send any
        _keys, _header_names = set(), {}
    keys, names = _keys, _header_names  # another thread may begin anew meanwhile
    for key in meta:
        if key.startswith("HTTP_"):
            names[key] = _header_name(key[5:])
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            names[key] = _header_name(key)
        keys.add(key)


def _header_name(key: str) -> str:
    return "-".join([word.capitalize() for word in key.split("_")])


def _status(response: Any) -> int | None:
    """Its status, which the instance has or, of a redirect, its class."""
    status = vars(response).get("status_code")
    if status is None:
        status = getattr(type(response), "status_code", None)
    return status if type(status) is int else _whole_number(status)


def _whole_number(status: object) -> int | None:
    """Of an enumeration, as it is stored."""
    return int(status) if isinstance(status, int) else None


def _add_route(fields: dict[str, Any], state: dict[str, Any]) -> None:
    """Where its path led: the pattern, the view, and what the view was given."""
    fields["route"] = state.get("route")
    fields["view"] = state.get("_func_path")
    if state.get("url_name"):
        fields["url_name"] = state.get("view_name")
    if state.get("args"):
        fields["view_args"] = state["args"]
    if state.get("kwargs"):
        fields["view_kwargs"] = state["kwargs"]


def _key_of(user: Any) -> Any:
    """The primary key of a user that the program has fetched already."""
    key = getattr(getattr(getattr(type(user), "_meta", None), "pk", None), "attname", 0)
    return vars(user).get(key) if isinstance(key, str) else None
