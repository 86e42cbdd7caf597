"""The filter of a program that goes on whatever its settings say.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.config import Config
from kolo_c.errors import ConfigError
from kolo_c.filter import Filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kolo_c.config import Loaded
    from kolo_c.project import Project


def lenient_filter(loaded: Loaded, project: Project, problems: list[str]) -> Filter:
    """The filter; a setting with a pattern that is none is left out and said."""
    config = loaded.config
    keys = ("include_frames", "ignore_frames", "rules")
    # Each on its own, so that a mistake in one does not cost the others.
    good: dict[str, Any] = {}
    for key in keys:
        try:
            Filter(Config(**{key: getattr(config, key)}), project, loaded.origins)
            good[key] = getattr(config, key)
        except ConfigError as error:
            problems.append(f"{error.message}; it is left out")
            good[key] = ()
    return Filter(config.with_(**good), project, loaded.origins)
