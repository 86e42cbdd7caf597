"""What the program says of its traces: names, and attributes to find them by.

Kept within bounds, because each change goes to a log that forgets nothing: a thousand
changes of one trace are written at once, those after them ten times a second.

Threads: any, under the GIL. Owns: names and attributes of the open traces.
Fails: never, but by False; runs no code of the program, whatever it is given.
"""

from __future__ import annotations

from time import monotonic_ns

from kolo_c.plain import plain, plain_text
from kolo_c.process_info import to_json
from kolo_c.scope import PAUSED, SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kolo_c.plain import Scalar

NAME_CHARACTERS = 250
KEY_CHARACTERS = 100
ATTRIBUTES_BYTES = 12_000
"""As JSON; what is set beyond it is refused."""
TOTAL_BYTES = 16_000
"""With what kolo_c itself has to say; the core writes no more (definitions.c)."""
WRITES_AT_ONCE = 1000
WRITE_AGAIN_NS = 100_000_000


class TraceFacts:
    """Of one trace, while it is open."""

    __slots__ = ("_json", "_next_ns", "_writes", "attributes", "id", "name")

    def __init__(self, id: str, name: str) -> None:
        self.id = id
        self.name = name
        self.attributes: dict[str, Scalar] = {}
        self._json = "{}"
        self._writes = 0
        self._next_ns = 0

    def update(self, values: Mapping[str, Scalar]) -> bool:
        """Add ``values``; False, with nothing changed, where they are too many."""
        merged = {**self.attributes, **values}
        text = to_json(merged)
        if len(text) > ATTRIBUTES_BYTES:
            return False
        self.attributes = merged
        self._json = text
        return True

    def text(self) -> str:
        """The attributes as JSON."""
        return self._json

    def text_with(self, problems: list[str]) -> str:
        """The attributes as JSON, with as many of ``problems`` as there is room for."""
        while problems:
            text = to_json({**self.attributes, "problems": problems})
            if len(text) <= TOTAL_BYTES:
                return text
            problems = problems[:-1]
        return self._json

    def is_due(self) -> bool:
        """Whether the change that was just made is to be written at once."""
        self._writes += 1
        if self._writes <= WRITES_AT_ONCE:
            return True
        now_ns = monotonic_ns()
        if now_ns < self._next_ns:
            return False
        self._next_ns = now_ns + WRITE_AGAIN_NS
        return True


class OpenTraces:
    """The traces of a session that have not ended, and what is said of them."""

    def __init__(self, process: TraceFacts) -> None:
        self.process = process
        self._open: dict[int, TraceFacts] = {}
        self._process_number = 0
        self._core: Any = None
        self._native: Any = None

    def start(self, number: int, core: Any, native: Any) -> None:
        """The process's trace has begun as ``number``."""
        self._process_number = number
        self._core = core
        self._native = native
        self._open[number] = self.process

    def begin(self, number: int, facts: TraceFacts) -> None:
        """Another trace has begun."""
        self._open[number] = facts

    def end(self, number: int) -> TraceFacts | None:
        """It ends: what there is to say of it; None where it has ended already."""
        return self._open.pop(number, None)

    def stop(self) -> None:
        """All have ended."""
        self._open.clear()

    def current(self) -> tuple[int, TraceFacts] | None:
        """The trace that this context belongs to, with its number; None in a pause."""
        number = SCOPE.get()
        if number not in self._open:
            number = 0 if number == PAUSED else self._process_number
        facts = self._open.get(number)
        return None if facts is None else (number, facts)

    def rename(self, number: int, facts: TraceFacts, name: object) -> bool:
        """Give an open trace a name; False where it has ended."""
        if self._open.get(number) is not facts:
            return False
        facts.name = self._core.mask_text(plain_text(name)[:NAME_CHARACTERS])
        return self._tell(number, facts)

    def set(self, number: int, facts: TraceFacts, values: Mapping[str, object]) -> bool:
        """Add attributes to an open trace; False: it has ended, or has too many."""
        if self._open.get(number) is not facts:
            return False
        masked: dict[str, Scalar] = {}
        for key, value in values.items():
            name = plain_text(key)[:KEY_CHARACTERS]
            masked[self._core.mask_text(name)] = self._masked(name, plain(value))
        return facts.update(masked) and self._tell(number, facts)

    def _masked(self, name: str, value: Scalar) -> Scalar:
        if self._native.hides(name, value):
            return "***"
        if isinstance(value, str):
            masked: str = self._core.mask_text(value)
            return masked
        return value

    def _tell(self, number: int, facts: TraceFacts) -> bool:
        if not facts.is_due():
            return True  # with a later change, or at the end
        return bool(self._native.set_trace(number, facts.name, facts.text()))
