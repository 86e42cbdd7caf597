"""Asks the filter about a code object. Twin of src/trace/filter.c. Cold.

Most files are decided as a whole, so the answer for a file is kept; the filter is asked
about single functions where rules, modules or names matter.

Threads: any, without the session's lock: the filter may import.
Owns: nothing.
Fails: a filter that raises keeps nothing and is reported once. A KeyboardInterrupt or
       SystemExit that struck in it is the program's, and passes through.
"""

from __future__ import annotations

from kolo_c.reference import interrupt, plugin_match
from kolo_c.reference.code import CodeRules, code_names
from kolo_c.reference.value_state import Limits, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType, FrameType
    from typing import Any

    from kolo_c.reference.plugin_match import Plugin
    from kolo_c.reference.tracer import Tracer

NUMBER_MAX = 0xFFFFFFFF
KEEP_ALL = 0xFF


class Decision:
    """What becomes of a code object."""

    __slots__ = ("keep_bits", "module", "plugins", "qualname", "rules", "source")

    def __init__(self, rules: CodeRules) -> None:
        self.keep_bits = 0
        """One for each filter set that keeps it."""
        self.rules = rules
        self.plugins: tuple[Plugin, ...] = ()
        """That watch it."""
        self.module: str | None = None
        self.qualname = ""
        self.source: str | None = None
        """Text that is in no file."""


def copy_limits(limits: Limits) -> Limits:
    """Limits of their own, to be changed."""
    return Limits(limits.depth, limits.items, limits.text_bytes, limits.record_bytes)


def copy_rules(rules: CodeRules) -> CodeRules:
    """Rules of their own, to be changed."""
    options = rules.options
    copy = CodeRules(
        Options(copy_limits(options.limits), options.user_repr, options.self_fields)
    )
    for name in (
        "values",
        "shallow",
        "boundary",
        "locals",
        "max_depth",
        "has_options",
        "secret_names",
    ):
        setattr(copy, name, getattr(rules, name))
    return copy


def read_rules(answer: Mapping[str, Any], rules: CodeRules) -> None:
    """Read function options from the dict that the filter gave, into ``rules``.

    Raises TypeError or OverflowError for a number that is none.
    """
    options = rules.options
    limits = options.limits
    asked = bool(options.user_repr), bool(options.self_fields)
    rules.values = bool(answer.get("values", rules.values))
    rules.shallow = bool(answer.get("shallow", rules.shallow))
    rules.boundary = bool(answer.get("boundary", rules.boundary))
    options.user_repr = bool(answer.get("user_repr", options.user_repr))
    options.self_fields = bool(answer.get("self_fields", options.self_fields))
    rules.locals = _number(answer, "locals", rules.locals)
    rules.max_depth = _number(answer, "max_depth", rules.max_depth)
    found = False
    for name in ("depth", "items", "text_bytes", "record_bytes"):
        if answer.get(name) is not None:
            setattr(limits, name, _number(answer, name, 0))
            found = True
    rules.has_options = (
        rules.has_options
        or found
        or asked != (bool(options.user_repr), bool(options.self_fields))
    )
    if rules.shallow:
        rules.max_depth = 0
    names = answer.get("mask")
    if isinstance(names, tuple):
        rules.secret_names = names


def _number(answer: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = answer.get(name)
    if value is None:
        return otherwise
    if not isinstance(value, int):
        raise TypeError(f"{name} is no number: {value!r}")
    if value < 0:
        raise OverflowError(f"{name} is below zero: {value!r}")
    return min(value, NUMBER_MAX)


def decide(tracer: Tracer, frame: FrameType, code: CodeType) -> Decision:
    """Keep or skip ``code``, which ``frame`` runs, and who watches it."""
    decision = Decision(copy_rules(tracer.default_rules))
    decision.module, decision.qualname = code_names(code, frame)
    decision = _decide(tracer, code, decision)
    decision.plugins = plugin_match.match(
        tracer, code, decision.module, decision.qualname
    )
    return decision


def _decide(tracer: Tracer, code: CodeType, decision: Decision) -> Decision:
    key = id(code)
    if key in tracer.skipped_codes:
        return decision  # the program itself wants no call of it (kolo_c.skip)
    if key in tracer.kept_codes:  # compiled by us (-c, -): kept by identity
        decision.source = tracer.kept_codes[key]
        decision.keep_bits = KEEP_ALL
        return decision
    try:
        answer = _ask_file(tracer, code.co_filename)
        if answer is True or answer is False:
            decision.keep_bits = KEEP_ALL if answer else 0
        else:
            _ask(tracer, code, decision)
    except BaseException as error:
        tracer.filter_error_count += 1
        if interrupt.give_back(error):
            raise
        decision.keep_bits = 0
        _failed(tracer, error)
    return decision


def _ask_file(tracer: Tracer, path: str) -> bool | None:
    """What the filter says of the file as a whole.

    Filters may change while it is asked: then its answer is not kept.
    """
    files = tracer.files
    if path in files:
        return files[path]
    generation = tracer.generation
    answer = tracer.decide_file(path)
    if tracer.generation == generation:
        files[path] = answer
    return answer


def _ask(tracer: Tracer, code: CodeType, decision: Decision) -> None:
    """Ask about the function itself."""
    answer = tracer.decide(code, code.co_filename, decision.module, decision.qualname)
    if isinstance(answer, dict):
        read_rules(answer, decision.rules)
        bits = answer.get("keep_bits", True)
    else:
        bits = answer
    decision.keep_bits = KEEP_ALL if bits is True else int(bits) & KEEP_ALL


def _failed(tracer: Tracer, error: BaseException) -> None:
    """The filter raised. Say so once."""
    if not tracer.filter_error:
        try:
            text = str(error)
        except Exception:
            text = "?"
        said = f"the filter raised {type(error).__name__}: {text}"
        tracer.filter_error = said
        tracer.session.error(said)
