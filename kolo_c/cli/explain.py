"""``kolo-c explain``: which rule decides about a function or a name, and why.

Threads: the main one. Owns: nothing. Fails: KoloError for a file or function that does
not exist, ConfigError.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from kolo_c.cli.options import add_config_options, load_config
from kolo_c.config import Config
from kolo_c.errors import KoloError
from kolo_c.filter import Decision, Filter
from kolo_c.project import Project
from kolo_c.settings import did_you_mean


class Explain:
    """Say which rule keeps or skips a function, or masks a name.

    kolo-c explain shop/models.py             the file
    kolo-c explain shop/models.py:Cart.total  one function of it
    kolo-c explain --mask api_token           whether values of this name are masked
    """

    name = "explain"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("place", nargs="?", metavar="FILE[:FUNCTION]")
        parser.add_argument(
            "--mask", metavar="NAME", help="Whether values of this name are masked."
        )
        parser.add_argument(
            "--module",
            metavar="NAME",
            help="The module's name, if it is not as guessed.",
        )
        parser.add_argument("--json", action="store_true", help="Print JSON.")
        add_config_options(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Explain it."""
        if (args.place is None) == (args.mask is None):
            raise KoloError(
                "there is nothing to explain",
                "Write: kolo-c explain FILE[:FUNCTION], or --mask NAME.",
                slug="usage",
            )
        if args.mask is not None:
            _, loaded = load_config(args, None)
            answer = explain_mask(args.mask, loaded.require())
        else:
            answer = _explain_place(args)
        if args.json:
            print(json.dumps(answer, indent=2))
        else:
            print("\n".join(_lines(answer)))
        return 0


def _explain_place(args: argparse.Namespace) -> dict[str, Any]:
    path, function = _split_place(args.place)
    if not os.path.exists(path) and not path.startswith("<"):
        raise KoloError(
            f"{path} does not exist",
            "Name a file as it is, for instance shop/models.py or "
            "shop/models.py:Cart.total.",
        )
    # The program would run from here, so this is where its project is looked for.
    project, loaded = load_config(args, None)
    config = loaded.require()
    chosen = Filter(config, project, loaded.origins)
    _make_importable(project)
    functions = functions_of(path)
    if function and functions and function not in functions:
        raise KoloError(
            f"{path} has no function {function}",
            did_you_mean(function, functions),
        )
    module = args.module or guess_module(path, project)
    absolute = path if path.startswith("<") else os.path.abspath(path)
    decision = chosen.decide_file(absolute) if not function else None
    if decision is None and not function:
        return _file_by_function(absolute, module, functions, chosen, project)
    if decision is None:
        decision = chosen.decide(absolute, module, function)
    return _answer(absolute, function, module, decision, chosen, project)


def _file_by_function(
    path: str,
    module: str,
    functions: list[str],
    chosen: Filter,
    project: Project,
) -> dict[str, Any]:
    """A file for which the filters have to look at each function."""
    decisions = {name: chosen.decide(path, module, name) for name in functions}
    return {
        "file": path,
        "module": module,
        "root": str(project.root),
        "root_reason": project.reason,
        "functions": {
            name: {
                "keep": decision.keep,
                "reason": decision.reason,
                "options": _options(decision),
            }
            for name, decision in decisions.items()
        },
        "problems": chosen.problems,
    }


def _answer(
    path: str,
    function: str,
    module: str,
    decision: Decision,
    chosen: Filter,
    project: Project,
) -> dict[str, Any]:
    return {
        "file": path,
        "function": function or None,
        "module": module,
        "root": str(project.root),
        "root_reason": project.reason,
        "keep": decision.keep,
        "by": decision.kind,
        "reason": decision.reason,
        "rule": decision.rule.text if decision.rule else None,
        "where": decision.rule.where if decision.rule else None,
        "options": _options(decision),
        "problems": chosen.problems,
    }


def _options(decision: Decision) -> dict[str, Any] | None:
    return decision.options.as_dict() if decision.options else None


def explain_mask(name: str, config: Config) -> dict[str, Any]:
    """Whether values called ``name`` are masked, and the word that says so."""
    from kolo_c.masking import (  # noqa: PLC0415 - for --mask only
        DEFAULT_EXCEPTIONS,
        DEFAULT_WORDS,
        explain,
    )

    decided = explain(
        name,
        (*DEFAULT_WORDS, *config.mask_words),
        (*DEFAULT_EXCEPTIONS, *config.mask_exceptions),
    )
    rule = decided.rule
    if rule in config.mask_words:
        where = "mask_words"
    elif rule in config.mask_exceptions:
        where = "mask_exceptions"
    else:
        where = "the built-in list"
    return {
        "name": name,
        "masked": decided.secret,
        "rule": rule,
        "where": where if rule else None,
    }


