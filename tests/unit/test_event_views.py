"""What plugins recorded, as every view shows it; also kinds that nobody knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import kolo_c
from kolo_c.cli.trace_line import Finished
from kolo_c.model.statement import in_lines, shape
from kolo_c.plugins.shown import level_name
from kolo_c.plugins.summary import summarise
from kolo_c.store.reader import Store
from kolo_c.wire import Tag
from tests.unit.shop_trace import CUSTOMER, Shop
from tests.unit.store_builder import tagged
from tests.unit.test_cli_reading import EVIL, run
from tests.unit.test_cli_reading import _here as _here


class TestSummaries:
    @pytest.mark.parametrize(
        ("template", "fields", "line"),
        [
            ("{method} {path}[ → {status}]", {"method": "GET", "path": "/"}, "GET /"),
            ("{path}[ → {status}]", {"path": "/", "status": 200}, "/ → 200"),
            ("{path}[ → {status}]", {"path": "/", "status": None}, "/"),
            ("{path}[ {a} {b}]!", {"path": "/", "a": 1}, "/!"),
            ("{text}", {"text": "a\n  b\t[c] {d}"}, "a b [c] {d}"),
            ("{text}", {"text": "x" * 500}, "x" * 199 + "…"),
            ("{lost} [", {}, " ["),
            ("{open", {"open": 1}, "{open"),
            ("] } [{x", {"x": 1}, "] } [{x"),
            ("", {"a": 1}, ""),
        ],
    )
    def test_a_template_is_filled(
        self, template: str, fields: dict[str, Any], line: str
    ) -> None:
        assert summarise(template, fields) == line

    def test_a_level_of_the_log_has_its_name(self) -> None:
        assert [level_name(n) for n in (10, 20, 30, 35, 40, 50, 5, None, "odd")] == [
            "DEBUG", "INFO", "WARNING", "WARNING", "ERROR", "CRITICAL", "5", "?", "odd",
        ]  # fmt: skip


class TestStatements:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("SELECT * FROM t WHERE a = 'it''s' AND b=12", "SELECT * FROM t WHERE a = ? AND b=?"),
            ("WHERE a = 'x\\'y' -- no\n AND b = %s /* c */", "WHERE a = ? AND b = ?"),
            ("id IN (1, 2,3)", "id IN (?)"),
            ("id IN (%s)", "id IN (?)"),
            ("id in ($1,$2)", "id in (?)"),
            ("VALUES (%s, %s), (%s, %s);", "VALUES (?)"),
            ("x::text = :name AND y = %(y)s", "x::text = ? AND y = ?"),
            ('"t 1"."a2" = 0x1F', '"t 1"."a2" = ?'),
            ("t1.c2 > 1.5e-3", "t1.c2 > ?"),
            ("f($tag$a'b$tag$)", "f(?)"),
            ("a = 'cut", "a = ?"),
        ],
    )  # fmt: skip
    def test_they_are_the_same_but_for_their_values(
        self, text: str, found: str
    ) -> None:
        assert shape(text) == found

    @pytest.mark.parametrize("text", ["'", '"', "$a$", "[", "((?,", "/*", "-- "])
    def test_a_hostile_one_takes_no_time(self, text: str) -> None:
        """A quadratic one takes seconds: pytest's own limit would end it."""
        assert len(shape(text * 20_000)) <= 20_000
        assert in_lines(text * 5_000)

    def test_a_long_one_has_a_line_for_each_clause(self) -> None:
        text = (
            'SELECT "a"."b" FROM "a" LEFT OUTER JOIN "c" ON ("c"."id" = "a"."c_id") '
            "WHERE (x = 5 AND y BETWEEN 1 AND 2) AND z BETWEEN 3 AND 4 AND w ORDER BY x"
        )
        assert in_lines(text) == [
            'SELECT "a"."b"',
            'FROM "a"',
            'LEFT OUTER JOIN "c" ON ("c"."id" = "a"."c_id")',
            "WHERE (x = 5 AND y BETWEEN 1 AND 2)",
            "  AND z BETWEEN 3 AND 4",
            "  AND w",
            "ORDER BY x",
        ]

    def test_one_that_has_lines_keeps_them(self) -> None:
        assert in_lines("SELECT 1\n  FROM t") == ["SELECT 1", "  FROM t"]
        assert in_lines("SELECT 1 FROM t") == ["SELECT 1 FROM t"]


