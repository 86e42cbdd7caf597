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
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from kolo_c import settings
from kolo_c.errors import ConfigError
from kolo_c.settings import Kind, did_you_mean, nearest

ENVIRONMENT_PREFIX = "KOLO_C_"
# Variables with our prefix that are not settings: read by the build, by the start of
# child processes, or by the tests.
RESERVED_VARIABLES = frozenset(
    {
        "KOLO_C_PATH",
        "KOLO_C_NO_EXTENSION",
        "KOLO_C_DEBUG",
        "KOLO_C_SANITIZE",
        "KOLO_C_PYTHONS_COMMAND",
        "KOLO_C_RUNNER",
        "KOLO_C_PARENT",
        "KOLO_C_START",
    }
)


def _setting(default: Any, kind: Kind, doc: str) -> Any:
    return field(default=default, metadata={"kind": kind, "doc": doc})


def _parse_mask(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("*",) if value else ()
    return settings.strings.parse(value)  # type: ignore[no-any-return]


def _parse_match(value: Any) -> tuple[str, ...]:
    patterns: tuple[str, ...] = (
        (value,) if isinstance(value, str) else settings.strings.parse(value)
    )
    if not patterns:
        raise ValueError("must name at least one pattern")
    return patterns


def _parse_words(value: Any) -> tuple[str, ...]:
    from kolo_c.masking import split  # noqa: PLC0415 - hardly ever set

    words = []
    for text in settings.strings.parse(value):
        # As names are compared: `apiKey` and `API-KEY` are `api_key`.
        word = split(text).strip("_")
        if not word:
            raise ValueError(f"has {text!r}, which has neither letter nor digit")
        words.append(word)
    return tuple(words)


def _words_from_text(text: str) -> tuple[str, ...]:
    return _parse_words(settings.strings.from_text(text))


_LOCALS = settings.choice("none", "raise", "all")
_REPR = settings.choice("safe", "user")
_SELF = settings.choice("address", "fields")
_MASK = Kind("list of names, or true for every value", _parse_mask, _parse_mask)
_WORDS = Kind("list of names", _parse_words, _words_from_text)
_MATCH = Kind("pattern, or list of patterns", _parse_match, _parse_match)


@dataclass(frozen=True)
class FunctionRule:
    """One table of ``[[tool.kolo_c.rules]]``: what is different for some functions.

    A rule says how calls are recorded, not whether: that is for ``include_frames``
    and ``ignore_frames``. What it does not name is as everywhere. Where several rules
    match, all of them hold, and for a key that more than one has, the last.
    """

    match: tuple[str, ...] = _setting(
        (), _MATCH, "Which functions: patterns as in `include_frames`, any one of them."
    )
    locals: str | None = _setting(
        None, _LOCALS, "When local variables are kept, as the setting of this name."
    )
    values: bool | None = _setting(
        None, settings.boolean, "false: neither arguments nor return values are kept."
    )
    mask: tuple[str, ...] = _setting(
        (), _MASK, "Names whose values are masked in these functions; true masks all."
    )
    repr: str | None = _setting(None, _REPR, "As the setting of this name.")
    self: str | None = _setting(None, _SELF, "As the setting of this name.")
    boundary: bool | None = _setting(
        None, settings.boolean, "true: each call is a trace of its own."
    )
    shallow: bool | None = _setting(
        None,
        settings.boolean,
        "true: the call with its values is kept, and nothing below it.",
    )
    max_depth: int | None = _setting(
        None,
        settings.integer(0, 1_000_000),
        "How many levels of calls below this one are kept.",
    )
    where: str = field(default="", compare=False)


def _parse_rules(value: Any) -> tuple[FunctionRule, ...]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise ValueError("must be a list of tables: [[tool.kolo_c.rules]]")
    kinds: dict[str, Kind] = {
        row.name: row.metadata["kind"]
        for row in fields(FunctionRule)
        if "kind" in row.metadata
    }
    rules = []
    for index, table in enumerate(value, 1):
        values = {}
        for key, item in table.items():
            if key not in kinds:
                raise ValueError(
                    f"number {index} has an unknown key {key!r}. "
                    f"{did_you_mean(key, kinds)}"
                )
            try:
                values[key] = kinds[key].parse(item)
            except ValueError as error:
                raise ValueError(f"number {index}: {key} {error}") from None
        if "match" not in values:
            raise ValueError(f"number {index} has no match: which functions?")
        rules.append(FunctionRule(**values, where=f"rules[{index}]"))
    return tuple(rules)


def _rules_from_text(text: str) -> tuple[FunctionRule, ...]:
    import json  # noqa: PLC0415 - rules are hardly ever given as text

    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"must be a JSON list of objects ({error})") from None
    return _parse_rules(value)


