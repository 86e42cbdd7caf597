"""export --speedscope, read back by speedscope itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from kolo_c.cli import main as command_line
from kolo_c.export.speedscope import export_speedscope
from kolo_c.store.reader import Store
from kolo_c.wire import Kind, Mark
from tests.spec.tracing import environment, write_program
from tests.unit.store_builder import ProcessBuilder, StreamBuilder, TraceBuilder, tagged

VIEWERS = Path(__file__).resolve().parent.parent / "viewers"

needs_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="there is no node, which runs speedscope"
)


def opened(path: Path) -> dict[str, Any]:
    """What speedscope's own importer makes of a file."""
    assert (VIEWERS / "node_modules" / "speedscope").is_dir(), "run script/bootstrap"
    answer = subprocess.run(
        ["node", str(VIEWERS / "speedscope.cjs"), str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def outline(profile: dict[str, Any]) -> list[str]:
    """Its calls as speedscope has them, one a line, indented, with their times."""
    lines: list[list[Any]] = []
    stack: list[list[Any]] = []
    for kind, name, at in profile["calls"]:
        if kind == "open":
            stack.append([len(stack), name, at, None])
            lines.append(stack[-1])
        else:
            line = stack.pop()
            assert line[1] == name
            line[3] = at
    assert stack == []
    return [f"{'  ' * depth}{name} {start}-{end}" for depth, name, start, end in lines]


class One:
    """A trace of one thread, and functions named by a letter."""

    def __init__(self) -> None:
        self.process = ProcessBuilder()
        self.file = self.process.file("/app/shop.py")
        self.codes: dict[str, int] = {}
        self.thread = self.process.thread("MainThread")
        self.trace: TraceBuilder = self.process.trace("shop.py")
        self.stream: StreamBuilder = self.trace.stream(self.thread)

    def code(self, name: str) -> int:
        if name not in self.codes:
            line = len(self.codes) + 1
            self.codes[name] = self.process.code(self.file, name, line=line)
        return self.codes[name]

    def call(self, name: str) -> int:
        return self.stream.call(self.code(name), after=1)

    def ret(self) -> None:
        self.stream.ret(after=1)

    def written(self, tmp_path: Path, **options: Any) -> Path:
        if self.trace.status == "running":
            self.trace.end()
        store = self.process.write(tmp_path, **options)
        target = tmp_path / "trace.speedscope.json"
        with Store(store) as reading:
            export_speedscope(reading.traces(), target, overwrite=True)
        return target

    def outline(self, tmp_path: Path, **options: Any) -> list[str]:
        (profile,) = opened(self.written(tmp_path, **options))["profiles"]
        assert (profile["name"], profile["unit"]) == ("MainThread", "nanoseconds")
        return outline(profile)


@needs_node
class TestShapes:
    def test_calls_nest_with_their_times(self, tmp_path: Path) -> None:
        one = One()
        one.call("a")
        one.call("b")
        one.ret()
        one.call("b")
        one.call("c")
        one.ret()
        one.ret()
        one.ret()
        assert one.outline(tmp_path) == [
            "shop.a 0-7", "  shop.b 1-2", "  shop.b 3-6", "    shop.c 4-5",
        ]  # fmt: skip

    def test_a_frame_has_file_and_line(self, tmp_path: Path) -> None:
        one = One()
        for name in ("a", "b"):
            one.call(name)
        one.ret()
        one.ret()
        (profile,) = opened(one.written(tmp_path))["profiles"]
        frames = {frame["name"]: frame for frame in profile["frames"]}
        assert frames["shop.b"]["file"] == "/app/shop.py"
        assert frames["shop.b"]["line"] == 2
        assert (frames["shop.a"]["total"], frames["shop.a"]["own"]) == (3, 2)

    def test_a_generator_closes_where_it_yields(self, tmp_path: Path) -> None:
        one = One()
        one.call("main")
        generator = one.call("numbers")
        one.stream.yields()
        one.call("use")
        one.stream.resume(generator, one.code("numbers"), after=1)
        one.call("inner")
        one.ret()
        one.ret()
        one.ret()
        one.ret()
        assert one.outline(tmp_path) == [
            "shop.main 0-1008",
            "  shop.numbers 1-1001",
            "  shop.use 1002-1007",
            "    shop.numbers 1003-1006",
            "      shop.inner 1004-1005",
        ]

    def test_what_is_open_at_the_end_closes_there(self, tmp_path: Path) -> None:
        one = One()
        one.call("a")
        one.call("b")
        one.call("c")
        one.ret()
        assert one.outline(tmp_path) == ["shop.a 0-3", "  shop.b 1-3", "    shop.c 2-3"]

    def test_an_exception_closes_what_it_leaves(self, tmp_path: Path) -> None:
        one = One()
        one.call("a")
        one.call("b")
        one.stream.raises(None)
        one.stream.raises(None)
        one.call("c")
        one.ret()
        assert one.outline(tmp_path) == [
            "shop.a 0-2001", "  shop.b 1-1001", "shop.c 2002-2003",
        ]  # fmt: skip

    def test_regions_and_plugins_are_frames_and_notes_are_not(
        self, tmp_path: Path
    ) -> None:
        one = One()
        kind = one.process.define(9, "sql", "SQL", "blue", "{query}")
        one.stream.node(Kind.REGION, "checkout <b>", None, after=1)
        one.stream.node(Kind.NOTE, "here", None, after=1)
        one.stream.node(Kind.PLUGIN, kind, None, None, after=1)
        one.stream.pop(Kind.PLUGIN_END, None, None, after=1)
        one.stream.pop(Kind.REGION_END, None, after=1)
        assert one.outline(tmp_path) == ["checkout <b> 0-4", "  SQL 2-3"]

    def test_a_mark_closes_what_it_says_was_lost(self, tmp_path: Path) -> None:
        one = One()
        for name in ("a", "b", "c"):
            one.call(name)
        one.stream.mark(Mark.LOST, 3, 1)
        one.call("d")
        one.ret()
        assert one.outline(tmp_path) == [
            "shop.a 0-1004", "  shop.b 1-1002", "    shop.c 2-1002",
            "  shop.d 1003-1004",
        ]  # fmt: skip

    def test_missing_blocks_leave_it_readable(self, tmp_path: Path) -> None:
        """The header of the next says what is open; what began in the gap has no
        name."""
        one = One()
        one.call("a")
        one.stream.cut()
        one.call("lost")
        one.stream.cut()
        one.call("c")
        one.ret()
        one.ret()
        one.ret()
        blocks = one.process.blocks()
        one.trace.end()
        assert one.outline(tmp_path, blocks=[blocks[0], blocks[2]]) == [
            "shop.a 0-5", "  (not recorded) 2-4", "    shop.c 2-3",
        ]  # fmt: skip

    def test_damaged_records_that_close_too_much_are_survived(
        self, tmp_path: Path
    ) -> None:
        one = One()
        one.call("a")
        for _ in range(3):
            one.stream.record(Kind.RETURN, None, after=1)
        one.stream.record(Kind.YIELD, None, None, after=1)
        one.call("b")
        one.ret()
        assert one.outline(tmp_path) == ["shop.a 0-1", "shop.b 5-6"]

    def test_each_thread_is_a_profile(self, tmp_path: Path) -> None:
        one = One()
        one.call("a")
        other = one.trace.stream(one.process.thread("worker\x1b[2J"))
        other.call(one.code("b"), after=1)
        other.ret(after=1)
        one.ret()
        found = opened(one.written(tmp_path))
        assert found["name"] == "shop.py"
        assert [(p["name"], outline(p)) for p in found["profiles"]] == [
            ("MainThread", ["shop.a 0-3"]), ("worker\x1b[2J", ["shop.b 0-1"]),
        ]  # fmt: skip

    def test_several_traces_are_told_apart(self, tmp_path: Path) -> None:
        one = One()
        one.call("a")
        one.trace.end()
        other = one.process.trace("request")
        stream = other.stream(one.thread)
        stream.call(one.code("a"), after=1)
        other.end()
        names = [
            profile["name"] for profile in opened(one.written(tmp_path))["profiles"]
        ]
        assert names == ["request: MainThread", "shop.py: MainThread"]

    def test_names_that_are_no_utf_8_are_written(self, tmp_path: Path) -> None:
        one = One()
        one.call("f\udce4\u2028")
        one.ret()
        (line,) = one.outline(tmp_path)
        assert line.startswith("shop.f")


@needs_node
def test_a_real_program_opens(tmp_path: Path) -> None:
    """Coroutines, generators, threads and exceptions, as they are recorded."""
    write_program(
        tmp_path,
        """
        import asyncio, threading
        def numbers():
            for n in range(3):
                yield n
        async def fetch(n):
            await asyncio.sleep(0)
            if n == 1:
                raise ValueError(n)
            return sum(numbers())
        async def main():
            found = await asyncio.gather(*map(fetch, range(3)), return_exceptions=True)
            return [str(each) for each in found]
        def deep(n): return n and deep(n - 1)
        thread = threading.Thread(target=deep, args=(200,), name='deep')
        thread.start()
        print(asyncio.run(main()))
        thread.join()
        """,
    )
    subprocess.run(
        [sys.executable, "-m", "kolo_c", "run", "--quiet", "program.py"],
        cwd=tmp_path, env=environment(), check=True, capture_output=True,
    )  # fmt: skip
    with Store(tmp_path / ".kolo_c") as store:
        target = tmp_path / "t.json"
        export_speedscope(store.traces(), target, overwrite=False)
        threads = [stream.name for stream in store.trace().streams]
    found = opened(target)
    assert [profile["name"] for profile in found["profiles"]] == threads
    by_name = {profile["name"]: profile for profile in found["profiles"]}
    depths = [len(line) - len(line.lstrip()) for line in outline(by_name["deep"])]
    assert max(depths) // 2 >= 200
    names = {frame["name"] for frame in by_name["MainThread"]["frames"]}
    assert {"<module>", "main", "fetch", "numbers"} <= names
    lines = outline(by_name["MainThread"])
    assert sum(line.strip().startswith("fetch ") for line in lines) == 6, "two a task"


class TestFile:
    def test_no_values_are_in_it(self, tmp_path: Path) -> None:
        one = One()
        one.stream.call(one.code("a"), "a value", tagged(1, "of a tuple"))
        one.ret()
        text = one.written(tmp_path).read_text()
        assert "shop.a" in text
        assert "a value" not in text
        assert "of a tuple" not in text

    def test_a_trace_without_calls_says_so(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        one = One()
        one.trace.end()
        one.process.write(tmp_path)
        monkeypatch.chdir(tmp_path)
        words = ["export", "--speedscope", one.trace.id, "t.json"]
        assert command_line.main(words) == 1
        assert "has no calls to export" in capsys.readouterr().err
        assert os.listdir(tmp_path) == [".kolo_c"]

    def test_the_command_says_where_to_open_it(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        one = One()
        one.call("a")
        one.ret()
        one.trace.end()
        one.process.write(tmp_path)
        monkeypatch.chdir(tmp_path)
        assert (
            command_line.main(["export", "--speedscope", one.trace.id, "t.json"]) == 0
        )
        out = capsys.readouterr().out
        assert out.startswith("Wrote 1 trace to t.json (")
        assert "speedscope.app" in out
        words = ["export", "--speedscope", "--format", "sqlite", one.trace.id, "t.json"]
        assert command_line.main(words) == 2
        assert "contradicts" in capsys.readouterr().err

    def test_a_big_trace_takes_no_more_memory_than_a_small_one(
        self, tmp_path: Path
    ) -> None:
        peaks = []
        for blocks in (4, 40):
            one = One()
            one.call("main")
            for _ in range(blocks):
                for _ in range(500):
                    one.call("f")
                    one.ret()
                one.stream.cut()
            one.trace.end()
            folder = tmp_path / str(blocks)
            store = one.process.write(folder)
            with Store(store) as reading:
                infos = reading.traces()
                tracemalloc.start()
                export_speedscope(infos, folder / "t.json", overwrite=False)
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
        size = (tmp_path / "40" / "t.json").stat().st_size
        assert size > 1_000_000
        assert peaks[1] < peaks[0] * 2.5, peaks
