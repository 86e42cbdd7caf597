"""Bodies of HTTP messages as fields of a record, from a copy of their beginning.

What a body says under a secret name must not reach the disk. A form or JSON becomes a
dict, which the recorder masks by its names; in a text (HTML, a part of a JSON body) the
values that follow a secret name, and those of secret fields of a form, are replaced
here.

Threads: any. Owns: what each Content-Type says.
Fails: never; what cannot be decoded is told by its size.
"""

from __future__ import annotations

import re
import sys
from urllib.parse import parse_qsl

from kolo_c.plugins.secret import is_secret
from kolo_c.plugins.stems import mentions, stems
from kolo_c.scope import SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


COPY_BYTES = 16_384
"""Of a body, as it is read or sent, that a caller should hand over."""
TEXT_CHARACTERS = 2048
_DECODED_FIRST = TEXT_CHARACTERS + TEXT_CHARACTERS // 4
"""Bytes of a text which mostly have so many characters, and one more."""
_NAME_CHARACTERS = 100
_HIDDEN = "***"
_CUT = "\0cut"
_FORM = "application/x-www-form-urlencoded"
_TEXTS = (
    "application/javascript",
    "application/xml",
    "application/graphql",
    "application/yaml",
    "application/toml",
)
_WITH_QUERIES = frozenset(
    ("Referer", "Location", "Content-Location", "Link", "Refresh")
)
_TOKEN_LEAST = 22
_TOKEN = re.compile(r"[0-9a-z]{1,13}-[0-9a-f]{20,64}|[\w.-]+:[\w-]{6,7}:[\w-]{27,43}")
# A name and what stands for its value: attributes, JSON, assignments, queries.
_PAIR = re.compile(
    r"""([A-Za-z_][\w.-]{1,100})(\\?["']?\s{0,4}[:=]\s{0,4})"""
    r"""("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|\\"[^"\\]*(?:\\")?"""
    r"""|[^\s"'<>&,;{}\[\]()]+|[{\[])"""
)
_FIELD = re.compile(r"<(?:input|meta|option|button|textarea)\b[^>]{0,2000}>?", re.I)
_NAME = re.compile(r"""\b(?:name|id|http-equiv)\s*=\s*["']?([^"'\s>]+)""", re.I)
_PASSWORD = re.compile(r"""\btype\s*=\s*["']?password\b""", re.I)
_VALUE = re.compile(r"""\b(value|content)(\s*=\s*)("[^"]*"?|'[^']*'?|[^\s>]+)""", re.I)

_TYPES_KNOWN = 256
_content_types: dict[str, tuple[str, bool, str]] = {}
"""By the text of the header: what it says."""


def describe_body(
    copy: bytes,
    size: int,
    content_type: str,
    encoding: str = "",
) -> tuple[Any, str]:
    """The value of a field for a body that begins with ``copy``, and a note on it.

    ``size`` is that of all of it, where ``copy`` is not: then it is cut. The value is
    None where there is nothing to show but the note.
    """
    if not size:
        return None, ""
    whole = len(copy) >= size
    packed = encoding.strip().lower() if encoding else ""
    if packed and packed != "identity":
        decoded = _decode(copy, packed)
        if decoded is None:
            return None, f"{size:,} bytes, {packed}"
        copy, complete = decoded
        whole = whole and complete
    kind, is_text, charset = _content_types.get(content_type) or _read_type(
        content_type
    )
    note = "" if whole else f"cut: {size:,} bytes{f', {packed}' if packed else ''}"
    if not is_text:
        if kind == _FORM:
            return form(copy.decode("utf-8", "replace")), note
        if kind == "application/json" or kind.endswith("+json"):
            return _json(copy, whole), note
        if kind or b"\0" in copy:
            return None, f"{size:,} bytes{f', {kind}' if kind else ''}"
    text = copy[:_DECODED_FIRST].decode(charset, "replace")
    if len(text) <= TEXT_CHARACTERS and len(copy) > _DECODED_FIRST:
        text = copy.decode(charset, "replace")
    if whole and len(text) > TEXT_CHARACTERS:
        note = f"cut: {size:,} bytes"
    return scrub(text[:TEXT_CHARACTERS]), note


