"""What the program says of its traces: names, and attributes to find them by.

Kept within bounds, because each change goes to a log that forgets nothing, in memory
that the program's records need: a burst of changes is written at once, and then so many
bytes a second; the others with a later change, or at the trace's end.

Threads: any; one at a time changes a trace.
Owns: names and attributes of the open traces.
Fails: never, but by False; runs no code of the program, whatever it is given.
"""

from __future__ import annotations

from _thread import RLock
from time import monotonic_ns

from kolo_c.plain import plain, plain_text
from kolo_c.process_info import to_json
from kolo_c.scope import PAUSED, SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from kolo_c.plain import Scalar

OWN = "kolo_c."
"""What the names of the recorder's own attributes begin with."""
NAME_CHARACTERS = 250
KEY_CHARACTERS = 100
ATTRIBUTES_BYTES = 12_000
"""As JSON; what is set beyond it is refused."""
TOTAL_BYTES = 16_000
"""With what kolo_c itself has to say; the core writes no more (definitions.c)."""
BURST_BYTES = 256 << 10
"""Of changes, in all traces of a process, that are written at once …"""
BYTES_PER_SECOND = 128 << 10
"""… and so many after them; a change takes its trace's attributes as a whole."""
_NAMES_KNOWN = 256
_CHANGE_BYTES = 64  # what it takes beside them


class TraceFacts:
    """Of one trace, while it is open."""

    __slots__ = ("_locks", "attributes", "id", "name")

    def __init__(self, id: str, name: str) -> None:
        self.id = id
        self.name = name
        self.attributes: dict[str, Scalar] = {}
        """Never changed, but replaced."""
        self._locks: list[RLock] = []

    @property
    def lock(self) -> RLock:
        """For changes, and for saying them in their order.

        Made when it is needed: eventlet tells a program of locks that were there before
        it took their place.
        """
        if not self._locks:
            self._locks.append(RLock())
        return self._locks[0]  # whoever else was about to make one

    def update(
        self, values: Mapping[str, Scalar], most: int = ATTRIBUTES_BYTES
    ) -> bool:
        """Add ``values``; False, with nothing changed, where they are too many."""
        with self.lock:
            together = {**self.attributes, **values}
            if _longest(together) > most and len(to_json(together)) > most:
                return False
            # Anew: a signal's handler in this thread may have set some meanwhile.
            self.attributes = {**self.attributes, **values}
            return True

    def text(self) -> str:
        """The attributes as JSON."""
        return to_json(self.attributes)

    def text_with(self, problems: list[str]) -> str:
        """The attributes as JSON, with as many of ``problems`` as there is room for."""
        while problems:
            text = to_json({**self.attributes, "problems": problems})
            if len(text) <= TOTAL_BYTES:
                return text
            problems = problems[:-1]
        return self.text()


def _longest(values: Mapping[str, Scalar]) -> int:
    """As JSON they take no more; most are far from any limit."""
    count = 2
    for key, value in values.items():
        count += 12 * len(key) + 32
        if isinstance(value, str):
            count += 12 * len(value)
    return count


def kept_name(masked: Callable[[str], str], name: object) -> str:
    """A trace's name as it is stored: cut, and without secrets."""
    return masked(plain_text(name)[:NAME_CHARACTERS])


