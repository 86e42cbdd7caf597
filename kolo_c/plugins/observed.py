"""Functions of drivers that give no frames, watched from outside.

    method = observed(Cursor.execute, begin, end)

``begin`` gets the call's arguments and gives a token; where that is None the function
runs and no more. ``end`` gets the token, the result and the exception, one of them
None. With ``instead`` the token is (arguments, keywords), and that function is called
with them.
What they raise is dropped. In C, where there is the extension: no frame of ours stands
between the function and its caller then, in tracebacks and in what warnings name.

Threads: any. Owns: nothing. Fails: as the function does.
"""

from __future__ import annotations

from types import MethodType

from kolo_c.extension import extension_for_reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Observed:
    """The same in Python, as src/observed_object.c has it."""

    def __init__(
        self,
        function: Callable[..., Any],
        begin: Callable[..., Any],
        end: Callable[..., Any],
        *,
        instead: Callable[..., Any] | None,
    ) -> None:
        self.__wrapped__ = function
        self._begin = begin
        self._end = end
        self._instead = instead

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
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
    *,
    instead: Callable[..., Any] | None = None,
) -> Any:
    """``function``, with ``begin`` before and ``end`` after each call."""
    made = getattr(extension_for_reading(), "Observed", _Observed)
    return made(function, begin, end, instead=instead)
