"""``kolo-c why`` of requests and tests, whose exceptions others take up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kolo_c.wire import Kind
from tests.unit.shop_trace import Shop
from tests.unit.test_cli_reading import _here as _here
from tests.unit.test_cli_reading import run

Captured = pytest.CaptureFixture[str]


def test_a_500_shows_what_came_out_of_the_view(here: Path, capsys: Captured) -> None:
    """A middleware is around it, and another exception was handled within."""
    shop = Shop()
    trace, s = shop.trace("GET /orders/7 → 500")
    s.plugin(shop.request, {"method": "GET", "path": "/orders/7"})
    s.call(shop.numbers["charge"], "middleware")
    view = s.call(shop.numbers["orders"], {"user": 7})
    s.call(shop.numbers["charge"], 1)
    s.raises(shop.raised("was handled"), shop.site("charge", 10), 1)
    s.plugin(shop.template, {"name": "orders.html"}, shop.site("orders", 6))
    inner = s.call(shop.numbers["charge"], [3], site=None)
    s.raises(shop.raised("no such order"), shop.site("charge", 10), [3])
    s.plugin_end(None, shop.raised("no such order"))
    s.raises(shop.raised("no such order"), shop.site("orders", 6), {"user": 7})
    s.call(shop.numbers["charge"], "the page of errors")
    s.ret()
    s.ret("a response")
    s.plugin_end({"status": 500})
    trace.end()
    shop.write(here)
    out, _ = run(capsys, "why")
    lines = out.splitlines()
    assert lines[0] == "✗ IntegrityError('no such order') failed GET /orders/7 (500)"
    assert [line.split()[:3] for line in lines[1:4]] == [
        [str(view), "shop/views.py:6", "orders(request={'user':"],
        [str(view + 2), "shop/views.py:6", "Template"],
        [str(inner), "shop/views.py:10", "charge(rows=[3])"],
    ]
    assert "exceptions handled on the way" in out
    assert "was handled" in out
    assert lines[-1] == f"  kolo-c show {trace.id[-5:]}/{inner} has all of it"
    found = json.loads(run(capsys, "why", "--json")[0])
    assert found["how"] == "failed"
    assert found["about"]["values"]["status"] == 500
    assert len(found["exceptions"][0]["frames"]) == 3


def a_test(here: Path, shop: Shop, **ended: Any) -> None:
    """A failing test in a trace of its own."""
    trace, s = shop.trace("pytest tests/x.py::test_y failed", "test")
    s.plugin(shop.test, {"nodeid": "tests/x.py::test_y"})
    s.call(shop.numbers["charge"], 1)
    s.ret()
    s.cut()
    s.call(shop.numbers["orders"], 2)
    s.raises(shop.raised("1 != 2"), shop.site("orders", 4), 2)
    s.node(Kind.NOTE, "the report", None)
    s.plugin_end({"outcome": "failed", "phase": "call", **ended})
    trace.end()
    shop.write(here)


def test_a_failing_test_shows_its_message_and_its_calls(
    here: Path, capsys: Captured
) -> None:
    a_test(here, Shop(), message="assert 1 == 2\n  +  where 1 = x\n")
    out, _ = run(capsys, "why")
    assert out.splitlines()[:4] == [
        "✗ IntegrityError('1 != 2') failed pytest tests/x.py::test_y (failed)",
        "  assert 1 == 2",
        "    +  where 1 = x",
        "     3  shop/views.py:4  orders(request=2)",
    ]


def test_what_a_test_asked_for_is_among_its_last_calls(
    here: Path, capsys: Captured
) -> None:
    """A request through the test client, and what statements it made itself; not what
    the runner did around it."""
    shop = Shop()
    trace, s = shop.trace("pytest tests/x.py::test_y failed", "test")
    s.plugin(shop.test, {"nodeid": "tests/x.py::test_y"})
    s.plugin(shop.template, {"name": "of the runner"})
    s.plugin_end(None)
    s.call(shop.numbers["orders"], 2)
    s.call(shop.numbers["charge"], 1)
    s.ret()
    s.plugin(shop.request, {"method": "GET", "path": "/orders/7"})
    s.call(shop.numbers["orders"], 7)
    s.ret("the page")
    s.plugin_end({"status": 404})
    s.cut()
    s.raises(shop.raised("404 != 200"), shop.site("orders", 4), 2)
    s.plugin_end({"outcome": "failed"})
    trace.end()
    shop.write(here)
    out, _ = run(capsys, "why")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    title = lines.index("last calls before it")
    assert lines[title + 1 : title + 3] == [
        "4 shop/views.py:9 charge(rows=1) → None",
        "5 Request GET /orders/7 → 404",
    ]
    assert lines[title + 3].startswith("kolo-c show")


def test_a_long_message_is_cut(here: Path, capsys: Captured) -> None:
    a_test(here, Shop(), message="\n".join(f"line {n}" for n in range(30)))
    out, _ = run(capsys, "why")
    assert "  line 11\n  … 18 more lines\n" in out


def test_a_failure_without_an_exception_of_recorded_code_says_so(
    here: Path, capsys: Captured
) -> None:
    shop = Shop()
    trace, s = shop.trace("GET / → 503")
    s.plugin(shop.request, {"method": "GET", "path": "/"})
    s.plugin_end({"status": 503})
    trace.end()
    shop.write(here)
    out, _ = run(capsys, "why")
    assert out.startswith("✗ GET / failed (503): no exception left a recorded call\n")


def test_an_exception_that_only_the_record_of_a_request_has_is_told(
    here: Path, capsys: Captured
) -> None:
    """Of a view that returns None: Django's own code raised, and took it up."""
    shop = Shop()
    trace, s = shop.trace("GET / → 500")
    s.plugin(shop.request, {"method": "GET", "path": "/"})
    s.plugin_end({"status": 500, "exception": shop.raised("no HttpResponse")})
    trace.end()
    shop.write(here)
    out, _ = run(capsys, "why")
    assert out.splitlines()[0] == (
        "✗ GET / failed (500): IntegrityError('no HttpResponse'), "
        "which left no recorded call"
    )