_RULES = Kind("list of tables", _parse_rules, _rules_from_text)


@dataclass(frozen=True)
class Config:
    """Every setting with its default. docs/reference/config.md is made from this."""

    hook: str = _setting(
        "auto",
        settings.choice("auto", "setprofile"),
        "How the interpreter reaches the tracer. `auto` takes the cheapest hook that "
        "is proved equal on the running Python; another choice is obeyed or refused.",
    )
    core: str = _setting(
        "auto",
        settings.choice("auto", "c", "python"),
        "Which tracer runs. `auto` is the C extension.",
    )
    include_frames: tuple[str, ...] = _setting(
        (),
        settings.strings,
        "Patterns of code to keep although it would be skipped; see filters.md. "
        "Wins over `ignore_frames`.",
    )
    ignore_frames: tuple[str, ...] = _setting(
        (), settings.strings, "Patterns of code to skip although it would be kept."
    )
    roots: tuple[str, ...] = _setting(
        (),
        settings.strings,
        "Further folders whose code is kept, relative to the project's root.",
    )
    rules: tuple[FunctionRule, ...] = _setting(
        (), _RULES, "What is different for some functions; see below."
    )
    locals: str = _setting(
        "raise",
        _LOCALS,
        "When local variables are kept: never, in the frames that an exception leaves, "
        "or whenever a call ends.",
    )
    depth: int = _setting(
        4, settings.integer(0, 64), "How deep containers and objects are written."
    )
    items: int = _setting(
        32, settings.integer(0, 65_536), "How many items of a container are written."
    )
    text_bytes: int = _setting(
        1024, settings.size(0, 30_000), "How much of a text or of bytes is written."
    )
    record_bytes: int = _setting(
        8192, settings.size(256, 32_768), "The most that one record may take."
    )
    mask_words: tuple[str, ...] = _setting(
        (),
        _WORDS,
        "Names whose values are masked, besides the built-in ones. A name is masked "
        "when one of its word parts, or a run of them, is in the list.",
    )
    mask_exceptions: tuple[str, ...] = _setting(
        (),
        _WORDS,
        "Names that are not masked although a word in them is, besides the built-in "
        "ones.",
    )
    repr: str = _setting(
        "safe",
        _REPR,
        "`user` calls the `__repr__` of types that are not known otherwise: code of "
        "the program then runs while it is recorded.",
    )
    self: str = _setting(
        "address",
        _SELF,
        "How `self` and `cls` are written: type and address, or with their fields. "
        "Frames that an exception leaves have the fields either way.",
    )
    overflow: str = _setting(
        "wait",
        settings.choice("wait", "drop"),
        "When the writer cannot keep up: hold the program, for `wait_max` at most, or "
        "drop records, counted and marked.",
    )
    wait_max: float = _setting(
        2.0,
        settings.number(0, 86_400, "seconds"),
        "How long the program may be held in all before `drop` takes over.",
    )
    max_trace_bytes: int = _setting(
        1 << 30,
        settings.size(1 << 16),
        "The most one trace may take. At the limit values stop first, then the hottest "
        "functions become counts.",
    )
    max_bytes: int = _setting(
        5 << 30,
        settings.size(1 << 20),
        "The most that all of a project's traces may take; the oldest go first.",
    )
    keep_days: float = _setting(
        14.0, settings.number(0, 36_500, "days"), "How long traces are kept."
    )
    free_disk_min_bytes: int = _setting(
        1 << 30,
        settings.size(0),
        "Where less disk is free, nothing is recorded.",
    )
    segment_max_bytes: int = _setting(
        256 << 20,
        settings.size(1 << 20),
        "At this size a process begins another file, so that old ones can be removed.",
    )
    compress: int = _setting(
        1, settings.integer(0, 19), "The zstd level for stored blocks; 0 is off."
    )
    split: str = _setting(
        "auto",
        settings.choice("auto", "none"),
        "`auto`: requests, tests and tasks are traces of their own. `none`: everything "
        "stays in the trace of the process.",
    )
    threads: bool = _setting(
        True, settings.boolean, "Whether threads besides the first are recorded."
    )
    quiet: bool = _setting(
        False, settings.boolean, "true: no closing line after the program has ended."
    )

    def as_dict(self) -> dict[str, Any]:
        """The values as plain data, ready for JSON."""
        values: dict[str, Any] = {}
        for row in fields(Config):
            value = getattr(self, row.name)
            if row.name == "rules":
                value = [_rule_as_dict(rule) for rule in value]
            values[row.name] = list(value) if isinstance(value, tuple) else value
        return values


