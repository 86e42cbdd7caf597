"""The filter: whether a function's calls are kept, why, and how they are recorded.

Asked once per file and once per code object; the core remembers the answers. The order:
kolo_c itself is never kept, ``include_frames`` wins over ``ignore_frames``, both win
over the default. ``rules`` then say how the calls of kept code are recorded.

Threads: any, under the GIL; two threads may decide the same at once, with one result.
Owns: the predicates that it imported, the counts of what was skipped.
Fails: the constructor raises ConfigError for a pattern that is none. Deciding never
fails: a predicate that cannot be imported or raises is reported once in ``problems``
and matches nothing. A KeyboardInterrupt passes.
"""

from __future__ import annotations

from kolo_c.errors import ConfigError
from kolo_c.frozen import Frozen
from kolo_c.own_builtins import path as own_path
from kolo_c.project import SITE_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from kolo_c.config import Config
    from kolo_c.function_rules import FunctionRule
    from kolo_c.patterns import Matcher
    from kolo_c.project import Project

_OWN_FOLDER = own_path.dirname(own_path.abspath(__file__))
_NAMES_ALONE = SITE_NAMES | {"", ".", ".."}
_EXAMPLES = 3
_PATH_MOST = 4096
_FOLDERS_MOST = 4096
"""That are known; a program may make code of files in ever new ones."""


class Rule(Frozen):
    """One line of the filters."""

    text: str
    where: str
    """The setting and the place it came from."""
    matcher: Matcher
    _aside = ("matcher",)


class FunctionOptions(Frozen):
    """How the calls of one function are recorded, with the settings filled in."""

    locals: str
    values: bool
    mask: tuple[str, ...]
    repr: str
    self: str
    boundary: bool
    shallow: bool
    max_depth: int | None
    rules: tuple[str, ...] = ()
    """The rules that said so, in their order."""


class Decision(Frozen):
    """Keep or skip, with the reason in words."""

    keep: bool
    kind: str
    """What decided, in one word: include, ignore, root, stdlib, site, venv, …"""
    reason: str
    rule: Rule | None = None
    options: FunctionOptions | None = None
    """None where the session's settings hold."""


class Skipped:
    """What was skipped for one reason: how often, some of the files, the first why."""

    def __init__(self, why: str) -> None:
        self.why = why
        self.count = 0
        self.examples: list[str] = []

    def about(self) -> dict[str, Any]:
        """As plain data."""
        return {"why": self.why, "files": list(self.examples)}


