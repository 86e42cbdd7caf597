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
_known_for: list[object] = [None]


def is_secret(name: str) -> bool:
    """Whether values of this name are masked, by the settings of the session."""
    session = SCOPE.session
    config = None if session is None else session.config
    if _known_for[0] is not config or len(_known) > _NAMES_MOST:
        _known.clear()
        _known_for[0] = config
    found = _known.get(name)
    if found is None:
        words, exceptions = masking.DEFAULT_WORDS, masking.DEFAULT_EXCEPTIONS
        if config is not None:
            words = (*words, *config.mask_words)
            exceptions = (*exceptions, *config.mask_exceptions)
        found = _known[name] = masking.explain(name, words, exceptions).secret
    return found


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
            parts += text[done:at], MASK
            done = at = value.end()
    return text if done == 0 else "".join((*parts, text[done:]))
