"""Secrets that stand behind their names in a text; twin of ``src/plain/mask_pairs.c``.

Looked for from the signs that stand between a name and its value, which most texts have
none or few of: ``=``, ``:`` and the ``--`` of an option.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kolo_c.reference.mask_shapes import Span

    IsSecret = Callable[[bytes], bool]

_SIGN = re.compile(rb"[=:]|-(?=-)")
_NAME_LEAST = 2
_NAME_MAX_BYTES = 100
_NAMES_MAX_BYTES = 200
"""In parentheses: Key (a, b)=(1, 2)."""
_BLANKS_MAX = 4
_QUOTES_MAX = 3
_NAME = frozenset(
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-"
) | frozenset(range(0x80, 0x100))
_NAME_HERE = re.compile(rb"[0-9A-Za-z_\x80-\xff-]{0,100}")
_WORD_HERE = re.compile(rb"[0-9A-Za-z_\x80-\xff]*")
_BLANKS_HERE = re.compile(rb"[ \t]{0,4}")
_LETTERS_HERE = re.compile(rb"[bruBRU]{0,2}")
_VALUE_HERE = re.compile(rb"[^ \t\r\n,;&\"'<>)\]}`]*")
_LINE_HERE = re.compile(rb"[^\r\n\"']*")
_CLOSE = {0x28: 0x29, 0x5B: 0x5D, 0x7B: 0x7D}
_SCHEMES = frozenset(
    (b"bearer", b"basic", b"digest", b"token", b"negotiate", b"apikey")
)
_HARMLESS = frozenset(
    (b"none", b"null", b"nil", b"true", b"false", b"%s", b"undefined")
)
_PLACEHOLDER = re.compile(
    rb"\?[0-9]*|\$[0-9]+|:[A-Za-z_\x80-\xff][0-9A-Za-z_\x80-\xff]*"
)


def find_pair(is_secret: IsSecret, data: bytes, start: int) -> Span | None:
    """The first value at or after ``start`` that stands behind a secret name."""
    sign = _SIGN.search(data, start)
    while sign is not None:
        at = sign.start()
        found = (_option if sign[0] == b"-" else _sign)(is_secret, data, at)
        if found is not None:
            return found
        sign = _SIGN.search(data, at + 1)
    return None


def _back(data: bytes, end: int, some: bytes, most: int) -> int:
    least = max(end - most, 0)
    while end > least and data[end - 1] in some:
        end -= 1
    return end


def _end(here: re.Pattern[bytes], data: bytes, at: int) -> int:
    match = here.match(data, at)
    return at if match is None else match.end()


def _is_secret(is_secret: IsSecret, name: bytes) -> bool:
    return len(name) >= _NAME_LEAST and is_secret(name)


def _name(data: bytes, sign: int) -> bytes:
    """The name, or the names in parentheses, that end before ``sign``."""
    end = _back(data, sign, b" \t", _BLANKS_MAX)
    end = _back(data, end, b"\"'`]\\", _QUOTES_MAX)
    if end > 0 and data[end - 1] == 0x29:
        least = max(end - 2 - _NAMES_MAX_BYTES, 0)
        return data[data.rfind(b"(", least, end - 1) + 1 or end : end - 1]
    start = end
    least = max(end - _NAME_MAX_BYTES, 0)
    while start > least and data[start - 1] in _NAME:
        start -= 1
    if start > 0 and data[start - 1] in _NAME:
        return b""  # a longer one is none
    return data[start:end]


def _sign(is_secret: IsSecret, data: bytes, at: int) -> Span | None:
    """``name=value``, ``name: value`` with the sign at ``at``."""
    sign = data[at : at + 1]
    if sign == b":" and data[at + 1 : at + 3] == b"//":
        return None
    name = _name(data, at)
    if not _is_secret(is_secret, name):
        return None
    return _value(data, at + 1 + (data[at + 1 : at + 2] in (b"=", b">")), sign, name)


def _option(is_secret: IsSecret, data: bytes, at: int) -> Span | None:
    """``--name value``, also as Python shows a list of words."""
    if at > 0 and data[at - 1] in _NAME:
        return None
    end = _end(_NAME_HERE, data, at + 2)
    name = data[at + 2 : end]
    end += data[end : end + 1] in (b'"', b"'")
    end += data[end : end + 1] == b","
    behind = _end(_BLANKS_HERE, data, end)
    if behind == end or data[behind : behind + 1] == b"-":
        return None
    return _value(data, behind, b" ", name) if _is_secret(is_secret, name) else None


def _value(data: bytes, at: int, sign: bytes, name: bytes) -> Span | None:
    """What stands for the value at ``at``, behind ``sign``."""
    at = _end(_BLANKS_HERE, data, at)
    quote = _end(_LETTERS_HERE, data, at)
    if data[quote : quote + 1] in (b'"', b"'", b"`"):
        at = quote
    first = data[at : at + 1]
    enclosed = True
    if first == b"\\" and data[at + 1 : at + 2] in (b'"', b"'"):
        start = at + 2
        end = data.find(data[at : at + 2], start)
    elif first in (b'"', b"'", b"`"):
        start = at + 1
        end = _quote_end(data, start, first[0])
    elif first in (b"(", b"[", b"{"):
        start = at + 1
        end = _bracket_end(data, start, first[0])
    else:
        is_line = sign == b":" and name.lower().endswith((b"cookie", b"authorization"))
        start = _skip_scheme(data, at)
        if data.startswith(b"%(", start):
            return None  # a placeholder, whatever follows
        end = _end(_LINE_HERE if is_line else _VALUE_HERE, data, start)
        enclosed = False
    if end < 0:
        end = len(data)
    if start >= end or _is_harmless(data[start:end], name, enclosed):
        return None
    return start, end, "named"


def _quote_end(data: bytes, at: int, quote: int) -> int:
    while at < len(data):
        if data[at] == 0x5C:
            at += 1
        elif data[at] == quote:
            return at
        at += 1
    return -1


def _bracket_end(data: bytes, at: int, open: int) -> int:
    depth = 1
    for end in range(at, len(data)):
        if data[end] == open:
            depth += 1
        elif data[end] == _CLOSE[open]:
            depth -= 1
            if depth == 0:
                return end
    return -1


def _skip_scheme(data: bytes, at: int) -> int:
    """Behind ``Bearer `` and the like, or ``at``."""
    end = _end(_WORD_HERE, data, at)
    behind = _end(_BLANKS_HERE, data, end)
    return behind if behind > end and data[at:end].lower() in _SCHEMES else at


def _is_harmless(value: bytes, name: bytes, enclosed: bool) -> bool:
    """Whether it says nothing: None, placeholders of SQL and of templates, what was
    masked before, the name itself."""
    if not value.strip(b"*") or value == name:
        return True
    if enclosed:
        return False
    return value.lower() in _HARMLESS or _PLACEHOLDER.fullmatch(value) is not None
