"""Functions of drivers that give no frames, watched from outside.

    method = observed(Cursor.execute, begin, end)

``begin`` gets the call's arguments and gives a token; where that is None the function
runs and no more. ``end`` gets the token, the result and the exception, one of them
None. With ``instead`` the token is (arguments, keywords), and that function is called
with them. With ``told`` and ``slot`` none of this happens where the code of a caller is
in the one, by address, or the first argument has nothing, or None, in the other.
What they raise is dropped. In C, where there is the extension: no frame of ours stands
between the function and its caller then, in tracebacks and in what warnings name.

Threads: any. Owns: nothing. Fails: as the function does.
"""

from __future__ import annotations

import sys
from types import MethodType

from kolo_c.extension import extension_for_reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

_TOLD_CALLERS = 12


class _Observed:
    """The same in Python, as src/observed_object.c has it."""

    def __init__(
        self,
        function: Callable[..., Any],
        begin: Callable[..., Any],
        end: Callable[..., Any],
        *,
        instead: Callable[..., Any] | None = None,
        told: dict[int, Any] | None = None,
        slot: str = "",
    ) -> None:
        self.__wrapped__ = function
        self._begin = begin
        self._end = end
        self._instead = instead
        self._told = told
        self._slot = slot

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        token = None
        if not (self._is_empty(*arguments[:1]) or self._is_told(sys._getframe(1))):
            token = self._quietly(self._begin, *arguments, **keywords)
        if token is None:
            return self.__wrapped__(*arguments, **keywords)
        function = self.__wrapped__
        if self._instead is not None:
            function = self._instead
            arguments, keywords = token
        try:
            result = function(*arguments, **keywords)
        except BaseException as error:
            self._quietly(self._end, token, None, error)
            raise
        self._quietly(self._end, token, result, None)
        return result

    def _is_empty(self, owner: object = None) -> bool:
        if not self._slot or owner is None:
            return False
        try:
            return object.__getattribute__(owner, self._slot) is None
        except AttributeError:
            return True

    def _is_told(self, frame: FrameType | None) -> bool:
        for _ in range(_TOLD_CALLERS if self._told else 0):
            if frame is None:
                return False
            if id(frame.f_code) in self._told:  # type: ignore[operator]
                return True
            frame = frame.f_back
        return False

    def __get__(self, instance: object, kind: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def _quietly(self, function: Any, *arguments: Any, **keywords: Any) -> Any:
        try:
            return function(*arguments, **keywords)
        except Exception:
            return None


def observed(
    function: Callable[..., Any],
    begin: Callable[..., Any],
    end: Callable[[Any, Any, Any], Any],
    **more: Any,
) -> Any:
    """``function``, with ``begin`` before and ``end`` after each call."""
    made = getattr(extension_for_reading(), "Observed", _Observed)
    return made(function, begin, end, **more)
