"""What plugins recorded, as records and nodes: sites, suspensions, exceptions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kolo_c
from kolo_c.cli.dump import dump
from kolo_c.cli.kind_view import event_line
from kolo_c.model.events import Events
from kolo_c.model.exceptions import flight, is_source
from kolo_c.model.node import walk
from kolo_c.model.tree import TreeBuilder
from kolo_c.store import records as r
from kolo_c.store.matching import Matcher
from kolo_c.store.reader import Trace
from kolo_c.store.scan import KINDS, Query, new_scanner, scan_trace
from kolo_c.wire import Kind
from tests.unit.test_tree import Program, by_number, shape
from tests.unit.test_tree import _program as _program


def plugins(trace: Trace) -> list[r.Record]:
    """The records that plugins wrote."""
    return [one for one in trace.streams[0].records() if one.kind in (13, 14)]


def test_a_record_says_where_the_nearest_kept_caller_stood(
    program: Program, tmp_path: Path
) -> None:
    sql = program.process.kind("sql")
    program.stream.call(program.f)
    program.stream.saw(sql, {"text": "SELECT 1"}, {"rows": 1}, site=7)
    program.stream.ret()
    begin, end = plugins(program.read(tmp_path))
    assert isinstance(begin, r.Plugin)
    assert (begin.plugin, begin.site, begin.node) == (sql, 7, 2)
    assert isinstance(end, r.PluginEnd)
    assert end.exception is None


def test_what_is_suspended_goes_on_as_the_same_node(
    program: Program, tmp_path: Path
) -> None:
    request = program.process.kind("request")
    s = program.stream
    node = s.plugin(request, {"path": "/"})
    call = s.call(program.f)
    s.yields()
    s.yields()
    s.resume(node, request)
    s.resume(call, program.f)
    s.call(program.g)
    s.ret()
    s.ret()
    s.plugin_end({"status": 200})
    builder = program.build(tmp_path)
    assert shape(builder.roots) == [(1, [(2, [3])])]
    found = by_number(builder)
    assert found[1].resumed == 1 and not found[1].is_open
    assert found[1].plugin == request and found[1].code is None
    assert not builder.unmatched


def test_a_block_read_alone_knows_what_goes_on_in_it(
    program: Program, tmp_path: Path
) -> None:
    """The number in RESUME is a kind's, and no code object's."""
    request = program.process.kind("request", "Request")
    s = program.stream
    node = s.plugin(request, {"path": "/"})
    s.yields()
    s.call(program.g)
    s.cut()
    s.resume(node, request)
    s.call(program.f)
    s.ret()
    s.plugin_end({"status": 200})
    stream = program.read(tmp_path).streams[0]
    builder = TreeBuilder(stream)
    builder.start_at(1)
    while not builder.finished:
        builder.step()
    (again,) = [each for each in walk(builder.roots) if each.number == node]
    assert (again.plugin, again.code, again.continues) == (request, None, 1)
    assert shape([again]) == [(1, [3])]


def test_every_record_is_dumped_with_the_name_of_its_kind(
    program: Program, tmp_path: Path
) -> None:
    request = program.process.kind("request", "Request")
    s = program.stream
    node = s.plugin(request, {"path": "/"}, None)
    s.yields()
    s.resume(node, request)
    s.call(program.f, site=3)
    s.ret()
    s.plugin_end({"status": 200})
    found = list(dump(program.read(tmp_path)))[1:]
    assert [each.get("plugin") for each in found] == [
        "request", None, "request", None, None, None,
    ]  # fmt: skip
    assert [each.get("of_node") for each in found] == [None, 1, None, None, 2, 1]


def test_an_exception_goes_through_what_a_plugin_saw(
    program: Program, tmp_path: Path
) -> None:
    """It was raised once, in the innermost call, whoever watched its way."""
    template = program.process.kind("template")
    s = program.stream
    s.call(program.f)
    s.plugin(template, {"name": "a.html"})
    s.call(program.g)
    s.raises(program.raised(), 3)
    s.plugin_end(None, program.raised())
    s.raises(program.raised(), 5)
    builder = program.build(tmp_path)
    found = by_number(builder)
    assert builder.exceptions == 1
    assert [node.number for node in builder.sources] == [3]
    assert not is_source(found[1])
    assert [node.number for node in flight(found[1]).through] == [3, 2, 1]
    with kolo_c.open(program.store.path) as store:
        (raised,) = [call.function for call in store.latest().exceptions()]
    assert raised == "g"


def test_an_exception_that_no_recorded_call_raised_is_of_the_call_around(
    program: Program, tmp_path: Path
) -> None:
    sql = program.process.kind("sql")
    s = program.stream
    s.call(program.f)
    s.saw(sql, {"text": "SELECT"}, None, exception=program.raised())
    s.raises(program.raised(), 5)
    builder = program.build(tmp_path)
    assert [node.number for node in builder.sources] == [1]
    assert by_number(builder)[2].left_by_exception


def test_a_search_finds_what_goes_on_of_a_function(
    program: Program, tmp_path: Path
) -> None:
    """A kind has no function's name."""
    request = program.process.kind("request")
    s = program.stream
    node = s.plugin(request, {"path": "/apple"})
    s.yields()
    s.call(program.f, "apple")
    s.ret()
    s.resume(node, request)
    s.node(Kind.NOTE, "apple", None)
    s.plugin_end({"status": "apple"})
    trace = program.read(tmp_path)

    def hits(**options: Any) -> int:
        query = Query(Matcher("apple"), **options)
        return sum(f.total for f in scan_trace(trace, query, new_scanner(query), 100))

    assert hits() == 4
    assert hits(kinds=["plugin"]) == 2
    assert "plugin" in KINDS
    assert hits(function="f") == hits(function="*") == 1


def test_an_exception_of_unknown_type_is_one(program: Program, tmp_path: Path) -> None:
    """3.10 and 3.11 hide it: the end says true."""
    sql = program.process.kind("sql")
    s = program.stream
    s.call(program.f)
    s.plugin(sql, {"text": "SELECT"})
    s.call(program.g)
    s.raises(None, 3)
    s.plugin_end(None, True)
    s.raises(None, 5)
    builder = program.build(tmp_path)
    found = by_number(builder)
    assert found[2].left_by_exception and found[2].exception() is None
    assert builder.exceptions == 1
    assert [node.number for node in flight(found[1]).through] == [3, 2, 1]
    (event,) = Events(Trace(program.store.trace().info))
    assert event.failed and event.exception is None
    assert "".join(text for text, _ in event_line(event)) == (
        "SQL text=SELECT ✗ an exception, type unknown"
    )
    with kolo_c.open(program.store.path) as store:
        (one,) = store.latest().events()
    assert one.exception is not None and one.exception.type is None