def test_a_request_that_names_its_exception_has_those_that_it_came_from(
    here: Path, capsys: Captured
) -> None:
    """A framework took it up; another one at its address was handled before."""
    failure = {
        "chain": [
            {"type": "IntegrityError", "address": 0x10, "file": "/app/shop/views.py",
             "line": 6, "function": "orders"},
            {"type": "IntegrityError", "address": 0x20, "of": 0, "relation": "cause",
             "file": "/app/shop/views.py", "line": 10, "function": "charge"},
        ]
    }  # fmt: skip
    shop = Shop()
    trace, s = shop.trace("GET / → 500", **{"kolo_c.failure": json.dumps(failure)})
    s.plugin(shop.request, {"method": "GET", "path": "/"})
    s.call(shop.numbers["orders"], {"user": 7})
    s.call(shop.numbers["charge"], [3], site=None)
    s.raises(shop.raised("the cause", 0x20), shop.site("charge", 10), [3])
    s.raises(shop.raised("no such order"), shop.site("orders", 6), {"user": 7})
    s.call(shop.numbers["charge"], "the page of errors")
    s.raises(shop.raised("of the page", 0x30), shop.site("charge", 10), 1)
    s.plugin_end({"status": 500})
    trace.end()
    shop.write(here)
    out, _ = run(capsys, "why")
    assert [" ".join(line.split()) for line in out.splitlines()[:4]] == [
        "✗ IntegrityError('no such order') failed GET / (500)",
        "2 shop/views.py:6 orders(request={'user': 7})",
        "because of IntegrityError('the cause')",
        "3 shop/views.py:10 charge(rows=[3])",
    ]


def test_what_was_answered_well_ended_well(here: Path, capsys: Captured) -> None:
    shop = Shop()
    shop.page(1, 404)
    shop.write(here)
    assert run(capsys, "why")[0].startswith("GET /orders/7 → 404 ended well")


def test_what_left_the_test_itself_is_told_in_the_same_way(
    here: Path, capsys: Captured
) -> None:
    """A runner that lets it go on to the test's record, and says what it was."""
    shop = Shop()
    failure = {
        "chain": [
            {"type": "IntegrityError", "address": 0x10, "file": "/app/shop/views.py",
             "line": 4, "function": "orders"}
        ]
    }  # fmt: skip
    trace, s = shop.trace(
        "pytest tests/x.py::test_y failed", "test", outcome="failed",
        message="assert 1 == 2\n more", **{"kolo_c.failure": json.dumps(failure)},
    )  # fmt: skip
    s.plugin(shop.test, {"nodeid": "tests/x.py::test_y"})
    s.node(Kind.REGION, "call", None)
    s.call(shop.numbers["orders"], 2)
    s.raises(shop.raised("1 != 2"), shop.site("orders", 4), 2)
    s.pop(Kind.REGION_END, shop.raised("1 != 2"))
    s.plugin_end({"outcome": "failed"}, shop.raised("1 != 2"))
    trace.end()
    shop.write(here)
    out, _ = run(capsys, "why")
    assert out.splitlines() == [
        "✗ IntegrityError('1 != 2') failed pytest tests/x.py::test_y (failed)",
        "  assert 1 == 2",
        "   more",
        "     3  shop/views.py:4  orders(request=2)",
        f"  kolo-c show {trace.id[-5:]}/3 has all of it",
    ]
