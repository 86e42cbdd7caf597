"""Where a result comes from: machine, interpreter, versions.

Threads: any. Owns: nothing. Fails: never; what is not known is an empty text.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

from kolo_c import _kolo
from kolo_c._version import __version__
from kolo_c.process_info import git_commit

ROOT = Path(__file__).resolve().parent.parent


def describe() -> dict[str, Any]:
    """What stands above the rows of every result."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "load": round(os.getloadavg()[0], 2),
        },
        "python": {
            "version": platform.python_version(),
            "build": build(),
            "compiler": platform.python_compiler(),
        },
        "kolo_c": __version__,
        "commit": git_commit(ROOT) or "",
        "clock": _kolo.clock()["source"],
        "sqlite": sqlite3.sqlite_version,
    }


def build() -> str:
    """Whether the interpreter is one that a distribution would ship."""
    flags = _flags()
    words = []
    if "--enable-optimizations" in flags or "-fprofile-use" in flags:
        words.append("PGO")
    if "--with-lto" in flags or "-flto" in flags:
        words.append("LTO")
    if hasattr(sys, "gettotalrefcount"):
        return "debug"
    if not words and _is_of_debian():
        words = ["PGO", "LTO"]
    return " and ".join(words) or "plain (no PGO)"


def _flags() -> str:
    names = ("CONFIG_ARGS", "PY_CFLAGS", "PY_CORE_CFLAGS")
    return " ".join(str(sysconfig.get_config_var(name) or "") for name in names)


def _is_of_debian() -> bool:
    """Debian's are built with both, by other means than those of ``configure``."""
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        return False
    like = {system.get("ID", ""), *system.get("ID_LIKE", "").split()}
    return "debian" in like and sys.base_prefix == "/usr"


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor()
