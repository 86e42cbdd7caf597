"""What the files of the value encoder share; twin of ``src/trace/value_state.h``.

    value          life cycle, budget, dispatch, containers
    value_text     strings and bytes: transcoding, cutting, masking by content
    value_secret   secret names, secrets met before
    value_number   ints of any size, Decimal
    value_shape    which kind of value a type's instances are
    value_types    library types, and which file writes a kind
    value_path     pathlib's paths
    value_name     functions and modules
    value_numpy    NumPy's arrays and scalars
    value_object   instances with their fields

What C keeps in `struct kc_values` for the record being written hangs on its cursor
here: another thread may run between any two lines of this core.

Threads: a Record belongs to whoever has its cursor; Counters to all (GIL).
Owns:    the objects in progress, for as long as they are.
Fails:   never.
"""

from __future__ import annotations

from enum import IntEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CUT_BYTES = 10
"""The longest CUT without a length, and the longest scalar."""
DEPTH_MAX = 32
TEXT_MAX = 16384
RECORD_MAX = 24576
"""Limits above these are taken as these."""
NAME_MAX_BYTES = 200
TEXT_BEYOND = 256
"""A secret that begins before a text is cut is looked for so far behind the cut."""
SCRATCH_BYTES = TEXT_MAX + TEXT_BEYOND
HEAD_BYTES = 18
"""Array, ext, tag, length."""
TYPED_HEAD_BYTES = 40
"""Array, ext, tag, length, type, address, length."""


class Limits:
    """How much of a value is written."""

    __slots__ = ("depth", "items", "text_bytes", "record_bytes")

    def __init__(
        self,
        depth: int = 4,
        items: int = 32,
        text_bytes: int = 1024,
        record_bytes: int = 8192,
    ) -> None:
        self.depth = depth
        self.items = items
        """A container."""
        self.text_bytes = text_bytes
        """A string or bytes."""
        self.record_bytes = record_bytes


class Options:
    """How one function's values are written; from its rules."""

    __slots__ = ("limits", "user_repr", "self_fields")

    def __init__(
        self, limits: Limits, user_repr: bool = False, self_fields: bool = False
    ) -> None:
        self.limits = limits
        self.user_repr = user_repr
        """Call __repr__ of unknown types, guarded."""
        self.self_fields = self_fields
        """Write the fields of self and cls too."""


class Counters:
    """What a record that did not fit would have counted is taken back."""

    __slots__ = ("masked_count", "truncated_count", "error_count", "frame_count")

    def __init__(self) -> None:
        self.masked_count = 0
        self.truncated_count = 0
        self.error_count = 0
        self.frame_count = 0
        """Python frames run while encoding: not counted by this core."""


class Record:
    """The budget of one record; ``open`` are the containers in progress, outermost
    first."""

    __slots__ = (
        "start", "limit_bytes", "reserved_bytes", "depth_limit", "item_limit",
        "text_limit", "user_repr", "self_fields", "open", "masked_count",
        "truncated_count", "error_count",
    )  # fmt: skip

    def __init__(self, start: int, options: Options) -> None:
        limits = options.limits
        self.start = start
        self.limit_bytes = min(limits.record_bytes, RECORD_MAX)
        self.reserved_bytes = 0
        """For elements whose container's count is written."""
        self.depth_limit = min(limits.depth, DEPTH_MAX)
        self.item_limit = limits.items
        self.text_limit = min(limits.text_bytes, TEXT_MAX)
        self.user_repr = options.user_repr
        self.self_fields = options.self_fields
        self.open: list[Any] = []
        self.masked_count = 0
        self.truncated_count = 0
        self.error_count = 0


class ValueKind(IntEnum):
    """What the instances of a type are."""

    OPAQUE = 0
    """Nothing of it can be read: REF."""
    OBJECT = 1
    REF_ONLY = 2
    """Fields there are, but of the interpreter, not the program."""
    INT = 3
    STR = 4
    FLOAT = 5
    BYTES = 6
    BYTEARRAY = 7
    LIST = 8
    TUPLE = 9
    DICT = 10
    SET = 11
    FROZENSET = 12
    COMPLEX = 13
    RANGE = 14
    NAMEDTUPLE = 15
    STRUCTSEQ = 16
    DATETIME = 17
    DATE = 18
    TIME = 19
    TIMEDELTA = 20
    DECIMAL = 21
    UUID = 22
    PATH = 23
    ENUM = 24
    EXCEPTION = 25
    FUNCTION = 26
    CFUNCTION = 27
    METHOD = 28
    DESCRIPTOR = 29
    """Of a C method: list.append."""
    CLASS = 30
    MODULE = 31
    VIEW = 32
    BUFFER = 33
    """array.array, mmap."""
    NDARRAY = 34
    NUMPY_SCALAR = 35


class Shape:
    """One per type, for as long as the type is what it was."""

    __slots__ = ("kind", "exact", "base", "names", "chosen", "slots")

    def __init__(self, slots: Any) -> None:
        self.kind = ValueKind.OBJECT
        self.exact = True
        """The type itself, no subclass: no SUBCLASS around it."""
        self.base = 0
        """Where in the type's order of bases the one stands that gave the kind."""
        self.names: tuple[str, ...] = ()
        """NAMEDTUPLE: its `_fields`; STRUCTSEQ: its members."""
        self.chosen: tuple[str, ...] | None = None
        """The fields that are written alone; None: all are."""
        self.slots = slots
        """Slots: where the fields are (instance.py)."""
