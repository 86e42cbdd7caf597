"""The benchmarks: their statistics, when a row is void, and that they run."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench_page_peers, report
from benchmarks.__main__ import NAMES, main, parse
from benchmarks.bench_page import ALIKE, measure_pages
from benchmarks.child import ChildError
from benchmarks.recording import read_back
from benchmarks.results import (
    Figure,
    Proof,
    Row,
    add,
    geometric_mean,
    median,
    percentile,
    ratios_over,
    times,
)
from benchmarks.rounds import Series, load, run_rounds
from benchmarks.shop import copy_shop
from benchmarks.turns import take_turns
from kolo_c.hook import choose_hook
from tools import generate_costs

ROOT = Path(__file__).resolve().parents[2]
WORKLOADS = sorted(path.stem for path in (ROOT / "benchmarks/workloads").glob("kept_*"))


def test_a_median_is_the_middle_or_between_the_two() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.5


def test_a_percentile_is_one_of_the_values() -> None:
    series = [float(number) for number in range(1, 101)]
    assert percentile(series, 0.99) == 99.0
    assert percentile(series, 0.01) == 1.0
    assert percentile([5.0], 0.99) == 5.0


def test_an_empty_series_is_refused() -> None:
    with pytest.raises(ValueError, match="without values"):
        median([])


def test_a_geometric_mean_takes_a_half_and_a_double_for_one() -> None:
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1.0)


def test_a_round_whose_floor_is_below_nothing_counts_as_infinite() -> None:
    assert ratios_over([30.0, 30.0], [20.0, 9.0], [10.0, 10.0]) == [2.0, math.inf]


def test_records_of_turns_are_summed_by_kind() -> None:
    made = add(times({"CALL": 1, "YIELD": 2}, 3), {"CALL": 1})
    assert made == {"CALL": 4, "YIELD": 6}


@pytest.mark.parametrize(
    ("value", "most", "least", "verdict"),
    [
        (2.5, 2.5, None, "pass"),
        (2.51, 2.5, None, "fail"),
        (0.9, None, 0.9, "pass"),
        (0.89, None, 0.9, "fail"),
        (1.0, None, None, "-"),
        (None, 1.0, None, "-"),
    ],
)
def test_a_row_is_judged_by_its_limits(
    value: float | None, most: float | None, least: float | None, verdict: str
) -> None:
    assert Row("r", "x", value, most=most, least=least).verdict == verdict


@pytest.mark.parametrize(
    ("proof", "words"),
    [
        (Proof({"CALL": 2}, {"CALL": 1}, 0, 0), "read back: CALL 1 of 2"),
        (Proof({"CALL": 2}, {"CALL": 2, "MARK": 1}, 0, 0), "read back: MARK 1 of 0"),
        (Proof({"CALL": 2}, {"CALL": 2}, 3, 0), "3 records were lost"),
    ],
)
def test_a_row_is_void_where_the_trace_is_not_what_happened(
    proof: Proof, words: str
) -> None:
    row = Row("r", "x", 1.0, most=2.0, proof=proof)
    assert row.verdict == "void"
    assert row.void == words
    assert "VOID" in report.lines(Figure("f", "t", "m", [row]))[1]


def test_a_row_that_waited_stands_and_says_how_long() -> None:
    row = Row(
        "r", "x", 1.0, most=2.0, proof=Proof({"CALL": 1}, {"CALL": 1}, 0, 2_500_000)
    )
    assert row.verdict == "pass"
    assert "waited 2.5 ms" in report.lines(Figure("f", "t", "m", [row]))[1]


class _Counted:
    name = "counted"

    def __init__(self) -> None:
        self.attached = 0
        self.order: list[str] = []

    def attach(self) -> None:
        self.attached += 1

    def detach(self) -> None:
        self.attached -= 1
        self.order.append(self.name)


def test_every_round_has_one_window_of_each_variant() -> None:
    one, two = _Counted(), _Counted()
    two.name = "other"
    two.order = one.order
    found, windows = run_rounds(load("kept_small"), 10, 3, [one, two])
    assert windows == 5
    assert {name: len(series.cpu_ns) for name, series in found.items()} == {
        "counted": 3,
        "other": 3,
    }
    assert one.order[:4] == ["counted", "other", "other", "counted"]
    assert (one.attached, two.attached) == (0, 0)
    assert isinstance(found["other"], Series)


def test_an_unknown_name_is_refused_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parse(["spead"])
    message = capsys.readouterr().err
    assert "spead" in message
    assert all(name in message for name in NAMES)


def test_a_quick_run_of_the_size_writes_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["size", "--quick", "--results", str(tmp_path)]) == 0
    assert "pass" in capsys.readouterr().out
    [path] = tmp_path.iterdir()
    result = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == f"{result['python']['version']}-size.json"
    [row] = result["rows"]
    assert row["proof"]["read"] == {"CALL": 500_002, "RETURN": 500_002}
    assert row["proof"]["lost"] == 0


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_leaves_the_records_that_it_says(name: str, tmp_path: Path) -> None:
    """In a process of its own, as a benchmark runs it: two turns for each thread."""
    code = f"""
