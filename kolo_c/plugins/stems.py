"""A first look for secret names in a text: most texts have none, and are done with it.

Threads: any. Owns: the stems, for a session's mask_words. Fails: never.
"""

from __future__ import annotations

from kolo_c.extension import extension_for_reading
from kolo_c.masking import DEFAULT_WORDS, split
from kolo_c.scope import SCOPE

_known: tuple[tuple[str, ...] | None, tuple[str, ...]] = (None, ())


def _may(text: str, words: tuple[str, ...]) -> bool:
    return True


mentions = getattr(extension_for_reading(), "mentions", _may)
"""(text, words): whether one of these may stand in it, in either case."""


def stems() -> tuple[str, ...]:
    """Short texts, one of which is in every secret name."""
    global _known
    session = SCOPE.session
    more = session.config.mask_words if session is not None else ()
    if _known[0] != more:
        words = [split(word).strip("_") for word in (*DEFAULT_WORDS, *more)]
        parts = {part for word in words for part in word.split("_")}
        # A bit for each word that a stem is in; sorted, so that runs are alike.
        bits = [
            (stem, sum(1 << at for at, word in enumerate(words) if stem in word))
            for stem in sorted(parts, key=lambda stem: (len(stem), stem), reverse=True)
        ]
        left = (1 << len(words)) - 1
        chosen: list[str] = []
        while left:  # the one that most of the others have in them
            best, found = max(bits, key=lambda row: (row[1] & left).bit_count())
            chosen.append(best)
            left &= ~found
        _known = more, tuple(chosen)
    return _known[1]
