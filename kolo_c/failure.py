"""What a program ended with, in the words that its trace keeps beside its records.

The records say which calls an exception left; how several of them hang together
(``raise … from``, an exception group) and what it was in code that is not recorded is
known only while the exception lives. No code of the program runs to find out: no
property, ``__str__`` or ``__getattr__`` of an exception's class.

Threads: any, under the GIL. Owns: nothing. Fails: never on any exception's shape.
"""

from __future__ import annotations

import builtins
import os

from kolo_c.facts import TOTAL_BYTES
from kolo_c.process_info import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from kolo_c.facts import TraceFacts

ATTRIBUTE = "kolo_c.failure"
"""The attribute of the trace that has it, as JSON; no word that a program may use."""
_MOST = 8
_LONGEST = 200
_DEEPEST_TRACEBACK = 100_000
_MOST_ENTRIES = 64
_LONG = 1 << 63
CAUSE, CONTEXT, MEMBER = "cause", "context", "member"


def keep(error: BaseException, facts: TraceFacts) -> dict[str, Any] | None:
    """The trace of ``facts`` names ``error`` and what led to it: what is said of it."""
    found = describe(error)
    while found is not None and not facts.update(
        {ATTRIBUTE: to_json(found)}, TOTAL_BYTES
    ):
        if not shorten(found):
            break
    return found


def describe(error: BaseException) -> dict[str, Any] | None:
    """What ``error`` was and what led to it; None for a SystemExit that means success.

    ``chain`` has the exception itself, and after it those that it came from: each with
    its type, its address, ``of`` (the index of the one that it led to, or is a member
    of), ``relation``, and where it was raised, be that recorded code or not; the first
    has its traceback's entries too: file, the function's first line, and the line.
    """
    found: dict[str, Any] = {}
    # isinstance() would ask the exception itself for its class.
    if issubclass(type(error), SystemExit):
        code = exit_code(error)  # type: ignore[arg-type]
        if code == 0:
            return None
        if code is not None:
            found["exit_code"] = code
    found["chain"] = _chain(error)
    return found


def shorten(found: dict[str, Any]) -> bool:
    """Leave out what is needed least of it; False where all is needed."""
    chain = found["chain"]
    if chain[0].pop("traceback", None) is not None:
        return True
    if len(chain) > 1:
        chain.pop()  # others say of it what index they came from, and none is after it
        return True
    return False


def exit_code(error: SystemExit) -> int | None:
    """What the process ends with, as the interpreter makes it of ``error``; None where
    only code of the program knows."""
    code = given_code(error)
    if code is None:
        return 0
    if issubclass(type(code), int):
        number: int = int.__index__(code)  # type: ignore[arg-type]
        return number & 0xFF if -_LONG <= number < _LONG else 0xFF
    return None if hasattr(type(code), "__get__") else 1


def given_code(error: SystemExit) -> object:
    """The exception's ``code``, or what computes it: a property of the program's."""
    for kind in type.__dict__["__mro__"].__get__(type(error)):
        if kind is SystemExit:
            break
        names = type.__dict__["__dict__"].__get__(kind)
        if "code" in names:
            return (
                BaseException.__dict__["__dict__"]
                .__get__(error)
                .get("code", names["code"])
            )
    return SystemExit.__dict__["code"].__get__(error)


def _chain(error: BaseException) -> list[dict[str, Any]]:
    chain: list[dict[str, Any]] = []
    waiting: list[tuple[BaseException, int | None, str]] = [(error, None, "")]
    seen: set[int] = set()
    while waiting and len(chain) < _MOST:
        at, of, relation = waiting.pop(0)
        if id(at) in seen:
            continue
        seen.add(id(at))
        here = len(chain)
        chain.append(_link(at, of, relation))
        before, how = _before(at)
        if before is not None:
            waiting.append((before, here, how))
        waiting.extend((member, here, MEMBER) for member in _members(at))
    return chain


def _link(error: BaseException, of: int | None, relation: str) -> dict[str, Any]:
    link: dict[str, Any] = {"type": type_name(type(error)), "address": id(error)}
    if of is not None:
        link.update(of=of, relation=relation)
    traceback = BaseException.__dict__["__traceback__"].__get__(error)
    if traceback is not None:
        entries, innermost = _passed(traceback)
        code = innermost.tb_frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        link["file"] = _file(code.co_filename)
        link["line"] = innermost.tb_lineno
        link["function"] = name[:_LONGEST]
        if of is None and len(entries) <= _MOST_ENTRIES:
            link["traceback"] = [
                [_file(path), first, line] for path, first, line in entries
            ]
    return link


def _before(error: BaseException) -> tuple[BaseException | None, str]:
    """As the traceback module has it: a cause hides the context."""
    fields = BaseException.__dict__
    cause = fields["__cause__"].__get__(error)
    if cause is not None:
        return cause, CAUSE
    if fields["__suppress_context__"].__get__(error):
        return None, ""
    return fields["__context__"].__get__(error), CONTEXT


def _members(error: BaseException) -> tuple[BaseException, ...]:
    group = getattr(builtins, "BaseExceptionGroup", None)  # 3.11+
    if group is None or not issubclass(type(error), group):
        return ()
    members = group.__dict__["exceptions"].__get__(error)
    return members if type(members) is tuple else ()


def type_name(kind: type) -> str:
    """A class's name with its module, without that for builtins and the script."""
    qualname = type.__dict__["__qualname__"].__get__(kind)
    module = type.__dict__["__dict__"].__get__(kind).get("__module__")
    if not isinstance(module, str) or module in ("builtins", "__main__"):
        return str(qualname)[:_LONGEST]
    return f"{module}.{qualname}"[:_LONGEST]


def _passed(
    traceback: TracebackType,
) -> tuple[dict[tuple[str, int, int], None], TracebackType]:
    """The traceback's entries, each once, the outermost first; and its innermost,
    where the exception was raised, whether that code is recorded or not."""
    entries: dict[tuple[str, int, int], None] = {}
    at: TracebackType | None = traceback
    for _ in range(_DEEPEST_TRACEBACK):  # it may be a circle
        if at is None:
            break
        traceback = at
        code = at.tb_frame.f_code
        entries[code.co_filename, code.co_firstlineno, at.tb_lineno] = None
        at = at.tb_next
    return entries, traceback


def _file(path: str) -> str:
    if len(path) <= _LONGEST:
        return path
    return "…" + os.sep + os.path.basename(path)[-_LONGEST:]
