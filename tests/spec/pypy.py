"""What PyPy does not have, or does in its own way: no fault of the Python core's."""

from __future__ import annotations

import sys

import pytest


def not_on_pypy(reason: str) -> pytest.MarkDecorator:
    """The test is of a fact of CPython's, for this reason."""
    return pytest.mark.skipif(
        sys.implementation.name == "pypy", reason=f"PyPy: {reason}"
    )
