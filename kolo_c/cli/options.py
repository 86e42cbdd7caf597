"""Options that several commands have: those that stand for settings.

Threads: the main one. Owns: nothing. Fails: ConfigError for ``--set`` without ``=``.
"""

from __future__ import annotations

import os

from kolo_c.config import KINDS, Config, load
from kolo_c.errors import ConfigError
from kolo_c.project import find_project

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from typing import Any

    from kolo_c.config import AnyPath, Loaded
    from kolo_c.project import Project

# Settings with an option of their own; --set has the rest.
_DIRECT = ("hook", "core", "locals", "split")


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """The options that change settings for this one run."""
    group = parser.add_argument_group("settings")
    for key in _DIRECT:
        group.add_argument(
            f"--{key}",
            dest=f"config_{key}",
            metavar="|".join(KINDS[key].choices),
            help=Config.settings[key].doc.replace("`", "").replace("%", "%%"),
        )
    group.add_argument(
        "--include",
        dest="config_include",
        action="append",
        metavar="PATTERN",
        help="Keep this code too; comes before include_frames of the settings.",
    )
    group.add_argument(
        "--ignore",
        dest="config_ignore",
        action="append",
        metavar="PATTERN",
        help="Skip this code too; comes before ignore_frames of the settings.",
    )
    group.add_argument(
        "--set",
        dest="config_set",
        action="append",
        metavar="KEY=VALUE",
        help="Any setting, as docs/reference/config.md has it.",
    )


def load_config(
    args: argparse.Namespace,
    start: AnyPath | None,
    environ: Mapping[str, str] | None = None,
) -> tuple[Project, Loaded]:
    """Project and settings for a command; nothing is raised for wrong settings yet."""
    environ = os.environ if environ is None else environ
    project = find_project(start, environ=environ)
    arguments = _arguments(args)
    loaded = load(project.root, environ, arguments)
    added = _added(args)
    if added:
        arguments.update(
            {key: (*more, *getattr(loaded.config, key)) for key, more in added.items()}
        )
        loaded = load(project.root, environ, arguments)
    return project, loaded


def _arguments(args: argparse.Namespace) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for key in _DIRECT:
        value = getattr(args, f"config_{key}", None)
        if value is not None:
            arguments[key] = value
    if getattr(args, "quiet", False):
        arguments["quiet"] = True
    if getattr(args, "no_follow", False):
        arguments["follow"] = False
    for text in getattr(args, "config_set", None) or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(
                f"--set {text} lacks a value", "Write --set KEY=VALUE.", slug="usage"
            )
        arguments[key.strip()] = value
    return arguments


def _added(args: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    added = {
        "include_frames": getattr(args, "config_include", None),
        "ignore_frames": getattr(args, "config_ignore", None),
    }
    return {key: tuple(values) for key, values in added.items() if values}
