"""A Python object becomes msgpack, within a budget, without user code; twin of
``src/trace/value.c``, whose header says what is written of what.

No method of a program's class is called: types are asked by type(), containers by the
methods of `list`, `dict` and the like, everything else by the descriptors of the types
that made it. What a class overrides does not run, unless `repr = "user"` asked for it.

The bytes are C's, but for

- what instance.py, value_text.py, value_secret.py and value_types.py say of
  themselves;
- containers that a user's __repr__ changes while they are being written: C goes on in
  what is left, Python ends there;
- a class whose `_fields` are exchanged, or whose metaclass gives it bases beside its
  own: C asks the type's version and flags;
- values met with the stack nearly used up: C needs none of Python's, and this core
  writes ERROR.

On PyPy addresses are its id()s, in 64 bits; what it makes of Python's own types (its
functions, struct sequences, instances without a dict) is written as PyPy tells it.

Threads: any. A record belongs to its cursor; masks, names and secrets are shared.
Owns:    its tables, all bounded. No object is kept alive: secrets are remembered by
         hash, types weakly.
Fails:   by the cursor's status, FULL: the record does not fit, or a type in it could
         not be defined. No exception but a signal's (KeyboardInterrupt) leaves it.
"""

from __future__ import annotations

from itertools import islice
from weakref import ref

from kolo_c.reference import (
    instance,
    value_object,
    value_secret,
    value_shape,
    value_text,
    wire,
)
from kolo_c.reference.known import Known
from kolo_c.reference.status import Status
from kolo_c.reference.value_number import write_int
from kolo_c.reference.value_state import (
    CUT_BYTES,
    HEAD_BYTES,
    TYPED_HEAD_BYTES,
    Counters,
    Limits,
    Options,
    Record,
)
from kolo_c.reference.value_text import copy_text as copy_text
from kolo_c.reference.value_text import write_name as write_name
from kolo_c.wire import Tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Iterator
    from typing import Any, Protocol

    from kolo_c.reference.mask import Mask
    from kolo_c.reference.traces import Trace
    from kolo_c.reference.value_state import Shape
    from kolo_c.reference.wire import Cursor

    class Definitions(Protocol):
        """What values need of definitions.py."""

        def type(self, cls: builtins.type) -> int:
            """The number of ``cls``, 0 where it could not be defined."""


UNBOUND: Any = type("Unbound", (), {"__slots__": ()})()
"""Instead of a value: a local or argument that has none."""
_SHAPES_MAX = 512
_LIST = 0
"""In CUT_ITEMS the tag of a list; that of a dict is DICT."""
_UNREADABLE = b"no stack left to read it"


def write_simple(cursor: Cursor, value: Any) -> bool:
    """Write ``value`` if it is a small int or None, which need no budget: whether it
    was."""
    if type(value) is int and -0x40000000 < value < 0x40000000:
        cursor.append(wire.pack_int(value))
        return True
    if value is None:
        cursor.append(wire.NIL)
        return True
    return False


