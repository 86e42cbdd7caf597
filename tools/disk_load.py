"""How long a recorded program is held for a block that it hands over to a busy disk.

A program's calls are timed one by one, each so large that every few of them fill a
block. Beside it other processes write to the same disk and sync. Of the calls those
count that handed over a block: which they are is told by their number, because all
have the same size.

Says: for the disk at rest and under load the 50th, 99th and 99.9th percentile and the
longest.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.environment import environment

_LOADS = 3
_PROGRAM = """
import json, os, sys, time
def f(n, texts): return n
def run(seconds):
    # 7 KB that do not compress, 10 MB a second: 150 blocks.
    texts = [os.urandom(500).hex() for _ in range(7)]
    times, clock = [], time.perf_counter_ns
    until = clock() + int(seconds * 1e9)
    n = 0
    while (at := clock()) < until:
        f(n, texts)
        times.append(clock() - at)
        n += 1
        time.sleep(0.0005)
    return times
run(0.2)
print(json.dumps(run(float(sys.argv[1]))))
"""
_LOAD = """
import os, sys
chunk = os.urandom(1 << 20)
while True:
    with open(sys.argv[1], 'wb', buffering=0) as file:
        for _ in range(64):
            file.write(chunk)
        os.fsync(file.fileno())
"""


def _percentiles(times: list[int]) -> str:
    """Of the tenth of the calls that took longest: those that handed over a block."""
    slow = sorted(times)[-len(times) // 9 :]
    shares = [(0.5, "50 %"), (0.99, "99 %"), (0.999, "99.9 %")]
    said = [
        f"{name} {slow[min(int(len(slow) * share), len(slow) - 1)] / 1e3:,.0f} µs"
        for share, name in shares
    ]
    return f"{len(slow):,} blocks: {', '.join(said)}, longest {slow[-1] / 1e6:,.1f} ms"


def _measure(folder: Path, seconds: float) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "kolo_c", "run", "program.py", str(seconds)],
        cwd=folder, capture_output=True, text=True, check=True,
        env=environment(KOLO_C_FREE_DISK_MIN_BYTES="0"),
    )  # fmt: skip
    lost = [line for line in done.stderr.splitlines() if " lost" in line]
    return "; ".join([_percentiles(json.loads(done.stdout)), *lost])


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--folder", help="on the disk to be measured")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kolo-c-load-", dir=given.folder))
    loads: list[subprocess.Popen[bytes]] = []
    try:
        (folder / "setup.py").touch()
        (folder / "program.py").write_text(_PROGRAM)
        print("at rest   ", _measure(folder, given.seconds), flush=True)
        for number in range(_LOADS):
            words = [sys.executable, "-c", _LOAD, str(folder / f"load{number}")]
            loads.append(subprocess.Popen(words))
        print("under load", _measure(folder, given.seconds), flush=True)
    finally:
        for load in loads:
            load.kill()
            load.wait()
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
