"""Ints of any size, and Decimal; twin of ``src/trace/value_number.c``.

A Decimal's digits come from as_tuple(): str() looks the thread's context up and makes
one where there is none.

Threads, Owns, Fails: as value.py.
"""

from __future__ import annotations

from kolo_c.reference.instance import type_dict
from kolo_c.reference.value_state import SCRATCH_BYTES
from kolo_c.wire import Tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.reference.value import Values
    from kolo_c.reference.wire import Cursor

_NUMBER_HEAD_BYTES = 9
"""Array, ext, head of bin or str."""
_DECIMAL_EXTRA_BYTES = 32
"""Sign, point, zeros after it, exponent."""


def write_int(values: Values, cursor: Cursor, number: int) -> None:
    """An int of any size, instances of subclasses too."""
    exact = int.__add__(number, 0)
    if -0x8000000000000000 <= exact < 0x10000000000000000:
        cursor.int(exact)
    else:
        _write_big(values, cursor, number, exact)


def _write_big(values: Values, cursor: Cursor, owner: int, number: int) -> None:
    bit_length = number.bit_length()
    size = bit_length // 8 + 1  # one bit more, for the sign
    room = values.room(cursor)
    if room < _NUMBER_HEAD_BYTES + 8:
        values.cut(cursor, owner, None)
        return
    cursor.tag(Tag.BIGINT, 1)
    if size > values.record(cursor).text_limit or size > room - _NUMBER_HEAD_BYTES:
        cursor.uint(bit_length)
        values.count_truncated(cursor)
        return
    cursor.bin(number.to_bytes(size, "little", signed=True))


def as_bytes(number: Any, size: int) -> bytes | None:
    """``size`` bytes, most significant first, of a non-negative int; None where it does
    not fit."""
    if type(number) is not int or number < 0 or number.bit_length() > size * 8:
        return None
    return number.to_bytes(size, "big")


# ---- Decimal ----


def _special(negative: int, digits: str, exponent: str) -> str:
    sign = "-" if negative else ""
    if exponent == "F":
        return f"{sign}Infinity"
    return f"{sign}{'sNaN' if exponent == 'N' else 'NaN'}{digits}"


def _finite(negative: int, digits: str, exponent: int) -> str:
    """As str(): plain notation while the exponent is in [-6, 0], else scientific."""
    sign = "-" if negative else ""
    left = exponent + len(digits)  # digits before the point
    point = 1 if exponent > 0 or left <= -6 else left
    if point <= 0:
        digits = "0." + "0" * -point + digits
    elif point < len(digits):
        digits = f"{digits[:point]}.{digits[point:]}"
    if point != left:
        digits += f"E{left - 1:+d}"
    return sign + digits


def _parts_of(value: Any, base: Any) -> Any:
    """Sign, digits and exponent; of PyPy's, which is made in Python, from its slots:
    its own methods ask the value for them."""
    slots = type_dict(base)
    if "_sign" not in slots:
        return base.as_tuple(value)
    sign, digits, exponent = (
        slots[name].__get__(value) for name in ("_sign", "_int", "_exp")
    )
    return sign, tuple(map(int, digits)), exponent


def write_decimal(values: Values, cursor: Cursor, value: Any, base: Any) -> None:
    """A Decimal; ``base`` is the class itself, which ``value`` may be a subclass of."""
    negative, figures, exponent = _parts_of(value, base)
    if len(figures) > SCRATCH_BYTES - 2 * _DECIMAL_EXTRA_BYTES:
        values.cut(cursor, value, len(figures))
        return
    digits = "".join(map(str, figures))
    if type(exponent) is str:
        text = _special(negative, digits, exponent)
    else:
        text = _finite(negative, digits, exponent)
    if len(text) > values.record(cursor).text_limit or len(
        text
    ) + _NUMBER_HEAD_BYTES > values.room(cursor):
        values.cut(cursor, value, len(text))  # no part of a number
        return
    cursor.tag(Tag.DECIMAL, 1)
    cursor.text(text)
