"""Secrets that stand in a text by their names: ``password=x``, ``"token": "y"``.

The core masks a value by the name that it has in a record, and what has the shape of a
secret. In a text that a program or a peer wrote (a line of a log, a URL, the body of a
request) the names are part of the text.

Threads: any. Owns: names that were asked for. Fails: never.
"""

from __future__ import annotations

import re

from kolo_c import masking
from kolo_c.scope import SCOPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.session import Session

MASK = "***"
_NAMES_MOST = 2048
_NAME = re.compile(
    r"""(?<![\w.-])([A-Za-z_][\w.-]{1,99})["'\]]{0,2}[ ]{0,4}(?:=>|[=:])[ ]{0,4}"""
)
_VALUE = re.compile(
    r"""[bru]{0,2}"(?:[^"\\\n]|\\.)*"?
      | [bru]{0,2}'(?:[^'\\\n]|\\.)*'?
      | \[[^\]\n]*\]? | \{[^}\n]*\}? | \([^)\n]*\)?
      | (?:Bearer|Basic|Digest|Token|Negotiate)[ ]+[^\s"',;&]+
      | [^\s,;&"')\]}<>]+""",
    re.VERBOSE | re.DOTALL,
)

_known: dict[str, bool] = {}
_known_by: Session | None = None


def is_secret(name: str) -> bool:
    """Whether values of this name are masked, by the session's rules."""
    global _known_by
    session = SCOPE.session
    if session is None:
        return masking.explain(name).secret
    if session is not _known_by or len(_known) >= _NAMES_MOST:
        _known.clear()
        _known_by = session
    known = _known.get(name)
    if known is None:
        known = _known[name] = bool(session.native.hides(name, 1))
    return known


def mask_pairs(text: str) -> str:
    """``text`` with ``***`` for what follows a secret name.

    >>> mask_pairs("user=jo&password=hunter2")
    'user=jo&password=***'
    >>> mask_pairs('{"apiToken": "t", "n": 1}')
    '{"apiToken": ***, "n": 1}'
    >>> mask_pairs("Authorization: Basic am86aHVudGVyMg==")
    'Authorization: ***'
    """
    if "=" not in text and ":" not in text:
        return text
    parts: list[str] = []
    done = at = 0
    while (name := _NAME.search(text, at)) is not None:
        at = name.end()
        value = _VALUE.match(text, at) if is_secret(name[1]) else None
        if value is not None:
            _remember(name[1], value[0])
            parts += text[done:at], MASK
            done = at = value.end()
    return text if done == 0 else "".join((*parts, text[done:]))


def _remember(name: str, value: str) -> None:
    """From now on this value is masked wherever it is met."""
    session = SCOPE.session
    if session is not None:
        session.native.hides(name, value.strip("\"'"))
