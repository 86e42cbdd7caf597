"""A small Django site in one file, and what was recorded of its requests."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kolo_c
from kolo_c.reading import Event, Trace
from tests.spec.tracing import Traced, trace_program

HEAD = """
import sys, django
from django.conf import settings

settings.configure(**{"SECRET_KEY": "x", "ROOT_URLCONF": __name__,
    "ALLOWED_HOSTS": ["*"], "DATABASES": {"default":
    {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    "INSTALLED_APPS": [], **SETTINGS})
django.setup()
from django.http import (HttpResponse, JsonResponse, StreamingHttpResponse, Http404,
    FileResponse, RawPostDataException)
from django.urls import path
from django.test import Client, AsyncClient

def client(**options):
    return Client(raise_request_exception=False, **options)
"""


@dataclass
class Site:
    """What a program did, and its requests in the order that they began."""

    traced: Traced
    store: kolo_c.reading.Store
    traces: list[Trace]
    requests: list[tuple[Trace, Event]]

    def names(self) -> list[str]:
        return [trace.name for trace, _ in self.requests]

    def fields(self, name: str) -> dict[str, Any]:
        """Of the request whose trace has this name."""
        return {k: plain(v) for k, v in self.request(name)[1].fields.items()}

    def request(self, name: str) -> tuple[Trace, Event]:
        found = [pair for pair in self.requests if pair[0].name == name]
        assert len(found) == 1, self.names()
        return found[0]

    def calls(self, name: str) -> list[str]:
        """The functions called in it, in all of its threads."""
        return self.calls_of(self.request(name)[0])

    @staticmethod
    def calls_of(trace: Trace) -> list[str]:
        return [call.function.split(".")[-1] for call in trace.calls()]


def plain(value: Any) -> Any:
    """A value that was read, with the words MASKED and CUT for what is not there."""
    if isinstance(value, kolo_c.Masked):
        return "MASKED"
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def run_site(
    folder: Path, core: str, source: str, settings: str = "{}", **options: Any
) -> Site:
    """Run the site's file, which asks itself through a test client."""
    program = site_program(source, settings)
    return site_of(trace_program(folder, core, "auto", program, **options))


def site_program(source: str, settings: str = "{}") -> str:
    """The whole file."""
    return f"SETTINGS = {settings}\n{HEAD}\n{textwrap.dedent(source)}"


def site_of(traced: Traced) -> Site:
    """What was stored."""
    store = kolo_c.open(traced.store)
    traces = sorted(store.traces(), key=lambda trace: trace.started_at)
    found = [
        (trace, event)
        for trace in traces
        for event in list(trace.events(kind="request"))[:1]
    ]
    return Site(traced, store, traces, found)


def stored_bytes(folder: Path) -> bytes:
    """Everything in the store, also what is packed, as the reader unpacks it."""
    with kolo_c.open(folder) as store:
        told = [repr(record) for trace in store.traces() for record in trace.records()]
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return "\n".join(told).encode() + b"".join(files)
