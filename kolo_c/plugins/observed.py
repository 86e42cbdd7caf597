"""Functions of drivers that give no frames, watched from outside.

    method = observed(Cursor.execute, begin, end)

``begin`` gets the call's arguments and gives a token; where that is None the function
runs and no more. ``end`` gets the token, the result and the exception, one of them
None. With ``instead`` the token is (arguments, keywords), and that function is called
with them. With ``told`` and ``slot`` none of this happens where the code of a caller is
in the one, by address, or the first argument has nothing, or None, in the other. With
``fetches`` what a cursor has in its slot may be Fetched: that counts the rows. With
``makes`` (classes, keyword, class, most) an object of the class is made that is given
under the keyword, or else of this one: ``begin`` is called for one whose address is not
in ``classes``, which has what is made instead, and where there are more positional
arguments than ``most``.
What they raise is dropped. In C, where there is the extension: no frame of ours stands
between the function and its caller then, in tracebacks and in what warnings name.

Threads: any. Owns: nothing. Fails: as the function does.
"""

from __future__ import annotations

import sys
from time import perf_counter_ns
from types import MethodType

from kolo_c.extension import extension_for_reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

_TOLD_CALLERS = 12
ONE, SOME, ALL = 1, 2, 3
"""How many rows a function that fetches gives: one or None; a list; all in a list."""


class _Fetched:
    """What a cursor has fetched of a statement; as src/fetched_object.c has it."""

    __slots__ = (
        "bytes", "columns", "cursor", "fetch_ns", "fetching", "hidden", "number",
        "quiet", "rows", "said", "sampled", "scope", "text", "told",
    )  # fmt: skip

    def __init__(
        self, number: int, scope: int, text: Any, columns: Any, hidden: Any
    ) -> None:
        self.number = number
        self.scope = scope
        """Where it was sent."""
        self.text = text
        self.columns = columns
        self.hidden = hidden
        """Which of the columns are secret."""
        self.said: dict[str, Any] | None = None
        """The first rows, of drivers whose fetches are recorded together."""
        self.cursor: Any = None
        self.rows = 0
        """-1: there are no more."""
        self.fetch_ns = 0
        self.sampled = 0
        self.bytes = 0
        self.fetching = False
        self.quiet = False
        """Its rows are counted, and no more: look_at() is not called."""
        self.told = False

    if TYPE_CHECKING:

        def look_at(self, rows: Any, cursor: Any) -> None: ...
        def flush(self) -> None: ...


if TYPE_CHECKING:
    Fetched = _Fetched
else:
    Fetched = getattr(extension_for_reading(), "Fetched", _Fetched)


class _Observed:
    """The same in Python, as src/observed_object.c has it."""

    def __init__(
        self,
        function: Callable[..., Any],
        begin: Callable[..., Any],
        end: Callable[..., Any] | None,
        *,
        instead: Callable[..., Any] | None = None,
        told: dict[int, Any] | None = None,
        slot: str = "",
        fetches: int = 0,
        makes: tuple[dict[int, type], str, type | None, int] | None = None,
    ) -> None:
        self.__wrapped__ = function
        self._begin = begin
        self._end = end
        self._instead = instead
        self._told = told
        self._slot = slot
        self._fetches = fetches
        self._makes = makes

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        token = None
        if self._slot and arguments:
            held = self._held(arguments[0])
            if held is None:
                return self.__wrapped__(*arguments, **keywords)
            if self._fetches and isinstance(held, _Fetched):
                return self._fetch(held, *arguments, **keywords)
        if not self._is_told(sys._getframe(1)):
            token = self._make(arguments, keywords)
            if token is None:
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

    def _held(self, owner: object) -> Any:
        try:
            return object.__getattribute__(owner, self._slot)
        except AttributeError:
            return None

    def _fetch(
        self, fetched: _Fetched, cursor: Any, *arguments: Any, **keywords: Any
    ) -> Any:
        result = None
        wanted = arguments[0] if arguments and type(arguments[0]) is int else -1
        began_ns = perf_counter_ns()
        try:
            result = self.__wrapped__(cursor, *arguments, **keywords)
            return result
        finally:
            fetched.fetch_ns += perf_counter_ns() - began_ns
            rows: Any = result if isinstance(result, list) else ()
            if self._fetches == ONE:
                rows = () if result is None else (result,)
            fetched.rows += len(rows)
            if rows and not fetched.quiet:
                self._quietly(fetched.look_at, rows, cursor)
            if not rows or self._fetches == ALL or len(rows) < wanted:
                self._quietly(self._flush, cursor)

    def _flush(self, cursor: Any) -> None:
        """There are no more rows."""
        held = self._held(cursor)
        if held is not None:
            object.__setattr__(cursor, self._slot, None)
            held.flush()

    def _make(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """The token of a call that makes an object of a class of ours."""
        if self._makes is None:
            return None
        classes, keyword, base, most = self._makes
        ours = classes.get(id(keywords.get(keyword, base)))
        if ours is None or len(arguments) > most:
            return None
        return arguments, {**keywords, keyword: ours}

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
            return None if function is None else function(*arguments, **keywords)
        except Exception:
            return None


def observed(
    function: Callable[..., Any],
    begin: Callable[..., Any],
    end: Callable[[Any, Any, Any], Any] | None,
    **more: Any,
) -> Any:
    """``function``, with ``begin`` before and ``end`` after each call."""
    made = getattr(extension_for_reading(), "Observed", _Observed)
    return made(function, begin, end, **more)
