"""tests/programs/shop as it is, recorded by nobody: what is seen with us is compared to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("django")

SHOP = Path(__file__).parent.parent / "programs" / "shop"


def run(*words: str) -> str:
    """A Python command in the shop's folder; its output."""
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=SHOP,
        env={k: v for k, v in os.environ.items() if not k.startswith("SHOP_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def test_the_shop_s_own_tests_pass_with_pytest() -> None:
    assert "65 passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider")


def test_the_shop_s_own_tests_pass_with_django_s_runner() -> None:
    assert "Ran 54 tests" in run("manage.py", "test")


def test_the_shop_s_migrations_are_those_of_its_models() -> None:
    run("manage.py", "makemigrations", "--check", "--dry-run")
