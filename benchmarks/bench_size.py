"""Size: what a kept call takes on disk."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.programs import calls_made, run_program
from benchmarks.recording import counters, prove
from benchmarks.results import Figure, Row

NAME = "size"
TITLE = "Stored bytes for each kept call"
METHOD = """\
A script of calls with two small ints, which change from call to call, and their \
sum, under `kolo-c run` with the default settings; then every file under .kolo_c is \
counted (its length, or what it occupies where that is more) after the process has \
ended, and every record is read back."""
MOST_BYTES = 24.0


def run(quick: bool) -> Figure:
    """5 million calls; half a million when it has to be quick."""
    count = 500_000 if quick else 5_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ran = run_program(folder, "program_calls", str(count), recorded=True)
        store = folder / ".kolo_c"
        size = _size(store)
        said = counters(store)
        proof = prove(calls_made(count), store, said)
    row = Row(
        f"{count // 1000:,} thousand calls with small ints",
        "bytes",
        size / count,
        most=MOST_BYTES,
        proof=proof,
        values={
            "encoded_bytes": said["bytes"] / count,
            "writer_ns": said["writer_ns"] / count,
            "wall_s": ran.wall_s,
        },
    )
    return Figure(NAME, TITLE, METHOD, [row])


def _size(store: Path) -> int:
    total = 0
    for path in store.rglob("*"):
        status = path.lstat()
        total += max(status.st_size, getattr(status, "st_blocks", 0) * 512)
    return total
