"""Templates, cache, signals, mail and commands of Django, as they stand in a trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("django")

from tests.integration.django.small_site import Site, plain, run_site, site_of
from tests.spec.tracing import trace_program

SETTINGS = """{
    "TEMPLATES": [{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {
            "base.html": "<b>{% block a %}{% endblock %}</b>",
            "part.html": "({{ secret_word }})",
            "page.html": "{% extends 'base.html' %}{% block a %}"
                "{% include 'part.html' %}{% endblock %}",
        })]},
    }],
    "INSTALLED_APPS": ["django.contrib.contenttypes"],
    "EMAIL_BACKEND": "django.core.mail.backends.locmem.EmailBackend",
    "SESSION_ENGINE": "django.contrib.sessions.backends.cache",
    "MIDDLEWARE": ["django.contrib.sessions.middleware.SessionMiddleware"],
}"""
SOURCE = """
from django.core import mail
from django.core.cache import cache
from django.db import models, connection
from django.db.models.signals import post_init, post_save, pre_delete
from django.dispatch import Signal
from django.shortcuts import render
from django.utils.translation import gettext_lazy

class Order(models.Model):
    number = models.CharField(max_length=9)
    class Meta:
        app_label = "contenttypes"

with connection.schema_editor() as editor:
    editor.create_model(Order)

order_paid = Signal()

def on_save(sender, instance, created, **_):
    return created

class Counter:
    def paid(self, sender, **_):
        return 1

counter = Counter()
post_save.connect(on_save, sender=Order)

def on_delete(sender, instance, **_):
    return None

pre_delete.connect(on_delete, sender=Order)
order_paid.connect(counter.paid)

def rendered(request):
    return render(request, "page.html", {"secret_word": "in-context-1"})

def cached(request):
    cache.get("a")
    cache.set("a", "value-in-cache-1", 60)
    cache.get("a")
    cache.get_many(["a", "b"])
    cache.get_many(["a", "a"])
    cache.get_many(key for key in "bc")
    cache.get_or_set("c", lambda: 3)
    cache.delete("token:ab12cd34")
    return HttpResponse("cached")

def saved(request):
    order = Order.objects.create(number="7")
    list(Order.objects.all())
    order_paid.send(sender="till")
    order_paid.send_robust(sender=order)
    return HttpResponse("saved")

def deleted(request):
    print(pre_delete.has_listeners(Order), end=" ")
    Order.objects.filter(number="none").delete()
    Order.objects.get().delete()
    return HttpResponse("deleted")

def mailed(request):
    mail.send_mail("Receipt", "body-of-mail-1", "shop@example.org", ["a@example.org"])
    mail.EmailMessage(gettext_lazy("Later"), "", to=["b@example.org"] * 12).send()
    return HttpResponse(str(len(mail.outbox)))

def remembered(request):
    request.session["basket"] = [1]
    return HttpResponse("in session")

urlpatterns = [path("rendered/", rendered), path("cached/", cached),
    path("saved/", saved), path("deleted/", deleted), path("mailed/", mailed), path("remembered/", remembered)]
c = client()
for name in "rendered", "cached", "saved", "deleted", "mailed", "remembered":
    print(c.get(f"/{name}/").content.decode())
print(c.cookies["sessionid"].value)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    found = run_site(tmp_path_factory.mktemp("site"), "c", SOURCE, settings=SETTINGS)
    yield found
    found.store.close()


def events(site: Site, page: str, kind: str) -> list[dict]:
    trace, _ = site.request(f"GET /{page}/ → 200")
    return [plain(event.fields) for event in trace.events(kind=kind)]


def summaries(site: Site, page: str, kind: str) -> list[str]:
    trace, _ = site.request(f"GET /{page}/ → 200")
    return [event.summary for event in trace.events(kind=kind)]


def test_the_program_answers_as_ever(site: Site) -> None:
    assert site.traced.stdout.splitlines()[:-1] == [
        "<b>(in-context-1)</b>", "cached", "saved", "True deleted", "2", "in session",
    ]  # fmt: skip


def test_templates_are_told_by_their_names(site: Site) -> None:
    assert summaries(site, "rendered", "template") == [
        "page.html",
        "base.html",
        "part.html",
    ]


