"""``kolo-c show TRACE/NODE``: everything that was recorded of one call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kolo_c.cli import main as command_line
from kolo_c.cli.sources import chosen_lines
from kolo_c.model.close_up import close_up
from kolo_c.model.nearby import is_trivial
from kolo_c.store import values as v
from kolo_c.store.reader import Store
from kolo_c.wire import Definition, Kind, Tag
from tests.unit.store_builder import ProcessBuilder, tagged

SOURCE = """\
def total(basket):
    amount = 0
    for name in basket:
        amount += cost(name)
    return amount


def cost(name):
    if name == "milk":
        raise LookupError(name)
    return 300


total(["tea", "milk"])
"""
EVIL = "\x1b[2J\u202e"


class Shop:
    """The calls of SOURCE, with its line tables as this Python has them."""

    def __init__(self, directory: Path) -> None:
        import sys

        python = ".".join(map(str, sys.version_info[:3]))
        self.process = ProcessBuilder(python=python)
        module = compile(SOURCE, "/app/shop.py", "exec")
        functions = {c.co_name: c for c in module.co_consts if hasattr(c, "co_code")}
        file = self.process.define(Definition.FILE, "/app/shop.py", 1, 1, SOURCE)
        self.codes = {
            name: self.process.code(
                file, name, arguments, line=code.co_firstlineno, locals=local,
                table=code.co_linetable,
            )
            for name, code, arguments, local in (
                ("<module>", module, (), ()),
                ("total", functions["total"], ("basket",), ("amount", "name")),
                ("cost", functions["cost"], ("name",), ()),
            )
        }  # fmt: skip
        error = self.process.type("LookupError")
        raised = tagged(Tag.EXCEPTION, error, 0x10, tagged(Tag.TUPLE, "milk"))
        trace = self.process.trace("shop.py", id="trc_01J9ZD00000000000000000SHP")
        s = trace.stream(self.process.thread("MainThread"))
        called = _offset(functions["total"], 4)
        s.call(self.codes["<module>"])
        s.call(self.codes["total"], ["tea", "milk"], site=_offset(module, 14))
        s.call(self.codes["cost"], "tea", site=called)
        s.ret(300)
        s.call(self.codes["cost"], "milk", site=called)
        s.raises(raised, _offset(functions["cost"], 10))
        s.raises(raised, called, 300, "milk")
        s.raises(raised, _offset(module, 14))
        trace.end()
        self.process.write(directory)


@pytest.fixture(name="shop")
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KOLO_C_PATH", raising=False)
    return Shop(tmp_path)


@pytest.fixture(name="show")
def _show(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Any:
    def show(*words: str) -> str:
        assert command_line.main(["show", *words]) == 0
        return capsys.readouterr().out

    return show


class TestPage:
    def test_a_call_that_returned(self, show: Any) -> None:
        lines = show("SHP/3").splitlines()
        assert lines[0] == "cost  000SHP/3"
        assert lines[1] == "  shop.py:8 · thread 1 MainThread"
        assert lines[2:3] == ["  1.00 µs"]
        assert lines[3].startswith("  began 3.00 µs into the trace (20")
        assert lines[5:] == [
            "arguments",
            "  name = 'tea'",
            "",
            "result 300",
            "       also: local amount of total (2)",
            "",
            "called by total (2) in line 4:  amount += cost(name)",
            "",
            "source",
            "     8  def cost(name):",
            '     9      if name == "milk":',
            "    10          raise LookupError(name)",
            "    11      return 300",
            "",
            "caller kolo-c show 000SHP/2",
            "after kolo-c show 000SHP/4",
        ]

    def test_a_call_that_raised(self, show: Any) -> None:
        out = show("SHP/4")
        assert (
            "exception LookupError('milk')\n"
            "  raised in cost (4) in line 10:  raise LookupError(name)\n"
            "  left total (2) in line 4:  amount += cost(name)\n"
            '  left <module> (1) in line 14:  total(["tea", "milk"])\n'
            "  not handled in recorded code\n"
        ) in out
        assert "✗ 10          raise LookupError(name)" in out
        assert "also: local name of total (2)" in out

    def test_a_caller_has_its_lines_that_called_and_its_locals(self, show: Any) -> None:
        out = show("SHP/2")
        assert "  ✗ 4          amount += cost(name)   → 3, 4\n" in out
        assert "locals at its end\n  amount = 300\n" in out
        assert "3.00 µs of its own" in out.splitlines()[2]
        assert "calls  2 calls, 2 nodes below\n  3  cost(name='tea') → 300" in out
        assert "called by <module> (1) in line 14:" in out

    def test_json_has_the_same(self, show: Any) -> None:
        found = json.loads(show("SHP/2", "--json"))
        assert [node["node"] for node in found["nodes"]] == [2, 3, 4]
        assert found["caller"] == 1 and found["nodes_below"] == 2 and found["whole"]
        assert found["source"]["first_line"] == 1
        assert found["source"]["calls"] == {"4": [3, 4]}
        also = {(a["name"], a["node"], a["there"]) for a in found["also"]}
        assert ("name", 4, "argument") in also

    def test_it_fits_forty_columns(self, show: Any) -> None:
        out = show("SHP/4", "--width", "40")
        assert max(map(len, out.splitlines())) <= 40
        assert "LookupError('milk')" in out

    def test_other_nodes_have_a_page_too(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        process = ProcessBuilder()
        code = process.code(process.file("/app/a.py"), EVIL, (EVIL,))
        s = process.trace("others").stream(process.thread("MainThread"))
        s.node(Kind.REGION, "import of rows", {"rows": 3000})
        s.node(Kind.LOG, "INFO", "app", EVIL)
        s.node(Kind.NOTE, "half way", {"done": 1500})
        s.call(code, [EVIL] * 50)
        s.ret(EVIL * 300)
        s.pop(Kind.REGION_END, None)
        process.traces[0].end()
        process.write(tmp_path)
        monkeypatch.chdir(tmp_path)
        pages = []
        for words in (["/1"], ["/2"], ["/3"], ["/4"], ["/4", "--full"]):
            assert command_line.main(["show", *words]) == 0
            pages.append(capsys.readouterr().out)
        assert "region import of rows rows=3000" in pages[0]
        assert "values\n  rows = 3000" in pages[0] and "calls  3 calls" in pages[0]
        assert "log INFO" in pages[1] and "note half way" in pages[2]
        assert "whole values kolo-c show" in pages[3] and "…" in pages[3]
        assert len(pages[4]) > 4500 and "…" not in pages[4]
        for page in pages:
            assert all(line.isprintable() for line in page.split("\n"))


class TestReading:
    def long(self, directory: Path, blocks: int = 30) -> Store:
        """main calls step in every block, and step calls leaf; then last."""
        process = ProcessBuilder()
        file = process.file("/app/a.py")
        main, step, leaf = (process.code(file, n) for n in ("main", "step", "leaf"))
        s = process.trace("long").stream(process.thread("MainThread"))
        s.call(main)
        s.call(step)
        for _ in range(blocks):
            for _ in range(10):
                s.call(leaf)
                s.ret()
            s.cut()
        s.ret("stepped")
        s.call(leaf)
        s.ret()
        s.ret("done")
        process.traces[0].end()
        return Store(process.write(directory))

    def test_a_call_with_very_many_below_is_not_read_whole(
        self, tmp_path: Path
    ) -> None:
        with self.long(tmp_path) as store:
            trace = store.trace()
            found = close_up(trace.streams[0], 2)
            assert found is not None and not found.whole
            assert found.count == 300 and found.unread == 33
            assert found.node.duration_ns == 601_000
            assert found.node.end is not None and found.node.end.value == "stepped"  # type: ignore[attr-defined]
            assert found.after is not None and found.after.number == 303
            assert trace.decoded_blocks <= 5

    def test_the_call_before_may_stand_in_the_block_before(
        self, tmp_path: Path
    ) -> None:
        with self.long(tmp_path) as store:
            found = close_up(store.trace().streams[0], 13)
            assert found is not None and found.before is not None
            assert found.before.number == 12 and found.after is not None
            parent = found.node.parent
            assert parent is not None and parent.begin is not None
            assert parent.number == 2 and parent.duration_ns == 601_000

    def test_the_page_says_that_there_is_more(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        self.long(tmp_path).close()
        monkeypatch.chdir(tmp_path)
        assert command_line.main(["show", "/2"]) == 0
        out = capsys.readouterr().out
        assert "and more: 300 nodes below" in out and "of its own" not in out
        assert "--around 33" in out


class TestNearby:
    @pytest.mark.parametrize(
        ("value", "trivial"),
        [(None, True), (True, True), (7, True), (-99, True), (100, False), (0.0, True),
         (0.5, False), ("ab", True), ("abc", False), ([], True), ([1], False),
         (v.Dict(()), True), (v.Masked(8), True), (v.Unbound(), True),
         (float("nan"), False), (float("inf"), False)],
    )  # fmt: skip
    def test_common_values_say_nothing(self, value: Any, trivial: bool) -> None:
        assert is_trivial(value) is trivial

    def test_objects_are_the_same_only_where_it_can_be_proved(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        process = ProcessBuilder()
        file = process.file("/app/a.py")
        outer = process.code(file, "outer", ("cart",))
        inner = process.code(file, "inner", ("one", "two", "other"))
        cart = process.type("Cart")

        def at(address: int) -> list[Any]:
            return tagged(Tag.REF, cart, address)

        s = process.trace("same").stream(process.thread("MainThread"))
        s.call(outer, at(0x10))
        s.call(inner, at(0x10), at(0x10), at(0x20))
        s.ret()
        s.ret()
        process.traces[0].end()
        process.write(tmp_path)
        monkeypatch.chdir(tmp_path)
        assert command_line.main(["show", "/2"]) == 0
        out = capsys.readouterr().out
        assert "the same object: argument two" in out
        assert "at the same address: argument cart of outer (1)" in out
        assert out.count("the same") == 4  # nothing is said of the third


def test_of_a_long_function_the_lines_that_matter_are_chosen() -> None:
    assert list(chosen_lines(range(5, 9), set(), 30)) == [5, 6, 7, 8]
    assert list(chosen_lines(range(1, 101), {50}, 10)) == [
        1, 2, 3, 4, 5, 0, 48, 49, 50, 51, 52, 0,
    ]  # fmt: skip
    assert list(chosen_lines(range(1, 101), {50}, None)) == list(range(1, 101))


def _offset(code: Any, line: int) -> int:
    return next(start // 2 for start, _, found in code.co_lines() if found == line)
