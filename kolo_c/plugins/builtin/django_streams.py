"""Streaming responses: their request's trace stays open until they are closed.

The pieces of such a body are made after the last middleware is done, by whoever sends
them. So that what makes them is recorded where it belongs, the iterator that the
response holds is put into one of ours, which is within the request's trace while it
makes a piece, and only then.

Threads: any. Owns: which trace each open stream keeps open, and the beginning of what
was sent.
Fails: never; the body fails as it would without us.
"""

from __future__ import annotations

import weakref
from collections import deque

from kolo_c.plugins.builtin.http_server import SENT, Copy
from kolo_c.plugins.emit import local, point
from kolo_c.plugins.spec import Plugin
from kolo_c.scope import SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token
    from types import FrameType
    from typing import Any

    from kolo_c.plugins.boundaries import Boundaries


_PIECES = (bytes, bytearray, memoryview)


class _Stream:
    """A body that is being sent."""

    __slots__ = ("_boundaries", "_copy", "_headers", "_number", "response")

    def __init__(
        self, boundaries: Boundaries, number: int, headers: Mapping[str, Any]
    ) -> None:
        self._boundaries = boundaries
        self._copy = Copy()
        self._headers = headers
        self._number = number
        self.response: Any = None
        """A weak reference to it."""

    def enter(self) -> Token[int]:
        """From here on it is its request's trace that is recorded."""
        session = SCOPE.session
        # A forked child has other traces, and other sessions have.
        known = session is not None and session.boundaries is self._boundaries
        return SCOPE.set(self._number if known else SCOPE.get())

    def add(self, piece: Any) -> None:
        """What is made of it is sent. Nothing of another type's own is asked."""
        if type(piece) is str:
            piece = piece.encode("utf-8", "replace")
        if type(piece) in _PIECES:
            try:
                self._copy.add(piece)
            except Exception:  # a view that was released, or has several dimensions
                pass

    def fail(self) -> None:
        """The next piece of it could not be made."""
        session = SCOPE.session
        if session is not None and session.boundaries is self._boundaries:
            session.boundaries.fail(self._number)

    def release(self) -> None:
        """It is closed."""
        session = SCOPE.session
        try:
            if self._copy.size:
                fields: dict[str, Any] = {"size": self._copy.size}
                self._copy.describe(fields, "response_body", self._headers)
                token = self.enter()
                point(SENT, fields)
                SCOPE.reset(token)
        finally:  # or its trace would be open for good
            if session is not None and session.boundaries is self._boundaries:
                session.boundaries.release(self._number)


_streams: dict[int, _Stream] = {}
"""By the address of the response."""
abandoned: deque[int] = deque()
"""Of responses that nobody closed before they went away."""


def follow(response: Any, headers: Mapping[str, Any]) -> None:
    """A request was answered by ``response``: if it is a stream, stay with it."""
    state = vars(response)
    iterator = state.get("_iterator")
    session = SCOPE.session
    if session is None or iterator is None or not getattr(response, "streaming", False):
        return
    number = session.boundaries.hold()
    if not number:
        return
    address = id(response)

    def gone(_: Any) -> None:
        # Whatever runs now was interrupted: the trace is ended at a better time.
        abandoned.append(address)

    stream = _streams[address] = _Stream(session.boundaries, number, headers)
    stream.response = weakref.ref(response, gone)
    wrap = Pieces if hasattr(type(iterator), "__next__") else LaterPieces
    state["_iterator"] = wrap(iterator, stream)


def release_abandoned() -> None:
    """End the traces of responses that are no more."""
    while abandoned:
        address = abandoned.popleft()
        stream = _streams.get(address)
        if stream is not None and stream.response() is None:
            _release(address)


def _release(address: int) -> None:
    stream = _streams.pop(address, None)
    if stream is not None:
        stream.release()


class StreamClosed(Plugin):
    """A response is closed: the server has sent it, or gave up."""

    def when(self, frame: FrameType) -> bool:
        """Whether it is one that keeps its trace open."""
        return bool(_streams) and id(local(frame, "self")) in _streams

    def start(self, frame: FrameType) -> dict[str, Any]:
        """What closing runs belongs to the request."""
        address = id(local(frame, "self"))
        return {"_address": address, "_token": _streams[address].enter()}

    def finish(
        self,
        frame: FrameType,
        value: Any,
        exception: BaseException | None,
        started: Mapping[str, Any],
    ) -> None:
        """It is over."""
        SCOPE.reset(started["_token"])
        _release(started["_address"])


class Pieces:
    """The pieces of a body, each made within the trace of its request."""

    __slots__ = ("_iterator", "_stream")

    def __init__(self, iterator: Any, stream: _Stream) -> None:
        self._iterator = iterator
        self._stream = stream

    def __iter__(self) -> Pieces:
        return self

    def __next__(self) -> Any:
        token = self._stream.enter()
        try:
            piece = next(self._iterator)
        except StopIteration:
            raise
        except Exception:
            self._stream.fail()
            raise
        finally:
            SCOPE.reset(token)
        self._stream.add(piece)
        return piece


class LaterPieces:
    """The same of a body that is made asynchronously."""

    __slots__ = ("_iterator", "_stream")

    def __init__(self, iterator: Any, stream: _Stream) -> None:
        self._iterator = iterator
        self._stream = stream

    def __aiter__(self) -> LaterPieces:
        return self

    def __anext__(self) -> _Step:
        return _Step(self._iterator.__anext__(), self._stream)


class _Step:
    """One piece in the making: within the trace whenever it runs."""

    __slots__ = ("_step", "_stream")

    def __init__(self, step: Any, stream: _Stream) -> None:
        self._step = step.__await__()
        self._stream = stream

    def __await__(self) -> _Step:
        return self

    __iter__ = __await__

    def __next__(self) -> Any:
        return self._run(self._step.__next__)

    def send(self, value: Any) -> Any:
        """As of a coroutine."""
        step = self._step
        if value is None and not hasattr(step, "send"):
            return self._run(step.__next__)
        return self._run(step.send, value)

    def throw(self, *error: Any) -> Any:
        """As of a coroutine."""
        return self._run(self._step.throw, *error)

    def close(self) -> None:
        """As of a coroutine."""
        self._run(self._step.close)

    def _run(self, advance: Callable[..., Any], *values: Any) -> Any:
        token = self._stream.enter()
        try:
            return advance(*values)
        except StopIteration as made:
            self._stream.add(made.value)
            raise
        except StopAsyncIteration:
            raise
        except Exception:  # one that is cancelled has not failed: its reader went away
            self._stream.fail()
            raise
        finally:
            SCOPE.reset(token)
