"""What a trace did, in numbers: SQL, HTTP, logs, and statements that one line repeats.

Threads: one at a time. Owns: nothing. Fails: StoreError from the reader.
"""

from __future__ import annotations

from kolo_c.model.events import Events, awaited, awaited_at, place_of
from kolo_c.store.values import CutText

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.model.events import Event, Place
    from kolo_c.store.reader import Trace

MOST_BLOCKS = 128
MOST_DECODED = 24
MOST_EMPTY = 32
"""Of a huge trace no more is looked at for what stands above it."""
FEWEST_REPEATED = 5
"""So often one line must have sent the same statement, for it to be called N+1."""
_MOST_STATEMENTS = 10_000
_FETCH = "fetch"
_OF_TRANSACTIONS = frozenset(("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"))


class Tally:
    """The events of one kind."""

    __slots__ = ("count", "failed", "label", "ns", "until")

    def __init__(self, label: str) -> None:
        self.label = label
        self.count = 0
        self.failed = 0
        """Those that an exception ended."""
        self.ns = 0
        """In which at least one of them ran, of each thread."""
        self.until: dict[int, int] = {}

    def add(self, event: Event) -> None:
        """One more."""
        self.count += 1
        self.failed += event.failed
        if event.end_ns is None:
            return
        thread = event.stream.number
        since = max(event.start_ns, self.until.get(thread, 0))
        if event.end_ns > since:
            self.ns += event.end_ns - since
            self.until[thread] = event.end_ns


class _Counted:
    """A statement from one place, and the places behind that."""

    __slots__ = ("count", "event", "ns")

    def __init__(self, event: Event) -> None:
        self.event = event
        """The first of them."""
        self.count = 0
        self.ns = 0


class Repeated:
    """A statement that one line sent again and again."""

    __slots__ = ("count", "line", "node", "ns", "path", "shape", "thread")

    def __init__(self, shape: str, path: str, line: int, event: Event) -> None:
        self.shape = shape
        self.path = path
        self.line = line
        self.count = 0
        self.ns = 0
        self.thread = event.stream.ordinal
        self.node = event.node
        """The first of them."""


class Digest:
    """The numbers of one trace."""

    def __init__(
        self,
        trace: Trace,
        most_blocks: int | None = MOST_BLOCKS,
        most_decoded: int | None = MOST_DECODED,
        most_empty: int | None = MOST_EMPTY,
    ) -> None:
        self.tallies: dict[str, Tally] = {}
        """By the kind's name, in the order that they were met; without what the trace
        itself is about, and without the ends of transactions."""
        self.levels: dict[object, int] = {}
        """Lines of the log by level."""
        self._definitions = trace.definitions
        self._statements: dict[tuple[str, tuple[Place, ...]], _Counted] = {}
        self._awaited: dict[tuple[str, str, int], Repeated] = {}
        """Those that say themselves which line awaits them."""
        self._own_kind = trace.info.row.kind
        self.own: Event | None = None
        """What the trace itself is about, where a plugin recorded that."""
        self._shapes: dict[str, str] = {}
        events = Events(
            trace,
            most_blocks=most_blocks,
            most_decoded=most_decoded,
            most_empty=most_empty,
        )
        for event in events:
            self._add(event)
        self.complete = events.complete
        self.looked_at = events.looked_at
        self.blocks = events.blocks

    @property
    def repeated(self) -> list[Repeated]:
        """Statements that one line repeats (N+1), the most frequent first."""
        passing = self.passing()
        found: dict[tuple[str, str, int], Repeated] = {}
        for (form, callers), one in self._statements.items():
            own = [caller for caller in callers if caller not in passing]
            place = place_of(self._definitions, *(own or callers)[0])
            if place is None:
                continue
            same = found.setdefault((form, *place), Repeated(form, *place, one.event))
            same.count += one.count
            same.ns += one.ns
        all_of_them = [*self._awaited.values(), *found.values()]
        often = [one for one in all_of_them if one.count >= FEWEST_REPEATED]
        return sorted(often, key=lambda one: (-one.count, one.path, one.line))

    def passing(self) -> set[Place]:
        """Lines that pass statements of others on: an execution wrapper's, a helper's
        that takes any. Several statements come from there, on behalf of several."""
        forms: dict[Place, set[str]] = {}
        behind: dict[Place, set[Place]] = {}
        for form, callers in self._statements:
            for at, caller in enumerate(callers[:-1]):
                forms.setdefault(caller, set()).add(form)
                behind.setdefault(caller, set()).add(callers[at + 1])
        return {
            place
            for place, callers in behind.items()
            if len(callers) > 1 and len(forms[place]) > 1
        }

    def _add(self, event: Event) -> None:
        if not event.plugin:
            level = event.level if isinstance(event.level, (int, str)) else None
            self.levels[level] = self.levels.get(level, 0) + 1
            return
        kind = event.definitions.plugin(event.plugin)
        if kind.name == self._own_kind:
            self.own = self.own or event
            return
        if kind.name == "sql" and not self._add_statement(event):
            return
        name = kind.name
        fetches = name == _FETCH and "sql" in self.tallies
        if fetches:  # the rest of a statement's time
            name = "sql"
        tally = self.tallies.get(name)
        if tally is None:
            tally = self.tallies[name] = Tally(kind.label or name)
        tally.add(event)
        tally.count -= fetches

    def _shape(self, text: str) -> str:
        """The statement without its values; of many the text is the same."""
        found = self._shapes.get(text)
        if found is None:
            from kolo_c.model.statement import shape  # noqa: PLC0415 - if there is SQL

            found = shape(text)
            if len(self._shapes) < _MOST_STATEMENTS:
                self._shapes[text] = found
        return found

    def _add_statement(self, event: Event) -> bool:
        """Whether it is one that counts."""
        fields = event.fields
        if fields.get("operation") in _OF_TRANSACTIONS:
            return False
        text = fields.get("text")
        if isinstance(text, CutText):
            text = text.text
        if not isinstance(text, str):
            return True
        if awaited(fields):
            self._add_awaited(self._shape(text), event)
            return True
        if not event.caller:
            return True
        form = self._shape(text)
        key = (form, event.callers)
        counted = self._statements.get(key)
        if counted is None:
            if len(self._statements) >= _MOST_STATEMENTS:
                return True
            counted = self._statements[key] = _Counted(event)
        counted.count += 1
        counted.ns += event.duration_ns or 0
        return True

    def _add_awaited(self, form: str, event: Event) -> None:
        place = awaited_at(self._definitions, event.fields)
        if place is None or len(self._awaited) >= _MOST_STATEMENTS:
            return
        same = self._awaited.setdefault((form, *place), Repeated(form, *place, event))
        same.count += 1
        same.ns += event.duration_ns or 0
