"""HTTP that the program asks for: what all libraries have in common.

A call of a library is one record, whatever it calls below itself. Its body is a copy of
what the library has read when the call returns. What the program reads later is copied
as it reads it, and is a record of its own when it has come to an end: nothing is ever
read for a record.

Threads: any. Owns: copies of the responses that are being read, each until it ends.
Fails: never.
"""

from __future__ import annotations

import time
from _weakref import ref
from urllib.parse import urlsplit

from kolo_c.plugins import emit
from kolo_c.plugins.builtin.bodies import (
    COPY_BYTES,
    add_body,
    describe_body,
    scrub_headers,
)
from kolo_c.plugins.secret import mask_pairs
from kolo_c.plugins.spec import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

HTTP = Kind("http", "HTTP", "blue", "{method} {url}[ → {status}]")
BODY = Kind(
    "http-body", "BODY", "blue", "{method} {url}[ · {size} bytes][ · {events} events]"
)
HEADERS_MOST = 64
_OPEN_MOST = 1000
_URL_CHARACTERS = 2048
_EVENTS = "text/event-stream"


class Reading:
    """A response that the program reads after the call has returned."""

    __slots__ = (
        "_events",
        "_tail",
        "began_ns",
        "content_type",
        "copy",
        "encoding",
        "fields",
        "owner",
        "size",
    )

    def __init__(
        self,
        response: Any,
        owner: Any,
        fields: dict[str, Any],
        content_type: str,
        encoding: str,
    ) -> None:
        key = id(response)
        self.owner = ref(owner, lambda _: _forget(key, self))
        """Weak: what the program drops unread goes away as without us."""
        self.fields = fields
        self.content_type = content_type
        self.encoding = encoding
        self.copy = b""
        """The beginning of what was read, as it came."""
        self.size = 0
        self.began_ns = 0
        self._events = 0
        self._tail = b""

    def add(self, piece: bytes) -> None:
        """The program has got this."""
        if not self.began_ns:
            self.began_ns = time.monotonic_ns()
        self.size += len(piece)
        if len(self.copy) < COPY_BYTES:
            self.copy += piece[: COPY_BYTES - len(self.copy)]
        if self.content_type.startswith(_EVENTS):
            self._count(piece)

    def _count(self, piece: bytes) -> None:
        """Events end with an empty line, which may be cut in two."""
        seen = (self._tail + piece).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        found = seen.count(b"\n\n")
        self._events += found
        self._tail = seen.rpartition(b"\n\n")[2] if found else seen
        self._tail = self._tail[-1:] if self._tail.endswith(b"\n") else b""

    def end(self, complete: bool) -> None:
        """Nothing more is read of it."""
        if not self.size:
            return
        fields = {**self.fields, "size": self.size}
        if self.content_type.startswith(_EVENTS):
            fields["events"] = self._events
        if not complete:
            fields["complete"] = False
        fields["read_ns"] = time.monotonic_ns() - self.began_ns
        found = describe_body(self.copy, self.size, self.content_type, self.encoding)
        emit.point(BODY, add_body(fields, "response_body", *found))


def _forget(key: int, gone: Reading) -> None:
    if _open.get(key) is gone:
        del _open[key]


_open: dict[int, Reading] = {}
"""By the id of the object that is read."""


def follow(
    response: Any,
    started: Mapping[str, Any],
    headers: Mapping[str, Any],
    *,
    decoded: bool = False,
    owner: Any = None,
) -> None:
    """The program is going to read ``response``, or not.

    It lives as long as its ``owner``, if it has one.
    """
    if len(_open) >= _OPEN_MOST:
        return
    fields = {name: started.get(name) for name in ("method", "url", "host")}
    _open[id(response)] = Reading(
        response,
        response if owner is None else owner,
        fields,
        header(headers, "content-type"),
        "" if decoded else header(headers, "content-encoding"),
    )


def reading(response: Any) -> Reading | None:
    """What is known of a response that is read; None of those that are not ours."""
    return _open.get(id(response))


def ended(response: Any, complete: bool = True) -> None:
    """Nothing more is read of it."""
    found = _open.pop(id(response), None)
    if found is not None:
        found.end(complete)


def request_fields(
    method: Any, url: str, headers: Iterable[tuple[Any, Any]]
) -> dict[str, Any]:
    """Those of a request but its body."""
    return {
        "method": text_of(method).upper(),
        "url": mask_pairs(url[:_URL_CHARACTERS]),
        "host": host_of(url),
        "request_headers": headers_of(headers),
    }


def add_request_body(fields: dict[str, Any], body: Any) -> None:
    """A body that is there is copied, of any other it is said that it is none."""
    if body is None:
        return
    if isinstance(body, str):
        body = str.encode(body[:COPY_BYTES], "utf-8", "replace")
    if isinstance(body, (bytes, bytearray)):
        headers = fields.get("request_headers") or {}
        found = describe_body(
            bytes(body[:COPY_BYTES]),
            len(body),
            header(headers, "content-type"),
            header(headers, "content-encoding"),
        )
        add_body(fields, "request_body", *found)
    else:
        fields["request_body_note"] = "streamed"


def response_fields(status: Any, headers: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """Those of a response but its body."""
    return {"status": status, "response_headers": headers_of(headers)}


def add_response_body(
    fields: dict[str, Any], body: Any, *, encoding: str = ""
) -> dict[str, Any]:
    """One that the library has read, and decoded if ``encoding`` is empty."""
    if type(body) is bytes:
        kind = header(fields["response_headers"], "content-type")
        found = describe_body(body[:COPY_BYTES], len(body), kind, encoding)
        add_body(fields, "response_body", *found)
    return fields


def headers_of(headers: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """Headers as a record has them; of those that come twice a list."""
    found: dict[str, Any] = {}
    for name, value in headers:
        key, words = text_of(name), text_of(value)
        if key not in found:
            if len(found) >= HEADERS_MOST:
                break
            found[key] = words
        elif type(found[key]) is list:
            found[key].append(words)
        else:
            found[key] = [found[key], words]
    return scrub_headers(found)


def header(headers: Mapping[str, Any], name: str) -> str:
    """One of them, in any case of its letters."""
    for key, value in headers.items():
        if key.lower() == name:
            return text_of(value if type(value) is not list else value[0])
    return ""


def host_of(url: str) -> str | None:
    """Host and port, without who asks."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or None
    except ValueError:
        return None


def text_of(value: Any) -> str:
    """A name or value that a library holds as text or bytes."""
    if isinstance(value, bytes):
        return bytes.decode(value[:COPY_BYTES], "latin-1")
    if isinstance(value, str):
        return str.__str__(value[:COPY_BYTES])
    return str(value) if type(value) is int else ""


def hops(responses: Iterable[tuple[Any, str]]) -> list[str]:
    """The redirects that were followed: ``302 URL``."""
    return [
        f"{status} {mask_pairs(url[:_URL_CHARACTERS])}" for status, url in responses
    ]
