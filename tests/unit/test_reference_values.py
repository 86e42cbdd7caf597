"""The Python core's values are C's, byte for byte: every test of the value encoder is
run again with both side by side, and more values are compared than any of them has.

Addresses are compared as they are: it is the same object in the same process.
"""

from __future__ import annotations

import array
import ast
import asyncio
import bz2
import collections
import contextvars
import csv
import ctypes
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import importlib.util
import io
import itertools
import logging
import lzma
import mmap
import operator
import os
import pathlib
import queue
import random
import re
import selectors
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import types
import typing
import uuid
import weakref
import zlib
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kolo_c import masking
from kolo_c.reference.wire import Cursor
from kolo_c.wire import Tag
from tests.unit import reference_encoder
from tests.unit.test_values import KEYS, SCALARS, VALUES

PYPY = sys.implementation.name == "pypy"
BOTH: Any = reference_encoder.PythonEncoder([])  # where there is no C: that it works
if not PYPY:
    BOTH = reference_encoder.BothEncoders()
HERE = Path(__file__).parent

NOT_FOR_PYPY = {
    # Sizes, references and layouts of CPython; what a loaded machine can do.
    "test_a_huge_value_costs_no_more_than_its_budget",
    "test_a_str_keeps_its_size",
    "test_references_are_as_they_were",
    "test_fields_are_as_they_are_now",
}
NOT_FOR_PYTHON = {
    # What the program would feel of the C core; the Python core is felt.
    "test_nothing_that_the_collector_tracks_is_made",
    "test_encoding_leaves_instances_as_they_are",
    # Frames: the Python core runs its own.
    "test_no_special_method_of_a_hostile_class_runs",
    "test_a_hostile_metaclass_does_not_run",
    "test_ordinary_values_run_no_frame",
    "test_a_debug_build_counts_the_frames_that_run",
    "test_the_total_of_references_is_steady",
    # Both call it, each a value of its own.
    "test_a_repr_that_changes_the_containers_it_stands_in_does_no_harm",
    "test_an_interrupt_in_a_repr_reaches_the_program",
    # The time of C alone.
    "test_searching_an_ordinary_text_costs_little",
}

with_c = pytest.mark.skipif(PYPY, reason="there is no C to compare with")


