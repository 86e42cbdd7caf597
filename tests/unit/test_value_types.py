"""The value encoder: library types, instances, and types that try to be clever."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import mmap
import os
import pathlib
import sys
import threading
import timeit
import typing
import uuid
import zoneinfo
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kolo_c.wire import Tag
from tests.unit.value_model import (
    decode,
    encode,
    encode_one,
    encoder,
    plain,
    type_number,
)


@pytest.fixture(autouse=True)
def fresh() -> None:
    """No name is secret here."""
    encoder.reset((), ())


def fields(value: Any, **how: Any) -> list[tuple[str, Any]]:
    """Names and values of an OBJECT, whose type and address are as they must be."""
    tag, number, address, *rest = encode_one(value, **how)
    assert (tag, number, address) == (Tag.OBJECT, type_number(type(value)), id(value))
    return list(zip(rest[::2], rest[1::2], strict=True))


def subclass(value: Any, inner: Any) -> tuple[Any, ...]:
    """What an instance of a subclass is written as."""
    return Tag.SUBCLASS, type_number(type(value)), id(value), inner


# ---- library types ----


class Timestamp(datetime.datetime):
    pass


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(1, 1, 1),
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999999, fold=1),
        datetime.datetime(2026, 5, 6, tzinfo=datetime.timezone.utc),
        datetime.datetime(
            2026, 5, 6, tzinfo=datetime.timezone(-datetime.timedelta(hours=3.5))
        ),
        datetime.date(2026, 5, 6),
        datetime.time(23, 59, 59, 999999, fold=1),
        datetime.timedelta(-999, 86399, 999999),
        uuid.UUID(int=0),
        uuid.UUID(int=2**128 - 1),
        uuid.uuid4(),
    ],
    ids=repr,
)
def test_a_library_value_is_its_fields(value: Any) -> None:
    assert encode_one(value) == plain(value)


def test_the_offset_of_a_zone_that_would_have_to_be_asked_is_unknown() -> None:
    class Zone(datetime.tzinfo):
        def utcoffset(self, when: Any) -> Any:
            raise AssertionError("called")

    class Named(zoneinfo.ZoneInfo):
        pass

    for zone in (Zone(), Named("UTC")):
        value = datetime.datetime(2026, 1, 2, 3, tzinfo=zone)
        assert encode_one(value)[-1] is None


@pytest.mark.parametrize("month, hours", [(1, 1), (7, 2)])
def test_a_zone_of_zoneinfo_has_its_offset_at_the_moment(
    month: int, hours: int
) -> None:
    """It was unknown, and 12:00 in Berlin read as 12:00 of nobody's: zoneinfo is made in
    C, and may be asked."""
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    value = datetime.datetime(2020, month, 1, 12, tzinfo=zone)
    assert encode_one(value) == (*plain(value)[:-1], hours * 3600)
    stamp = Timestamp(2020, month, 1, 12, tzinfo=zone)  # which may have an own `year`
    assert encode_one(stamp)[-1][-1] is None


def test_a_subclass_says_what_it_is_based_on() -> None:
    value = Timestamp(2026, 1, 2)
    assert encode_one(value) == subclass(value, plain(value))


@settings(max_examples=500, deadline=None)
@given(st.decimals() | st.decimals(places=9, allow_nan=False, allow_infinity=False))
def test_a_decimal_reads_as_str_does(value: decimal.Decimal) -> None:
    assert encode_one(value) == (Tag.DECIMAL, str(value))


@pytest.mark.parametrize(
    "text",
    "0 -0 0.00 0E+3 1E-6 1E-7 123.45 1E+1 -1.23E+99 NaN NaN123 -sNaN -Infinity"
    " 0.000001230 1E-999999 1.5E+999999 12345678901234567890.00000000012345678901"
    f" {'9' * 60} 0.{'1' * 60} 1{'0' * 40} 1.{'0' * 38}E-5".split(),
)
def test_every_form_of_a_decimal(text: str) -> None:
    value = decimal.Decimal(text)
    assert encode_one(value) == (Tag.DECIMAL, str(value))


def test_a_decimal_makes_no_context_for_its_thread() -> None:
    value = decimal.Decimal("1.5")
    before = len(list(__import__("contextvars").copy_context().items()))
    encode_one(value)
    assert len(list(__import__("contextvars").copy_context().items())) == before


PARTS = st.lists(st.sampled_from(["a", "b.c", ".", "..", "/", "//", "a//b/", "", "é"]))


@settings(max_examples=400, deadline=None)
@given(PARTS, st.booleans())
def test_a_path_reads_as_str_does(parts: list[str], asked: bool) -> None:
    value = pathlib.PurePosixPath(*parts)
    if asked:
        str(value)  # keeps its text
    got = encode_one(value)
    assert got == (Tag.PATH, type_number(type(value)), str(value))


def test_a_joined_path_reads_as_str_does() -> None:
    value = pathlib.Path("/usr") / "./lib//python" / "x.py"
    assert encode_one(value) == (Tag.PATH, type_number(type(value)), str(value))


def test_a_long_path_is_cut_and_says_so() -> None:
    value = pathlib.PurePosixPath("x" * 200)
    cut = (Tag.CUT_STR, "x" * 50, 200)
    assert encode_one(value, text_bytes=50) == subclass(value, cut)


class Colour(enum.Enum):
    RED = 1
    PAIR = ("a", 2)


class Level(enum.IntEnum):
    LOW = -5


class Name(str, enum.Enum):
    FIRST = "first"


class Flags(enum.Flag):
    A = 1
    B = 2


def test_a_member_of_an_enum_is_its_name_and_value() -> None:
    assert encode(Colour.RED, Colour.PAIR, Level.LOW, Name.FIRST) == [
        (Tag.ENUM, type_number(Colour), "RED", 1),
        (Tag.ENUM, type_number(Colour), "PAIR", (Tag.TUPLE, "a", 2)),
        (Tag.ENUM, type_number(Level), "LOW", -5),
        (Tag.ENUM, type_number(Name), "FIRST", "first"),
    ]
    tag, number, name, value = encode_one(Flags.A | Flags.B)
    assert (tag, number, value) == (Tag.ENUM, type_number(Flags), 3)
    assert name == (Flags.A | Flags.B).name or name == ""


Point = collections.namedtuple("Point", "x y")


class Typed(typing.NamedTuple):
    name: str
    size: int = 3


class Derived(Point):
    pass


def test_a_namedtuple_has_names() -> None:
    assert encode(Point(1, 2), Typed("a"), Derived(3, 4)) == [
        (Tag.NAMEDTUPLE, type_number(Point), "x", 1, "y", 2),
        (Tag.NAMEDTUPLE, type_number(Typed), "name", "a", "size", 3),
        (Tag.NAMEDTUPLE, type_number(Derived), "x", 3, "y", 4),
    ]
    got = encode_one(Point(1, 2), items=1)
    assert got == (Tag.CUT_ITEMS, Tag.NAMEDTUPLE, 2, type_number(Point), "x", 1)


def test_a_struct_sequence_has_names() -> None:
    value = os.terminal_size((80, 25))
    expected = (Tag.NAMEDTUPLE, type_number(type(value)), "columns", 80, "lines", 25)
    assert encode_one(value) == expected


class Numbers(list[int]):
    pass


class Pair(tuple[int, ...]):
    _fields = ("one",)  # not as many as it has items: no namedtuple


class Text(str):
    pass


class Whole(int):
    pass


class Real(float):
    pass


class Bag(set[int]):
    pass


class Blob(bytes):
    pass


@pytest.mark.parametrize(
    ("value", "inner"),
    [
        (Numbers([1, 2]), [1, 2]),
        (Text("é"), "é"),
        (Text("abc"), "abc"),
        (Whole(7), 7),
        (Whole(2**70), (Tag.BIGINT, (2**70).to_bytes(9, "little"))),
        (Real(1.5), 1.5),
        (Bag({1}), (Tag.SET, 1)),
        (Blob(b"xy"), b"xy"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_instance_of_a_subclass_is_its_base(value: Any, inner: Any) -> None:
    assert encode_one(value) == subclass(value, inner)


def test_fields_that_do_not_fit_a_tuple_are_not_used() -> None:
    assert encode_one(Pair((1, 2))) == (Tag.TUPLE, 1, 2)


def test_a_dict_of_another_class_has_type_address_and_length() -> None:
    values = [
        collections.defaultdict(list, a=1),
        collections.Counter("aab"),
        collections.OrderedDict(x=1, y=2),
    ]
    for value in values:
        flat = [part for pair in value.items() for part in pair]
        expected = (Tag.DICT, type_number(type(value)), id(value), len(value), *flat)
        assert encode_one(value) == expected
    tag, _, _, length, *rest = encode_one(values[2], items=1)
    assert (tag, length, rest) == (Tag.DICT, 2, ["x", 1])


@pytest.mark.skipif(sys.version_info < (3, 15), reason="frozendict is new in 3.15")
def test_a_frozendict_is_a_dict_of_another_class() -> None:
    value = eval("frozendict(a=1, b=[2])")
    expected = (Tag.DICT, type_number(type(value)), id(value), 2, "a", 1, "b", [2])
    assert encode_one(value) == expected


def test_an_exception_is_its_args() -> None:
    error = KeyError("a", 2)
    expected = (Tag.EXCEPTION, type_number(KeyError), id(error), (Tag.TUPLE, "a", 2))
    assert encode_one(error) == expected
    assert decode(encoder.encode((error,), how="exception")) == [expected]
    error.args = (error,)
    assert encode_one(error)[3] == (Tag.TUPLE, (Tag.CYCLE, 2))


class Worker:
    def run(self) -> None:
        pass

    @classmethod
    def make(cls) -> None:
        pass


def test_functions_classes_and_modules_are_names() -> None:
    here = __name__
    worker = Worker()
    functions = [fresh_function, worker.run, Worker.make, len, [].append, str.upper]
    functions += [dict.fromkeys, object.__init__]
    names = [f"{here}.fresh_function", f"{here}.Worker.run", f"{here}.Worker.make"]
    names += ["builtins.len", "list.append", "str.upper", "dict.fromkeys"]
    names += ["object.__init__"]
    assert encode(*functions) == [(Tag.FUNCTION, name) for name in names]
    assert encode(Worker, int, enum) == [
        (Tag.CLASS, type_number(Worker)),
        (Tag.CLASS, type_number(int)),
        (Tag.MODULE, "enum"),
    ]


def fresh_function() -> None:
    """One whose name is known."""


def test_a_buffer_is_its_length() -> None:
    numbers = array.array("i", [1, 2, 3])
    with mmap.mmap(-1, 4096) as memory:
        assert encode(numbers, memory) == [
            (Tag.VIEW, type_number(array.array), 3 * numbers.itemsize),
            (Tag.VIEW, type_number(mmap.mmap), 4096),
        ]
    assert encode_one(memory)[0] is Tag.REF  # closed


def test_what_belongs_to_the_interpreter_is_a_reference() -> None:
    def generate() -> Iterator[int]:
        yield 1

    generator = generate()
    values = [generator, generate.__code__, sys._getframe(), iter([1]), object()]
    values += [threading.Lock(), threading.RLock()]
    for value in values:
        assert encode_one(value) == (Tag.REF, type_number(type(value)), id(value))


def test_numpy_arrays_are_shape_and_dtype_and_scalars_their_value() -> None:
    numpy = pytest.importorskip("numpy")
    number = type_number
    for dtype in ("bool", "int8", "uint16", "int64", "uint64", "float32", "float64"):
        value = numpy.zeros((3, 4), dtype)
        got = encode_one(value)
        assert got == (Tag.NDARRAY, number(numpy.ndarray), [3, 4], dtype)
    assert encode_one(numpy.array(5))[2] == []
    assert encode_one(numpy.array(["ab"]))[3] == "str"
    assert encode_one(numpy.array([object()]))[3] == "object"
    scalars = [
        (numpy.int64(-5), -5),
        (numpy.uint8(200), 200),
        (numpy.uint64(2**64 - 1), 2**64 - 1),
        (numpy.float32(0.5), 0.5),
        (numpy.float64(0.25), 0.25),
        (numpy.bool_(True), True),
    ]
    for value, inner in scalars:
        assert encode_one(value) == subclass(value, inner)


# ---- instances ----


class Plain:
    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


class Usual:
    def __init__(self) -> None:
        self.b, self.a, self._hidden = 1, [2], None


class Slotted:
    __slots__ = ("x", "y")

    def __init__(self) -> None:
        self.y = 2


class Mixed(Slotted):
    __slots__ = ("__dict__", "__weakref__", "z")

    def __init__(self) -> None:
        super().__init__()
        self.x, self.z, self.more = 1, 3, 4


@dataclasses.dataclass
class Data:
    name: str
    items: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class SlottedData:
    name: str
    size: int


class Tagged(int):
    pass


def test_an_instance_is_its_fields_in_order() -> None:
    assert fields(Usual()) == [("b", 1), ("a", [2]), ("_hidden", None)]
    assert fields(Data("n", [1])) == [("name", "n"), ("items", [1])]
    assert fields(SlottedData("n", 2)) == [("name", "n"), ("size", 2)]
    assert fields(Slotted()) == [("y", 2)]
    assert sorted(fields(Mixed())) == [("more", 4), ("x", 1), ("y", 2), ("z", 3)]
    assert fields(Plain()) == []


def test_fields_are_as_they_are_now() -> None:
    value: Any = Usual()
    del value.a
    value.b = 5
    value.a = 6
    value.new = 7
    assert fields(value) == [("b", 5), ("_hidden", None), ("a", 6), ("new", 7)]
    value.__dict__["later"] = 8  # from here on there is a dict
    assert fields(value)[-1] == ("later", 8)
    del value.b
    assert fields(value)[0] == ("_hidden", None)
    value.__dict__ = {"only": 1}
    assert fields(value) == [("only", 1)]


def test_an_instance_with_more_fields_than_fit_inline() -> None:
    value: Any = Usual()
    for i in range(60):
        setattr(value, f"field_{i}", i)
    got = fields(value, items=100)
    assert got[3:] == [(f"field_{i}", i) for i in range(60)]


def test_names_of_python_itself_are_left_out() -> None:
    assert fields(Plain(a=1, __secret__=2, __half=3)) == [("a", 1), ("__half", 3)]


def test_a_property_is_not_read_and_a_slot_of_another_class_neither() -> None:
    class Wide:
        __slots__ = tuple(f"s{i}" for i in range(40))

    class Thief:
        stolen = Wide.s39  # would be read far behind the end of a Thief

        @property
        def trap(self) -> None:
            raise AssertionError("called")

        def __init__(self) -> None:
            self.own = 1

    assert fields(Thief()) == [("own", 1)]


def test_attrs_pydantic_and_partial_are_their_fields() -> None:
    attrs = pytest.importorskip("attrs")

    @attrs.define
    class Attr:
        x: int
        y: str = "b"

    assert fields(Attr(1)) == [("x", 1), ("y", "b")]
    call = functools.partial(fresh_function, 1, key=2)
    assert dict(fields(call))["args"] == (Tag.TUPLE, 1)
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        name: str
        size: int = 3

    assert fields(Model(name="n")) == [("name", "n"), ("size", 3)]


def test_an_instance_at_a_limit_is_a_reference_or_cut() -> None:
    value = Usual()
    assert encode_one([value], depth=1) == [(Tag.REF, type_number(Usual), id(value))]
    tag, kind, total, number, address, *rest = encode_one(value, items=2)
    assert (tag, kind, total) == (Tag.CUT_ITEMS, Tag.OBJECT, 3)
    assert (number, address) == (type_number(Usual), id(value))
    assert rest == ["b", 1, "a", [2]]


def test_self_is_type_and_address_unless_its_fields_are_asked_for() -> None:
    value = Usual()
    reference = (Tag.REF, type_number(Usual), id(value))
    assert encode_one(value, how="ref") == reference
    assert encode_one(value, how="ref", self_fields=True)[0] is Tag.OBJECT
    assert encode_one(Usual, how="ref") == (Tag.CLASS, type_number(Usual))
    assert encode_one([1], how="ref") == (Tag.REF, type_number(list), id_of_any)
    assert encode(5, "a", None, how="ref") == [5, "a", None]


class _Any:
    def __eq__(self, other: object) -> bool:
        return True


id_of_any = _Any()


def test_encoding_leaves_instances_as_they_are() -> None:
    """A `__dict__` made on the way would add 64 bytes on 3.11 and 3.12 and make each
    later attribute read 2.7 times slower."""
    objects = [Usual() for _ in range(200)]
    others = [Usual() for _ in range(200)]
    sizes = [sys.getsizeof(value) for value in objects]
    for value in objects:
        encode_one(value)

    def read(values: list[Usual]) -> None:
        for value in values:
            value.a, value.b  # noqa: B018

    assert [sys.getsizeof(value) for value in objects] == sizes
    # In turn, so that a busy machine slows both; the least of each counts.
    best = [float("inf"), float("inf")]
    for _ in range(9):
        for which, values in enumerate((objects, others)):
            run = functools.partial(read, values)
            best[which] = min(best[which], timeit.timeit(run, number=100))
    assert best[0] < best[1] * 1.8


def test_a_class_that_changes_is_read_anew() -> None:
    class Base:
        __slots__ = ("one",)

    class Other:
        __slots__ = ("two",)

    class Changing(Base):
        def __init__(self) -> None:
            self.extra = 1

    value: Any = Changing()
    value.one = 1
    assert fields(value) == [("one", 1), ("extra", 1)]
    Changing.__bases__ = (type("Fresh", (Base,), {"__slots__": ()}),)
    assert fields(value) == [("one", 1), ("extra", 1)]
    del Base.one  # the value is still in its slot, but nobody can read it
    assert fields(value) == [("extra", 1)]


def test_many_classes_do_not_grow_the_table() -> None:
    for i in range(2000):
        cls = type(f"Class{i}", (), {"__slots__": ("value",)})
        value = cls()
        value.value = i
        assert fields(value) == [("value", i)]
