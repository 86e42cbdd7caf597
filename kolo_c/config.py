"""The settings: one frozen ``Config``, built once, and where each value came from.

Sources in rising order: defaults, ``[tool.kolo_c]`` of pyproject.toml,
``.kolo_c/config.toml``, environment ``KOLO_C_*``, arguments. A wrong setting never
stops here: ``load`` keeps the value it had and lists the problem. A ``kolo-c`` command
calls ``Loaded.require()``, which raises; a traced program goes on and says so.

Threads: any. Owns: nothing. Fails: ``Loaded.require()`` raises ConfigError.
"""

from __future__ import annotations

import os
import sys

from kolo_c import settings
from kolo_c.errors import ConfigError
from kolo_c.frozen import Frozen
from kolo_c.function_rules import (
    LOCALS,
    REPR,
    RULES,
    SELF,
    Settings,
    rule_as_dict,
    setting,
)
from kolo_c.settings import Kind, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kolo_c.function_rules import FunctionRule

    AnyPath = str | os.PathLike[str]

ENVIRONMENT_PREFIX = "KOLO_C_"
# Variables with our prefix that are not settings: read by the build, by the start of
# child processes, by the pager, or by the tests.
RESERVED_VARIABLES = frozenset(
    {
        "KOLO_C_PATH",
        "KOLO_C_PAGER",
        "KOLO_C_CLEAN_ROOT",
        "KOLO_C_NO_EXTENSION",
        "KOLO_C_REQUIRE_EXTENSION",
        "KOLO_C_DEBUG",
        "KOLO_C_SANITIZE",
        "KOLO_C_PYTHONS_COMMAND",
        "KOLO_C_RUNNER",
        "KOLO_C_TEST_CFLAGS",
        "KOLO_C_TEST_JOBS",
        "KOLO_C_TEST_LONG",
        "KOLO_C_PARENT",
        "KOLO_C_START",
        "KOLO_C_TICKING",
    }
)