def load(name: str) -> ModuleType:
    """A second copy of a module of tests, which sees the second copy of the others."""
    full_name = f"tests.unit.both_{name}"
    spec = importlib.util.spec_from_file_location(full_name, HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[full_name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_tests(*names: str) -> dict[str, Any]:
    """The tests of modules ``names``, with both encoders in place of C's."""
    model = load("value_model")
    model.encoder = BOTH
    before = sys.modules.get("tests.unit.value_model")
    sys.modules["tests.unit.value_model"] = model
    left_out = NOT_FOR_PYTHON | NOT_FOR_PYPY if PYPY else NOT_FOR_PYTHON
    tests = {}
    try:
        for name in names:
            for key, entry in vars(load(name)).items():
                if key.startswith("test_") and key not in left_out:
                    tests[key] = entry
    finally:
        del sys.modules["tests.unit.value_model"]
        if before is not None:
            sys.modules["tests.unit.value_model"] = before
    return tests


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> None:
    """The words that the tests of masking want; else no name is secret."""
    if request.function.__module__.endswith("masking"):
        BOTH.reset(masking.DEFAULT_WORDS, masking.DEFAULT_EXCEPTIONS)
    else:
        BOTH.reset((), ())


globals().update(
    load_tests("test_values", "test_value_types", "test_value_guest", "test_masking")
)


# ---- values of every kind ----


class Usual:
    """Fields in its dict."""

    def __init__(self) -> None:
        self.name, self.items, self._hidden = "usual", [1, 2], None


class Slotted:
    """Fields in slots, one of them without a value."""

    __slots__ = ("x", "unset", "__private")

    def __init__(self) -> None:
        self.x, self.__private = 1, {"a": 1}


class Both(Slotted):
    """Slots of a base, slots and a dict of its own."""

    __slots__ = ("x", "z", "__dict__", "__weakref__")

    def __init__(self) -> None:
        super().__init__()
        self.x, self.z, self.more = 2, 3, 4


class Empty:
    """Nothing to show."""

    __slots__ = ()


class Secretive:
    """Names that are masked."""

    def __init__(self) -> None:
        self.user, self.api_key, self.token_count = "ann", "hunter22", 3
        self.headers = [("Authorization", "Bearer x1"), ("Host", "h")]


@dataclasses.dataclass
class Data:
    name: str
    items: list[Any] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class FrozenData:
    name: str
    size: int


class Colour(enum.Enum):
    RED = 1
    PAIR = ("a", 2)


class Bits(enum.IntFlag):
    A = 1
    B = 2


class Typed(typing.NamedTuple):
    name: str
    size: int = 3


Point = collections.namedtuple("Point", "x password")


class Failing(Exception):
    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Proxy:
    """Says that it is something else, and breaks when asked for anything."""

    __slots__ = ("target",)

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(name)

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise AssertionError("__class__")


class Numbers(list[Any]):
    def __iter__(self) -> Any:
        raise AssertionError

    def __len__(self) -> int:
        raise AssertionError

    def __getitem__(self, at: Any) -> Any:
        raise AssertionError


class Table(dict[Any, Any]):
    def items(self) -> Any:
        raise AssertionError

    __iter__ = __len__ = __getitem__ = items  # type: ignore[assignment]


class Text(str):
    def __len__(self) -> int:
        raise AssertionError

    __hash__ = __getitem__ = encode = isascii = __len__  # type: ignore[assignment]


class Whole(int):
    def __index__(self) -> int:
        raise AssertionError

    __int__ = __lt__ = __neg__ = bit_length = __index__  # type: ignore[assignment]


class Real(float):
    def __float__(self) -> float:
        raise AssertionError


class Zone(datetime.tzinfo):
    def utcoffset(self, when: Any) -> Any:
        raise AssertionError


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


class Stamp(datetime.datetime):
    @property
    def year(self) -> int:  # type: ignore[override]
        raise AssertionError


class Money(decimal.Decimal):
    def as_tuple(self) -> Any:
        raise AssertionError


class Metaclass(type):
    def __getattribute__(cls, name: str) -> Any:
        raise AssertionError(name)

    def __hash__(cls) -> int:
        raise AssertionError

    def __eq__(cls, other: object) -> bool:
        raise AssertionError


def chained() -> BaseException:
    """An exception with a cause, a context and a traceback."""
    try:
        try:
            raise KeyError("first", 1)
        except KeyError as error:
            raise Failing("second", 7) from error
    except Failing as error:
        error.args = (*error.args, error)
        return error


def group() -> BaseException:
    """One of several, where there are such."""
    if sys.version_info < (3, 11):
        return chained()
    maker: Any = eval("ExceptionGroup")
    return maker("several", [ValueError(1), maker("inner", [chained()])])  # type: ignore[no-any-return]


def cycle() -> dict[str, Any]:
    """Leads to itself over a list, an instance and a dict."""
    top: dict[str, Any] = {}
    usual = Usual()
    usual.items = [top, usual]  # type: ignore[list-item]
    top["deep"] = [usual, top]
    return top


def zone_of_its_own() -> Any:
    class Long(datetime.timedelta):
        """No timedelta that C looks into."""

    return datetime.timezone(Long(hours=2))


def changing() -> Usual:
    """An instance that lost and won fields."""
    value: Any = Usual()
    del value.name
    value.later = 1
    value.name = 2
    for i in range(40):
        setattr(value, f"field{i}", i)
    return value  # type: ignore[no-any-return]


def with_method(name: str = "method") -> Any:
    return getattr(Holder(), name)


class Holder:
    def method(self) -> None: ...

    @classmethod
    def of_class(cls) -> None: ...

    @staticmethod
    def of_none() -> None: ...

    class Callable:
        def __call__(self) -> None: ...

    def __init__(self) -> None:
        self.bound = types.MethodType(types.MethodType(len, 1), 2)
        self.calling = types.MethodType(self.Callable(), 3)


LOOP = asyncio.new_event_loop()
CONNECTION = sqlite3.connect(":memory:")
SOCKET = socket.socket()
SELECTOR = selectors.DefaultSelector()


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    """What PLAIN has open is closed in the end."""
    yield
    for opened in (LOOP, CONNECTION, SOCKET, SELECTOR):
        opened.close()


PLAIN: list[Any] = [
    Usual(), Slotted(), Both(), Empty(), Secretive(), Data("d", [Data("e")]),
    FrozenData("f", 3), changing(), cycle(), Colour.RED, Colour.PAIR, Bits.A | Bits.B,
    Bits(0), Typed("t"), Point(1, "hunter22"), Point, Colour, Usual, int, type, Metaclass,
    types.SimpleNamespace(a=1, b=[2]), object(), Ellipsis, NotImplemented, None, True,
    # exceptions
    chained(), group(), KeyError(), SystemExit(3), StopIteration([1]),
    OSError(2, "no such file", "name"), UnicodeDecodeError("utf-8", b"x", 0, 1, "why"),
    # containers
    collections.deque([1, 2], 5), collections.defaultdict(list, a=[1]),
    collections.OrderedDict(b=1, a=2), collections.Counter("aabc"),
    collections.ChainMap({"a": 1}, {"b": 2}), types.MappingProxyType({"a": 1}),
    {"a": 1}.items(), {"a": 1}.keys(), frozenset({1, "a"}), {(1, 2): {3: {4: {5: 6}}}},
    [[[[[[1]]]]]], ((), [], {}, set(), frozenset()), [("password", "hunter22"), (1, 2)],
    {b"token": b"hunter23", "token": "", 5: 6, None: 7, Usual: 8, "x" * 200: 9},
    # numbers and texts
    0, -1, 2**63, -(2**63), 2**64, -(2**63) - 1, 2**2000, -(2**9000), 1.5, float("nan"),
    float("-inf"), 1j, complex("-nan+infj"), decimal.Decimal("-1.50E+5"),
    decimal.Decimal("sNaN12"), decimal.Decimal("1E-8"), Money("2.5"),
    fractions.Fraction(1, 3), "", "a", "é" * 900, "\ud800\udfff", "😀" * 600, "x" * 2000,
    "\x00", b"", b"\xff" * 2000, bytearray(3), bytearray(2000), memoryview(b"abcd")[::2],
    # time and places
    datetime.datetime(2026, 5, 6, 7, 8, 9, 10, fold=1), Stamp(2026, 1, 2),
    datetime.datetime(2026, 5, 6, tzinfo=datetime.timezone.utc),
    datetime.datetime(2026, 5, 6, tzinfo=Zone()),
    datetime.datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN),
    datetime.datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
    Stamp(2026, 5, 6, tzinfo=BERLIN), datetime.datetime(1, 1, 1, tzinfo=BERLIN),
    datetime.datetime(9999, 12, 31, tzinfo=BERLIN),
    datetime.datetime(2026, 5, 6, tzinfo=zone_of_its_own()),
    datetime.date(1, 1, 1), datetime.time(1, 2, 3, 4), datetime.timedelta(-1, 2, 3),
    datetime.timezone(datetime.timedelta(hours=-3.5)), Zone(), uuid.uuid4(),
    pathlib.Path("a/./b//c"), pathlib.PurePosixPath("/a") / "../b", pathlib.Path(),
    pathlib.PureWindowsPath("c:/x"), pathlib.Path("x" * 3000), os.stat("/"),
    time.gmtime(0), os.terminal_size((80, 25)), sys.version_info, sys.flags,
    # functions and modules
    len, print, [].append, str.maketrans, dict.fromkeys, int.from_bytes, object.__init__,
    "".join, None.__dir__, str.join, datetime.datetime.now, bytes.fromhex,
    re.compile("a").match, itertools.chain.from_iterable, functools.partial(print, 1),
    functools.lru_cache(chained), operator.itemgetter(1), chained, lambda: 0, Holder(),
    with_method(), with_method("of_class"), with_method("of_none"), Holder.method,
    (1).__add__, type.__call__, os, sys, types.ModuleType("made"), property(),
    staticmethod(len), classmethod(len), super(Both, Both()), type(chained()).__init__,
    # made in C, with members of every type
    range(3), range(10**20), slice(1, None, 10**20), slice(None), iter([1]), iter(range(2)),
    zip([1]), enumerate("a"), reversed([1]), itertools.count(5), map(len, []),
    re.compile("(?P<a>b)", re.I), re.match("a", "ab"), struct.Struct("i"),
    hashlib.sha256(b"x"), zlib.compressobj(), zlib.decompressobj(), bz2.BZ2Decompressor(),
    lzma.LZMADecompressor(), csv.reader(["a,b"]), csv.excel, csv.get_dialect("excel"),
    random.Random(1), io.StringIO("text"), io.BytesIO(b"bytes"),
    io.TextIOWrapper(io.BytesIO()), io.BufferedReader(io.BytesIO()),
    io.TextIOWrapper.__new__(io.TextIOWrapper), threading.Lock(), threading.RLock(),
    threading.Event(), threading.local(), queue.SimpleQueue(), queue.Queue(),
    weakref.ref(Usual), contextvars.ContextVar("variable"), contextvars.copy_context(),
    array.array("d", [1.5]), mmap.mmap(-1, 64), ctypes.c_int(5), ctypes.c_char_p(b"x"),
    ElementTree.fromstring("<a b='c'>d</a>"), ast.parse("a + 1"), logging.getLogger("x"),
    decimal.getcontext(), SELECTOR, list[int],
    int | str, typing.TypeVar("T"), typing.Any, compile("1", "name", "eval"),
    asyncio.Lock, LOOP.create_future(), CONNECTION,
    CONNECTION.execute("select 1"), SOCKET,
    (i for i in [1]), sys._getframe(), chained().__traceback__, sys.path,
    # subclasses that break when asked
    Numbers([1, [2]]), Table(a=1, password="hunter22"), Text("text é"), Text("hunter22"),
    Whole(7), Whole(2**80), Real(2.5), Proxy(), [Proxy()], Metaclass("Made", (), {}),
    object.__new__(Metaclass("Made", (), {"__slots__": ("x",)})),
]  # fmt: skip
WAYS: list[dict[str, Any]] = [
    {},
    {"how": "ref"},
    {"how": "ref", "self_fields": True},
    {"how": "secret"},
    {"how": "exception"},
    {"depth": 1},
    {"depth": 0},
    {"items": 1},
    {"items": 0},
    {"text_bytes": 16},
    {"text_bytes": 0},
    {"depth": 9, "items": 100, "text_bytes": 20_000, "record_bytes": 30_000},
    {"record_bytes": 100},
    {"record_bytes": 0},
    {"room": 5},
    {"room": 30},
]


@pytest.fixture
def words() -> None:
    """The default words, and nothing remembered."""
    BOTH.reset(masking.DEFAULT_WORDS, masking.DEFAULT_EXCEPTIONS)


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_values_of_every_kind_are_equal(way: dict[str, Any]) -> None:
    for value in PLAIN:
        BOTH.encode((value,), **way)
        BOTH.encode(([value, {"k": value}],), **way)


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize("record_bytes", range(0, 400, 13))
def test_values_of_every_kind_are_equal_whatever_room_there_is(
    record_bytes: int,
) -> None:
    for value in PLAIN:
        BOTH.encode((1, value, value), record_bytes=record_bytes, text_bytes=60)
    BOTH.encode(tuple(PLAIN), record_bytes=record_bytes * 20)


@with_c
def test_everything_that_lives_in_a_process_is_equal() -> None:
    """What the collector knows of: some ten thousand objects that nobody chose, in a
    process of their own, where no test has left anything behind."""
    done = subprocess.run(
        [sys.executable, str(HERE / "compare_all.py")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) > 5_000


def pick(number: int) -> Any:
    """A function, since a strategy that has the values asks them for their repr."""
    return TAME[number]


TAME = [
    value
    for value in PLAIN
    if type(type(value)) is not Metaclass
    and type(value) is not Metaclass
    and type(value) is not Proxy
]
"""Those that a test may ask for their class."""
INSTANCES = st.integers(0, len(TAME) - 1).map(pick)
NESTED = st.recursive(
    SCALARS | INSTANCES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.lists(inner, max_size=6).map(tuple),
        st.lists(inner, max_size=6).map(Numbers),
        st.dictionaries(KEYS, inner, max_size=6),
        st.dictionaries(
            st.sampled_from(["token", "a", "x_api_key"]), inner, max_size=3
        ),
        st.dictionaries(KEYS, inner, max_size=3).map(Table),
        st.builds(Data, st.text(max_size=9), st.lists(inner, max_size=3)),
        st.builds(ValueError, inner, inner),
        st.builds(Point, inner, inner),
        st.builds(types.SimpleNamespace, a=inner, password=inner),
    ),
    max_leaves=25,
)


@settings(max_examples=600, deadline=None)
@given(
    st.lists(NESTED | VALUES, min_size=1, max_size=4),
    st.sampled_from(["value", "ref", "secret", "exception"]),
    st.integers(0, 6),
    st.integers(0, 9),
    st.integers(0, 90) | st.just(16384),
    st.integers(0, 500) | st.just(24576),
)
def test_nested_values_are_equal_in_every_budget(
    objects: list[Any],
    how: str,
    depth: int,
    items: int,
    text_bytes: int,
    record_bytes: int,
) -> None:
    BOTH.encode(
        tuple(objects),
        how=how,
        depth=depth,
        items=items,
        text_bytes=text_bytes,
        record_bytes=record_bytes,
    )


PIECES = st.sampled_from(
    "eyJ|.|-|@|:|://|/|Basic |bearer |Bearer |ghp_|sk-|AKIA|xoxa-|-----BEGIN|-----END"
    "|SG.| | PRIVATE KEY-----|1234567890|AAAAAAAAAAAAAAAAAAAA|a1B2c3D4e5F6g7H8i9|é|\n"
    "|user:pw|123456789:|0123456789abcdef0123456789abcdef".split("|")
)


@settings(max_examples=800, deadline=None)
@given(
    st.lists(PIECES | st.text(max_size=5), max_size=14).map("".join),
    st.integers(0, 60),
    st.integers(0, 200),
)
def test_texts_with_secrets_are_equal(text: str, start: int, limit: int) -> None:
    data = text.encode("utf-8", "surrogatepass")
    BOTH.mask_find(data, start)
    BOTH.encode((text, data, bytearray(data)), text_bytes=limit)
    BOTH.encode((pathlib.PurePosixPath("/a", text.replace("\0", "")),))


@with_c
@pytest.mark.usefixtures("words")
def test_secrets_are_remembered_and_forgotten_alike() -> None:
    texts: list[Any] = [f"secret-{i}" for i in range(30_000)]
    texts[::3] = [text.encode() for text in texts[::3]]
    for text in texts:
        BOTH.encode((text,), how="secret")
    for text in texts[::7]:
        BOTH.encode((text, {"a": text}))
    assert BOTH.c.encode((texts[0],)) != BOTH.c.encode((texts[-1],))
    for value in ({"a": "apple pie"}, ["cherry pie"], ("plum pie",), {"banana pie"}):
        BOTH.encode((value,), how="secret")
        BOTH.encode(("apple pie", "cherry pie", "plum pie", "banana pie"))


@pytest.mark.usefixtures("words")
def test_what_is_hidden_elsewhere_is_equal() -> None:
    pairs = [("password", "hunter22"), ("user", "hunter22"), ("user", "ann"),
             ("token", None), ("token", ""), ("token", 5), (b"token", b"hunter33"),
             (5, b"hunter33"), ("x", 5)]  # fmt: skip
    for name, value in pairs:
        assert BOTH.hide(name, value) in (True, False)
    assert BOTH.hide("user", "hunter22") and not BOTH.hide("user", "ann")


def test_a_repr_that_was_asked_for_is_equal() -> None:
    class Speaking:
        def __repr__(self) -> str:
            return "<é " * 40 + "password a://b:c@d"

    class Broken:
        def __repr__(self) -> str:
            raise ValueError

    for value in (Speaking(), Broken(), [Speaking()], object(), Empty(), Usual()):
        for text_bytes in (0, 1, 5, 50, 500):
            BOTH.encode((value,), repr=True, text_bytes=text_bytes)
        for record_bytes in range(0, 300, 9):
            BOTH.encode((value,), repr=True, record_bytes=record_bytes)


def test_numpy_and_classes_of_other_libraries_are_equal() -> None:
    numpy = pytest.importorskip("numpy")
    attrs = pytest.importorskip("attrs")
    values = [
        numpy.zeros(shape, dtype)
        for shape in ((), 3, (2, 0, 4))
        for dtype in "? b B h H i I l L q Q e f d g F D G O S5 U5 V3 M8[s] m8[s]".split()
    ]
    kinds = {kind for kind in numpy.sctypeDict.values() if kind is not numpy.void}
    values += [numpy.zeros(1, kind)[0] for kind in kinds]
    values += [
        numpy.dtype("i4"),
        numpy.ma.array([1]),
        numpy.float32,
    ]
    values += [attrs.make_class("Made", ["x", "token"])(1, 2)]
    for value in values:
        for record_bytes in (20, 60, 8192):
            BOTH.encode((value,), record_bytes=record_bytes)


# ---- what Python cannot, one test each; the modules' docstrings have the reasons ----


def both(value: Any, **how: Any) -> tuple[bytes, bytes]:
    """What C and what Python writes."""
    return BOTH.c.encode((value,), **how), BOTH.python.encode((value,), **how)


def head(value: Any, tag: Tag, elements: int) -> bytes:
    """A tagged array with type and address."""
    cursor = Cursor(100)
    cursor.tag(tag, elements)
    cursor.uint(BOTH.python.definitions.type(type(value)))
    cursor.uint(id(value))
    return bytes(cursor.data)


@with_c
def test_a_view_that_was_released_has_its_length_in_c_alone() -> None:
    view = memoryview(b"abc")
    view.release()
    c, python = both(view)
    assert c.endswith(b"\x03")
    assert python == head(view, Tag.REF, 2)


@with_c
def test_an_instance_dict_that_nothing_gives_is_not_read() -> None:
    cls: Any = type("Hidden", (), {"__dict__": None})
    value = cls()
    value.x = 1
    c, python = both(value)
    assert c == python == head(value, Tag.OBJECT, 2)


@with_c
def test_with_no_stack_left_python_writes_an_error() -> None:
    def at_the_end(call: Callable[[], Any]) -> Any:
        """Goes down until ``call`` is refused, and one frame up again."""
        try:
            return at_the_end(call)
        except RecursionError:
            return call()

    value = {"deep": [[[1]]]}
    written = at_the_end(lambda: BOTH.python.encode((value,)))
    assert b"no stack left" in written
    assert BOTH.encode((value,)) == b"\x81\xa4deep\x91\x91\x91\x01"
