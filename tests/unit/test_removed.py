"""Calls that went with old segments, while their trace's row is still there: said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kolo_c.cli.main import main
from kolo_c.store.reader import Store
from kolo_c.wire import Kind
from tests.unit.store_builder import Owner, ProcessBuilder, StreamBuilder, TraceBuilder


@pytest.fixture(autouse=True)
def _there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Server:
    """A process with two requests, whose segment 0 is no more; ``kept`` blocks of the
    first one are in segment 1."""

    def __init__(self, here: Path, kept: int = 0, *, after: int = 1, first: int = 1):
        self.process = process = ProcessBuilder()
        self.code = process.code(process.file("/app/shop.py"), "cost")
        thread = process.thread("MainThread")
        self.old = self.request("old", thread, 3)
        self.new = self.request("new", thread, after)
        blocks = [block for s in self.old.streams for block in s.blocks]
        blocks = blocks[len(blocks) - kept :] if kept else []
        blocks += [block for s in self.new.streams for block in s.blocks]
        self.store = process.write(here, blocks=blocks, segment=first)

    def request(self, name: str, thread: int, calls: int) -> TraceBuilder:
        trace = self.process.trace(name)
        stream: StreamBuilder = trace.stream(thread)
        for _ in range(calls):
            stream.call(self.code)
            stream.ret()
            stream.cut()
        trace.counters = {"calls": calls}
        trace.end()
        return trace

    def said(self, capsys, trace: TraceBuilder, *words: str) -> str:
        """What a command prints, in one line."""
        assert main([*words, trace.id]) == 0
        return " ".join(capsys.readouterr().out.split())

    def listed(self, capsys) -> dict[str, tuple[int, str]]:
        """Of each trace the calls that are gone, and its status in a table."""
        assert main(["list", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert main(["list"]) == 0
        lines = capsys.readouterr().out.splitlines()
        return {
            one["name"]: (
                one["calls_removed"],
                next(line for line in lines if f" {one['name']} " in line),
            )
            for one in found
        }


def test_a_trace_without_its_calls_says_where_they_went(tmp_path, capsys):
    server = Server(tmp_path)
    listed = server.listed(capsys)
    assert listed["old"][0] == 3
    assert "complete (calls removed)" in listed["old"][1]
    assert listed["new"][0] == 0
    assert "removed" not in listed["new"][1]
    shown = server.said(capsys, server.old, "show")
    assert "3 calls went with old segments of its process (max_bytes" in shown
    assert "kolo-c pin keeps a trace" in shown
    assert "went with" not in server.said(capsys, server.new, "show")


def test_a_trace_without_its_beginning_says_so(tmp_path, capsys):
    server = Server(tmp_path, kept=1)
    removed, line = server.listed(capsys)["old"]
    assert removed == 2
    assert "complete (first calls removed)" in line
    shown = server.said(capsys, server.old, "show")
    assert "the first 2 calls went with old segments" in shown
    assert shown.count("went with") == 1


@pytest.mark.parametrize("kept", [0, 1])
def test_a_trace_that_runs_on_says_so_too(tmp_path, capsys, kept):
    server = Server(tmp_path, kept=kept)
    server.old.status, server.old.ended_ns, server.old.counters = "running", None, {}
    server.process.segment_path(server.store, 1).unlink()
    blocks = [b for s in server.old.streams for b in s.blocks][3 - kept :]
    server.process.write(tmp_path, blocks=blocks, segment=1)
    with Owner(server.process.write_mapping(tmp_path, [])):
        shown = server.said(capsys, server.old, "show")
    expected = "the first calls went" if kept else "any that it had made went"
    assert f"{expected} with old segments" in shown
    assert "no function of its own" not in shown


def test_what_is_not_saved_yet_is_not_taken_for_removed(tmp_path, capsys):
    """That a trace has ended is saved ahead of its blocks."""
    server = Server(tmp_path, after=0)
    with Owner(server.process.write_mapping(tmp_path, [])):
        assert server.listed(capsys)["old"][0] == 0
    with Owner(server.process.write_mapping(tmp_path, [])), Store(server.store) as s:
        assert [info.removed for info in s.traces()] == [0, 0]


def test_what_is_missing_from_a_first_segment_was_not_removed(tmp_path, capsys):
    server = Server(tmp_path, first=0)
    assert server.listed(capsys)["old"][0] == 0


def test_a_trace_without_calls_has_none(tmp_path, capsys):
    """A test that a missing fixture ended has its three regions alone; they were
    listed as 3 calls, and the API said 0."""
    process = ProcessBuilder()
    trace = process.trace("test_err")
    stream = trace.stream(process.thread("MainThread"))
    for phase in ("setup", "call", "teardown"):
        stream.node(Kind.REGION, phase, None)
        stream.pop(Kind.REGION_END, None)
    trace.counters = {"calls": 0}
    trace.end()
    process.write(tmp_path)
    for command in ("show", "list"):  # the list from the segment, then its own file
        assert main([command, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        found = found["trace"] if command == "show" else found[0]
        assert found["calls"] == 0
    assert main(["show"]) == 0
    assert "0 calls ·" in capsys.readouterr().out
