"""HTTP by requests, urllib3 and urllib. See http.py.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.plugins.builtin.http import (
    HTTP,
    add_request_body,
    add_response_body,
    ended,
    follow,
    hops,
    reading,
    request_fields,
    response_fields,
)
from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any


class Requests(Plugin):
    """``Session.send``, with the redirects that it follows."""

    kind = HTTP

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None for the further requests of one that is redirected."""
        back = frame.f_back
        if back is not None and back.f_code.co_name == "resolve_redirects":
            return None
        request = vars(local(frame, "request"))
        headers = request.get("headers") or {}
        fields = request_fields(request["method"], request["url"], headers.items())
        add_request_body(fields, request.get("body"))
        return fields

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> Mapping[str, Any] | None:
        """The response is there, and read if it is not to be streamed."""
        if exception is not None:
            return None
        state = vars(value)
        headers = state["headers"]
        fields = response_fields(state["status_code"], headers.items())
        if state.get("history"):
            fields["redirects"] = hops(
                (at.status_code, at.url) for at in state["history"]
            )
        if state.get("_content") is False:
            follow(state.get("raw"), started, headers)
        return add_response_body(fields, state.get("_content"))


class Urllib3(Plugin):
    """``urlopen`` of a pool, with its retries; not where requests called it."""

    kind = HTTP

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where it is part of another."""
        back = frame.f_back
        if back is not None and (
            back.f_code is frame.f_code
            or back.f_globals.get("__name__") == "requests.adapters"
        ):
            return None
        pool = vars(local(frame, "self"))
        url = local(frame, "url")
        if url.startswith("/"):
            scheme = getattr(local(frame, "self"), "scheme", "http")
            port = pool.get("port")
            own = "" if port in (None, 80, 443) else f":{port}"
            url = f"{scheme}://{pool.get('host')}{own}{url}"
        headers = local(frame, "headers") or pool.get("headers") or {}
        fields = request_fields(local(frame, "method"), url, headers.items())
        add_request_body(fields, local(frame, "body"))
        return fields

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> Mapping[str, Any] | None:
        """The response is there, and read if it was to be."""
        if exception is not None:
            return None
        state = vars(value)
        headers = state["headers"]
        fields = response_fields(state["status"], headers.items())
        tried = vars(state["retries"]).get("history") if state.get("retries") else ()
        if tried:
            fields["retries"] = len(tried)
        if state.get("_body") is None:
            follow(value, started, headers)
        return add_response_body(fields, state.get("_body"))


class Urllib3Read(Plugin):
    """A piece of a response of urllib3, as it comes from the network."""

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where nobody follows it."""
        found = reading(local(frame, "self"))
        return None if found is None else {"_reading": found}

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> None:
        """It has come."""
        if isinstance(value, bytes):
            started["_reading"].add(value)


class Urllib3End(Plugin):
    """Nothing more is read of it."""

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where nobody follows it."""
        response = local(frame, "self")
        if reading(response) is not None:
            original = vars(response).get("_original_response")
            ended(response, original is None or original.isclosed())
        return None


class Urllib(Plugin):
    """``urllib.request``: each request of an ``urlopen``, also those of redirects."""

    kind = HTTP

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """It is about to connect."""
        request = local(frame, "req")
        state = vars(request)
        headers = {**state["unredirected_hdrs"], **state["headers"]}
        body = state.get("_data")
        method = state.get("method") or ("GET" if body is None else "POST")
        fields = request_fields(method, state.get("_full_url", ""), headers.items())
        add_request_body(fields, body)
        return fields

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> Mapping[str, Any] | None:
        """The headers are there; the program reads the body, or not."""
        if exception is not None:
            return None
        headers = value.headers
        method = vars(value).get("_method")  # a Request may have a way of its own
        own = {} if method == started["method"] else {"method": method}
        follow(value, {**started, **own}, headers)
        return {**own, **response_fields(value.status, headers.items())}


class UrllibRead(Plugin):
    """What the program reads of a response of urllib."""

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where nobody follows it, and for its own calls."""
        response = local(frame, "self")
        found = reading(response)
        back = frame.f_back
        if found is None or (
            back is not None and back.f_code.co_filename == frame.f_code.co_filename
        ):
            return None
        return {"_reading": found, "_response": response}

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> None:
        """It has it."""
        found, response = started["_reading"], started["_response"]
        if type(value) is int:
            value = bytes(memoryview(local(frame, "b")).cast("B")[:value])
        if type(value) is bytes:
            found.add(value)
        if exception is not None or response.isclosed():
            ended(response, exception is None)


class UrllibEnd(Plugin):
    """Nothing more is read of it."""

    def start(self, frame: FrameType) -> None:
        """It may not have been read to its end."""
        response = local(frame, "self")
        if reading(response) is not None:
            ended(response, response.isclosed())
