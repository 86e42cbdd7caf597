"""``kolo-c ignore``: write into the settings what is not to be recorded.

Threads: the main one. Owns: nothing. Fails: KoloError, with the file as it was.
"""

from __future__ import annotations

import os
import sys

from kolo_c.cli.units import short_id
from kolo_c.errors import ConfigError, KoloError, harmless
from kolo_c.patterns import CallablePattern, PatternError, compile_pattern, rule_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kolo_c.config_file import ConfigFile
    from kolo_c.store.reader import Store, Trace


class Ignore:
    """Leave functions out of what is recorded, from the next run on.

    kolo-c ignore module:shop.cart:Cart.price   one function
    kolo-c ignore module:shop.tests             a module, and those below it
    kolo-c ignore 'migrations/'                 files, as in a .gitignore
    kolo-c ignore --list                        what is left out
    kolo-c ignore --remove RULE                 record it again

    RULE is written to ignore_frames in the file whose list is in force, else in
    pyproject.toml if it has a table [tool.kolo_c], else in .kolo_c/config.toml.
    Comments and layout of the file stay as they are. docs/reference/filters.md has all
    that a RULE can be.
    """

    name = "ignore"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("rule", metavar="RULE", nargs="?", help="what to leave out")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--list", action="store_true", help="print the rules")
        what.add_argument("--remove", action="store_true", help="take RULE out again")
        parser.add_argument(
            "--include",
            action="store_true",
            help="change include_frames instead: what is kept although it would not be",
        )
        parser.add_argument(
            "--pyproject",
            action="store_true",
            help="write to pyproject.toml, for everybody who works on the project",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="show the change, write nothing"
        )
        parser.add_argument(
            "--project", metavar="DIR", help="the project, if it is not this one"
        )

    def run(self, args: argparse.Namespace) -> int:
        from kolo_c.config_file import file_for  # noqa: PLC0415 - not for the help

        if (args.rule is None) != args.list:
            raise KoloError(
                "--list takes no RULE" if args.list else "there is no RULE",
                "Write: kolo-c ignore RULE, such as module:shop.cart:Cart.price, or "
                "kolo-c ignore --list.",
                slug="usage",
            )
        key = "include_frames" if args.include else "ignore_frames"
        root = _root(args.project)
        if args.list:
            return _print_list(root, key)
        file = file_for(root, os.environ, key, shared=args.pyproject)
        if args.remove:
            _remove(file, key, args.rule, dry_run=args.dry_run)
        else:
            store = None if args.include else _open_store(root)
            try:
                trace = None if store is None else _latest_trace(store)
                _add(file, key, args.rule, trace, root=root, dry_run=args.dry_run)
            finally:
                if store is not None:
                    store.close()
        _warn_of_environment(key)
        return 0


def _root(folder: str | None) -> str:
    from kolo_c.project import find_root  # noqa: PLC0415 - not for the help

    if folder is not None and not os.path.isdir(folder):
        raise KoloError(f"{folder} is not a folder", "Name the project's folder.")
    cwd = os.path.abspath(folder or os.getcwd())
    return os.fspath(find_root(None, cwd=cwd)[0])


def _print_list(root: str, key: str) -> int:
    from kolo_c.config import load  # noqa: PLC0415 - not for the help

    loaded = load(root)
    rules = getattr(loaded.require(), key)
    where = loaded.origins.get(key, "default")
    if not rules:
        print(f"{key} is empty: everything of the project's own is recorded")
    for rule in rules:
        print(harmless(rule))
    if rules and sys.stdout.isatty():
        print(f"({key}: {harmless(where)})")
    return 0


def _add(
    file: ConfigFile,
    key: str,
    rule: str,
    trace: Trace | None,
    *,
    root: str,
    dry_run: bool,
) -> None:
    rule, remark = _checked(rule, trace)
    if rule in file.items(key):
        print(f"{harmless(rule)} is in {key} of {harmless(file.path)} already")
        return
    text = file.with_item(key, rule)
    _finish(file, text, f"added {rule} to {key}", dry_run=dry_run)
    if remark:
        print(remark)
    if trace is not None:
        _tell_effect(trace, rule, root)


