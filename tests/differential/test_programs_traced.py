"""Generated programs under the tracer: they cannot tell, and show every record."""

from __future__ import annotations

import os
import sys

import pytest

from kolo_c.core import choose_core
from kolo_c.hook import NAMES, choose_hook
from kolo_c.validate.generate import ENOUGH, expected_kinds, expected_tags, generate
from tests.differential.batch import Batch, differences

VERSION = sys.version_info[:2]
LONG = os.environ.get("KOLO_C_TEST_LONG", "0") not in ("", "0")


def _have(core: str, hook: str) -> None:
    for choice in (choose_core(core), choose_hook(hook, core)):
        if not choice.name:
            pytest.skip(choice.reason)


def usual(hook: str) -> None:
    """The step `programs` compares all hooks of the C core, and the kinds they tell."""
    if not LONG and hook != choose_hook("auto", "c").name:
        pytest.skip("not the usual hook; with KOLO_C_TEST_LONG=1")


@pytest.mark.parametrize("hook", NAMES)
@pytest.mark.slow
def test_programs_cannot_tell_and_every_kind_of_record_is_seen(
    hook: str, tmp_path
) -> None:
    """In the C core; what both cores write, and what its hooks, is compared elsewhere."""
    _have("c", hook)
    usual(hook)
    batch = Batch(tmp_path, [generate(seed) for seed in range(ENOUGH)])
    assert differences(batch.run(), batch.trace("c", hook)) == []
    kinds, tags = batch.check()
    assert expected_kinds(VERSION, hook) - set(kinds) == set()
    assert expected_tags() - set(tags) == set()


@pytest.mark.parametrize("hook", NAMES)
def test_a_few_programs_cannot_tell_in_either_core(
    core: str, hook: str, tmp_path
) -> None:
    _have(core, hook)
    batch = Batch(tmp_path, [generate(seed) for seed in range(5000, 5008)])
    assert differences(batch.run(), batch.trace(core, hook)) == []
    batch.check()
