"""``kolo-c doctor``: what is installed, and what would stop tracing here.

Threads: the main one. Owns: nothing. Fails: never: what cannot be found out is an item
of the list.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kolo_c import switch
from kolo_c._version import __version__
from kolo_c.cli.findings import (
    INFO,
    OK,
    PROBLEM,
    WARNING,
    Finding,
    print_findings,
)
from kolo_c.cli.options import add_config_options, load_config
from kolo_c.cli.reading import add_store_option, open_store
from kolo_c.config import Loaded
from kolo_c.core import choose_core
from kolo_c.core_options import unseen
from kolo_c.errors import KoloError
from kolo_c.extension import is_free_threaded
from kolo_c.filter import Filter
from kolo_c.hook import choose_hook
from kolo_c.project import Project, why_not_writable
from kolo_c.settings import format_size
from kolo_c.tool_environment import how_to_leave, owner_of_environment

# sqlite.org/wal.html: a checkpoint of one connection beside a write of another could
# corrupt the file. One writer per segment keeps out of its way.
_WAL_RESET_FIRST = (3, 7, 0)
_WAL_RESET_LAST = (3, 51, 2)
_FIRST_PYTHON, _LAST_PYTHON = (3, 10), (3, 15)
_TOOLS = (
    "coverage",
    "ddtrace",
    "newrelic",
    "scalene",
    "sentry_sdk",
    "viztracer",
    "yappi",
)


class Doctor:
    """Say what is installed, and what would stop tracing here.

    Ends with 1 where something would stop it. Looks at this process alone: a program
    may bring a profiler of its own, and its trace then says so. With --trace it says
    what that trace lacks, why, and what it cost, with --store what is wrong with the
    store's files, and what of them kolo-c recover can save.
    """

    name = "doctor"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "--trace",
            nargs="?",
            const="",
            metavar="TRACE",
            help="Look at this trace instead (without TRACE: at the newest).",
        )
        parser.add_argument(
            "--store",
            action="store_true",
            help="Check every file of the store instead, and say what can be saved.",
        )
        add_store_option(parser)
        parser.add_argument("--json", action="store_true", help="Print JSON.")
        add_config_options(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Look, and tell."""
        if args.store:
            from kolo_c.cli.doctor_store import look_at_store  # noqa: PLC0415

            return look_at_store(args)
        if args.trace is not None or args.db is not None:
            return _look_at_trace(args)
        project, loaded = load_config(args, None)
        findings = [
            *_versions(loaded),
            _switch(),
            *_project(project, loaded),
            *_others(),
        ]
        stopped = any(finding.level == PROBLEM for finding in findings)
        if args.json:
            print(json.dumps(_as_json(findings, project, stopped), indent=2))
            return int(stopped)
        print_findings(findings)
        print()
        if stopped:
            print(
                "Something stops tracing here: see the lines that begin with problem."
            )
        else:
            print("Nothing stops tracing here.")
        return int(stopped)


def _look_at_trace(args: argparse.Namespace) -> int:
    # These read traces: heavier.
    from kolo_c.cli.doctor_plugins import plugin_costs  # noqa: PLC0415
    from kolo_c.cli.doctor_trace import trace_findings  # noqa: PLC0415

    with open_store(db=args.db) as store:
        trace = store.trace(args.trace or None)
        findings = list(trace_findings(trace))
        plugins = [cost._asdict() for cost in plugin_costs(trace)[0]]
    if args.json:
        rows = [finding._asdict() for finding in findings]
        answer = {"id": trace.id, "findings": rows, "plugins": plugins}
        print(json.dumps(answer, indent=2))
    else:
        print_findings(findings)
    return int(any(finding.level == PROBLEM for finding in findings))


def _as_json(
    findings: list[Finding], project: Project, stopped: bool
) -> dict[str, Any]:
    return {
        "works": not stopped,
        "version": __version__,
        "python": platform.python_version(),
        "root": str(project.root),
        "store": str(project.store),
        "findings": [finding._asdict() for finding in findings],
    }


def _versions(loaded: Loaded) -> Iterator[Finding]:
    yield Finding(OK, "kolo_c", f"{__version__} in {os.path.dirname(__file__)[:-4]}")
    running = sys.version_info[:2]
    build = "free-threaded, " if is_free_threaded() else ""
    text = f"{platform.python_version()} ({build}{platform.python_implementation()})"
    if _FIRST_PYTHON <= running <= _LAST_PYTHON:
        yield Finding(OK, "Python", f"{text}, {sys.executable}")
    else:
        yield Finding(WARNING, "Python", f"{text} is not a version that was tested")
    tool = owner_of_environment()
    if tool:
        yield Finding(
            WARNING,
            "environment",
            f"{sys.prefix}, which {tool} made for kolo-c alone: a program that it runs "
            "finds its own packages missing",
            how_to_leave(tool),
        )
    choice = choose_core(loaded.config.core)
    if choice.name:
        yield Finding(OK, "core", f"{choice.name}: {choice.reason}")
        if choice.name == "c":
            yield from _extension_versions()
    else:
        yield Finding(
            PROBLEM,
            "core",
            choice.reason,
            "kolo-c run says what to install; KOLO_C_CORE and core choose another.",
        )
    hook = choose_hook(loaded.config.hook, choice.name or "python")
    if hook.name:
        yield Finding(OK, "hook", f"{hook.name}: {hook.reason}")
        for text in unseen(loaded.config, hook.name):
            yield Finding(WARNING, "exceptions", text)
    else:
        hint = 'Set hook = "auto" (KOLO_C_HOOK=auto), which takes what there is.'
        yield Finding(PROBLEM, "hook", hook.reason, hint)
    try:
        import sqlite3  # noqa: PLC0415 - a Python may be built without it
    except ImportError as error:
        text = f"none ({error}): the extension brings its own"
        yield Finding(INFO, "SQLite of Python", text)
    else:
        yield _sqlite("SQLite of Python", sqlite3.sqlite_version)


