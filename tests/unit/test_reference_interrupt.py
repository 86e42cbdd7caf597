"""An event of a thread whose blocks another thread hands over."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

from kolo_c.reference import interrupt
from kolo_c.reference.thread import GUARD_FLUSH, GUARD_FREE


def thread_with(guard: int) -> Any:
    session = SimpleNamespace(lock=threading.RLock(), wait_max_ns=0)
    return SimpleNamespace(session=session, guard=guard)


def test_an_event_waits_until_the_blocks_are_handed_over() -> None:
    """Who does so waits for the writer without the lock."""
    thread = thread_with(GUARD_FLUSH)
    began = time.monotonic()
    timer = threading.Timer(0.1, setattr, (thread, "guard", GUARD_FREE))
    timer.start()
    assert interrupt.enter(thread, held=False)
    assert time.monotonic() - began >= 0.09
    assert interrupt.is_owned(thread.session)
    timer.join()


def test_an_event_waits_no_longer_than_it_may() -> None:
    thread = thread_with(GUARD_FLUSH)
    began = time.monotonic()
    assert not interrupt.enter(thread, held=False)
    assert 0.9 <= time.monotonic() - began < 10
    assert not interrupt.is_owned(thread.session)


def test_what_strikes_while_a_thread_hands_over_its_own_blocks_does_not_wait() -> None:
    thread = thread_with(GUARD_FLUSH)
    with thread.session.lock:
        assert interrupt.enter(thread, held=True)
        thread.session.lock.release()
