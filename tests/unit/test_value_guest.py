"""The value encoder as a guest: nothing of the program runs unless it was asked for."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import enum
import functools
import gc
import os
import pathlib
import sys
import types
import uuid
import zoneinfo
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kolo_c.wire import Tag
from tests.unit.build_encode import load
from tests.unit.value_model import decode, encode_one, encoder, type_number


@pytest.fixture(autouse=True)
def fresh() -> None:
    """No name is secret here."""
    encoder.reset((), ())


@pytest.fixture(scope="module")
def counting() -> Iterator[ModuleType]:
    """The encoder as a debug build has it: it counts the frames that run."""
    module = load(debug=True)
    module.reset(("secret",), ())
    yield module


class Usual:
    def __init__(self) -> None:
        self.b, self.a, self._hidden = 1, [2], None


class Slotted:
    __slots__ = ("x",)

    def __init__(self) -> None:
        self.x = 1


class Colour(enum.Enum):
    RED = 1
    PAIR = ("a", 2)


class Level(enum.IntEnum):
    LOW = -5


Point = collections.namedtuple("Point", "x y")


class Numbers(list[int]):
    pass


class Text(str):
    pass


def values_of_every_kind() -> tuple[Any, ...]:
    """Nothing hostile."""
    return (
        Usual(), Slotted(), Colour.RED, Level.LOW, Point(1, 2), ValueError("x"), 1j,
        uuid.uuid4(), pathlib.Path("a/b"), decimal.Decimal(1), collections.Counter("a"),
        datetime.datetime.now(zoneinfo.ZoneInfo("UTC")), Text("é"), Numbers([1]), len,
        functools.partial(print), functools.lru_cache(make_hostile), range(3), os, int,
        {Colour.RED: 1, Point(1, 2): 2, "k": {3}, "secret": "hunter22"}, 10**50, "é",
        bytearray(5), memoryview(b"x"), os.terminal_size((1, 2)), array.array("i", [1]),
        datetime.timedelta(1), object(), make_hostile, [].append, Usual().__init__,
    )  # fmt: skip


# ---- nothing of the program runs ----


def make_hostile() -> Any:
    def attack(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("called")

    names = (
        "__repr__ __str__ __len__ __iter__ __getattribute__ __getattr__ __eq__ __hash__"
        " __bool__ __call__ __format__ __dir__ __contains__ __getitem__ __index__"
        " __int__ __float__ __bytes__ __fspath__ __reduce__ __reduce_ex__ __sizeof__"
        " __buffer__ __next__ __aiter__ __await__ __enter__ __exit__ __get__"
    ).split()
    return dict.fromkeys(names, attack)


HOSTILE = make_hostile()
BASES = [
    object, int, str, float, bytes, bytearray, list, tuple, dict, set, frozenset,
    complex, Exception, datetime.datetime, datetime.timedelta, decimal.Decimal,
    uuid.UUID, pathlib.PurePosixPath, Point, collections.OrderedDict, types.ModuleType,
    array.array, type,
]  # fmt: skip
ARGUMENTS: dict[type, tuple[Any, ...]] = {
    datetime.datetime: (2026, 1, 1),
    uuid.UUID: ("12345678123456781234567812345678",),
    Point: (1, 2),
    list: ([1],),
    types.ModuleType: ("name",),
    array.array: ("i",),
    type: ("Made", (), {}),
}


def frames_run_by(values: tuple[Any, ...], **how: Any) -> list[str]:
    """Names of the Python functions that ran while `values` were encoded."""
    seen: list[str] = []

    def note(frame: types.FrameType, event: str, arg: Any) -> None:
        if event == "call":
            seen.append(frame.f_code.co_name)

    gc.disable()  # whoever watches collections runs Python then
    sys.setprofile(note)
    try:
        encoder.encode(values, **how)
        encoder.encode(values, how="ref", **how)
        encoder.encode(values, how="secret", **how)
    finally:
        sys.setprofile(None)
        gc.enable()
    return seen


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.__name__)
def test_no_special_method_of_a_hostile_class_runs(base: type) -> None:
    cls = type("Hostile", (base,), {"__class__": property(HOSTILE["__repr__"])})
    value = cls(*ARGUMENTS.get(base, ()))
    for name, method in HOSTILE.items():
        setattr(cls, name, method)
    pair = (value, 1)
    assert frames_run_by((value, [value], pair)) == []
    written = decode(encoder.encode((value,)))
    assert len(written) == 1


def test_a_hostile_metaclass_does_not_run() -> None:
    meta = type("Meta", (type,), dict(HOSTILE))
    cls = type.__call__(meta, "Made", (), {"__slots__": ("x",)})
    value = object.__new__(cls)
    assert frames_run_by((cls, value, [cls, value])) == []
    assert encode_one(cls)[0] is Tag.CLASS


def test_classes_that_pretend_to_be_library_classes_are_read_as_what_they_are() -> None:
    lies = [
        type("decimal.Decimal", (), {"x": 1}),
        type("numpy.ndarray", (), {}),
        type("numpy.int64", (), {}),
        type("array.array", (), {}),
        type("datetime.datetime", (), {}),
        type("UUID", (), {"__module__": "uuid", "__slots__": ("int",)}),
        type("PurePath", (), {"__module__": "pathlib", "__slots__": ("_str",)}),
    ]
    for cls in lies:
        value: Any = cls()
        assert encode_one(value)[0] is Tag.OBJECT
    fake = lies[5]()
    fake.int = -1
    assert encode_one(fake)[0] is Tag.OBJECT
    fake.int = 2**128
    assert encode_one(fake)[0] is Tag.OBJECT
    fake = lies[6]()
    fake._str = ["no text"]
    assert encode_one(fake)[0] is Tag.OBJECT


def test_ordinary_values_run_no_frame(counting: ModuleType) -> None:
    values = values_of_every_kind()
    assert frames_run_by(values) == []
    for how in ("value", "ref", "secret"):
        counting.encode(values, how=how)
    assert counting.counters()[3] == 0


def test_a_debug_build_counts_the_frames_that_run(counting: ModuleType) -> None:
    class Speaking:
        def __repr__(self) -> str:
            return str(len("".join(map(self.twice, "abc"))))

        def twice(self, text: str) -> str:
            return text * 2

    before = counting.counters()[3]
    counting.encode(([Speaking(), 1], "text"), repr=True)
    assert counting.counters()[3] - before == 4


@pytest.mark.skipif(
    not hasattr(sys, "gettotalrefcount"), reason="only debug builds of Python count"
)
def test_the_total_of_references_is_steady() -> None:
    values = values_of_every_kind()
    ways: list[dict[str, Any]] = [
        {}, {"how": "ref"}, {"how": "secret"}, {"room": 50}, {"repr": True},
        {"repr": True, "record_bytes": 300},
    ]  # fmt: skip
    for way in ways:
        for _ in range(5):
            encoder.encode(values, **way)
        before = sys.gettotalrefcount()  # type: ignore[attr-defined]
        for _ in range(200):
            encoder.encode(values, **way)
        grown = sys.gettotalrefcount() - before  # type: ignore[attr-defined]
        assert grown < 100, way


# ---- the program's own __repr__, asked for ----


class Speaking:
    def __repr__(self) -> str:
        return "<I am é>"


def test_repr_is_called_only_when_asked_for() -> None:
    value = Speaking()
    assert encode_one(value)[0] is Tag.OBJECT
    got = encode_one(value, repr=True)
    assert got == (Tag.REPR, type_number(Speaking), id(value), "<I am é>")
    got = encode_one(value, repr=True, text_bytes=3)
    assert got[3] == "<I …"
    assert encode_one([1, {"a": 2}], repr=True) == [1, [("a", 2)]]


@pytest.mark.parametrize(
    "error", [ValueError, RecursionError, MemoryError, SystemExit, GeneratorExit]
)
def test_a_repr_that_raises_is_an_error_in_the_record_alone(error: Any) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise error

    before = encoder.counters()[2]
    assert encode_one(Broken(), repr=True)[0] is Tag.ERROR
    assert encoder.counters()[2] == before + 1


def test_an_interrupt_in_a_repr_reaches_the_program() -> None:
    class Interrupted:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_one(Interrupted(), repr=True)
        for _ in range(1000):
            pass


def test_a_repr_that_changes_the_containers_it_stands_in_does_no_harm() -> None:
    class Changing:
        def __repr__(self) -> str:
            items.clear()
            table.clear()
            members.clear()
            holder.__dict__.clear()
            return "changed"

    def build() -> None:
        items[:] = [Changing(), *map(str, range(20))]
        table.update({"first": Changing(), **{str(i): str(i) for i in range(20)}})
        members.update(range(5), [Changing()])
        holder.first = Changing()
        holder.second = "x" * 3

    items: list[Any] = []
    table: dict[str, Any] = {}
    members: set[Any] = set()
    holder: Any = types.SimpleNamespace()
    for value in (items, table, members, [holder]):
        build()
        values = decode(encoder.encode((value,), repr=True))
        assert len(values) == 1


def test_a_repr_that_recurses_ends() -> None:
    class Endless:
        def __repr__(self) -> str:
            return repr(self)

    assert encode_one(Endless(), repr=True)[0] is Tag.ERROR


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 300), st.integers(0, 3), st.integers(0, 40))
def test_objects_within_a_small_budget_stay_well_formed(
    record_bytes: int, depth: int, text_bytes: int
) -> None:
    values = values_of_every_kind()
    data = encoder.encode(
        values, record_bytes=record_bytes, depth=depth, text_bytes=text_bytes
    )
    assert len(data) <= record_bytes + 10 * len(values)
    assert len(decode(data)) == len(values)
