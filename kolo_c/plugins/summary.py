"""One line from the fields of a record: ``{method} {path}[ → {status}]``.

``{name}`` stands for a field; a part in brackets is left out where one of its fields is
missing or None. Braces and brackets that match nothing stand for themselves. Names of
traces and what the views show are made here.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.plain import plain_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    _Part = tuple[bool, list[tuple[bool, str]]]
    _Pattern = tuple[bool, tuple[str, ...], str]

_LONGEST = 200
"""Characters of a field in the name of a trace."""


_KNOWN_MOST = 256
_patterns: dict[str, list[_Pattern]] = {}
"""By template, for each part: whether it is left out where a field is missing, the
fields, and how their texts are put into it."""
_parts: dict[str, list[_Part]] = {}
"""By template: its parts, whether each is left out where a field is missing, and the
texts and names of fields in it."""


def summarise(template: str, fields: Mapping[str, object]) -> str:
    """The line for a trace's name: on one line, each field bounded."""
    line = ""
    for optional, names, pattern in _patterns.get(template) or _patterns_of(template):
        texts = []
        for name in names:
            value = fields.get(name)
            if value is None:
                if optional:
                    break
                value = ""
            text = value if type(value) is str else plain_text(value)
            text = " ".join(text[: 2 * _LONGEST].split())
            texts.append(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")
        else:
            line += pattern % tuple(texts)
    return line


def _patterns_of(template: str) -> list[_Pattern]:
    found: list[_Pattern] = []
    for optional, pieces in _parse(template):
        names = tuple([text for is_field, text in pieces if is_field])
        pattern = [
            "%s" if is_field else text.replace("%", "%%") for is_field, text in pieces
        ]
        found.append((optional, names, "".join(pattern)))
    if len(_patterns) >= _KNOWN_MOST:
        _patterns.clear()
    _patterns[template] = found
    return found


def fill(template: str, text_of: Callable[[str], str | None]) -> str:
    """The template with the text of each field; None: there is no such field."""
    parts = _parts.get(template)
    if parts is None:
        if len(_parts) >= _KNOWN_MOST:
            _parts.clear()
        parts = _parts[template] = _parse(template)
    found = ""
    for optional, pieces in parts:
        part = ""
        whole = True
        for is_field, text in pieces:
            if is_field:
                value = text_of(text)
                whole = whole and value is not None
                text = value or ""
            part += text
        if whole or not optional:
            found += part
    return found


def _parse(template: str) -> list[_Part]:
    parts: list[_Part] = []
    at = 0
    while at < len(template):
        start = template.find("[", at)
        end = template.find("]", start) if start >= 0 else -1
        if end < 0:
            start = end = len(template)
        parts.append((False, _pieces(template[at:start])))
        parts.append((True, _pieces(template[start + 1 : end])))
        at = end + 1
    return parts


def _pieces(text: str) -> list[tuple[bool, str]]:
    pieces: list[tuple[bool, str]] = []
    at = 0
    while True:
        start = text.find("{", at)
        end = text.find("}", start) if start >= 0 else -1
        if end < 0:
            pieces.append((False, text[at:]))
            return pieces
        pieces += [(False, text[at:start]), (True, text[start + 1 : end])]
        at = end + 1