def _extension_versions() -> Iterator[Finding]:
    extension = importlib.import_module("kolo_c._kolo")
    # The tracer writes with the SQLite that it is linked to, not with Python's.
    version = getattr(extension, "sqlite_version", None)
    version = version() if callable(version) else version
    if isinstance(version, str):
        yield _sqlite("SQLite of the core", version)


def _switch() -> Finding:
    """What the one variable says that switches recording on, or everything off."""
    topic = switch.VARIABLE
    if switch.is_off():
        return Finding(
            WARNING, topic, switch.OFF_HINT, "Unset it, or set it to 1, to record."
        )
    if switch.problem():
        return Finding(WARNING, topic, switch.problem())
    if not switch.is_on():
        text = f"not set: {topic}=1 records each Python process from its start"
        return Finding(INFO, topic, text)
    if "kolo_c.integrations.startup" in sys.modules:
        text = f"{os.environ[topic]}: each Python process is recorded from its start"
        return Finding(OK, topic, text)
    return Finding(
        WARNING,
        topic,
        f"{os.environ[topic]}, but this Python has no kolo_c.pth that would see it",
        "Install kolo-c with pip into this Python; PYTHONPATH alone does not do.",
    )


def _sqlite(topic: str, version: str) -> Finding:
    numbers = tuple(int(part) for part in version.split(".")[:3])
    if _WAL_RESET_FIRST <= numbers <= _WAL_RESET_LAST:
        return Finding(
            INFO,
            topic,
            f"{version}, which has the WAL-reset bug (3.7.0 to 3.51.2)",
            "kolo_c keeps clear of it: one process writes a segment, and alone "
            "checkpoints it.",
        )
    return Finding(OK, topic, version)


def _project(project: Project, loaded: Loaded) -> Iterator[Finding]:
    yield Finding(OK, "root", f"{project.root}: {project.reason}")
    for problem in loaded.problems:
        yield Finding(
            PROBLEM, "settings", str(problem), "kolo-c config prints what holds."
        )
    try:
        chosen = Filter(loaded.config, project, loaded.origins)
    except KoloError as error:
        yield Finding(PROBLEM, "filters", error.message, error.hint)
    else:
        for text in chosen.problems:
            yield Finding(WARNING, "filters", text)
    yield from _store(project, loaded)


def _store(project: Project, loaded: Loaded) -> Iterator[Finding]:
    reason = why_not_writable(project.store)
    if reason:
        yield Finding(
            PROBLEM,
            "store",
            f"{project.store} {reason}",
            "Make it writable, or set KOLO_C_PATH to a folder that is.",
        )
    else:
        exists = "" if os.path.exists(project.store) else " (made when first needed)"
        yield Finding(OK, "store", f"{project.store}, writable{exists}")
    for note in project.notes:
        yield Finding(WARNING, "store", note)
    folder = Path(project.store)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Finding(WARNING, "disk", f"free space is not known: {error}")
        return
    least = loaded.config.free_disk_min_bytes
    text = f"{free / (1 << 30):.1f} GiB free"
    if free < least:
        yield Finding(
            PROBLEM,
            "disk",
            f"{text}, less than free_disk_min_bytes ({format_size(least)})",
            "Make room, lower free_disk_min_bytes, or set KOLO_C_PATH to another disk.",
        )
    else:
        yield Finding(OK, "disk", text)


def _others() -> Iterator[Finding]:
    """Whatever else watches this process, and what programs here might bring."""
    profiler = sys.getprofile()
    if profiler is not None:
        yield Finding(
            PROBLEM,
            "profiler",
            f"{_name_of(profiler)} is installed with sys.setprofile",
            "Stop it: two profilers cannot share a thread.",
        )
    tracer = sys.gettrace()
    if tracer is not None:
        yield Finding(
            INFO,
            "debugger",
            f"{_name_of(tracer)} is installed with sys.settrace",
            "Both work side by side; times are longer.",
        )
    if sys.version_info >= (3, 12):
        for number in range(6):
            tool = sys.monitoring.get_tool(number)
            if tool:
                yield Finding(INFO, "monitoring", f"tool {number} is {tool}")
    found = [name for name in _TOOLS if _is_installed(name)]
    if found:
        yield Finding(
            INFO,
            "tools",
            f"installed: {', '.join(found)}",
            "Those that set a profiler while a program runs blind the trace for as "
            "long; the trace marks it.",
        )


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _name_of(function: object) -> str:
    module = getattr(function, "__module__", None) or type(function).__module__
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{module}.{name}"


COMMAND = Doctor()
