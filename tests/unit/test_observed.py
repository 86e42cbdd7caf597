"""Functions of drivers that are watched from outside: in C, and the same in Python."""

from __future__ import annotations

from typing import Any

import pytest

from kolo_c.extension import extension_for_reading
from kolo_c.plugins.observed import ALL, ONE, SOME, _Fetched, _Observed

extension = extension_for_reading()
MADE = [_Observed] if extension is None else [_Observed, extension.Observed]
FETCHED: dict[Any, Any] = {_Observed: _Fetched}
if extension is not None:
    FETCHED[extension.Observed] = extension.Fetched


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


# ---- rows ----


class Fetching:
    """A cursor that gives what it was given, and what is told of it."""

    def __init__(self, observed: Any, fetches: int, *given: Any) -> None:
        class Statement(FETCHED[observed]):  # type: ignore[misc]
            __slots__ = ()

            def look_at(self, rows: Any, cursor: Any) -> None:
                said.append((list(rows), cursor is self.cursor))
                if len(said) == 2:
                    self.quiet = True

            def flush(self) -> None:
                said.append((self.rows, self.fetch_ns > 0))

        def give(cursor: Cursor, *arguments: Any) -> Any:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        def handler(*arguments: Any) -> None:
            said.append(arguments)

        said: list[Any] = []
        answers = list(given)
        self.said = said
        self.cursor = Cursor()
        self.statement = self.cursor.held = Statement(7, 0, "text", None, frozenset())
        self.statement.cursor = self.cursor
        self.fetch = observed(give, handler, handler, slot="held", fetches=fetches)


def test_rows_are_looked_at_until_they_are_to_be_counted_alone(observed: Any) -> None:
    fetching = Fetching(observed, ONE, "a", "b", "c", None)
    assert [fetching.fetch(fetching.cursor) for _ in range(3)] == ["a", "b", "c"]
    assert fetching.said == [(["a"], True), (["b"], True)]
    assert fetching.statement.rows == 3
    assert fetching.fetch(fetching.cursor) is None
    assert fetching.said[2:] == [(3, True)]
    assert fetching.cursor.held is None


@pytest.mark.parametrize(
    ("fetches", "wanted", "given", "ends"),
    [
        (SOME, (3,), ["a", "b", "c"], False),
        (SOME, (3,), ["a", "b"], True),
        (SOME, (), ["a", "b"], False),
        (SOME, (True,), ["a"], False),
        (SOME, (), [], True),
        (SOME, (), None, True),
        (ALL, (), ["a", "b"], True),
        (ALL, (), ("a", "b"), True),
    ],
)
def test_there_are_no_more_rows_where_fewer_came_than_were_wanted(
    observed: Any, fetches: int, wanted: tuple[Any, ...], given: Any, ends: bool
) -> None:
    fetching = Fetching(observed, fetches, given)
    assert fetching.fetch(fetching.cursor, *wanted) is given
    assert (fetching.cursor.held is None) is ends
    rows = given if isinstance(given, list) else []
    assert fetching.statement.rows == len(rows)
    told = [(rows, True)] if rows else []
    assert fetching.said == [*told, (len(rows), True)] if ends else told


def test_a_fetch_that_fails_is_the_last_one(observed: Any) -> None:
    fetching = Fetching(observed, ONE, "a", KeyError("b"))
    fetching.fetch(fetching.cursor)
    with pytest.raises(KeyError, match="b"):
        fetching.fetch(fetching.cursor)
    assert fetching.said == [(["a"], True), (1, True)]
    assert fetching.cursor.held is None


def test_what_looks_at_rows_may_fail(observed: Any) -> None:
    class Broken(FETCHED[observed]):  # type: ignore[misc]
        __slots__ = ()

        def look_at(self, rows: Any, cursor: Any) -> None:
            raise KeyError("look_at")

        def flush(self) -> None:
            raise KeyError("flush")

    fetching = Fetching(observed, ALL, ["a"])
    broken = fetching.cursor.held = Broken(7, 0, "text", None, frozenset())
    assert fetching.fetch(fetching.cursor) == ["a"]
    assert (broken.rows, fetching.cursor.held) == (1, None)


def test_something_else_in_the_slot_is_for_begin(observed: Any) -> None:
    fetching = Fetching(observed, ONE, "a")
    fetching.cursor.held = "another"
    assert fetching.fetch(fetching.cursor) == "a"
    assert fetching.said == [(fetching.cursor,)]


def test_a_statement_is_described_by_what_it_was_made_with(observed: Any) -> None:
    made = FETCHED[observed](7, 3, "text", ("a",), frozenset((0,)))
    assert (made.number, made.scope, made.text) == (7, 3, "text")
    assert (made.columns, made.hidden) == (("a",), frozenset((0,)))
    assert (made.said, made.cursor, made.rows, made.fetch_ns) == (None, None, 0, 0)
    assert (made.sampled, made.bytes) == (0, 0)
    assert (made.fetching, made.quiet, made.told) == (False, False, False)
    made.quiet, made.said, made.rows = True, {"rows_sample": []}, -1
    assert (made.quiet, made.said, made.rows) == (True, {"rows_sample": []}, -1)
    with pytest.raises(TypeError):
        FETCHED[observed](7)


# ---- what makes an object ----


class Base:
    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.given = arguments, keywords


class Ours(Base):
    pass


class Other(Base):
    pass


def making(observed: Any, default: Any) -> tuple[Any, list[Any], list[Any]]:
    """A function that makes objects, which calls begin() got, which tokens end()."""

    def make(*arguments: Any, factory: Any = Base, **keywords: Any) -> Any:
        return factory(*arguments, **keywords)

    def begin(*arguments: Any, **keywords: Any) -> None:
        begun.append((arguments, keywords))

    def end(token: Any, result: Any, exception: Any) -> None:
        ended.append((token, type(result)))

    begun: list[Any] = []
    ended: list[Any] = []
    makes = ({id(Base): Ours}, "factory", default, 2)
    return observed(make, begin, end, instead=make, makes=makes), begun, ended


def test_an_object_is_made_of_our_class_without_begin(observed: Any) -> None:
    make, begun, ended = making(observed, Base)
    made = make("a", 2, size=3)
    assert (type(made), made.given) == (Ours, (("a", 2), {"size": 3}))
    made = make(size=3, factory=Base)
    assert (type(made), made.given) == (Ours, ((), {"size": 3}))
    assert not begun
    assert ended == [
        ((("a", 2), {"size": 3, "factory": Ours}), Ours),
        (((), {"size": 3, "factory": Ours}), Ours),
    ]


def test_begin_is_for_other_classes_and_for_more_arguments(observed: Any) -> None:
    make, begun, ended = making(observed, Base)
    assert type(make(factory=Other)) is Other
    assert type(make(1, 2, 3)) is Base
    assert begun == [((), {"factory": Other}), ((1, 2, 3), {})]
    make, begun, ended = making(observed, None)
    assert type(make()) is Base
    assert begun == [((), {})]
    assert not ended


def test_what_a_call_is_given_stays_as_it_is(observed: Any) -> None:
    make, _, _ = making(observed, Base)
    keywords = {"factory": Base}
    make(**keywords)
    assert keywords == {"factory": Base}
    with pytest.raises(TypeError):
        make(**{"factory": 7})


def test_without_end_nothing_is_called_at_the_end(observed: Any) -> None:
    told: list[Any] = []
    function = observed(lambda one: one, lambda one: told.append(one) or one, None)
    assert function(7) == 7
    assert told == [7]
