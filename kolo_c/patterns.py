"""Patterns of the filters: paths as in a .gitignore, module names, function names.

docs/reference/filters.md is the reference of the syntax. A path pattern is a subset of
what git takes: no ``!`` and no character classes such as ``[[:alpha:]]``; whatever
this module takes, git takes and understands in the same way.

Threads: any; patterns do not change. Owns: nothing. Fails: ``PatternError``.
"""

from __future__ import annotations

import re

from kolo_c.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol
else:
    Protocol = object  # typing costs 4 ms

_CALLABLE = re.compile(
    r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*(?:\.\w+)*)"
)
_NAME = re.compile(r"[\w.*?\[\]!^\-<>]+")


class PatternError(ValueError):
    """A text that is no pattern; the message says why and what to write instead."""


class Matcher(Protocol):
    """What a pattern answers."""

    @property
    def needs_code(self) -> bool:
        """Whether the answer depends on more than the path."""
        ...

    def matches(
        self, paths: tuple[str, ...], path: str, module: str | None, qualname: str
    ) -> bool:
        """``paths`` are the forms of ``path`` that path patterns are compared with."""
        ...


class PathPattern(Frozen):
    """A path pattern; matches when one form of the path does."""

    regex: re.Pattern[str]
    needs_code: bool = False

    def matches(
        self, paths: tuple[str, ...], path: str, module: str | None, qualname: str
    ) -> bool:
        return any(self.regex.match(form) is not None for form in paths)


class NamePattern(Frozen):
    """A module with everything below it, a function's name, or both."""

    module: re.Pattern[str] | None
    qualname: re.Pattern[str] | None
    needs_code: bool = True

    def matches(
        self, paths: tuple[str, ...], path: str, module: str | None, qualname: str
    ) -> bool:
        if self.module and not (module and self.module.match(module)):
            return False
        return self.qualname is None or self.qualname.match(qualname) is not None


class CallablePattern(Frozen):
    """The program's own ``predicate(path, module, qualname) -> bool``.

    ``call`` imports it when it is first needed and answers False when it cannot.
    """

    module: str
    name: str
    call: Callable[[str, str, str, str | None, str], bool]
    needs_code: bool = True

    def matches(
        self, paths: tuple[str, ...], path: str, module: str | None, qualname: str
    ) -> bool:
        return self.call(self.module, self.name, path, module, qualname)


def compile_pattern(
    text: str, call: Callable[[str, str, str, str | None, str], bool]
) -> Matcher:
    """The matcher for one line of a filter. Raises PatternError."""
    if not text.strip():
        raise PatternError("is empty")
    prefix, colon, rest = text.partition(":")
    if colon and prefix == "module":
        module, _, qualname = rest.partition(":")
        return NamePattern(
            _name_regex(module, text, below=r"(?:\..*)?"),
            _name_regex(qualname, text) if qualname else None,
        )
    if colon and prefix == "qualname":
        return NamePattern(None, _name_regex(rest, text))
    found = _CALLABLE.fullmatch(text)
    if found:
        return CallablePattern(found["module"], found["name"], call)
    return PathPattern(compile_path(text))


def _name_regex(text: str, whole: str, below: str = "") -> re.Pattern[str]:
    if not text:
        raise PatternError(f"{whole!r} lacks a name after the colon")
    if not _NAME.fullmatch(text):
        raise PatternError(
            f"{whole!r} is not a name: allowed are letters, digits, _ . * ? [ ] < >"
        )
    return _compiled(f"{_glob(text, any_character='.')}{below}", whole)


def compile_path(text: str) -> re.Pattern[str]:
    """A path pattern as a regular expression over relative paths with ``/``."""
    pattern = _without_trailing_spaces(text)
    if pattern.startswith("!"):
        raise PatternError(
            f"{text!r} begins with !, which is not supported: use include_frames"
        )
    if pattern.startswith("#"):
        raise PatternError(f"{text!r} is a comment; write \\# for such a name")
    folder_only = pattern.endswith("/")
    body = pattern[:-1] if folder_only else pattern
    anchored = "/" in body
    segments = body.removeprefix("/").split("/")
    if not all(segments) or any(segment in (".", "..") for segment in segments):
        raise PatternError(f"{text!r} has an empty, . or .. part: it matches nothing")
    if "***" in body:
        raise PatternError(f"{text!r} has ***; write * or **")
    if not anchored and segments != ["**"]:
        segments.insert(0, "**")
    return _compiled(_path_regex(segments, folder_only), text)


def _path_regex(segments: list[str], folder_only: bool) -> str:
    """What is matched covers everything below it; a folder is never traced itself."""
    kept: list[str] = []
    for segment in segments:
        if segment != "**" or kept[-1:] != ["**"]:
            kept.append(segment)
    parts = []
    for segment in kept[:-1]:
        parts.append("(?:.*/)?" if segment == "**" else _glob(segment, "[^/]") + "/")
    if kept[-1] == "**":
        parts.append("[^/]+/.*" if folder_only else ".+")
    else:
        parts.append(_glob(kept[-1], "[^/]") + ("/.*" if folder_only else "(?:/.*)?"))
    return "".join(parts)


def _without_trailing_spaces(text: str) -> str:
    stripped = text.rstrip(" ")
    escaped = (len(stripped) - len(stripped.rstrip("\\"))) % 2
    return stripped + " " if escaped and stripped != text else stripped


def _glob(text: str, any_character: str) -> str:
    """``*``, ``?``, ``[…]`` and ``\\`` of one part, as a regular expression."""
    result: list[str] = []
    at = 0
    while at < len(text):
        character = text[at]
        at += 1
        if character == "*":
            if result[-1:] != [any_character + "*"]:
                result.append(any_character + "*")
        elif character == "?":
            result.append(any_character)
        elif character == "[":
            piece, at = _bracket(text, at)
            result.append(piece)
        elif character == "\\":
            if at == len(text):
                raise PatternError(f"{text!r} ends with a lone backslash")
            result.append(re.escape(text[at]))
            at += 1
        else:
            result.append(re.escape(character))
    return "".join(result)


def _bracket(text: str, at: int) -> tuple[str, int]:
    """The set that opened before ``at``, and where the text goes on after it."""
    negated = text[at : at + 1] in ("!", "^")
    start = at + negated
    # A ] that comes first is a member.
    end = text.find("]", start + 1)
    if end < 0:
        raise PatternError(f"{text!r} has a [ without a ]")
    members = text[start:end]
    if "[" in members or "\\" in members:
        raise PatternError(f"{text!r} has [ or \\ within [...], which is not supported")
    inner = members.replace("]", "\\]").replace("^", "\\^")
    inner = re.sub(r"([&~|])", r"\\\1", inner)
    return f"(?!/)[{'^' if negated else ''}{inner}]", end + 1


def _compiled(regex: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(rf"(?s:{regex})\Z")
    except re.error as error:
        raise PatternError(f"{text!r} is not a pattern: {error}") from None


def rule_for(module: str | None, qualname: str) -> str | None:
    """The pattern of one function; None where its name cannot stand in a pattern."""
    text = f"module:{module}:{qualname}" if module else f"qualname:{qualname}"
    try:
        compile_pattern(text, lambda *_: False)
    except PatternError:
        return None
    return text
