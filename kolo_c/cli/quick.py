"""Options in their usual forms, taken without argparse.

argparse costs 3 ms a command, with what it imports, and what it is needed for are help
and mistakes. So a command declares its arguments twice: to this first, which knows the
plain forms, and to argparse where a word is anything else. What this takes, argparse
takes to mean the same; a test compares the two.

Threads: the main one. Owns: nothing. Fails: never; ``parse`` returns None where it is
for argparse to say what the words mean, or what is wrong with them.
"""

from __future__ import annotations

from types import SimpleNamespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

_ACTIONS = ("store", "store_true", "store_false", "append")
_SAID_BY_ARGPARSE = {"help", "metavar", "required"}


class _Unusual(Exception):
    """argparse is needed."""


class _Argument:
    """One declared argument."""

    def __init__(
        self,
        *flags: str,
        action: str = "store",
        dest: str = "",
        default: Any = None,
        type: Callable[[str], Any] | None = None,
        choices: Any = None,
        nargs: str | None = None,
        **others: Any,
    ) -> None:
        self.flags = flags if flags[0].startswith("-") else ()
        self.dest = dest or _dest_of(flags)
        self.action = action
        if action in ("store_true", "store_false"):
            default = action == "store_false"
        self.default = default
        self.type = type
        self.choices = choices
        self.optional = nargs == "?"
        if (
            action not in _ACTIONS
            or nargs not in ((None,) if self.flags else (None, "?"))
            or not others.keys() <= _SAID_BY_ARGPARSE
            or others.get("required")
            or (type is not None and isinstance(default, str))
        ):
            raise _Unusual

    def value_of(self, word: str) -> Any:
        """What ``word`` means here."""
        try:
            value = word if self.type is None else self.type(word)
        except Exception:
            raise _Unusual from None
        if self.choices is not None and value not in self.choices:
            raise _Unusual
        return value


class QuickParser:
    """Takes the place of ``argparse.ArgumentParser`` in ``Command.configure``."""

    usage: str | None = None
    epilog: str | None = None

    def __init__(self) -> None:
        self._options: dict[str, _Argument] = {}
        self._positionals: list[_Argument] = []
        self._alternatives: list[list[_Argument]] = []

    def add_argument(self, *flags: str, **how: Any) -> _Argument:
        """As argparse's; _Unusual for what is not known here."""
        argument = _Argument(*flags, **how)
        for flag in argument.flags:
            self._options[flag] = argument
        if not argument.flags:
            self._positionals.append(argument)
        return argument

    def add_argument_group(self, *_words: str) -> QuickParser:
        """Groups matter in the help alone."""
        return self

    def add_mutually_exclusive_group(self) -> _Alternatives:
        """Of these options at most one may be given."""
        self._alternatives.append([])
        return _Alternatives(self, self._alternatives[-1])

    def __getattr__(self, name: str) -> Any:
        raise _Unusual

    def parse(self, words: Sequence[str]) -> SimpleNamespace:
        """The values; _Unusual where a word is in no plain form."""
        found = {
            argument.dest: argument.default
            for argument in (*self._options.values(), *self._positionals)
        }
        given: list[_Argument] = []
        places: list[int] = []
        rest = list(enumerate(words))
        while rest:
            at, word = rest.pop(0)
            if not word.startswith("-"):
                places.append(at)
                continue
            flag, equals, value = word.partition("=")
            argument = self._options.get(flag)
            if argument is None or (equals and not flag.startswith("--")):
                raise _Unusual
            given.append(argument)
            if argument.action in ("store_true", "store_false"):
                if equals:
                    raise _Unusual
                found[argument.dest] = argument.action == "store_true"
                continue
            if not equals:
                value = rest.pop(0)[1] if rest else "-"
                if value.startswith("-"):
                    raise _Unusual
            taken = argument.value_of(value)
            if argument.action == "append":
                taken = [*(found[argument.dest] or ()), taken]
            found[argument.dest] = taken
        if any(sum(map(given.count, group)) > 1 for group in self._alternatives):
            raise _Unusual
        self._take_positionals(found, places, words)
        return SimpleNamespace(**found)

    def _take_positionals(
        self, found: dict[str, Any], places: list[int], words: Sequence[str]
    ) -> None:
        needed = sum(not argument.optional for argument in self._positionals)
        if not needed <= len(places) <= len(self._positionals):
            raise _Unusual
        # argparse has its own mind about words that stand apart, and about which of
        # several may be missing.
        if places and places[-1] - places[0] != len(places) - 1:
            raise _Unusual
        if len(places) < len(self._positionals) and needed:
            raise _Unusual
        for argument, at in zip(self._positionals, places):  # noqa: B905 - see above
            found[argument.dest] = argument.value_of(words[at])


class _Alternatives:
    """A group of options that exclude each other."""

    def __init__(self, parser: QuickParser, group: list[_Argument]) -> None:
        self._parser = parser
        self._group = group

    def add_argument(self, *flags: str, **how: Any) -> None:
        """As the parser's."""
        self._group.append(self._parser.add_argument(*flags, **how))


def _dest_of(flags: tuple[str, ...]) -> str:
    long = next((flag for flag in flags if flag.startswith("--")), flags[0])
    return long.lstrip("-").replace("-", "_")


def parse(
    configure: Callable[[Any], None], words: Sequence[str]
) -> SimpleNamespace | None:
    """What ``words`` mean to a command with this ``configure``; None: ask argparse."""
    parser = QuickParser()
    try:
        configure(parser)
        return parser.parse(words)
    except _Unusual:
        return None