class Filter:
    """The filters of one session, compiled."""

    def __init__(
        self,
        config: Config,
        project: Project,
        origins: Mapping[str, str] | None = None,
    ) -> None:
        self.config = config
        self.project = project
        self.problems: list[str] = []
        self.skipped: dict[str, Skipped] = {}
        self.kept_count = 0
        self._origins = origins or {}
        self._predicates: dict[str, Callable[..., Any] | None] = {}
        self._include = self._compile("include_frames", config.include_frames)
        self._ignore = self._compile("ignore_frames", config.ignore_frames)
        self._function_rules = [
            (rule, self._compile("rules", rule.match, rule.where))
            for rule in config.rules
        ]
        self._include_needs_code = _need_code(self._include)
        self._ignore_needs_code = _need_code(self._ignore)
        self._rules_need_code = any(
            _need_code(lines) for _, lines in self._function_rules
        )
        self._root_forms = _forms(project.root)
        self._kept_folders = self._collect_kept_folders()
        self._stdlib = project.stdlib
        self._own = _forms(_OWN_FOLDER)
        self._venv_cache: dict[str, bool] = {}
        self._real_folders: dict[str, str] = {}
        patterns = (config.include_frames, config.ignore_frames, config.rules)
        self._by_folder = not any(patterns)
        """What holds of one file holds of the others in its folder."""
        self._folders: dict[str, Decision | None] = {}
        self._paths_alone = frozenset(
            (
                *self._own,
                *self._stdlib,
                *(folder for folder, _, _ in self._kept_folders),
            )
        )
        """But for these: a file may be a root, or be called as one was."""

    def is_same(self, other: Filter) -> bool:
        """Whether ``other`` says the same of all code of this project."""
        keys = ("include_frames", "ignore_frames", "rules", "roots")
        return self is other or all(
            getattr(self.config, key) == getattr(other.config, key) for key in keys
        )

    def decide(self, path: str, module: str | None, qualname: str) -> Decision:
        """The verdict on one code object. ``path`` is its ``co_filename``."""
        decision = self._decide(path, module, qualname)
        assert decision is not None  # qualname was there
        self._count(path, decision)
        return decision

    def decide_file(self, path: str) -> Decision | None:
        """The verdict on all code of a file; None where it depends on the function."""
        decision = self._decide(path, None, None)
        if decision is not None:
            self._count(path, decision)
        return decision

    def _decide(
        self, path: str, module: str | None, qualname: str | None
    ) -> Decision | None:
        """The decision; None only where ``qualname`` is None and would be needed."""
        if not self._by_folder or not path.startswith("/"):
            return self._decide_anew(path, module, qualname)
        folder, _, name = path.rpartition("/")
        alone = (
            name in _NAMES_ALONE
            or path in self._paths_alone
            or len(path) > _PATH_MOST
            or own_path.islink(path)
        )
        decision = None if alone else self._folders.get(folder)
        if decision is None:
            decision = self._decide_anew(path, module, qualname)
            if not alone:
                _remember(self._folders, folder, decision)
        return decision

    def _decide_anew(
        self, path: str, module: str | None, qualname: str | None
    ) -> Decision | None:
        # Before it is looked at: most processes meet files of ours alone.
        if ".." not in path and any(_is_below(path, own) for own in self._own):
            return Decision(False, "self", "it is kolo_c itself")
        generated = _generated(path)
        absolute = path if generated else self._absolute(path)
        files = (absolute,) if generated else self._forms_of(absolute)
        if any(_is_below(file, own) for file in files for own in self._own):
            return Decision(False, "self", "it is kolo_c itself")
        forms = tuple(self._relative(file) for file in files)
        code = (forms, absolute, module, qualname)
        rule = _first_match(self._include, code)
        if rule is None and qualname is None and self._include_needs_code:
            return None
        if rule is not None:
            decision = Decision(
                True, "include", f"{rule.where} has {rule.text!r}", rule
            )
        else:
            default = generated or self._default(files)
            rule = _first_match(self._ignore, code)
            if rule is not None:
                decision = Decision(
                    False, "ignore", f"{rule.where} has {rule.text!r}", rule
                )
            elif default.keep and qualname is None and self._ignore_needs_code:
                return None
            else:
                decision = default
        if not decision.keep or not self._function_rules:
            return decision
        if qualname is None and self._rules_need_code:
            return None
        options = self._options(code)
        return Decision(True, decision.kind, decision.reason, decision.rule, options)

    def _forms_of(self, path: str) -> tuple[str, ...]:
        """As ``_forms``."""
        resolved = self._resolved(path)
        return (path,) if resolved == path else (path, resolved)

    def _resolved(self, path: str) -> str:
        """As realpath, which looks at each folder once more for each of its files."""
        if len(path) > _PATH_MOST:
            return path  # the system has none that is so long
        if own_path.islink(path):
            return own_path.realpath(path)  # type: ignore[no-any-return]
        folder, _, name = path.rpartition("/")
        return f"{self._real_folder(folder)}/{name}"

    def _real_folder(self, folder: str) -> str:
        """The same of a folder; empty for the root."""
        names = []
        known = self._real_folders.get(folder)
        while folder and known is None:
            if own_path.islink(folder):
                known = own_path.realpath(folder).rstrip("/")
            else:
                folder, _, name = folder.rpartition("/")
                names.append(name)
                known = self._real_folders.get(folder)
        real = known or ""
        _remember(self._real_folders, folder, real)
        for name in reversed(names):
            folder, real = f"{folder}/{name}", f"{real}/{name}"
            _remember(self._real_folders, folder, real)
        return real

    def _default(self, files: tuple[str, ...]) -> Decision:
        """Kept when one form of the path is; else why the first one is skipped."""
        decisions = [self._default_of(file) for file in files]
        return next((each for each in decisions if each.keep), decisions[0])

    def _default_of(self, file: str) -> Decision:
        for folder in self._stdlib:
            if _is_below(file, folder) and not SITE_NAMES & set(_parts(file, folder)):
                return Decision(False, "stdlib", "it is the standard library")
        best: tuple[str, str, str] | None = None
        for folder, kind, words in self._kept_folders:
            # The nearest folder speaks: a root within a virtual environment is kept.
            if _is_below(file, folder) and (best is None or len(folder) > len(best[0])):
                best = (folder, kind, words)
        if best is None:
            if SITE_NAMES & set(file.split("/")):
                return Decision(False, "site", "it is an installed library")
            return Decision(
                False,
                "outside",
                f"it is outside the project's root {self.project.root}",
            )
        folder, kind, words = best
        if SITE_NAMES & set(_parts(file, folder)):
            return Decision(False, "site", "it is an installed library")
        venv = self._venv_between(folder, own_path.dirname(file))
        if venv:
            return Decision(False, "venv", f"it is in the virtual environment {venv}")
        return Decision(True, kind, words)

    def _venv_between(self, top: str, folder: str) -> str:
        """The virtual environment below ``top`` that ``folder`` is in, or empty."""
        if len(folder) > _PATH_MOST:
            return ""
        while _is_below(folder, top) and folder != top:
            known = self._venv_cache.get(folder)
            if known is None:
                known = own_path.exists(own_path.join(folder, "pyvenv.cfg"))
                _remember(self._venv_cache, folder, known)
            if known:
                return folder
            folder = own_path.dirname(folder)
        return ""

    def _options(self, code: tuple[Any, ...]) -> FunctionOptions | None:
        matching = [
            rule
            for rule, lines in self._function_rules
            if _first_match(lines, code) is not None
        ]
        return _merge(self.config, matching) if matching else None

    def _collect_kept_folders(self) -> list[tuple[str, str, str]]:
        root = self.project.root
        folders = [
            (form, "root", f"it is under the root {root}") for form in self._root_forms
        ]
        for text in self.config.roots:
            folder = own_path.normpath(own_path.join(root, own_path.expanduser(text)))
            if not own_path.isdir(folder):
                self.problems.append(f"roots names {folder}, which is not a folder")
            for form in _forms(folder):
                folders.append((form, "roots", f"roots has {text!r}"))
        for source in self.project.sources:
            words = f"{source} is installed as editable"
            folders.append((source, "editable", words))
        return folders

    def _absolute(self, path: str) -> str:
        absolute: str = own_path.normpath(own_path.join(self.project.cwd, path))
        return absolute

    def _relative(self, file: str) -> str:
        """What path patterns are compared with: relative to the root, or to ``/``."""
        for root in self._root_forms:
            if file != root and _is_below(file, root):
                return "/".join(_parts(file, root))
        return file.lstrip("/")

    def _compile(
        self, key: str, texts: tuple[str, ...], where: str = ""
    ) -> tuple[Rule, ...]:
        if not texts:
            return ()
        # Without a pattern neither this nor re is needed: 3 ms.
        from kolo_c.patterns import PatternError, compile_pattern  # noqa: PLC0415

        origin = self._origins.get(key, "")
        place = f"{where or key} of {origin}" if origin else where or key
        rules = []
        for text in texts:
            try:
                matcher = compile_pattern(text, self._call_predicate)
            except PatternError as error:
                raise ConfigError(
                    f"{place}: {error}",
                    hint=f"Correct {key}"
                    + (f" in {origin}" if origin else "")
                    + "; docs/reference/filters.md has the syntax.",
                ) from None
            rules.append(Rule(text, place, matcher))
        return tuple(rules)

    def _call_predicate(
        self, module: str, name: str, path: str, of_module: str | None, qualname: str
    ) -> bool:
        text = f"{module}:{name}"
        if text not in self._predicates:
            self._predicates[text] = self._import_predicate(module, name)
        predicate = self._predicates[text]
        if predicate is None:
            return False
        try:
            return bool(predicate(path, of_module, qualname))
        except Exception as error:
            self._report(text, f"raised {type(error).__name__}: {error}")
            return False

    def _import_predicate(self, module: str, name: str) -> Callable[..., Any] | None:
        import importlib  # noqa: PLC0415 - predicates only

        text = f"{module}:{name}"
        try:
            found: Any = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except Exception as error:
            self._report(text, f"cannot be imported: {type(error).__name__}: {error}")
            return None
        if not callable(found):
            self._report(text, f"is not callable: it is {type(found).__name__}")
            return None
        return found  # type: ignore[no-any-return]

    def _report(self, text: str, what: str) -> None:
        if not any(
            problem.startswith(f"the filter {text} ") for problem in self.problems
        ):
            self.problems.append(f"the filter {text} {what}; it matches nothing")

    def _count(self, path: str, decision: Decision) -> None:
        if decision.keep:
            self.kept_count += 1
        else:
            skipped = self.skipped.get(decision.kind)
            if skipped is None:
                skipped = self.skipped[decision.kind] = Skipped(decision.reason)
            skipped.count += 1
            if len(skipped.examples) < _EXAMPLES and path not in skipped.examples:
                skipped.examples.append(path)


