"""Forks in the middle of a busy writer: some of the thousand of `make forks`."""

from __future__ import annotations

import pytest

from tools import forks


@pytest.mark.parametrize("threads", [0, 2])
def test_a_fork_while_the_writer_is_busy_gives_two_whole_traces(
    core, tmp_path, threads
):
    """Whatever Python other libraries run in it; without a deadlock or a warning."""
    if core == "python" and threads:
        pytest.skip("its threads may keep the one that forks waiting without end")
    count = 20 if core == "c" else 5
    assert forks.run(tmp_path, threads, count, threads, core)["children"] == count