class Config(Settings):
    """Every setting with its default. docs/reference/config.md is made from this."""

    hook: str = setting(
        "auto",
        settings.choice("auto", "setprofile", "monitoring", "frame_eval"),
        "How the interpreter reaches the tracer. `auto` takes the cheapest hook that "
        "is proved equal on the running Python; another choice is obeyed or refused.",
    )
    core: str = setting(
        "auto",
        settings.choice("auto", "c", "python"),
        "Which tracer runs. `auto` is the C extension where it loads, else `python`, "
        "which is slower: on PyPy, without a compiler, on a free-threaded Python.",
    )
    include_frames: tuple[str, ...] = setting(
        (),
        settings.strings,
        "Patterns of code to keep although it would be skipped; see filters.md. "
        "Wins over `ignore_frames`.",
    )
    ignore_frames: tuple[str, ...] = setting(
        (), settings.strings, "Patterns of code to skip although it would be kept."
    )
    roots: tuple[str, ...] = setting(
        (),
        settings.strings,
        "Further folders whose code is kept, relative to the project's root.",
    )
    path_map: tuple[str, ...] = setting(
        (),
        settings.folders,
        "Folders of another machine, such as a container's, and where they are on this "
        'one: `path_map = ["/app=~/shop"]`. What reads a trace then shows the paths of '
        "this machine.",
    )
    rules: tuple[FunctionRule, ...] = setting(
        (), RULES, "What is different for some functions; see below."
    )
    plugins: tuple[str, ...] = setting(
        (),
        settings.strings,
        "Plugins of your own, as MODULE:NAME, besides the built-in ones and those of "
        'installed packages; "-NAME" leaves one out, "-BEGINNING*" several: '
        '`plugins = ["shop.tracing:Payment", "-django-template"]`.',
    )
    stdout: bool = setting(
        False,
        settings.boolean,
        "Whether what the program writes to `sys.stdout` and `sys.stderr` is recorded, "
        "line by line, where each line is complete, at its place in the tree. Where a "
        "write fails (BrokenPipeError), the last frame of its traceback is ours.",
    )
    sql_rows: str = setting(
        "debug",
        settings.choice("debug", "always", "never"),
        "When the first 5 rows that the program fetches of a statement are kept, 1 KiB "
        "at most. `debug`: not where Django runs with DEBUG = False.",
    )
    locals: str = setting(
        "raise",
        LOCALS,
        "When local variables are kept: never, in the frames that an exception leaves, "
        "or whenever a call ends.",
    )
    exceptions: str = setting(
        "leaving",
        settings.choice("leaving", "all"),
        "Which exceptions are recorded: those that leave a call, or also those that "
        "are handled in the call that they come to. Only the `monitoring` hook (Python "
        "3.12 and newer) is told of the latter; with another one the trace says so.",
    )
    depth: int = setting(
        4, settings.integer(0, 64), "How deep containers and objects are written."
    )
    items: int = setting(
        32, settings.integer(0, 65_536), "How many items of a container are written."
    )
    text_bytes: int = setting(
        1024, settings.size(0, 30_000), "How much of a text or of bytes is written."
    )
    record_bytes: int = setting(
        8192, settings.size(256, 32_768), "The most that one record may take."
    )
    mask_words: tuple[str, ...] = setting(
        (),
        settings.words,
        "Names whose values are masked, besides the built-in ones. A name is masked "
        "when one of its word parts, or a run of them, is in the list.",
    )
    mask_exceptions: tuple[str, ...] = setting(
        (),
        settings.words,
        "Names that are not masked although a word in them is, besides the built-in "
        "ones.",
    )
    repr: str = setting(
        "safe",
        REPR,
        "`user` calls the `__repr__` of types that are not known otherwise: code of "
        "the program then runs while it is recorded.",
    )
    self: str = setting(
        "address",
        SELF,
        "How `self` and `cls` are written: type and address, or with their fields. "
        "Frames that an exception leaves have the fields either way.",
    )
    overflow: str = setting(
        "wait",
        settings.choice("wait", "drop"),
        "When the writer cannot keep up: hold the program, for `wait_max` at most, or "
        "drop records, counted and marked.",
    )
    wait_max: float = setting(
        2.0,
        settings.number(0, 86_400, "seconds"),
        "How long the program may be held in all before `drop` takes over.",
    )
    max_trace_bytes: int = setting(
        1 << 30,
        settings.size(1 << 16),
        "The most one trace may take. At the limit values stop first, then the hottest "
        "functions become counts.",
    )
    max_bytes: int = setting(
        5 << 30,
        settings.size(1 << 20),
        "The most that all of a project's traces may take; the oldest go first.",
    )
    keep_days: float = setting(
        14.0, settings.number(0, 36_500, "days"), "How long traces are kept."
    )
    free_disk_min_bytes: int = setting(
        1 << 30,
        settings.size(0),
        "Where less disk is free, nothing is written until there is room: records wait "
        "in 16 MiB, which the next command saves, and more of them are lost, counted.",
    )
    segment_max_bytes: int = setting(
        256 << 20,
        settings.size(1 << 20),
        "At this size a process begins another file, so that old ones can be removed.",
    )
    compress: int = setting(
        1, settings.integer(0, 19), "The zstd level for stored blocks; 0 is off."
    )
    split: str = setting(
        "auto",
        settings.choice("auto", "none"),
        "`auto`: requests, tests and tasks are traces of their own. `none`: everything "
        "stays in the trace of the process.",
    )
    threads: bool = setting(
        True, settings.boolean, "Whether threads besides the first are recorded."
    )
    follow: bool = setting(
        True,
        settings.boolean,
        "Whether the Python processes that a recorded one starts are recorded too, "
        "where kolo_c is installed for them. `kolo-c run --no-follow` is false.",
    )
    quiet: bool = setting(
        False, settings.boolean, "true: no closing line after the program has ended."
    )

    def as_dict(self) -> dict[str, Any]:
        """The values as plain data, ready for JSON."""
        values: dict[str, Any] = {}
        for name in Config.settings:
            value = getattr(self, name)
            if name == "rules":
                value = [rule_as_dict(rule) for rule in value]
            values[name] = list(value) if isinstance(value, tuple) else value
        return values


KINDS: dict[str, Kind] = {name: row.kind for name, row in Config.settings.items()}


class Problem(Frozen):
    """A setting that could not be used, and what is done instead."""

    where: str
    key: str
    message: str

    def __str__(self) -> str:
        key = f": {self.key}" if self.key else ""
        return f"{self.where}{key} {self.message}"


class Loaded(Frozen):
    """The values in force, where each came from, and what was wrong."""

    config: Config
    origins: dict[str, str]
    problems: list[Problem]

    def require(self) -> Config:
        """The config where nothing is wrong with it; else ConfigError."""
        if self.problems:
            places = sorted({problem.where for problem in self.problems})
            raise ConfigError(
                "; ".join(str(problem) for problem in self.problems),
                hint=f"Correct {' and '.join(places)}; "
                "docs/reference/config.md has every setting.",
            )
        return self.config


def config_folder(root: AnyPath, environ: Mapping[str, str]) -> str:
    """The ``.kolo_c`` that belongs to ``root``, or where KOLO_C_PATH moves it."""
    moved = environ.get("KOLO_C_PATH", "")
    folder = os.path.expanduser(moved) if moved else os.fspath(root)
    if not os.path.isabs(folder):
        folder = os.path.join(os.getcwd(), folder)
    folder = plain(folder)
    if os.path.basename(folder) == ".kolo_c":
        return folder
    return os.path.join(folder, ".kolo_c")


