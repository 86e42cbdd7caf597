"""delete, export and retention beside programs that run, and commands that are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from kolo_c.store.marks import DELETED, read_marks
from kolo_c.store.reader import Store
from kolo_c.wire import Kind
from tests.spec.tracing import environment, write_program
from tests.unit.store_builder import ProcessBuilder

# Says how many calls it has made, and goes on when it is told to.
STEPS = """
    import sys
    def f(n): return n
    n = 0
    for line in sys.stdin:
        for _ in range(int(line)):
            f(n)
            n += 1
        print(n, flush=True)
    """


class Program:
    """A program under kolo-c run that takes one step at a time."""

    def __init__(self, project: Path, source: str = STEPS) -> None:
        write_program(project, source)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kolo_c", "run", "--quiet", "program.py"],
            cwd=project, env=environment(), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def step(self, calls: int) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{calls}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> None:
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0


def kolo(project: Path, *words: str, fails: bool = False) -> str:
    """What a command prints."""
    answer = subprocess.run(
        [sys.executable, "-m", "kolo_c", *words],
        cwd=project, env=environment(), capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert (answer.returncode != 0) == fails, answer.stderr
    return answer.stdout if not fails else answer.stderr


def listed(project: Path) -> list[str]:
    return [trace["id"] for trace in json.loads(kolo(project, "list", "--json"))]


def stored_bytes(project: Path) -> int:
    return sum(
        path.stat().st_size for path in (project / ".kolo_c/segments").glob("*.db*")
    )


def arguments_of_f(store: Store, ending: str | None = None) -> list[int]:
    return [
        record.arguments[0]
        for stream in store.trace(ending).streams
        for record in stream.records()
        if record.kind == Kind.CALL and record.arguments
    ]


def test_deleting_a_running_trace_hides_it_and_frees_it_in_the_end(tmp_path):
    program = Program(tmp_path)
    program.step(50_000)
    (id,) = listed(tmp_path)
    said = kolo(tmp_path, "delete", id)
    assert said == (
        "Deleted 1 trace, freed 0 B; the space is freed when the program has ended.\n"
    )
    assert listed(tmp_path) == []
    assert program.step(50_000) == 100_000, "it goes on as before"
    assert listed(tmp_path) == []
    program.end()
    assert stored_bytes(tmp_path) > 10_000
    assert listed(tmp_path) == []
    assert stored_bytes(tmp_path) == 0
    assert read_marks(tmp_path / ".kolo_c", DELETED) == set()


def test_deleting_the_trace_of_a_killed_program_frees_it(tmp_path):
    program = Program(tmp_path)
    program.step(1000)
    (id,) = listed(tmp_path)
    kolo(tmp_path, "delete", id)
    program.process.kill()
    program.process.communicate()
    assert listed(tmp_path) == []
    assert os.listdir(tmp_path / ".kolo_c" / "segments") == []


def test_a_running_trace_is_exported_with_every_call_so_far(tmp_path):
    program = Program(tmp_path)
    try:
        for number in range(4):
            made = program.step(20_000 if number else 10)
            kolo(tmp_path, "export", listed(tmp_path)[0], f"{number}.kolo")
            with Store.of_file(tmp_path / f"{number}.kolo") as store:
                assert arguments_of_f(store) == list(range(made))
                assert store.trace().damage == []
                assert store.trace().definitions.damage == []
            shown = kolo(tmp_path, "show", "--db", f"{number}.kolo", "--max-lines", "9")
            assert "interrupted (exported while running)" in shown
    finally:
        program.end()
    assert sorted(path.suffix for path in tmp_path.iterdir()).count(".kolo") == 4


def test_many_commands_deleting_at_once_each_do_their_part(tmp_path):
    process = many_traces(12)
    store = process.write(tmp_path)
    commands = [
        subprocess.Popen(
            [sys.executable, "-m", "kolo_c", "delete", *(t.id for t in traces)],
            cwd=tmp_path, env=environment(), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )
        for traces in (process.traces[0:3], process.traces[3:6], process.traces[6:9])
    ]  # fmt: skip
    for command in commands:
        out, err = command.communicate(timeout=60)
        assert (command.returncode, err) == (0, "")
        assert out.startswith("Deleted 3 traces, freed ")
    with Store(store) as opened:
        left = [info.id for info in opened.traces()]
        assert left == [trace.id for trace in reversed(process.traces[9:])]
        for id in left:
            assert len(arguments_of_f(opened, id)) == 40
    assert read_marks(store, DELETED) == set()


def many_traces(count: int) -> ProcessBuilder:
    process = ProcessBuilder()
    code = process.code(process.file("/app/shop.py"), "f", ("n", "text"))
    thread = process.thread("MainThread")
    for number in range(count):
        trace = process.trace(f"trace {number}")
        stream = trace.stream(thread)
        for call in range(40):
            stream.call(code, call, "x" * 1000)
            stream.ret(call)
        trace.end()
        process.now_ns += 10**9
    return process


def test_a_command_killed_while_it_deletes_loses_nothing_else(tmp_path):
    """At many instants: what is listed is whole, and the next command finishes."""
    process = many_traces(60)
    for number in range(12):
        project = tmp_path / str(number)
        project.mkdir()
        store = process.write(project)
        command = subprocess.Popen(
            [sys.executable, "-m", "kolo_c", "delete", "--keep", "50"],
            cwd=project, env=environment(), stdout=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(random.Random(number).uniform(0.03, 0.16))
        command.send_signal(signal.SIGKILL)
        command.wait()
        before = listed(project)
        assert before[:50] == [trace.id for trace in reversed(process.traces[10:])]
        with Store(store) as opened:
            for id in before:
                assert arguments_of_f(opened, id) == list(range(40))
        kolo(project, "delete", "--keep", "50")
        assert len(listed(project)) == 50
        assert read_marks(store, DELETED) == set()


def test_retention_spares_what_is_pinned_and_takes_its_neighbours(tmp_path):
    """Over days, through the command line alone."""
    process = many_traces(6)
    store = process.write(tmp_path)
    kolo(tmp_path, "pin", process.traces[2].id)
    old = time.time() - 40 * 86_400
    os.utime(process.segment_path(store), (old, old))
    write_program(tmp_path, "print('hello')")
    kolo(tmp_path, "run", "--quiet", "program.py")
    assert process.traces[2].id in listed(tmp_path)
    assert len(listed(tmp_path)) == 2
    kolo(tmp_path, "unpin", process.traces[2].id)
    (store / "retention").unlink(missing_ok=True)
    kolo(tmp_path, "run", "--quiet", "program.py")
    assert process.traces[2].id not in listed(tmp_path)


def test_a_trace_goes_to_another_project_and_back(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for project in (here, there):
        project.mkdir()
        (project / "pyproject.toml").write_text("")
    program = Program(here)
    program.step(200)
    program.end()
    (id,) = listed(here)
    kolo(here, "export", id, "../shared.kolo")
    kolo(there, "import", "../shared.kolo")
    assert listed(there) == [id]
    same = ("show", id, "--max-lines", "0", "--width", "200")
    assert kolo(there, *same) == kolo(here, *same)
    kolo(there, "export", id, "../back.kolo")
    kolo(here, "delete", id)
    assert listed(here) == []
    kolo(here, "import", "../back.kolo")
    assert kolo(there, *same) == kolo(here, *same)