class Values:
    """Tables of the encoder; one a session."""

    __slots__ = (
        "mask", "definitions", "defaults", "counters", "secrets", "known", "names",
        "shapes",
        "_settled", "_trace",
    )  # fmt: skip

    def __init__(self, limits: Limits, mask: Mask, definitions: Definitions) -> None:
        self.mask = mask
        self.definitions = definitions
        self.defaults = Options(limits)
        self.counters = Counters()
        self._settled = (0, 0)  # what of them the traces have: masked, truncated
        self._trace: Trace | None = None  # of the last record
        self.secrets = value_secret.Secrets()
        self.known = Known()
        """The newest of them, for longer texts."""
        self.names: dict[tuple[int, int], bool] = {}
        """Whether a name is secret, by its length and hash."""
        self.shapes: dict[int, tuple[ref[Any], Shape]] = {}
        """By the type's address."""

    def begin_record(
        self,
        cursor: Cursor,
        options: Options | None = None,
        trace: Trace | None = None,
    ) -> None:
        """A record of ``trace``: its budget of bytes counts from here.

        ``options`` is None for the session's.
        """
        if trace is not self._trace:
            self.settle()
            self._trace = trace
        cursor.record = Record(cursor.at, options or self.defaults)

    # ---- what is written ----

    def write(self, cursor: Cursor, value: Any) -> None:
        """Write ``value`` (or UNBOUND), behind begin_record()."""
        if not write_simple(cursor, value):
            self._guarded(cursor, value, self._write_any)

    def write_ref(self, cursor: Cursor, value: Any) -> None:
        """Write ``value`` as type and address only (self, cls), or with its fields
        where the options say so; what is plain anyway, as it is."""
        if self.record(cursor).self_fields or value_object.is_plain(value):
            self.write(cursor, value)
        else:
            value_object.write_ref(self, cursor, value)

    def write_secret(self, cursor: Cursor, value: Any) -> None:
        """Write ``value``, which stands under a secret name: MASKED, and its strings
        are masked from now on wherever they are met. What says nothing is written as it
        is."""
        if value is UNBOUND or value_secret.is_harmless(value):
            self.write(cursor, value)
            return
        value_secret.write(self, cursor, value)
        if cursor.status is not Status.OK:
            self._take_back(cursor)

    def learn(self, value: Any) -> None:
        """What ``write_secret`` of ``value`` would remember: for what is written before
        it and may quote it."""
        value_secret.learn(self, value)

    def write_exception(self, cursor: Cursor, exc: Any) -> None:
        """Write ``exc`` as EXCEPTION; None as nil."""
        if exc is None:
            cursor.nil()
        elif not issubclass(type(exc), BaseException):
            self.write(cursor, exc)
        else:
            self._guarded(cursor, exc, self._write_exception)
        if cursor.status is not Status.OK:
            self._take_back(cursor)

    def hide(self, name: Any, value: Any) -> bool:
        """Whether ``value``, under ``name``, is a secret (and, if it is a string, is
        one from now on): what is written elsewhere is to be masked then."""
        return value_secret.hide(self, name, value)

    def masked(self, text: str) -> str:
        """``text`` without its secrets, for what is written elsewhere than in a
        record."""
        return value_text.masked(self, text)

    def _write_exception(self, cursor: Cursor, exc: Any) -> None:
        value_object.write_exception(self, cursor, exc)

    def _guarded(self, cursor: Cursor, value: Any, write: Any) -> None:
        """A value of its own, no element: where the stack is used up, ERROR."""
        record = self.record(cursor)
        if record.open:
            write(cursor, value)
            return
        before = cursor.at
        reserved = record.reserved_bytes
        try:
            write(cursor, value)
        except RecursionError:
            record.open.clear()
            record.reserved_bytes = reserved
            cursor.rewind(before)
            cursor.tag(Tag.ERROR, 1)
            cursor.str(_UNREADABLE)
            self.count_error(cursor)

    def _write_any(self, cursor: Cursor, value: Any) -> None:
        cls = type(value)
        if cls is str:
            value_text.write_str(self, cursor, value)
        elif cls is bool:
            cursor.append(wire.TRUE if value else wire.FALSE)
        elif cls is float:
            cursor.append(wire.pack_double(value))
        elif cls is dict:
            self.dict(cursor, value, True)
        elif cls is list:
            self.list(cursor, value)
        elif cls is tuple:
            self.tuple(cursor, value)
        elif cls is int:
            write_int(self, cursor, value)
        elif cls is bytes:
            value_text.write_binary(self, cursor, value, False)
        elif value is UNBOUND:
            cursor.tag(Tag.UNBOUND, 0)
        else:
            value_object.write_by_shape(self, cursor, value)
        if cursor.status is not Status.OK:
            self._take_back(cursor)

    # ---- counters ----

    def settle(self) -> None:
        """What was counted since a record of another trace began goes to the trace of
        the last one."""
        now = (self.counters.masked_count, self.counters.truncated_count)
        if self._trace is not None:
            self._trace.masked_count += now[0] - self._settled[0]
            self._trace.truncated_count += now[1] - self._settled[1]
        self._settled = now
        self._trace = None

    def count_masked(self, cursor: Cursor, count: int) -> None:
        """Secrets were replaced."""
        self.counters.masked_count += count
        self.record(cursor).masked_count += count

    def count_truncated(self, cursor: Cursor) -> None:
        """A value is not whole."""
        self.counters.truncated_count += 1
        self.record(cursor).truncated_count += 1

    def count_error(self, cursor: Cursor) -> None:
        """A value could not be written."""
        self.counters.error_count += 1
        self.record(cursor).error_count += 1

    def _take_back(self, cursor: Cursor) -> None:
        """The record will not be seen; what it counted is counted when it is."""
        record = self.record(cursor)
        self.counters.masked_count -= record.masked_count
        self.counters.truncated_count -= record.truncated_count
        self.counters.error_count -= record.error_count
        record.masked_count = record.truncated_count = record.error_count = 0

    # ---- budget ----

    @staticmethod
    def record(cursor: Cursor) -> Record:
        """The budget of the record that is written behind ``cursor``."""
        record = cursor.record
        assert record is not None
        return record

    def room(self, cursor: Cursor) -> int:
        """Bytes that may still be written here, beside what is set aside for others."""
        record = self.record(cursor)
        used = len(cursor.data) - record.start + record.reserved_bytes
        return max(record.limit_bytes - used, 0)

    def type(self, cursor: Cursor, cls: builtins.type) -> None:
        """Write the number of ``cls``, or make the record lost."""
        number = self.definitions.type(cls)
        if number == 0:
            cursor.status = Status.FULL
            cursor.end = cursor.at  # nothing may follow in a lost record
        cursor.uint(number)

    def address(self, cursor: Cursor, value: Any) -> None:
        """Write where ``value`` is."""
        cursor.uint(id(value) & 0xFFFFFFFFFFFFFFFF)  # PyPy's may be longer

    def cut(self, cursor: Cursor, value: Any, length: int | None) -> None:
        """CUT: ``value`` was not written; ``length`` of the whole."""
        cursor.tag(Tag.CUT, 2)
        self.type(cursor, type(value))
        if length is not None and self.room(cursor) >= 9:
            cursor.uint(length)
        else:
            cursor.nil()
        self.count_truncated(cursor)

    def fill(self, cursor: Cursor, count: int) -> None:
        """Elements that were promised but have gone away (a user's __repr__ may do
        that)."""
        for _ in range(count):
            self.record(cursor).reserved_bytes -= CUT_BYTES
            self.cut(cursor, None, None)

    def cycle(self, cursor: Cursor, value: Any) -> bool:
        """Whether ``value`` is in progress: then CYCLE was written."""
        for levels, above in enumerate(reversed(self.record(cursor).open), 1):
            if above is value:
                cursor.tag(Tag.CYCLE, 1)
                cursor.uint(levels)
                return True
        return False

    def push(self, cursor: Cursor, value: Any) -> None:
        """``value`` is in progress."""
        self.record(cursor).open.append(value)

    def pop(self, cursor: Cursor) -> None:
        """The innermost value is written."""
        self.record(cursor).open.pop()

    def enter(
        self, cursor: Cursor, value: Any, total: int, width: int, head_bytes: int
    ) -> int:
        """Enter ``value`` as a container of ``total`` items of ``width`` elements, and
        set room for its items aside: how many of them are to be written, or -1 where
        CYCLE or CUT was written instead."""
        record = self.record(cursor)
        if record.open and self.cycle(cursor, value):
            return -1
        room = self.room(cursor)
        cost = width * CUT_BYTES
        fits = (room - head_bytes) // cost if room > head_bytes else 0
        count = min(total, record.item_limit, fits)
        if total > 0:
            if len(record.open) >= record.depth_limit or count == 0:
                self.cut(cursor, value, total)
                return -1
        elif head_bytes > HEAD_BYTES and room < head_bytes:
            self.cut(cursor, value, 0)
            return -1
        if count < total:
            self.count_truncated(cursor)
        record.reserved_bytes += count * cost
        record.open.append(value)
        return count

    def element(self, cursor: Cursor, value: Any) -> None:
        """An element for which CUT_BYTES were set aside."""
        self.record(cursor).reserved_bytes -= CUT_BYTES
        if not write_simple(cursor, value):
            self._write_any(cursor, value)

    def named_element(self, cursor: Cursor, name: Any, value: Any) -> None:
        """The same under a name: masked where the name is secret."""
        if value_secret.is_name(self, name):
            self.record(cursor).reserved_bytes -= CUT_BYTES
            self.write_secret(cursor, value)
        else:
            self.element(cursor, value)

    # ---- containers ----

    def list(self, cursor: Cursor, value: builtins.list[Any]) -> None:
        """A list, or what an instance of a subclass holds as one."""
        total = list.__len__(value)
        count = self.enter(cursor, value, total, 1, HEAD_BYTES)
        if count < 0:
            return
        _open(cursor, _LIST, count, count, total)
        items: Iterable[Any]
        if self.record(cursor).user_repr:
            items = _live_items(value, count)
        else:
            items = list.__getitem__(value, slice(count))
        written = self._words(cursor, items)
        self.fill(cursor, count - written)
        self.pop(cursor)

    def _words(self, cursor: Cursor, items: Iterable[Any]) -> int:
        """Elements, of which the value of a secret option is masked: how many."""
        written = 0
        before: str | None = None
        for item in items:
            is_word = type(item) is str
            is_option = is_word and item[:1] == "-" and len(item) > 1 and item.isascii()
            if (
                is_word
                and not is_option
                and before is not None
                and value_secret.is_option(self, before)
            ):
                self.record(cursor).reserved_bytes -= CUT_BYTES
                self.write_secret(cursor, item)
            else:
                self.element(cursor, item)
            before = item if is_option else None
            written += 1
        return written

    def tuple(self, cursor: Cursor, value: builtins.tuple[Any, ...]) -> None:
        """A tuple; a pair may be a name and its value, as in a list of headers."""
        total = tuple.__len__(value)
        count = self.enter(cursor, value, total, 1, HEAD_BYTES)
        if count < 0:
            return
        _open(cursor, Tag.TUPLE, count, count, total)
        items = tuple.__getitem__(value, slice(count))
        if total == count == 2:
            self.element(cursor, items[0])
            self.named_element(cursor, *items)
        else:
            self._words(cursor, items)
        self.pop(cursor)

    def set(self, cursor: Cursor, value: Any, frozen: bool) -> None:
        """A set or frozenset, in the order of its table."""
        owner = frozenset if frozen else set
        total = owner.__len__(value)
        count = self.enter(cursor, value, total, 1, HEAD_BYTES)
        if count < 0:
            return
        tag = Tag.FROZENSET if frozen else Tag.SET
        _open(cursor, tag, count, count, total)
        items = _some_of(owner.__iter__(value), count, self.record(cursor).user_repr)
        written = 0
        for item in items:
            self.element(cursor, item)
            written += 1
        self.fill(cursor, count - written)
        self.pop(cursor)

    def dict(self, cursor: Cursor, value: Any, exact: bool) -> None:
        """A dict's storage: as map where the type is dict, else DICT."""
        owner: builtins.type[Any] = dict
        if not exact and not issubclass(type(value), dict):
            owner = value_shape.DICTS[-1]  # frozendict is no subclass of it
        total = owner.__len__(value)
        head_bytes = HEAD_BYTES if exact else TYPED_HEAD_BYTES
        count = self.enter(cursor, value, total, 2, head_bytes)
        if count < 0:
            return
        if exact:
            _open(cursor, Tag.DICT, count, count * 2, total)
        else:
            cursor.tag(Tag.DICT, count * 2 + 3)
            self.type(cursor, type(value))
            self.address(cursor, value)
            cursor.uint(total)
        items = iter(owner.items(value))
        written = 0
        for key, item in _some_of(items, count, self.record(cursor).user_repr):
            self.element(cursor, key)
            self.named_element(cursor, key, item)
            written += 1
        self.fill(cursor, (count - written) * 2)
        self.pop(cursor)

    # ---- shapes ----

    def shape(self, cls: builtins.type) -> Shape:
        """What the instances of ``cls`` are."""
        known = self.shapes.get(id(cls))
        if known is not None:
            reference, shape = known
            if reference() is cls and shape.slots.state == instance.state_of(cls):
                return shape
        if len(self.shapes) >= _SHAPES_MAX:
            self.shapes.clear()
        shape = value_shape.decide(cls)
        self.shapes[id(cls)] = ref(cls), shape
        return shape


def _open(cursor: Cursor, tag: int, count: int, elements: int, total: int) -> None:
    """Open the array of a container, or of what is left of it."""
    if count < total:
        cursor.tag(Tag.CUT_ITEMS, elements + 2)
        cursor.uint(tag)
        cursor.uint(total)
    elif tag == _LIST:
        cursor.array(elements)
    elif tag == Tag.DICT:
        cursor.map(count)
    else:
        cursor.tag(tag, elements)


def _live_items(value: list[Any], count: int) -> Iterator[Any]:
    """The items as they are when each is asked for: a user's __repr__ may shorten the
    list."""
    for at in range(count):
        if at >= list.__len__(value):
            return
        yield list.__getitem__(value, at)


def _some_of(items: Iterator[Any], count: int, live: bool) -> Iterable[Any]:
    """At most ``count`` of ``items``; taken at once, since another thread may change
    the container, unless a user's __repr__ is to be seen to."""
    if live:
        return _until_changed(islice(items, count))
    try:
        return list(islice(items, count))
    except RuntimeError:  # changed while they were taken: by a collection
        return ()


def _until_changed(items: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from items
    except RuntimeError:
        return
