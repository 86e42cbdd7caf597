"""Named values that do not change."""

from __future__ import annotations

import pytest

from kolo_c.frozen import Frozen


class Point(Frozen):
    """A field may be called as the first parameter of a method."""

    x: int
    self: int = 0
    place: str = ""
    _aside = ("place",)


class Other(Frozen):
    x: int


def test_fields_are_given_in_order_or_by_name() -> None:
    assert Point(1, 2).as_dict() == {"x": 1, "self": 2, "place": ""}
    assert Point(x=1, self=2) == Point(1, 2)
    assert Point(1).self == 0


@pytest.mark.parametrize(
    ("values", "named", "message"),
    [
        ((), {}, "Point lacks x"),
        ((1, 2, "a", 4), {}, "Point takes x, self, place"),
        ((1,), {"x": 2}, "Point takes"),
        ((1,), {"y": 2}, "Point takes"),
        ((), {"_aside": ()}, "Point takes"),
    ],
)
def test_wrong_arguments_are_refused(values, named, message) -> None:
    with pytest.raises(TypeError, match=message):
        Point(*values, **named)


def test_nothing_changes() -> None:
    point = Point(1)
    with pytest.raises(AttributeError):
        point.x = 2
    with pytest.raises(AttributeError):
        point.new = 2
    with pytest.raises(AttributeError):
        del point.x
    assert point.with_(x=3, self=4) == Point(3, 4)
    assert point == Point(1)


def test_the_same_values_are_equal_and_have_one_hash() -> None:
    assert Point(1, place="a") == Point(1, place="b")
    assert hash(Point(1, place="a")) == hash(Point(1, place="b"))
    assert Point(1) != Point(2)
    assert Other(1) != Point(1)
    assert Point(1) != 1


def test_its_text_has_every_field() -> None:
    assert repr(Point(1, place="here")) == "Point(x=1, self=0, place='here')"