class OpenTraces:
    """The traces of a session that have not ended, and what is said of them."""

    def __init__(self, process: TraceFacts) -> None:
        self.process = process
        self.open: dict[int, TraceFacts] = {}
        """By number."""
        self._process_number = 0
        self._default_number = 0
        self._native: Any = None
        self.simple_facts: Any = None
        """Describes a trace where that is simple, as of most requests: its name, its
        attributes and these as JSON, or None. The C core has it, and the Python core
        None (src/session_facts.c)."""
        self._names: dict[str, tuple[str, str]] = {}
        """Of attributes: as text, and without secrets."""
        self._credit_bytes: float = BURST_BYTES
        self._credited_ns = 0

    def start(self, number: int, native: Any, whole: bool = True) -> None:
        """The process's trace has begun as ``number``.

        Where it is not ``whole``, nothing belongs to it.
        """
        self._process_number = number if whole else 0
        self._native = native
        self.simple_facts = getattr(native, "simple_facts", None)
        self.open[number] = self.process

    def begin(self, number: int, facts: TraceFacts) -> None:
        """Another trace has begun."""
        self.open[number] = facts

    def end(self, number: int) -> TraceFacts | None:
        """It ends: what there is to say of it; None where it has ended already."""
        return self.open.pop(number, None)

    def get(self, number: int) -> TraceFacts | None:
        """Of an open trace; None where it has ended."""
        return self.open.get(number)

    def stop(self) -> None:
        """All have ended."""
        self.open.clear()

    def facts(self, number: int) -> TraceFacts:
        """Of an open trace; of the process's where it has ended, or for 0."""
        return self.open.get(number, self.process)

    def current(self) -> tuple[int, TraceFacts] | None:
        """The trace that this context belongs to, with its number; None in a pause."""
        number = SCOPE.get()
        if number not in self.open:
            number = 0 if number == PAUSED else self._default()
        facts = self.open.get(number)
        return None if facts is None else (number, facts)

    def is_boundary(self, number: int) -> bool:
        """Whether it is a trace of its own that this number of a context, which is not
        paused, leads to: not the process's."""
        facts = self.open.get(number) or self.open.get(self._default_number)
        return facts is not None and facts is not self.process

    def _default(self) -> int:
        number = self._default_number
        return number if number in self.open else self._process_number

    def has_default(self) -> bool:
        """Whether such a trace runs: see ``set_default``."""
        return self._default_number in self.open

    def set_default(self, number: int) -> None:
        """What has no trace of its own belongs to this one; 0: to the process's."""
        self._default_number = number

    def rename(self, number: int, facts: TraceFacts, name: object) -> bool:
        """Give an open trace a name; False where it has ended."""
        if self.open.get(number) is not facts:
            return False
        kept = kept_name(self._native.masked, name)
        with facts.lock:
            facts.name = kept
            return self._tell(number, facts)

    def set(self, number: int, facts: TraceFacts, values: Mapping[str, object]) -> bool:
        """Add attributes to an open trace; False: it has ended, or has too many, or a
        name is one of ours."""
        if self.open.get(number) is not facts:
            return False
        masked = self.mask(values)
        if any(name.startswith(OWN) for name in masked):
            return False
        with facts.lock:
            return facts.update(masked) and self._tell(number, facts)

    def describe(
        self, facts: TraceFacts, name: object, more: Mapping[str, object]
    ) -> str:
        """Give a trace a name and more attributes, for a beginning or an end, which say
        them: all of these as JSON."""
        simple = None
        if self.simple_facts is not None:
            simple = self.simple_facts(None, name, facts.attributes, None, more)
        if simple is None:
            facts.name = kept_name(self._native.masked, name)
            facts.update(self.mask(more))
            return facts.text()
        facts.name, facts.attributes, text = simple
        return str(text)

    def mask(self, values: Mapping[str, object]) -> dict[str, Scalar]:
        """The same as they are stored: plain, and without secrets."""
        hides, masked_text = self._native.hides, self._native.masked
        masked: dict[str, Scalar] = {}
        for key, given in values.items():
            names = self._names.get(key) if type(key) is str else None
            if names is None:
                names = self._name(key)
            value = plain(given)
            if hides(names[0], value):
                value = "***"
            elif isinstance(value, str):
                value = masked_text(value)
            masked[names[1]] = value
        return masked

    def _name(self, key: str) -> tuple[str, str]:
        """An attribute's name as text, and without secrets."""
        name = plain_text(key)[:KEY_CHARACTERS]
        names = name, self._native.masked(name)
        if type(key) is str and len(self._names) < _NAMES_KNOWN:
            self._names[key] = names
        return names

    def _tell(self, number: int, facts: TraceFacts) -> bool:
        text = facts.text()
        if not self._may_write(len(text) + len(facts.name) + _CHANGE_BYTES):
            return True  # with a later change, or at the end
        return bool(self._native.set_trace(number, facts.name, text))

    def _may_write(self, size: int) -> bool:
        now_ns = monotonic_ns()
        passed_ns = max(now_ns - self._credited_ns, 0)  # tests turn clocks back
        earned = passed_ns * BYTES_PER_SECOND / 1e9
        self._credited_ns = now_ns
        self._credit_bytes = min(self._credit_bytes + earned, BURST_BYTES)
        if self._credit_bytes < size:
            return False
        self._credit_bytes -= size
        return True
