"""One line from the fields of a record: ``{method} {path}[ → {status}]``.

``{name}`` stands for a field; a part in brackets is left out where one of its fields is
missing or None. Braces and brackets that match nothing stand for themselves. Names of
traces and what the views show are made here.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LONGEST = 200
"""Characters of a field in the name of a trace."""


def summarise(template: str, fields: Mapping[str, object]) -> str:
    """The line for a trace's name: on one line, each field bounded."""

    def text(name: str) -> str | None:
        value = fields.get(name)
        if value is None:
            return None
        found = value if isinstance(value, str) else str(value)
        found = " ".join(found[: 2 * _LONGEST].split())
        return found if len(found) <= _LONGEST else f"{found[: _LONGEST - 1]}…"

    return fill(template, text)


def fill(template: str, text_of: Callable[[str], str | None]) -> str:
    """The template with the text of each field; None: there is no such field."""
    parts: list[str] = []
    at = 0
    while at < len(template):
        start = template.find("[", at)
        end = template.find("]", start) if start >= 0 else -1
        if end < 0:
            start = end = len(template)
        parts.append(_replaced(template[at:start], text_of)[0])
        optional, whole = _replaced(template[start + 1 : end], text_of)
        if whole:
            parts.append(optional)
        at = end + 1
    return "".join(parts)


def _replaced(text: str, text_of: Callable[[str], str | None]) -> tuple[str, bool]:
    """``text`` with its fields, and whether all of them were there."""
    parts: list[str] = []
    whole = True
    at = 0
    while True:
        start = text.find("{", at)
        end = text.find("}", start) if start >= 0 else -1
        if end < 0:
            parts.append(text[at:])
            return "".join(parts), whole
        parts.append(text[at:start])
        value = text_of(text[start + 1 : end])
        whole = whole and value is not None
        parts.append(value or "")
        at = end + 1
