"""``kolo-c config``: the values in force, and where each came from.

Threads: the main one. Owns: nothing. Fails: ConfigError, after printing what holds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from kolo_c.cli.options import add_config_options, load_config
from kolo_c.config import Loaded
from kolo_c.filter import Filter
from kolo_c.project import Project


class ConfigCommand:
    """Print the settings in force and where each comes from.

    Sources in rising order: defaults, [tool.kolo_c] in pyproject.toml,
    .kolo_c/config.toml, environment variables KOLO_C_*, options.
    """

    name = "config"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "key", nargs="?", metavar="KEY", help="Print this value and nothing else."
        )
        parser.add_argument(
            "--changed", action="store_true", help="Only what is not as by default."
        )
        parser.add_argument("--json", action="store_true", help="Print JSON.")
        parser.add_argument(
            "--for",
            dest="program",
            type=Path,
            metavar="FILE",
            help="For the project of this file instead of the working directory's.",
        )
        add_config_options(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Print them, then complain."""
        start = args.program.parent if args.program else None
        project, loaded = load_config(args, start)
        rows = _rows(loaded, args.changed)
        if args.key is not None:
            return _print_one(args.key, loaded, args.json)
        if args.json:
            print(json.dumps(_as_json(project, loaded, rows), indent=2))
        else:
            _print_table(project, rows)
            for text in _unseen(loaded):
                print(f"# {text}")
        # Wrong patterns are found when the filter is made of them.
        Filter(loaded.require(), project, loaded.origins)
        return 0


def _unseen(loaded: Loaded) -> list[str]:
    """What is asked for that the hook which would be taken here does not tell."""
    if loaded.config.exceptions == "leaving":
        return []
    from kolo_c.core import choose_core  # noqa: PLC0415 - as is the rest: rarely asked
    from kolo_c.core_options import unseen  # noqa: PLC0415
    from kolo_c.hook import choose_hook  # noqa: PLC0415

    core = choose_core(loaded.config.core).name or "python"
    return unseen(loaded.config, choose_hook(loaded.config.hook, core).name)


def _rows(loaded: Loaded, changed: bool) -> list[tuple[str, Any, str]]:
    values = loaded.config.as_dict()
    return [
        (key, value, loaded.origins[key])
        for key, value in values.items()
        if not changed or loaded.origins[key] != "default"
    ]


def _print_one(key: str, loaded: Loaded, as_json: bool) -> int:
    from kolo_c.config import KINDS  # noqa: PLC0415 - the rare form
    from kolo_c.errors import ConfigError  # noqa: PLC0415
    from kolo_c.settings import did_you_mean  # noqa: PLC0415

    if key not in KINDS:
        raise ConfigError(f"{key} is not a setting", did_you_mean(key, KINDS))
    value = loaded.config.as_dict()[key]
    print(json.dumps(value) if as_json else toml_value(value))
    loaded.require()
    return 0


def _as_json(
    project: Project, loaded: Loaded, rows: list[tuple[str, Any, str]]
) -> dict[str, Any]:
    return {
        "root": str(project.root),
        "root_reason": project.reason,
        "store": str(project.store),
        "settings": {
            key: {"value": value, "from": origin} for key, value, origin in rows
        },
        "problems": [*map(str, loaded.problems), *_unseen(loaded)],
    }


def _print_table(project: Project, rows: list[tuple[str, Any, str]]) -> None:
    print(f"# root {project.root}: {project.reason}")
    print(f"# store {project.store}")
    texts = [(key, toml_value(value), origin) for key, value, origin in rows]
    width = max((len(f"{key} = {text}") for key, text, _ in texts), default=0)
    for key, text, origin in texts:
        print(f"{f'{key} = {text}':<{min(width, 44)}}  # {origin}")


def toml_value(value: Any) -> str:
    """A value as it is written in a settings file."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items())
        return f"{{{pairs}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)


COMMAND = ConfigCommand()
