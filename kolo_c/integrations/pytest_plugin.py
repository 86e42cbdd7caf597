"""The pytest plugin: a trace for each test, where ``--kolo-c`` asks for it.

pytest imports this module in every run, so it brings in nothing but what it is made
of; the rest is in pytest_tracing.py, and comes with the first test run that asks.

Threads: the main one. Owns: nothing.
Fails: pytest.UsageError where tests are to be recorded and cannot be.
"""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.within import CurrentTrace

_MARKER = (
    "kolo_c(enabled=True, *, include_frames, ignore_frames): how --kolo-c records this "
    "test; False: it does not."
)
_OPTIONS = (
    ("kolo_c", "bool", "record a trace of each test"),
    ("kolo_c_only_failed", "bool", "store the traces of failed tests alone"),
    ("kolo_c_slowest", "string", "store the traces of the N slowest tests alone"),
    ("kolo_c_out", "string", "write each stored trace to a file in DIR, for CI"),
)
_VALUES = {"kolo_c_slowest": "N", "kolo_c_out": "DIR"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--kolo-c`` and the others, and settings of the same names in the ini file."""
    group = parser.getgroup("kolo_c", "record tests (kolo_c)")
    for name, kind, text in _OPTIONS:
        option = "--" + name.replace("_", "-")
        setting = f"the default of {option}"
        if kind == "bool":
            group.addoption(option, action="store_true", default=None, help=text)
            parser.addini(name, setting, type="bool", default=False)
        else:
            metavar = _VALUES[name]
            group.addoption(option, metavar=metavar, default=None, help=text)
            parser.addini(name, setting, default="")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin to record, where that is asked for."""
    config.addinivalue_line("markers", _MARKER)
    asked = {name: _asked(config, name) for name, _, _ in _OPTIONS}
    if any(asked.values()) and not config.option.collectonly:
        from kolo_c.quick_import import SESSION, bring_in  # noqa: PLC0415 - only then

        bring_in(SESSION)
        from kolo_c.integrations.pytest_tracing import begin  # noqa: PLC0415

        begin(config, asked)


def _asked(config: pytest.Config, name: str) -> object:
    given = config.getoption(name)
    return config.getini(name) if given is None else given


@pytest.fixture
def kolo_c_trace() -> CurrentTrace:
    """The trace of this test: ``.id``, ``.name``, ``.set(customer=42)``.

    Where the test is not recorded it is false, and does nothing.
    """
    from kolo_c.within import current  # noqa: PLC0415 - tests that ask for it

    return current()
