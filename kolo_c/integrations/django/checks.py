"""Django's system checks for the middleware; without ``kolo_c.integrations.django`` in
INSTALLED_APPS they run when the middleware starts, and are logged.

Threads: any. Owns: nothing. Fails: never.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from kolo_c.plugins.builtin.django_settings import SETTINGS, options
from kolo_c.scope import SCOPE

if TYPE_CHECKING:
    from collections.abc import Iterable

APP = "kolo_c.integrations.django"
MIDDLEWARE = f"{APP}.KoloCMiddleware"
_PATHS = (MIDDLEWARE, f"{APP}.middleware.KoloCMiddleware")


def check(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """What is wrong with how it is set up."""
    return [*_order(), *_production(), *_setting(), *_store(), *_profiler()]


def _order() -> Iterable[CheckMessage]:
    names = list(settings.MIDDLEWARE or ())
    at = next((place for place, name in enumerate(names) if name in _PATHS), None)
    if at:
        yield Warning(
            f"KoloCMiddleware comes after {names[0]}.",
            hint="Put it first in MIDDLEWARE: its headers are set, and its time is "
            "taken, around what comes after it alone.",
            id="kolo_c.W001",
        )


def _production() -> Iterable[CheckMessage]:
    if options().enabled and not settings.DEBUG:
        yield Warning(
            "Requests are recorded although DEBUG is False.",
            hint='KOLO_C["enabled"] says so; without it DEBUG decides. Secrets are '
            "masked by their names; who can read the store can read what is left.",
            id="kolo_c.W002",
        )


def _setting() -> Iterable[CheckMessage]:
    names = ", ".join(SETTINGS)
    for problem in options().problems:
        yield Warning(
            problem,
            hint=f"KOLO_C takes {names}, and settings of the recorder, such as "
            "ignore_frames.",
            id="kolo_c.W004",
        )


def _store() -> Iterable[CheckMessage]:
    if SCOPE.session is not None:
        project = SCOPE.session.project
    else:
        from kolo_c.project import find_project  # noqa: PLC0415 - for a check alone

        project = find_project(project_folder())
    for note in project.notes:
        yield Warning(
            f"The store cannot be written: {note}.",
            hint="Make it writable, or set KOLO_C_PATH to a folder that is.",
            id="kolo_c.W003",
        )


def _profiler() -> Iterable[CheckMessage]:
    """Who holds what the recorder needs, before it has begun."""
    if SCOPE.session is not None:
        return
    holder = ""
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None:
        tools = [monitoring.get_tool(number) for number in (4, 3)]
        if all(tools):
            holder = " and ".join(map(str, tools))
    elif sys.getprofile() is not None:
        holder = "another profiler"
    if holder:
        yield Error(
            f"{holder} is active, so that nothing can be recorded.",
            hint="Switch it off where requests are to be recorded.",
            id="kolo_c.E001",
        )


def project_folder() -> str | None:
    """Where the project's settings are: the search for its root begins there."""
    module = sys.modules.get(os.environ.get("DJANGO_SETTINGS_MODULE", ""))
    file = getattr(module, "__file__", None)
    return os.path.dirname(file) if isinstance(file, str) else None
