"""Identifiers are made wherever somebody asks, and no two are alike."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest

from kolo_c import identifiers
from kolo_c.identifiers import ulid

with_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


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


def test_they_sort_in_the_order_in_which_they_were_made() -> None:
    made = [ulid() for _ in range(1000)]
    assert made == sorted(set(made))
    assert {len(each) for each in made} == {26}


@with_fork
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
def test_a_parent_and_its_child_never_make_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both went on with the last one plus one: within a millisecond, or for as long as
    the clock was behind it."""
    ulid()
    monkeypatch.setattr(identifiers, "_last", identifiers._last + (1 << 100))
    assert in_child(ulid) != ulid()


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
