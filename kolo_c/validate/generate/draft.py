"""A program while it is being written: what it imports, defines, and may call.

Cost is counted in records, roughly and from above: a part that would exceed what is
left is not written. So programs end soon, whatever was chosen.

Threads: one at a time. Owns: the text so far. Fails: KeyError for an unknown piece.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kolo_c.validate.generate.support import PIECES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kolo_c.validate.generate.choices import Choices
    from kolo_c.validate.generate.program import Target
    from kolo_c.validate.generate.signature import Signature


@dataclass(frozen=True)
class Callee:
    """A function that the rest of the program may call."""

    name: str
    kind: str
    """``plain``, ``generator``, ``coroutine`` or ``asyncgen``."""
    signature: Signature
    cost: int
    """Records of one call, at most, run to its end."""


@dataclass
class Draft:
    """The program so far, and the choices for what comes next."""

    choices: Choices
    target: Target
    imports: set[str] = field(default_factory=set)
    pieces: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    """Definitions, behind the pieces."""
    callees: list[Callee] = field(default_factory=list)
    features: set[str] = field(default_factory=set)
    _numbers: dict[str, int] = field(default_factory=dict)

    def name(self, prefix: str) -> str:
        """A name that nothing else has."""
        number = self._numbers.get(prefix, 0) + 1
        self._numbers[prefix] = number
        return f"{prefix}{number}"

    def need(self, imports: str = "", pieces: str = "") -> None:
        """The program uses these modules and pieces."""
        self.imports.update(imports.split())
        for name in pieces.split():
            if name not in self.pieces:
                piece = PIECES[name]
                self.need(" ".join(piece.imports), " ".join(piece.needs))
                self.pieces.append(name)

    def define(self, lines: Sequence[str]) -> None:
        """Put a function or class into the module."""
        if self.lines:
            self.lines += ["", ""]
        self.lines += lines

    def since(self, major: int, minor: int) -> bool:
        """Whether the target is that version or a newer one."""
        return self.target.version >= (major, minor)

    def callable(self, kind: str, budget: int) -> Callee | None:
        """A function of the kind that costs no more, if there is one."""
        found = [one for one in self.callees if one.kind == kind and one.cost <= budget]
        return self.choices.pick(found) if found else None