def _rule_as_dict(rule: FunctionRule) -> dict[str, Any]:
    table = {}
    for row in fields(FunctionRule):
        value = getattr(rule, row.name)
        if row.name != "where" and value not in (None, ()):
            table[row.name] = list(value) if isinstance(value, tuple) else value
    return table


KINDS: dict[str, Kind] = {row.name: row.metadata["kind"] for row in fields(Config)}


@dataclass(frozen=True)
class Problem:
    """A setting that could not be used, and what is done instead."""

    where: str
    key: str
    message: str

    def __str__(self) -> str:
        key = f": {self.key}" if self.key else ""
        return f"{self.where}{key} {self.message}"


@dataclass(frozen=True)
class Loaded:
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


def config_folder(root: Path, environ: Mapping[str, str]) -> Path:
    """The ``.kolo_c`` that belongs to ``root``, or where KOLO_C_PATH moves it."""
    moved = environ.get("KOLO_C_PATH", "")
    folder = Path(moved).expanduser() if moved else root
    folder = folder if folder.is_absolute() else Path.cwd() / folder
    return folder if folder.name == ".kolo_c" else folder / ".kolo_c"


def load(
    root: Path,
    environ: Mapping[str, str] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Loaded:
    """Read all sources. ``arguments`` are texts, or values of the field's own type."""
    environ = os.environ if environ is None else environ
    loading = _Loading()
    pyproject = root / "pyproject.toml"
    tool = loading.read(pyproject).get("tool", {})
    if isinstance(tool, dict):
        loading.check_table_name(tool, str(pyproject))
        loading.take(tool.get("kolo_c", {}), str(pyproject))
    own = config_folder(root, environ) / "config.toml"
    loading.take(loading.read(own), str(own))
    loading.take_environment(environ)
    loading.take_arguments(arguments or {})
    return Loaded(Config(**loading.values), loading.origins, loading.problems)


class _Loading:
    """What has been read so far. Each source overrides the ones before."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins = dict.fromkeys(KINDS, "default")
        self.problems: list[Problem] = []

    def read(self, path: Path) -> dict[str, Any]:
        try:
            text = path.read_bytes().decode("utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(Problem(str(path), "", f"cannot be read: {error}"))
            return {}
        if sys.version_info >= (3, 11):
            import tomllib  # noqa: PLC0415 - not needed where there is no file
        else:
            import tomli as tomllib  # noqa: PLC0415 - the one dependency, 3.10 only
        try:
            table: dict[str, Any] = tomllib.loads(text)
            return table
        except tomllib.TOMLDecodeError as error:
            self.problems.append(Problem(str(path), "", f"is not TOML: {error}"))
            return {}

    def check_table_name(self, tool: dict[str, Any], where: str) -> None:
        for name in ("kolo-c", "koloc"):
            if name in tool:
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
        except ValueError as error:
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
