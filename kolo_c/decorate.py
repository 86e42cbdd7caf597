"""Decorating a function, so that something holds whenever its code runs.

A function, coroutine, generator or async generator stays what it was. Between two of
its steps other code runs in the thread, for which it must not hold.

Threads: any. Owns: nothing. Fails: TypeError for what is no function; later only as
the decorated function does.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Generator
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Part(Protocol):
        """What holds; one for each call."""

        def open(self) -> bool:
            """The call begins; False: nothing is to hold."""

        def enter(self) -> None:
            """A step of it begins."""

        def leave(self, exception: BaseException | None) -> None:
            """A step of it ends."""

        def close(self, exception: BaseException | None) -> object:
            """The call ends; only where it was opened."""


def decorate(function: Any, part: Callable[[], Part]) -> Any:
    """The function, of the same kind as it was, with a part for each of its calls.

    Raises TypeError for a class, a property and the like, of which a function would be
    made.
    """
    if isinstance(function, (classmethod, staticmethod)):
        return type(function)(decorate(function.__func__, part))
    if isinstance(function, type) or not callable(function):
        kind = "a class" if isinstance(function, type) else type(function).__name__
        raise TypeError(f"kolo_c decorates functions and methods, not {kind}")
    if inspect.isasyncgenfunction(function):
        return _decorate_async_generator(function, part)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_coroutine(*args: Any, **kwargs: Any) -> Any:
            piece = _Piece(part())
            try:
                return await _Steps(piece, function(*args, **kwargs))
            finally:
                piece.close(sys.exc_info()[1])

        return run_coroutine
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def run_generator(*args: Any, **kwargs: Any) -> Any:
            piece = _Piece(part())
            try:
                return (yield from _Steps(piece, function(*args, **kwargs)))
            finally:
                piece.close(sys.exc_info()[1])

        code = getattr(function, "__code__", None)
        if code is not None and code.co_flags & inspect.CO_ITERABLE_COROUTINE:
            return types.coroutine(run_generator)
        return run_generator

    @functools.wraps(function)
    def run_function(*args: Any, **kwargs: Any) -> Any:
        piece = _Piece(part())
        piece.enter()
        try:
            return function(*args, **kwargs)
        finally:
            error = sys.exc_info()[1]
            piece.leave(error)
            piece.close(error)

    return run_function


def _decorate_async_generator(
    function: Callable[..., Any], part: Callable[[], Part]
) -> Any:
    @functools.wraps(function)
    async def run_async_generator(*args: Any, **kwargs: Any) -> Any:
        piece = _Piece(part())
        inner = function(*args, **kwargs)
        step = inner.__anext__()
        try:
            while True:
                try:
                    item = await _Steps(piece, step)
                except StopAsyncIteration:
                    return
                try:
                    sent = yield item
                except GeneratorExit:
                    await _Steps(piece, inner.aclose())
                    raise
                except BaseException as error:
                    step = inner.athrow(error)
                else:
                    step = inner.asend(sent)
        finally:
            piece.close(sys.exc_info()[1])

    return run_async_generator


class _Piece:
    """A part that opens with its first step, and never fails."""

    def __init__(self, part: Part) -> None:
        self._part: Part | None = part
        self._opened = False

    def enter(self) -> None:
        if self._part is None:
            return
        if not self._opened:
            if not self._part.open():
                self._part = None
                return
            self._opened = True
        self._part.enter()

    def leave(self, exception: BaseException | None) -> None:
        if self._part is not None:
            self._part.leave(exception)

    def close(self, exception: BaseException | None) -> None:
        part, self._part = self._part, None
        if part is not None and self._opened:
            part.close(None if isinstance(exception, GeneratorExit) else exception)


class _Steps(Generator[Any, Any, Any]):
    """A generator or coroutine that is within its part while it runs, and only then.

    Between two steps other code runs in the thread, which does not belong to it.
    """

    def __init__(self, piece: _Piece, inner: Any) -> None:
        self._piece = piece
        self._inner = inner

    def __await__(self) -> _Steps:
        return self

    def send(self, value: Any) -> Any:
        return self._step(self._inner.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._inner.throw, *error)

    def close(self) -> None:
        self._step(self._inner.close)

    def _step(self, advance: Callable[..., Any], *values: Any) -> Any:
        self._piece.enter()
        failure: BaseException | None = None
        try:
            return advance(*values)
        except (StopIteration, StopAsyncIteration):
            raise
        except BaseException as error:
            failure = error
            raise
        finally:
            self._piece.leave(failure)
            failure = None
