"""What one line of ``kolo-c show`` stands for: imports and repetitions."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from kolo_c.cli.cells import cells
from kolo_c.cli.view import Options, View
from kolo_c.model.build import build
from kolo_c.model.fold import Fold, Folding
from kolo_c.store.reader import Store, Trace
from kolo_c.wire import Kind, Mark, Tag
from tests.unit.store_builder import ProcessBuilder, StreamBuilder, tagged


class Program:
    """A traced program with a few functions."""

    def __init__(self) -> None:
        self.process = ProcessBuilder()
        file = self.process.file("/app/shop.py")
        self.main = self.process.code(file, "main")
        self.cost = self.process.code(file, "cost", ("name",), line=8)
        self.read = self.process.code(file, "read", line=20)
        self.save = self.process.code(file, "save", line=30)
        self.items = self.process.code(file, "main.<locals>.<genexpr>", (".0",))
        self.error = self.process.type("ValueError")
        self.trace = self.process.trace("shop.py")
        self.stream: StreamBuilder = self.trace.stream(self.process.thread("Main"))

    def module(self, name: str) -> int:
        """The code of a module's body."""
        file = self.process.file(f"/app/{name}.py")
        return self.process.code(file, "<module>", module=name)

    def leaf(self, code: int, *arguments: object, after: int = 1000) -> None:
        """A call that takes ``after`` nanoseconds."""
        self.stream.call(code, *arguments)
        self.stream.ret(None, after=after)

    def failing(self, code: int, *arguments: object) -> None:
        """A call that an exception leaves."""
        self.stream.call(code, *arguments)
        self.stream.raises(
            tagged(Tag.EXCEPTION, self.error, 0x10, tagged(Tag.TUPLE, "bad"))
        )

    def read_back(self, directory: Path) -> Trace:
        """The trace, stored and opened."""
        self.trace.end()
        return Store(self.process.write(directory)).trace()

    def show(self, directory: Path, **options: object) -> list[str]:
        """The lines of the tree, without those above and below it."""
        self.read_back(directory)
        file = io.StringIO()
        with Store(directory / ".kolo_c") as store:
            View(store.trace(), Options(**options)).write(file)  # type: ignore[arg-type]
        lines = file.getvalue().splitlines()[4:]
        return [line for line in lines if line and not line.startswith("kolo-c show")]


@pytest.fixture(name="program")
def _program() -> Program:
    return Program()


def rows(trace: Trace, **folding: object) -> list[object]:
    """The rows of the first thread: a number, or (first number, count) of a fold."""
    builder = build(trace.streams[0])
    folds = Folding(trace.definitions, **folding)  # type: ignore[arg-type]
    return [
        (row.nodes[0].number, len(row.nodes)) if isinstance(row, Fold) else row.number
        for row in folds.rows(builder.roots)
    ]


def test_a_loop_is_its_first_call_and_a_count_with_its_spread(
    program: Program, tmp_path: Path
) -> None:
    program.stream.call(program.main)
    for after in (5000, 1000, 2000, 9000):
        program.leaf(program.cost, "tea", after=after)
    program.stream.ret()
    assert program.show(tmp_path)[1:3] == [
        "  2    cost(name='tea') → None  5.00 µs  shop.py:8",
        "  3    cost(…) ×3 more  min–median–max 1.00–2.00–9.00 µs, sum 12.0 µs"
        "  shop.py:8",
    ]


def test_three_of_a_kind_are_not_folded(program: Program, tmp_path: Path) -> None:
    program.stream.call(program.main)
    for _ in range(3):
        program.leaf(program.cost, "tea")
    program.stream.ret()
    assert rows(program.read_back(tmp_path)) == [1, 2, 3, 4]


def test_no_fold_gives_each_call_a_line(program: Program, tmp_path: Path) -> None:
    for _ in range(9):
        program.leaf(program.cost, "tea")
    lines = program.show(tmp_path, folds=False)
    assert sum("cost(name='tea')" in line for line in lines) == 9


def test_what_is_below_the_folded_calls_is_counted(
    program: Program, tmp_path: Path
) -> None:
    for _ in range(5):
        program.stream.call(program.main)
        program.leaf(program.read)
        program.stream.ret()
    (line,) = [text for text in program.show(tmp_path) if "×4 more" in text]
    assert line.endswith(", 4 below  shop.py:1")


