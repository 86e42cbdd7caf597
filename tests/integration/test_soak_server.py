"""A recorded server under load: a little of ``make soak-server``."""

from __future__ import annotations

import pytest

from tools import soak_server


def test_a_server_loses_nothing_and_its_segments_rotate(core, tmp_path):
    """In seconds memory is still warming up: the minutes of the target judge it."""
    found = soak_server.run(tmp_path, 3, core, grows_kib=16 * 1024)
    assert found["requests"] > 50
    assert found["calls"] > 100  # of the requests that the store's bound has left
    assert found["short programs kept"] <= 2
    if core == "c":  # fast enough for more than one
        assert found["segments that one program wrote"] > 1


def test_what_a_server_gains_is_told():
    """Memory that grows, and files that stay open."""
    grows = [(10_000, 10)] * 5 + [(13_000, 10)] * 5
    leaks = [(10_000, 10 + number) for number in range(20)]
    for samples in (grows, leaks):
        with pytest.raises(soak_server.Grown):
            soak_server._compare(samples, soak_server.Counter(), 2048)


def test_what_a_rotation_has_open_is_no_leak():
    """At the end of a short soak it may be what the last samples see."""
    samples = [(10_000, 11)] * 25 + [(10_000, 19)] * 3
    found = soak_server.Counter()
    soak_server._compare(samples, found, 2048)
    assert found["files open late"] == 11