def form(text: str) -> dict[str, Any]:
    """What a form or a query says: a value for each name, or a list of them."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, errors="replace"):
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found


def scrub(text: str) -> str:
    """``text`` without the values that stand under secret names in it."""
    if not mentions(text, stems()):
        return text
    places = _suspicious(text)
    if "<" in text and (places or "password" in text):
        text = _FIELD.sub(_field, text)
        places = _suspicious(text)
    pieces: list[str] = []
    done = 0
    for at in places:
        if at < done:
            continue
        found = _PAIR.match(text, _start_of_word(text, at, done))
        if found is None or not is_secret(found[1]):
            continue
        hidden, cut, _ = _pair(found).partition(_CUT)
        pieces += (text[done : found.start()], hidden)
        done = found.end()
        if cut:
            return "".join((*pieces, "…"))
    return "".join((*pieces, text[done:])) if done else text


def _suspicious(text: str) -> list[int]:
    """Where something of a secret name stands in it: a look at each word would take a
    hundred times as long."""
    lowered = text.lower()
    if len(lowered) != len(text):  # of a few letters the small ones are more
        lowered = "".join(
            small if len(small := letter.lower()) == 1 else letter for letter in text
        )
    places: list[int] = []
    for stem in stems():
        at = lowered.find(stem)
        while at >= 0:
            places.append(at)
            at = lowered.find(stem, at + len(stem))
    places.sort()
    return places


def _start_of_word(text: str, at: int, least: int) -> int:
    least = max(least, at - _NAME_CHARACTERS)
    while at > least and (text[at - 1].isalnum() or text[at - 1] in "_.-"):
        at -= 1
    while at < len(text) and not (text[at].isalpha() or text[at] == "_"):
        at += 1
    return at


def scrub_path(path: str) -> str:
    """A path without tokens of Django's shapes: of a link that resets a password, or of
    what was signed. Path and tokens are masked from now on, wherever they are met: what
    did not match is quoted without the first `/`."""
    if len(path) < _TOKEN_LEAST:
        return path
    segments = path.split("/")
    for at, part in enumerate(segments):
        if len(part) >= _TOKEN_LEAST and _TOKEN.fullmatch(part):
            segments[at] = _HIDDEN
            _remember("token", part)
    scrubbed = "/".join(segments)
    if scrubbed != path:
        _remember("token", path)
    return scrubbed


def scrub_headers(headers: dict[str, Any]) -> dict[str, Any]:
    """Those that may have a query in them, without its secrets; others are masked by
    their names, by the recorder."""
    for name in _WITH_QUERIES & headers.keys():
        value = headers[name]
        if isinstance(value, str) and "=" in value:
            headers[name] = scrub(value)
    return headers


def remember(value: Any, depth: int = 3) -> None:
    """What stands under secret names in ``value`` is masked from now on, wherever it is
    met: before the program has taken it out of there."""
    session = SCOPE.session
    if session is None or depth == 0:
        return
    # isinstance() would have a lazy object find what it stands for.
    kind = type(value)
    if issubclass(kind, dict):
        for name, item in list(dict.items(value)):
            is_list = issubclass(type(item), list)
            if is_list or issubclass(type(item), dict):
                remember(item, depth - 1)
            if issubclass(type(name), str) and is_secret(str.__str__(name)):
                for one in list.__iter__(item) if is_list else (item,):
                    session.native.hides(name, one)
    elif issubclass(kind, list):
        for item in list.__iter__(value):
            remember(item, depth - 1)


def remember_cookies(header: str) -> None:
    """The same of a request's cookies."""
    session = SCOPE.session
    if session is None:
        return
    for cookie in header[:COPY_BYTES].split(";"):
        name, _, value = cookie.partition("=")
        name = name.strip()
        if is_secret(name):
            session.native.hides(name, value.strip().strip('"'))


