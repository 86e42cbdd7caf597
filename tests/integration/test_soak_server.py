"""A recorded server under load: a little of ``make soak-server``."""

from __future__ import annotations

from tools import soak_server


def test_a_server_loses_nothing_and_its_segments_rotate(core, tmp_path):
    """In seconds memory is still warming up: the minutes of the target judge it."""
    found = soak_server.run(tmp_path, 3, core, grows_kib=16 * 1024)
    assert found["requests"] > 50
    assert found["calls"] > 100  # of the requests that the store's bound has left
    assert found["short programs kept"] <= 2
    if core == "c":  # fast enough for more than one
        assert found["segments that one program wrote"] > 1


def test_what_a_server_loses_or_gains_is_told(tmp_path):
    """Memory that grows, and a request that nobody asked for."""
    early, late = [(10_000, 10)] * 5, [(13_000, 10)] * 5
    for samples in (early + late, [(10_000, 10)] * 9 + [(10_000, 99)]):
        try:
            soak_server._compare(samples, soak_server.Counter(), 2048)
        except soak_server.Grown:
            continue
        raise AssertionError(samples)
