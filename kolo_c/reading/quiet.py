"""Reading is not recorded, where the program that reads is being recorded itself.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from kolo_c.scope import active_session
from kolo_c.within import Pause

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Item = TypeVar("_Item")


def quietly(function: _Function) -> _Function:
    """The function, paused while it runs."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if active_session() is None:
            return function(*args, **kwargs)
        with Pause():
            return function(*args, **kwargs)

    return run  # type: ignore[return-value]


class Steps(Iterator[_Item]):
    """An iterator, paused while it makes a step; what its user does is recorded."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Iterator[_Item]) -> None:
        self._inner = inner

    def __next__(self) -> _Item:
        if active_session() is None:
            return next(self._inner)
        with Pause():
            return next(self._inner)
