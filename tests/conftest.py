"""What every test may ask for: a core, and a way to trace a program with it."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kolo_c.core import choose_core
from kolo_c.hook import NAMES, choose_hook
from tests.servers import (  # noqa: F401 -- fixtures
    http_server,
    mail_server,
    mariadb_server,
    memcached_server,
    postgresql_server,
    redis_server,
)
from tests.spec.tracing import Traced, close_stores, trace_program


def pytest_addoption(parser: pytest.Parser) -> None:
    """For runs that look at C alone: sanitizers, valgrind."""
    parser.addoption("--core", choices=["c", "python"], help="tests of this core alone")
    parser.addoption(
        "--hook", choices=[*NAMES, "auto"], help="with this hook alone; auto: the usual"
    )


def pytest_configure() -> None:
    """Signals have their defaults, here and in what tests start, as in a terminal.

    A shell that is not interactive starts what follows an ``&`` with SIGINT and SIGQUIT
    ignored, nohup does it to SIGHUP, and others to whatever they like. That is
    inherited by every program, and a Python then installs no handler of its own.
    """
    # Python itself ignores these two, and subprocess gives children the default again.
    own = {signal.SIGPIPE, signal.SIGXFSZ}
    for number in signal.valid_signals() - own:
        if signal.getsignal(number) is signal.SIG_IGN:
            interrupt = number == signal.SIGINT
            signal.signal(
                number, signal.default_int_handler if interrupt else signal.SIG_DFL
            )
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


@pytest.fixture(params=["c", "python"])
def core(request: pytest.FixtureRequest) -> str:
    """Each test that asks for a core runs on all that are there."""
    name: str = request.param
    if request.config.getoption("--core") not in (None, name):
        pytest.skip("--core asks for the other one")
    choice = choose_core(name)
    if not choice.name:
        pytest.skip(f"no {name} core: {choice.reason}")
    return name


@pytest.fixture(params=NAMES)
def hook(request: pytest.FixtureRequest, core: str) -> str:
    """Each test that asks for a hook runs with all that this Python has."""
    name: str = request.param
    marker = request.node.get_closest_marker("hooks")
    if marker is not None and name not in marker.args:
        pytest.skip(f"not a fact of the {name} hook")
    asked = request.config.getoption("--hook")
    if asked == "auto":
        asked = choose_hook("auto", core).name
    if asked not in (None, name):
        pytest.skip("--hook asks for another one")
    choice = choose_hook(name, core)
    if not choice.name:
        pytest.skip(f"no {name} hook: {choice.reason}")
    return name


@pytest.fixture
def trace(core: str, hook: str, tmp_path: Path) -> Callable[..., Traced]:
    """``trace(source, *arguments, config={…})``: run a program and read its trace."""
    return functools.partial(trace_program, tmp_path / "project", core, hook)


@pytest.fixture(autouse=True)
def _closed_stores() -> Iterator[None]:
    """Stores that a test read are closed when it ends."""
    yield
    close_stores()
