"""Keep or skip, once per code object. Twin of src/trace/verdict.c.

In C the verdict is a word on the code object itself. Python has no such place: here it
stands in a table by the code object's address, and a weak reference, whose callback is
a function of C, takes it out when the code object dies.

Threads: any; each operation is one of a dict.
Owns: the table, and with it what the tracer knows of kept code.
Fails: a code object for which nothing can be decided is skipped.
"""

from __future__ import annotations

import sys
from functools import partial
from weakref import ref

from kolo_c.reference import filter as filters
from kolo_c.reference.code import Code, argument_count, self_kind
from kolo_c.reference.definitions import CodeFacts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType

    from kolo_c.reference.filter import Decision
    from kolo_c.reference.session import Session
    from kolo_c.reference.tracer import Tracer

_COLLECTS = sys.implementation.name != "cpython"
CODES_MOST = 1 << 20
"""A program that makes code without end is cut off."""


class Verdict:
    """What was decided about a code object."""

    __slots__ = ("about", "generation", "keep_bits", "reference", "watched")

    def __init__(self, generation: int, code: CodeType | None = None) -> None:
        """A skip, until ``keep_bits`` says otherwise."""
        self.generation = generation
        """Of the filter sets; another one: decide again."""
        self.keep_bits = 0
        """One per filter set."""
        self.watched = False
        """By plugins."""
        self.about: Code | None = None
        self.reference: ref[CodeType] | None = None
        """Held for its callback."""

    def skips(self) -> bool:
        """No filter set keeps it, and no plugin watches it."""
        return self.keep_bits == 0 and not self.watched


def probe(tracer: Tracer, code: CodeType) -> Verdict | None:
    """What was decided about ``code``; None where nothing is decided."""
    verdict = tracer.verdicts.get(id(code))
    if verdict is None or verdict.generation != tracer.generation:
        return None
    # Where there are no reference counts, another code object may have this address
    # before it is told that the first one died.
    if _COLLECTS and verdict.reference is not None and verdict.reference() is not code:
        return None
    return verdict


def _remember(tracer: Tracer, code: CodeType, verdict: Verdict) -> None:
    key = id(code)
    # The callback is called with the dead reference: pop(key, reference).
    verdict.reference = ref(code, partial(tracer.verdicts.pop, key))
    tracer.verdicts[key] = verdict


def _define(tracer: Tracer, code: CodeType, decision: Decision) -> Code | None:
    """Define the kept ``code``, and gather what is known of it and watched code."""
    if tracer.code_count >= CODES_MOST:
        return None
    if not decision.keep_bits:
        tracer.code_count += 1
        return Code(code, 0, decision.rules, tracer.mask, decision.plugins)
    session = tracer.session
    definitions = session.definitions
    with session.lock:
        number = definitions.code(
            CodeFacts(
                file=definitions.file(code.co_filename, decision.source),
                code=code,
                qualname=decision.qualname,
                module=decision.module,
                argument_count=argument_count(code),
                self_kind=self_kind(code),
            )
        )
    if number == 0:
        return None
    tracer.code_count += 1
    return Code(code, number, decision.rules, tracer.mask, decision.plugins)


def decide(tracer: Tracer, frame: FrameType, code: CodeType) -> Verdict:
    """Ask the filter, remember the answer. Runs once per code object."""
    verdict = Verdict(tracer.generation)
    before = tracer.verdicts.get(id(code))
    decision = filters.decide(tracer, frame, code)
    # While the filter ran, another thread may have decided about the same code, and be
    # in a call of it. Its answer stays.
    known = probe(tracer, code)
    if known is not None:
        return known
    watched = bool(decision.plugins)
    if not (decision.keep_bits or watched) or not tracer.session.open:
        if before is not None:
            _end_running(tracer, before, verdict)
        tracer.skipped_count += 1
        _remember(tracer, code, verdict)
        return verdict
    about = _define(tracer, code, decision)
    if about is not None:
        verdict.keep_bits = decision.keep_bits
        verdict.watched = watched
        verdict.about = about
        tracer.kept_count += decision.keep_bits != 0
        tracer.skipped_count += decision.keep_bits == 0
        _remember(tracer, code, verdict)
        return verdict
    tracer.session.error("a function could not be defined")
    tracer.session.lost_count += 1
    # Without a block for the definition this call is lost, but not those to come.
    if tracer.code_count >= CODES_MOST:
        _remember(tracer, code, verdict)
    return verdict


def _end_running(tracer: Tracer, before: Verdict, verdict: Verdict) -> None:
    """Code that was kept under the filters before, and is not under these.

    While calls of it run, their ends must be seen.
    """
    about = before.about
    if about is None or before.keep_bits == 0:
        return
    if _is_running(tracer.session, about):
        about.skipped = True
        about.special = True
        verdict.about = about
        verdict.keep_bits = filters.KEEP_ALL


def skip(tracer: Tracer, code: CodeType) -> None:
    """The program wants no further call of ``code`` recorded.

    Calls that run end as they would have.
    """
    verdict = probe(tracer, code)
    if verdict is None or verdict.about is None or verdict.keep_bits == 0:
        return  # not decided yet: the filter will say so
    # Ends must still be seen where a call is running; else the hook need not look.
    verdict.about.skipped = True
    verdict.about.special = True
    if not _is_running(tracer.session, verdict.about):
        verdict.keep_bits = 0


def _is_running(session: Session, about: Code) -> bool:
    """Whether a call of ``about`` may be running, or waiting as a generator."""
    for thread in list(session.threads):
        if thread.is_busy() or thread.pending_code is about:
            return True
        if any(entry.code is about for entry in list(thread.stack)):
            return True
    waiting = list(session.waiting.slots.values())
    return any(one.code == about.key for one in waiting)