def _generated(path: str) -> Decision | None:
    """The default for code without a file; None for code that has one."""
    if not path:
        return Decision(False, "generated", "it has no file name")
    if path.startswith("<frozen ") or path == "<frozen>":
        return Decision(False, "frozen", "it is frozen into the interpreter")
    if path.startswith("<"):
        return Decision(False, "generated", f"it is generated code: {path}")
    return None


def _merge(config: Config, rules: list[FunctionRule]) -> FunctionOptions:
    values: dict[str, Any] = {
        "locals": config.locals,
        "values": True,
        "repr": config.repr,
        "self": config.self,
        "boundary": False,
        "shallow": False,
        "max_depth": None,
    }
    mask: dict[str, None] = {}
    for rule in rules:
        for name in values:
            said = getattr(rule, name)
            if said is not None:
                values[name] = said
        mask.update(dict.fromkeys(rule.mask))
    names = tuple(f"{rule.where} ({', '.join(rule.match)})" for rule in rules)
    return FunctionOptions(mask=tuple(mask), rules=names, **values)


def _first_match(rules: tuple[Rule, ...], code: tuple[Any, ...]) -> Rule | None:
    """The first line that matches; with no qualname, lines about code are left out."""
    forms, path, module, qualname = code
    for rule in rules:
        if qualname is None and rule.matcher.needs_code:
            continue
        if rule.matcher.matches(forms, path, module, qualname or ""):
            return rule
    return None


def _need_code(rules: Iterable[Rule]) -> bool:
    return any(rule.matcher.needs_code for rule in rules)


def _forms(path: str) -> tuple[str, ...]:
    """The path as it is and, where a symlink is in it, as it resolves."""
    real = own_path.realpath(path)
    return (path,) if real == path else (path, real)


def _remember(known: dict[str, Any], folder: str, fact: Any) -> None:
    if len(known) >= _FOLDERS_MOST:
        known.clear()
    known[folder] = fact


def _is_below(path: str, folder: str) -> bool:
    """Whether ``path`` is ``folder`` or in it. Both are absolute and normal."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _parts(path: str, folder: str) -> list[str]:
    return path[len(folder.rstrip("/")) + 1 :].split("/")
