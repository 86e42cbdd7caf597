"""The newest secrets, to be found again inside longer texts; twin of
``src/plain/known.h``.

Kept as hashes, and by their first two bytes, from which a text is searched. A secret
that could be an ordinary word (`github`) is none here. What is found stands between
characters that are no letters or digits.

Threads: any (GIL). Owns: hashes of the newest secrets. Fails: never.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kolo_c.reference.mask_shapes import Span

LEAST = 6
_MAX = 64
"""Of more the oldest is forgotten."""
_TELLS_LEAST = 16
"""Longer ones are no words."""
_TELLS = re.compile(rb"[0-9]|[a-z].*?[A-Z]", re.DOTALL)
_HEAD = 2


def tells(text: bytes) -> bool:
    """Whether it is a secret for certain, no word that other texts may have: it has a
    digit or mixed case, or is long."""
    if len(text) < LEAST:
        return False
    return len(text) >= _TELLS_LEAST or _TELLS.search(text) is not None


def _is_within(text: bytes, at: int) -> bool:
    """Whether a word goes on from text[at - 1] to text[at]."""
    return 0 < at < len(text) and _is_alnum(text[at - 1]) and _is_alnum(text[at])


def _is_alnum(byte: int) -> bool:
    return byte >= 0x80 or bytes((byte,)).isalnum()


class Known:
    """The newest of the secrets that tell."""

    __slots__ = ("_secrets", "_starts")

    def __init__(self) -> None:
        self._secrets: dict[tuple[int, int], tuple[int, bytes]] = {}
        """By length and hash: the hash of the first LEAST bytes; the first ones."""
        self._starts: re.Pattern[bytes] | None = None

    def add(self, secret: bytes) -> None:
        """Remember ``secret``, if it tells."""
        key = len(secret), hash(secret)
        if not tells(secret) or key in self._secrets:
            return
        if len(self._secrets) == _MAX:
            del self._secrets[next(iter(self._secrets))]
        self._secrets[key] = hash(secret[:LEAST]), secret[:_HEAD]
        starts = sorted({start for _, start in self._secrets.values()})
        self._starts = re.compile(b"(?=%s)" % b"|".join(map(re.escape, starts)))

    def find(self, text: bytes, start: int, more: bool) -> Span | None:
        """The first secret at or after ``start``. Where the text goes on (``more``),
        one that may go on too is taken for found."""
        if self._starts is None:
            return None
        for match in self._starts.finditer(text, start):
            end = self._at(text, match.start(), more)
            if end > 0:
                return match.start(), end, "known"
        return None

    def _at(self, text: bytes, start: int, more: bool) -> int:
        """Where the longest secret ends that begins at ``start``; 0 for none."""
        left = len(text) - start
        if left < LEAST or _is_within(text, start):
            return 0
        found = 0
        head = hash(text[start : start + LEAST])
        for (length, hash_), (begins, _) in self._secrets.items():
            end = start + length
            if begins != head or (found and end <= found):
                continue
            if length > left:
                found = len(text) if more else found
            elif not _is_within(text, end) and hash(text[start:end]) == hash_:
                found = end
        return found
