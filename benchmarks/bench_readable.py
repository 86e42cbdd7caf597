"""Readable: from the program's last call to a complete trace that a reader opens."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.child import measure_in_child
from benchmarks.recording import Recording, read_back
from benchmarks.results import Figure, Proof, Row, median, percentile
from benchmarks.rounds import load
from kolo_c.store.reader import Store

NAME = "readable"
TITLE = "From the last call to a readable trace"
METHOD = """\
A process makes kept calls as fast as it can, so that the writer has all the backlog \
that it can have, notes the time of the last, stops the session, and opens the store \
with the reader: readable is when the trace is there as complete and its headers \
hold every call. Each round is a new process. The reader's imports are done before; \
decoding the last block stands beside. Afterwards every record is read back."""
MOST_MS = 50.0


def run(quick: bool) -> Figure:
    """A million calls, several times."""
    rounds = 3 if quick else 21
    count = 300_000 if quick else 1_000_000
    total, stop, decode = [], [], []
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / ".kolo_c"
            answer = measure_in_child(
                "bench_readable", {"store": str(store), "turns": count}
            )
            made = {"CALL": count + 1, "RETURN": count + 1}
            # Each round has the proof that its headers give; one is read in full.
            if number in (0, rounds - 1):
                read = read_back(store)
            proof = Proof(made, read, answer["lost"], answer["waited_ns"])
        if answer["nodes"] != count + 1 or answer["status"] != "complete":
            proof.read = {"CALL": answer["nodes"]}
        total.append((answer["stop_ns"] + answer["open_ns"]) / 1e6)
        stop.append(answer["stop_ns"] / 1e6)
        decode.append(answer["decode_ns"] / 1e6)
        if proof.objection():
            break
    row = Row(
        f"{count // 1000:,} thousand calls",
        "ms",
        median(total),
        percentile(total, 0.99),
        len(total),
        most=MOST_MS,
        proof=proof,
        values={"stop_ms": median(stop), "decode_block_ms": median(decode)},
    )
    return Figure(NAME, TITLE, METHOD, [row])


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """One round."""
    store = Path(job["store"])
    workload = load("kept_small")
    recording = Recording(store, keep=True)
    recording.start()
    recording.attach()
    workload.run(job["turns"])
    last = time.monotonic_ns()
    summary, _ = recording.finish()
    stopped = time.monotonic_ns()
    with Store(store) as opened:
        info = opened.traces()[0]
        trace = opened.trace(info.id)
        nodes = trace.streams[0].last_node
        opened_ns = time.monotonic_ns()
        trace.streams[0].decode(len(trace.streams[0].blocks) - 1)
    return {
        "stop_ns": stopped - last,
        "open_ns": opened_ns - stopped,
        "decode_ns": time.monotonic_ns() - opened_ns,
        "nodes": nodes,
        "status": info.status,
        "lost": summary.lost,
        "waited_ns": summary.waited_ns,
    }
