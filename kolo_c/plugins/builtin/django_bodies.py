"""Bodies of Django's requests and responses: copies of what the program itself reads
and sends.

A body that ``request.body`` or ``request.POST`` has read is there when the request has
been answered. One that the program reads as a stream is copied as it is read, to a
budget. Nothing is read for a record: what is not read is called so.

Threads: any; one request is answered by one at a time. Owns: the copies.
Fails: never.
"""

from __future__ import annotations

from kolo_c.plugins.builtin.bodies import COPY_BYTES, add_body, describe_body, remember
from kolo_c.plugins.emit import local
from kolo_c.plugins.spec import Plugin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

_FILES_MOST = 16
_VALUES_MOST = 64
_NOTHING: Mapping[str, Any] = {}


class Reading:
    """What is known of a request that is being answered."""

    copy = b""
    """The beginning of what was read as a stream."""
    size = 0
    """Of all of that."""
    exception: BaseException | None = None
    """What Django made a response of."""
    remembered = False
    """Secrets in what was read are known."""

    def add(self, piece: bytes) -> None:
        """The program has read ``piece``."""
        if len(self.copy) < COPY_BYTES:
            self.copy += piece[: COPY_BYTES - len(self.copy)]
        self.size += len(piece)


class BodyRead(Plugin):
    """The program reads a piece of a request's body."""

    def start(self, frame: FrameType) -> Mapping[str, Any] | None:
        """None where the request is not recorded."""
        from kolo_c.plugins.builtin.django import OPEN  # noqa: PLC0415 - imports this

        reading = OPEN.get(id(local(frame, "self")))
        return None if reading is None else {"_reading": reading}

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> None:
        """It has it."""
        if type(value) is bytes:
            started["_reading"].add(value)


class Parsed(Plugin):
    """The program is about to get what a body says: what is secret in it is known
    before it is anywhere else."""

    def when(self, frame: FrameType) -> bool:
        """Once for each request."""
        reading = _reading(frame)
        return reading is not None and not reading.remembered

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> None:
        """It has been read."""
        reading = _reading(frame)
        if reading is None or exception is not None:
            return
        if type(value) is tuple:  # of the REST framework: data and files
            remember(value[0])
            return
        state = vars(local(frame, "self"))
        post = state.get("_post")
        if post:
            reading.remembered = True
            remember(post)
            return
        content_type = _text((state.get("META") or {}).get("CONTENT_TYPE"))
        if type(value) is bytes and "json" in content_type:
            reading.remembered = True
            remember(describe_body(value[:COPY_BYTES], len(value), content_type)[0])


def _reading(frame: FrameType) -> Reading | None:
    from kolo_c.plugins.builtin.django import OPEN  # noqa: PLC0415 - imports this

    request = local(frame, "self")
    inner = vars(request).get("_request")
    return OPEN.get(id(request if inner is None else inner))


def request_body(state: dict[str, Any], reading: Reading) -> Mapping[str, Any]:
    """The fields for the body of a request, of which ``state`` is the dict."""
    meta = state.get("META") or _NOTHING
    post, body = state.get("_post"), state.get("_body")
    if post is None and body is None and not reading.size:
        if not meta.get("CONTENT_LENGTH") and "HTTP_TRANSFER_ENCODING" not in meta:
            return _NOTHING
        return _unread(meta)
    content_type = _text(meta.get("CONTENT_TYPE"))
    if content_type.startswith("multipart/form-data") and isinstance(post, dict):
        found = {**_values(post), **_files(state.get("_files"))}
        return {"body": found} if found else {}
    if type(body) is bytes:
        copy, size = body[:COPY_BYTES], len(body)
    elif reading.size:
        copy, size = reading.copy, reading.size
    else:
        return _unread(meta)
    encoding = _text(meta.get("HTTP_CONTENT_ENCODING"))
    return add_body({}, "body", *describe_body(copy, size, content_type, encoding))


def _unread(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a body that the program has not read."""
    expected = _text(meta.get("CONTENT_LENGTH")).strip()
    chunked = _text(meta.get("HTTP_TRANSFER_ENCODING"))
    unread = (expected and expected != "0") or chunked
    return {"body_note": "not read"} if unread else {}


def response_body(response: Any, headers: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields for the body of a response, from what it holds already."""
    if getattr(type(response), "streaming", False) is True:
        return {"streaming": True}
    pieces = vars(response).get("_container")
    if type(pieces) is not list:
        return _NOTHING
    copy, size = b"", 0
    for piece in pieces:
        if type(piece) is not bytes:
            return _NOTHING
        size += len(piece)
        if len(copy) < COPY_BYTES:
            copy = (
                copy + piece[: COPY_BYTES - len(copy)] if copy else piece[:COPY_BYTES]
            )
    content_type = _text(headers.get("Content-Type"))
    encoding = _text(headers.get("Content-Encoding"))
    return add_body(
        {}, "response_body", *describe_body(copy, size, content_type, encoding)
    )


def _values(post: dict[Any, Any]) -> dict[str, Any]:
    """The fields of a form, as ``request.POST`` holds them: a list for each."""
    found: dict[str, Any] = {}
    for name, values in list(dict.items(post))[:_VALUES_MOST]:
        several = type(values) is list and len(values) != 1
        found[str(name)] = values if several or type(values) is not list else values[0]
    return found


def _files(files: Any) -> dict[str, Any]:
    """The files of a form: what they are called and how big they are."""
    found: dict[str, Any] = {}
    if not isinstance(files, dict):
        return found
    for name, uploads in list(dict.items(files))[:_FILES_MOST]:
        told = [_file(upload) for upload in list(uploads)[:_FILES_MOST]]
        found[str(name)] = told[0] if len(told) == 1 else told
    return found


def _file(upload: Any) -> dict[str, Any]:
    state = vars(upload)
    return {
        "file": state.get("_name"),
        "size": state.get("size"),
        "content_type": state.get("content_type"),
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