class TestTree:
    def test_each_kind_is_a_line_with_the_place_it_came_from(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        shop.page(6)
        shop.write(here)
        out, _ = run(capsys, "show", "--width", "110")
        lines = [
            line
            for line in out.splitlines()
            if line[:3].strip().isdigit() and line[3] == " "
        ]
        assert lines[0].startswith("  1  Request GET /orders/7 → 200 ")
        places = [line.split()[-1] for line in lines]
        assert places[2:-1] == [
            "shop/views.py:2", "shop/views.py:4", "shop/views.py:4", "shop/views.py:9",
            "shop/views.py:10", "shop/views.py:10", "shop/views.py:6",
        ]  # fmt: skip
        assert "views.py" not in lines[-1]  # what has no site is of no line
        assert "log WARNING the bank was slow" in out
        assert "HTTP POST https://bank.example/pay → 201" in out
        assert "Oddity a [bracket]" in out

    def test_equal_statements_are_folded_and_others_are_not(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        _, s = shop.trace("many")
        for number in range(6):
            s.saw(shop.sql, {"text": f"SELECT {number} FROM a"}, {"rows": 1})
        for name in "abcdef":
            s.saw(shop.sql, {"text": f"SELECT 1 FROM {name}_"}, {"rows": 1})
        s.trace.end()
        shop.write(here)
        out, _ = run(capsys, "show")
        assert "SQL SELECT 0 FROM a · 1 rows" in out
        assert "SQL SELECT ? FROM a ×5 more" in out
        assert all(f"SQL SELECT 1 FROM {name}_" in out for name in "abcdef")

    def test_an_exception_and_a_missing_end_are_said(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        trace, s = shop.trace("odd")
        s.saw(shop.sql, {"text": "INSERT"}, None, exception=shop.raised("taken"))
        s.plugin(shop.http, {"method": "GET", "url": "/slow"})
        trace.end("interrupted")
        shop.write(here)
        out, _ = run(capsys, "show")
        assert "SQL INSERT ✗ IntegrityError('taken')" in out
        assert "HTTP GET /slow … not ended" in out

    def test_a_label_is_coloured_only_where_asked_for_and_an_unknown_colour_is_none(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        shop.page(1)
        shop.write(here)
        out, _ = run(capsys, "show", "--color", "always", "--no-pager")
        assert "\x1b[34mSQL\x1b[0m" in out
        assert "\x1b[36mOddity\x1b[0m" in out
        assert "\x1b" not in run(capsys, "show")[0]

    def test_no_text_of_a_kind_harms_the_terminal(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        evil = shop.process.kind("evil", EVIL, EVIL, f"{EVIL}{{x}}[{EVIL}{{y}}]")
        trace, s = shop.trace("evil")
        node = s.saw(evil, {"x": EVIL, EVIL: {EVIL: EVIL, "b": EVIL}}, {"y": EVIL})
        s.saw(shop.sql, {"text": EVIL + "SELECT\n" + EVIL}, {"rows": EVIL})
        s.node(12, EVIL, EVIL, EVIL)
        trace.end()
        shop.write(here)
        short = trace.id[-6:]
        for words in (
            ["show"], ["show", f"{short}/{node}"], ["show", f"{short}/2"],
            ["grep", "SELECT"], ["why"],
        ):  # fmt: skip
            out, _ = run(capsys, *words)
            assert not set("\x1b\x07\x9b\r\u202e\u2028") & set(out), words


class TestNode:
    def page(self, capsys: pytest.CaptureFixture[str], *words: str) -> str:
        return run(capsys, "show", *words)[0]

    def test_all_fields_are_shown(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        trace = shop.page(3)
        shop.write(here)
        out = self.page(capsys, f"{trace.id[-6:]}/4")
        assert out.splitlines()[0].startswith("SQL  ")
        assert "  shop/views.py:4 · thread 1 MainThread" in out
        assert f"  text    {CUSTOMER}" in out
        assert "  params  (0,)" in out
        assert "  rows    1" in out
        assert "within orders (2) in line 4" in out

    def test_a_body_is_cut_and_headers_have_lines(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        trace, s = shop.trace("bodies")
        fields = {
            "method": "POST",
            "request_headers": {"Accept": "*/*", "Host": "bank"},
            "request_body": "first\n\tsecond " + "x" * 5000 + "THE END",
        }
        cut = tagged(Tag.CUT_STR, "begin", 100)
        node = s.saw(shop.http, fields, {"response_body": cut})
        trace.end()
        shop.write(here)
        where = f"{trace.id[-6:]}/{node}"
        out = self.page(capsys, where)
        assert "  request_headers  Accept: */*\n                   Host: bank\n" in out
        assert "  request_body     first\n                       second xxx" in out
        assert "THE END" not in out
        assert "… 3,021 characters more" in out
        assert (
            "  response_body    begin\n                   … 95 characters more" in out
        )
        assert f"whole values kolo-c show {trace.id[-6:]}/{node} --full" in out
        assert "THE END" in self.page(capsys, where, "--full")

    def test_programs_get_all_of_it(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        shop.page(1)
        shop.write(here)
        nodes = json.loads(run(capsys, "show", "--json")[0])["nodes"]
        (http,) = [node for node in nodes if node.get("plugin") == "http"]
        assert http["label"] == "HTTP"
        assert http["summary"] == "POST https://bank.example/pay → 201"
        assert http["values"] == {
            "method": "POST", "url": "https://bank.example/pay", "status": 201,
        }  # fmt: skip
        assert http["called_from_file"] == "/app/shop/views.py"
        assert http["called_from_line"] == 10
        assert http["duration_ns"] == 1000


def test_a_search_shows_what_kind_it_found(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop()
    shop.page(1)
    shop.write(here)
    out, _ = run(capsys, "grep", "bank.example", "--kind", "plugin")
    assert "charge: HTTP " in out
    out, _ = run(capsys, "grep", "^HTTP$")
    assert "charge: HTTP POST https://bank.example/pay" in out


class TestHeader:
    def lines(self, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
        out, _ = run(capsys, "show", *words)
        return out.partition("\n\n")[0].splitlines()[2:]

    def test_it_says_what_a_request_did_and_which_line_repeats_a_statement(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        shop.page()
        shop.write(here)
        assert self.lines(capsys) == [
            "view shop.views.orders",
            "SQL 51 statements, 10.0 ms · HTTP 1 request, 1.00 µs · "
            "Template 1, 1.00 µs · Oddity 1, 1.00 µs · 1 log line (1 WARNING)",
            'N+1: ×50 in shop/views.py:4, 10.0 ms, from 4: SELECT "c"."name" FROM '
            '"shop_customer" "c" WHERE "c"."id" = ? LIMIT ?',
        ]

    @pytest.mark.parametrize(("customers", "said"), [(4, False), (5, True)])
    def test_five_of_one_line_are_n_plus_one(
        self,
        here: Path,
        capsys: pytest.CaptureFixture[str],
        customers: int,
        said: bool,
    ) -> None:
        shop = Shop()
        shop.page(customers)
        shop.write(here)
        assert any("N+1" in line for line in self.lines(capsys)) is said

    def test_the_ends_of_transactions_do_not_count_and_a_failed_one_does(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        trace, s = shop.trace("t")
        s.call(shop.numbers["orders"], None)
        for _ in range(6):
            fields = {"text": "BEGIN", "operation": "BEGIN"}
            s.saw(shop.sql, fields, site=shop.site("orders", 3))
        s.saw(shop.sql, {"text": "INSERT"}, None, exception=shop.raised("taken"))
        trace.end()
        shop.write(here)
        assert self.lines(capsys) == ["SQL 1 statement, 1.00 µs, 1 failed"]

    def test_what_runs_at_once_or_within_is_timed_once(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        trace, s = shop.trace("t")
        s.plugin(shop.template, {"name": "base.html"})
        s.saw(shop.template, {"name": "row.html"}, took=5000)
        s.plugin_end()
        trace.end()
        shop.write(here)
        assert self.lines(capsys) == ["Template 2, 7.00 µs"]

    def test_a_test_says_how_it_failed(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        trace, s = shop.trace("pytest tests/x.py::test_y failed", "test")
        s.plugin(shop.test, {"nodeid": "tests/x.py::test_y", "markers": ["slow"]})
        s.cut()
        s.plugin_end(
            {"outcome": "failed", "phase": "call", "message": "assert 1 == 2\n  more"}
        )
        trace.end()
        shop.write(here)
        assert self.lines(capsys) == [
            "phase call · outcome failed · markers ['slow'] · message assert 1 == 2 more"
        ]

    def test_of_a_huge_trace_it_says_how_far_it_looked(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        trace, s = shop.trace("many")
        for _ in range(40):
            s.saw(shop.sql, {"text": "SELECT 1"}, {"rows": 1})
            s.cut()
        trace.end()
        shop.write(here)
        assert self.lines(capsys) == [
            "SQL 24 statements, 24.0 µs · of the first 24 of 40 blocks, "
            "--kind reads all"
        ]
        out, _ = run(capsys, "show", "--kind", "sql")
        assert len(out.splitlines()) == 40

    def test_programs_get_the_numbers(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        shop.page(7)
        shop.write(here)
        found = json.loads(run(capsys, "show", "--json")[0])["trace"]["events"]
        assert found["complete"] is True
        assert found["kinds"]["sql"] == {
            "label": "SQL", "count": 8, "ns": 1_401_000, "failed": 0,
        }  # fmt: skip
        assert found["logs"] == {"WARNING": 1}
        (repeated,) = found["n_plus_one"]
        assert (repeated["count"], repeated["line"], repeated["first_node"]) == (
            7,
            4,
            4,
        )
        assert repeated["file"] == "/app/shop/views.py"


def test_a_line_that_passes_the_statements_of_others_on_is_not_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A project's own execution wrapper stands nearest to all SQL."""
    shop = Shop()
    trace, s = shop.trace("wrapped")
    s.call(shop.numbers["orders"], None)
    for text, line in (("SELECT a", 2), *[("SELECT b", 4)] * 6):
        s.call(shop.numbers["charge"], None, site=shop.site("orders", line))
        s.saw(shop.sql, {"text": text}, site=shop.site("charge", 10))
        s.ret()
    trace.end()
    shop.write(here)
    out, _ = run(capsys, "show")
    assert "N+1: ×6 in shop/views.py:4, " in out
    out, _ = run(capsys, "show", "--kind", "sql")
    places = [line.split()[3] for line in out.splitlines()]
    assert places == ["shop/views.py:2", *["shop/views.py:4"] * 6]


def test_a_helper_that_one_line_calls_again_and_again_is_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop()
    trace, s = shop.trace("helper")
    s.call(shop.numbers["orders"], None)
    for _ in range(6):
        s.call(shop.numbers["charge"], None, site=shop.site("orders", 5))
        s.saw(shop.sql, {"text": "SELECT a"}, site=shop.site("charge", 10))
        s.ret()
    trace.end()
    shop.write(here)
    assert "N+1: ×6 in shop/views.py:10, " in run(capsys, "show")[0]


class TestKind:
    def test_each_is_a_line_with_node_time_and_place(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        shop.page(2)
        shop.write(here)
        out, _ = run(capsys, "show", "--kind", "sql,http,log")
        assert [line.split(maxsplit=5) for line in out.splitlines()][2:] == [
            ["5", "200", "µs", "shop/views.py:4", "SQL", f"{CUSTOMER} · 1 rows"],
            ["7", "1.00", "µs", "shop/views.py:10", "HTTP",
             "POST https://bank.example/pay → 201"],
            ["8", "shop/views.py:10", "WARNING", "the", "bank", "was slow  shop.views"],
        ]  # fmt: skip

    def test_the_caller_is_found_where_its_block_was_not_decoded(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Its call began in a block with nothing of plugins in it."""
        shop = Shop()
        trace, s = shop.trace("far")
        s.call(shop.numbers["orders"], None)
        s.cut()
        s.call(shop.numbers["charge"], None, site=shop.site("orders", 5))
        s.ret()
        s.cut()
        s.node(9, "a region", None)
        s.plugin(shop.sql, {"text": "SELECT"}, shop.site("orders", 4))
        s.cut()
        s.call(shop.numbers["charge"], None)
        s.ret()
        s.cut()
        s.plugin_end({"rows": 3})
        s.pop(10, None)
        s.ret()
        trace.end()
        shop.write(here)
        out, _ = run(capsys, "show", "--kind", "sql", "--json")
        (event,) = json.loads(out)["events"]
        assert (event["file"], event["line"]) == ("/app/shop/views.py", 4)
        assert event["values"] == {"text": "SELECT", "rows": 3}
        assert event["ended"] is True

    def test_an_end_in_another_thread_is_found(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        trace, s = shop.trace("async")
        node = s.plugin(shop.http, {"method": "GET", "url": "/"})
        s.yields()
        other = trace.stream(shop.process.thread("worker"))
        other.resume(node, shop.http, thread=shop.thread)
        other.record(14, {"status": 204}, None)
        trace.end()
        shop.write(here)
        out, _ = run(capsys, "show", "--kind", "http")
        assert "HTTP GET / → 204" in out

    def test_errors_and_slow_ones_are_chosen(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        trace, s = shop.trace("errors")
        s.saw(shop.sql, {"text": "GOOD"}, took=9_000_000)
        s.saw(shop.sql, {"text": "BAD"}, None, exception=shop.raised())
        s.saw(shop.http, {"method": "GET", "url": "/"}, {"status": 503})
        s.log(40, "app", "worse")
        s.log(20, "app", "fine")
        trace.end()
        shop.write(here)
        kinds = ("--kind", "sql,http,log")
        out, _ = run(capsys, "show", *kinds, "--errors")
        assert [line.split()[0] for line in out.splitlines()] == ["2", "3", "4"]
        out, _ = run(capsys, "show", *kinds, "--min", "5ms")
        assert [line.split()[0] for line in out.splitlines()] == ["1"]

    def test_a_line_of_the_log_that_has_no_site_is_of_no_line(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Lines of the log once were written without one, and were shown with the line
        in which the function is defined: a line that had not logged anything. A block
        may have both."""
        shop = Shop()
        trace, s = shop.trace("two")
        s.call(shop.numbers["charge"], None)
        s.log(30, "shop", "old")
        s.log(30, "shop", "new", shop.site("charge", 10))
        s.ret()
        trace.end()
        store = shop.write(here)
        out, _ = run(capsys, "show", "--kind", "log")
        assert [line.split()[1] for line in out.splitlines()] == [
            "WARNING",
            "shop/views.py:10",
        ]
        out, _ = run(capsys, "show", "--kind", "log", "--json")
        assert [event["line"] for event in json.loads(out)["events"]] == [None, 10]
        out, _ = run(capsys, "show", "--json")
        nodes = [node for node in json.loads(out)["nodes"] if node["kind"] == "log"]
        assert [node["called_from_line"] for node in nodes] == [None, 10]
        with kolo_c.open(store) as opened:
            events = opened.latest().events("log")
            assert [event.line for event in events] == [None, 10]

    def test_nothing_of_a_kind_names_those_that_there_are(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        shop.page(1)
        shop.write(here)
        out, _ = run(capsys, "show", "--kind", "slq")
        assert out.startswith("no slq in this trace; this process recorded http, odd")
        _, err = run(capsys, "show", "--kind", "sql", "--depth", "3", code=2)
        assert "--kind and --depth cannot be combined" in err
        run(capsys, "show", "--kind", ",", code=2)


class TestFinished:
    """The lines of ``kolo-c tail``."""

    def line(self, here: Path, shop: Shop) -> tuple[str, dict[str, Any]]:
        with Store(shop.write(here)) as store:
            finished = Finished(store.trace())
            return "".join(text for text, _ in finished.line()), finished.as_json()

    def test_a_request(self, here: Path) -> None:
        shop = Shop()
        trace = shop.page()
        line, found = self.line(here, shop)
        assert line == (
            "GET /orders/7 200 10.1 ms 51 SQL, 1 HTTP, N+1 ×50 shop/views.py:4"
            f" · show {trace.id[-5:]}"
        )
        assert found["failed"] is False
        assert found["fields"]["status"] == 200
        assert found["events"]["kinds"]["sql"]["count"] == 51

    def test_of_very_many_statements_the_first_are_counted(self, here: Path) -> None:
        """The next trace to end is told of soon, whatever this one has sent."""
        shop = Shop()
        trace, s = shop.trace("import")
        for _ in range(40):
            for _ in range(5):
                s.saw(shop.sql, {"text": "INSERT"})
            s.cut()
        trace.end()
        line, found = self.line(here, shop)
        assert " 120+ SQL" in line
        assert found["events"]["complete"] is False

    def test_a_request_that_failed(self, here: Path) -> None:
        shop = Shop()
        trace = shop.page(1, 500)
        line, found = self.line(here, shop)
        assert line.startswith("GET /orders/7 500 ")
        assert found["failed"] is True
        assert line.endswith(
            f" ✗ IntegrityError('no such order') · show {trace.id[-5:]}"
        )

    def test_a_test_says_why_it_failed(self, here: Path) -> None:
        shop = Shop()
        _, s = shop.trace("pytest tests/x.py::test_y failed", "test")
        s.plugin(shop.test, {"nodeid": "tests/x.py::test_y"})
        s.plugin_end({"outcome": "failed", "message": "assert 1 == 2\nmore"})
        s.trace.end()
        line, found = self.line(here, shop)
        assert line.startswith(
            "pytest tests/x.py::test_y failed 2.00 µs ✗ assert 1 == 2 · show "
        )
        assert found["failed"] is True

    def test_a_command_that_an_exception_ended(self, here: Path) -> None:
        shop = Shop()
        failure = {"chain": [{"type": "ValueError", "address": 16}]}
        trace, s = shop.trace("import.py", "process")
        trace.attributes["kolo_c.failure"] = json.dumps(failure)
        s.call(shop.numbers["orders"], None)
        trace.end()
        line, _ = self.line(here, shop)
        assert line.startswith("import.py ValueError 1.00 µs · show ")

    def test_no_name_harms_the_terminal(self, here: Path) -> None:
        shop = Shop()
        trace, s = shop.trace(EVIL, "test")
        s.plugin(shop.test, {"nodeid": EVIL})
        s.plugin_end({"outcome": "failed", "message": EVIL})
        trace.end()
        line, _ = self.line(here, shop)
        assert not set("\x1b\x07\x9b\r\u202e\u2028") & set(line)


class TestApi:
    def test_events_are_given_with_their_line_and_call(self, here: Path) -> None:
        shop = Shop()
        trace = shop.page(3)
        with kolo_c.open(shop.write(here)) as store:
            found = store.latest()
            statements = list(found.events("sql"))
            assert [event.line for event in statements] == [2, 4, 4, 4]
            first, second = statements[:2]
            assert second.id == f"{trace.id}/4"
            assert second.fields == {"text": CUSTOMER, "params": (0,), "rows": 1}
            assert second.summary == f"{CUSTOMER} · 1 rows"
            assert (second.duration_ns, second.path) == (200_000, "/app/shop/views.py")
            assert second.call is not None and second.call.function == "orders"
            assert first.started_at < second.started_at
            (log,) = found.events("log")
            assert log.fields["level_name"] == "WARNING"
            assert (log.summary, log.duration_ns) == ("the bank was slow", None)
            assert log.call is not None and log.call.function == "charge"
            kinds = [event.kind for event in found.events()]
            assert kinds == ["request", *["sql"] * 4, "http", "log", "template", "odd"]
            assert [event.kind for event in found.events("t*")] == ["template"]
            assert list(found.events(thread="nobody")) == []
            assert second.to_dict()["fields"]["params"] == [0]
            json.dumps([event.to_dict() for event in found.events()])

    def test_what_ended_it_is_an_exception(self, here: Path) -> None:
        shop = Shop()
        trace, s = shop.trace("t")
        s.saw(shop.sql, {"text": "INSERT"}, None, exception=shop.raised("taken"))
        trace.end()
        with kolo_c.open(shop.write(here)) as store:
            (event,) = store.latest().events()
        assert event.exception is not None
        assert event.exception.name == "IntegrityError"
        assert event.call is None and event.line is None


class TestList:
    def test_requests_and_tests_that_failed_are_failed(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What they say of themselves is in the attributes of the trace."""
        shop = Shop()
        for kind, name, said in (
            ("request", "GET / → 200", {"status": 200}),
            ("request", "GET / → 500", {"status": 500}),
            ("test", "pytest x.py::a", {"outcome": "passed"}),
            ("test", "pytest x.py::b failed", {"outcome": "failed"}),
            ("task", "import", {"status": "FAILURE"}),
            ("process", "shop.py", {"status": 500}),
            ("request", "GET /unknown", {}),
        ):
            trace, s = shop.trace(name, kind, **said)
            s.call(shop.numbers["charge"], None)
            s.ret()
            trace.end()
        shop.write(here)
        out, _ = run(capsys, "list", "--failed")
        rows = [line for line in out.splitlines()[1:] if line]
        assert [row.split("  ")[1].strip() for row in rows] == [
            "import", "pytest x.py::b failed", "GET / → 500",
        ]  # fmt: skip
        assert all(" failed " in row.replace("::b failed", "") for row in rows)
        out, _ = run(capsys, "list", "--kind", "test")
        assert len(out.splitlines()) == 3
        out, _ = run(capsys, "list", "--where", "status=200", "--json")
        assert [row["name"] for row in json.loads(out)] == ["GET / → 200"]

    def test_a_test_without_a_record_of_its_own_is_told_by_its_attributes(
        self, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shop = Shop()
        trace, s = shop.trace(
            "pytest x.py::b failed", "test", nodeid="x.py::b", outcome="failed",
            phase="call", message="assert 0", markers=["slow"],
        )  # fmt: skip
        s.call(shop.numbers["orders"], 2)
        s.raises(shop.raised("1 != 2"), shop.site("orders", 4), 2)
        trace.end()
        with Store(shop.write(here)) as store:
            finished = Finished(store.trace())
        assert "".join(text for text, _ in finished.line()).startswith(
            "pytest x.py::b failed 2.00 µs ✗ assert 0 · show "
        )
        out, _ = run(capsys, "show")
        assert (
            "phase call · outcome failed · markers ['slow'] · message assert 0" in out
        )
        out, _ = run(capsys, "why")
        assert out.splitlines()[:2] == [
            "✗ IntegrityError('1 != 2') failed pytest x.py::b (failed)", "  assert 0",
        ]  # fmt: skip
