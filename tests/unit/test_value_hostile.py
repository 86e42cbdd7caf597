"""Hostile values for the value encoder: nothing of them runs, nothing crashes, and what
is written is bounded, well-formed, and the same from both cores.

`make fuzz` asks for more rounds; value_fuzz.py makes the values.
"""

from __future__ import annotations

import collections
import functools
import gc
import mmap
import os
import random
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kolo_c import masking
from kolo_c.wire import Tag
from tests.unit import value_fuzz
from tests.unit.build_encode import load
from tests.unit.reference_encoder import BothEncoders, PythonEncoder
from tests.unit.value_model import decode

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "400"))
SEED = random.randrange(1 << 30) if "FUZZ_ROUNDS" in os.environ else 7
ALONE = sys.implementation.name != "cpython"
with_c = pytest.mark.skipif(ALONE, reason="there is one core alone")


@pytest.fixture(params=["c", "python"])
def encoder(request: pytest.FixtureRequest) -> Any:
    """Each alone."""
    if request.param == "c":
        if ALONE:
            pytest.skip("no C core")
        made: Any = load()
    else:
        made = PythonEncoder([])
    made.reset(masking.DEFAULT_WORDS, masking.DEFAULT_EXCEPTIONS)
    return made


@functools.cache
def both() -> Any:
    """Side by side; Python's alone where there is no other."""
    made: Any = PythonEncoder([]) if ALONE else BothEncoders()
    made.reset(masking.DEFAULT_WORDS, masking.DEFAULT_EXCEPTIONS)
    return made


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hostile objects that die may say so."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    yield
    value_fuzz.LIVE.clear()
    gc.collect()


# ---- any ----


def test_hostile_values_are_written_alike_and_run_nothing() -> None:
    source = random.Random(SEED)
    for number in range(ROUNDS):
        data = source.randbytes(source.choice((10, 50, 200, 600)))
        written = value_fuzz.one_round(both(), data)
        assert decode(written), (SEED, number)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_hostile_values_of_any_bytes_are_written_alike(data: bytes) -> None:
    assert decode(value_fuzz.one_round(both(), data))


def test_a_repr_that_attacks_harms_nothing(encoder: Any) -> None:
    """Asked for, it runs: it empties every container and frees what it can."""
    source = random.Random(SEED)
    for _ in range(ROUNDS):
        written = value_fuzz.one_round(encoder, source.randbytes(200), repr=True)
        assert decode(written)


# ---- half-built ----


HALF_BUILT = [cls for base in value_fuzz.BASES for cls in [base[0]]]


@pytest.mark.parametrize("base", HALF_BUILT, ids=lambda base: base.__name__)
def test_an_instance_whose_init_did_not_run_is_written(
    encoder: Any, base: type
) -> None:
    for cls in (
        base,
        type("Own", (base,), {}),
        type("Slim", (base,), {"__slots__": ()}),
    ):
        try:
            value = base.__new__(cls)
        except TypeError:
            continue  # it cannot be had without arguments
        for how in ("value", "ref", "secret", "exception"):
            (written,) = decode(encoder.encode((value,), how=how, self_fields=True))
            assert type(written) is not tuple or written[0] is not Tag.ERROR


def test_heaps_of_half_built_objects_are_written(encoder: Any) -> None:
    made = []
    for base in [object, dict, list, set, Exception, types.ModuleType]:
        cls = type("Half", (base,), {"__slots__": ("a", "b")})
        made += [base.__new__(cls) for _ in range(1000)]
        made += [base.__new__(base) for _ in range(1000)]
    written = encoder.encode((made,), items=len(made), record_bytes=20_000)
    assert len(written) < 20_000
    assert len(decode(written)) == 1


@with_c
@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_a_tuple_that_is_being_made_has_unbound_members(count: int) -> None:
    """The collector knows of it already. The program itself could not touch it, and so
    cannot the Python core."""
    core = load()
    core.reset(masking.DEFAULT_WORDS, masking.DEFAULT_EXCEPTIONS)
    seen: list[Any] = []

    class Items:
        def __init__(self) -> None:
            self.left = count

        def __length_hint__(self) -> int:
            return count

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> str:
            for each in gc.get_objects():
                if type(each) is tuple and len(each) == count:
                    held = gc.get_referents(each)
                    if held == ["password"] * (count - self.left):
                        for how in ("value", "secret", "ref", "exception"):
                            seen.append(core.encode((each,), how=how))
            if self.left == 0:
                raise StopIteration
            self.left -= 1
            return "password"

    assert tuple(Items()) == ("password",) * count
    values = [value for each in seen for value in decode(each)]
    if sys.version_info < (3, 14):  # there it is a list first
        assert any(
            (Tag.UNBOUND,) in value for value in values if len(value) == count + 1
        )


