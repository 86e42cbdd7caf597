"""Functions at random, of every kind: the pool that parts of a program call.

Threads: one at a time. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.validate.generate.body import Scope, statements
from kolo_c.validate.generate.draft import Callee
from kolo_c.validate.generate.signature import signature
from kolo_c.validate.generate.text import block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.validate.generate.draft import Draft

_PREFIX = {
    "plain": "work",
    "generator": "steps",
    "coroutine": "wait",
    "asyncgen": "stream",
}


def function(draft: Draft, kind: str, budget: int) -> Callee:
    """Define one, and put it into the pool."""
    choices = draft.choices
    name = draft.name(_PREFIX[kind])
    wanted = signature(draft)
    scope = Scope(draft, kind, wanted.names, budget - 2)
    lines = statements(scope, 6)
    lines += _end(scope)
    word = "async def" if kind in ("coroutine", "asyncgen") else "def"
    if kind in ("coroutine", "asyncgen"):
        draft.need("asyncio")
    draft.need("", "say")
    head = f"{word} {name}({wanted.text}):"
    if choices.chance(15):
        head = f"{word} {name}({wanted.text}) -> {choices.pick(('object', 'None'))}:"
    doc = [f'    """A {kind} of no use."""'] if choices.chance(15) else []
    decorated = _decorators(draft) if kind == "plain" else []
    draft.define([*decorated, head, *doc, *block(lines)])
    cost = budget - scope.left + 2 + 2 * len(decorated)
    made = Callee(name, kind, wanted, cost)
    draft.callees.append(made)
    return made


def _end(scope: Scope) -> list[str]:
    """What makes it a function of its kind, and its result."""
    choices = scope.draft.choices
    if scope.kind in ("generator", "asyncgen"):
        # A yield on the way out makes it one, whatever the statements were.
        result = "" if scope.kind == "asyncgen" else f" {scope.argument()}"
        scope.affords(2)
        return [f"yield {scope.argument()}", f"return{result}"]
    if scope.kind == "coroutine" and choices.chance(50):
        scope.affords(4)
        return ["await asyncio.sleep(0)", f"return {scope.argument()}"]
    return [f"return {scope.argument()}"] if choices.chance(80) else []


def _decorators(draft: Draft) -> list[str]:
    if not draft.choices.chance(12):
        return []
    draft.need("functools", "Decorators")
    return [draft.choices.pick(("@passing", "@Counting", "@labelled('label')"))]
