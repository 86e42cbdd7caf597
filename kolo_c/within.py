"""What a program says of its own recording: ``current``, ``pause``, ``skip``, ``note``,
``set_filters``.

    import kolo_c

    kolo_c.current().name = "import of orders"
    kolo_c.current().set(customer=42, source="mail")

    with kolo_c.pause():                  # nothing is recorded here
        ...

    @kolo_c.skip                          # calls of it never are
    def spin(): ...

    kolo_c.note("cache is cold", size=0)

All of it may stay in a program that is not recorded: then it does nothing, and costs
a microsecond at most.

Threads: any. Owns: nothing.
Fails: never, but ``skip`` raises TypeError for what has no code, and ``set_filters``
for patterns that are none.
"""

from __future__ import annotations

from kolo_c.scope import PAUSED, SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, TypeVar, overload

    from kolo_c.facts import TraceFacts
    from kolo_c.plain import Scalar
    from kolo_c.session import Session

    _Function = TypeVar("_Function", bound=Callable[..., Any])
else:

    def overload(function: object) -> object:
        """Nothing, at run time; typing costs 4 ms."""
        return function


def set_filters(**settings: Any) -> bool:
    """From now on this process records by other filters; False where none is recorded.

    ``include_frames`` and ``ignore_frames`` are lists of patterns, as in the settings;
    what is not given stays. Calls that run end as they have begun. Boundaries with
    filters of their own keep them.

    >>> import kolo_c
    >>> kolo_c.set_filters(ignore_frames=["module:shop.prices"])
    False

    Raises KoloError for what is no list of patterns, TypeError for another setting.
    """
    unknown = settings.keys() - {"include_frames", "ignore_frames"}
    if unknown:
        raise TypeError(f"set_filters() has no {', '.join(sorted(unknown))}")
    session = SCOPE.session
    if session is None:
        return False
    session.set_filters(settings)
    return True


class CurrentTrace:
    """The trace that the code which asked belongs to; made by ``kolo_c.current``.

    Outside every trace it is false, its ``id`` is None, and what is done to it is
    forgotten:

    >>> import kolo_c
    >>> trace = kolo_c.current()
    >>> bool(trace), trace.id, trace.set(customer=42)
    (False, None, False)
    """

    __slots__ = ("_facts", "_number", "_session")

    def __init__(
        self, session: Session | None, number: int, facts: TraceFacts | None
    ) -> None:
        self._session = session
        self._number = number
        self._facts = facts

    @property
    def id(self) -> str | None:
        """``trc_`` and 26 characters, as ``kolo-c list`` shows it; None: no trace."""
        return self._facts.id if self._facts is not None else None

    @property
    def name(self) -> str | None:
        """What lists call the trace; None: no trace.

        Set it to call it otherwise, also after the program's death: at most 250
        characters are kept, and secrets of known shapes are masked.
        """
        return self._facts.name if self._facts is not None else None

    @name.setter
    def name(self, name: str) -> None:
        if self._session is not None and self._facts is not None:
            try:
                self._session.traces.rename(self._number, self._facts, name)
            except Exception:
                pass  # the program goes on, whatever it is

    @property
    def attributes(self) -> dict[str, Scalar]:
        """What has been set so far, as it is stored: a copy."""
        if self._facts is None:
            return {}
        from kolo_c.facts import OWN  # noqa: PLC0415 - imported with the session

        given = self._facts.attributes
        return {name: given[name] for name in given if not name.startswith(OWN)}

    def set(self, /, **attributes: object) -> bool:
        """Add attributes, to find the trace by: ``kolo-c list --where KEY=VALUE``.

        Str, int, float, bool and None are kept as they are, dates, decimals, UUIDs,
        paths and members of an Enum as their text, the rest as the name of its class:
        no ``__str__`` or ``__repr__`` of the program runs. A text is cut at 1,000
        characters. Values under secret names are masked, as everywhere.

        True where they are kept, which outlasts a kill of the program from then on
        (after 256 KiB of changes at once, the last second's may not). False outside
        every trace, after its end, where all attributes together would take more than
        12,000 bytes, and where a name begins with ``kolo_c.``: then none is added.
        """
        if self._session is None or self._facts is None:
            return False
        try:
            return self._session.traces.set(self._number, self._facts, attributes)
        except Exception:  # the program goes on, whatever it is
            return False

    def __bool__(self) -> bool:
        return self._facts is not None

    def __repr__(self) -> str:
        if self._facts is None:
            return "<no trace>"
        return f"<trace {self._facts.id} {self._facts.name!r}>"


