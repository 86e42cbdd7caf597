"""Parameters of every kind, and arguments that fit them in every way.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from dataclasses import dataclass

from kolo_c.validate.generate.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.validate.generate.draft import Draft

_NAMES = (
    *("a", "b", "c", "item", "size", "data", "options", "flag", "text", "left"),
    *("password", "token", "api_key", "session", "token_count", "_", "größe", "right"),
)


@dataclass(frozen=True)
class Signature:
    """``/`` behind the first ones, ``*`` before the last ones, a default or none."""

    positional_only: tuple[tuple[str, str], ...] = ()
    usual: tuple[tuple[str, str], ...] = ()
    starred: str = ""
    keyword_only: tuple[tuple[str, str], ...] = ()
    keywords: str = ""

    @property
    def text(self) -> str:
        """As it stands in the ``def``."""
        parts = [_parameter(*one) for one in self.positional_only]
        if parts:
            parts.append("/")
        parts += [_parameter(*one) for one in self.usual]
        if self.starred or self.keyword_only:
            parts.append("*" + self.starred)
        parts += [_parameter(*one) for one in self.keyword_only]
        if self.keywords:
            parts.append("**" + self.keywords)
        return ", ".join(parts)

    @property
    def names(self) -> list[str]:
        """Of all parameters."""
        pairs = (*self.positional_only, *self.usual, *self.keyword_only)
        return [
            *(name for name, _ in pairs),
            *(name for name in (self.starred, self.keywords) if name),
        ]


def _parameter(name: str, default: str) -> str:
    return f"{name}={default}" if default else name


def signature(draft: Draft) -> Signature:
    """Any; most functions have few parameters."""
    choices = draft.choices
    names = iter(choices.some(_NAMES, 12))
    counts = [choices.below(3), choices.below(4), choices.below(3)]
    if choices.chance(50):
        counts = [0, choices.between(1, 3), 0]
    defaults = False
    groups: list[tuple[tuple[str, str], ...]] = []
    for index, count in enumerate(counts):
        group: list[tuple[str, str]] = []
        for _ in range(count):
            defaults = choices.chance(35) or (defaults and index < 2)
            default = value(draft, "small") if defaults else ""
            group.append((next(names), default))
        groups.append(tuple(group))
    return Signature(
        positional_only=groups[0],
        usual=groups[1],
        starred="rest" if choices.chance(25) else "",
        keyword_only=groups[2],
        keywords="more" if choices.chance(20) else "",
    )


def arguments(draft: Draft, wanted: Signature, known: list[str]) -> str:
    """A call's arguments: values or ``known`` names, by position, name or unpacked."""
    choices = draft.choices

    def one() -> str:
        if known and choices.chance(40):
            return choices.pick(known)
        return value(draft)

    positional: list[str] = []
    named: list[str] = []
    by_name = False
    for index, (name, default) in enumerate((*wanted.positional_only, *wanted.usual)):
        usual = index >= len(wanted.positional_only)
        by_name = by_name or (usual and choices.chance(25))
        if default and choices.chance(40):
            # Nothing behind it can be given by position any more.
            if not usual:
                break
            by_name = True
            continue
        if by_name:
            named.append(f"{name}={one()}")
        else:
            positional.append(one())
    complete = len(positional) == len(wanted.positional_only) + len(wanted.usual)
    if wanted.starred and complete:
        positional += [one() for _ in range(choices.below(3))]
        if choices.chance(25):
            positional.append(f"*{choices.pick(('range(40)', '(1, 2)', '()'))}")
    named += [
        f"{name}={one()}"
        for name, default in wanted.keyword_only
        if not default or choices.chance(60)
    ]
    if wanted.keywords and choices.chance(70):
        named.append(f"extra={one()}")
        if choices.chance(40):
            named.append("**{'pwd': 'opensesame9', 'odd name': 1}")
    return ", ".join([*positional, *named])