def test_the_cache_is_told_with_keys_and_hits(site: Site) -> None:
    assert summaries(site, "cached", "cache") == [
        "get a · hit: False",
        "set a",
        "get a · hit: True",
        "get_many ['a', 'b'] · found: 1 of 2",
        "get_many ['a', 'a'] · found: 1 of 1",
        "get_many · found: 0",
        "get c · hit: False",
        "add c",
        "get c",
        "delete token:***",
    ]
    assert {row["backend"] for row in events(site, "cached", "cache")} == {
        "LocMemCache"
    }


def test_a_key_of_the_sessions_store_does_not_tell_the_session(site: Site) -> None:
    rows = events(site, "remembered", "cache")
    assert rows and all(
        row["key"].startswith("django.contrib.sessions.***") for row in rows
    )


def test_signals_are_told_where_the_program_receives_them(site: Site) -> None:
    main = "__main__"
    assert events(site, "saved", "signal") == [
        {
            "name": "post_save",
            "sender": f"{main}.Order",
            "receivers": f"{main}.on_save",
        },
        {
            "name": "order_paid",
            "sender": "till",
            "receivers": f"{main}.Counter.paid",
        },
        {
            "name": "order_paid",
            "sender": f"{main}.Order",
            "receivers": f"{main}.Counter.paid",
        },
    ]


def test_who_asks_for_listeners_sends_no_signal(site: Site) -> None:
    """Deletion asks of each model that it may come to whether somebody listens; that
    was told as a signal, of rows that there were not."""
    assert events(site, "deleted", "signal") == [
        {
            "name": "pre_delete",
            "sender": "__main__.Order",
            "receivers": "__main__.on_delete",
        },
    ]


def test_a_mail_is_told_by_its_subject_and_addresses(site: Site) -> None:
    rows = events(site, "mailed", "email")
    assert rows[0] == {
        "subject": "Receipt",
        "from": "shop@example.org",
        "to": "a@example.org",
        "sent": 1,
    }
    assert rows[1]["subject"] == "…" and rows[1]["to"].endswith(", 4 more")


def test_neither_values_nor_contexts_nor_sessions_are_kept(site: Site) -> None:
    session = site.traced.stdout.split()[-1]
    found = {
        word
        for trace in site.traces
        for record in trace.records()
        for word in ("value-in-cache-1", "in-context-1", "body-of-mail-1", session)
        if word in repr(record) and record.kind.startswith("plugin")
    }
    assert found <= {"in-context-1"}, "in the body of a response alone"
    assert not any(session in repr(r) for t in site.traces for r in t.records())


COMMAND = """
from django.core.management import BaseCommand, call_command

def imported(name):
    return name

class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("file")
    def handle(self, *args, file, **options):
        imported(file)
        if file == "first":
            call_command("import_orders", "second")
        if file == "bad":
            from django.core.management import CommandError
            raise CommandError("no such file")
"""
MANAGE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""
FILES = {
    "site_settings.py": "SECRET_KEY = 'x'\nINSTALLED_APPS = ['till']\nDATABASES = {}\n",
    "till/__init__.py": "",
    "till/management/__init__.py": "",
    "till/management/commands/__init__.py": "",
    "till/management/commands/import_orders.py": COMMAND,
}


def test_a_command_names_the_process_s_trace(tmp_path: Path) -> None:
    words = ("import_orders", "first")
    traced = trace_program(tmp_path, "c", "auto", MANAGE, *words, files=FILES)
    (trace,) = site_of(traced).traces
    assert trace.name == "manage.py import_orders"
    assert [event.summary for event in trace.events(kind="command")] == [
        "manage.py import_orders"
    ] * 2
    names = [call.arguments["name"] for call in trace.calls("imported")]
    assert names == ["first", "second"]


def test_a_command_that_fails_says_so(tmp_path: Path) -> None:
    words = ("import_orders", "bad")
    traced = trace_program(
        tmp_path, "c", "auto", MANAGE, *words, files=FILES, fails=True
    )
    assert "CommandError: no such file" in traced.stderr
    (trace,) = site_of(traced).traces
    (command,) = trace.events(kind="command")
    assert command.exception is not None