def _remove(file: ConfigFile, key: str, rule: str, *, dry_run: bool) -> None:
    rules = file.items(key)
    if rule not in rules:
        from kolo_c.settings import did_you_mean  # noqa: PLC0415 - a mistake

        raise KoloError(
            f"{rule} is not in {key} of {file.path}",
            did_you_mean(rule, rules) if rules else "It has no rules.",
        )
    text = file.without_item(key, rule)
    _finish(file, text, f"took {rule} out of {key}", dry_run=dry_run)


def _finish(file: ConfigFile, text: str, said: str, *, dry_run: bool) -> None:
    if dry_run:
        import difflib  # noqa: PLC0415 - only here

        old, new = file.text.splitlines(), text.splitlines()
        name = file.path
        for line in difflib.unified_diff(old, new, name, name, lineterm="", n=2):
            print(harmless(line))
        return
    if not file.exists:
        _prepare_store(file)
    file.write(text)
    print(harmless(f"{said} in {file.path}"))


def _prepare_store(file: ConfigFile) -> None:
    """A new config.toml lies in the store, which git has to leave alone."""
    from kolo_c.project import create_store  # noqa: PLC0415 - only here

    folder = os.path.dirname(file.path)
    if os.path.basename(folder) != ".kolo_c":
        return
    try:
        create_store(folder)
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot be made: {error.strerror or error}",
            "Nothing was changed. Make its folder writable, or use --pyproject.",
        ) from error


def _checked(rule: str, trace: Trace | None) -> tuple[str, str]:
    """``rule`` as it is to be written, and what there is to say about it."""
    try:
        pattern = compile_pattern(rule, lambda *_: False)
    except PatternError as error:
        raise KoloError(
            f"this is no rule: {error}",
            "docs/reference/filters.md has what one can be.",
        ) from error
    if not isinstance(pattern, CallablePattern):
        return rule, ""
    function = rule_for(pattern.module, pattern.name)
    if function is None:
        return rule, ""
    if trace is not None and _has_function(trace, pattern.module, pattern.name):
        return function, f"({rule} is a recorded function: written as {function})"
    return rule, (
        f"{rule} is a function that decides what is left out (filters.md); for the "
        f"function of this name itself: {function}"
    )


def _open_store(root: str) -> Store | None:
    """The project's store; None where there is none, or none to be read."""
    from kolo_c.config import config_folder  # noqa: PLC0415 - for adding alone
    from kolo_c.store.reader import Store  # noqa: PLC0415

    try:
        return Store(config_folder(root, os.environ))
    except KoloError:
        return None


def _latest_trace(store: Store) -> Trace | None:
    try:
        return store.trace()
    except KoloError:
        return None


def _has_function(trace: Trace, module: str, qualname: str) -> bool:
    from kolo_c.model.busiest import CallSample  # noqa: PLC0415 - for adding alone

    codes = map(trace.definitions.code, CallSample(trace).calls)
    return any((code.module, code.qualname) == (module, qualname) for code in codes)


def _tell_effect(trace: Trace, rule: str, root: str) -> None:
    """How much of the latest trace the rule would have left out."""
    from kolo_c.config import load  # noqa: PLC0415 - for adding alone
    from kolo_c.filter import Filter  # noqa: PLC0415
    from kolo_c.model.busiest import CallSample  # noqa: PLC0415
    from kolo_c.project import find_project  # noqa: PLC0415

    config = load(root).config.with_(ignore_frames=(rule,), rules=())
    try:
        chosen = Filter(config, find_project(cwd=root))
    except ConfigError:
        return  # what else is wrong there is for the next run to say
    sample = CallSample(trace)
    left_out = 0
    for number, calls in sample.calls.items():
        code = trace.definitions.code(number)
        path = trace.definitions.path(code.file)
        decision = chosen.decide(path, code.module, code.qualname)
        if decision.kind == "ignore":
            left_out += calls
    if not sample.total:
        return
    short = short_id(trace.id)
    if not left_out:
        print(f"it matches no call of the latest trace ({short})")
    elif sample.whole:
        print(
            f"of the latest trace ({short}) it leaves out "
            f"{left_out:,} of {sample.total:,} calls"
        )
    else:
        share = left_out / sample.total
        print(f"of the latest trace ({short}) it leaves out about {share:.0%} of calls")


def _warn_of_environment(key: str) -> None:
    variable = f"KOLO_C_{key.upper()}"
    if os.environ.get(variable):
        print(
            f"kolo-c: {variable} is set, which hides the list in the file",
            file=sys.stderr,
        )


COMMAND = Ignore()
