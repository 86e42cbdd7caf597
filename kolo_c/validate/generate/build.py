"""From a seed to a program: a pool of functions, parts that use them, and ``main``.

Threads: any. Owns: nothing. Fails: ValueError for a target that is not supported.
"""

from __future__ import annotations

import textwrap

from kolo_c.validate.generate.choices import Choices
from kolo_c.validate.generate.draft import Draft
from kolo_c.validate.generate.features import PARTS, Part
from kolo_c.validate.generate.functions import function
from kolo_c.validate.generate.program import Program, Target
from kolo_c.validate.generate.support import PIECES
from kolo_c.validate.generate.text import fill, indent

FEATURES = frozenset(part.name for part in PARTS)
"""What programs are made of; a run of many should have met each that its target has."""

_POOL = ("plain", "plain", "plain", "generator", "generator", "coroutine", "asyncgen")
_FUNCTION_RECORDS = 60
_PART_RECORDS = 350


def generate(seed: int, target: Target | None = None) -> Program:
    """The program of this seed for the target; by default the Python that runs."""
    target = Target.here() if target is None else target
    choices = Choices(f"kolo_c program {seed}")
    draft = Draft(choices.child("pool"), target)
    draft.need("", "attempt")
    for kind in choices.some(_POOL, choices.between(4, len(_POOL))):
        function(draft, kind, _FUNCTION_RECORDS)
    calls: list[str] = []
    for part in choices.some(PARTS, choices.between(3, 6)):
        if part.since <= target.version and not (part.prompt and not target.prompt):
            # Choices of its own, so that a part that a target lacks moves no other.
            draft.choices = choices.child(part.name)
            draft.features.add(part.name)
            calls += _write(draft, part)
    if not calls:
        calls = _write(draft, PARTS[0])
    return Program(seed, target, _source(draft, calls), frozenset(draft.features))


def _write(draft: Draft, part: Part) -> list[str]:
    """Define the part, and give the statement that runs it."""
    lines = part.write(draft, _PART_RECORDS)
    name = f"part_{part.name}"
    draft.define([f"def {name}():", *indent(lines)])
    return [f"attempt({part.name!r}, {name})"]


def _source(draft: Draft, calls: list[str]) -> str:
    """All of it, as a module."""
    lines = [f"import {name}" for name in sorted(draft.imports)]
    if "kolo_c" in draft.imports:
        lines.remove("import kolo_c")
    for name in draft.pieces:
        lines += ["", "", *textwrap.dedent(PIECES[name].text).strip("\n").split("\n")]
    lines += ["", "", *draft.lines, "", ""]
    lines += fill(
        """
        def main():
            $calls


        if __name__ == "__main__":
            main()
        """,
        calls=calls,
    )
    if "Touchy" in draft.pieces:
        at = lines.index("def main():") + 1 + len(calls)
        lines.insert(at, "    say('touched', sorted(TOUCHED))")
    return "\n".join(line.rstrip() for line in lines).strip("\n") + "\n"
