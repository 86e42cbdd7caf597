"""Programs that are killed at random instants: fifty of the thousand of `make deaths`."""

from __future__ import annotations

import pytest

from tools import deaths

# Of eventlet, where another test has imported it: of the forks that recover.
pytestmark = pytest.mark.filterwarnings("ignore:Using fork:DeprecationWarning")


@pytest.mark.parametrize("core", ["c"], indirect=True)
@pytest.mark.parametrize("seed", range(7))
@pytest.mark.parametrize("kind", deaths.PROGRAMS)
def test_what_a_killed_program_announced_is_there_once(core, tmp_path, kind, seed):
    """Whether it was starting, busy, rotating, ending, forking or being recovered."""
    assert deaths.run(kind, seed, tmp_path, core)[kind] == 1


@pytest.mark.parametrize("core", ["python"], indirect=True)
@pytest.mark.parametrize("kind", deaths.PROGRAMS)
def test_so_it_is_with_the_python_core(core, tmp_path, kind):
    assert deaths.run(kind, 0, tmp_path, core)[kind] == 1
