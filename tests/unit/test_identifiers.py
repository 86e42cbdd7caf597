"""Identifiers are made wherever somebody asks, and no two are alike."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from kolo_c import identifiers
from kolo_c.identifiers import ulid

with_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@pytest.fixture
def in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there is no extension."""
    monkeypatch.setitem(sys.modules, "kolo_c._kolo", None)


@pytest.fixture
def extension() -> Any:
    return pytest.importorskip("kolo_c._kolo")


@pytest.fixture(params=["extension", "in_python"])
def either(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(request.param)


def in_child(function: Callable[[], str]) -> str:
    """What it gives in a forked child; empty where that does not come to its end."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(3)
        os.write(writer, function().encode())
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="ascii") as pipe:
        given = pipe.read()
    os.waitpid(child, 0)
    return given


@pytest.mark.usefixtures("either")
def test_they_sort_in_the_order_in_which_they_were_made() -> None:
    made = [ulid() for _ in range(1000)]
    assert made == sorted(set(made))
    assert {len(each) for each in made} == {26}


@pytest.mark.usefixtures("either")
def test_one_begins_with_the_time() -> None:
    number = 0
    before = time.time_ns() // 1_000_000
    for letter in ulid()[:10]:
        number = number << 5 | ALPHABET.index(letter)
    # One that was made just before may have been put into the next millisecond.
    assert before <= number <= time.time_ns() // 1_000_000 + 1


def test_the_extension_goes_on_where_python_was(
    extension: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "kolo_c._kolo", None)
        before = [ulid() for _ in range(1000)]
    assert before[-1] < ulid()


@with_fork
@pytest.mark.usefixtures("in_python")
def test_a_child_forked_while_another_thread_makes_one_gets_its_own() -> None:
    """It waited for ever for a thread that was not there."""
    held, over = threading.Event(), threading.Event()
    ulid()

    def hold() -> None:
        with identifiers._lock:
            held.set()
            over.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    given = in_child(ulid)
    over.set()
    thread.join()
    assert len(given) == 26


@with_fork
@pytest.mark.usefixtures("in_python")
def test_a_parent_and_its_child_never_make_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both went on with the last one plus one: within a millisecond, or for as long as
    the clock was behind it."""
    ulid()
    monkeypatch.setattr(identifiers, "_last", identifiers._last + (1 << 100))
    assert in_child(ulid) != ulid()


@pytest.mark.usefixtures("in_python")
def test_a_handler_that_runs_while_one_is_made_gets_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A signal's, on the same thread."""
    made: list[str] = []
    urandom = os.urandom
    ulid()

    def interrupted(count: int) -> bytes:
        monkeypatch.setattr(os, "urandom", urandom)
        made.append(ulid())
        return urandom(count)

    monkeypatch.setattr(os, "urandom", interrupted)
    monkeypatch.setattr(identifiers, "_random", b"")
    monkeypatch.setattr(identifiers, "_random_at", 0)
    thread = threading.Thread(target=lambda: made.append(ulid()), daemon=True)
    thread.start()
    thread.join(5)
    assert len(set(made)) == 2 and made == sorted(made)


@with_fork
def test_a_child_of_the_extension_s_goes_on_otherwise(extension: Any) -> None:
    ulid()
    assert in_child(ulid)[10:] != ulid()[10:]
