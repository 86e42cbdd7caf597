"""Hostile values, made of bytes: for the suite, for long runs, and for a fuzzer.

    python -m tests.unit.value_fuzz --rounds 100000     random bytes
    python -m tests.unit.value_fuzz --atheris 600       by coverage, so many seconds

Every object is of a class whose special methods lie, raise, recurse, block, change what
is being encoded or free it. None of them may run. What is written must be well-formed,
bounded, and the same from both cores.
"""

from __future__ import annotations

import argparse
import array
import collections
import datetime
import decimal
import functools
import gc
import io
import pathlib
import random
import sys
import time
import types
import uuid
import weakref
from collections.abc import Callable
from typing import Any

from kolo_c import masking

CALLED: list[str] = []
"""Special methods that ran."""
NAMES = """__repr__ __str__ __len__ __iter__ __getattribute__ __getattr__ __eq__ __hash__
    __bool__ __call__ __format__ __dir__ __contains__ __getitem__ __index__ __int__
    __float__ __complex__ __bytes__ __fspath__ __reduce_ex__ __sizeof__ __buffer__
    __next__ __length_hint__ __missing__ __reversed__ __lt__ __add__ __instancecheck__
    __subclasscheck__ __subclasshook__ __mro_entries__ __prepare__ __get__ __set__
    __class_getitem__ __del__ keys items values isoformat utcoffset tzname""".split()


def attack(name: str) -> Callable[..., Any]:
    """A method of that name: it is noted, and does its worst."""

    def method(*arguments: Any, **_: Any) -> Any:
        if not ARMED:
            raise TypeError(name)
        CALLED.append(name)
        for each in LIVE:
            if type(each) in (list, dict, set, collections.deque):
                each.clear()
        LIVE.clear()
        if name == "__len__":
            return 1 << 62
        if name == "__eq__":
            return method(*arguments)
        if name == "__hash__":
            time.sleep(60)
        raise SystemExit(name)

    return method


ARMED: list[None] = []
"""Not empty while something is being encoded."""
LIVE: list[Any] = []
"""Keeps what is encoded alive; whoever clears it frees it."""
HOSTILE = {name: attack(name) for name in NAMES if name != "__del__"}


class Meta(type):
    """Its methods are those of classes."""


class Point(tuple[int, ...]):
    """Half a namedtuple: names for members that there may not be."""

    _fields = ("x", "y")


BASES: list[tuple[type, tuple[Any, ...]]] = [
    (object, ()), (int, (7,)), (str, ("héllo",)), (float, (1.5,)), (bytes, (b"x",)),
    (bytearray, (b"x",)), (list, ([1, 2],)), (tuple, ([1, 2],)), (dict, ({1: 2},)),
    (set, ([1],)), (frozenset, ([1],)), (complex, (1,)), (Exception, (1, "x")),
    (KeyError, ("k",)), (OSError, (2, "x", "y")), (datetime.datetime, (2026, 1, 1)),
    (datetime.timedelta, (1,)), (decimal.Decimal, ("1.5",)),
    (uuid.UUID, ("12345678123456781234567812345678",)),
    (pathlib.PurePosixPath, ("a", "b")), (Point, ([1],)),
    (collections.OrderedDict, ({1: 2},)), (collections.deque, ([1],)),
    (collections.Counter, ("ab",)), (types.ModuleType, ("name",)),
    (array.array, ("i", [1])), (types.SimpleNamespace, ()), (io.BytesIO, (b"x",)),
    (functools.partial, (print, 1)), (weakref.ref, (Meta,)),
]  # fmt: skip


@functools.cache
def hostile_class(base: int, slots: bool, with_meta: bool) -> type:
    """Made before it is armed: a class must be made by somebody."""
    body: dict[str, Any] = {"x": 1, "__class__": property(HOSTILE["__repr__"])}
    bare = not issubclass(BASES[base][0], (int, tuple, bytes, types.ModuleType))
    if slots and bare:
        body["__slots__"] = ("password", "a", "__weird")
    meta = Meta if with_meta and type(BASES[base][0]) is type else type(BASES[base][0])
    cls = meta("Hostile", (BASES[base][0],), body)
    for name, method in HOSTILE.items():
        type.__setattr__(cls, name, method)
    return cls


for _name, _method in HOSTILE.items():
    if _name not in (
        "__call__",
        "__prepare__",
        "__getattribute__",
        "__instancecheck__",
    ):
        type.__setattr__(Meta, _name, _method)


