"""The bounds of a store hold while a program runs, and nothing waits for it."""

from __future__ import annotations

import json
import os
import time

import pytest

from kolo_c.store.marks import PINS, put_mark
from kolo_c.store.reader import Store
from tests.spec.tracing import trace_program
from tools.many_traces import make_segments

MEBIBYTE = 1 << 20
ENDLESS = """
    import os, kolo_c
    def work(text): return len(text)
    for number in range(400):
        with kolo_c.trace(f'turn {number}', boundary=True):
            for _ in range(20): work([os.urandom(500).hex() for _ in range(7)])
    """
WAITS = """
    import json, os, sys, time
    def f(n): return n
    began = time.monotonic()
    worst, n, most = 0, 0, int(sys.argv[1])
    while time.monotonic() - began < 20:
        at = time.monotonic()
        f(n)
        worst, n = max(worst, time.monotonic() - at), n + 1
        if n % 20 == 0:
            time.sleep(0.02)
            if len(os.listdir('.kolo_c/segments')) < most: break
    print(json.dumps({'worst': worst, 'took': time.monotonic() - began}))
    """


@pytest.mark.parametrize("core", ["c"], indirect=True)
def test_a_program_that_never_ends_lets_its_oldest_segments_go(core, tmp_path):
    """Its newest traces are whole, and lists and views work; a segment that has gone
    takes its traces along."""
    traced = trace_program(
        tmp_path / "project", core, "auto", ENDLESS,
        config={
            "segment_max_bytes": MEBIBYTE, "max_bytes": 8 * MEBIBYTE,
            "free_disk_min_bytes": 0,
        },
    )  # fmt: skip
    segments = sorted(
        int(path.stem.rpartition("-")[2]) for path in traced.store.glob("segments/*.db")
    )
    assert segments[0] > 0 and segments[-1] > 15, "it has rotated, and let go"
    size = sum(path.stat().st_size for path in traced.store.glob("segments/*"))
    assert size < 16 * MEBIBYTE
    with Store(traced.store) as store:
        newest = next(info for info in store.traces() if info.row.name == "turn 399")
        assert newest.status == "complete"
        assert newest.count("lost") == 0
        trace = store.trace(newest.id)
        assert trace.damage == []
        calls = [r for s in trace.streams for r in s.records()]
        assert len(calls) >= 2 * 20
        gone = [info for info in store.traces() if info.removed]
        assert gone, "rows of the newest thousand traces go along, their calls do not"
        assert all(info.nodes + info.removed == info.calls for info in gone)
        whole = [info for info in store.traces() if not info.removed]
        assert all(info.nodes >= info.calls for info in whole if info.row.ended_ns)


@pytest.mark.parametrize("core", ["c"], indirect=True)
def test_thousands_of_tiny_segments_go_in_the_background(core, tmp_path):
    """The oldest first, those of pinned traces and of the living stay."""
    project = tmp_path / "project"
    store = project / ".kolo_c"
    names = make_segments(store, 4_000, size=1_000)
    pinned, owned = names[0], names[1]
    put_mark(store, PINS, ("trc_" + pinned, pinned))
    (store / "segments" / f"{owned}.map").touch()
    began = time.monotonic()
    traced = trace_program(
        project, core, "auto", WAITS, "1500", clean=False,
        config={"max_bytes": MEBIBYTE, "free_disk_min_bytes": 0},
    )  # fmt: skip
    said = json.loads(traced.stdout)
    assert said["took"] < 15
    assert said["worst"] < 1
    assert time.monotonic() - began < 25
    left = {path.name for path in (store / "segments").glob("*.db")}
    assert f"{pinned}-0.db" in left
    assert f"{owned}-0.db" in left
    assert f"{names[2]}-0.db" not in left
    assert f"{names[-1]}-0.db" in left
    assert os.path.getsize(store / "segments" / f"{names[-1]}-0.db") == 1_000


@pytest.mark.parametrize("core", ["c"], indirect=True)
def test_segments_of_a_store_with_many_go_when_they_are_old(core, tmp_path):
    project = tmp_path / "project"
    store = project / ".kolo_c"
    names = make_segments(store, 1_500, size=10)
    for name in names[1000:]:
        os.utime(store / "segments" / f"{name}-0.db", (10**9, 10**9))
    trace_program(project, core, "auto", WAITS, "1010", clean=False)
    left = {path.name[:26] for path in (store / "segments").glob("01K*.db")}
    assert left == set(names[:1000])