class TestRaised:
    def test_a_few_that_raised_stay_lines(
        self, program: Program, tmp_path: Path
    ) -> None:
        program.stream.call(program.main)
        for number in range(12):
            if number == 6:
                program.failing(program.cost, "milk")
            else:
                program.leaf(program.cost, "tea")
        program.stream.ret()
        trace = program.read_back(tmp_path)
        assert rows(trace) == [1, 2, (3, 5), 8, (9, 5)]

    def test_of_many_the_fold_has_the_count_and_the_first(
        self, program: Program, tmp_path: Path
    ) -> None:
        program.stream.call(program.main)
        for number in range(20):
            if number % 3 == 2:
                program.failing(program.cost, "milk")
            else:
                program.leaf(program.cost, "tea")
        program.stream.ret()
        lines = program.show(tmp_path)
        assert "×19 more" in lines[2] and "✗ 6 raised, first in 4" in lines[2]

    def test_exceptions_deeper_than_is_shown_are_counted(
        self, program: Program, tmp_path: Path
    ) -> None:
        """With --depth a fold, and the note below a call, keep quiet about none."""
        program.stream.call(program.main)
        for times in range(6):
            program.stream.call(program.read)
            program.stream.call(program.save)
            for _ in range(times):
                program.failing(program.cost)
            program.stream.ret()
            program.stream.ret()
        program.stream.call(program.save)
        program.failing(program.cost)
        program.stream.ret()
        program.stream.ret()
        lines = program.show(tmp_path, depth=2)
        assert "read(…) ×5 more ✓ 15 exceptions inside" in lines[3]
        assert lines[5].strip().startswith("… 1 node below with 1 exception: kolo-c")

    def test_exceptions_below_folded_calls_are_counted(
        self, program: Program, tmp_path: Path
    ) -> None:
        for _ in range(6):
            program.stream.call(program.main)
            program.failing(program.cost, "milk")
            program.stream.ret()
        (line,) = [text for text in program.show(tmp_path) if "×5 more" in text]
        assert "✓ 5 exceptions inside" in line

    def test_who_handled_it_says_so(self, program: Program, tmp_path: Path) -> None:
        program.stream.call(program.main)
        program.failing(program.cost, "milk")
        program.stream.ret()
        lines = program.show(tmp_path)
        assert lines[0].startswith("  1  main() → None ✓ handled ValueError from 2")
        assert "✗ ValueError('bad'), handled in main (1)" in lines[1]


class TestPatterns:
    def test_several_calls_that_repeat_are_folded_together(
        self, program: Program, tmp_path: Path
    ) -> None:
        program.stream.call(program.main)
        for _ in range(5):
            program.leaf(program.read)
            program.leaf(program.save)
        program.leaf(program.cost, "end")
        program.stream.ret()
        lines = program.show(tmp_path)
        assert [line.split()[0] for line in lines] == ["1", "2", "3", "4", "12"]
        assert "read(…) + save(…) ×4 more" in lines[3]
        assert "2.00–2.00–2.00 µs, sum 8.00 µs" in lines[3]

    @pytest.mark.parametrize("width", [70, 80, 90, 100, 105, 110, 120, 140])
    def test_their_names_are_shortened_before_count_and_times_are_cut(
        self, program: Program, tmp_path: Path, width: int
    ) -> None:
        """How often and how long is what a fold is for."""
        file = program.process.file("/app/warehouse.py")
        codes = [
            program.process.code(
                file, f"Warehouse.<locals>.{name}_of_the_stock", line=9
            )
            for name in ("reserve", "price", "announce", "forget")
        ]
        program.stream.call(program.main)
        for at in range(30):
            for code in codes:
                program.leaf(code, after=1_234_567 if at == 20 else 1_234)
        program.stream.ret()
        (line,) = [
            text for text in program.show(tmp_path, width=width) if " more" in text
        ]
        assert " ×29 more  " in line and "4.94 µs – 4.94 µs – 4.94 ms" in line
        assert "res" in line or "4 calls" in line
        assert cells(line) <= width

    def test_a_call_that_comes_once_or_several_times_does_not_break_it(
        self, program: Program, tmp_path: Path
    ) -> None:
        program.stream.call(program.main)
        for times in (1, 3, 2, 5):
            for _ in range(times):
                program.leaf(program.read)
            program.leaf(program.save)
        program.stream.ret()
        lines = program.show(tmp_path)
        assert len(lines) == 4 and "read(…) + save(…) ×3 more" in lines[3]

    def test_two_repetitions_are_no_pattern(
        self, program: Program, tmp_path: Path
    ) -> None:
        for _ in range(2):
            program.leaf(program.read)
            program.leaf(program.save)
        assert rows(program.read_back(tmp_path)) == [1, 2, 3, 4]

    def test_a_mark_or_an_open_call_is_never_folded(
        self, program: Program, tmp_path: Path
    ) -> None:
        s = program.stream
        for _ in range(4):
            program.leaf(program.read)
        s.mark(Mark.BLIND, 5)
        for _ in range(4):
            program.leaf(program.read)
        for _ in range(3):
            s.call(program.read)
        program.trace.status = "interrupted"
        s.cut()
        trace = Store(program.process.write(tmp_path)).trace()
        assert rows(trace) == [1, (2, 3), 0, 5, (6, 3), 9, 10, 11]

    def test_logs_fold_by_logger_and_notes_by_text(
        self, program: Program, tmp_path: Path
    ) -> None:
        for number in range(5):
            program.stream.node(Kind.LOG, "INFO", "app.db", f"row {number}")
        for number in range(5):
            program.stream.node(Kind.NOTE, f"step {number}", {})
        assert rows(program.read_back(tmp_path)) == [1, (2, 4), 6, 7, 8, 9, 10]

    def test_logs_of_several_lines_are_not_shown_with_the_first_one(
        self, program: Program, tmp_path: Path
    ) -> None:
        for number in range(10):
            site = 4 if number < 5 else 9
            program.stream.node(Kind.LOG, "INFO", "app.db", f"row {number}", site)
        assert rows(program.read_back(tmp_path)) == [1, (2, 4), 6, (7, 4)]


