"""Memory: the peak of a long recording over the peak of the program alone."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.programs import calls_made, run_program
from benchmarks.recording import counters, prove
from benchmarks.results import Figure, Row, median, percentile

NAME = "memory"
TITLE = "Peak memory over the program's own"
METHOD = """\
The same script under `python` and under `kolo-c run`, in turn. The value is the \
difference of their peak resident sets (ru_maxrss, which counts the pages of the \
shared mapping too); the imports of kolo_c are in it. Afterwards every record is \
read back."""
MOST_MIB = 32.0


def run(quick: bool) -> Figure:
    """20 million kept calls; 2 million when it has to be quick."""
    count = 2_000_000 if quick else 20_000_000
    rounds = 1 if quick else 2
    rows = []
    differences, walls, cpus, own = [], [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            plain = run_program(folder, "program_calls", str(count), recorded=False)
            ran = run_program(folder, "program_calls", str(count), recorded=True)
            store = folder / ".kolo_c"
            proof = prove(calls_made(count), store, counters(store))
        own.append(plain.peak_bytes / 2**20)
        differences.append((ran.peak_bytes - plain.peak_bytes) / 2**20)
        walls.append(ran.wall_s / plain.wall_s)
        cpus.append(ran.cpu_s / plain.cpu_s)
        if proof.objection():
            break
    rows.append(
        Row(
            f"{count // 10**6} million kept calls",
            "MiB",
            median(differences),
            percentile(differences, 0.99),
            len(differences),
            most=MOST_MIB,
            proof=proof,
            values={
                "own_MiB": median(own),
                "wall_over_untraced": median(walls),
                "process_cpu_over_untraced": median(cpus),
            },
        )
    )
    return Figure(NAME, TITLE, METHOD, rows)
