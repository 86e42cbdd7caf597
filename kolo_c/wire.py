"""The numbers of the wire format: record kinds, marks, value tags, definition kinds.

docs/reference/wire-format.md says what each means; ``src/plain/wire.h`` is the twin.
"""

from __future__ import annotations

from enum import IntEnum

from kolo_c._version import SCHEMA_VERSION as SCHEMA_VERSION

WIRE_VERSION = 1
TAG_EXTENSION = 1
BLOCK_BYTES = 65536
BLOCK_HEADER_BYTES = 96
BLOCK_MAGIC = 0x6B6F6C6F
MAPPING_HEADER_BYTES = 4096
MAPPING_MAGIC = b"KOLOMAP1"
RECORD_MAX_BYTES = 32768


class Kind(IntEnum):
    """What a record tells."""

    CALL = 0
    RETURN = 1
    RAISE = 2
    YIELD = 3
    RESUME = 4
    THROW = 5
    ENTERED = 6
    HANDLED = 7
    TASK = 8
    REGION = 9
    REGION_END = 10
    NOTE = 11
    LOG = 12
    PLUGIN = 13
    PLUGIN_END = 14
    MARK = 15
    CAUGHT = 16


class Mark(IntEnum):
    """What a MARK record marks."""

    LOST = 1
    BLIND = 2
    LIMIT = 3
    COUNTED = 4
    CLOCK = 5


class Tag(IntEnum):
    """What a tagged array stands for."""

    TUPLE = 1
    SET = 2
    FROZENSET = 3
    CUT_STR = 4
    CUT_BYTES = 5
    CUT_ITEMS = 6
    CUT = 7
    BIGINT = 8
    COMPLEX = 9
    RANGE = 10
    DATETIME = 11
    DATE = 12
    TIME = 13
    TIMEDELTA = 14
    DECIMAL = 15
    UUID = 16
    PATH = 17
    ENUM = 18
    BYTEARRAY = 19
    DICT = 20
    OBJECT = 21
    REF = 22
    NAMEDTUPLE = 23
    EXCEPTION = 24
    FUNCTION = 25
    CLASS = 26
    MODULE = 27
    NDARRAY = 28
    CYCLE = 29
    MASKED = 30
    UNBOUND = 31
    SUBCLASS = 32
    REPR = 33
    VIEW = 34
    ERROR = 35


class Definition(IntEnum):
    """What a definition defines."""

    STRING = 1
    CODE = 2
    TYPE = 3
    FILE = 4
    THREAD = 5
    TASK = 6
    TRACE = 7
    TRACE_END = 8
    PLUGIN_KIND = 9
    TRACE_SET = 10
    TRACE_DROP = 11


NODE_KINDS = frozenset(
    {Kind.CALL, Kind.ENTERED, Kind.REGION, Kind.NOTE, Kind.LOG, Kind.PLUGIN}
)
PUSH_KINDS = frozenset({Kind.CALL, Kind.ENTERED, Kind.REGION, Kind.PLUGIN})
END_KINDS = frozenset({Kind.RETURN, Kind.RAISE, Kind.REGION_END, Kind.PLUGIN_END})