_NO_TRACE = CurrentTrace(None, 0, None)


def current() -> CurrentTrace:
    """The trace that the calling code belongs to: the process's, or a boundary's.

    Never None: outside every trace, and within a pause, it is an object that is false
    and does nothing.
    """
    session = SCOPE.session
    found = session.traces.current() if session is not None else None
    return _NO_TRACE if found is None else CurrentTrace(session, *found)


class Pause:
    """A stretch of the program that is not recorded; made by ``kolo_c.pause``."""

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens: list[Any] = []

    def __enter__(self) -> None:
        self._tokens.append(SCOPE.set(PAUSED))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for token in reversed(self._tokens):
            try:
                SCOPE.reset(token)
            except ValueError:
                continue  # of another thread or task that uses this object as well
            self._tokens.remove(token)
            return

    def __call__(self, function: _Function) -> _Function:
        """Pause whenever ``function`` runs, and in all that it calls."""
        from kolo_c.decorate import decorate  # noqa: PLC0415 - inspect costs 8 ms

        return decorate(function, _PausePart)  # type: ignore[no-any-return]


class _PausePart(Pause):
    """A pause for one call of a decorated function."""

    __slots__ = ()

    def open(self) -> bool:
        return True

    def enter(self) -> None:
        self.__enter__()

    def leave(self, exception: BaseException | None) -> None:
        self.__exit__(None, None, None)

    def close(self, exception: BaseException | None) -> None:
        pass


@overload
def pause(function: _Function) -> _Function: ...
@overload
def pause() -> Pause: ...  # noqa: F811 - an overload
def pause(function: Callable[..., Any] | None = None) -> Any:  # noqa: F811
    """Record nothing in this block, or whenever the decorated function runs.

    It holds for the running context: this thread and, under asyncio, this task, across
    its awaits, with the tasks created in it; other threads and tasks go on. Pauses may
    be nested. Calls that were entered before are recorded to their end. In a pause
    ``current`` is false, ``note`` does nothing, and ``trace`` records nothing.

    >>> import kolo_c
    >>> with kolo_c.pause():
    ...     kolo_c.note("not written")
    False
    """
    return Pause() if function is None else Pause()(function)


def skip(function: _Function) -> _Function:
    """Never record the calls of ``function``; what it calls is recorded.

    Takes a function, coroutine, generator, lambda or method, a ``staticmethod``,
    ``classmethod``, ``property`` or ``functools.partial``, and a class: then all
    functions in it. Of a decorated function the innermost is meant, by way of
    ``__wrapped__``. Gives back what it was given.

    Holds for this process from now on, whether or not it is being recorded. Raises
    TypeError for what can have no calls.
    """
    from kolo_c.skipping import skip_all  # noqa: PLC0415 - rarely needed

    skip_all(function, SCOPE.session)
    return function


def note(text: str, /, **values: object) -> bool:
    """Leave a note in the trace, where the program stands now, with values.

    Values are recorded as arguments of calls are. True where it was written; False
    outside every trace, within a pause, or where there was no room. Never raises.

    >>> import kolo_c
    >>> kolo_c.note("cache is cold", size=0)
    False
    """
    session = SCOPE.session
    if session is None:
        return False
    try:
        if type(text) is not str:
            from kolo_c.plain import plain_text  # noqa: PLC0415 - rarely needed

            text = plain_text(text)
        return session.note(text, values)
    except Exception:  # the program goes on, whatever it is
        return False
