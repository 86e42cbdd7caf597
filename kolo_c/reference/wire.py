"""Msgpack, written into a record and read back; twin of ``src/plain/wire.c``.

A cursor collects one record's bytes and knows how many there may be. Errors stick to
it, so that a record is written without a check between its fields:

    cursor = stream.begin(now_ns, Kind.CALL, 5)
    cursor.uint(code)
    …
    if cursor.status is Status.OK:
        stream.commit(cursor, now_ns)

In C a cursor points into the block; here ``data`` is a buffer of its own, which the
stream copies into the block when the record is committed. Until then nobody sees it in
either.

Threads: a cursor belongs to the function that made it.
Owns:    its bytes.
Fails:   by ``status`` FULL, once and for the rest of the record; reading by None.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from kolo_c.reference.status import Status
from kolo_c.wire import TAG_EXTENSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from typing import Any

    from kolo_c.reference.value_state import Record

_DOUBLE = struct.Struct(">d").pack
_FLOAT_FROM = struct.Struct(">f").unpack
_DOUBLE_FROM = struct.Struct(">d").unpack

NIL = b"\xc0"
TRUE = b"\xc3"
FALSE = b"\xc2"
SMALL = tuple(bytes((i,)) for i in range(256))
"""Each byte alone: what small numbers and counts are."""
TAGS = tuple(bytes((0xD4, TAG_EXTENSION, tag)) for tag in range(256))
"""The first element of a tagged array, by tag."""


def pack_uint(value: int) -> bytes:
    """The shortest form of ``value``, which is in [0, 2**64)."""
    if value < 0x80:
        return SMALL[value]
    if value < 0x100:
        return b"\xcc" + SMALL[value]
    if value < 0x10000:
        return b"\xcd" + value.to_bytes(2, "big")
    if value < 0x100000000:
        return b"\xce" + value.to_bytes(4, "big")
    return b"\xcf" + value.to_bytes(8, "big")


def pack_int(value: int) -> bytes:
    """The shortest form of ``value``, which is in [-2**63, 2**64)."""
    if value >= 0:
        return pack_uint(value)
    if value >= -0x20:
        return SMALL[value + 0x100]
    if value >= -0x80:
        return b"\xd0" + SMALL[value + 0x100]
    if value >= -0x8000:
        return b"\xd1" + value.to_bytes(2, "big", signed=True)
    if value >= -0x80000000:
        return b"\xd2" + value.to_bytes(4, "big", signed=True)
    return b"\xd3" + value.to_bytes(8, "big", signed=True)


def pack_double(value: float) -> bytes:
    """Always eight bytes: no float is shortened."""
    return b"\xcb" + _DOUBLE(value)


def pack_array(count: int) -> bytes:
    """The head of an array."""
    if count < 16:
        return SMALL[0x90 | count]
    if count < 0x10000:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")


def pack_map(count: int) -> bytes:
    """The head of a map of ``count`` pairs."""
    if count < 16:
        return SMALL[0x80 | count]
    if count < 0x10000:
        return b"\xde" + count.to_bytes(2, "big")
    return b"\xdf" + count.to_bytes(4, "big")


def pack_str(count: int) -> bytes:
    """The head of a str of ``count`` bytes."""
    if count < 32:
        return SMALL[0xA0 | count]
    if count < 0x100:
        return b"\xd9" + SMALL[count]
    if count < 0x10000:
        return b"\xda" + count.to_bytes(2, "big")
    return b"\xdb" + count.to_bytes(4, "big")


def pack_bin(count: int) -> bytes:
    """The head of ``count`` bytes."""
    if count < 0x100:
        return b"\xc4" + SMALL[count]
    if count < 0x10000:
        return b"\xc5" + count.to_bytes(2, "big")
    return b"\xc6" + count.to_bytes(4, "big")


class Cursor:
    """One record on its way: at most ``end`` bytes in ``data``."""

    __slots__ = ("data", "end", "status", "record")

    def __init__(self, end: int, status: Status = Status.OK) -> None:
        self.data = bytearray()
        self.end = end
        self.status = status
        self.record: Record | None = None
        """What its values may still take (value_state.py)."""

    @property
    def at(self) -> builtins.int:
        """Where the next byte goes."""
        return len(self.data)

    def append(self, some: bytes | bytearray) -> None:
        """Add bytes, all of them or, from then on, none."""
        data = self.data
        if len(some) > self.end - len(data):
            self.status = Status.FULL
            self.end = len(data)  # nothing shorter may slip in behind it
            return
        data += some

    def rewind(self, at: builtins.int) -> None:
        """Take back what was written from ``at`` on, unless the record is lost."""
        if self.status is Status.OK:
            del self.data[at:]

    def nil(self) -> None:
        """None, or nothing to say."""
        self.append(NIL)

    def bool(self, value: object) -> None:
        """Whether ``value`` is true."""
        self.append(TRUE if value else FALSE)

    def double(self, value: float) -> None:
        """A float."""
        self.append(b"\xcb" + _DOUBLE(value))

    def array(self, count: builtins.int) -> None:
        """Open an array."""
        self.append(pack_array(count))

    def map(self, count: builtins.int) -> None:
        """Open a map of ``count`` pairs."""
        self.append(pack_map(count))

    def text(self, text: builtins.str | None) -> None:
        """A text of our own, or nil."""
        if text is None:
            self.append(NIL)
        else:
            self.str(text.encode("utf-8", "surrogatepass"))

    def open_record(self, kind: builtins.int, count: builtins.int) -> None:
        """An array of ``count`` elements, the first of which is ``kind``."""
        self.append(pack_array(count) + SMALL[kind])

    def tag(self, tag: builtins.int, count: builtins.int) -> None:
        """Open a tagged array of ``count`` elements after the tag."""
        self.append(pack_array(count + 1))
        self.append(TAGS[tag])

    def bin(self, some: bytes | bytearray) -> None:
        """Bytes."""
        self.append(pack_bin(len(some)))
        self.append(some)

    def str(self, utf8: bytes | bytearray) -> None:
        """A text that is UTF-8 already."""
        self.append(pack_str(len(utf8)))
        self.append(utf8)

    def uint(self, value: builtins.int) -> None:
        """A number of 64 bits without a sign."""
        if value < 0x80:
            self.append(SMALL[value])
        else:
            self.append(pack_uint(value))

    def int(self, value: builtins.int) -> None:
        """A number of 64 bits."""
        self.append(pack_int(value))


# ---- reading: a validated walk over bytes that may be hostile ----


class Token(IntEnum):
    """What comes next."""

    NIL = 0
    BOOL = 1
    UINT = 2
    INT = 3
    """Below zero."""
    DOUBLE = 4
    STR = 5
    BIN = 6
    ARRAY = 7
    MAP = 8
    EXT = 9


class Walk:
    """Msgpack, token by token, without recursion."""

    __slots__ = ("data", "at", "end")

    def __init__(
        self, data: bytes | bytearray | memoryview, at: int = 0, end: int | None = None
    ) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    def _read(self, width: int) -> int | None:
        """The next ``width`` bytes as a number."""
        if width > self.end - self.at:
            return None
        self.at += width
        return int.from_bytes(self.data[self.at - width : self.at], "big")

    def _lend(self, count: int) -> bytes | None:
        if count > self.end - self.at:
            return None
        self.at += count
        return bytes(self.data[self.at - count : self.at])

    def next(self) -> tuple[Token, Any] | None:
        """Token and value (a number, the bytes, the count of elements or pairs; of an
        extension its type and bytes); None where the input ends inside it or is no
        msgpack."""
        code = self._read(1)
        if code is None:
            return None
        if code < 0x80:
            return Token.UINT, code
        if code >= 0xE0:
            return Token.INT, code - 0x100
        if code >= 0xC0:
            return self._coded(code)
        if code >= 0xA0:
            return self._bytes(Token.STR, code & 0x1F)
        return (Token.ARRAY if code >= 0x90 else Token.MAP), code & 0x0F

    def _bytes(self, token: Token, count: int | None) -> tuple[Token, Any] | None:
        some = None if count is None else self._lend(count)
        return None if some is None else (token, some)

    def _extension(self, count: int | None) -> tuple[Token, Any] | None:
        kind = None if count is None else self._read(1)
        some = None if count is None or kind is None else self._lend(count)
        return None if some is None else (Token.EXT, (kind, some))

    def _coded(self, code: int) -> tuple[Token, Any] | None:
        """The forms whose whole first byte is a code: 0xc0 to 0xdf."""
        if code == 0xC0:
            return Token.NIL, None
        if code in (0xC2, 0xC3):
            return Token.BOOL, code == 0xC3
        if 0xC4 <= code <= 0xC6:
            return self._bytes(Token.BIN, self._read(1 << (code - 0xC4)))
        if 0xC7 <= code <= 0xC9:
            return self._extension(self._read(1 << (code - 0xC7)))
        if code in (0xCA, 0xCB):
            some = self._lend(4 << (code - 0xCA))
            if some is None:
                return None
            return Token.DOUBLE, (_FLOAT_FROM, _DOUBLE_FROM)[code - 0xCA](some)[0]
        if 0xD4 <= code <= 0xD8:
            return self._extension(1 << (code - 0xD4))
        if 0xD9 <= code <= 0xDB:
            return self._bytes(Token.STR, self._read(1 << (code - 0xD9)))
        return self._numbered(code)

    def _numbered(self, code: int) -> tuple[Token, Any] | None:
        """Integers, arrays and maps whose number stands behind the code."""
        if 0xCC <= code <= 0xCF:
            token, width = Token.UINT, 1 << (code - 0xCC)
        elif 0xD0 <= code <= 0xD3:
            token, width = Token.INT, 1 << (code - 0xD0)
        elif code in (0xDC, 0xDD):
            token, width = Token.ARRAY, 2 << (code - 0xDC)
        elif code in (0xDE, 0xDF):
            token, width = Token.MAP, 2 << (code - 0xDE)
        else:
            return None  # 0xc1 is never used
        value = self._read(width)
        if value is None:
            return None
        if token is Token.INT:
            if value < 1 << (width * 8 - 1):
                return Token.UINT, value
            value -= 1 << (width * 8)
        return token, value

    def skip(self) -> bool:
        """Step over one whole object, whatever it holds; False where it is broken."""
        left = 1
        while left > 0:
            token = self.next()
            if token is None:
                return False
            left -= 1
            if token[0] is Token.ARRAY:
                left += token[1]
            elif token[0] is Token.MAP:
                left += token[1] * 2
            # Nothing takes less than a byte: what promises more than is there, lies.
            if left > self.end - self.at:
                return False
        return True
