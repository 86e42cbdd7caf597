"""Python's str as UTF-8 within a number of bytes. Twin of src/session/text.c.

Threads: any. Owns: nothing. Fails: by the cursor's status.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.reference.wire import Cursor


def cut(text: str, most: int) -> bytes:
    """``text`` as UTF-8, lone surrogates as three bytes each.

    Cut, without a mark, before the character that would pass ``most`` bytes.
    """
    # By str's own methods: the name of a class may be of a subclass.
    data = str.__getitem__(text, slice(most)).encode("utf-8", "surrogatepass")
    if len(data) <= most:
        return data
    while data[most] & 0xC0 == 0x80:  # in the middle of a character
        most -= 1
    return data[:most]


def write(cursor: Cursor, text: str, most: int) -> None:
    """Write ``text`` as a msgpack str of at most ``most`` bytes."""
    cursor.str(cut(text, most))