import json, pathlib
from benchmarks.recording import Recording, read_back
from benchmarks.rounds import load, run_rounds
from benchmarks.variants import Recorded
store = pathlib.Path({str(tmp_path)!r}, ".kolo_c")
recording = Recording(store, keep=True)
recording.start()
workload = load({name!r})
threads = getattr(workload, "THREADS", 1)
_, windows = run_rounds(workload, 2 * threads, 1, [Recorded(recording)])
recording.finish()
print(json.dumps([windows, threads, workload.RECORDS, read_back(store)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    windows, threads, records, read = json.loads(done.stdout)
    loops = windows * threads
    made = times(records, 2 * loops)
    assert read == add(made, {"CALL": loops, "RETURN": loops})


def test_a_page_of_the_shop_leaves_the_calls_that_were_counted(tmp_path: Path) -> None:
    pytest.importorskip("django")
    pytest.importorskip("rest_framework")
    pytest.importorskip("celery")
    project, told = copy_shop(tmp_path)
    job = {"project": str(project), "told": told, "quick": True}
    hook = choose_hook("auto").name
    cpu_ns, answers = measure_pages(job, ("untraced", "kolo_c"), tmp_path, hook)
    assert len(cpu_ns["untraced"]) == len(cpu_ns["kolo_c"]) == 12 * ALIKE
    assert min(cpu_ns["untraced"]) > 0
    for number in range(ALIKE):
        found = answers[f"kolo_c {number}"]
        assert 150 <= found["calls"] <= 170 and found["lost"] == 0
        read = read_back(Path(found["store"]))
        pages = found["pages"]
        assert pages == 14
        assert (read["CALL"], read["RETURN"]) == (found["calls"] * pages,) * 2
        assert answers[f"untraced {number}"]["stored_bytes"] == 0


def test_a_page_under_the_middleware_is_whole_and_is_compared(tmp_path: Path) -> None:
    pytest.importorskip("django")
    pytest.importorskip("rest_framework")
    pytest.importorskip("celery")
    ours, untraced = bench_page_peers.KOLO_C, bench_page_peers.UNTRACED
    jobs = {
        f"{peer.name} {number}": bench_page_peers.job_for(
            peer, sys.executable, tmp_path / f"{peer.name} {number}"
        )
        for peer in (ours, untraced)
        for number in range(ALIKE)
    }
    cpu_ns, answers = bench_page_peers.compare(jobs, 3, 1)
    assert {len(each) for each in cpu_ns.values()} == {3}
    assert {answer["pages"] for answer in answers.values()} == {4}
    assert bench_page_peers.objection(ours, answers) == ""
    assert answers[f"{ours.name} 0"]["bytes"] > 4096
    assert answers[f"{untraced.name} 0"]["bytes"] == 0
    answers[f"{ours.name} 1"]["pages"] += 1
    assert "4 of 5 requests" in bench_page_peers.objection(ours, answers)


def test_a_tool_that_leaves_too_little_has_a_void_row() -> None:
    kolo, viztracer = (
        next(peer for peer in bench_page_peers.PEERS if peer.name.startswith(name))
        for name in ("Kolo", "VizTracer")
    )
    answers = {
        f"{peer.name} {number}": {"pages": 10, "bytes": 5000, "entries": 1500}
        for peer in (kolo, viztracer)
        for number in range(ALIKE)
    }
    assert bench_page_peers.objection(kolo, answers) == ""
    assert bench_page_peers.objection(viztracer, answers) == ""
    for answer in answers.values():
        answer["pages"] = 11
    assert "5,000 bytes of 11" in bench_page_peers.objection(kolo, answers)
    assert "1,500 entries of 11" in bench_page_peers.objection(viztracer, answers)


def test_what_a_player_prints_is_not_taken_for_a_time() -> None:
    """Tools greet whoever starts them."""
    code = """
import sys, types
from benchmarks import turns
class Loud:
    def turn(self): print("a turn")
    def end(self): return {"ended": True}
def begin(job):
    print("welcome", flush=True)
    return Loud()
sys.modules["benchmarks.loud"] = types.SimpleNamespace(begin=begin)
sys.argv = ["turns", "loud", "{}"]
turns.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        input="\n\n",
        capture_output=True,
        text=True,
        check=True,
    )
    ready, one, two, ended = done.stdout.splitlines()
    assert ready == "ready"
    assert int(one) > 0 and int(two) > 0
    assert json.loads(ended) == {"ended": True}
    assert "welcome" in done.stderr


def test_what_a_child_that_takes_turns_says_last_is_told(tmp_path: Path) -> None:
    job = {"project": str(tmp_path), "told": {}, "variant": "untraced"}
    with pytest.raises(ChildError, match=r"exit code 1\nTraceback"):
        take_turns("bench_page", {"one": job}, 1, 0)


def _result(
    figure: str, version: str, build: str, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "figure": figure,
        "python": {"version": version, "build": build},
        "machine": {"cores": 2, "cpu": "a CPU"},
        "date": "2026-11-21",
        "rows": rows,
    }


def test_the_table_has_a_column_for_each_version_in_its_order() -> None:
    rows = [Row("5 million calls", "bytes", 4.51, most=24.0).as_dict()]
    results = [
        _result("size", version, build, rows)
        for version, build in (("3.9.1", "plain (no PGO)"), ("3.14.1", "PGO and LTO"))
    ]
    text = generate_costs.table(reversed(results))
    assert "|  | 3.9.1 | 3.14.1, optimised |" in text
    assert "| stored bytes for each kept call | 4.5 | 4.5 |" in text
    assert "2026-11-21 on 2 cores of a CPU" in text


def test_the_table_stands_between_its_marks() -> None:
    begin, end = "<!-- costs:begin -->", "<!-- costs:end -->"
    text = f"a\n{begin}\nold\n{end}\nb\n"
    made = generate_costs.replaced(text, "costs", "new\n")
    assert made == f"a\n{begin}\n\nnew\n\n{end}\nb\n"
    assert generate_costs.replaced(made, "costs", "new\n") == made


def test_the_peers_stand_side_by_side_and_a_void_row_says_so() -> None:
    rows = [
        Row(
            f"{group}: {tool}", "x", value, values={"small_bytes_a_call": 6.25}
        ).as_dict()
        for group in generate_costs.GROUPS
        for tool, value in (("ours 1.0", 2.54), ("theirs 2.0", 20.0))
    ]
    rows[-1]["void"] = "it lost records"
    result = _result("peers", "3.14.1", "PGO and LTO", rows)
    text = generate_costs.peers_table([result])
    assert "| over python alone | ours 1.0 | theirs 2.0 |" in text
    assert "| an empty script, whole process | 2.5x | 20.0x |" in text
    assert "2.5x | void |" in text
    assert "for each such call | 6.2 | 6.2 |" in text
    assert "python -m benchmarks peers" in generate_costs.peers_table([])


def test_the_peers_of_a_page_have_a_table_of_their_own() -> None:
    rows = [
        Row("page: ours 1.0", "x", 1.064, values={"bytes_a_page": 4321.0}).as_dict(),
        Row("page: theirs 2.0", "x", 2.5, void="it left nothing").as_dict(),
    ]
    result = _result("page_peers", "3.14.1", "PGO and LTO", rows)
    text = generate_costs.page_peers_table([result])
    assert "over untraced | ours 1.0 | theirs 2.0 |" in text
    assert "| CPU time of the thread | 1.06x | void |" in text
    assert "| on disk | 4 kB |  |" in text
    assert "benchmarks page_peers" in generate_costs.page_peers_table([])
