"""Statements of Django's async ORM, which asgiref runs in another thread."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("django")

from kolo_c.model.digest import Digest
from kolo_c.store.reader import Store
from tests.integration.django.small_site import run_site

SETTINGS = """{
    "INSTALLED_APPS": ["django.contrib.contenttypes"],
    "DATABASES": {"default":
        {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}},
    "MIDDLEWARE": ["program.waiting"] if "waiting" in sys.argv else [],
}"""
SOURCE = """
import asyncio
from asgiref.sync import sync_to_async
from django.db import connection, models
sys.modules["program"] = sys.modules["__main__"]

def waiting(get_response):
    def answer(request):
        return get_response(request)
    return answer

class Order(models.Model):
    number = models.CharField(max_length=9)
    class Meta:
        app_label = "contenttypes"

def own():
    return Order.objects.filter(number="own").count()

async def orders():
    for n in range(6):
        await Order.objects.filter(number=n).acount()  # one by one
    found = [order.number
        async for order in Order.objects.filter(number="all")]  # all of them
    await sync_to_async(own)()
    await asyncio.gather(Order.objects.filter(number="apart").acount())
    return found

async def view(request):
    return JsonResponse(await orders(), safe=False)

urlpatterns = [path("orders/", view)]
if not connection.introspection.table_names():
    with connection.schema_editor() as editor:
        editor.create_model(Order)
connection.close()
if "wsgi" in sys.argv:
    print(Client().get("/orders/").content)
else:
    print(asyncio.run(AsyncClient().get("/orders/")).content)
"""


@pytest.mark.parametrize("words", ["", "wsgi", "waiting", "waiting wsgi"])
def test_a_statement_is_at_the_line_that_awaits_it(
    tmp_path: Path, core: str, words: str
) -> None:
    """In the thread that sends it there is no call of the program's, or one that waits
    there: a middleware that is not async, whose thread is lent. Statements had no line,
    or that of the middleware, and all of them were an N+1 of its."""
    words_given = ["program.py", *words.split()]
    settings = SETTINGS.replace("sys.argv", repr(words_given))
    source = f"sys.argv[:] = {words_given!r}\n{SOURCE}"
    site = run_site(tmp_path, core, source, settings)
    assert site.traced.stdout == "b'[]'\n"
    lines = (tmp_path / "program.py").read_text(encoding="utf-8").splitlines()

    def line_of(text: str) -> int:
        return next(n for n, line in enumerate(lines, 1) if text in line)

    trace, _ = site.request("GET /orders/ → 200")
    found = sorted(
        (event for event in trace.events("sql") if "SELECT" in event.summary),
        key=lambda event: event.started_at,
    )
    assert [event.line for event in found] == [
        *[line_of("# one by one")] * 6,
        line_of("# all of them") - 1,
        line_of('number="own"'),
        None,  # the task is Django's own: nothing of the program stands in it
    ]
    paths = {event.path for event in found if event.path}
    assert paths == {str(tmp_path / "program.py")}
    with Store(site.traced.store) as store:
        (repeated,) = Digest(store.trace(trace.id)).repeated
        assert (repeated.line, repeated.count) == (line_of("# one by one"), 6)