def plain(path: AnyPath) -> str:
    """``path`` as pathlib has it, without what says nothing: ``a//./b/`` is ``a/b``.

    Here because pathlib costs 2.5 ms of a start. ``..`` stays: the folder before it may
    be a link.
    """
    text = os.fspath(path)
    parts = [part for part in text.split("/") if part and part != "."]
    return ("/" if text.startswith("/") else "") + "/".join(parts) or "."


def load(
    root: AnyPath,
    environ: Mapping[str, str] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Loaded:
    """Read all sources. ``arguments`` are texts, or values of the field's own type."""
    environ = os.environ if environ is None else environ
    loading = _Loading()
    pyproject = os.path.join(root, "pyproject.toml")
    tool = loading.read(pyproject, only_with="kolo").get("tool", {})
    if isinstance(tool, dict):
        loading.check_table_name(tool, pyproject)
        loading.take(tool.get("kolo_c", {}), pyproject)
    own = os.path.join(config_folder(root, environ), "config.toml")
    loading.take(loading.read(own), own)
    loading.take_environment(environ)
    loading.take_arguments(arguments or {})
    return Loaded(Config(**loading.values), loading.origins, loading.problems)


class _Loading:
    """What has been read so far. Each source overrides the ones before."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins = dict.fromkeys(KINDS, "default")
        self.problems: list[Problem] = []

    def read(self, path: str, only_with: str = "") -> dict[str, Any]:
        """The file's table; empty where there is none, or ``only_with`` is not in it.

        Most pyproject.toml say nothing of us, and parsing one costs 5 ms.
        """
        try:
            with open(path, "rb") as file:
                # Some editors begin a file with a mark that TOML does not know.
                text = file.read().decode("utf-8").removeprefix("\ufeff")
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(Problem(path, "", f"cannot be read: {error}"))
            return {}
        if only_with not in text.lower():
            return {}
        if sys.version_info >= (3, 11):
            import tomllib  # noqa: PLC0415 - not needed where there is no file
        else:
            import tomli as tomllib  # noqa: PLC0415 - the one dependency, 3.10 only
        try:
            table: dict[str, Any] = tomllib.loads(text)
            return table
        except (ValueError, RecursionError) as error:
            # Of ValueError: its own error, and int's for too many digits.
            self.problems.append(Problem(path, "", f"is not TOML: {error}"))
            return {}

    def check_table_name(self, tool: dict[str, Any], where: str) -> None:
        for name in tool:
            plain_name = name.lower().replace("-", "").replace("_", "")
            if plain_name == "koloc" and name != "kolo_c":
                self.problems.append(
                    Problem(where, f"[tool.{name}]", "is not read: write [tool.kolo_c]")
                )

    def take(self, table: Any, where: str) -> None:
        if not isinstance(table, dict):
            self.problems.append(Problem(where, "[tool.kolo_c]", "must be a table"))
            return
        for key, value in table.items():
            if key in KINDS:
                self.set(key, value, where, KINDS[key].parse)
            elif key == "tool":
                message = "is for pyproject.toml: write the settings without it"
                self.problems.append(Problem(where, "[tool.kolo_c]", message))
            else:
                self.unknown(key, where, key.replace("-", "_"), KINDS)

    def take_environment(self, environ: Mapping[str, str]) -> None:
        names = {ENVIRONMENT_PREFIX + key.upper(): key for key in KINDS}
        for name in sorted(environ):
            if not name.startswith(ENVIRONMENT_PREFIX) or name in RESERVED_VARIABLES:
                continue
            if name in names:
                key = names[name]
                where = f"environment {name}"
                self.set(key, environ[name], where, KINDS[key].from_text)
            else:
                self.unknown(name, "environment", name, names)

    def take_arguments(self, arguments: Mapping[str, Any]) -> None:
        for key, value in arguments.items():
            where = f"argument {key}"
            if key not in KINDS:
                self.unknown(key, "argument", key.replace("-", "_"), KINDS)
            elif isinstance(value, str):
                self.set(key, value, where, KINDS[key].from_text)
            else:
                self.set(key, value, where, KINDS[key].parse)

    def set(self, key: str, value: Any, where: str, parse: Any) -> None:
        try:
            self.values[key] = parse(value)
        except (ValueError, OverflowError) as error:
            self.problems.append(Problem(where, key, str(error)))
            return
        self.origins[key] = where

    def unknown(
        self, key: str, where: str, guess: str, allowed: Mapping[str, Any]
    ) -> None:
        found = guess if guess in allowed else nearest(guess, allowed)
        message = "is not a setting."
        if found:
            message += f" Did you mean {found}?"
        else:
            message += f" Allowed: {', '.join(sorted(allowed))}."
        self.problems.append(Problem(where, key, message))
