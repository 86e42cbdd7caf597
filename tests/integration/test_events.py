"""What plugins of a real program recorded, from the recorder to the views."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

import kolo_c
from tests.spec.tracing import environment, trace_program

PROGRAM = """
import kolo_c
from kolo_c.plugins import emit

SQL = kolo_c.Kind("sql", "SQL", "blue", "{text}[ · {rows} rows]")

class Request(kolo_c.Plugin):
    watch = "*:handle"
    kind = kolo_c.Kind("request", "Request", "green", "{method} {path}[ → {status}]")
    boundary = True
    attributes = ("status",)
    def start(self, frame):
        return {"method": "GET", "path": frame.f_locals["path"]}
    def finish(self, frame, value, exception):
        return {"status": value}

kolo_c.plugin(Request)

def orders(path):
    for row in range(6):
        query(row)
    emit.log(30, "shop", "slow")
    if path == "/bad":
        raise ValueError("no such order")

@kolo_c.skip
def query(row):
    found = emit.begin(SQL, {"text": "SELECT name FROM t WHERE id = %s", "params": [row]})
    emit.finish(found, {"rows": 1})

def handle(path):
    try:
        orders(path)
    except ValueError:
        return 500
    return 200

with kolo_c.trace("program"):
    handle("/good")
    handle("/bad")
"""


@pytest.fixture(name="traced")
def _traced(core, tmp_path):
    return trace_program(tmp_path / "project", core, "auto", PROGRAM, under=())


def test_a_request_is_shown_as_its_plugins_recorded_it(traced):
    line = next(
        n for n, text in enumerate(PROGRAM.lstrip("\n").splitlines(), 1)
        if text.strip() == "query(row)"
    )  # fmt: skip

    def run(*words):
        command = [sys.executable, "-m", "kolo_c", *words]
        done = subprocess.run(
            command, cwd=traced.store.parent, env=environment(),
            capture_output=True, text=True, encoding="utf-8", check=True,
        )  # fmt: skip
        return done.stdout

    with kolo_c.open(traced.store) as store:
        found = {trace.name: trace for trace in store.traces()}
        good, bad = found["GET /good → 200"], found["GET /bad → 500"]
        assert (good.kind, good.attributes["status"]) == ("request", 200)
        statements = list(good.events("sql"))
        places = {(event.line, event.path.rpartition("/")[2]) for event in statements}
        assert len(statements) == 6
        (place,) = places
        assert abs(place[0] - line) <= 1
        assert statements[5].fields["params"] == [5]
        assert statements[0].call.function == "orders"
        (request,) = good.events("request")
        assert request.fields == {"method": "GET", "path": "/good", "status": 200}
        assert [log.fields["level_name"] for log in good.events("log")] == ["WARNING"]
        identifier = bad.id
    shown = run("show", identifier)
    assert re.search(r"^SQL 6 statements, .* · 1 log line \(1 WARNING\)$", shown, re.M)
    assert re.search(rf"^N\+1: ×6 in \w+\.py:{place[0]}, ", shown, re.M)
    assert "Request GET /bad → 500" in shown
    why = json.loads(run("why", identifier, "--json"))
    assert why["how"] == "failed"
    assert why["exceptions"][0]["frames"][-1]["name"] == "orders"
    listed = json.loads(run("list", "--failed", "--json"))
    assert [row["id"] for row in listed] == [identifier]
