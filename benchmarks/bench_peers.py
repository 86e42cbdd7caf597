"""Peers: the same scripts under kolo_c, VizTracer, Kolo and coverage, in one run."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import peers
from benchmarks.peers import PEERS, PYTHON, Peer
from benchmarks.programs import Ran, run_measured
from benchmarks.recording import WORKLOADS, counters, prove
from benchmarks.results import Figure, Proof, Row, add, geometric_mean, median, times
from benchmarks.rounds import load

NAME = "peers"
TITLE = "Whole processes under kolo_c and its peers, over python alone"
METHOD = """\
Each tool is installed in an environment of its own, of the same Python. A script \
runs a workload of the other benchmarks, first under python alone, then under each \
tool with its own command, in turn, round after round; the ratio is the CPU time of \
the process until its end over python's in the same round, median of the rounds, \
geometric mean of the programs. kept: functions of the script's folder, which every \
tool records; skipped: the standard library's, which kolo_c, Kolo and coverage leave \
out and VizTracer records. VizTracer leaves C functions out, and keeps the last \
million entries alone. Kolo's rendering of traces in a process of its own is off. \
Coverage records lines, no calls. kolo_c's traces are read back and counted."""
DRIVER = "program_workload"
# Turns that take about 150 ms untraced.
KEPT = {
    "kept_small": 1_500_000,
    "kept_method": 1_500_000,
    "kept_text": 1_500_000,
    "kept_dict": 1_500_000,
    "kept_exception": 250_000,
    "kept_generator": 30_000,
}
SKIPPED = {
    "skipped_json": 360,
    "skipped_difflib": 360,
    "skipped_ast": 240,
}
# Calls that importing it makes: a class body and __init__; a comprehension, before they
# were inlined.
_CALLS_OF_IMPORT = {"kept_method": 2, "kept_dict": int(sys.version_info < (3, 12))}


@dataclass
class Found:
    """What one tool took for one program, round by round."""

    ratios: list[float] = field(default_factory=list)
    bytes: int = 0
    """What it left on disk."""
    proof: Proof | None = None


def run(quick: bool) -> Figure:
    """Every tool's ratios: an empty script, what is kept, what is skipped."""
    share, rounds = (10, 2) if quick else (1, 3)
    peers.forget_ours()
    groups = {"empty": {"": 0}, "kept": KEPT, "skipped": SKIPPED}
    rows: list[Row] = []
    for group, programs in groups.items():
        found: dict[str, dict[str, Found]] = {}
        for name, turns in programs.items():
            count = rounds * 3 if group == "empty" else rounds
            found[name] = _compare(name, turns // share, count)
        rows.extend(_row(group, peer, programs, found, share) for peer in PEERS)
    return Figure(NAME, TITLE, METHOD, rows)


def _compare(name: str, turns: int, rounds: int) -> dict[str, Found]:
    found: dict[str, Found] = defaultdict(Found)
    for number in range(rounds):
        shift = number % len(PEERS)
        base = _run(PYTHON, name, turns, None)
        for peer in (*PEERS[shift:], *PEERS[:shift]):
            each = found[peer.name]
            ran = _run(peer, name, turns, each)
            each.ratios.append(ran.cpu_s / base.cpu_s)
    return found


def _run(peer: Peer, name: str, turns: int, found: Found | None) -> Ran:
    words = peers.command(peer)
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        for script in WORKLOADS.glob("*.py"):  # some use another one
            shutil.copyfile(script, folder / script.name)
        (folder / "pyproject.toml").touch()
        peer.prepare(folder)
        program = [f"{DRIVER}.py", *((name, str(turns)) if name else ())]
        ran = run_measured([*words, *program], folder, {})
        if found is not None:
            found.bytes = _size(folder / peer.leaves)
            if peer.leaves == ".kolo_c" and name.startswith("kept"):
                made = times(load(name).RECORDS, turns)
                # The driver's module, the workload's, and run() itself.
                once = 3 + _CALLS_OF_IMPORT.get(name, 0)
                made = add(made, {"CALL": once, "RETURN": once})
                store = folder / peer.leaves
                found.proof = prove(made, store, counters(store))
    return ran


def _size(path: Path) -> int:
    paths = path.rglob("*") if path.is_dir() else (path,)
    return sum(each.lstat().st_size for each in paths)


def _row(
    group: str,
    peer: Peer,
    programs: dict[str, int],
    found: dict[str, dict[str, Found]],
    share: int,
) -> Row:
    medians = {name: median(found[name][peer.name].ratios) for name in programs}
    values = {f"{name}_x": ratio for name, ratio in medians.items() if name}
    if group == "kept":
        each = found["kept_small"][peer.name]
        values["small_bytes_a_call"] = each.bytes / (KEPT["kept_small"] // share)
    proofs = [found[name][peer.name].proof for name in programs]
    objections = [proof.objection() for proof in proofs if proof is not None]
    return Row(
        f"{group}: {peer.name} {peers.version(peer)}",
        "x",
        geometric_mean(medians.values()),
        rounds=len(found[next(iter(programs))][peer.name].ratios),
        void="; ".join(text for text in objections if text),
        values=values,
    )