def _lines(answer: dict[str, Any]) -> list[str]:
    if "masked" in answer:
        return [_mask_line(answer)]
    lines = []
    if "functions" in answer:
        lines.append(f"{answer['file']}: it depends on the function")
        for name, each in answer["functions"].items():
            verdict = "kept" if each["keep"] else "skipped"
            lines.append(f"  {name}: {verdict}, because {each['reason']}")
            lines.extend(_option_lines(each["options"], "    "))
    else:
        what = f"{answer['file']}" + (
            f":{answer['function']}" if answer["function"] else ""
        )
        verdict = "kept" if answer["keep"] else "skipped"
        lines.append(f"{what} is {verdict}, because {answer['reason']}")
        lines.extend(_option_lines(answer["options"], "  "))
        if not answer["keep"]:
            lines.append(f"  {_how_to_keep(answer)}")
    lines.append(f"  module: {answer['module']}")
    lines.append(f"  root: {answer['root']} ({answer['root_reason']})")
    lines.extend(f"  problem: {problem}" for problem in answer["problems"])
    return lines


def _mask_line(answer: dict[str, Any]) -> str:
    name, rule, where = answer["name"], answer["rule"], answer["where"]
    if answer["masked"]:
        return (
            f"values named {name} are masked: {rule!r} is in {where}. To keep them, "
            "add the name to mask_exceptions."
        )
    if rule:
        return f"values named {name} are kept: the exception {rule!r} is in {where}"
    return (
        f"values named {name} are kept: no word of the name is in a list. To mask "
        "them, add it to mask_words."
    )


def _option_lines(options: dict[str, Any] | None, indent: str) -> list[str]:
    if not options:
        return []
    lines = [f"{indent}by {', '.join(options['rules'])}:"]
    for key, value in options.items():
        if key != "rules" and value not in (None, (), False):
            lines.append(f"{indent}  {key} = {json.dumps(value)}")
        elif key == "values" and value is False:
            lines.append(f"{indent}  values = false")
    return lines


def _how_to_keep(answer: dict[str, Any]) -> str:
    if answer["by"] == "self":
        return "kolo_c never records itself."
    if answer["by"] == "ignore":
        return "To keep it, narrow that pattern, or add one to include_frames."
    if answer["by"] == "outside":
        folder = os.path.dirname(answer["file"])
        return f"To keep it, add {folder!r} to roots, or a pattern to include_frames."
    return "To keep it, add a pattern to include_frames, or use --include PATTERN."


def _split_place(place: str) -> tuple[str, str]:
    if os.path.exists(place):
        return place, ""
    path, colon, function = place.rpartition(":")
    return (path, function) if colon else (place, "")


def functions_of(path: str) -> list[str]:
    """The qualified names of the functions in a file; empty where it is not Python."""
    from types import CodeType  # noqa: PLC0415

    try:
        source = Path(path).read_bytes()
        code = compile(source, path, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    found: list[str] = []

    def walk(outer: CodeType, prefix: str) -> None:
        for constant in outer.co_consts:
            if isinstance(constant, CodeType) and not constant.co_name.startswith("<"):
                is_function = bool(constant.co_flags & 0x02)  # CO_NEWLOCALS
                name = prefix + constant.co_name
                if is_function and constant.co_flags & 0x01:  # CO_OPTIMIZED
                    found.append(name)
                    walk(constant, f"{name}.<locals>.")
                else:
                    walk(constant, f"{name}.")

    walk(code, "")
    return found


def guess_module(path: str, project: Project) -> str:
    """The name that a file would be imported by: its packages, then its stem."""
    file = Path(os.path.abspath(path))
    parts = [file.stem] if file.stem != "__init__" else []
    folder = file.parent
    while (folder / "__init__.py").exists() and folder != folder.parent:
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts) or file.stem


def _make_importable(project: Project) -> None:
    """The project's own predicates are found as they are by its programs."""
    for folder in (str(project.cwd), str(project.root)):
        if folder not in sys.path:
            sys.path.append(folder)


COMMAND = Explain()
