"""Functions of drivers that are watched from outside: in C, and the same in Python."""

from __future__ import annotations

from typing import Any

import pytest

from kolo_c.extension import extension_for_reading
from kolo_c.plugins.observed import _Observed

extension = extension_for_reading()
MADE = [_Observed] if extension is None else [_Observed, extension.Observed]


@pytest.fixture(params=MADE, ids=lambda made: made.__module__.rpartition(".")[2])
def observed(request: pytest.FixtureRequest) -> Any:
    return request.param


class Cursor:
    __slots__ = ("held",)


def recorded(observed: Any, **more: Any) -> tuple[Any, list[Any]]:
    """A watched function, and what is told of its calls."""
    told: list[Any] = []

    def begin(*arguments: Any) -> Any:
        told.append(arguments)
        return arguments

    def end(token: Any, result: Any, exception: Any) -> None:
        told.append((token, result, exception))

    return observed(lambda *arguments: len(arguments), begin, end, **more), told


def test_begin_gets_the_arguments_and_end_the_result(observed: Any) -> None:
    function, told = recorded(observed)
    assert function(1, 2) == 2
    assert told == [(1, 2), ((1, 2), 2, None)]


def test_what_runs_below_a_function_that_tells_is_not_asked_about(
    observed: Any,
) -> None:
    codes: dict[int, Any] = {}
    function, told = recorded(observed, told=codes)

    def outer() -> Any:
        return between()

    def between() -> Any:
        return function(1)

    assert outer() == 1
    assert len(told) == 2
    codes[id(outer.__code__)] = "a layer"
    assert outer() == 1
    assert len(told) == 2
    assert between() == 1
    assert len(told) == 4


def test_an_owner_with_nothing_in_its_slot_is_not_asked_about(observed: Any) -> None:
    function, told = recorded(observed, slot="held")
    cursor = Cursor()
    assert function(cursor) == 1
    cursor.held = None
    assert function(cursor) == 1
    assert not told
    cursor.held = "a statement"
    assert function(cursor) == 1
    assert len(told) == 2


def test_a_slot_is_read_past_an_owners_own_getattr(observed: Any) -> None:
    class Loud(Cursor):
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(name)

    function, told = recorded(observed, slot="held")
    assert function(Loud()) == 1
    assert not told
