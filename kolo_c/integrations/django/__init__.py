"""Django: ``kolo_c.integrations.django.KoloCMiddleware`` records each request.

    MIDDLEWARE = ["kolo_c.integrations.django.KoloCMiddleware", ...]   # the first
    INSTALLED_APPS = ["kolo_c.integrations.django", ...]               # for its checks

docs/howto/django.md has all of it.

Threads: any. Owns: nothing. Fails: as its modules do.
"""

from __future__ import annotations

from kolo_c.integrations.django.middleware import KoloCMiddleware
from kolo_c.integrations.serving import TraceFilter

__all__ = ["KoloCMiddleware", "TraceFilter"]
