"""Many processes at once in one store, while others read: a little of `make crowd`."""

from __future__ import annotations

from tools import crowd


def test_nobody_waits_for_another_process_and_each_trace_is_complete(core, tmp_path):
    """Not for one that was killed, nor for one that was stopped with what it held."""
    found = crowd.run(tmp_path, 6, 60, core)
    assert found["traces"] == 7 * 60 + 31
    assert (found["processes complete"], found["processes interrupted"]) == (7, 1)
    assert found["commands"] >= 2
