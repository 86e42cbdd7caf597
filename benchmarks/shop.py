"""tests/programs/shop, copied and filled: what a benchmark asks for pages.

Threads: any. Owns: nothing. Fails: ProgramError, where the shop cannot be prepared.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.machine import ROOT
from benchmarks.programs import ProgramError

SHOP = ROOT / "tests" / "programs" / "shop"
NEEDED = ("django", "rest_framework", "celery", "httpx", "requests")


def missing(*more: str) -> str:
    """Why the shop cannot be had; empty where it can."""
    names = [
        name for name in (*NEEDED, *more) if importlib.util.find_spec(name) is None
    ]
    if not names:
        return ""
    return f"not installed: {', '.join(names)} (the extra integrations)"


def copy_shop(folder: Path) -> tuple[Path, dict[str, str]]:
    """Where it is now, with a filled database; and what it has to be told."""
    project = folder / "shop"
    ignored = shutil.ignore_patterns("__pycache__", "*.sqlite3*", "media", ".kolo_c")
    shutil.copytree(SHOP, project, ignore=ignored)
    told = {
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "SHOP_DATABASE": "sqlite",
        "SHOP_DATABASE_NAME": str(folder / "shop.sqlite3"),
        "SHOP_MEDIA": str(folder / "media"),
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "seed", "--migrate"],
        cwd=project,
        env=environment(told),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ProgramError(f"manage.py seed: {done.stdout}{done.stderr}")
    return project, told


def environment(told: dict[str, str]) -> dict[str, str]:
    """A process's, with what the shop is told and nothing that was meant for others."""
    ours = ("KOLO_C", "SHOP_", "DJANGO_", "PYTHONDONTWRITEBYTECODE")
    found = {
        name: value for name, value in os.environ.items() if not name.startswith(ours)
    }
    return {**found, "PYTHONPATH": str(ROOT), **told}
