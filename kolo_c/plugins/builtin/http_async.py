"""HTTP by httpx and aiohttp. See http.py.

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


class Httpx(Plugin):
    """``send`` of both clients, with the redirects that it follows."""

    kind = HTTP

    def start(self, frame: FrameType) -> Mapping[str, Any]:
        """It is about to be sent."""
        state = vars(local(frame, "request"))
        headers = state["headers"].multi_items()
        fields = request_fields(state["method"], str(state["url"]), headers)
        stream = state.get("stream")
        if "_content" in state:
            add_request_body(fields, state["_content"] or None)
        elif stream is not None:
            add_request_body(fields, stream)
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
        fields = response_fields(state["status_code"], headers.multi_items())
        if state.get("history"):
            fields["redirects"] = hops(
                (at.status_code, str(at.url)) for at in state["history"]
            )
        if "_content" not in state:
            follow(value, started, headers)
        return add_response_body(fields, state.get("_content"))


class HttpxRead(Plugin):
    """A piece of a response that the program reads, as it came from the network."""

    def start(self, frame: FrameType) -> None:
        """None where nobody follows it."""
        back = frame.f_back
        if back is None or back.f_code.co_name not in ("iter_raw", "aiter_raw"):
            return
        found = reading(local(back, "self"))
        if found is not None:
            found.add(local(frame, "content"))


class HttpxEnd(Plugin):
    """Nothing more is read of it."""

    def start(self, frame: FrameType) -> None:
        """By ``iter_raw`` where it has come to its end."""
        response = local(frame, "self")
        if reading(response) is not None:
            back = frame.f_back
            name = "" if back is None else back.f_code.co_name
            ended(response, name in ("iter_raw", "aiter_raw"))


class Aiohttp(Plugin):
    """A request of a ``ClientSession``, with the redirects that it follows."""

    kind = HTTP

    def start(self, frame: FrameType) -> Mapping[str, Any]:
        """It is about to be sent."""
        session = vars(local(frame, "self"))
        url = _url(session.get("_base_url"), local(frame, "str_or_url"))
        headers = dict(session.get("_default_headers") or {})
        headers.update(local(frame, "headers") or {})
        fields = request_fields(local(frame, "method"), url, headers.items())
        params = local(frame, "params")
        if type(params) is dict and params:
            fields["params"] = params
        body = local(frame, "json")
        if body is not None:
            fields["request_body"] = body
        else:
            body = local(frame, "data")
            if type(body) is dict:
                fields["request_body"] = body
            else:
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
        fields = response_fields(value.status, headers.items())
        if value.history:
            fields["redirects"] = hops((at.status, str(at.url)) for at in value.history)
        if vars(value).get("_body") is None:
            follow(value.content, started, headers, decoded=True, owner=value)
        return fields


class AiohttpRead(Plugin):
    """A piece of a response that the program reads, unpacked."""

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
        """It has it."""
        if isinstance(value, (bytes, bytearray)):
            started["_reading"].add(bytes(value))


class AiohttpEnd(Plugin):
    """Nothing more is read of it."""

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> None:
        """``read`` has read all of it."""
        content = vars(local(frame, "self")).get("content")
        if content is not None and reading(content) is not None:
            ended(content, exception is None and content.at_eof())


def _url(base: Any, url: Any) -> str:
    """``url`` is a text, or a URL of yarl's."""
    text = url if isinstance(url, str) else str(url)
    if base is not None and "://" not in text:
        return f"{str(base).rstrip('/')}/{text.lstrip('/')}"
    return text
