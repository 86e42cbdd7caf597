"""Statements at random: the bodies of functions of every kind.

A ``Scope`` knows which names have values, what may stand here (``yield``, ``await``,
``return``), and how many records it may still cost. Whatever is written ends: loops
run over ranges, calls go to functions that are there already.

Threads: one at a time. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kolo_c.validate.generate.signature import arguments
from kolo_c.validate.generate.text import block, indent
from kolo_c.validate.generate.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kolo_c.validate.generate.draft import Draft

SAY_COST = 10
_LOOP_MOST = 3
_DEPTH_MOST = 4


@dataclass
class Scope:
    """Where statements are being written."""

    draft: Draft
    kind: str
    """``plain``, ``generator``, ``coroutine`` or ``asyncgen``."""
    names: list[str]
    left: int
    """Records that it may still cost."""
    numbers: list[str] = field(default_factory=list)
    """Of the names those that are small ints."""
    times: int = 1
    """How often the statements here run, at most."""
    depth: int = 0
    in_loop: bool = False
    protected: bool = False
    """Within a ``try`` that handles any Exception."""

    def affords(self, cost: int) -> bool:
        """Whether there is enough left, and it is taken off."""
        if cost * self.times > self.left:
            return False
        self.left -= cost * self.times
        return True

    def word(self) -> str:
        """A new local name."""
        return self.draft.name("v")

    def argument(self) -> str:
        """A name or a value."""
        choices = self.draft.choices
        if self.names and choices.chance(50):
            return choices.pick(self.names)
        return value(self.draft)

    def condition(self) -> str:
        """Something that is true or false, and runs no code."""
        choices = self.draft.choices
        if self.numbers and choices.chance(80):
            number = choices.pick(self.numbers)
            return choices.pick((f"{number} % 2", f"{number} > 0", f"{number} == 1"))
        if self.names:
            name = choices.pick(self.names)
            return choices.pick((f"{name} is None", f"{name} is not None"))
        return choices.pick(("True", "False"))

    def bind(self, name: str, number: bool = False) -> None:
        """From here on the name has a value."""
        if name not in self.names:
            self.names.append(name)
        if number and name not in self.numbers:
            self.numbers.append(name)

    def inner(self, times: int = 1, loop: bool = False) -> Scope:
        """The scope of a block: what it binds is not known to be bound behind it."""
        return Scope(
            self.draft,
            self.kind,
            list(self.names),
            self.left,
            list(self.numbers),
            self.times * times,
            self.depth + 1,
            self.in_loop or loop,
            self.protected,
        )

    def nested(self, most: int = 3, times: int = 1, loop: bool = False) -> list[str]:
        """A block of statements within this one."""
        inner = self.inner(times, loop)
        lines = statements(inner, most)
        self.left = inner.left
        return lines


def statements(scope: Scope, most: int = 4) -> list[str]:
    """One to ``most`` statements, or ``pass`` where nothing can be afforded."""
    lines: list[str] = []
    for _ in range(scope.draft.choices.between(1, most)):
        made = statement(scope)
        lines += made
        if made and made[-1].split(" ")[0] in ("return", "raise", "break", "continue"):
            break
    return lines or ["pass"]


def statement(scope: Scope) -> list[str]:
    """One statement, or nothing."""
    choices = scope.draft.choices
    writers = [*_EVERYWHERE, *_BY_KIND[scope.kind]]
    if scope.depth < _DEPTH_MOST:
        writers += _COMPOUND
    for _ in range(4):
        lines = choices.weighted(writers)(scope)
        if lines:
            return lines
    return []


# ---- plain statements ----


def _assign(scope: Scope) -> list[str]:
    name = scope.word()
    text = value(scope.draft)
    scope.bind(name)
    return [f"{name} = {text}"]


def _count(scope: Scope) -> list[str]:
    if not scope.numbers:
        name = scope.word()
        scope.bind(name, number=True)
        return [f"{name} = {scope.draft.choices.below(4)}"]
    return [f"{scope.draft.choices.pick(scope.numbers)} += 1"]


def _say(scope: Scope) -> list[str]:
    if not scope.names or not scope.affords(SAY_COST):
        return []
    return [f"say({scope.draft.name('at')!r}, {scope.draft.choices.pick(scope.names)})"]


def _call(scope: Scope) -> list[str]:
    callee = scope.draft.callable("plain", scope.left // scope.times)
    if callee is None or not scope.affords(callee.cost):
        return []
    name = scope.word()
    given = arguments(scope.draft, callee.signature, scope.names)
    scope.bind(name)
    return [f"{name} = {callee.name}({given})"]


def _delete(scope: Scope) -> list[str]:
    name = scope.word()
    return [f"{name} = {value(scope.draft)}", f"del {name}"]


def _unpack(scope: Scope) -> list[str]:
    first, second = scope.word(), scope.word()
    text, other = scope.argument(), scope.argument()
    scope.bind(first)
    scope.bind(second)
    return [f"{first}, *{second} = {text}, {other}, 3"]


def _lambda(scope: Scope) -> list[str]:
    if not scope.affords(4):
        return []
    name = scope.word()
    given, kept = scope.argument(), scope.argument()
    scope.bind(name)
    return [f"{name} = (lambda one, *rest, two={kept}: (two, one))({given})"]


def _comprehension(scope: Scope) -> list[str]:
    draft = scope.draft
    count = draft.choices.between(1, 4)
    callee = draft.callable("plain", scope.left // (scope.times * count) - 4)
    if callee is None or not scope.affords(callee.cost * count + 4 + 2 * count):
        return []
    name = scope.word()
    item = f"{callee.name}({arguments(draft, callee.signature, ['n', *scope.names])})"
    source = f"for n in range({count})"
    scope.bind(name)
    text = draft.choices.pick(
        (
            f"[{item} {source}]",
            f"[show({item}) {source} if n != 1]",
            f"{{n: {item} {source}}}",
            f"list({item} {source})",
            f"sum(1 {source} if {item} is not None)",
            f"[(n, m) {source} for m in ({item},)]",
        )
    )
    return [f"{name} = {text}"]


def _walrus(scope: Scope) -> list[str]:
    name = scope.word()
    text = scope.argument()
    scope.bind(name)
    return [f"print({scope.draft.name('at')!r}, ({name} := {text}) is None)"]


def _return(scope: Scope) -> list[str]:
    if scope.kind == "asyncgen":
        return [f"if {scope.condition()}:", "    return"]
    return [f"if {scope.condition()}:", f"    return {scope.argument()}"]


def _leave_loop(scope: Scope) -> list[str]:
    if not scope.in_loop:
        return []
    word = scope.draft.choices.pick(("break", "continue"))
    return [f"if {scope.condition()}:", f"    {word}"]


def _raise(scope: Scope) -> list[str]:
    if not scope.protected and scope.draft.choices.chance(70):
        return []
    error = value(scope.draft, "error")
    return [f"if {scope.condition()}:", f"    raise {error}"]


def _inner_function(scope: Scope) -> list[str]:
    """A closure over names of this scope, called at once."""
    name, result = scope.draft.name("inner"), scope.word()
    if not scope.affords(6):
        return []
    free = scope.draft.choices.pick(scope.names) if scope.names else "None"
    given = scope.argument()
    scope.bind(name)
    scope.bind(result)
    lines = [f"def {name}(one, two={value(scope.draft, 'small')}):"]
    if scope.numbers and scope.draft.choices.chance(40):
        number = scope.draft.choices.pick(scope.numbers)
        if number.startswith("v") and scope.depth == 0 and not scope.in_loop:
            lines += [f"    nonlocal {number}", f"    {number} += 1"]
    lines += [f"    return one, two, {free}", f"{result} = {name}({given})"]
    return lines


# ---- compound statements ----


def _for(scope: Scope) -> list[str]:
    draft, times = scope.draft, scope.draft.choices.between(1, _LOOP_MOST)
    name = scope.word()
    head = draft.choices.pick(
        (
            f"for {name} in range({times}):",
            f"for {name}, _ in enumerate('abcdef'[:{times}]):",
            f"for {name} in [3, 1, 2][:{times}]:",
        )
    )
    inner = scope.inner(times, loop=True)
    inner.bind(name, number=True)
    lines = statements(inner, 3)
    scope.left = inner.left
    made = [head, *block(lines)]
    if draft.choices.chance(10):
        made += ["else:", *block(scope.nested(1))]
    return made


def _while(scope: Scope) -> list[str]:
    name, times = scope.word(), scope.draft.choices.between(1, _LOOP_MOST)
    # The condition itself counts down, and no body knows the name: it ends.
    body = scope.nested(3, times, loop=True)
    return [f"{name} = {times + 1}", f"while ({name} := {name} - 1) > 0:", *block(body)]


def _if(scope: Scope) -> list[str]:
    lines = [f"if {scope.condition()}:", *block(scope.nested())]
    if scope.draft.choices.chance(40):
        lines += ["else:", *block(scope.nested(2))]
    return lines


def _try(scope: Scope) -> list[str]:
    draft, choices = scope.draft, scope.draft.choices
    inner = scope.inner()
    inner.protected = True
    body = statements(inner, 3)
    if choices.chance(60):
        body.append(f"raise {value(draft, 'error')}")
    scope.left = inner.left
    kinds = choices.pick(("Exception", "(ValueError, KeyError)", "LookupError"))
    handler = scope.inner()
    handler.bind("error")
    handled = statements(handler, 2)
    scope.left = handler.left
    if choices.chance(15):
        handled.append(choices.pick(("raise", "raise TypeError('other') from error")))
    lines = ["try:", *block(body), f"except {kinds} as error:", *block(handled)]
    if choices.chance(15):
        lines += ["else:", *block(scope.nested(1))]
    if choices.chance(30):
        last = scope.inner()
        last.kind = "plain"  # what yields here may be left suspended, and complain
        lines += ["finally:", *block(_without_leaving(statements(last, 2)))]
        scope.left = last.left
    return lines


def _without_leaving(lines: list[str]) -> list[str]:
    """A ``finally`` that is left by a jump is a SyntaxWarning from 3.14 on."""
    jumps = ("return", "break", "continue")
    return [
        line[: len(line) - len(line.lstrip())] + "pass"
        if line.strip().split(" ")[0] in jumps
        else line
        for line in lines
    ]


def _with(scope: Scope) -> list[str]:
    draft, choices = scope.draft, scope.draft.choices
    if not scope.affords(SAY_COST * 2):
        return []
    draft.need("", "Manager")
    name = scope.word()
    swallows = choices.pick(("", "", ", swallows=Exception", ", swallows=ValueError"))
    inner = scope.inner()
    inner.bind(name)
    inner.protected = scope.protected or swallows.endswith("=Exception")
    body = statements(inner, 3)
    scope.left = inner.left
    label = draft.name("m")
    return [f"with Manager({label!r}{swallows}) as {name}:", *block(body)]


def _match(scope: Scope) -> list[str]:
    draft = scope.draft
    draft.need("", "Point")
    subject = scope.argument()
    cases = [
        ("case Point(x=int(), y=0):", 1),
        ("case [1, *_] | (2, _):", 1),
        ("case {'id': _, **_rest}:", 1),
        ("case str() | bytes():", 2),
        ("case int() if show(0):", 2),
    ]
    lines = [f"match {subject}:"]
    if not scope.affords(6):
        return []
    for head, most in draft.choices.some(cases, 2):
        lines += [f"    {head}", *indent(block(scope.nested(most)))]
    return [*lines, "    case _:", *indent(block(scope.nested(2)))]


# ---- generators and coroutines ----


def _yield(scope: Scope) -> list[str]:
    if not scope.affords(2):
        return []
    name = scope.word()
    text = scope.argument()
    scope.bind(name)
    return [f"{name} = yield {text}"]


def _yield_plain(scope: Scope) -> list[str]:
    return [f"yield {scope.argument()}"] if scope.affords(2) else []


def _yield_from(scope: Scope) -> list[str]:
    draft = scope.draft
    name = scope.word()
    callee = draft.callable("generator", scope.left // scope.times)
    if callee is None or draft.choices.chance(20):
        if not scope.affords(8):
            return []
        scope.bind(name)
        return [f"{name} = yield from [{scope.argument()}, {scope.argument()}]"]
    if not scope.affords(callee.cost):
        return []
    given = arguments(draft, callee.signature, scope.names)
    scope.bind(name)
    return [f"{name} = yield from {callee.name}({given})"]


def _sleep(scope: Scope) -> list[str]:
    return ["await asyncio.sleep(0)"] if scope.affords(4) else []


def _await(scope: Scope) -> list[str]:
    draft = scope.draft
    callee = draft.callable("coroutine", scope.left // scope.times)
    if callee is None or not scope.affords(callee.cost):
        return _sleep(scope)
    name = scope.word()
    given = arguments(draft, callee.signature, scope.names)
    scope.bind(name)
    call = f"{callee.name}({given})"
    if draft.choices.chance(25):
        return [f"{name} = await asyncio.create_task({call})"]
    return [f"{name} = await {call}"]


def _async_for(scope: Scope) -> list[str]:
    draft = scope.draft
    callee = draft.callable("asyncgen", scope.left // scope.times)
    if callee is None or not scope.affords(callee.cost):
        return []
    given = arguments(draft, callee.signature, scope.names)
    name = scope.word()
    if draft.choices.chance(40):
        scope.bind(name)
        return [f"{name} = [one async for one in {callee.name}({given})]"]
    return [
        f"async for {name} in {callee.name}({given}):",
        f"    print({name} is None)",
    ]


def _async_with(scope: Scope) -> list[str]:
    if scope.depth >= _DEPTH_MOST or not scope.affords(16):
        return []
    draft, name = scope.draft, scope.word()
    draft.need("", "AsyncManager")
    swallows = draft.choices.pick(("", ", Exception"))
    inner = scope.inner()
    inner.bind(name)
    inner.protected = scope.protected or bool(swallows)
    body = statements(inner, 3)
    scope.left = inner.left
    head = f"async with AsyncManager({draft.name('m')!r}{swallows}) as {name}:"
    return [head, *block(body)]


if TYPE_CHECKING:
    _Writers = list[tuple[int, Callable[[Scope], list[str]]]]

_EVERYWHERE: _Writers = [
    *((10, _assign), (6, _count), (8, _say), (24, _call), (2, _delete), (3, _unpack)),
    *((5, _lambda), (8, _comprehension), (3, _walrus), (3, _return), (3, _leave_loop)),
    *((4, _raise), (5, _inner_function)),
]
_COMPOUND: _Writers = [
    *((8, _for), (3, _while), (6, _if), (9, _try), (5, _with), (3, _match)),
]
_BY_KIND: dict[str, _Writers] = {
    "plain": [],
    "generator": [(24, _yield), (10, _yield_plain), (8, _yield_from)],
    "coroutine": [(14, _sleep), (24, _await), (6, _async_for), (7, _async_with)],
    "asyncgen": [(30, _yield_plain), (10, _sleep), (6, _await), (5, _async_with)],
}