class TestComprehensions:
    def test_a_generator_expression_is_a_count_and_a_total(
        self, program: Program, tmp_path: Path
    ) -> None:
        s = program.stream
        s.call(program.main)
        generator = s.call(program.items, [1])
        for _ in range(4):
            s.yields(1)
            s.resume(generator, program.items, after=50_000)
        s.ret()
        s.ret()
        lines = program.show(tmp_path)
        # 50 µs each time were the caller's.
        assert "main.<locals>.<genexpr> → 4 items  5.00 µs" in lines[1]

    def test_several_are_one_line(self, program: Program, tmp_path: Path) -> None:
        program.stream.call(program.main)
        for _ in range(3):
            program.leaf(program.items, [1], after=2000)
        program.stream.ret()
        lines = program.show(tmp_path)
        assert len(lines) == 2
        assert "main.<locals>.<genexpr> ×3  min–median–max 2.00" in lines[1]
        assert "sum 6.00 µs" in lines[1]


class TestImports:
    def importing(self, program: Program) -> None:
        s = program.stream
        script = program.process.code(1, "<module>")
        shop, cart, late = (program.module(n) for n in ("shop", "shop.cart", "late"))
        s.call(script)
        s.call(shop)
        s.call(cart)
        s.call(program.read)
        s.ret()
        s.ret()
        s.ret(after=800_000)
        s.call(program.module("broken"))
        s.raises(tagged(Tag.EXCEPTION, program.error, 1, tagged(Tag.TUPLE, "no")))
        s.call(late)
        s.ret()
        s.ret()

    def test_an_import_is_one_line_with_its_modules(
        self, program: Program, tmp_path: Path
    ) -> None:
        self.importing(program)
        lines = program.show(tmp_path)
        assert lines[0].startswith("  1  <module> ✓ handled ValueError from 5")
        assert lines[1] == "  2    import shop: 2 modules  804 µs  shop.py:1"
        assert lines[2].startswith("  5    import broken ✗ ValueError('no')")
        assert lines[3] == "  6    import late  1.00 µs  late.py:1"
        assert len(lines) == 4

    def test_imports_opens_them(self, program: Program, tmp_path: Path) -> None:
        self.importing(program)
        lines = program.show(tmp_path, imports=True)
        assert "      import shop.cart" in lines[2] and "read()" in lines[3]

    def test_imports_side_by_side_share_a_line(
        self, program: Program, tmp_path: Path
    ) -> None:
        program.stream.call(program.main)
        for name in ("a", "b", "c", "d", "e"):
            program.leaf(program.module(name))
        program.stream.ret()
        lines = program.show(tmp_path)
        assert "import a, b, c, d, …: 5 modules  5.00 µs" in lines[1]


def test_a_trace_of_repetitions_is_not_read_to_its_end(
    program: Program, tmp_path: Path
) -> None:
    program.stream.call(program.main)
    for _ in range(40):
        for _ in range(60):
            program.leaf(program.cost, "tea")
        program.stream.cut()
    program.stream.ret(7)
    trace = program.read_back(tmp_path)
    file = io.StringIO()
    View(trace, Options(max_lines=50)).write(file)
    lines = file.getvalue().splitlines()
    assert "main() → 7" in lines[4] and "×119 more" in lines[6]
    assert "2,280 more of 2,401 nodes" in lines[7] and "--around 122" in lines[7]
    assert trace.decoded_blocks == 3 < len(trace.streams[0].blocks)


def test_a_call_of_another_thread_has_none_of_this_threads_numbers(
    program: Program, tmp_path: Path
) -> None:
    """It had its own, which ``TRACE/2.N`` takes for another call's."""
    first = program.stream
    first.call(program.main)
    first.call(program.read)
    first.yields()
    second = program.trace.stream(program.process.thread("Other"))
    second.call(program.main)
    second.resume(2, program.read, thread=first.thread)
    second.yields()
    second.call(program.save)
    second.ret()
    second.ret()
    first.ret()
    lines = program.show(tmp_path, thread="2")
    assert lines[1].startswith("       ↻ read goes on (began as 1.2)")
    assert lines[2].startswith("  2    save()")
