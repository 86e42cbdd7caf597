"""For INSTALLED_APPS: the checks run with ``manage.py check``, not with the server.

Threads: the one that sets Django up. Owns: nothing. Fails: as Django does.
"""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register

from kolo_c.integrations.django import checks


class KoloCConfig(AppConfig):  # type: ignore[misc]
    """No models, no commands, no templates."""

    name = "kolo_c.integrations.django"
    label = "kolo_c"
    verbose_name = "kolo_c"

    def ready(self) -> None:
        """Register the checks."""
        register(checks.check)
