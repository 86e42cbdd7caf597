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
from typing import Any

from benchmarks.machine import ROOT
from benchmarks.programs import ProgramError
from kolo_c.store.reader import Store

SHOP = ROOT / "tests" / "programs" / "shop"
CALLS_LEAST = 150
"""Of the project's own, in each trace of its page."""
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


def enter(project: str, told: dict[str, str]) -> None:
    """Let this process be the project's, with Django set up."""
    os.environ.update(told)
    os.chdir(project)
    sys.path.insert(0, project)
    django: Any = importlib.import_module("django")
    django.setup()


def objection(store: Path, path: str, asked: int) -> str:
    """Why ``asked`` requests for ``path`` were not recorded whole; else empty."""
    with Store(store) as opened:
        infos = opened.traces()
        pages = [
            info
            for info in infos
            if info.row.kind == "request" and path in info.row.name
        ]
        complete = sum(info.status == "complete" for info in pages)
        lost = sum(info.count("lost") for info in infos)
        fewest = min((info.calls for info in pages), default=0)
    if complete != asked:
        return f"{complete} of {asked} requests have a complete trace of their own"
    if lost:
        return f"{lost} records were lost"
    return f"a page has {fewest} calls" if fewest < CALLS_LEAST else ""


def environment(told: dict[str, str]) -> dict[str, str]:
    """A process's, with what the shop is told and nothing that was meant for others."""
    ours = ("KOLO_C", "SHOP_", "DJANGO_", "PYTHONDONTWRITEBYTECODE")
    found = {
        name: value for name, value in os.environ.items() if not name.startswith(ours)
    }
    return {**found, "PYTHONPATH": str(ROOT), **told}
