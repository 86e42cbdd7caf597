"""Function rules: what is recorded differently for some functions.

Threads: any. Owns: nothing. Fails: ``ValueError`` from the kinds, as in settings.py.
"""

from __future__ import annotations

from kolo_c import settings
from kolo_c.frozen import Frozen
from kolo_c.settings import Kind, did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar


class Setting(Frozen):
    """What is declared of a field: its default, what it may be, its documentation."""

    default: Any
    kind: Kind
    doc: str


class Settings(Frozen):
    """A table of settings: a class whose fields are declared with ``setting``."""

    settings: ClassVar[dict[str, Setting]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.settings = {
            name: value for name, value in vars(cls).items() if type(value) is Setting
        }
        for name, declared in cls.settings.items():
            setattr(cls, name, declared.default)


def setting(default: Any, kind: Kind, doc: str) -> Any:
    """A field of a ``Settings`` class, with its kind and its documentation."""
    return Setting(default, kind, doc)


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


LOCALS = settings.choice("none", "raise", "all")
REPR = settings.choice("safe", "user")
SELF = settings.choice("address", "fields")
_MASK = Kind("list of names, or true for every value", _parse_mask, _parse_mask)
_MATCH = Kind("pattern, or list of patterns", _parse_match, _parse_match)


class FunctionRule(Settings):
    """One table of ``[[tool.kolo_c.rules]]``: what is different for some functions.

    A rule says how calls are recorded, not whether: that is for ``include_frames``
    and ``ignore_frames``. What it does not name is as everywhere. Where several rules
    match, all of them hold, and for a key that more than one has, the last.
    """

    match: tuple[str, ...] = setting(
        (), _MATCH, "Which functions: patterns as in `include_frames`, any one of them."
    )
    locals: str | None = setting(
        None, LOCALS, "When local variables are kept, as the setting of this name."
    )
    values: bool | None = setting(
        None, settings.boolean, "false: neither arguments nor return values are kept."
    )
    mask: tuple[str, ...] = setting(
        (),
        _MASK,
        "Arguments and locals whose values are masked in these functions, by their "
        "whole names; true masks all of them, and results, but not what exceptions "
        "say. Keys, attributes and words that are a part of a name are for "
        "`mask_words`.",
    )
    repr: str | None = setting(None, REPR, "As the setting of this name.")
    self: str | None = setting(None, SELF, "As the setting of this name.")
    boundary: bool | None = setting(
        None, settings.boolean, "true: each call is a trace of its own."
    )
    shallow: bool | None = setting(
        None,
        settings.boolean,
        "true: the call with its values is kept, and nothing below it.",
    )
    max_depth: int | None = setting(
        None,
        settings.integer(0, 1_000_000),
        "How many levels of calls below this one are kept.",
    )
    where: str = ""
    _aside = ("where",)


def _parse_rules(value: Any) -> tuple[FunctionRule, ...]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise ValueError("must be a list of tables: [[tool.kolo_c.rules]]")
    kinds = {name: row.kind for name, row in FunctionRule.settings.items()}
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


RULES = Kind("list of tables", _parse_rules, _rules_from_text)


def rule_as_dict(rule: FunctionRule) -> dict[str, Any]:
    """What the rule names, as plain data."""
    table = {}
    for name in FunctionRule.settings:
        value = getattr(rule, name)
        if value not in (None, ()):
            table[name] = list(value) if isinstance(value, tuple) else value
    return table
