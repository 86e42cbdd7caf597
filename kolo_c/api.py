"""``kolo_c.trace``: record a part of a program from within it.

    with kolo_c.trace("import"):          # a context manager
        ...

    @kolo_c.trace                         # a decorator, of coroutines as well
    def work(): ...

    recording = kolo_c.trace("import")    # or by hand
    recording.start()
    summary = recording.stop()

Where nothing is recorded yet, each is a session with a trace of its own. Within a
session it joins as a region of the trace that is running; with ``boundary=True`` it is
a trace of its own, child of the process's.

Threads: any; one ``Trace`` object is for one block of code at a time, a decorated
function for any number. Owns: the session that it started, until it ends.
Fails: ``start`` raises KoloError. A ``with`` block or a decorated function runs on
unrecorded instead, and a RuntimeWarning says why.
"""

from __future__ import annotations

import atexit
import os
import sys

from kolo_c.errors import KoloError
from kolo_c.scope import PAUSED, SCOPE, active_session
from kolo_c.switch import is_off

# What starts a session is imported when one starts: a program that only imports us, or
# marks what it may record one day, pays nothing for it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, TypeVar, overload

    from kolo_c.session import Session
    from kolo_c.summary import Summary

    _Function = TypeVar("_Function", bound=Callable[..., Any])
else:

    def overload(function: object) -> object:
        """Nothing, at run time; typing costs 4 ms."""
        return function


@overload
def trace(name: _Function) -> _Function: ...
@overload
def trace(  # noqa: F811 - an overload
    name: str | None = None, *, boundary: bool = False, **config: Any
) -> Trace: ...
def trace(  # noqa: F811
    name: str | Callable[..., Any] | None = None,
    *,
    boundary: bool = False,
    **config: Any,
) -> Any:
    """Record what runs in a block, in a function, or between ``start`` and ``stop``.

    ``name`` is what lists call it. With ``boundary`` it is a trace of its own within a
    session too. ``config`` are settings for this session (``locals="all"``); within a
    session that runs already its own settings hold, but a boundary may have filters
    of its own (``include_frames``, ``ignore_frames``).
    """
    if name is None or isinstance(name, str):
        return Trace(name, boundary, config)
    return Trace(None, boundary, config)(name)


class Trace:
    """One recording; made by ``kolo_c.trace``."""

    def __init__(
        self, name: str | None, boundary: bool, config: dict[str, Any]
    ) -> None:
        self.name = name
        self.boundary = boundary
        self.config = config
        self.summary: Summary | None = None
        """What was recorded, once it has stopped; None where it joined a session."""
        self._part: _Part | None = None
        self._trace_id: str | None = None

    @property
    def trace_id(self) -> str | None:
        """The id of the trace that is or was recorded; None where it is a region."""
        return self._part.trace_id if self._part is not None else self._trace_id

    def start(self) -> Trace:
        """Begin. Raises KoloError where nothing can be recorded, or it has begun."""
        if self._part is not None:
            raise KoloError(
                "this trace has been started already",
                "Make another one: kolo_c.trace().",
                slug="trace-started",
            )
        self._part = _Part(self._name(), self.boundary, self.config)
        try:
            self._part.begin()
        except BaseException:
            self._part = None
            raise
        return self

    def stop(self, exception: BaseException | None = None) -> Summary | None:
        """End; what was recorded, or None where this was a part of a session."""
        part, self._part = self._part, None
        if part is not None:
            self._trace_id = part.trace_id
            self.summary = part.end(exception)
        return self.summary

    def __enter__(self) -> Trace:
        try:
            return self.start()
        except KoloError as error:
            if error.name == "trace-started":
                raise
            _warn(error, stacklevel=2)
            return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop(error)

    def __call__(self, function: _Function) -> _Function:
        """Record every call of ``function``."""
        from kolo_c.decorate import decorate  # noqa: PLC0415 - inspect costs 8 ms

        name = self.name or getattr(function, "__qualname__", "") or repr(function)
        return decorate(  # type: ignore[no-any-return]
            function, lambda: _QuietPart(name, self.boundary, self.config)
        )

    def _name(self) -> str:
        return (
            self.name or os.path.basename(sys.argv[0] if sys.argv else "") or "python"
        )


