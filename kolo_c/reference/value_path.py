"""Paths of pathlib, read from what they have stored; twin of
``src/trace/value_path.c``.

Nothing of pathlib runs, so that a path that was never asked for its text is put
together here, as pathlib would.

Threads, Owns, Fails: as value.py.
"""

from __future__ import annotations

from kolo_c.reference import instance, value_text
from kolo_c.reference.value_state import SCRATCH_BYTES
from kolo_c.wire import Tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.reference.value import Values
    from kolo_c.reference.value_state import Shape
    from kolo_c.reference.wire import Cursor

_SUBCLASS_BYTES = 18
"""Array, ext, type, address."""
_CUT_TEXT_BYTES = 34
"""The least that a beginning of a text takes."""
_SIZE = SCRATCH_BYTES - 1


def _append(path: bytes, text: Any) -> bytes | None:
    """With the exact str ``text``; None where it is none or there is no room."""
    if type(text) is not str:
        return None
    more, whole = value_text.transcode(text, _SIZE - len(path))
    return path + more if whole else None


def _join(parts: list[Any]) -> bytes | None:
    """The strings with `/` before each but the first."""
    path: bytes | None = b""
    for part in parts:
        assert path is not None
        if path and path[-1:] != b"/" and len(path) < _SIZE:
            path += b"/"
        path = _append(path, part)
        if path is None:
            return None
    return path


def _normalize(path: bytes) -> bytes:
    """What pathlib makes of a POSIX path: no `.`, no empty part, two leading slashes
    kept."""
    roots = len(path) - len(path.lstrip(b"/"))
    root = b"//" if roots == 2 else b"/" * (roots > 0)
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    return root + b"/".join(parts) or b"."


def _from_raw(raw: list[Any]) -> bytes | None:
    """The parts that were given, of which the last absolute one counts (3.12 and
    newer)."""
    first = 0
    for at, part in enumerate(raw):
        if type(part) is not str:
            return None
        if part[:1] == "/":
            first = at
    path = _join(raw[first:])
    return None if path is None else _normalize(path)


def _read(value: Any, slots: instance.Slots) -> bytes | None:
    """As str(path) has it, from what the path has stored: the string itself once it was
    asked for, else drive, root and parts (3.10, 3.11), else the parts as they were
    given."""
    stored = dict(instance.fields(value, slots))
    if "_str" in stored:
        return _append(b"", stored["_str"])
    parts = stored.get("_parts")
    if type(parts) is list:
        # The first part is drive and root, if there are any.
        path = _join(parts)
        return b"." if path == b"" else path
    raw = stored.get("_raw_paths")
    return _from_raw(raw) if type(raw) is list else None


def write_path(values: Values, cursor: Cursor, value: Any, shape: Shape) -> bool:
    """A path; False where it has stored none."""
    path = _read(value, shape.slots)
    if path is None:
        return False
    room = values.room(cursor)
    count = len(path)
    if count <= values.record(cursor).text_limit and count + 14 <= room:
        cursor.tag(Tag.PATH, 2)
        values.type(cursor, type(value))
    elif room >= _SUBCLASS_BYTES + _CUT_TEXT_BYTES:
        # PATH holds a whole path; the beginning of one stands as its text.
        cursor.tag(Tag.SUBCLASS, 3)
        values.type(cursor, type(value))
        values.address(cursor, value)
    else:
        values.cut(cursor, value, count)
        return True
    value_text.write_utf8(values, cursor, value, path, count, count)
    return True