# ---- changing meanwhile ----


def test_what_other_threads_change_meanwhile_is_written(encoder: Any) -> None:
    things: dict[str, Any] = {
        "list": [], "dict": {}, "set": set(), "bytes": bytearray(), "deque": None,
        "object": types.SimpleNamespace(), "ordered": collections.OrderedDict(),
    }  # fmt: skip
    things["deque"] = collections.deque()
    stop = threading.Event()

    def change(seed: int) -> None:
        source = random.Random(seed)
        while not stop.is_set():
            number = source.randrange(100)
            if number < 2:
                for each in ("list", "dict", "set", "bytes", "deque", "ordered"):
                    things[each].clear()
                things["object"].__dict__.clear()
            things["list"].insert(0, [number])
            things["dict"][str(number)] = {number}
            things["ordered"][number] = (number,)
            things["set"].add((number, "password"))
            things["bytes"] += b"x" * number
            things["deque"].append(number)
            setattr(things["object"], f"field_{number}", "x" * number)
            things["dict"].pop(str(number // 2), None)
            del things["list"][number:]

    threads = [threading.Thread(target=change, args=(n,)) for n in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        end = time.monotonic() + 0.7
        rounds = 0
        while rounds < 4 or time.monotonic() < end:
            for each in (*things.values(), things):
                assert len(decode(encoder.encode((each,), how="value"))) == 1
                assert len(decode(encoder.encode((each,), how="secret"))) == 1
            rounds += 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert encoder.counters()[2] == 0


def test_a_container_met_in_the_middle_of_a_change_is_written(encoder: Any) -> None:
    """By a destructor, a key function, a comparison: they see it as it is then."""
    written: list[Any] = []

    def note(*values: Any) -> None:
        written.extend(decode(encoder.encode(values)))

    class Dying:
        def __del__(self) -> None:
            note(items, table, members, holder)

    class Compared:
        def __init__(self, number: int) -> None:
            self.number = number

        def __hash__(self) -> int:
            note(table, members)
            return 1

        def __eq__(self, other: object) -> bool:
            note(table, members, [self, other])
            return False

    items: list[Any] = [Dying() for _ in range(9)]
    table: dict[Any, Any] = {}
    members: set[Any] = set()
    holder = types.SimpleNamespace(a=Dying(), b=1)
    for number in range(12):
        table[Compared(number)] = Dying()
        members.add(Compared(number))
    items.sort(key=lambda each: note(items) or id(each))
    del items[2:5]
    items[:] = [Dying()]
    items.clear()
    holder.__dict__.clear()
    table.clear()
    members.clear()
    assert len(written) > 100


# ---- huge ----


def test_a_memoryview_of_ten_gigabytes_is_its_length(
    encoder: Any, tmp_path: Path
) -> None:
    size = 10 << 30
    with (tmp_path / "sparse").open("wb+") as file:
        file.truncate(size)
        try:
            mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        except (OSError, OverflowError, ValueError):
            pytest.skip("no room for such a mapping")
        view = memoryview(mapped)
        before = time.process_time()
        for value in (view, view[:: 1 << 20], view.cast("B"), mapped):
            written = encoder.encode(({"body": value, "password": value},))
            assert len(written) < 80
        assert size in decode(encoder.encode((view,)))[0]
        assert time.process_time() - before < 1
        view.release()
        if sys.implementation.name == "cpython":
            assert len(encoder.encode((view,))) < 40
        mapped.close()
        assert len(encoder.encode((mapped,))) < 40


def test_a_number_or_a_text_of_any_size_takes_its_budget_alone(encoder: Any) -> None:
    before = time.process_time()
    values = [10**1_000_000, -(1 << 5_000_000), "x" * 50_000_000, "é" * 20_000_000]
    values += [b"=" * 50_000_000, bytearray(50_000_000), range(10**1_000_000)]
    made_s = time.process_time() - before
    for value in values:
        for how in ("value", "secret", "ref"):
            assert len(encoder.encode((value, [value]), how=how)) < 3 * 1100
    assert time.process_time() - before - made_s < 1.5


def test_lone_surrogates_are_written_wherever_they_stand() -> None:
    text = "\ud800\udfff" * 3 + "a\udc80"
    cls = type("Own", (), {})
    value = cls()
    setattr(value, text, text)
    setattr(value, f"{text}_password", text)
    for each in (
        text,
        [text],
        {text: text},
        value,
        ValueError(text),
        {f"password{text}": text},
    ):
        (written,) = decode(both().encode((each,)))
        assert written
    assert decode(both().encode((f"password={text}",))) == ["password=***"]
