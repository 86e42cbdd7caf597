"""What must not reach the disk, by name; twin of ``src/plain/mask.c``.

A name is secret when one of its whole word parts is in the list of words, or a run of
parts is (`api_key`, `apiKey`, `API-KEY`, `x-api-key` all contain api, key), and no
exception matches (`token_count`). How a name is cut into parts is told once for all of
Python, in ``kolo_c/masking.py``.

Threads: any. Owns: its words. Fails: never.
"""

from __future__ import annotations

from kolo_c import masking
from kolo_c.reference import mask_pairs
from kolo_c.reference.mask_shapes import LEAST as LEAST
from kolo_c.reference.mask_shapes import find as find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kolo_c.reference.mask_shapes import Span

_NAMES_MAX = 4096


class Mask:
    """Which names are secret: `words`, but for `exceptions`."""

    __slots__ = ("words", "exceptions", "_known")

    def __init__(self, words: Iterable[str], exceptions: Iterable[str]) -> None:
        """Each is of lower-case parts joined by ``_``."""
        self.words = tuple(words)
        self.exceptions = tuple(exceptions)
        self._known: dict[bytes, bool] = {}
        """Names that stood in texts."""

    def find_pair(self, data: bytes, start: int = 0) -> Span | None:
        """The first value at or after ``start`` that stands behind a secret name."""
        return mask_pairs.find_pair(self._is_secret, data, start)

    def _is_secret(self, name: bytes) -> bool:
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _NAMES_MAX:
                self._known.clear()
            known = self._known[name] = self.name(name)[0]
        return known

    def name(self, name: bytes) -> tuple[bool, str | None]:
        """Whether ``name`` is secret, and the word that says so, or the exception that
        saved it."""
        if len(name) > masking.NAME_MAX_BYTES:
            return False, None
        # Bytes that are no ASCII are small letters, whatever they mean together.
        text = name.decode("utf-8", "surrogateescape")
        reason = masking.decide(text, self.words, self.exceptions)
        return reason.secret, reason.rule
