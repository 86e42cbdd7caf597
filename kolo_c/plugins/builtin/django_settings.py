"""``KOLO_C = {…}`` of a project's Django settings: what is recorded of its requests.

    KOLO_C = {
        "enabled": True,                  # the middleware, although DEBUG is False
        "ignore_request_paths": ["/static/", "/health/"],
        "sample": 0.1,                    # so many of all requests
        "slow_ms": 500,                   # keep those alone that took as long …
        "errors_only": True,              # … or failed
    }

Read once, and again where the setting has been replaced (tests do).

Threads: any. Owns: what was read. Fails: never; ``problems`` says what is wrong.
"""

from __future__ import annotations

import importlib
import random
import sys
from fnmatch import fnmatchcase

from kolo_c.frozen import Frozen
from kolo_c.settings import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

IGNORED = ("/static/", "/media/", "/favicon.ico", "/__debug__/")
_NOTHING: dict[str, Any] = {}
_random = random.Random()
"""Its own: that of the program goes on as it would."""


class Options(Frozen):
    """What the setting says."""

    enabled: bool | None = None
    """None: where DEBUG is True."""
    ignore_request_paths: tuple[str, ...] = IGNORED
    """Beginnings of paths, or patterns with ``*``, ``?`` and ``[…]``."""
    sample: float = 1.0
    slow_ms: float | None = None
    errors_only: bool = False
    recorder: dict[str, Any] = {}  # noqa: RUF012 - never changed
    """Settings of the recorder, for a session that the middleware starts."""
    problems: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    """Those of the paths that have signs of a pattern."""
    holds: bool = False
    """Whether it is decided at the end of a request if its trace is stored: with one of
    the two above."""

    def ignores(self, path: str) -> bool:
        """Whether requests for ``path`` are left alone."""
        if path.startswith(self.ignore_request_paths):
            return True
        return bool(self.patterns) and any(
            fnmatchcase(path, pattern) for pattern in self.patterns
        )

    def takes(self, path: object) -> bool:
        """Whether the next request, for ``path``, is recorded."""
        if isinstance(path, str) and self.ignores(path):
            return False
        return self.sample >= 1 or _random.random() < self.sample

    def stores(self, failed: bool, milliseconds: float) -> bool:
        """That decision."""
        if failed or not self.holds:
            return True
        return self.slow_ms is not None and milliseconds >= self.slow_ms


_read: tuple[Any, Any, Options] = (None, None, Options())
"""The settings object, what it has itself, and what that says."""


def options() -> Options:
    """Those in force."""
    global _read
    conf: Any = sys.modules.get("django.conf")
    if conf is None:
        conf = importlib.import_module("django.conf")
    settings = conf.settings
    # Asked by way of Django, a setting that is not there takes 20 us each time.
    wrapped = object.__getattribute__(settings, "__dict__").get("_wrapped")
    own = getattr(wrapped, "__dict__", _NOTHING).get("KOLO_C")
    known_wrapped, known_own, known = _read
    if wrapped is known_wrapped and own is known_own:
        return known
    try:
        source = getattr(settings, "KOLO_C", None)
    except Exception:  # settings that cannot be read are the program's to tell
        return Options()
    known = read(source)
    _read = wrapped, own, known
    return known


def read(source: Any) -> Options:
    """What ``source`` says, as far as it makes sense."""
    if source is None:
        return Options()
    if not isinstance(source, dict):
        return Options(problems=("KOLO_C must be a dict",))
    values: dict[str, Any] = {}
    recorder: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in source.items():
        if key in SETTINGS:
            try:
                values[key] = SETTINGS[key](value)
            except (TypeError, ValueError) as error:
                problems.append(f'KOLO_C["{key}"] {error}')
        elif key in _recorder_settings():
            recorder[key] = value  # a wrong one too: the trace says what holds instead
            kind = _recorder_settings()[key]
            try:
                (kind.from_text if isinstance(value, str) else kind.parse)(value)
            except (ValueError, OverflowError) as error:
                problems.append(f'KOLO_C["{key}"] {error}')
        else:
            guess = nearest(str(key), [*SETTINGS, *_recorder_settings()])
            meant = f" Did you mean {guess}?" if guess else ""
            problems.append(f'KOLO_C["{key}"] is not a setting.{meant}')
    return Options(
        **values,
        recorder=recorder,
        problems=tuple(problems),
        patterns=tuple(
            path
            for path in values.get("ignore_request_paths", IGNORED)
            if any(sign in path for sign in "*?[")
        ),
        holds=values.get("errors_only", False) or values.get("slow_ms") is not None,
    )


def _recorder_settings() -> Any:
    from kolo_c.config import KINDS  # noqa: PLC0415 - of no use where a session runs

    return KINDS


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be True or False, not {value!r}")
    return value


def _maybe(value: Any) -> bool | None:
    return None if value is None else _flag(value)


def _paths(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not all(isinstance(text, str) for text in value):
        raise ValueError("must be a list of texts")
    return tuple(value)


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"must be a number from 0 to 1, not {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"must be a number from 0 to 1, not {value!r}")
    return float(value)


def _milliseconds(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ValueError(f"must be a number of milliseconds, not {value!r}")
    return float(value)


SETTINGS: dict[str, Any] = {
    "enabled": _maybe,
    "ignore_request_paths": _paths,
    "sample": _share,
    "slow_ms": _milliseconds,
    "errors_only": _flag,
}