class Bytes:
    """What decides; at its end zeros."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def number(self, below: int) -> int:
        """0 to below - 1."""
        if self.at >= len(self.data):
            return 0
        self.at += 1
        return self.data[self.at - 1] % below

    def text(self) -> str:
        """Some characters, of any kind."""
        kinds = ["a", "é", "€", "\U0001f600", "\ud800", "\udfff", "\0", " ", "9", "="]
        some = "".join(kinds[self.number(len(kinds))] for _ in range(self.number(12)))
        long = [1, 1, 1, 50, 500, 30_000]
        named = ["", "", "password=", "token", "hunter22", "--api-key "]
        return named[self.number(6)] + some * long[self.number(6)]


def half_built(by: Bytes) -> Any:
    """An instance whose ``__init__`` did not run."""
    bases = [each for each, _ in BASES]
    index = by.number(len(bases))
    cls = hostile_class(index, bool(by.number(2)), bool(by.number(2)))
    base = bases[index]
    try:
        return base.__new__(cls)
    except TypeError:
        return base.__new__(cls, *BASES[index][1])


def built(by: Bytes) -> Any:
    """One with fields, of which some are gone again."""
    index = by.number(len(BASES))
    cls = hostile_class(index, bool(by.number(2)), bool(by.number(2)))
    base, arguments = BASES[index]
    value = base.__new__(cls, *arguments)
    if base not in (object, weakref.ref, tuple, Point):
        base.__init__(value, *arguments)
    for name in ("a", "password", "b", "_c", "x" * 300, "é\udc80")[: by.number(7)]:
        try:
            object.__setattr__(value, name, LIVE[-1] if LIVE else by.number(256))
        except (AttributeError, TypeError):
            break
    if by.number(3) == 0 and base.__new__ is not weakref.ref:
        try:
            object.__delattr__(value, "a")
        except (AttributeError, TypeError):
            pass
    return value


def container(by: Bytes) -> Any:
    """Of what there is; some hold themselves."""
    items = [make(by) for _ in range(by.number(5))]
    kind = by.number(9)
    if kind == 0:
        return tuple(items)
    if kind == 1:
        return {by.text(): item for item in items}
    if kind == 2:
        return {by.number(256) - 128: item for item in items}
    if kind == 3:
        return collections.deque(items)
    if kind == 4:
        return {id(item) for item in items}
    if kind == 5:
        return items * by.number(60)
    if kind == 6:
        items.append(items)
        return items
    if kind == 7:
        return {"self": items, "password": items, "token_count": items}
    return items


def scalar(by: Bytes) -> Any:
    """Numbers, texts, the library's."""
    chosen = by.number(16)
    if chosen < 5:
        return by.text()
    if chosen < 7:
        return by.text().encode("utf-8", "surrogatepass")
    made: list[Callable[[], Any]] = [
        lambda: by.number(256) << by.number(256) * by.number(30),
        lambda: -(10 ** by.number(256)),
        lambda: [0.0, -0.0, float("nan"), float("inf"), 5e-324][by.number(5)],
        lambda: bytearray(by.text().encode("utf-8", "surrogatepass")),
        lambda: memoryview(bytearray(by.number(256)))[:: by.number(3) + 1],
        lambda: range(-by.number(256), 10 ** by.number(40)),
        lambda: decimal.Decimal((by.number(2), (1,) * by.number(99), by.number(256))),
        lambda: types.CellType(),
        lambda: [None, True, False, ..., NotImplemented, object()][by.number(6)],
    ]
    return made[chosen - 7]()


def instance(by: Bytes, chosen: int) -> Any:
    """Of a hostile class, or the class."""
    if chosen == 5:
        return half_built(by)
    if chosen == 6:
        return built(by)
    return hostile_class(by.number(len(BASES)), bool(by.number(2)), True)


def make(by: Bytes) -> Any:
    """Any value."""
    chosen = by.number(8)
    if chosen < 3 or by.at > 400:
        value = scalar(by)
    elif chosen < 5:
        value = container(by)
    else:
        try:
            value = instance(by, chosen)
        except TypeError:  # its base's own constructor asks it for something
            value = object()
    LIVE.append(value)
    return value


HOWS = ("value", "value", "value", "ref", "secret", "exception")


def one_round(encoder: Any, data: bytes, repr: bool = False) -> bytes:
    """Encode what ``data`` makes; with ``repr``, that and what it calls runs."""
    by = Bytes(data)
    LIVE.clear()
    how: dict[str, Any] = {
        "how": HOWS[by.number(6)],
        "depth": by.number(8),
        "items": by.number(40),
        "text_bytes": by.number(256) * by.number(80),
        "record_bytes": by.number(256) * by.number(120),
        "repr": repr,
    }
    values = tuple(make(by) for _ in range(by.number(3) + 1))
    CALLED.clear()
    gc.disable()  # what dies in a collection is asked by its own finalizer
    ARMED.append(None)
    try:
        written = encoder.encode(values, **how)
    finally:
        ARMED.clear()
        gc.enable()
    called = list(CALLED)
    assert repr or not called, called
    assert type(written) is bytes
    # 16 bytes where stars are longer than what they stand for (value.h).
    assert len(written) <= how["record_bytes"] + 10 * len(values) + 16, how
    return written


def quiet() -> None:
    """Hostile objects that die may say so; nobody listens."""
    sys.unraisablehook = lambda _: None


def both_cores() -> Callable[[bytes], None]:
    """Encodes with both and reads what was written."""
    # Here, since it imports the Python core.
    from tests.unit.reference_encoder import BothEncoders
    from tests.unit.value_model import decode

    both = BothEncoders()
    both.reset(masking.DEFAULT_WORDS, masking.DEFAULT_EXCEPTIONS)
    return lambda data: decode(one_round(both, data)) and None


def by_coverage(seconds: int) -> None:
    """Atheris looks for bytes that lead to lines of the Python core not seen before."""
    import atheris

    with atheris.instrument_imports(include=["kolo_c.reference"]):
        encode = both_cores()
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=512"], encode)
    atheris.Fuzz()


def at_random(seed: int, rounds: int) -> None:
    """So many rounds; the bytes of one that fails are printed."""
    encode = both_cores()
    source = random.Random(seed)
    for number in range(rounds):
        data = source.randbytes(source.choice((10, 50, 200, 600)))
        try:
            encode(data)
        except BaseException:
            print(f"seed {seed}, round {number}: {data!r}")
            raise
    print(f"seed {seed}: {rounds} rounds")


def main() -> None:
    """Until a round fails, or so many have passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--atheris", type=int, metavar="SECONDS")
    chosen = parser.parse_args()
    quiet()
    if chosen.atheris is not None:
        by_coverage(chosen.atheris)
    else:
        at_random(chosen.seed, chosen.rounds)


if __name__ == "__main__":
    main()
