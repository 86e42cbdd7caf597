"""What every test may ask for: a core, and a way to trace a program with it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kolo_c.core import choose_core
from tests.spec.tracing import Traced, close_stores, trace_program


@pytest.fixture(params=["c", "python"])
def core(request: pytest.FixtureRequest) -> str:
    """Each test that asks for a core runs on all that are there."""
    name: str = request.param
    choice = choose_core(name)
    if not choice.name:
        pytest.skip(f"no {name} core: {choice.reason}")
    return name


@pytest.fixture
def trace(core: str, tmp_path: Path) -> Callable[..., Traced]:
    """``trace(source, *arguments, config={…})``: run a program and read its trace."""
    return functools.partial(trace_program, tmp_path / "project", core)


@pytest.fixture(autouse=True)
def _closed_stores() -> Iterator[None]:
    """Stores that a test read are closed when it ends."""
    yield
    close_stores()