class _Part:
    """A piece of the program's life: a session of its own, a boundary, or regions."""

    def __init__(self, name: str, boundary: bool, config: dict[str, Any]) -> None:
        self._name = name
        self._boundary = boundary
        self._config = config
        self._own: Session | None = None
        self._joined: Session | None = None
        self._number = 0
        self._child_id: str | None = None
        self._region = 0
        self._token: Any = None

    @property
    def trace_id(self) -> str | None:
        return self._own.trace_id if self._own is not None else self._child_id

    def begin(self) -> None:
        """Begin the piece, and its first step."""
        self.open()
        self.enter()

    def end(self, exception: BaseException | None) -> Summary | None:
        """End the step and the piece."""
        self.leave(exception)
        return self.close(exception)

    def open(self) -> bool:
        """Find the session to join, or start one; True.

        Neither within a pause, nor where KOLO_C=0 switches recording off.
        """
        if SCOPE.get() == PAUSED:
            return True
        self._joined = active_session()
        if self._joined is None and is_off():
            return True
        if self._joined is None:
            self._own = _start_session(self._name, self._config)
            atexit.register(self._end_with_the_process)
        elif self._boundary:
            self._number, self._child_id = self._joined.begin_boundary(
                self._name, "region", self._config
            )
        return True

    def enter(self) -> None:
        """A step of it begins: a region, or the scope of the boundary."""
        if self._joined is None or active_session() is not self._joined:
            return  # our own session needs no region; one that has ended has none
        if self._boundary:
            self._token = SCOPE.set(self._number)
        else:
            self._region = self._joined.region_begin(self._name)

    def leave(self, exception: BaseException | None) -> None:
        """A step of it ends."""
        if self._token is not None:
            token, self._token = self._token, None
            try:
                SCOPE.reset(token)
            except ValueError:
                pass  # it ended in another context than it began in
        if self._region and self._joined is not None:
            region, self._region = self._region, 0
            if active_session() is self._joined:
                self._joined.region_end(region, exception)

    def close(self, exception: BaseException | None) -> Summary | None:
        """End the session or the boundary that ``open`` began."""
        own, self._own = self._own, None
        if own is not None:
            atexit.unregister(self._end_with_the_process)
            return own.stop("exit" if exception is None else "exception", exception)
        joined, self._joined = self._joined, None
        if joined is not None and self._number and active_session() is joined:
            cause = "exit" if exception is None else "exception"
            if exception is not None:
                joined.ended_by(exception, self._number)
            joined.end_boundary(self._number, cause)
        return None

    def _end_with_the_process(self) -> None:
        self.end(None)


class _QuietPart(_Part):
    """A part of a function's that was decorated: it runs unrecorded if it must."""

    def open(self) -> bool:
        try:
            return super().open()
        except KoloError as error:
            _warn(error, stacklevel=4)
            return False


def _start_session(name: str, config: dict[str, Any]) -> Session:
    from pathlib import Path  # noqa: PLC0415 - late, see above

    from kolo_c.config import load  # noqa: PLC0415
    from kolo_c.lenient import lenient_filter  # noqa: PLC0415
    from kolo_c.project import find_project  # noqa: PLC0415
    from kolo_c.session import Session  # noqa: PLC0415

    main_file = getattr(sys.modules.get("__main__"), "__file__", None)
    project = find_project(Path(main_file).parent if main_file else None)
    loaded = load(project.root, arguments=config)
    problems = [f"{problem}; the default holds" for problem in loaded.problems]
    chosen = lenient_filter(loaded, project, problems)
    session = Session(
        chosen.config, project, chosen, name=name, argv=sys.argv, problems=problems
    )
    session.start()
    return session


def _warn(error: KoloError, stacklevel: int) -> None:
    import warnings  # noqa: PLC0415 - rarely needed

    warnings.warn(
        f"kolo_c records nothing here: {error}", RuntimeWarning, stacklevel + 1
    )