def _field(match: re.Match[str]) -> str:
    """An element of a form, with its value hidden where that is secret."""
    element = match[0]
    name = "password" if _PASSWORD.search(element) is not None else ""
    for found in _NAME.findall(element):
        name = found if is_secret(found) else name
    if not name:
        return element

    def hide(value: re.Match[str]) -> str:
        _remember(name, value[3])
        return f'{value[1]}{value[2]}"{_HIDDEN}"'

    return _VALUE.sub(hide, element)


def _pair(match: re.Match[str]) -> str:
    name, between, value = match.groups()
    if value in ("{", "["):
        return f"{name}{between}{value}{_HIDDEN}{_CUT}"  # where it ends nobody knows
    _remember(name, value)
    quote = value[0] if value[0] in "\"'" else ""
    return f"{name}{between}{quote}{_HIDDEN}{quote}"


def _remember(name: str, value: str) -> None:
    """From now on this value is masked wherever it is met."""
    session = SCOPE.session
    if session is not None:
        session.native.hides(name, value.strip("\"'\\"))


def _json(copy: bytes, whole: bool) -> Any:
    if whole:
        import json  # noqa: PLC0415 - which the program has imported

        try:
            return json.loads(copy)
        except (ValueError, RecursionError):
            pass
    return scrub(copy.decode("utf-8", "replace")[:TEXT_CHARACTERS])


def _decode(copy: bytes, encoding: str) -> tuple[bytes, bool] | None:
    """The beginning of what was packed, and whether that is all; None where it cannot
    be unpacked: the program has no library for it, or it is not what it says."""
    try:
        if encoding in ("gzip", "x-gzip", "deflate"):
            import zlib  # noqa: PLC0415 - part of Python

            unpack = zlib.decompressobj(47 if encoding != "deflate" else 15)
            try:
                found = unpack.decompress(copy, COPY_BYTES)
            except zlib.error:
                if encoding != "deflate":
                    raise
                unpack = zlib.decompressobj(-15)  # as some servers understand it
                found = unpack.decompress(copy, COPY_BYTES)
            return found, unpack.eof
        if encoding == "br":
            return _decode_brotli(copy)
    except Exception:  # any of a library's
        return None
    return None


def _decode_brotli(copy: bytes) -> tuple[bytes, bool] | None:
    """With the library that the program uses, if it uses one."""
    library = sys.modules.get("brotli") or sys.modules.get("brotlicffi")
    if library is None:
        return None
    unpack = library.Decompressor()
    found = bytearray()
    at = 0
    while at < len(copy) and len(found) < COPY_BYTES:
        # In small pieces: not every version can be told how much is wanted.
        found += unpack.process(copy[at : at + 64])
        at += 64
    complete = at >= len(copy) and unpack.is_finished()
    return bytes(found[:COPY_BYTES]), complete and len(found) <= COPY_BYTES


def _read_type(content_type: str) -> tuple[str, bool, str]:
    """What a header's ``Content-Type`` says: the type, whether that is one of texts
    that are no JSON, and the charset."""
    kind = content_type.partition(";")[0].strip().lower()
    is_text = kind.startswith("text/") or kind in _TEXTS or kind.endswith("+xml")
    is_text = is_text and not kind.endswith("+json")
    found = kind, is_text, _charset(content_type)
    if len(_content_types) < _TYPES_KNOWN:
        _content_types[content_type] = found
    return found


def _charset(content_type: str) -> str:
    _, found, rest = content_type.lower().partition("charset=")
    name = rest.partition(";")[0].strip(" \"'") if found else "utf-8"
    try:
        "".encode(name)
    except (LookupError, ValueError):
        return "utf-8"
    return name if name != "undefined" else "utf-8"


def add_body(
    fields: dict[str, Any], name: str, value: Any, note: str
) -> Mapping[str, Any]:
    """Put what ``describe_body`` gave into a record's fields."""
    if value is not None:
        fields[name] = value
    if note:
        fields[f"{name}_note"] = note
    return fields
